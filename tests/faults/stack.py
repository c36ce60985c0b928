"""The stack that is broken: Kafka, three MongoDB members behind a proxy, the services, at least two workers."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from deploy.demo.network import Network
from deploy.local.processes import ROOT, Server, ServerError, free_port, is_free, is_ok
from deploy.local.servers import STATE, ReplicaSet, kafka
from deploy.local.stack import WORKER, application
from deploy.setup import set_up
from services.partners.gateway.credentials import issue_to_operator
from shared.http.auth import REQUESTS
from tests.processes import at_once

from . import proxy
from .region import REQUEST_KEY

Answer = TypeVar("Answer")
WORKERS = ("worker-1", "worker-2")
JOINER = "worker-3"  # runs only while a fault lets it join
SERVICES = ("partners", "feedback", "certification", "monitoring", *WORKERS)
START_S = 300  # on a machine that has other things to do, too
MEMBERS = ("mongod-1", "mongod-2", "mongod-3")


class Disk:
    """A small file system for one server's data, to be filled; without the right to mount, an ordinary folder.

    Attributes:
        impossible: why it cannot be filled, if it cannot.
    """

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        self._megabytes = megabytes
        self.impossible: str | None = "it is not mounted"

    def mount(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={self._megabytes}m", "tmpfs", str(self.folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            self.impossible = "there is no mount command"
        else:
            self.impossible = done.stderr.strip().splitlines()[-1][:80] if done.returncode else None

    def unmount(self) -> None:
        if self.folder.is_mount():
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def fill(self) -> None:
        assert self.folder.is_mount()  # never a disk that others use
        with suppress(OSError), (self.folder / "ballast").open("wb", 0) as ballast:
            while True:
                ballast.write(bytes(64 * 1024))

    def free(self) -> None:
        (self.folder / "ballast").unlink(missing_ok=True)


class Stack:
    """All of it, by name; `down` names what a fault keeps away, everything else is started again when it ends.

    Args:
        services: what runs all the time.
        small_disks: put the servers' data on disks that can be filled.

    Attributes:
        ended: what ended without a fault having ended it, how often.
    """

    def __init__(self, folder: Path, services: tuple[str, ...] = SERVICES, *, small_disks: bool = True) -> None:
        self.folder, self._running, self._small_disks = folder, services, small_disks
        ports = free_ports()
        listen, known_as, self._control = [next(ports) for _ in MEMBERS], [next(ports) for _ in MEMBERS], next(ports)
        self.mongodb = ReplicaSet(folder, listen, known_as)
        self.kafka = kafka(folder, next(ports))
        pairs = [f"{known}:{port}" for known, port in zip(known_as, listen, strict=True)]
        command = [sys.executable, "-m", "tests.faults.proxy", str(self._control), *pairs]
        self.proxy = Server("proxy", "", command, folder, lambda: not is_free(self._control))
        self.env = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.address,
            "MONGODB_URI": self.mongodb.address,
            "PRAKTIKA_KEYS_DIR": str(folder / "keys"),
            # What the organisations say comes in no order, so what it refers to may come later.
            "PRAKTIKA_REGISTRY_CHECKS": "owners",
            "PRAKTIKA_FREE_IDS": "true",
            # As is right for a machine that carries all of this: nobody alone may take it.
            "PRAKTIKA_QUOTA_EVENTS_PER_S": "50",
            "PRAKTIKA_QUOTA_BURST_EVENTS": "500",
            "PRAKTIKA_QUOTA_BYTES_PER_S": "100000",
            "PRAKTIKA_QUOTA_BURST_BYTES": "1000000",
            "PRAKTIKA_IN_FLIGHT_REQUESTS_OF_ONE": "2",
            # As an installed service has it: started again, it does not compile itself again.
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(STATE / "bytecode"),
        }
        self.services = {name: self._service(name, next(ports)) for name in (*SERVICES, JOINER)}
        servers = [self.kafka, *self.mongodb.members]
        for server in servers:
            server.timeout_s = START_S
        self.servers = {server.name: server for server in servers}
        self.disks = {
            server.name: Disk(folder / f"{server.name}-data", 1_000 if server is self.kafka else 600)
            for server in servers
        }
        self._threads = ThreadPoolExecutor(32)
        self.down: set[str] = {JOINER}
        self.ended: dict[str, int] = {}

    def _service(self, name: str, port: int) -> Server:
        server = application(WORKER if name.startswith("worker") else name, port, self.env)
        answers = partial(is_ok, f"{server.address}/health/live")
        return replace(server, name=name, folder=self.folder, answers=answers, timeout_s=START_S)

    def __getitem__(self, name: str) -> Server:
        return self.services.get(name) or self.servers[name]

    async def aside(self, work: Callable[..., Answer], *arguments: object) -> Answer:
        """Do what blocks, in a thread that `stop` waits for: else it could start a server that nobody ends."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *arguments))

    def start(self) -> None:
        self._end_all()  # what an earlier run has left behind
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._small_disks:
            for disk in self.disks.values():
                disk.mount()
        self.proxy.start()
        self.kafka.start(wait=False)
        self.mongodb.start()
        self.kafka.wait()
        self._set_up()
        for name in self._running:
            self[name].start(wait=False)
        for name in self._running:
            self[name].wait()

    def _set_up(self) -> None:
        """As the set-up job does it: with the primary alone, because the job makes replica sets of one node."""
        keys = self.folder / "keys"
        keys.mkdir(exist_ok=True)
        (keys / REQUESTS).write_text(json.dumps({"key": REQUEST_KEY.hex(), "since": ""}))
        primary = self.mongodb.wait_for_primary()
        at_once(set_up, self.env | {"MONGODB_URI": primary.address})

    def run(self, *module: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a module with the services' environment."""
        command = [sys.executable, "-m", *module]
        environment = {**os.environ, **self.env, **env}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    def network(self) -> Network:
        """To speak to the services as the operator."""
        urls = {f"PRAKTIKA_{name.upper()}_URL": server.address for name, server in self.services.items()}
        return Network(urls, {"operator": at_once(lambda settings: issue_to_operator(settings, ""), self.env)})

    def slow_down(self, delay_s: float) -> None:
        """Let everything to and from MongoDB, and between its members, take so much longer; 0: no longer."""
        proxy.tell(self._control, delay_s)

    async def supervise(self) -> None:
        """Start again what ended by itself, as Docker or systemd would."""
        while True:
            for name in (*self._running, *self.servers):
                server = self[name]
                if name not in self.down and server.pid is None:
                    self.ended[name] = self.ended.get(name, 0) + 1
                    with suppress(ServerError):
                        await self.aside(partial(server.start, wait=False))
            await asyncio.sleep(1)

    def stop(self) -> None:
        """End everything and take the data away; the logs stay."""
        self._end_all()
        self._threads.shutdown(cancel_futures=True)
        self._end_all()
        for disk in self.disks.values():
            shutil.rmtree(disk.folder, ignore_errors=True)

    def _end_all(self) -> None:
        everything: Iterable[Server] = (*self.services.values(), self.kafka, *self.mongodb.members, self.proxy)
        for server in everything:
            if server.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(server.pid, signal.SIGKILL)
        for server in everything:
            server.kill()
        for disk in self.disks.values():
            disk.unmount()


def free_ports() -> Iterator[int]:
    """Free ports, each another."""
    given: set[int] = set()
    while True:
        port = free_port()
        if port not in given:
            given.add(port)
            yield port
