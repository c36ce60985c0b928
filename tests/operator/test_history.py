"""praktika history: what is exported and imported again is the same log, and gives the same numbers."""

import asyncio
import gzip
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
import zstandard
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from services.monitoring.app import core, router
from shared.contract.events import (
    EmploymentRecorded,
    LearnerEnrolled,
    LearnerErased,
    LearnerGraduated,
    serialise,
)
from shared.log import reads
from shared.log.raw import Raw, Span, reader, writer
from shared.log.topics import ensure_topics
from shared.operator import history
from shared.operator.history import HELD
from shared.processing import mongo
from shared.processing.mongo import COUNTERS
from shared.settings import Settings
from tests.making import NOON, event
from tests.operator.conftest import Praktika
from tests.stack import Running, delete_topics, running, until

ODD = [
    Raw("learner", b"l1", None),
    Raw("learner", b"\xff\x00", b"\xff\x00 no text\r\n\x1b[2J", [("binary", b"\xff\xfe"), ("empty", b"")]),
    Raw("learner", None, b"no key", ()),
    Raw("learner", b"l1", b'{\n"pretty": "json"}'),
    Raw("learner", b"l1", b'{"specversion": "1.0", "id": "1", "source": "s", "type": "t", "kafkatopic": "mine"}'),
    Raw(
        "learner",
        b"l1",
        b'{"specversion":"1.0", "id":"1","id":"2", "source":"s", "type":"t", "x":1.10e2, "\\u00e9":"\xc3\xa9"}',
    ),
    Raw("learner", b"l1", b"[]"),
    Raw("learner", b"l1", b"{}"),
    Raw("demand", b"x", b'{"a": NaN}', (), 2),
]


class Log(NamedTuple):
    """A network's log, perhaps with a service that runs on it."""

    settings: Settings
    praktika: Praktika

    async def records(self) -> list[tuple[Any, ...]]:
        """All that is there, but for the times and the namespace."""
        async with reader(self.settings) as topics:
            return [
                (r.topic.partition(".")[2], r.partition, r.offset, r.key, r.value, r.headers)
                async for r in topics.read(await topics.spans(HELD))
            ]


@pytest.fixture
async def monitoring(kafka: str, mongodb: str, tmp_path: Path) -> AsyncIterator[Running]:
    """The service on a log of learners with duplicates, an erasure, and records that are no events."""
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path) as stack:
        load = []
        for n in range(60):
            graduated = LearnerGraduated(programme=f"p{n % 3}", graduated_on=NOON.date())
            load += [event(LearnerEnrolled(programme=f"p{n % 3}"), f"l{n}"), event(graduated, f"l{n}")]
            load += [event(EmploymentRecorded(status="employed"), f"job{n}", f"l{n}", by="enterprise:plant")]
        await stack.publish(*load, *load[:20], event(LearnerErased(), "l7"))
        async with writer(stack.settings) as into:
            await into.write(ODD)
            await into.write([Raw("rejected", b"uni", b'{"organisation": "uni"}')])
        await stack.applied()
        yield stack


@pytest.fixture
def source(monitoring: Running) -> Log:
    return Log(monitoring.settings, Praktika(monitoring.settings))


@pytest.fixture
async def empty(kafka: str, mongodb: str, tmp_path: Path) -> AsyncIterator[Log]:
    """An empty log that is set up."""
    name = f"t{uuid4().hex[:12]}"
    settings = Settings(kafka_bootstrap_servers=kafka, mongodb_uri=mongodb, keys_dir=tmp_path / "keys", namespace=name)
    topics = await ensure_topics(settings)

    async def known() -> bool:
        async with reader(settings) as log:
            return {tp.topic for tp in await log.spans(HELD)} == set(topics)

    await until(known)
    yield Log(settings, Praktika(settings))
    await delete_topics(settings)


async def contents(db: mongo.Database) -> dict[str, list[dict[str, Any]]]:
    """Every counter (that is not zero) and every entity of a database."""
    names = [name for name in await db.list_collection_names() if name == COUNTERS or not name.startswith("_")]
    found = {name: await db[name].find().sort("_id").to_list(None) for name in sorted(names)}
    for doc in found[COUNTERS]:
        doc["m"] = {measure: number for measure, number in doc["m"].items() if number}
    for learner in found.get("learners", ()):  # when the log took an event is the log's own, and this is another log
        for fact in learner["state"]["facts"].get("learner.graduated", {}).values():
            fact.pop("logged", None)
    return found | {COUNTERS: [doc for doc in found[COUNTERS] if doc["m"]]}


