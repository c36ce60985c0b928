"""Runs a service's consumer: its group, whose partitions are ours, trouble, and how far behind we are."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from prometheus_client import Gauge, Histogram

from shared.log.consumer import Consumer, ConsumerRecord
from shared.log.producer import NotPublished, Producer
from shared.log.reads import Log
from shared.observability import logs
from shared.processing import mongo
from shared.processing.batches import Batches
from shared.processing.core import Core
from shared.processing.mongo import DatabaseError, Fenced, Store
from shared.settings import Settings

log = logs.get(__name__)

BATCH_S = Histogram(
    "praktika_batch_seconds", "Time of a batch in the consumer: decoded, folded, the one before written."
)
OWNED = Gauge("praktika_partitions_assigned", "Partitions that are ours.")
LAG = Gauge("praktika_lag_events", "Published but not yet applied.", ["topic", "partition"])
OLDEST_S = Gauge("praktika_oldest_unapplied_seconds", "Age of the oldest event that is not applied; 0 if none.")

TRANSIENT = (DatabaseError, NotPublished, KafkaError, Fenced, TimeoutError)
FOLLOW_S = 1  # so often is looked which database is in use
MEASURE_S = 1  # so often is looked where our partitions end
DUE_SHARE = 20  # finding out what time has brought holds batches back for no more than one part in so many of the time
STUCK_S = 30  # lag but no batch for so long: not ready
STALLED_S = 180  # lag but no batch for so long: end the process, its supervisor starts a fresh one


class Runner(ConsumerRebalanceListener):
    """Runs one service's core over its partitions."""

    def __init__(self, core: Core, settings: Settings, store: Store, producer: Producer, kafka_log: Log) -> None:
        self.core = core
        self._troubles = {"start": "starting"}  # by what met it
        self._settings = settings
        self._store = store
        self._producer = producer
        self._log = kafka_log  # asked where partitions end: on the consumer's connection that waits for its fetch
        self._batches = Batches(
            core, store, producer.publish, settings.namespace, self._partitions, settings.keep_states_bytes
        )
        self._consumer: Consumer | None = None
        self._batch = asyncio.Lock()  # the barrier: a rebalance waits for the batch in hand, and the reverse
        self._interrupted = asyncio.Event()  # a rebalance or the end wants the batch in hand to be given up
        self._joined = self._ending = False
        self._left_at = self._measured_at = time.monotonic()
        self._most = settings.consume_max_records  # records at once; less after a failure
        self._look_again_at = float("-inf")  # when it is time to ask what time has brought
        self._taken_at = float("-inf")  # when the last batch was handed over
        self._failures = 0  # since the last success
        self._failed_at = 0.0
        self._backlog: dict[TopicPartition, int] = {}  # where each ended when it became ours
        self._gap: dict[TopicPartition, int] = {}
        self._committing: asyncio.Task[None] | None = None
        self._committed: Mapping[str, int] = {}
        self._committed_at = float("-inf")
        self._waiting = 0  # events published and not applied, when last measured
        self._idle_since = time.monotonic()  # when nothing waited, last
        self._followed_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"{self.core.name}-runner")

    async def stop(self) -> None:
        """Finish the batch in hand and leave the group."""
        self._ending = True
        self._interrupted.set()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._consumer is not None:
            with suppress(*TRANSIENT):
                async with asyncio.timeout(15), self._batch:
                    await self._batches.flush()
                    await self._commit()
            await self._consumer.close()

    @property
    def trouble(self) -> str | None:
        """Why the service is not doing its work, for the readiness check; None if it is."""
        is_stuck = self._waiting and self._stuck_s() > STUCK_S
        stuck = [f"{self._waiting} events wait, but none was applied for {STUCK_S} s"] if is_stuck else []
        is_out = not self._joined and time.monotonic() - self._left_at > STUCK_S
        out = [f"no place in the consumer group for {STUCK_S} s"] if is_out else []
        return "; ".join([*self._troubles.values(), *stuck, *out]) or None

    async def _run(self) -> None:
        self._consumer = await self._join()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeat("tick", self._tick, self._settings.tick_s))
            # A task of its own: it must tell the truth while a batch is stuck.
            tasks.create_task(self._repeat("measure", self._measure, MEASURE_S))

    async def _repeat(self, name: str, step: Callable[[], Awaitable[None]], pause_s: float) -> None:
        while not self._ending:  # a cancellation may be lost in a step
            await asyncio.sleep(pause_s)
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
        return time.monotonic() - max(self._idle_since, self._batches.applied_at)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._interrupted.set()
        async with self._batch:
            self._joined, self._waiting, self._left_at = False, 0, time.monotonic()
            await self._rewind()
            self._batches.applied.clear()
            self._report("batch", None)  # whose partitions they are now, has the trouble too
            LAG.clear()  # who gets the partitions reports them
            OWNED.set(0)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._idle_since, self._joined = time.monotonic(), True
        self._interrupted.clear()
        self._report("start", None)
        OWNED.set(len(assigned))

    async def _follow(self) -> None:
        """Go over to the database that is in use; the operator's rebuild may have swapped it."""
        if time.monotonic() - self._followed_at < FOLLOW_S:
            return
        live = await mongo.live(self._store.home)
        self._followed_at = time.monotonic()
        if live.name != self._store.db.name:
            await self._rewind()  # what is being written still belongs to the former
            self._store.db = live
            log.info("database_swapped", database=live.name)

    async def _locate(self) -> None:
        """Go to where the database stands: it, not the group's offsets, says what is applied."""
        await self._follow()
        labels = {self._label(tp): tp for tp in self._client.assignment()}
        unknown = {label: tp for label, tp in labels.items() if label not in self._batches.positions}
        if not unknown:
            return
        ends = await self._log.ends_of(unknown.values())
        for label, (offset, _) in (await self._batches.load_positions(unknown)).items():
            tp = unknown[label]
            if offset > ends[tp]:
                await self._batches.reset()
                raise RuntimeError(
                    f"{tp.topic}-{tp.partition} ends at {ends[tp]}, but {offset} records of it are applied: the topic "
                    f"was made anew. Restore the log, or drop the database {self._store.db.name} to rebuild it: "
                    "of it, save first what no log has (README, Back up)."
                )
            self._client.seek(tp, offset)
            self._backlog[tp] = ends[tp]
        log.info("partitions_assigned", count=len(labels))

    @property
    def _client(self) -> Any:
        if self._consumer is None:
            raise NotPublished("the consumer is not started")
        return self._consumer.client

    def _partitions(self, topic: str) -> int:
        return len(self._client.partitions_for_topic(topic))

    def _label(self, tp: TopicPartition) -> str:
        return self._batches.partition_label(tp.topic, tp.partition)

    async def _handle(self, records: Sequence[ConsumerRecord]) -> None:
        """Take records in; on trouble wait, and go back to where the database stands: Kafka has them still."""
        async with self._batch:
            self._taken_at = time.monotonic()
            try:
                for start in range(0, len(records), self._most):
                    if self._interrupted.is_set():
                        return
                    await self._process(records[start : start + self._most])
            except Exception as error:
                await self._fail(error)
            else:
                self._recover()

    def _recover(self) -> None:
        """Call trouble with a batch over once something was written, or nothing is left to write."""
        if self._batches.applied_at > self._failed_at or not self._waiting:
            self._report("batch", None)
            self._failures = 0
            self._most = min(2 * self._most, self._settings.consume_max_records)

    async def _fail(self, error: Exception) -> None:
        await self._rewind()
        if isinstance(error, Fenced):
            return
        if isinstance(error, TRANSIENT):
            self._report("batch", f"waiting: {reason(error)}")
        else:
            self._report("batch", f"cannot go on: {reason(error)}", error)
        self._failures += 1
        self._failed_at, self._waiting = time.monotonic(), max(1, self._waiting)
        self._most = max(1, self._most // 2)  # what is too much for one transaction is not for two
        with suppress(TimeoutError):
            pause = random.uniform(0.1, min(5.0, 0.2 * 2 ** min(self._failures, 10)))  # noqa: S311
            async with asyncio.timeout(pause):
                await self._interrupted.wait()

    async def _rewind(self) -> None:
        """Forget where our partitions stand; they are located anew before the next batch."""
        await self._batches.reset()
        self._gap.clear()
        self._backlog.clear()

    @BATCH_S.time()
    async def _process(self, records: Sequence[ConsumerRecord]) -> None:
        await self._locate()
        await self._batches.process(self._in_sequence(records))
        self._commit_soon()

    def _in_sequence(self, records: Sequence[ConsumerRecord]) -> list[ConsumerRecord]:
        """Leave out partitions whose records do not follow on those that are taken, and fetch these anew."""
        parts: dict[TopicPartition, list[ConsumerRecord]] = {}
        for (topic, partition), run in groupby(records, attrgetter("topic", "partition")):
            parts.setdefault(TopicPartition(topic, partition), []).extend(run)
        in_sequence: list[ConsumerRecord] = []
        for tp, part in parts.items():
            position, first = self._batches.positions.get(self._label(tp)), part[0].offset
            if position is not None and first > position and self._gap.get(tp) != first:
                # Perhaps fetched before we went to our position: fetch once more. A real gap comes back the same.
                self._gap[tp] = first
                self._client.seek(tp, position)
            else:
                in_sequence += part
        return in_sequence

    def _commit_soon(self) -> None:
        """Commit, but once a tick at most: nothing depends on it, and small batches follow one another quickly."""
        is_done = self._committing is None or self._committing.done()
        if is_done and time.monotonic() - self._committed_at > self._settings.tick_s:
            self._committed_at = time.monotonic()
            self._committing = asyncio.create_task(self._commit())

    async def _commit(self) -> None:
        """Commit the offsets. The database has them already, so a failure only makes the group's view late."""
        applied = {label: next_offset for label, next_offset in self._batches.applied.items() if next_offset}
        if applied == self._committed:
            return
        ours = [tp for tp in self._client.assignment() if self._label(tp) in applied]
        if not ours:
            return
        try:
            async with asyncio.timeout(5):
                await self._client.commit({tp: OffsetAndMetadata(applied[self._label(tp)], "") for tp in ours})
            self._committed = applied
        except (KafkaError, TimeoutError) as error:
            log.info("offsets_not_committed", reason=repr(error))

    async def _tick(self) -> None:
        """Find out how the last batch ended, and what time has brought."""
        async with self._batch:
            if self._interrupted.is_set() or not self._joined:
                return
            began = time.monotonic()
            if not self._looks(began) and began - self._taken_at < self._settings.tick_s:
                return  # the next batch, which is on its way, finds out and does not wait for this one
            try:
                await self._batches.flush()  # what is due is judged by all that was taken
            except Exception as error:
                return await self._fail(error)  # whoever finds out
            try:
                self._recover()
                await self._locate()
                self._commit_soon()
                if self._looks(began):
                    due = await self.core.due(self._store.db, list(self._batches.positions))
                    # The next batch has waited for the last one's end, too.
                    self._look_again_at = began + DUE_SHARE * (time.monotonic() - began)
                    if due:
                        await self._batches.revisit(due)
            except Exception:
                await self._rewind()
                self._most = max(1, self._most // 2)
                raise

    def _looks(self, now: float) -> bool:
        """Is it time to find out what time has brought?"""
        return not self._is_behind and now >= self._look_again_at

    @property
    def _is_behind(self) -> bool:
        """Are we in the middle of a backlog, where not everything is known that would be decided by?"""
        positions = self._batches.positions
        return any(positions.get(self._label(tp), 0) < end for tp, end in self._backlog.items())

    async def _measure(self) -> None:
        """Report how far behind we are, and note what is complete; end the process if it hangs."""
        applied, now_ms = dict(self._batches.applied), int(time.time() * 1000)
        standing = {tp: applied[label] for tp in self._client.assignment() if (label := self._label(tp)) in applied}
        if not standing:
            return
        ends = await self._ends(list(standing))
        lags = {tp: max(0, ends[tp] - next_offset) for tp, next_offset in standing.items()}
        complete_until_ms = self._batches.complete_until_ms
        for tp, lag in lags.items():
            LAG.labels(tp.topic, tp.partition).set(lag)
            if not lag and self._label(tp) in complete_until_ms:
                complete_until_ms[self._label(tp)] = now_ms
        behind = [complete_until_ms.get(self._label(tp), now_ms) for tp, lag in lags.items() if lag]
        OLDEST_S.set((now_ms - min(behind)) / 1000 if behind else 0)
        self._waiting = sum(lags.values())
        if not self._waiting:
            self._idle_since = time.monotonic()
        elif self._stuck_s() > STALLED_S and not self._troubles:
            _end(lag=self._waiting)
        await self._store.mark_complete({self._label(tp): standing[tp] for tp, lag in lags.items() if not lag}, now_ms)

    async def _ends(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Where our partitions end; end the process if that cannot be said while Kafka answers the producer."""
        try:
            ends = await self._log.ends_of(partitions)
        except NotPublished:
            if time.monotonic() - self._measured_at > STALLED_S:
                await self._producer.ping()
                _end(lag=None)
            raise
        self._measured_at = time.monotonic()
        return ends


def _end(lag: int | None) -> None:
    """End this process: its supervisor starts a fresh one."""
    log.critical("stalled", lag=lag)
    os.kill(os.getpid(), signal.SIGTERM)


def reason(error: BaseException) -> str:
    """What went wrong, for logs and readiness. A driver's own words may quote ids or data: of those only the kind."""
    code = getattr(error, "code", None)
    if isinstance(error, DatabaseError):
        return type(error).__name__ + (f" {code}" if code else "")
    return f"{type(error).__name__}: {error}"[:300]
