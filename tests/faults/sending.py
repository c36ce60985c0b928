"""The load: organisations send what they have to say through the ingress, some things twice, in no order."""

import asyncio
import time
from collections import deque
from contextlib import suppress
from itertools import islice
from random import Random
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from deploy.demo.network import BATCH, Network

from .poison import Poison, poison
from .region import (
    ENTERPRISES,
    HOSTILE_ENTERPRISE,
    HOSTILE_INSTITUTION,
    INSTITUTIONS,
    OPERATOR,
    REGION,
    SCHEMES,
    Json,
    introductions,
    kind_of,
    programme_events,
    said_of,
)
from .watching import end

DUPLICATES = 0.2  # of all that is sent
POISON = 0.01
PACE_S = 0.5
READ_S = 0.2
AT_ONCE = 200
TOKEN_S = 600
TRANSIENT = {401, 429, 502, 503}
ERASURE = "praktika.learner.erased.v1"


async def found_region(network: Network, seed: int) -> dict[str, Json]:
    """Register the organisations, publish what is theirs; return the organisations' credentials."""
    organisations = (*INSTITUTIONS, *ENTERPRISES, HOSTILE_INSTITUTION, HOSTILE_ENTERPRISE)
    for id in organisations:
        entry = {"kind": kind_of(id), "name": id, "region": REGION}
        await network.ask("partners", "PUT", f"/organisations/{id}", entry, wait=True)
    for scheme in SCHEMES:
        body = {"competency": scheme.competency, "level": scheme.level, "methods": ["exam", "workplace_demonstration"]}
        body |= {"least_score": 0.6, "enterprise_required": True}
        await network.ask("certification", "PUT", f"/schemes/{scheme.id}", body, by=scheme.institution, wait=True)
    first = [*programme_events(), *introductions(seed)]
    for id in organisations:
        network.credentials[id] = await network.ask("partners", "POST", f"/organisations/{id}/credentials")
    for kind in ("learner.enrolled", "internship.started", "programme.published", "programme.joined"):
        for id in (*INSTITUTIONS, *ENTERPRISES):
            own = [e for e in first if e["source"].endswith(f"/{id}") and kind in e["type"]]
            if own:
                await network.send(id, own)
    return dict(network.credentials)


class Outbox:
    """One organisation's events on their way to the ingress: each is sent again until it is accepted.

    Attributes:
        seconds: how long each batch took until it was accepted, and each read until it was answered.
    """

    def __init__(self, ingress: str, credential: Json) -> None:
        self.waiting: deque[Json] = deque()
        self.accepted = 0
        self.refused: list[Any] = []
        self.seconds: list[float] = []
        self._ingress = ingress
        self._form = {"grant_type": "client_credentials"}
        self._form |= {name: credential[name] for name in ("client_id", "client_secret")}
        self._http = httpx.AsyncClient(timeout=20, trust_env=False)
        self._token, self._token_at = "", 0.0

    async def run(self) -> None:
        while True:
            batch = list(islice(self.waiting, AT_ONCE))
            if not batch:
                await asyncio.sleep(0.05)
                continue
            started = time.monotonic()
            while not await self._is_accepted(batch):
                await asyncio.sleep(0.3)
            self.seconds.append(time.monotonic() - started)
            for _ in batch:
                self.waiting.popleft()

    async def _is_accepted(self, batch: list[Json]) -> bool:
        try:
            headers = {"Authorization": f"Bearer {await self._fresh_token()}", "Content-Type": BATCH}
            answer = await self._http.post(f"{self._ingress}/events", headers=headers, json=batch)
        except (httpx.HTTPError, KeyError):
            return False
        if answer.status_code in TRANSIENT:
            self._token_at = 0.0 if answer.status_code == 401 else self._token_at
            return False
        if answer.status_code != 202:
            self.refused.append(answer.text[:1_000])
        self.accepted += len(batch)
        return True

    async def read(self) -> None:
        """Read what people and systems read all day: the feed, and the programmes."""
        while True:
            for path in ("/feed?limit=50", "/programmes?limit=50"):
                with suppress(httpx.HTTPError, KeyError):
                    headers = {"Authorization": f"Bearer {await self._fresh_token()}"}
                    started = time.monotonic()
                    if (await self._http.get(self._ingress + path, headers=headers)).is_success:
                        self.seconds.append(time.monotonic() - started)
            await asyncio.sleep(READ_S)

    async def _fresh_token(self) -> str:
        if time.monotonic() - self._token_at > TOKEN_S or not self._token:
            answer = await self._http.post(f"{self._ingress}/token", data=self._form)
            self._token, self._token_at = answer.json()["access_token"], time.monotonic()
        return self._token

    async def close(self) -> None:
        await self._http.aclose()


