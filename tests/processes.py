"""The services as processes of their own, which may be killed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from unittest.mock import patch

from deploy.demo.network import Network
from deploy.local.processes import ROOT, Server, free_port
from deploy.local.stack import WORKER, application
from deploy.setup import set_up
from services.partners.gateway.credentials import issue_to_operator
from shared.settings import Settings
from shared.settings import settings as read_settings
from tests.stack import Running

Done = TypeVar("Done")
ALL = ("partners", "feedback", "certification", "monitoring", WORKER)


class Processes:
    """Services of one network on given servers; the block starts them and ends them."""

    def __init__(self, names: tuple[str, ...], folder: Path, **env: str) -> None:
        own = {"PRAKTIKA_KEYS_DIR": str(folder / "keys"), "PRAKTIKA_LOG_LEVEL": "WARNING", "PRAKTIKA_FREE_IDS": "true"}
        self.env = {**own, **env}
        self.by_name = {name: replace(application(name, free_port(), self.env), folder=folder) for name in names}

    def __enter__(self) -> "Processes":
        at_once(set_up, self.env)
        try:
            for service in self.by_name.values():
                service.start(wait=False)
            for service in self.by_name.values():
                service.wait()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        for service in self.by_name.values():
            service.kill()

    def __getitem__(self, name: str) -> Server:
        return self.by_name[name]

    def run(self, *module: str) -> subprocess.CompletedProcess[str]:
        """Run a module with the services' environment."""
        environment = {**os.environ, **self.env}
        command = [sys.executable, "-m", *module]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    def operator(self) -> dict[str, str]:
        """A new credential of the operator."""
        return at_once(lambda settings: issue_to_operator(settings, ""), self.env)

    def network(self) -> Network:
        urls = {f"PRAKTIKA_{name.upper()}_URL": service.address for name, service in self.by_name.items()}
        return Network(urls, {"operator": self.operator()})


def at_once(work: Callable[[Settings], Coroutine[Any, Any, Done]], env: dict[str, str]) -> Done:
    """Do what a command with this environment does, without the seconds in which its process imports."""
    with patch.dict(os.environ, env):
        settings = read_settings.__wrapped__()
    with ThreadPoolExecutor(1) as beside_the_loop:
        return beside_the_loop.submit(lambda: asyncio.run(work(settings))).result()


def environment(stack: Running) -> dict[str, str]:
    """What a process on a stack's servers and namespace is told."""
    return os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": stack.settings.kafka_bootstrap_servers,
        "MONGODB_URI": stack.settings.mongodb_uri,
        "PRAKTIKA_NAMESPACE": stack.settings.namespace,
        "PRAKTIKA_KEYS_DIR": str(stack.settings.keys_dir),
        "PRAKTIKA_TICK_S": "0.25",
        "PRAKTIKA_CONSUME_MAX_RECORDS": "100",
    }


@contextmanager
def worker(stack: Running, service: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of a service as a process of its own, killed at the end: kill -9."""
    settings = {"PRAKTIKA_ROLE": "worker", "PRAKTIKA_PORT": str(free_port())}
    command = [sys.executable, "-m", f"services.{service}.app"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(stack) | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
