"""One run: the stack, the load, the faults, and what was found afterwards."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from .breaking import Faults, say
from .finding import Findings, compare, expect, read_log
from .sending import Load, found_region
from .stack import Stack
from .watching import Watch

SETTLE_S = 300


@dataclass
class Run:
    """A running stack under load, and the means to break it; afterwards `prove` says what is wrong."""

    seed: int
    stack: Stack
    load: Load
    watch: Watch
    faults: Faults
    sending: "asyncio.Task[None]"

    async def prove(self) -> Findings:
        """End the load, wait until everything is applied, and compare it with the oracle."""
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
        logged = await read_log(self.stack.kafka.address)
        primary = await self.stack.aside(self.stack.mongodb.wait_for_primary)
        load = self.seed, self.load.told, self.load.poisoned

        def look() -> None:
            compare(found, expect(self.seed, self.load.told, logged), logged, primary.address, load)

        await self.stack.aside(look)


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
            credentials = await found_region(network)
        finally:
            network.credentials = {}  # or they would be withdrawn
            await network.close()
        load = Load(seed, rate, pool, stack["partners"].address, stack.kafka.address, credentials)
        tasks.append(asyncio.create_task(load.run()))
        say(f"the stack is up, its logs are in {stack.folder}; {rate:.0f} events/s")
        yield Run(seed, stack, load, watch, faults, tasks[-1])
    finally:
        faults.end()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await watch.close()
        await asyncio.to_thread(stack.stop)