class Load:
    """Tells learners' stories at *rate* events a second, until told to stop.

    The next event is drawn from a *pool* of so many: that is the disorder.
    """

    def __init__(  # noqa: PLR0917
        self, seed: int, rate: float, pool: int, ingress: str, kafka: str, credentials: dict[str, Json]
    ) -> None:
        self.seed, self.rate, self.pool, self.kafka = seed, rate, pool, kafka
        self.outboxes = {id: Outbox(ingress, credentials[id]) for id in (*INSTITUTIONS, *ENTERPRISES, OPERATOR)}
        # Each may have to wait until partners has caught up: they go beside the rest.
        self.outboxes |= {f"{id} {ERASURE}": Outbox(ingress, credentials[id]) for id in INSTITUTIONS}
        self.told = 0  # learners
        self.sent = 0
        self.repeated = 0
        self.poisoned = 0
        self._random = Random(f"{seed}/order")  # noqa: S311
        self._pool: list[Json] = []
        self._ended = asyncio.Event()

    @property
    def accepted(self) -> int:
        return sum(outbox.accepted for outbox in self.outboxes.values())

    @property
    def refused(self) -> list[Any]:
        return [refusal for outbox in self.outboxes.values() for refusal in outbox.refused]

    async def measure(self, seconds: float) -> list[float]:
        """How long each exchange took that ended in the next *seconds*, shortest first; erasures wait by design."""
        outboxes = [outbox for name, outbox in self.outboxes.items() if ERASURE not in name]
        for outbox in outboxes:
            outbox.seconds.clear()
        await asyncio.sleep(seconds)
        return sorted(took for outbox in outboxes for took in outbox.seconds)

    def end(self) -> None:
        """Begin no more stories, but tell to the end those that were begun."""
        self._ended.set()

    async def run(self) -> None:
        """Send until `end`, and then until everything is accepted."""
        async with asyncio.TaskGroup() as tasks:
            senders = [tasks.create_task(outbox.run()) for outbox in self.outboxes.values()]
            readers = [tasks.create_task(self.outboxes[id].read()) for id in INSTITUTIONS]
            poisoner = tasks.create_task(self._poison())
            await self._pace()
            while any(outbox.waiting for outbox in self.outboxes.values()) or self.poisoned < self._poison_due:
                await asyncio.sleep(0.1)
            for task in (*senders, *readers, poisoner):
                task.cancel()
        for outbox in self.outboxes.values():
            await outbox.close()

    async def _pace(self) -> None:
        started, due = time.monotonic(), 0.0
        while not self._ended.is_set() or self._pool:
            due += self.rate * PACE_S * (2 if self._ended.is_set() else 1)
            waiting = sum(len(outbox.waiting) for outbox in self.outboxes.values())
            # Who cannot get rid of anything stops saying more for a while.
            while due >= 1 and waiting < 20 * self.rate and self._say_one():
                due -= 1
            started += PACE_S
            await asyncio.sleep(max(0.0, started - time.monotonic()))

    def _say_one(self) -> bool:
        while len(self._pool) < self.pool and not self._ended.is_set():
            self._pool += said_of(self.seed, self.told)
            self.told += 1
        if not self._pool:
            return False
        chosen = self._random.randrange(len(self._pool))
        event = self._pool[chosen]
        if self._random.random() < DUPLICATES:
            self.repeated += 1  # it stays in the pool, and comes again
        else:
            self._pool[chosen] = self._pool[-1]
            self._pool.pop()
        by = event["source"].rpartition("/")[2]
        self.outboxes[f"{by} {ERASURE}" if event["type"] == ERASURE else by].waiting.append(event)
        self.sent += 1
        return True

    @property
    def _poison_due(self) -> int:
        return int(self.sent * POISON)

    async def _poison(self) -> None:
        producer: AIOKafkaProducer | None = None
        try:
            while True:
                if self.poisoned >= self._poison_due:
                    await asyncio.sleep(0.1)
                    continue
                try:
                    async with asyncio.timeout(15):
                        producer = producer or await self._producer()
                        await self._put(producer, poison(self.seed, self.poisoned))
                    self.poisoned += 1
                except (KafkaError, TimeoutError):
                    if producer is not None:
                        await end(producer)
                    producer = None
        finally:
            if producer is not None:
                await end(producer)

    async def _producer(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka, acks="all", request_timeout_ms=5_000)
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    async def _put(self, producer: AIOKafkaProducer, record: Poison) -> None:
        topic = f"praktika.{record.topic}"
        where = {"partition": record.partition, "headers": list(record.headers)}
        await producer.send_and_wait(topic, record.value, key=record.key, **where)
