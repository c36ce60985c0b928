"""Rule 2, written once: read a batch, fold it into states, publish what follows, write, then commit the offsets."""

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

from prometheus_client import Counter as Metric
from prometheus_client import Gauge, Histogram

from shared import facts, logs
from shared.events import ContractError, Data, Event, parse
from shared.facts import State
from shared.kafka import (
    Consumer,
    ConsumerRebalanceListener,
    ConsumerRecord,
    KafkaError,
    NotPublished,
    OffsetAndMetadata,
    Producer,
    Record,
    TopicPartition,
    dead_letter_topic,
    partition_of,
    record_of,
)
from shared.mongo import Counts, Database, DatabaseError, Fenced, Key, Store, Written
from shared.settings import Settings

log = logs.get(__name__)

APPLIED = Metric("praktika_events_applied_total", "Events taken into the database.", ["topic"])
DEAD = Metric("praktika_dead_letters_total", "Records that could not be processed.", ["topic"])
BATCH_S = Histogram("praktika_batch_seconds", "From a batch's arrival to its committed offsets.")
COMMIT_S = Histogram("praktika_commit_seconds", "Time of a batch's transaction in MongoDB.")
LAG = Gauge("praktika_lag_events", "Published but not yet applied.", ["topic", "partition"])
OLDEST_S = Gauge("praktika_oldest_unapplied_seconds", "Age of the oldest event that is not applied; 0 if none.")

TRANSIENT = (DatabaseError, NotPublished, KafkaError, Fenced, TimeoutError)
PATIENCE_S = 60  # well below max_poll_interval_ms: then the batch is fetched anew instead of held
STUCK_S = 30  # lag but no batch for so long: not ready
STALLED_S = 180  # lag but no batch for so long: end the process, its supervisor starts a fresh one


def _nothing(*_: Any) -> Any:
    return {}


async def _no_context(_db: Database, _keys: Collection[Key], _events: Sequence[Event[Data]]) -> Any:
    return None


async def _none_due(_db: Database, _labels: Sequence[str]) -> list[tuple[str, Key]]:
    return []


@dataclass(frozen=True)
class Core:
    """The rules of a service, without I/O but for `context` and `due`, which only read.

    Attributes:
        name: of the service; its consumer group and database too.
        topics: what it consumes.
        indexes: collections of the service with the field names to index.
        route: which state an event belongs to; None: the service has no use for the event. A state belongs to
            one partition: its id begins with the event's key.
        view: fields of a state to store beside it, for lists and look-ups.
        react: the events that should exist, given a state and the context, and do not yet; each is at once
            taken into the state as a fact, so that asking again gives nothing.
        contributions: what a state adds to the counters.
        context: read what `react` needs besides the states of these keys, to judge these events.
        due: states in these partitions (labels like `learner-3`) that `react` should look at because of time, or
            of what other partitions know; with the label of each.
    """

    name: str
    topics: tuple[str, ...]
    indexes: dict[str, list[tuple[str, ...]]]
    route: Callable[[Event[Data]], Key | None]
    view: Callable[[Key, State], dict[str, Any]] = _nothing
    react: Callable[[Key, State, Any], list[Event[Data]]] = _nothing
    contributions: Callable[[Key, State], Counts] = _nothing
    context: Callable[[Database, Collection[Key], Sequence[Event[Data]]], Awaitable[Any]] = _no_context
    due: Callable[[Database, Sequence[str]], Awaitable[list[tuple[str, Key]]]] = _none_due


@dataclass(frozen=True)
class Input:
    """A record that belongs to a state, or (without record and event) a state that is due."""

    label: str
    key: Key
    record: ConsumerRecord | None = None
    event: Event[Data] | None = None


