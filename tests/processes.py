"""The services as processes of their own, which may be killed."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from deploy.demo.network import Network
from deploy.local.processes import ROOT, Server, free_port
from deploy.local.stack import WORKER, application

ALL = ("partners", "feedback", "certification", "monitoring", WORKER)


class Processes:
    """Services of one network on given servers; the block starts them and ends them."""

    def __init__(self, names: tuple[str, ...], folder: Path, **env: str) -> None:
        own = {"PRAKTIKA_KEYS_DIR": str(folder / "keys"), "PRAKTIKA_LOG_LEVEL": "WARNING", "PRAKTIKA_FREE_IDS": "true"}
        self.env = {**own, **env}
        self.by_name = {name: replace(application(name, free_port(), self.env), folder=folder) for name in names}

    def __enter__(self) -> "Processes":
        done = self.run("deploy.setup")
        assert done.returncode == 0, done.stderr
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
        made: dict[str, str] = json.loads(self.run("services.partners.gateway.credentials", "operator").stdout)
        return made

    def network(self) -> Network:
        urls = {f"PRAKTIKA_{name.upper()}_URL": service.address for name, service in self.by_name.items()}
        return Network(urls, {"operator": self.operator()})
