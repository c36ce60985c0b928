"""What monitoring does with records that are no events, and with a worker that is killed again and again."""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.monitoring.app import core, router
from services.monitoring.audit import audit
from shared.contract.events import Data, Event, serialise
from shared.log.producer import Record
from shared.processing import mongo
from shared.processing.mongo import COUNTERS
from tests.processes import environment, worker
from tests.stack import Running, running, until

from .counting import graduated, interned, status

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def stack(kafka: str, mongodb: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path) as one:
        yield one


def learner_record(key: str, value: bytes, *headers: tuple[str, bytes]) -> Record:
    return Record("learner", key, value, headers)


async def test_what_is_no_event_is_dead_lettered_and_later_events_are_applied(stack: Running) -> None:
    good = serialise(graduated("ann"))
    unknown = json.dumps({**json.loads(good), "type": "praktika.learner.promoted.v1"}).encode()
    foreign = json.dumps({**json.loads(good), "type": "praktika.recognition.granted.v1"}).encode()
    bad = {
        "garbage": learner_record("ann", b"\x00\xffnot json"),
        "binary headers": learner_record("ann", b"{}", ("content-type", b"\xff\xfe\x00")),
        "wrong key": learner_record("ben", good),
        "unknown type": learner_record("ann", unknown),
        "another topic's type": learner_record("ann", foreign),
        "null value": Record("learner", "ann", None),  # type: ignore[arg-type]
    }
    await stack.publish(*bad.values())
    await stack.publish(graduated("ann"), status("ann", "employed"))
    await stack.applied()
    letters = await stack.read("dead-letter.monitoring")
    about = [json.loads(dict(letter.headers)["praktika-dead-letter"]) for letter in letters]
    assert len(letters) == len(bad)
    assert {(found["topic"], type(found["offset"])) for found in about} == {
        (f"{stack.settings.namespace}.learner", int)
    }
    assert {letter.value or b"" for letter in letters} == {record.value or b"" for record in bad.values()}
    value = (await stack.client.get("/indicators/status_response_rate")).json()
    assert value["n"] == "<5"


async def test_a_counter_that_was_tampered_with_is_found(stack: Running) -> None:
    await stack.publish(*(graduated(f"l{n}") for n in range(6)))
    await stack.applied()
    clean = await audit(stack.service.db)
    assert (clean.entities, clean.differences) == (6, [])
    await stack.service.db[COUNTERS].update_one({"kind": "programme"}, {"$inc": {"m.graduates": 1}})
    (difference,) = (await audit(stack.service.db)).differences
    assert "programme welding 2024-06 graduates: stored" in difference
    await stack.service.db[COUNTERS].update_one({"kind": "programme/total"}, {"$inc": {"m.graduates": 1}})
    of_one, of_all = (await audit(stack.service.db)).differences
    assert (of_one, "programme/total  2024-06 graduates: stored" in of_all) == (difference, True)
    await stack.service.db[COUNTERS].delete_many({})
    assert (await audit(stack.service.db)).differences


async def publish(stack: Running, load: list[Event[Data]]) -> None:
    for start in range(0, len(load), 500):
        await stack.service.publish(*load[start : start + 500])


async def test_the_audit_is_clean_while_a_worker_writes(stack: Running) -> None:
    people = [f"l{n}" for n in range(1500)]
    load = [said for who in people for said in (graduated(who), interned(who), status(who, "employed"))]
    writing = asyncio.create_task(publish(stack, load))
    seen = set()
    async with asyncio.timeout(120):
        while not writing.done() or len(seen) < 2:
            found = await audit(stack.service.db)
            assert found.differences == []
            seen.add(found.entities)
    await writing
    await stack.applied()
    assert (await audit(stack.service.db)).entities == len(people)


# kill -9


async def position(stack: Running) -> int:
    return sum(found.next_offset for found in (await mongo.positions(stack.service.db)).values())


async def test_a_worker_killed_in_the_middle_of_the_load_loses_and_doubles_nothing(
    kafka: str, mongodb: str, tmp_path: Path
) -> None:
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path, role="api") as stack:
        chosen = random.Random(7)  # noqa: S311
        outcome = {f"l{n}": chosen.choice(["employed", "seeking", "studying"]) for n in range(2000)}
        load = [said for who, what in outcome.items() for said in (graduated(who), interned(who), status(who, what))]
        chosen.shuffle(load)
        await publish(stack, [*load, *load[:500]])
        for part in (0.1, 0.25, 0.4):
            with worker(stack, "monitoring"):
                goal = int(part * len(load))

                async def in_the_middle(goal: int = goal) -> bool:
                    return await position(stack) > goal

                await until(in_the_middle, 60)
        assert await position(stack) < len(load) + 500, "the last kill came after the load"
        with worker(stack, "monitoring"):
            await stack.applied(60)
        answer = (await stack.client.get("/indicators/employment_rate")).json()
        assert answer["numerator"] == sum(what == "employed" for what in outcome.values())
        assert answer["denominator"] == len(outcome)
        hours = (await stack.client.get("/indicators/workplace_hours_per_learner")).json()
        assert (hours["numerator"], hours["denominator"]) == (80 * len(outcome), len(outcome))
        command = [sys.executable, "-m", "deploy.praktika", "audit"]
        audited = await asyncio.to_thread(
            subprocess.run, command, cwd=ROOT, env=environment(stack), capture_output=True, text=True, check=False
        )
        assert (audited.returncode, audited.stdout.startswith("audit: ")) == (0, True), audited.stdout
        assert audited.stdout.endswith(f"of {len(outcome)} entities equal\n")
