"""The way of a batch: decode the records, fold them into states, publish what follows, write all at once.

This is rule 2 and the fast path. One batch is being written while the next is decoded and folded, so what is known
here (`positions`, the states that are kept) runs ahead of the database by that batch. If writing it fails, all of it
is forgotten and read anew from the database, which alone says what is applied.
"""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from prometheus_client import Counter as Metric
from prometheus_client import Gauge, Histogram

from shared.contract.events import ContractError, Data, Event, timestamp
from shared.log.consumer import ConsumerRecord
from shared.log.producer import Record, record_of
from shared.log.topics import dead_letter_topic, partition_of
from shared.observability import logs
from shared.processing import facts
from shared.processing.core import Core
from shared.processing.facts import DecodedEvent, State, TooManyFacts
from shared.processing.mongo import Counts, Fenced, Key, Position, Store, WriteSet
from shared.processing.ownership import Refused
from shared.processing.refusals import refusal

log = logs.get(__name__)

APPLIED = Metric("praktika_events_applied_total", "Events taken into the database.", ["topic"])
LAST_APPLIED = Gauge("praktika_last_applied_timestamp_seconds", "When events were last written.")
DEAD = Metric("praktika_dead_letters_total", "Records that could not be processed.", ["topic"])
REFUSED = Metric("praktika_not_applied_total", "Accepted events that a rule of the log's order refused.", ["rule"])
COMMIT_S = Histogram("praktika_commit_seconds", "Time of a batch's transaction in MongoDB.")
FENCED = Metric("praktika_fenced_total", "Writes refused because the partition was no longer ours.")
SIZE = Histogram(
    "praktika_batch_events", "Records in a batch.", buckets=(1, 5, 20, 100, 500, 1_000, 2_000, 5_000, 10_000)
)
CACHED = Gauge("praktika_cached_states", "States of our partitions that are kept in memory.")

BREATH = 20  # records after which the event loop may turn: the write in flight, heartbeats and health checks go on

Publish = Callable[[Sequence[Record]], Awaitable[object]]


class WorkItem(NamedTuple):
    """A record for a state, or (without record and what it says) that the state is due."""

    label: str
    record: ConsumerRecord | None = None
    event: DecodedEvent | None = None


WorkItems = dict[Key, list[WorkItem]]


@dataclass(slots=True)
class CachedState:
    """A state that only we write: what it adds to the counters, and whether the database has it."""

    state: State
    counts: Counts
    stored: bool


