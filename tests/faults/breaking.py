"""What is done to the stack: each fault ends when the component is back, or no longer disturbed."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from random import Random

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from deploy.local.processes import Server

from .stack import JOINER, MEMBERS, WORKERS, Stack
from .watching import POLL_S, TOPICS_OF, Clock, Watch

SESSION_S = 10  # after so long without a sign a worker's partitions are given to others


class Breaker:
    """Does to *stack* what it is asked for, one thing at a time per component.

    Attributes:
        zombies: what became of the workers that were stopped and woke up: "fenced" if the database refused what they
            still wanted to write, else "put out" (they wrote nothing before they heard of it).
        observed: what else is worth telling, how often.
    """

    def __init__(self, stack: Stack, watch: Watch) -> None:
        self.stack, self.watch = stack, watch
        self.zombies = {"fenced": 0, "put out": 0}
        self.observed: dict[str, int] = {}

    @contextmanager
    def _away(self, name: str) -> Iterator[Server]:
        self.stack.down.add(name)
        try:
            yield self.stack[name]
        finally:
            self.stack.down.discard(name)

    async def _kill_and_start(self, name: str, away_s: float) -> None:
        with self._away(name) as server:
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(away_s)
            await asyncio.to_thread(server.start)

    async def _primary(self) -> Server:
        while (primary := await asyncio.to_thread(lambda: self.stack.mongodb.primary)) is None:
            await asyncio.sleep(0.2)
        return primary

    # the services

    async def kill_worker(self, random: Random) -> None:
        await self._kill_and_start(random.choice(WORKERS), random.uniform(0, 4))

    async def kill_ingress(self, random: Random) -> None:
        await self._kill_and_start("partners", random.uniform(0, 4))

    async def kill_feedback(self, random: Random) -> None:
        await self._kill_and_start("feedback", random.uniform(0, 4))

    async def kill_certification(self, random: Random) -> None:
        await self._kill_and_start("certification", random.uniform(0, 4))

    async def stop_worker(self, random: Random) -> None:
        """Stop a worker with a batch in hand until others have gone on with its partitions, then let it go on."""
        name = random.choice(WORKERS)
        with self._away(name) as worker:
            # Every step of a batch takes so long that there is hardly a moment without one.
            await asyncio.to_thread(self.stack.slow_down, 0.8)
            await asyncio.sleep(random.uniform(1.5, 3))
            pid, log = worker.pid, worker.log.stat().st_size
            if pid is None:
                return
            os.kill(pid, signal.SIGSTOP)
            await asyncio.to_thread(self.stack.slow_down, 0)
            await asyncio.sleep(SESSION_S + random.uniform(1, 3))
            with suppress(TimeoutError):
                async with asyncio.timeout(20):
                    await self.watch.reach(await self.watch.ends(), ("monitoring",))
            os.kill(pid, signal.SIGCONT)
        self.zombies["fenced" if await self._was_fenced(worker, log) else "put out"] += 1

    async def _was_fenced(self, worker: Server, since: int) -> bool:
        """Whether the worker has logged that its write was refused, before it was given partitions again."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with worker.log.open("rb") as log:
                log.seek(since)
                told = re.search(rb"[Ff]enced|partitions_assigned", log.read())
            if told:
                return told[0] != b"partitions_assigned"
            await asyncio.sleep(0.1)
        return False

    async def join_and_leave(self, random: Random) -> None:
        """A further worker joins, works for some seconds and leaves, or is killed."""
        worker = self.stack[JOINER]
        await asyncio.to_thread(worker.start)
        await asyncio.sleep(random.uniform(2, 6))
        await asyncio.to_thread(random.choice((worker.stop, worker.stop, worker.kill)))

    # Kafka

    async def kill_kafka(self, random: Random) -> None:
        await self._kill_and_start("kafka", random.uniform(0, 4))

    async def fill_kafka(self, random: Random) -> None:
        await self._fill("kafka", random)

    # MongoDB

    async def kill_primary(self, random: Random) -> None:
        await self._kill_and_start((await self._primary()).name, random.uniform(1, 5))

    async def step_down(self, random: Random) -> None:
        def command(uri: str) -> None:
            with MongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=2_000) as client:
                client.admin.command("replSetStepDown", 5, secondaryCatchUpPeriodSecs=3)

        for _ in range(5):
            primary = await self._primary()
            try:
                return await asyncio.to_thread(command, primary.address)
            except PyMongoError:
                await asyncio.sleep(random.uniform(0.5, 1.5))  # nobody has caught up enough to follow
        self._observe("step-down refused five times")

    async def slow_mongodb(self, random: Random) -> None:
        await asyncio.to_thread(self.stack.slow_down, random.uniform(0.02, 0.15))
        await asyncio.sleep(random.uniform(4, 8))
        await asyncio.to_thread(self.stack.slow_down, 0)

    async def fill_mongodb(self, random: Random) -> None:
        await self._fill((await self._primary()).name, random)

    async def _fill(self, name: str, random: Random) -> None:
        """Fill the disk under a server; free it after some seconds and start the server again if it ended."""
        with self._away(name) as server:
            disk = self.stack.disks[name]
            await asyncio.to_thread(disk.fill)
            for _ in range(100):
                if server.pid is None:
                    break
                await asyncio.sleep(0.1)
            self._observe(f"{name.partition('-')[0]} {'ended' if server.pid is None else 'ran on'} on a full disk")
            await asyncio.sleep(random.uniform(0, 3))
            await asyncio.to_thread(disk.free)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)

    def _observe(self, what: str) -> None:
        self.observed[what] = self.observed.get(what, 0) + 1


ALL = tuple(TOPICS_OF)