class Runner(ConsumerRebalanceListener):
    """Runs one service's core over its partitions. One batch at a time; nothing is held across batches."""

    def __init__(self, core: Core, settings: Settings, store: Store, producer: Producer) -> None:
        self.core = core
        self._troubles = {"start": "starting"}  # by what met it
        self._settings = settings
        self._store = store
        self._producer = producer
        self._consumer: Consumer | None = None
        self._batch = asyncio.Lock()  # the barrier: a rebalance waits for the batch in hand, and the reverse
        self._interrupted = asyncio.Event()  # a rebalance or the end wants the batch in hand to be given up
        self._joined = False
        self._next: dict[TopicPartition, int] = {}  # where each of our partitions stands in the database
        self._until_ms: dict[TopicPartition, int] = {}  # everything published before is applied
        self._backlog: dict[TopicPartition, int] = {}  # where each ended when it became ours
        self._gap: dict[TopicPartition, int] = {}
        self._waiting = 0  # events published and not applied, when last measured
        self._moved = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"{self.core.name}-runner")

    async def stop(self) -> None:
        """Finish the batch in hand and leave the group."""
        self._interrupted.set()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._consumer is not None:
            await self._consumer.close()

    @property
    def trouble(self) -> str | None:
        """Why the service is not doing its work, for the readiness check; None if it is."""
        is_stuck = self._waiting and self._stuck_s() > STUCK_S
        stuck = [f"{self._waiting} events wait, but none was applied for {STUCK_S} s"] if is_stuck else []
        return "; ".join([*self._troubles.values(), *stuck]) or None

    async def _run(self) -> None:
        self._consumer = await self._join()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeat("tick", self._tick))
            # A task of its own: it must tell the truth while a batch is stuck.
            tasks.create_task(self._repeat("measure", self._measure))

    async def _repeat(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self._settings.tick_s)
            try:
                await step()
            except TRANSIENT as error:
                self._report(name, f"waiting: {reason(error)}")
            except Exception as error:
                self._report(name, f"cannot go on: {reason(error)}", error)
            else:
                self._report(name, None)

    async def _join(self) -> Consumer:
        """Join the group, as soon as Kafka answers."""
        while True:
            consumer = Consumer(self._settings, self.core.name, self.core.topics, self._handle, self)
            try:
                await consumer.start()
                return consumer
            except BaseException as error:
                await consumer.close()
                if not isinstance(error, KafkaError):
                    raise
                self._report("start", f"Kafka does not answer: {reason(error)}")
            await asyncio.sleep(random.uniform(0.5, 2))  # noqa: S311

    def _report(self, name: str, trouble: str | None, defect: Exception | None = None) -> None:
        """Keep what readiness says, and log each change; of a defect of ours with the traceback."""
        known = self._troubles.pop(name, None)
        if trouble:
            self._troubles[name] = trouble
        if trouble and trouble != known:
            log.warning("trouble", during=name, reason=trouble, exc_info=defect)
        elif known and not trouble:
            log.info("recovered", during=name)

    def _stuck_s(self) -> float:
        return time.monotonic() - self._moved

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._interrupted.set()
        async with self._batch:
            self._joined, self._waiting = False, 0
            self._rewind()
            self._report("batch", None)  # whose partitions they are now, has the trouble too
            LAG.clear()  # who gets the partitions reports them

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._moved, self._joined = time.monotonic(), True
        self._interrupted.clear()
        self._report("start", None)

    async def _locate(self) -> None:
        """Go to where the database stands: it, not the group's offsets, says what is applied."""
        unknown = [tp for tp in self._client.assignment() if tp not in self._next]
        if not unknown:
            return
        ends = await self._client.end_offsets(unknown)
        stored = await self._store.positions(map(self._label, unknown))
        for tp in unknown:
            offset, self._until_ms[tp] = stored[self._label(tp)]
            if offset > ends[tp]:
                raise RuntimeError(
                    f"{tp.topic}-{tp.partition} ends at {ends[tp]}, but {offset} records of it are applied: the topic "
                    f"was made anew. Restore the log, or drop the database {self._store.db.name} to rebuild it."
                )
            self._client.seek(tp, offset)
            self._next[tp], self._backlog[tp] = offset, ends[tp]
        log.info("partitions_assigned", count=len(self._client.assignment()))

    @property
    def _client(self) -> Any:
        if self._consumer is None:
            raise NotPublished("the consumer is not started")
        return self._consumer.client

    def _label(self, tp: TopicPartition) -> str:
        return f"{tp.topic.removeprefix(self._settings.namespace + '.')}-{tp.partition}"

    async def _handle(self, records: Sequence[ConsumerRecord]) -> None:
        """Take in a batch, waiting out trouble; gives it up only if it is (or will be) somebody else's."""
        async with self._batch:
            started, size = time.monotonic(), len(records)
            for attempt in count():
                if self._interrupted.is_set():
                    return
                try:
                    for start in range(0, len(records), size):
                        await self._process(records[start : start + size])
                    return self._report("batch", None)
                except Fenced as error:
                    log.warning("fenced", reason=str(error))
                    return self._rewind()
                except TRANSIENT as error:
                    self._report("batch", f"waiting: {reason(error)}")
                except Exception as error:
                    self._report("batch", f"cannot go on: {reason(error)}", error)
                # What is too much for one transaction is not for two; what is applied already is passed over.
                size = max(1, size // 2)
                if time.monotonic() - started > PATIENCE_S:
                    return self._rewind()
                with suppress(TimeoutError):
                    pause = random.uniform(0.1, min(5.0, 0.2 * 2 ** min(attempt, 10)))  # noqa: S311
                    await asyncio.wait_for(self._interrupted.wait(), pause)

    def _rewind(self) -> None:
        """Forget where our partitions stand; they are located anew before the next batch."""
        self._next.clear()
        self._gap.clear()

    @BATCH_S.time()
    async def _process(self, records: Sequence[ConsumerRecord]) -> None:
        await self._locate()
        fresh = self._fresh(records)
        if not fresh:
            return
        inputs, letters = self._read(fresh)
        ends: dict[TopicPartition, ConsumerRecord] = {TopicPartition(r.topic, r.partition): r for r in fresh}
        positions = {self._label(tp): (self._next[tp], last.offset + 1, last.timestamp) for tp, last in ends.items()}
        await self._apply(inputs, letters, positions)
        for tp, last in ends.items():
            self._next[tp], self._until_ms[tp] = last.offset + 1, last.timestamp
        self._moved = time.monotonic()
        for record in fresh:
            APPLIED.labels(record.topic).inc()
        await self._commit(ends)

    def _fresh(self, records: Sequence[ConsumerRecord]) -> list[ConsumerRecord]:
        """Leave out what is applied already or no longer ours."""
        parts: dict[TopicPartition, list[ConsumerRecord]] = {}
        for record in records:
            parts.setdefault(TopicPartition(record.topic, record.partition), []).append(record)
        fresh: list[ConsumerRecord] = []
        for tp, part in parts.items():
            following, first = self._next.get(tp), part[0].offset
            if following is None:
                continue
            if first > following and self._gap.get(tp) != first:
                # Perhaps fetched before we went to our position: fetch once more. A real gap comes back the same.
                self._gap[tp] = first
                self._client.seek(tp, following)
                continue
            fresh += [record for record in part if record.offset >= following]
        return fresh

    def _read(self, records: Sequence[ConsumerRecord]) -> tuple[list[Input], list[Record]]:
        """Validate each record from its bytes; what does not fit becomes a dead letter, the rest goes on."""
        inputs, letters = [], []
        for record in records:
            topic = record.topic.removeprefix(self._settings.namespace + ".")
            try:
                event = _event(record, topic, len(self._client.partitions_for_topic(record.topic)))
                key = self.core.route(event)
            except Exception as error:
                letters.append(self._dead_letter(record, error))
                continue
            if key is not None:
                inputs.append(Input(f"{topic}-{record.partition}", key, record, event))
        return inputs, letters

    async def _apply(
        self, inputs: Sequence[Input], letters: list[Record], positions: dict[str, tuple[int, int, int]]
    ) -> None:
        """Rule 2: fold, publish what follows and wait for the broker, then write all in one transaction."""
        by_key: dict[Key, list[Input]] = {}
        for item in inputs:
            by_key.setdefault(item.key, []).append(item)
        states = await self._store.load(by_key)
        context = await self.core.context(self._store.db, by_key.keys(), [i.event for i in inputs if i.event])
        written = Written(positions=positions)
        following: list[Record] = []
        for number, (key, items) in enumerate(by_key.items()):
            if number % 100 == 99:
                await asyncio.sleep(0)  # heartbeats and health checks go on during a long batch
            try:
                state, events, failed = self._fold(key, states[key], items, context)
                self._note(written, key, items[0].label, states[key], state)
            except Exception as error:
                failed, events = [(item, error) for item in items], []
            letters += [self._dead_letter(i.record, error) for i, error in failed if i.record is not None]
            following += map(record_of, events)
        await self._producer.publish([*letters, *following])
        with COMMIT_S.time():
            await self._store.write(written)

    def _fold(
        self, key: Key, state: State, items: Sequence[Input], context: Any
    ) -> tuple[State, list[Event[Data]], list[tuple[Input, Exception]]]:
        """Take one entity's events into its state, in order; return it, what follows, and what failed."""
        events: list[Event[Data]] = []
        failed: list[tuple[Input, Exception]] = []
        for item in items:
            try:
                after = facts.apply(state, item.event) if item.event else state
                derived = self.core.react(key, after, context)
                for event in derived:
                    after = facts.apply(after, event)
            except Exception as error:
                failed.append((item, error))
                log.warning("not_applied", collection=key.collection, error=repr(error)[:200])
                continue
            state = after
            events += derived
        return state, events, failed

    def _note(self, written: Written, key: Key, label: str, before: State, after: State) -> None:
        """Enter a changed state, its view and what it adds to the counters."""
        if after is before:
            return
        counts = dict(self.core.contributions(key, after))
        for counter, was in self.core.contributions(key, before).items():
            counts[counter] = counts.get(counter, 0) - was
        written.states[key] = (label, after, self.core.view(key, after))
        totals = written.counts.setdefault(label, {})
        for counter, difference in counts.items():
            if difference:
                totals[counter] = totals.get(counter, 0) + difference

    def _dead_letter(self, record: ConsumerRecord, error: Exception) -> Record:
        position = f"{record.topic}-{record.partition}-{record.offset}"
        log.warning("dead_letter", position=position, cause=type(error).__name__)
        DEAD.labels(record.topic).inc()
        return dead_letter(self.core.name, record, error)

    async def _commit(self, ends: dict[TopicPartition, ConsumerRecord]) -> None:
        """Let the offsets go. The database has them already, so a failure only makes the group's view late."""
        try:
            await self._client.commit({tp: OffsetAndMetadata(r.offset + 1, "") for tp, r in ends.items()})
        except KafkaError as error:
            log.info("offsets_not_committed", reason=repr(error))

    async def _tick(self) -> None:
        async with self._batch:
            if self._interrupted.is_set() or not self._joined:
                return
            await self._locate()
            # In the middle of a backlog not everything is known that would be decided by.
            if all(following >= self._backlog[tp] for tp, following in self._next.items()):
                await self._look_at_due()

    async def _look_at_due(self) -> None:
        labels = {self._label(tp): following for tp, following in self._next.items()}
        due = await self.core.due(self._store.db, list(labels))
        if due:
            # The positions stay, but are compared: somebody else's partition is not decided about here.
            positions = {label: (labels[label], labels[label], 0) for label, _ in due}
            try:
                await self._apply([Input(label, key) for label, key in due], [], positions)
            except Fenced:
                self._rewind()
                raise

    async def _measure(self) -> None:
        """Report how far behind we are, and note what is complete; end the process if it hangs."""
        standing, now_ms = dict(self._next), int(time.time() * 1000)
        if not standing:
            return
        async with asyncio.timeout(10):
            ends = await self._client.end_offsets(list(standing))
        lags = {tp: max(0, ends[tp] - following) for tp, following in standing.items() if tp in self._next}
        for tp, lag in lags.items():
            LAG.labels(tp.topic, tp.partition).set(lag)
            if not lag:
                self._until_ms[tp] = now_ms
        behind = [self._until_ms[tp] for tp, lag in lags.items() if lag]
        OLDEST_S.set((now_ms - min(behind)) / 1000 if behind else 0)
        self._waiting = sum(lags.values())
        if not self._waiting:
            self._moved = time.monotonic()
        elif self._stuck_s() > STALLED_S and not self._troubles:
            log.critical("stalled", lag=self._waiting)
            os.kill(os.getpid(), signal.SIGTERM)
        await self._store.mark_complete({self._label(tp): standing[tp] for tp, lag in lags.items() if not lag}, now_ms)


def reason(error: BaseException) -> str:
    """What went wrong, for logs and readiness. A driver's own words may quote ids or data: of those only the kind."""
    code = getattr(error, "code", None)
    if isinstance(error, DatabaseError):
        return type(error).__name__ + (f" {code}" if code else "")
    return f"{type(error).__name__}: {error}"[:300]


def _event(record: ConsumerRecord, topic: str, partitions: int) -> Event[Data]:
    """The event in *record*, if it is one and is where it belongs.

    Raises:
        ContractError: what is wrong.
    """
    if record.value is None:
        raise ContractError([("", "the record has no value")])
    event = parse(record.value, tolerant=True)
    if event.data.topic != topic:
        raise ContractError([("type", f"belongs to the topic {event.data.topic}")])
    if record.key != event.partitionkey.encode():
        raise ContractError([("partitionkey", "is not the record's key")])
    if record.partition != partition_of(record.key, partitions):
        # Two partitions would write one entity.
        raise ContractError(
            [("partitionkey", "does not belong to this partition: use the default (murmur2) partitioner")]
        )
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