class Batches:
    """Takes batches of records of partitions that are ours into one service's database, in order.

    Args:
        publish: sends records and returns when the broker has them.
        namespace: what topic names begin with.
        partitions: how many partitions a topic (full name) has.
        cache_bytes: of states to keep in memory, as `State.bytes` measures them.
    """

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        core: Core,
        store: Store,
        publish: Publish,
        namespace: str,
        partitions: Callable[[str], int],
        cache_bytes: int = 8_000_000,
    ) -> None:
        self.positions: dict[str, int] = {}  # by label: the next offset to take
        self.applied: dict[str, int] = {}  # by label: the next offset by the database
        self.complete_until_ms: dict[str, int] = {}  # by label: everything published before is applied
        self.applied_at = time.monotonic()  # when something was written, last
        self._core = core
        self._store = store
        self._publish = publish
        self._labels: dict[tuple[str, int], str] = {}
        self._namespace = namespace + "."
        self._partitions = partitions
        self._cached: OrderedDict[Key, CachedState] = OrderedDict()  # the longest unused first
        self._cached_bytes, self._cache_bytes = 0, cache_bytes
        self._writing: asyncio.Task[None] | None = None
        self._write_set: WriteSet | None = None  # what is being written

    def partition_label(self, topic: str, partition: int) -> str:
        known = self._labels.get((topic, partition))
        if known is None:
            known = self._labels[topic, partition] = f"{topic.removeprefix(self._namespace)}-{partition}"
        return known

    async def load_positions(self, labels: Iterable[str]) -> dict[str, Position]:
        """Read where partitions stand in the database, and go on from there."""
        stored = await self._store.positions(labels)
        for label, position in stored.items():
            self.positions[label] = self.applied[label] = position.next_offset
            self.complete_until_ms[label] = position.complete_until_ms
        return stored

    async def process(self, records: Sequence[ConsumerRecord]) -> None:
        """Take records in, in order of offset per partition; those that are applied already are passed over.

        They are written when the next call, or `flush`, returns.
        Raises:
            Fenced, DatabaseError, NotPublished: this batch or the one before is not applied; `reset` and begin anew.
        """
        parts = self._fresh(records)  # by the watermark, before anything is decoded
        if parts:
            SIZE.observe(sum(map(len, parts.values())))
            moved = {
                label: (self.positions[label], part[-1].offset + 1, part[-1].timestamp) for label, part in parts.items()
            }
            inputs, dead_letters = await self._decode(parts)
            await self._apply(inputs, dead_letters, moved)

    async def revisit(self, due: Sequence[tuple[str, Key]]) -> None:
        """Let the core react to states because of time; the positions stay, but are compared: see `Fenced`."""
        held = {label: (self.positions[label], self.positions[label], 0) for label, _ in due}
        await self._apply({key: [WorkItem(label)] for label, key in due}, [], held)
        await self.flush()

    async def flush(self) -> None:
        """Wait until what was taken is written; raises as `process` does."""
        task, self._writing = self._writing, None
        if task is not None:
            await task
        self._write_set = None

    async def reset(self) -> None:
        """Let go of what is not written, and of where partitions stand; `load_positions` and begin anew.

        What is being written may still arrive, whole, if the partition is still ours.
        """
        with suppress(Exception):
            await self.flush()
        self._write_set = None
        self.positions.clear()
        self._cached.clear()
        self._cached_bytes = 0
        CACHED.set(0)

    def _fresh(self, records: Sequence[ConsumerRecord]) -> dict[str, list[ConsumerRecord]]:
        """Leave out what is applied already or not ours; the rest by label."""
        parts: dict[str, list[ConsumerRecord]] = {}
        for (topic, partition), run in groupby(records, attrgetter("topic", "partition")):
            label = self.partition_label(topic, partition)
            if label not in self.positions:
                continue
            part = parts.get(label, [])
            next_offset = part[-1].offset + 1 if part else self.positions[label]
            for record in run:
                if record.offset >= next_offset:
                    next_offset = record.offset + 1
                    part.append(record)
            if part:
                parts[label] = part
        return parts

    async def _decode(self, parts: Mapping[str, Sequence[ConsumerRecord]]) -> tuple[WorkItems, list[Record]]:
        """Validate each record from its bytes; what does not fit becomes a dead letter, the rest goes on."""
        inputs: WorkItems = {}
        dead_letters: list[Record] = []
        for label, part in parts.items():
            topic, partitions = part[0].topic.removeprefix(self._namespace), self._partitions(part[0].topic)
            for number, record in enumerate(part):
                if number % BREATH == 0:
                    await asyncio.sleep(0)
                try:
                    event = decode_record(record, topic, partitions)
                    key = self._core.route(event)
                except Exception as error:
                    dead_letters.append(self._dead_letter(record, error))
                    continue
                if key is not None:
                    inputs.setdefault(key, []).append(WorkItem(label, record, event))
        return inputs, dead_letters

    async def _apply(
        self, by_key: WorkItems, dead_letters: list[Record], positions: dict[str, tuple[int, int, int]]
    ) -> None:
        """Rule 2: fold, publish what follows and wait for the broker, then write all in one transaction."""
        await self._load(by_key)
        decoded = [item.event for items in by_key.values() for item in items if item.event]
        context = await self._core.context(self._store.db, by_key.keys(), decoded)
        write_set = WriteSet(positions=positions)
        derived_records: list[Record] = []
        refused: list[Record] = []
        for number, (key, items) in enumerate(by_key.items()):
            if number % BREATH == 0:
                await asyncio.sleep(0)
            cached = self._cached[key]
            try:
                state, events, failed = await self._fold(key, cached.state, items, context)
                if state is not cached.state:
                    self._record_change(write_set, key, items[0].label, cached, state)
            except Exception as error:
                failed, events = [(item, error) for item in items], []
            for item, cause in failed:
                if item.record is not None and item.event is not None:
                    refused += self._refusal_records(item.record, item.event, cause)
                    dead_letters += [] if _is_refused_by_rule(cause) else [self._dead_letter(item.record, cause)]
            derived_records += map(record_of, events)
        if dead_letters or derived_records or refused:
            await self._publish([*dead_letters, *derived_records, *refused])
        await self.flush()  # one transaction at a time: the positions are compared in order
        self.positions.update({label: end for label, (_, end, _) in positions.items()})
        self._write_set, self._writing = write_set, asyncio.create_task(self._write(write_set, dead_letters))

    async def _write(self, write_set: WriteSet, dead_letters: Sequence[Record]) -> None:
        try:
            with COMMIT_S.time():
                await self._store.write(write_set)
        except Fenced as error:
            FENCED.inc()
            log.warning("fenced", reason=str(error))
            raise
        for letter in dead_letters:
            DEAD.labels(letter.key.rsplit("-", 2)[0]).inc()
        for label, (before, next_offset, time_ms) in write_set.positions.items():
            self.applied[label] = next_offset
            if next_offset > before:
                APPLIED.labels(self._namespace + label.rpartition("-")[0]).inc(next_offset - before)
                self.complete_until_ms[label] = time_ms
                self.applied_at = time.monotonic()
                LAST_APPLIED.set_to_current_time()

    async def _load(self, keys: Iterable[Key]) -> None:
        """Have all these states in memory: one find for those that are not, then room for them."""
        cold = [key for key in keys if key not in self._cached]
        for key in keys:
            if key in self._cached:
                self._cached.move_to_end(key)
        found = await self._store.load(cold)
        for key in cold:
            state = found.get(key)
            counts = self._core.contributions(key, state) if state else {}
            self._cached[key] = CachedState(state or facts.empty(), counts, stored=state is not None)
            self._cached_bytes += _size(self._cached[key].state)
        self._make_room(set(keys))
        CACHED.set(len(self._cached))

    def _make_room(self, needed: set[Key]) -> None:
        """Let go of the longest unused, but of none that the database is only now being told of."""
        pending = self._write_set.states.keys() if self._write_set else ()
        while self._cached_bytes > self._cache_bytes:
            key = next(iter(self._cached))
            if key in needed or key in pending:
                return
            self._cached_bytes -= _size(self._cached.popitem(last=False)[1].state)

    async def _fold(
        self, key: Key, state: State, items: Sequence[WorkItem], context: Any
    ) -> tuple[State, list[Event[Data]], list[tuple[WorkItem, Exception]]]:
        """Take one entity's events into its state, in order; return it, what follows, and what failed."""
        events: list[Event[Data]] = []
        failed: list[tuple[WorkItem, Exception]] = []
        for number, item in enumerate(items, 1):
            if number % BREATH == 0:  # of one entity there may be thousands
                await asyncio.sleep(0)
            try:
                after = facts.apply(state, item.event) if item.event else state
                derived = self._core.react(key, after, context)
                for event in derived:
                    after = facts.apply(after, event)
            except Exception as error:
                failed.append((item, error))
                if not isinstance(error, Refused):
                    log.warning("not_applied", collection=key.collection, error=repr(error)[:200])
                continue
            state = after
            events += derived
        return state, events, failed

    def _record_change(self, write_set: WriteSet, key: Key, label: str, cached: CachedState, state: State) -> None:
        """Enter a changed state, its view and the difference of what it adds to the counters."""
        counts, view = self._core.contributions(key, state), self._core.view(key, state)
        totals = write_set.counts.setdefault(label, {})
        for counter, count in counts.items():
            totals[counter] = totals.get(counter, 0) + count
        for counter, count in cached.counts.items():
            totals[counter] = totals.get(counter, 0) - count
        write_set.states[key] = (label, state, view)
        if not cached.stored:
            write_set.new.add(key)
        self._cached_bytes += _size(state) - _size(cached.state)
        cached.state, cached.counts, cached.stored = state, counts, True

    def _refusal_records(self, record: ConsumerRecord, event: DecodedEvent, error: Exception) -> list[Record]:
        """What tells the publisher: by one service if it is a rule, which all go by."""
        if isinstance(error, Refused):
            REFUSED.labels(error.rule).inc()
            if event.topic not in self._core.tells:
                return []
        return refusal(self._core.name, record, event, error)

    def _dead_letter(self, record: ConsumerRecord, error: Exception) -> Record:
        position = f"{record.topic}-{record.partition}-{record.offset}"
        log.warning("dead_letter", position=position, cause=type(error).__name__)
        return dead_letter(self._core.name, record, error)


