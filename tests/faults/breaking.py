"""What is done to the stack: the kinds of faults, when they are injected, and how long it takes to recover."""

import asyncio
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from random import Random

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from deploy.local.processes import Server
from shared.log.consumer import SESSION_MS

from .stack import JOINER, MEMBERS, WORKERS, Stack
from .watching import POLL_S, TOPICS_OF, Clock, Watch

FENCED = "stopped workers that woke up and were refused their write"
PUT_OUT = "stopped workers that woke up and had nothing to write"


@dataclass
class Fault:
    """One fault that is being injected, or was.

    Attributes:
        clocks: by service, the time in which nothing was away that it cannot do without.
        back: set once the component is there again, or disturbs no longer, if that is before the action's end.
        noted: what is worth telling of it.
        recovered_s: from then until everything published before was applied, by those clocks.
    """

    kind: "Kind"
    stack: Stack
    watch: Watch
    clocks: dict[str, Clock]
    random: Random
    back: asyncio.Event = field(default_factory=asyncio.Event)
    noted: Counter[str] = field(default_factory=Counter)
    recovered_s: float | None = None

    @contextmanager
    def _away(self, name: str) -> Iterator[Server]:
        self.stack.down.add(name)
        try:
            yield self.stack[name]
        finally:
            self.stack.down.discard(name)

    @contextmanager
    def _held_up(self, services: Iterable[str] = TOPICS_OF) -> Iterator[None]:
        with ExitStack() as clocks:
            for service in services:
                clocks.enter_context(self.clocks[service])
            yield

    async def _kill_and_start(self, name: str, holds_up: Iterable[str] = TOPICS_OF) -> None:
        with self._away(name) as server, self._held_up(holds_up):
            await self.stack.aside(server.kill)
            await asyncio.sleep(self.random.uniform(0, 4))
            await self.stack.aside(server.start)

    # the services

    async def kill_worker(self) -> None:
        await self._kill_and_start(self.random.choice(WORKERS), ["monitoring"])

    async def kill_ingress(self) -> None:
        await self._kill_and_start("partners", ["partners"])

    async def kill_feedback(self) -> None:
        await self._kill_and_start("feedback", ["feedback"])

    async def kill_certification(self) -> None:
        await self._kill_and_start("certification", ["certification"])

    async def stop_worker(self) -> None:
        """Stop a worker with a batch in hand until others have gone on with its partitions, then let it go on."""
        with self._away(self.random.choice(WORKERS)) as worker:
            # Every step of a batch takes so long that there is hardly a moment without one.
            await self.stack.aside(self.stack.slow_down, 0.8)
            await asyncio.sleep(self.random.uniform(1.5, 3))
            pid, log = worker.pid, worker.log.stat().st_size
            if pid is not None:
                os.kill(pid, signal.SIGSTOP)
            await self.stack.aside(self.stack.slow_down, 0)
            if pid is None:
                return
            with self._held_up(["monitoring"]):
                await asyncio.sleep(SESSION_MS / 1000)
            await asyncio.sleep(self.random.uniform(1, 3))
            with suppress(TimeoutError):
                async with asyncio.timeout(20):
                    await self.watch.reach(await self.watch.ends(), ["monitoring"])
            os.kill(pid, signal.SIGCONT)
        self.back.set()
        self.noted[FENCED if await was_fenced(worker, log) else PUT_OUT] += 1

    async def join_and_leave(self) -> None:
        """A further worker joins, works for some seconds and leaves, or is killed."""
        worker = self.stack[JOINER]
        await self.stack.aside(worker.start)
        await asyncio.sleep(self.random.uniform(2, 6))
        await self.stack.aside(self.random.choice((worker.stop, worker.stop, worker.kill)))

    # Kafka

    async def kill_kafka(self) -> None:
        await self._kill_and_start("kafka")

    async def fill_kafka(self) -> None:
        with self._away("kafka") as kafka, self._held_up():
            await self._fill(kafka)
            await asyncio.sleep(self.random.uniform(0, 3))
            await self._free(kafka)

    # MongoDB: what counts is that there is a primary again, the node itself comes back later

    async def _primary(self) -> Server:
        while (primary := await self.stack.aside(lambda: self.stack.mongodb.primary)) is None:
            await asyncio.sleep(0.1)
        return primary

    async def kill_primary(self) -> None:
        with self._away((await self._primary()).name) as primary:
            with self._held_up():
                await self.stack.aside(primary.kill)
                await self._primary()
            self.back.set()
            await asyncio.sleep(self.random.uniform(0, 4))
            await self.stack.aside(primary.start)

    async def fill_mongodb(self) -> None:
        with self._away((await self._primary()).name) as primary:
            with self._held_up():
                await self._fill(primary)
                await self._primary()
            self.back.set()
            await asyncio.sleep(self.random.uniform(0, 3))
            await self._free(primary)

    async def step_down(self) -> None:
        def command(uri: str) -> None:
            with MongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=2_000) as client:
                client.admin.command("replSetStepDown", 5, secondaryCatchUpPeriodSecs=3)

        for _ in range(5):
            primary = await self._primary()
            try:
                with self._held_up():
                    await self.stack.aside(command, primary.address)
                    await self._primary()
                return
            except PyMongoError:
                await asyncio.sleep(1)  # nobody has caught up enough to follow
        self.noted["step-downs that MongoDB refused five times"] += 1

    async def slow_mongodb(self) -> None:
        await self.stack.aside(self.stack.slow_down, self.random.uniform(0.02, 0.15))
        await asyncio.sleep(self.random.uniform(4, 8))
        await self.stack.aside(self.stack.slow_down, 0)

    async def _fill(self, server: Server) -> None:
        """Fill the disk under a server, which ends as a rule as soon as it wants to write."""
        await self.stack.aside(self.stack.disks[server.name].fill)
        for _ in range(100):
            if server.pid is None:
                break
            await asyncio.sleep(0.1)
        did = "ended" if server.pid is None else "ran on"
        self.noted[f"times that {server.name.partition('-')[0]} {did} on a full disk"] += 1

    async def _free(self, server: Server) -> None:
        await self.stack.aside(self.stack.disks[server.name].free)
        await self.stack.aside(server.kill)
        await self.stack.aside(server.start)


