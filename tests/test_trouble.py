"""Everything is killed while real graduates are being sent; afterwards every number is exact."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.demo.__main__ import INDICATORS, compare, send_graduates
from deploy.demo.network import Network
from deploy.local.processes import ROOT, free_port
from deploy.local.processes import Server as Program
from deploy.local.stack import WORKER, application
from tests.servers import Server, Servers
from tests.stack import until

NAMES = ("partners", "feedback", "certification", "monitoring", WORKER)


class Stack:
    """All services as processes on servers that may be killed."""

    def __init__(self, servers: Servers, folder: Path) -> None:
        self.env = {
            "KAFKA_BOOTSTRAP_SERVERS": servers.kafka.address,
            "MONGODB_URI": servers.mongodb.address,
            "PRAKTIKA_KEYS_DIR": str(folder / "keys"),
            "PRAKTIKA_LOG_LEVEL": "WARNING",
        }
        self.services = {name: replace(application(name, free_port(), self.env), folder=folder) for name in NAMES}
        self.everything: dict[str, Server | Program] = {**servers._asdict(), **self.services}

    def run(self, *module: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **self.env}
        command = [sys.executable, "-m", *module]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    def network(self) -> Network:
        operator = json.loads(self.run("services.partners.credentials", "operator").stdout)
        urls = {f"PRAKTIKA_{name.upper()}_URL": service.address for name, service in self.services.items()}
        return Network(urls, {"operator": operator})

    def kill_and_start(self, name: str) -> None:
        self.everything[name].kill()
        self.everything[name].start()


@pytest.fixture
def stack(own_servers: Servers, tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(own_servers, tmp_path)
    assert stack.run("deploy.setup").returncode == 0
    try:
        for service in stack.services.values():
            service.start(wait=False)
        for service in stack.services.values():
            service.wait()
        yield stack
    finally:
        for service in stack.services.values():
            service.kill()


async def test_killing_anything_under_load_loses_nothing_and_counts_nothing_twice(stack: Stack):
    network, killed = stack.network(), asyncio.Event()

    async def send() -> None:
        """Send everything, and again while there is something to kill: repeated events must change nothing either."""
        while not killed.is_set():
            await send_graduates(network)

    load = asyncio.create_task(send())
    for victim in (WORKER, "kafka", "feedback", "partners", "mongodb", "certification", WORKER, "kafka"):

        async def going_on(wanted: int = network.accepted + 3_000) -> bool:
            return network.accepted >= wanted or load.done()

        await until(going_on, 180)
        await asyncio.to_thread(stack.kill_and_start, victim)
    killed.set()
    await load
    equal, programmes, of = await compare(network)
    assert (equal, programmes) == (len(INDICATORS), of)
    audit = stack.run("services.monitoring.audit")
    assert audit.returncode == 0, audit.stdout
    await network.close()
