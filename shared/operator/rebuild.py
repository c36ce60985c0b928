"""Rebuilds a service's database from the log, beside the one in use: replay, compare, swap at once.

A service has up to two databases: its home, which its name leads to, and one beside it. A document in the home says
which is in use and whether the former is kept. What is not in the log (credentials) stays in the home, whatever is
swapped. The replay publishes nothing, and never goes beyond where the database in use stands: so all that follows from
what is replayed has been published by the service itself.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from pydantic_core import from_json

import shared
from shared.contract.events import TOPICS, EventRefused
from shared.log.consumer import ConsumerRecord
from shared.log.producer import Record
from shared.log.raw import Reader, Span, Spans
from shared.log.topics import partition_of, topic_name
from shared.operator import dead_letters
from shared.processing import mongo
from shared.processing.batches import Batches
from shared.processing.core import Core
from shared.processing.mongo import ABOUT, COUNTERS, LIVE, POSITIONS, Database, Find, Position, Store
from shared.processing.refusals import REJECTED

BUILDING = "_building"  # by which rules a database is being filled; once it is in use it is not being filled any more
CONCLUDED = "_concluded"  # what would have been published, until it is seen in the log
AT_ONCE = 2_000
SHOWN = 1_000  # differences that are kept to be shown
Advanced = Callable[[int], None]
Doc = dict[str, Any]


class NotRebuilt(Exception):
    """It cannot be rebuilt, or swapped, as things are; the text says why and what to do."""


class Databases(NamedTuple):
    """Which database is in use, which is (or would be) the other, and whether that is the former one, kept."""

    live: Database
    other: Database
    is_kept: bool

    @property
    def home(self) -> Database:
        return min(self.live, self.other, key=lambda db: len(db.name))


async def databases(home: Database) -> Databases:
    pointer = await home[LIVE].find_one({"_id": "live"}) or {}
    beside = home.client[home.name + "_beside"]
    is_kept = bool(pointer.get("former"))
    return (
        Databases(beside, home, is_kept) if pointer.get("database") == beside.name else Databases(home, beside, is_kept)
    )


async def swap(dbs: Databases) -> None:
    """Put the other database in use; the one in use becomes the former, and is kept."""
    pointer = dbs.home[LIVE]
    await pointer.update_one({"_id": "live"}, {"$setOnInsert": {"database": dbs.live.name}}, upsert=True)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    change = {"database": dbs.other.name, "former": dbs.live.name, "at": now}
    moved = await pointer.update_one({"_id": "live", "database": dbs.live.name}, {"$set": change})
    if not moved.matched_count:
        raise NotRebuilt("somebody else has swapped the databases meanwhile")
    await dbs.other[BUILDING].drop()


async def empty_other(dbs: Databases, core: Core) -> None:
    """Drop what the other database holds, be it the former one or one that is not complete.

    Of a home only what comes from the log: members, credentials and the like are nowhere else.
    """
    await dbs.home[LIVE].update_one({"_id": "live"}, {"$unset": {"former": ""}})
    if dbs.other.name != dbs.home.name:
        await dbs.other.client.drop_database(dbs.other.name)
        return
    for name in (*core.indexes, POSITIONS, COUNTERS, ABOUT, BUILDING, CONCLUDED):
        await dbs.other.drop_collection(name)


def rules(service: str) -> str:
    """A digest of the code that decides what a database holds: begun by other rules, a rebuild begins anew."""
    root = Path(shared.__path__[0])
    files = sorted([*root.rglob("*.py"), *(root.parent / "services" / service).rglob("*.py")])
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


class Difference(NamedTuple):
    """A field that is not equal, and what it is in the database in use and in the rebuilt one; None: not there."""

    what: str
    live: Any
    rebuilt: Any


class Compared(NamedTuple):
    """How many entities and counters were compared, how many of them differ, and the first differences."""

    entities: int = 0
    counters: int = 0
    different: int = 0
    differences: tuple[Difference, ...] = ()

    def plus(self, other: "Compared") -> "Compared":
        entities, counters = self.entities + other.entities, self.counters + other.counters
        shown = (*self.differences, *other.differences)[:SHOWN]
        return Compared(entities, counters, self.different + other.different, shown)


class Rebuild:
    """One service's database in the making."""

    def __init__(self, core: Core, dbs: Databases, reader: Reader, namespace: str) -> None:
        self._core, self._dbs, self._reader, self._namespace = core, dbs, reader, namespace
        self._spans: Spans = {}
        self._known: set[bytes] = set()  # keys of the dead letters that there are
        self._batches = Batches(core, Store(dbs.other), self._note, namespace, self._partitions)

    async def begin(self) -> bool:
        """Make the other database ready to go on; return whether it goes on with one that was begun."""
        digest = rules(self._core.name)
        begun = await self._dbs.other[BUILDING].find_one({"_id": "rules", "digest": digest})
        if not begun:
            await empty_other(self._dbs, self._core)
            await mongo.ensure_indexes(self._dbs.other, self._core.indexes, self._core.generation)
            await self._dbs.other[BUILDING].insert_one({"_id": "rules", "digest": digest})
        self._spans = await self._reader.spans(self._core.topics)
        await self._batches.load_positions(map(self._label, self._spans))
        self._known = await self._dead_letters()
        return bool(begun)

    async def aclose(self) -> None:
        """Let what is being written come to its end: it would hold up who goes on."""
        await self._batches.reset()

    @property
    def labels(self) -> list[str]:
        return [self._label(tp) for tp in self._spans]

    async def ahead(self) -> int:
        """How many records the database in use is ahead of the rebuilt one."""
        stands = await mongo.positions(self._dbs.live)
        return sum(max(0, at.next_offset - self._batches.positions.get(label, 0)) for label, at in stands.items())

    async def catch_up(self, advanced: Advanced = lambda _: None, to: dict[str, Position] | None = None) -> None:
        """Replay up to where the database in use stands (of some partitions: *to*).

        Topics are read in the order that the core names them: what the service concluded itself comes from its own
        topic before anything from another could bring it to conclude it in another way.
        Raises:
            NotRebuilt: the log holds less than is applied.
        """
        if to is None:
            to = await mongo.positions(self._dbs.live)
            self._spans = await self._reader.spans(self._core.topics)
            for tp, (_, end) in self._spans.items():
                if (at := to.get(self._label(tp))) and at.next_offset > end:
                    raise NotRebuilt(f"{self._label(tp)} ends at {end}, but {at.next_offset} records of it are applied")
        parts: Spans = {}
        for tp in self._spans:
            if at := to.get(self._label(tp)):
                parts[tp] = Span(self._batches.positions.get(self._label(tp), 0), at.next_offset)
        chunk: list[ConsumerRecord] = []
        async for record in self._reader.read(parts, advanced):
            chunk.append(record)
            if len(chunk) == AT_ONCE:
                await self._take(chunk)
                chunk = []
        await self._take(chunk)
        await self._batches.flush()

    async def _take(self, records: list[ConsumerRecord]) -> None:
        await self._batches.process(records)
        seen = [id for record in records if (id := self._concluded_id(record.value))]
        if seen:
            await self._dbs.other[CONCLUDED].delete_many({"_id": {"$in": seen}})

    def _concluded_id(self, value: bytes | None) -> str | None:
        """The id of an event that this service has published."""
        if f'"/services/{self._core.name}"'.encode() not in (value or b""):
            return None
        try:
            return str(from_json(value or b"")["id"])
        except (ValueError, KeyError, TypeError):
            return None

    def _label(self, tp: TopicPartition) -> str:
        return self._batches.partition_label(tp.topic, tp.partition)

    def _partitions(self, topic: str) -> int:
        return sum(tp.topic == topic for tp in self._spans)

    async def _note(self, records: Sequence[Record]) -> None:
        """Note what the service would publish, but for dead letters that there are, and refusals: they are history."""
        docs = []
        for record in records:
            if record.topic in (REJECTED, EventRefused.topic):
                continue
            if record.key.encode() not in self._known:
                id = self._concluded_id(record.value) if record.topic in TOPICS else record.key
                docs.append({"_id": id, **record._asdict(), "headers": [list(header) for header in record.headers]})
        for start in range(0, len(docs), 10):  # a dead letter may have a megabyte
            updates = [{"q": {"_id": doc["_id"]}, "u": doc, "upsert": True} for doc in docs[start : start + 10]]
            await self._dbs.other.command({"update": CONCLUDED, "updates": updates, "ordered": False})

    async def unpublished(self, advanced: Advanced = lambda _: None) -> list[Record]:
        """What should be in the log by the present rules, and is not: events, and dead letters.

        What was concluded of a learner who is erased since, should not be there any more.
        """
        concluded = self._dbs.other[CONCLUDED]
        await concluded.delete_many({"_id": {"$in": [key.decode() for key in await self._dead_letters()]}})
        places = {}
        async for doc in concluded.find({"topic": {"$in": TOPICS}}, {"topic": 1, "key": 1}):
            places[doc["_id"]] = (topic_name(self._namespace, doc["topic"]), doc["key"])
        spans = await self._reader.spans({topic.partition(".")[2] for topic, _ in places.values()})
        numbers = Counter(tp.topic for tp in spans)
        wanted = {(topic, partition_of(key.encode(), numbers[topic])) for topic, key in places.values()}
        async for record in self._reader.read(
            {tp: spans[tp] for tp in spans if (tp.topic, tp.partition) in wanted}, advanced
        ):
            id = self._concluded_id(record.value)
            if id in places:
                await concluded.delete_one({"_id": id})
        docs = await concluded.find().sort("_id").to_list(None)
        erased = await self._erased({_learner(doc) for doc in docs})
        return [
            Record(doc["topic"], doc["key"], doc["value"], [tuple(header) for header in doc["headers"]])
            for doc in docs
            if _learner(doc) not in erased
        ]

    async def _erased(self, learners: set[str | None]) -> set[str]:
        query = {"_id": {"$in": list(learners)}, "state.erased": {"$exists": True}}
        return {doc["_id"] async for doc in self._dbs.other["learners"].find(query, {"_id": 1})}

    async def _dead_letters(self) -> set[bytes]:
        found = await dead_letters.read(self._reader, await dead_letters.spans(self._reader, [self._core.name]))
        return {letter.key for letter in found.letters}

    # what it is compared by

    async def compare(self, advanced: Advanced = lambda _: None) -> Compared:
        """Compare every counter and every entity, partition by partition, at the same position of both databases.

        The database in use goes on meanwhile. What it concluded at a tick is in it before it is in the log, so what
        differs is looked at again.
        """
        found = {label: await self._compare(label, advanced) for label in self.labels}
        for _ in range(2):
            if unequal := [label for label, compared in found.items() if compared.different]:
                await asyncio.sleep(1.5)
                found |= {label: await self._compare(label, lambda _: None) for label in unequal}
        total = Compared()
        for compared in found.values():
            total = total.plus(compared)
        return total

    async def _compare(self, label: str, advanced: Advanced) -> Compared:
        total = Compared()
        async with mongo.snapshot(self._dbs.live) as find:
            stands = {doc["_id"]: Position.of(doc) async for doc in find(POSITIONS, {"_id": label})}
            await self.catch_up(to=stands)
            for collection in (COUNTERS, *self._core.indexes):
                async for pairs in self._pairs(find, collection, label):
                    total = total.plus(_compared(collection, pairs))
                    advanced(len(pairs))
        return total

    async def _pairs(self, find: Find, collection: str, label: str) -> AsyncIterator[list[tuple[Doc, Doc]]]:
        """Each document of a partition as both databases have it, empty where one has none."""
        other, number = self._dbs.other[collection], 0
        async for docs in _chunks(find(collection, {"partition": label})):
            rebuilt = {doc["_id"]: doc async for doc in other.find({"_id": {"$in": [doc["_id"] for doc in docs]}})}
            number += len(docs)
            yield [(doc, rebuilt.get(doc["_id"], {})) for doc in docs]
        # Whatever is only in use was found; is there anything that is only in the rebuilt one?
        if collection == COUNTERS or await other.count_documents({"partition": label}) != number:
            async for docs in _chunks(other.find({"partition": label})):
                live = {doc["_id"] async for doc in find(collection, {"_id": {"$in": [doc["_id"] for doc in docs]}})}
                yield [({}, doc) for doc in docs if doc["_id"] not in live]