async def was_fenced(worker: Server, since: int) -> bool:
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


@dataclass(frozen=True)
class Kind:
    """A sort of fault.

    Attributes:
        components: what it has for itself; another fault of the same waits.
        weight: how often it is dealt among all others.
        disks: which it needs to be able to fill.
    """

    name: str
    action: Callable[[Fault], Awaitable[None]]
    components: tuple[str, ...]
    weight: int = 2
    disks: tuple[str, ...] = ()


KINDS = (
    Kind("kill -9 a monitoring worker", Fault.kill_worker, WORKERS, 3),
    Kind("kill -9 the ingress (partners)", Fault.kill_ingress, ("partners",)),
    Kind("kill -9 certification", Fault.kill_certification, ("certification",)),
    Kind("kill -9 feedback", Fault.kill_feedback, ("feedback",)),
    Kind("stop a worker beyond its session", Fault.stop_worker, (*WORKERS, "proxy")),
    Kind("a worker joins and leaves", Fault.join_and_leave, (JOINER,), 3),
    Kind("kill -9 Kafka", Fault.kill_kafka, ("kafka",)),
    Kind("kill -9 MongoDB's primary", Fault.kill_primary, ("mongodb",)),
    Kind("step-down of MongoDB's primary", Fault.step_down, ("mongodb",)),
    Kind("slow MongoDB", Fault.slow_mongodb, ("proxy",)),
    Kind("full disk of MongoDB's primary", Fault.fill_mongodb, ("mongodb",), 1, MEMBERS),
    Kind("full disk of Kafka", Fault.fill_kafka, ("kafka",), 1, ("kafka",)),
)


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


class Faults:
    """Injects faults into a running stack and measures how it recovers."""

    def __init__(self, stack: Stack, watch: Watch, seed: int) -> None:
        self.injected: list[Fault] = []
        self._stack, self._watch, self._seed = stack, watch, seed
        self._clocks = {service: Clock() for service in TOPICS_OF}
        self._held: dict[str, asyncio.Lock] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def impossible(self) -> dict[str, str]:
        """The kinds of fault that cannot be injected here, with the reason."""
        disks = self._stack.disks
        return {kind.name: why for kind in KINDS for disk in kind.disks if (why := disks[disk].impossible)}

    def noted(self) -> Counter[str]:
        return sum((fault.noted for fault in self.injected), Counter())

    async def run(self, seconds: float, every_s: float) -> None:
        """Inject at random for so many seconds, and bring what was begun to its end."""
        started, impossible = time.monotonic(), self.impossible()
        possible = tuple(kind for kind in KINDS if kind.name not in impossible)
        async with asyncio.TaskGroup() as tasks:
            for at, kind in deal(self._seed, seconds, every_s, possible):
                await asyncio.sleep(max(0.0, started + at - time.monotonic()))
                tasks.create_task(self.inject(kind))

    async def inject(self, kind: Kind) -> Fault:
        """Do it, and return once it is over; the recovery goes on being measured."""
        async with AsyncExitStack() as alone:
            for component in sorted(kind.components):
                await alone.enter_async_context(self._held.setdefault(component, asyncio.Lock()))
            random = Random(f"{self._seed}/fault/{len(self.injected)}")  # noqa: S311
            fault = Fault(kind, self._stack, self._watch, self._clocks, random)
            self.injected.append(fault)
            self._tasks.append(asyncio.create_task(self._measure(fault)))
            try:
                await kind.action(fault)
            finally:
                fault.back.set()
        return fault

    async def _measure(self, fault: Fault) -> None:
        began = time.monotonic()
        await fault.back.wait()
        lasted = time.monotonic() - began
        since = {service: clock.seconds for service, clock in self._clocks.items()}
        took: dict[str, float] = {}
        ends = await self._watch.ends()
        while len(took) < len(since):
            for service, missing in self._watch.behind(ends).items():
                if not missing and service not in took:
                    took[service] = self._clocks[service].seconds - since[service]
            await asyncio.sleep(POLL_S)
        slowest = max(took, key=lambda service: took[service])
        fault.recovered_s = took[slowest]
        say(f"{fault.kind.name} ({lasted:.1f} s): recovered {took[slowest]:.1f} s later, {slowest} last")

    async def recover(self) -> None:
        """Wait until the recovery of every fault is measured."""
        await asyncio.gather(*self._tasks)

    def end(self) -> None:
        """Measure no longer."""
        for task in self._tasks:
            task.cancel()


STARTED = time.monotonic()


def say(what: str) -> None:
    passed = int(time.monotonic() - STARTED)
    print(f"{passed // 60:3}:{passed % 60:02}  {what}", flush=True)
