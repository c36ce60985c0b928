"""The product's services as processes, for the sections that need more than a worker."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from benchmarks.environment import Environment
from benchmarks.http_load import Connection, get
from benchmarks.timing import Failed, Process, started
from deploy.local.processes import free_port
from shared.contract.events import Publisher
from shared.http.auth import Caller, Signer, ensure_keys


@dataclass(frozen=True)
class Service:
    """A service that answers on a port of its own."""

    process: Process
    port: int

    async def metric(self, name: str) -> float:
        """A counter, summed over its labels; 0 if the service has none of that name."""
        answer = await Connection(self.port).ask(get("/metrics"))
        lines = [line for line in answer.body.decode().splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rpartition(" ")[2]) for line in lines)


@asynccontextmanager
async def service(
    at: Environment, namespace: str, name: str, role: str, ready: str = "/health/ready", **further: str
) -> AsyncIterator[Service]:
    """Start a service and wait until it is ready; it ends with the block. *further*: of its at."""
    port = free_port()
    env = {**at.env(namespace), "PRAKTIKA_ROLE": role, "PRAKTIKA_PORT": str(port), **further}
    env["PRAKTIKA_QUOTA_EVENTS_PER_S"] = "1000000"  # what is measured is the ingress, not its quota
    async with started(f"{name}-{role}", [sys.executable, "-m", f"services.{name}.app"], env) as process:
        await answers(process, port, ready)
        yield Service(process, port)


async def answers(process: Process, port: int, path: str, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        process.check()
        connection = Connection(port)
        try:
            if (await connection.ask(get(path))).status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        if time.monotonic() > deadline:
            raise Failed(f"nothing answers at {path}\n{process.tail()}")
        await asyncio.sleep(0.1)


@asynccontextmanager
async def workers(at: Environment, namespace: str, count: int) -> AsyncIterator[list[Service]]:
    """So many monitoring workers, started together; not waited for."""
    async with AsyncExitStack() as stack:
        found = []
        for number in range(count):
            port = free_port()
            env = {**at.env(namespace), "PRAKTIKA_ROLE": "worker", "PRAKTIKA_PORT": str(port)}
            command = [sys.executable, "-m", "services.monitoring.app"]
            process = await stack.enter_async_context(started(f"worker-{number}", command, env))
            found.append(Service(process, port))
        yield found


def token(at: Environment, namespace: str, organisation: str) -> str:
    """What an institution sends as its credential, signed with the key that the services check with."""
    settings = at.settings(namespace)
    ensure_keys(settings)
    return Signer(settings).token(Caller(organisation, Publisher.institution))
