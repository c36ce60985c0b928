"""One run: the stack, the load, the faults, and what was found afterwards."""

import asyncio
import json
import logging
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from deploy.local.processes import ROOT

from .breaking import Faults, say
from .finding import Findings, Logged, compare, compare_demand, expect, must_be_recommended, read_log
from .region import HOSTILE_ENTERPRISE, HOSTILE_INSTITUTION, Json
from .sending import Load, found_region
from .stack import Stack
from .watching import Watch

SETTLE_S, FOLLOWS_S = 300, 60
MEASURED_S, WARM_UP_S = 60, 15


class Hostile:
    """The process of the hostile organisations.

    Attributes:
        answers: by attack, how often which status was the answer; known once it has ended.
    """

    def __init__(self, partners: str, credentials: dict[str, Json], seed: int) -> None:
        self._partners, self._seed = partners, seed
        self._credentials = {id: credentials[id] for id in (HOSTILE_ENTERPRISE, HOSTILE_INSTITUTION)}
        self._process: asyncio.subprocess.Process | None = None
        self.answers: dict[str, dict[str, int]] = {}

    async def start(self) -> None:
        pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
        command = [sys.executable, "-m", "tests.faults.hostile", self._partners, str(self._seed)]
        self._process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, **pipes)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(self._credentials).encode())
        self._process.stdin.close()

    async def end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.terminate()
            printed, _ = await process.communicate()
            self.answers = json.loads(printed)


@dataclass
class Run:
    """A running stack under load, and the means to break it; afterwards `prove` says what is wrong."""

    seed: int
    stack: Stack
    load: Load
    watch: Watch
    faults: Faults
    sending: "asyncio.Task[None]"
    hostile: Hostile
    p99_s: dict[str, float] = field(default_factory=dict)

    async def compare_waiting(self) -> None:
        """How long the others wait for the ingress, in quiet and while they are attacked. The attack then goes on.

        Measured at half the rate: at the whole one the machine is full without an attack.
        """
        say(f"measuring for {MEASURED_S} s in quiet, for {MEASURED_S} s under attack")
        self.load.rate /= 2
        await asyncio.sleep(WARM_UP_S)
        self.p99_s["quiet"] = p99(await self.load.measure(MEASURED_S))
        await self.hostile.start()
        self.p99_s["attacked"] = p99(await self.load.measure(MEASURED_S))
        self.load.rate *= 2
        say("p99 of the others: " + ", ".join(f"{when} {1_000 * s:.0f} ms" for when, s in self.p99_s.items()))

    async def prove(self) -> Findings:
        """End the load, wait until everything is applied, and compare it with the oracle."""
        await self.hostile.end()
        self.load.end()
        await self.sending
        await self.faults.recover()
        say("everything is sent; waiting until it is applied")
        found = Findings()
        try:
            async with asyncio.timeout(SETTLE_S):
                await self.watch.settle()
        except TimeoutError:
            behind = self.watch.behind(await self.watch.ends())
            found.lose(f"not applied after {SETTLE_S} s: {behind}", sum(behind.values()))
        for refusal in self.load.refused:
            found.lose(f"refused: {refusal}")
        say("comparing")
        await self.compare(found)
        return found

    async def compare(self, found: Findings) -> None:
        """Audit, and compare the log and the databases with the oracle."""
        audit = await self.stack.aside(self.stack.run, "deploy.praktika", "audit")
        say((audit.stdout.strip().splitlines() or [audit.stderr[-1_000:]])[-1])
        if audit.returncode:
            found.lose(f"the audit failed: {audit.stdout[-1_000:]}")
        logged = await self._logged()
        primary = await self.stack.aside(self.stack.mongodb.wait_for_primary)
        load = self.seed, self.load.told, self.load.poisoned
        expected = await self.stack.aside(expect, self.seed, self.load.told, logged)
        await self.stack.aside(compare, found, expected, logged, primary.address, load)
        await self.stack.aside(compare_demand, found, expected, self.stack["feedback"].address)

    async def _logged(self) -> Logged:
        """The log, with the revisions that must be recommended; or without them, after `FOLLOWS_S`.

        They are found by a look at what time has brought, and the next look is twenty times as far as one takes.
        """
        until = time.monotonic() + FOLLOWS_S
        while True:
            logged = await read_log(self.stack.kafka.address)
            expected = await self.stack.aside(expect, self.seed, self.load.told, logged)
            if must_be_recommended(expected).keys() <= logged.derived.keys() or time.monotonic() > until:
                return logged
            await self.watch.settle()


def p99(seconds: list[float]) -> float:
    return seconds[int(len(seconds) * 0.99)]


@asynccontextmanager
async def running(stack: Stack, seed: int, rate: float, pool: int = 2_000) -> AsyncIterator[Run]:
    """Start the stack and the load; end all of it with the block."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it reports every failed attempt to connect
    tasks: list[asyncio.Task[None]] = []
    watch = Watch(stack.kafka.address, stack.mongodb.address)
    faults = Faults(stack, watch, seed)
    try:
        await stack.aside(stack.start)
        tasks += [asyncio.create_task(stack.supervise()), asyncio.create_task(watch.run())]
        network = await stack.aside(stack.network)
        try:
            credentials = await found_region(network, seed)
        finally:
            network.credentials = {}  # or they would be withdrawn
            await network.close()
        load = Load(seed, rate, pool, stack["partners"].address, stack.kafka.address, credentials)
        tasks.append(asyncio.create_task(load.run()))
        say(f"the stack is up, its logs are in {stack.folder}; {rate:.0f} events/s")
        hostile = Hostile(stack["partners"].address, credentials, seed)
        try:
            yield Run(seed, stack, load, watch, faults, tasks[-1], hostile)
        finally:
            await hostile.end()
    finally:
        faults.end()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await watch.close()
        await asyncio.to_thread(stack.stop)