def _is_refused_by_rule(error: Exception) -> bool:
    """Was the event refused because it was not for its publisher to say? There is nothing for the operator to mend."""
    return isinstance(error, Refused) and not isinstance(error, TooManyFacts)


def _size(state: State) -> int:
    return 500 + state["bytes"]


def decode_record(record: ConsumerRecord, topic: str, partitions: int) -> DecodedEvent:
    """What the event in *record* says, if it is one and is where it belongs.

    Raises:
        ContractError: what is wrong.
    """
    if record.value is None:
        raise ContractError([("", "the record has no value")])
    event = facts.decode(record.value)
    if event.topic != topic:
        raise ContractError([("type", f"belongs to the topic {event.topic}")])
    if record.key != event.partitionkey.encode():
        raise ContractError([("partitionkey", "is not the record's key")])
    if record.partition != partition_of(record.key, partitions):
        # Two partitions would write one entity.
        raise ContractError(
            [("partitionkey", "does not belong to this partition: use the default (murmur2) partitioner")]
        )
    if event.event_class in facts.LOGGED:
        event.fact["logged"] = timestamp(datetime.fromtimestamp(record.timestamp / 1000, UTC))
    return event


DEAD_LETTER_BYTES = 900_000


def dead_letter(service: str, record: ConsumerRecord, error: Exception) -> Record:
    """What *service* could not process: the original bytes and headers, the cause and the position.

    Very large bytes are cut; the log keeps them at the position.
    """
    value = record.value if record.value is not None else b""
    about = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp,
        "bytes": None if record.value is None else len(value),
        "cause": type(error).__name__,
        "reason": str(error)[:1000],
    }
    original = [(f"original-{name}"[:200], (content or b"")[:1000]) for name, content in record.headers[:50]]
    headers = [
        ("praktika-dead-letter", json.dumps(about).encode()),
        ("original-key", (record.key or b"")[:1000]),
    ]
    key = f"{record.topic}-{record.partition}-{record.offset}"
    return Record(dead_letter_topic(service), key, value[:DEAD_LETTER_BYTES], [*headers, *original])