def _learner(noted: Doc) -> str | None:
    """Whom a noted event is about."""
    if noted["topic"] not in TOPICS:
        return None
    event = from_json(noted["value"])
    return str(event["data"].get("learner") or event["partitionkey"])


def _compared(collection: str, pairs: Sequence[tuple[Doc, Doc]]) -> Compared:
    differences: list[Difference] = []
    different = 0
    for live, rebuilt in pairs:
        if live != rebuilt and (found := _differences(collection, live, rebuilt)):
            different += 1
            differences += found
    if collection == COUNTERS:
        return Compared(0, sum(len(_counts(live)) for live, _ in pairs), different, tuple(differences))
    return Compared(sum(bool(live) for live, _ in pairs), 0, different, tuple(differences))


def _differences(collection: str, live: Doc, rebuilt: Doc) -> list[Difference]:
    if collection == COUNTERS:
        before, after = _counts(live), _counts(rebuilt)
    else:
        before, after = dict(_leaves(live)), dict(_leaves(rebuilt))
    where = f"{collection} {(live or rebuilt)['_id']}"
    unequal = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    return [Difference(f"{where} {path}", before.get(path), after.get(path)) for path in unequal]


def _counts(counters: Doc) -> Doc:
    """The counters in a document; one that is zero is as good as none."""
    return {measure: number for measure, number in counters.get("m", {}).items() if number}


def _leaves(doc: Doc, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in doc.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield path + name, value


async def _chunks(docs: AsyncIterator[Doc]) -> AsyncIterator[list[Doc]]:
    chunk: list[Doc] = []
    async for doc in docs:
        chunk.append(doc)
        if len(chunk) == AT_ONCE:
            yield chunk
            chunk = []
    yield chunk