@pytest.mark.parametrize("name", ["history.jsonl.zst", "history.jsonl.gz"])
async def test_an_import_gives_the_same_log_and_the_same_numbers(
    source: Log, monitoring: Running, empty: Log, tmp_path: Path, name: str
):
    file = str(tmp_path / name)
    done = await source.praktika("history", "export", file, "--json")
    assert done.code == 0, done.err
    assert (await empty.praktika("history", "import", file)).code == 0
    records = await empty.records()
    assert records == await source.records()
    assert len(records) == done.json["records"] > 200
    async with running(
        core, router, kafka=empty.settings.kafka_bootstrap_servers, mongodb=empty.settings.mongodb_uri,
        keys_dir=tmp_path, namespace=empty.settings.namespace,
    ) as again:  # fmt: skip
        await again.applied()
        before, after = await contents(monitoring.service.db), await contents(again.service.db)
        assert len(before[COUNTERS]) > 10
        assert before == after
        assert (await empty.praktika("audit")).code == 0


async def test_an_export_is_lines_of_cloudevents_that_anyone_can_read(source: Log, tmp_path: Path):
    file = tmp_path / "history.jsonl.gz"
    assert (await source.praktika("history", "export", str(file))).code == 0
    assert file.stat().st_mode & 0o077 == 0
    events = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert all(e["specversion"] == "1.0" and e["id"] and e["source"] and e["type"] for e in events)
    assert {e["type"] for e in events} >= {"praktika.learner.enrolled.v1", "praktika.record.v1"}
    by_partition: dict[tuple[str, int], list[int]] = {}
    for e in events[1:-1]:
        by_partition.setdefault((e["kafkatopic"], e["kafkapartition"]), []).append(int(e["kafkaoffset"]))
    assert all(offsets == list(range(len(offsets))) for offsets in by_partition.values())


async def test_an_import_that_is_repeated_writes_nothing(source: Log, empty: Log, tmp_path: Path):
    file = str(tmp_path / "history.jsonl.zst")
    assert (await source.praktika("history", "export", file)).code == 0
    first = (await empty.praktika("history", "import", file, "--json")).json
    again = (await empty.praktika("history", "import", file, "--json")).json
    assert (again["written"], again["there"], again["moved"]) == (0, first["written"], 0)


async def test_an_import_that_was_stopped_goes_on_where_it_was(empty: Log, kafka: str, mongodb: str, tmp_path: Path):
    file = tmp_path / "history.jsonl.gz"
    lines = await big_history(file)
    settings = empty.settings

    log = reads.Log(settings)  # asks within a millisecond: the import takes a second

    async def under_way() -> None:
        async with asyncio.timeout(180):
            while not any((await log.ends("learner")).values()):
                await asyncio.sleep(0.001)

    done = await empty.praktika.interrupted("history", "import", str(file), when=under_way)
    assert (done.code, "goes on where it was" in done.err) == (130, True), done.err
    await log.close()
    there = len(await empty.records())
    assert 0 < there < lines
    finished = await empty.praktika("history", "import", str(file), "--json")
    assert finished.code == 0, finished.err
    assert finished.json["written"] + finished.json["there"] == lines == len(await empty.records())


async def big_history(file: Path) -> int:
    """Write a history of many records; return how many."""
    value, number = serialise(event(LearnerEnrolled(programme="p"), "l1")), 200_000

    async def records() -> AsyncIterator[Any]:
        for offset in range(number):
            yield ConsumerRecord("t.learner", 5, offset, 0, 0, b"l1", value, None, 0, 0, ())

    spans = {TopicPartition("t.learner", partition): Span(0, 0) for partition in range(12)}
    with file.open("wb") as raw, history.opened_to_write(raw, file.name) as into:
        return await history.export(records(), spans, into)


async def test_a_log_that_holds_something_else_is_refused(source: Log, empty: Log, tmp_path: Path):
    file = str(tmp_path / "history.jsonl.zst")
    assert (await source.praktika("history", "export", file)).code == 0
    async with writer(empty.settings) as into:
        await into.write([Raw("learner", b"l1", b"something else", (), n) for n in range(12)])
    done = await empty.praktika("history", "import", file)
    assert (done.code, "is another record than the file's" in done.err) == (1, True)
    assert len(await empty.records()) < 20


async def test_a_log_on_which_a_service_runs_is_refused(source: Log, tmp_path: Path):
    file = str(tmp_path / "history.jsonl.zst")
    assert (await source.praktika("history", "export", file)).code == 0
    done = await source.praktika("history", "import", file)
    assert (done.code, "stop the services first (monitoring run)" in done.err) == (1, True)


async def test_a_log_that_is_not_set_up_is_refused(source: Log, tmp_path: Path):
    file = str(tmp_path / "history.jsonl.zst")
    assert (await source.praktika("history", "export", file)).code == 0
    done = await source.praktika("history", "import", file, PRAKTIKA_NAMESPACE="nowhere")
    assert (done.code, "is the set-up done?" in done.err) == (1, True)
    assert (await source.praktika("history", "export", file, PRAKTIKA_NAMESPACE="nowhere")).code == 1


