"""Rule 2 on real Kafka and MongoDB, with a core of a few lines."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter

from shared.contract.events import (
    CompetencyRevoked,
    Data,
    Event,
    LearnerEnrolled,
    LearnerGraduated,
    derive,
    derived_id,
    serialise,
)
from shared.http.service import Service
from shared.log.producer import Record
from shared.log.topics import partition_of
from shared.processing import facts, mongo
from shared.processing.batches import BREATH
from shared.processing.core import Core
from shared.processing.facts import State
from shared.processing.mongo import Counts, Fenced, Key, Store, WriteSet
from shared.processing.runner import Runner
from tests.making import NOON, event
from tests.stack import Running, running, until


def route(event: Event[Data]) -> Key | None:
    if event.subject == "unroutable":
        raise RuntimeError("a defect")
    return Key("learners", event.partitionkey)


def react(key: Key, state: State, _: Any) -> list[Event[Data]]:
    """One derived event per graduate: enough to see what is published when."""
    if not facts.facts(state, "learner.graduated") or facts.facts(state, "competency.revoked"):
        return []
    id = derived_id(key.id)
    return [derive("feedback", CompetencyRevoked(reason="test"), id=id, subject=id, key=key.id, time=NOON)]


def contributions(_: Key, state: State) -> Counts:
    return {("network", "all", "2026-03", "enrolled"): len(facts.facts(state, "learner.enrolled"))}


core = Core(
    name="feedback",
    topics=("learner",),
    indexes={"learners": []},
    route=route,
    react=react,
    contributions=contributions,
)
GRADUATED = LearnerGraduated(programme="p", graduated_on=NOON.date())


@pytest.fixture(scope="module")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
async def stack(kafka: str, mongodb: str, keys_dir: Path) -> AsyncIterator[Running]:
    async with running(core, APIRouter(), kafka=kafka, mongodb=mongodb, keys_dir=keys_dir) as one:
        yield one


def enrolled(learner: str, **given: Any) -> Event[Data]:
    return event(LearnerEnrolled(programme="p"), learner, **given)


def raw(key: str | None, value: bytes | None, **headers: bytes) -> Record:
    return Record("learner", key, value, list(headers.items()))  # type: ignore[arg-type]


async def count(stack: Running) -> int:
    return (await mongo.sums(stack.service.db, {"kind": "network"}, ())).get((), {}).get("enrolled", 0)


async def dead_letters(stack: Running) -> list[dict[str, Any]]:
    records = await stack.read("dead-letter.feedback")
    return [dict(r.headers) | {"value": r.value} | json.loads(dict(r.headers)["praktika-dead-letter"]) for r in records]


async def test_duplicates_and_replays_count_once(stack: Running):
    events = [enrolled(f"l{i}", id=f"e{i}") for i in range(50)]
    await stack.publish(*events, *events[::-1], *events)
    await stack.applied()
    assert await count(stack) == 50


async def test_bad_records_become_dead_letters_with_position_and_the_rest_goes_on(stack: Running):
    good = serialise(enrolled("l1"))
    other_topic = serialise(enrolled("l1")).replace(b"learner.enrolled", b"organisation.reinstated")
    bad: dict[str, Record] = {
        "garbage": raw("l1", b"\x00\xffnot json", bin=b"\xff\xfe"),
        "null": raw("l1", b"null"),
        "wrong key": raw("l2", good),
        "no key": raw("", good),
        "unknown type": raw("l1", good.replace(b"enrolled", b"promoted")),
        "other topic": raw("l1", other_topic.replace(b'{"programme":"p"}', b"{}")),
        "defect": Record("learner", "l3", serialise(event(LearnerEnrolled(programme="p"), "l3")), ()),
    }
    bad["defect"] = Record(
        "learner", "l3", bad["defect"].value.replace(b'"subject":"l3"', b'"subject":"unroutable"'), ()
    )
    for record in bad.values():
        await stack.publish(record)
    await stack.publish(raw("l4", serialise(enrolled("l4")), binary=b"\xff\x00\xfe", **{"reply_to": b"elsewhere"}))
    await stack.publish(enrolled("l1"), enrolled("l5"))
    await stack.applied()
    assert await count(stack) == 3
    letters = await until(lambda: dead_letters(stack))
    assert len(letters) == len(bad)
    published = {(r.partition, r.offset): r for r in await stack.read("learner")}
    for letter in letters:
        original = published[letter["partition"], letter["offset"]]
        assert letter["value"] == original.value
        assert letter["original-key"] == original.key
        assert letter["topic"].endswith(".learner")
        assert letter["reason"]
    assert {letter["original-bin"] for letter in letters if "original-bin" in letter} == {b"\xff\xfe"}


async def test_a_record_without_value_is_a_dead_letter(stack: Running):
    producer = await stack.service.producer._started()
    await producer.send_and_wait(f"{stack.settings.namespace}.learner", None, key=b"l1")
    await stack.publish(enrolled("l1"))
    await stack.applied()
    (letter,) = await dead_letters(stack)
    assert letter["bytes"] is None
    assert await count(stack) == 1


async def test_an_entity_with_too_many_facts_is_left_as_it_is(stack: Running, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(facts, "MAX_FACTS", 3)
    programmes = [event(LearnerEnrolled(programme=f"p{i}"), "l1") for i in range(5)]
    await stack.publish(*programmes)
    await stack.applied()
    assert await count(stack) == 3
    assert {letter["cause"] for letter in await dead_letters(stack)} == {"TooManyFacts"}


async def test_an_entity_stays_small_whatever_is_sent(stack: Running, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(facts, "MAX_BYTES", 1_000)
    await stack.publish(*[event(LearnerEnrolled(programme=f"p{i}"), "l1") for i in range(9)], enrolled("l2"))
    await stack.applied()
    doc = await stack.service.db["learners"].find_one({"_id": "l1"})
    assert doc is not None
    assert doc["state"]["bytes"] <= 1_000
    assert {letter["cause"] for letter in await dead_letters(stack)} == {"TooManyFacts"}
    assert await stack.service.db["learners"].find_one({"_id": "l2"})


async def test_a_record_on_the_wrong_partition_is_a_dead_letter(stack: Running):
    topic, key = f"{stack.settings.namespace}.learner", b"l1"
    wrong = (partition_of(key, 12) + 1) % 12
    producer = await stack.service.producer._started()
    await producer.send_and_wait(topic, serialise(enrolled("l1")), key=key, partition=wrong)
    await stack.publish(enrolled("l1"))
    await stack.applied()
    (letter,) = await dead_letters(stack)
    assert letter["partition"] == wrong
    assert await count(stack) == 1


async def test_lag_and_readiness_tell_the_truth_while_nothing_can_be_written(
    stack: Running, monkeypatch: pytest.MonkeyPatch
):
    write, broken = Store.write, [True]

    async def failing(self: Store, batch: WriteSet) -> None:
        if broken:
            raise mongo.DatabaseError("learner l7 did not fit")
        await write(self, batch)

    monkeypatch.setattr(Store, "write", failing)
    await stack.publish(*[enrolled(f"l{i}") for i in range(10)])

    async def lag() -> bool:
        text = (await stack.client.get("/metrics")).text
        lines = [
            ln for ln in text.splitlines() if ln.startswith("praktika_lag_events{") and stack.settings.namespace in ln
        ]
        return sum(float(line.split()[-1]) for line in lines) == 10

    await until(lag)

    async def not_ready() -> Any:
        answer = await stack.client.get("/health/ready")
        return answer if answer.status_code == 503 else None

    answer = await until(not_ready)
    assert "l7" not in answer.text
    for _ in range(20):  # and stays so, for all the ticks and attempts meanwhile
        assert (await stack.client.get("/health/ready")).status_code == 503
        await asyncio.sleep(stack.settings.tick_s / 4)
    broken.clear()
    await stack.applied()
    assert await count(stack) == 10


@pytest.mark.parametrize(("role", "works"), [("all", True), ("worker", True), ("api", False)])
async def test_what_only_answers_requests_does_nothing_beside_it(
    kafka: str, mongodb: str, keys_dir: Path, role: str, works: bool
):
    begun = asyncio.Event()

    async def work(_: Service) -> None:
        begun.set()
        await asyncio.Event().wait()

    servers = {"kafka": kafka, "mongodb": mongodb, "keys_dir": keys_dir}
    async with running(core, APIRouter(), **servers, role=role, work=[work]) as stack:  # type: ignore[arg-type]
        assert (await stack.client.get("/health/ready")).status_code in (200, 503)  # by then all has begun
        assert begun.is_set() is works


async def test_thousands_of_events_of_one_entity_do_not_stop_everything_else(kafka: str, mongodb: str, keys_dir: Path):
    reacted = most = 0

    def counted(key: Key, state: State, context: Any) -> list[Event[Data]]:
        nonlocal reacted
        reacted += 1
        return react(key, state, context)

    async def look() -> None:
        nonlocal most
        while True:
            before = reacted
            await asyncio.sleep(0)
            most = max(most, reacted - before)

    own = replace(core, react=counted)
    async with running(own, APIRouter(), kafka=kafka, mongodb=mongodb, keys_dir=keys_dir) as stack:
        looking = asyncio.create_task(look())
        await stack.publish(*[enrolled("l1") for _ in range(2_000)])
        await stack.applied()
        looking.cancel()
    assert reacted >= 2_000
    assert most <= BREATH


async def test_what_follows_is_published_once_and_taken_in(stack: Running):
    graduated = [event(GRADUATED, f"l{i}") for i in range(20)]
    await stack.publish(*graduated, *graduated)
    await stack.applied()
    await stack.applied()
    derived = [json.loads(r.value)["id"] for r in await stack.read("learner") if b"/services/feedback" in r.value]
    assert len(derived) == len(set(derived)) == 20


async def test_a_crash_between_publishing_and_writing_repeats_the_same_event(
    stack: Running, monkeypatch: pytest.MonkeyPatch
):
    write, crashes = Store.write, iter([True])

    async def crashing(self: Store, batch: WriteSet) -> None:
        if batch.states and next(crashes, False):
            raise mongo.DatabaseError("the process is gone here")
        await write(self, batch)

    monkeypatch.setattr(Store, "write", crashing)
    await stack.publish(event(GRADUATED, "l1"))
    await stack.applied()
    derived = [r.value for r in await stack.read("learner") if b"/services/feedback" in r.value]
    assert len(derived) == 2
    assert len(set(derived)) == 1


async def test_an_owner_whose_position_moved_is_fenced_and_writes_nothing(stack: Running):
    await stack.publish(enrolled("l1"))
    await stack.applied()
    store = Store(stack.service.db)
    state = facts.apply(facts.empty(), enrolled("zombie"))
    label, next_offset = next(
        (label, p.next_offset) for label, p in (await mongo.positions(store.db)).items() if p.next_offset
    )
    stale = WriteSet(
        {Key("learners", "zombie"): (label, state, {})}, {}, {label: (next_offset - 1, next_offset + 9, 0)}
    )
    with pytest.raises(Fenced):
        await store.write(stale)
    assert await store.db["learners"].find_one({"_id": "zombie"}) is None


async def test_workers_that_come_and_go_count_each_event_once(kafka: str, mongodb: str, keys_dir: Path):
    async with AsyncExitStack() as workers:
        first = await workers.enter_async_context(
            running(core, APIRouter(), kafka=kafka, mongodb=mongodb, keys_dir=keys_dir)
        )
        events = [enrolled(f"l{i}") for i in range(3_000)]

        async def load() -> None:
            for start in range(0, len(events), 100):
                await first.publish(*events[start : start + 100], *events[start : start + 20])

        async def come_and_go() -> None:
            for _ in range(3):
                runner = another_worker(first)
                runner.start()
                await until(lambda runner=runner: _is_ready(runner))
                await runner.stop()

        await asyncio.gather(load(), come_and_go())
        await first.applied(60)
        assert await count(first) == len(events)


def another_worker(stack: Running) -> Runner:
    """Another worker of the same service, as a second container would be."""
    return Runner(core, stack.settings, Store(stack.service.db), stack.service.producer, stack.service.log)


async def _is_ready(runner: Runner) -> bool:
    return runner.trouble is None


async def test_a_spare_worker_without_partitions_is_ready_and_stays_so(stack: Running, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shared.processing.runner.STUCK_S", 0.3)
    workers = [another_worker(stack) for _ in range(12)]
    for worker in workers:
        worker.start()

    def everyone() -> list[Runner]:
        return [runner for runner in (stack.service.runner, *workers) if runner]

    async def shared_out() -> bool:
        return sorted(len(runner._batches.positions) for runner in everyone()) == [0, *[1] * 12]

    await until(shared_out, 60)
    (spare,) = (runner for runner in everyone() if not runner._batches.positions)

    async def has_been_idle() -> bool:
        return spare._stuck_s() > 0.6

    await until(has_been_idle)
    assert spare.trouble is None
    for worker in workers:
        await worker.stop()


async def test_a_worker_that_lost_its_partitions_commits_nothing(stack: Running, monkeypatch: pytest.MonkeyPatch):
    await stack.publish(enrolled("ann"))
    await stack.applied()
    worker = another_worker(stack)
    worker.start()

    async def has_joined() -> bool:
        return worker._joined

    await until(has_joined)
    with monkeypatch.context() as patched:
        patched.setattr(worker._client, "assignment", frozenset)
        patched.setattr(worker._batches, "applied", {"learner-0": 1})
        await worker._commit()
    assert worker._committed == {}
    await worker.stop()


async def test_a_database_that_was_dropped_is_rebuilt_from_the_log(stack: Running):
    await stack.publish(*[enrolled(f"l{i}") for i in range(100)])
    await stack.applied()
    runner = stack.service.runner
    assert runner is not None
    await runner.stop()
    await stack.service.db.client.drop_database(stack.service.db.name)
    await mongo.ensure_indexes(stack.service.db, core.indexes)
    again = another_worker(stack)
    again.start()
    await stack.applied()
    await again.stop()
    assert await count(stack) == 100


async def test_readiness_says_why(stack: Running):
    await until(lambda: _ready(stack))
    answer = await stack.client.get("/metrics")
    assert "praktika_lag_events" in answer.text
    assert (await stack.client.get("/health/live")).status_code == 200


async def _ready(stack: Running) -> bool:
    return (await stack.client.get("/health/ready")).status_code == 200
