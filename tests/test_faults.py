"""A few faults on the stack of `make faults`; and the oracle that they are judged by."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random

import pytest
from pymongo import MongoClient

from services.certification.schemes import rules as schemes
from services.feedback import market, requests
from services.feedback.gaps import Rules, wishes
from services.monitoring import states
from shared.contract.events import Data, Event, parse, timestamp
from shared.http.auth import RequestKey
from shared.processing import facts
from shared.processing.facts import State
from shared.processing.mongo import Key
from tests import servers
from tests.faults.breaking import FENCED, KINDS, PUT_OUT
from tests.faults.finding import Findings, read_log
from tests.faults.oracle import Expected
from tests.faults.region import (
    LEAST_SCORE,
    METHODS,
    REQUEST_KEY,
    SCHEMES,
    WISHED,
    Json,
    kind_of,
    programme_events,
    said_of,
)
from tests.faults.run import running
from tests.faults.stack import WORKERS, Stack
from tests.making import after
from tests.stack import until

SEED = 11
HOSTILE_EVENTS = 100
SECRET = RequestKey(REQUEST_KEY, "")
BY_NAME = {kind.name: kind for kind in KINDS}
SCHEMES_AT = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.fixture
def folder() -> Iterator[Path]:
    with servers.folder() as made:
        yield made


@pytest.mark.slow
async def test_nothing_is_lost_or_counted_twice_whatever_breaks(folder: Path):
    services = ("partners", "feedback", "certification", *WORKERS)
    async with running(Stack(folder, services, small_disks=False), SEED, rate=60, pool=300) as run:
        await run.hostile.start()
        for together in (
            ("kill -9 a monitoring worker", "step-down of MongoDB's primary"),
            ("kill -9 Kafka",),
            ("kill -9 MongoDB's primary", "a worker joins and leaves"),
        ):
            await asyncio.gather(*(run.faults.inject(BY_NAME[name]) for name in together))
        await run.faults.inject(BY_NAME["stop a worker beyond its session"])
        # What attacks has the lowest priority: on a full machine its turns are few.
        await until(partial(hostile_events_are_logged, run.stack.kafka.address), 120)
        found = await run.prove()
        assert found.words == [], "\n".join(found.words[:20])
        # Whether it has a write in hand when it wakes up is chance; that one is refused is shown in test_runner.py.
        noted = run.faults.noted()
        assert noted[FENCED] + noted[PUT_OUT] == 1
        assert all(fault.recovered_s is not None for fault in run.faults.injected)
        assert found.checked["monitoring's counters"] > 1_000
        assert found.checked["poison records"] > 10
        assert found.checked["events of hostile organisations in the log"] > HOSTILE_EVENTS

        # What is judged so would have been found out.
        primary = run.stack.mongodb.wait_for_primary()
        with MongoClient[Json](primary.address) as client:
            client["praktika_monitoring"]["_counters"].update_one(
                {"m.graduates": {"$gt": 0}}, {"$inc": {"m.graduates": 1}}
            )
            client["praktika_partners"]["learners"].delete_one({})
            client["praktika_feedback"]["vacancies"].delete_one({"open": True})
        worse = Findings()
        await run.compare(worse)
        assert worse.twice == 1
        assert worse.lost > 1
        assert any("open vacancies" in words for words in worse.words)


async def hostile_events_are_logged(kafka: str) -> bool:
    return (await read_log(kafka)).hostile > HOSTILE_EVENTS


def test_the_oracle_and_the_services_agree_on_any_order():
    told = [event for number in range(300) for event in said_of(SEED, number)] + list(programme_events())
    expected = Expected({scheme.id: SCHEMES_AT for scheme in SCHEMES})
    expected.add(told)
    events = [parsed(event) for event in told]
    Random(SEED).shuffle(events)  # noqa: S311
    derived = concluded(events)
    assert counted(states, [*events, *derived]) == {key: n for key, n in expected.counters.items() if n}
    assert counted(requests, [*events, *derived]) == {key: n for key, n in expected.of_feedback.items() if n}
    sums: dict[tuple[str, ...], dict[str, int]] = {}
    for (kind, id, month, measure), number in counted(requests, [*events, *derived]).items():
        if kind == "wish":
            sums[id, month] = {measure: number}
    wished = {(one.programme, one.competency, one.window) for one in wishes(sums, Rules()) if one.competency == WISHED}
    assert wished == expected.wishes() != set()
    vacancies, mapping = offered(events)
    assert len(vacancies) == len(expected.offered) > 10
    assert len(mapping) == len(expected.mappings) > 3
    demanded = market.Market(mapping)
    for vacancy in vacancies:
        demanded.add(vacancy)
    assert demanded.demanded == expected.demanded() != {}
    must = {id for id, one in expected.derived.items() if one.must}
    found = {event.id: event for event in derived if event.data.short_type != "feedback.erased"}
    assert must <= found.keys() <= expected.derived.keys()
    # Which institution passes an answer on is known if the enrolment came first.
    says = {
        id: event.data.model_dump(mode="json", exclude={"institution", "months", "valid_until"})
        for id, event in found.items()
    }
    wanted = {id: {k: v for k, v in expected.derived[id].data.items() if k != "institution"} for id in found}
    certified = {id for id, event in found.items() if event.data.short_type == "competency.certified"}
    assert says == wanted
    assert all(found[id].data.institution == expected.derived[id].data["institution"] for id in certified)


def parsed(event: Json) -> Event[Data]:
    by = event["source"].rpartition("/")[2]
    return parse(json.dumps({**event, "sourcekind": kind_of(by)}).encode())


def fold(module: object, events: list[Event[Data]], react: object = None) -> tuple[dict[Key, State], list[Event[Data]]]:
    """The states of a service's rules after *events*, and what it concluded."""
    folded: dict[Key, State] = {}
    derived: list[Event[Data]] = []
    for event in events:
        key = module.route(facts.from_event(event))
        if key is not None:
            state = after(folded.get(key, facts.empty()), event)
            for following in react(key, state) if react else []:
                state = facts.apply(state, following)
                derived.append(following)
            folded[key] = state
    return folded, derived