async def test_gaps_in_the_offsets_are_told_of(empty: Log, kafka: str, mongodb: str, tmp_path: Path):
    name = f"t{uuid4().hex[:12]}"
    gappy = Settings(kafka_bootstrap_servers=kafka, mongodb_uri=mongodb, keys_dir=tmp_path, namespace=name)
    await ensure_topics(gappy)
    value = serialise(event(LearnerEnrolled(programme="p"), "l1"))
    async with AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=name) as producer:
        for _ in range(3):
            async with producer.transaction():
                await producer.send(f"{name}.learner", value, key=b"l1", partition=5)

    async def committed() -> bool:  # Kafka answers before a commit's mark is in the log
        async with reader(gappy) as topics:
            return sum(end for _, end in (await topics.spans(["learner"])).values()) == 6

    await until(committed)
    file = str(tmp_path / "history.jsonl.zst")
    assert (await Praktika(gappy)("history", "export", file)).code == 0
    for times in ("the first time", "again"):
        done = await empty.praktika("history", "import", file, "--json")
        assert (done.code, done.json["moved"]) == (0, 2), times
    assert [record[2] for record in await empty.records()] == [0, 1, 2]
    await delete_topics(gappy)


@pytest.mark.parametrize("name", ["history.jsonl.zst", "history.jsonl.gz"])
async def test_a_damaged_file_is_refused_before_anything_is_written(source: Log, empty: Log, tmp_path: Path, name: str):
    file, damaged = tmp_path / name, tmp_path / "damaged"
    assert (await source.praktika("history", "export", str(file))).code == 0
    whole = file.read_bytes()
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(whole) if ".zst" in name else gzip.decompress(whole)
    lines = plain.splitlines(keepends=True)
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    cases = {
        "cut": whole[: len(whole) // 2],
        "two in one": whole + whole,
        "without its last line": gzip.compress(b"".join(lines[:-1])),
        "without a record": gzip.compress(b"".join([*lines[:5], *lines[6:]])),
        "a bit changed": bytes(changed),
        "without its first line": b"".join(lines[1:]),
        "of a later format": plain.replace(b'"format": 1', b'"format": 2', 1),
        "empty": b"",
        "something else": b"\x00\x01 picture",
    }
    for case, content in cases.items():
        damaged.write_bytes(content)
        done = await empty.praktika("history", "import", str(damaged))
        assert (done.code, "the file" in done.err) == (1, True), (case, done.err)
    assert await empty.records() == []
    damaged.write_bytes(plain)
    assert (await empty.praktika("history", "import", str(damaged))).code == 0


async def test_an_export_that_is_stopped_leaves_no_file(source: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def stopped(_: Any) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(history, "line_of", stopped)
    done = await source.praktika("history", "export", str(tmp_path / "history.jsonl.zst"))
    assert done.code == 130
    assert not [name for name in os.listdir(tmp_path) if "history" in name]


async def test_wrong_use_and_a_missing_server_have_their_own_exit_codes(
    empty: Log, tmp_path: Path, unanswering: dict[str, str]
):
    file = str(tmp_path / "history.jsonl.zst")
    assert (await empty.praktika("history", "export", str(tmp_path / "history.zip"))).code == 2
    assert (await empty.praktika("history", "export", "-", "--json")).code == 2
    assert (await empty.praktika("history", "import", str(tmp_path / "missing"))).code == 2
    assert (await empty.praktika("history", "export", file, **unanswering)).code == 3
    assert "history.jsonl.zst" not in os.listdir(tmp_path)
    assert (await empty.praktika("history", "export", file)).code == 0
    assert (await empty.praktika("history", "import", file, **unanswering)).code == 3


events = st.fixed_dictionaries(
    {name: st.text(min_size=1) for name in ("specversion", "id", "source", "type")},
    optional={"data": st.recursive(st.none() | st.floats() | st.text(), st.lists), "kafkabytes": st.integers()},
)
values = (
    st.none()
    | st.binary()
    | st.builds(lambda e: json.dumps(e, ensure_ascii=False).encode("utf-8", "surrogatepass"), events)
)


@given(st.none() | st.binary(), values, st.lists(st.tuples(st.text(), st.none() | st.binary())))
def test_a_line_holds_any_record_exactly(key: bytes | None, value: bytes | None, headers: list[Any]):
    record: Any = ConsumerRecord("t.learner", 3, 2**40, 0, 0, key, value, None, 0, 0, tuple(headers))
    line = history.line_of(record)
    assert b"\n" not in line
    assert history.entry_of(line + b"\n") == (Raw("learner", key, value, headers, 3), 2**40)
