"""praktika rebuild: what is replayed beside a running service equals what it has, and takes its place."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter

from deploy.praktika import rebuild as command
from services.certification import app as certification
from services.feedback import app as feedback
from services.monitoring import app as monitoring
from services.partners import app as partners
from services.partners.gateway.credentials import issue
from services.partners.gateway.egress.webhooks import WEBHOOKS
from shared.contract.events import (
    AssessmentMethod,
    AssessmentRecorded,
    Data,
    Event,
    InternshipCompleted,
    InternshipOutcome,
    LearnerEnrolled,
    LearnerErased,
    LearnerGraduated,
    OrganisationRegistered,
    Publisher,
    SchemePublished,
)
from shared.log.producer import Record
from shared.operator import rebuild
from shared.processing import mongo
from shared.processing.core import Core
from shared.processing.mongo import ABOUT, COUNTERS, POSITIONS
from tests.making import NOON, event
from tests.operator.conftest import Praktika
from tests.stack import Running, running, until

SERVICES: dict[str, Any] = {
    "partners": partners, "feedback": feedback, "certification": certification, "monitoring": monitoring
}  # fmt: skip
SCHEME = SchemePublished(
    competency="greencomp:3.1", level=5, methods=[AssessmentMethod.exam], least_score=0.6, enterprise_required=False
)


def load(learners: Sequence[str]) -> list[Event[Data]]:
    """What all four services have something to do with."""
    events: list[Event[Data]] = []
    for learner in learners:
        completed = InternshipCompleted(
            enterprise="plant",
            programme="p",
            hours=80,
            competencies=["greencomp:3.1"],
            outcome=InternshipOutcome.passed,
        )
        exam = AssessmentRecorded(competency="greencomp:3.1", method=AssessmentMethod.exam, score=0.8)
        events += [
            event(LearnerEnrolled(programme="p"), learner),
            event(completed, f"i-{learner}", learner, by="enterprise:plant"),
            event(exam, f"a-{learner}", learner),
            event(LearnerGraduated(programme="p", graduated_on=NOON.date()), learner),
        ]
    return events


def beginning() -> list[Event[Data]]:
    college = OrganisationRegistered(kind="institution", name="College", region="north")
    scheme = event(SCHEME, "futures", by="institution:uni")
    return [event(college, "uni", by="operator:operator"), scheme]


@asynccontextmanager
async def network(core: Core, kafka: str, mongodb: str, keys: Path, **settings: Any) -> AsyncIterator[Running]:
    router = SERVICES[core.name].router if core.name in SERVICES else APIRouter()
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=keys, **settings) as stack:
        yield stack
        home = stack.service.store.home
        await home.client.drop_database(f"{home.name}_beside")


async def filled(stack: Running, learners: int = 30) -> Running:
    """With events applied and what follows from them applied, too."""
    events = load([f"l{n}" for n in range(learners)])
    await stack.publish(
        *beginning(), *events, *events[:20], event(LearnerErased(), "l3"), Record("learner", "x", b"bad")
    )
    await settled(stack)
    return stack


async def settled(stack: Running) -> None:
    """Wait until nothing more follows: what the service publishes, it takes in itself."""

    async def quiet() -> bool:
        before = await stack.count(*stack.service.core.topics)
        await stack.applied()
        db = stack.service.db
        due = await stack.service.core.due(db, list(await mongo.positions(db)))
        return not due and before == await stack.count(*stack.service.core.topics)

    await until(quiet, 60)


@pytest.fixture
async def stack(kafka: str, mongodb: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with network(monitoring.core, kafka, mongodb, tmp_path) as one:
        yield await filled(one)


async def moved_to(stack: Running, end: str) -> None:
    async def moved() -> bool:
        return stack.service.db.name.endswith(end)

    await until(moved)


async def graduates(stack: Running) -> int:
    return (await mongo.sums(stack.service.db, {"kind": "programme"}, ())).get((), {}).get("graduates", 0)


@pytest.mark.parametrize("name", SERVICES)
async def test_a_rebuilt_database_is_equal_and_the_service_goes_on_with_it(
    kafka: str, mongodb: str, tmp_path: Path, name: str
):
    async with network(SERVICES[name].core, kafka, mongodb, tmp_path) as stack:
        await filled(stack)
        praktika, before = (
            Praktika(stack.settings),
            await stack.count("learner", "feedback", "scheme", f"dead-letter.{name}"),
        )
        done = await praktika("rebuild", name, "--json")
        assert done.code == 0, done.out + done.err
        assert (done.json["swapped"], done.json["different"], done.json["missing"]) == (True, 0, [])
        assert done.json["entities"] > 25
        await moved_to(stack, "_beside")
        assert await stack.count("learner", "feedback", "scheme", f"dead-letter.{name}") == before
        await stack.publish(*load(["later"]))
        await settled(stack)
        learner = await stack.service.db["learners"].find_one({"_id": "later"})
        assert learner is not None
        assert await stack.service.store.home["learners"].find_one({"_id": "later"}) is None
        # The second time it is the home that is filled anew.
        assert (await praktika("rebuild", name)).code == 1
        assert (await praktika("rebuild", name, "--drop-old")).code == 0
        again = await praktika("rebuild", name, "--json")
        assert (again.code, again.json["database"]) == (0, stack.service.store.home.name), again.out + again.err


async def test_the_former_database_is_kept_put_back_and_dropped_when_told(stack: Running):
    praktika = Praktika(stack.settings)
    assert (await praktika("rebuild", "monitoring", "--back")).code == 1
    assert (await praktika("rebuild", "monitoring")).code == 0
    await moved_to(stack, "_beside")
    (shown,) = [x for x in (await praktika("status", "--json")).json["services"] if x["name"] == "monitoring"]
    assert (shown["database"][-7:], shown["former"]) == ("_beside", stack.service.store.home.name)
    await stack.publish(*load(["later"]))
    await stack.applied()
    assert (await praktika("rebuild", "monitoring", "--back")).code == 0
    await moved_to(stack, "_monitoring")
    await stack.applied()
    assert await graduates(stack) == 30  # of 31 one is erased
    assert (await praktika("rebuild", "monitoring", "--back")).code == 0
    await moved_to(stack, "_beside")
    for _ in range(2):
        assert (await praktika("rebuild", "monitoring", "--drop-old")).code == 0
    assert await stack.service.store.home.list_collection_names() == ["_live"]
    assert (await praktika("audit")).code == 0


async def test_a_database_of_earlier_rules_is_named_until_it_is_rebuilt(stack: Running):
    praktika = Praktika(stack.settings)

    async def outdated() -> bool:
        (shown,) = [x for x in (await praktika("status", "--json")).json["services"] if x["name"] == "monitoring"]
        return bool(shown["outdated"])

    assert not await outdated()
    await stack.service.db[ABOUT].replace_one({"_id": "generation"}, {"number": stack.service.core.generation - 1})
    assert "praktika rebuild monitoring --accept" in (await praktika("status")).out
    assert (await praktika("rebuild", "monitoring")).code == 0
    assert not await outdated()


async def test_what_differs_is_named_and_swapped_only_if_accepted(stack: Running):
    praktika, db = Praktika(stack.settings), stack.service.db
    counter = await db[COUNTERS].find_one({"m.graduates": {"$gt": 0}})
    assert counter is not None
    await db[COUNTERS].update_one({"_id": counter["_id"]}, {"$inc": {"m.graduates": 7}})
    await db["learners"].update_one({"_id": "l1"}, {"$set": {"state.bytes": 1}})
    await db["learners"].delete_one({"_id": "l2"})
    done = await praktika("rebuild", "monitoring", "--json")
    assert (done.code, done.json["swapped"], done.json["different"]) == (1, False, 3)
    named = {difference["what"]: difference for difference in done.json["differences"]}
    wrong = named[f"_counters {counter['_id']} graduates"]
    assert int(wrong["live"]) == int(wrong["rebuilt"]) + 7
    assert named["learners l1 state.bytes"]["live"] == "1"
    assert any(what.startswith("learners l2 ") for what in named)
    accepted = await praktika("rebuild", "monitoring", "--accept")
    assert (accepted.code, "3 differ" in accepted.out) == (0, True)
    await moved_to(stack, "_beside")
    assert await graduates(stack) == 29
    assert (await praktika("audit")).code == 0


async def test_a_rebuild_that_was_stopped_goes_on_where_it_was(stack: Running, monkeypatch: pytest.MonkeyPatch):
    praktika, take, calls = Praktika(stack.settings), rebuild.Rebuild._take, iter(range(3))
    making: set[rebuild.Rebuild] = set()

    async def stopped(self: rebuild.Rebuild, records: Any) -> None:
        making.add(self)
        if next(calls, None) is None:
            raise KeyboardInterrupt
        await take(self, records)

    monkeypatch.setattr(rebuild, "AT_ONCE", 10)
    monkeypatch.setattr(rebuild.Rebuild, "_take", stopped)
    done = await praktika("rebuild", "monitoring")
    assert (done.code, "--abandon" in done.err) == (130, True)
    assert [one._batches._writing for one in making] == [None], "a transaction is left open, and keeps out who goes on"
    beside = stack.service.db.client[stack.service.db.name + "_beside"]
    there = sum(at.next_offset for at in (await mongo.positions(beside)).values())
    assert 0 < there < await stack.count(*stack.service.core.topics)
    monkeypatch.setattr(rebuild.Rebuild, "_take", take)
    again = await praktika("rebuild", "monitoring")
    assert (again.code, "going on with the rebuild that was begun" in again.err) == (0, True), again.out + again.err


async def test_a_rebuild_begun_by_other_rules_begins_anew(stack: Running, monkeypatch: pytest.MonkeyPatch):
    praktika = Praktika(stack.settings)
    await stack.service.db["learners"].delete_one({"_id": "l2"})
    assert (await praktika("rebuild", "monitoring")).code == 1
    monkeypatch.setattr(rebuild, "rules", lambda _: "others")
    assert "going on" not in (await praktika("rebuild", "monitoring")).err
    assert "going on" in (await praktika("rebuild", "monitoring")).err
    assert (await praktika("rebuild", "monitoring", "--abandon")).code == 0
    assert "going on" not in (await praktika("rebuild", "monitoring", "--accept")).err


async def test_while_events_come_in_all_are_counted_once(kafka: str, mongodb: str, tmp_path: Path):
    async with network(certification.core, kafka, mongodb, tmp_path) as stack:
        await filled(stack)
        praktika, going_on, sent = Praktika(stack.settings), [True], 0

        async def send() -> None:
            nonlocal sent
            while going_on:
                await stack.publish(*load([f"m{sent}"]))
                sent += 1

        sending = asyncio.create_task(send())
        done = await praktika("rebuild", "certification")
        assert done.code == 0, done.out + done.err
        await moved_to(stack, "_beside")
        going_on.clear()
        await sending
        await settled(stack)
        certified = await stack.service.db["learners"].count_documents({"certificates": {"$size": 1}})
        assert certified == 29 + sent
        assert (await praktika("rebuild", "certification", "--drop-old")).code == 0
        assert (await praktika("rebuild", "certification")).code == 0


async def test_an_api_and_workers_of_their_own_go_over_to_the_rebuilt_one(kafka: str, mongodb: str, tmp_path: Path):
    async with network(monitoring.core, kafka, mongodb, tmp_path, role="api") as api:
        settings = {"role": "worker", "namespace": api.settings.namespace}
        async with network(monitoring.core, kafka, mongodb, tmp_path, **settings) as worker:
            await filled(worker)
            before = (await api.client.get("/indicators/status_response_rate")).json()
            await api.service.db[COUNTERS].update_many({"m.graduates": {"$gt": 0}}, {"$inc": {"m.graduates": 5}})
            assert (await Praktika(api.settings)("rebuild", "monitoring", "--accept")).code == 0
            await moved_to(api, "_beside")
            await moved_to(worker, "_beside")
            after = (await api.client.get("/indicators/status_response_rate")).json()
            assert after["denominator"] == before["denominator"] == 29


async def test_what_was_never_published_is_named_and_published_on_request(kafka: str, mongodb: str, tmp_path: Path):
    silent = replace(feedback.core, react=lambda *_: [])
    async with network(silent, kafka, mongodb, tmp_path) as stack:
        await filled(stack, learners=5)
        praktika = Praktika(stack.settings)
        done = await praktika("rebuild", "feedback", "--json")
        assert (done.code, done.json["swapped"], len(done.json["missing"])) == (1, False, 8)
        assert {missing["topic"] for missing in done.json["missing"]} == {"feedback"}
        assert await stack.count("feedback") == 0
        text = await praktika("rebuild", "feedback")
        assert "8 records that should be in the log are not" in text.out
        published = await praktika("rebuild", "feedback", "--publish", "--accept")
        assert published.code == 0
        await moved_to(stack, "_beside")
        await settled(stack)
        assert await stack.count("feedback") == 8
        assert await stack.service.db["requests"].count_documents({}) == 8
        assert (await praktika("rebuild", "feedback", "--drop-old")).code == 0
        again = await praktika("rebuild", "feedback", "--json")
        assert (again.code, again.json["missing"]) == (0, [])


async def test_what_present_rules_cannot_process_is_named(stack: Running, monkeypatch: pytest.MonkeyPatch):
    def refuse(cloudevent: Any) -> Any:
        if cloudevent.partitionkey == "l5":
            raise RuntimeError("a new rule")
        return monitoring.core.route(cloudevent)

    monkeypatch.setattr(command, "core", lambda _: replace(monitoring.core, route=refuse))
    done = await Praktika(stack.settings)("rebuild", "monitoring", "--json")
    assert done.code == 1
    assert [missing["topic"] for missing in done.json["missing"]] == ["dead-letter.monitoring"] * 4
    assert any(difference["what"].startswith("learners l5") for difference in done.json["differences"])


async def test_a_second_rebuild_at_the_same_time_gives_way(stack: Running, monkeypatch: pytest.MonkeyPatch):
    take, calls = rebuild.Rebuild._take, iter(range(2))

    async def overtaken(self: rebuild.Rebuild, records: Any) -> None:
        if next(calls, None) is None:
            await self._dbs.other[POSITIONS].update_many({}, {"$inc": {"next": 1}})
        await take(self, records)

    monkeypatch.setattr(rebuild, "AT_ONCE", 10)
    monkeypatch.setattr(rebuild.Rebuild, "_take", overtaken)
    done = await Praktika(stack.settings)("rebuild", "monitoring")
    assert (done.code, "another rebuild of monitoring is under way" in done.err) == (1, True)


async def test_what_only_the_home_has_outlives_every_swap(kafka: str, mongodb: str, tmp_path: Path):
    async with network(partners.core, kafka, mongodb, tmp_path) as stack:
        await filled(stack, learners=3)
        praktika, home = Praktika(stack.settings), stack.service.store.home
        made = await issue(home, "uni", Publisher.institution)
        for name in ("members", "sessions", "uploads", "anything"):
            await home[name].insert_one({"_id": "kept"})
        await home[WEBHOOKS].insert_one({"_id": "w"})
        for options in ([], ["--drop-old"], [], ["--drop-old"]):
            assert (await praktika("rebuild", "partners", *options)).code == 0
            await moved_to(stack, (await mongo.live(home)).name)
            form = {name: made[name] for name in ("client_id", "client_secret")} | {"grant_type": "client_credentials"}
            assert (await stack.client.post("/token", data=form)).status_code == 200, options
            assert await home[WEBHOOKS].find_one() == {"_id": "w"}, options
            for name in ("members", "sessions", "uploads", "anything"):
                assert await home[name].find_one({"_id": "kept"}), (options, name)
            made = await issue(home, "uni", Publisher.institution)


async def test_a_log_that_holds_less_than_is_applied_is_refused(stack: Running):
    runner = stack.service.runner
    assert runner is not None
    await runner.stop()
    await stack.service.db[POSITIONS].update_one({"_id": "learner-5"}, {"$set": {"next": 10**6}})
    done = await Praktika(stack.settings)("rebuild", "monitoring")
    assert (done.code, "but 1000000 records of it are applied" in done.err) == (1, True)
    assert (await mongo.live(stack.service.store.home)).name == stack.service.store.home.name


async def test_wrong_use_and_missing_servers_have_their_own_exit_codes(stack: Running, unanswering: dict[str, str]):
    praktika = Praktika(stack.settings)
    for wrong in (["sales"], ["monitoring", "--back", "--drop-old"], ["monitoring", "--back", "--accept"], []):
        assert (await praktika("rebuild", *wrong)).code == 2, wrong
    for name, address in unanswering.items():
        done = await praktika("rebuild", "monitoring", **{name: address})
        assert (done.code, "hunter2" in done.err) == (3, False), name