def offered(events: list[Event[Data]]) -> tuple[list[Json], dict[str, str | None]]:
    """What feedback shows of the open vacancies, and what it knows of the skills."""
    shown = {key: requests.view(key, state) for key, state in fold(requests, events)[0].items()}
    skills = {key.id: view for key, view in shown.items() if key.collection == "skills"}
    return [view for view in shown.values() if view.get("open")], {id: v["competency"] for id, v in skills.items()}


def concluded(events: list[Event[Data]]) -> list[Event[Data]]:
    """What feedback and certification publish."""
    known: dict[str, list[schemes.Scheme]] = {}
    for s in SCHEMES:
        of = s.institution, s.competency, s.level
        known.setdefault(s.competency, []).append(
            schemes.Scheme(s.id, timestamp(SCHEMES_AT), *of, METHODS, LEAST_SCORE, enterprise_required=True)
        )
    _, certified = fold(schemes, events, lambda key, state: schemes.decide(key, state, schemes.Context(known)))
    of_learners = [event for event in events if event.data.topic == "learner"]
    learners, asked = fold(requests, of_learners, lambda key, state: requests.ask(key.id, state, SECRET))
    erased = frozenset(key.id for key, state in learners.items() if "erased" in state)
    _, forgotten = fold(requests, asked, lambda key, state: requests.forget(key.id, state, erased))
    return [*certified, *asked, *forgotten]


def counted(module: object, events: list[Event[Data]]) -> dict[tuple[str, ...], int]:
    counts: Counter[tuple[str, ...]] = Counter()
    for key, state in fold(module, events)[0].items():
        counts.update({tuple(counter): number for counter, number in module.contributions(key, state).items()})
    return {key: number for key, number in counts.items() if number}