@dataclass(frozen=True)
class Kind:
    """A sort of fault.

    Attributes:
        components: what it has for itself; another fault of the same waits.
        holds_up: services that cannot do their work while it is in force.
        weight: how often it is dealt among all others.
        disks: which it needs to be able to fill.
    """

    name: str
    action: Callable[[Breaker, Random], Awaitable[None]]
    components: tuple[str, ...]
    holds_up: tuple[str, ...] = ALL
    weight: int = 2
    disks: tuple[str, ...] = ()


MONITORING = ("monitoring",)
KINDS = (
    Kind("kill -9 a monitoring worker", Breaker.kill_worker, WORKERS, MONITORING, 3),
    Kind("kill -9 the ingress (partners)", Breaker.kill_ingress, ("partners",), ("partners",)),
    Kind("kill -9 certification", Breaker.kill_certification, ("certification",), ("certification",)),
    Kind("kill -9 feedback", Breaker.kill_feedback, ("feedback",), ("feedback",)),
    Kind("stop a worker beyond its session", Breaker.stop_worker, (*WORKERS, "proxy"), MONITORING),
    Kind("a worker joins and leaves", Breaker.join_and_leave, (JOINER,), (), 3),
    Kind("kill -9 Kafka", Breaker.kill_kafka, ("kafka",)),
    Kind("kill -9 MongoDB's primary", Breaker.kill_primary, ("mongodb",)),
    Kind("step-down of MongoDB's primary", Breaker.step_down, ("mongodb",)),
    Kind("slow MongoDB", Breaker.slow_mongodb, ("proxy",)),
    Kind("full disk of MongoDB's primary", Breaker.fill_mongodb, ("mongodb",), ALL, 1, MEMBERS),
    Kind("full disk of Kafka", Breaker.fill_kafka, ("kafka",), ALL, 1, ("kafka",)),
)
BY_NAME = {kind.name: kind for kind in KINDS}


def deal(seed: int, seconds: float, every_s: float, possible: tuple[Kind, ...] = KINDS) -> Iterator[tuple[float, Kind]]:
    """What is to happen when: all kinds by their weights in random order, and again."""
    random, at = Random(f"{seed}/faults"), 0.0  # noqa: S311
    for _ in count():
        cards = [kind for kind in possible for _ in range(kind.weight)]
        random.shuffle(cards)
        for kind in cards:
            at += random.uniform(0.4, 1.6) * every_s
            if at > seconds:
                return
            yield at, kind


@dataclass
class Injection:
    """A fault that was injected, and the seconds from its end until everything published before that was applied.

    Time in which another fault kept from a service what it needs is left out for that service.
    """

    kind: Kind
    at_s: float
    lasted_s: float = 0
    recovered_s: float | None = None


@dataclass
class Faults:
    """Injects faults into a running stack and measures how it recovers."""

    stack: Stack
    watch: Watch
    breaker: Breaker
    injected: list[Injection] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._clocks = {service: Clock() for service in TOPICS_OF}
        self._started = time.monotonic()
        self._held: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def impossible(self) -> dict[str, str]:
        """The kinds of fault that cannot be injected here, with the reason."""
        disks = self.stack.disks
        return {kind.name: why for kind in KINDS for disk in kind.disks if (why := disks[disk].impossible)}

    async def run(self, seed: int, seconds: float, every_s: float) -> None:
        """Inject at random for so many seconds; what was begun is brought to its end, `recover` waits for the rest."""
        possible = tuple(kind for kind in KINDS if kind.name not in self.impossible())
        async with asyncio.TaskGroup() as tasks:
            for at, kind in deal(seed, seconds, every_s, possible):
                await asyncio.sleep(max(0.0, self._started + at - time.monotonic()))
                tasks.create_task(self.inject(kind, seed))

    async def inject(self, kind: Kind, seed: int) -> Injection:
        """Do it, and return once the component is back; the recovery goes on being measured."""
        locks = [self._held.setdefault(component, asyncio.Lock()) for component in sorted(kind.components)]
        for lock in locks:
            await lock.acquire()
        injection = Injection(kind, time.monotonic() - self._started)
        random = Random(f"{seed}/fault/{len(self.injected)}")  # noqa: S311
        self.injected.append(injection)
        try:
            with ExitStack() as held_up:
                for service in kind.holds_up:
                    held_up.enter_context(self._clocks[service])
                await kind.action(self.breaker, random)
        finally:
            for lock in locks:
                lock.release()
        injection.lasted_s = time.monotonic() - self._started - injection.at_s
        task = asyncio.create_task(self._measure(injection))
        self._tasks.add(task)
        return injection

    async def _measure(self, injection: Injection) -> None:
        since = {service: clock.seconds for service, clock in self._clocks.items()}
        took: dict[str, float] = {}
        ends = await self.watch.ends()
        while len(took) < len(since):
            for service, missing in (await self.watch.behind(ends)).items():
                if not missing and service not in took:
                    took[service] = self._clocks[service].seconds - since[service]
            await asyncio.sleep(POLL_S)
        slowest = max(took, key=lambda service: took[service])
        injection.recovered_s = took[slowest]
        lasted, recovered = injection.lasted_s, injection.recovered_s
        say(f"{injection.kind.name} ({lasted:.1f} s): recovered {recovered:.1f} s later, {slowest} last")

    async def recover(self) -> None:
        """Wait until the recovery of every fault is measured."""
        await asyncio.gather(*self._tasks)


STARTED = time.monotonic()


def say(what: str) -> None:
    passed = int(time.monotonic() - STARTED)
    print(f"{passed // 60:3}:{passed % 60:02}  {what}", flush=True)
