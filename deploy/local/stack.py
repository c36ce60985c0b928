"""The stack as child processes: Kafka and MongoDB unless they are given, the services, one worker."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import partial

from deploy.local.processes import ROOT, Server, ServerError, is_ok
from deploy.local.servers import STATE, Secured, kafka, mongod

FOLDER = STATE / "local"  # logs, pid files and data
KEYS = STATE / "keys"
KAFKA_KEYS = KEYS / "kafka"
MONGODB_KEYS = KEYS / "mongodb"
SET_UP_LOG = FOLDER / "setup.log"
WORKER = "monitoring-worker"
ROLES = {"monitoring": "api", WORKER: "worker"}


def runs(name: str) -> bool:
    """Whether a server or service of this stack runs, whatever its port."""
    return Server(name, "", [], FOLDER, lambda: True).pid is not None


class Local:
    """Ports: one for each service and the worker, and for `kafka` and `mongod` unless *given* names these.

    Args:
        secured: Kafka asks everybody who they are, and lets organisations in at its port `kafka-external`.
    """

    def __init__(self, ports: Mapping[str, int], given: tuple[str, str] | None, *, secured: bool = False) -> None:
        ports = dict(ports)
        external = ports.pop("kafka-external", 0)
        keys = Secured(KAFKA_KEYS, external) if secured else None
        own = kafka(FOLDER, ports.pop("kafka"), keys), mongod(FOLDER, ports.pop("mongod"), MONGODB_KEYS)
        self._servers = [] if given else list(own)
        bootstrap, uri = given or (own[0].address, own[1].address)
        self.env = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "MONGODB_URI": uri, "PRAKTIKA_KEYS_DIR": str(KEYS)}
        # By a name: browsers take passkeys at localhost, and not at 127.0.0.1.
        pages = {name: f"http://localhost:{port}" for name, port in ports.items() if name != WORKER}
        self.env["PRAKTIKA_PUBLIC_URLS"] = json.dumps(pages)
        logins = [MONGODB_KEYS] * (not given) + [KAFKA_KEYS] * secured
        self.env["PRAKTIKA_SECRETS_DIR"] = os.pathsep.join(str(keys / "services") for keys in logins)
        self._applications = [application(name, port, self.env) for name, port in ports.items()]

    def up(self) -> None:
        """Start what does not run, and wait until all answers."""
        is_up = all(application.answers() for application in self._applications)
        for server in self._servers:
            server.start(wait=False)
        set_up = None if is_up else self._begin_set_up()  # its imports take as long as the servers' start
        try:
            wait_for_all(self._servers)
            if set_up:
                self._end_set_up(set_up)
        finally:
            if set_up:
                set_up.kill()
                set_up.wait()
        start_all(self._applications)

    def down(self, *, clean: bool) -> None:
        for server in [*self._applications, *self._servers]:
            server.stop()
        if clean:
            shutil.rmtree(FOLDER, ignore_errors=True)
            shutil.rmtree(KEYS, ignore_errors=True)

    def stop_services(self) -> None:
        for application in self._applications:
            application.stop()

    def restart(self, name: str) -> None:
        self._named(name).restart()

    def show_status(self) -> None:
        for server in [*self._servers, *self._applications]:
            state = "stopped" if server.pid is None else "ready" if server.answers() else "not ready"
            print(f"{server.name:18} {state:10} {server.address}")

    def show_log(self, name: str) -> None:
        subprocess.run(["tail", "-n", "100", self._named(name).log], check=False)

    def run(self, service: str, module: Iterable[str], *, capture: bool) -> subprocess.CompletedProcess[str]:
        """Run a module as *service* would; here every service has the same environment."""
        command = [sys.executable, "-m", *module]
        environment = {**os.environ, **self.env}
        stdout = subprocess.PIPE if capture else None
        return subprocess.run(command, cwd=ROOT, env=environment, stdout=stdout, text=True, check=False)

    def _named(self, name: str) -> Server:
        for server in [*self._servers, *self._applications]:
            if server.name == name:
                return server
        raise ServerError(f"nothing here is called {name}")

    def _begin_set_up(self) -> subprocess.Popen[bytes]:
        FOLDER.mkdir(parents=True, exist_ok=True)
        with SET_UP_LOG.open("w") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "deploy.setup"],
                cwd=ROOT,
                env={**os.environ, **self.env},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _end_set_up(self, begun: subprocess.Popen[bytes]) -> None:
        if begun.wait():
            raise ServerError(f"the set-up job failed\n{SET_UP_LOG.read_text()}")


def application(name: str, port: int, env: Mapping[str, str]) -> Server:
    """Describe a service, or the worker, as one process."""
    address = f"http://127.0.0.1:{port}"
    own = {
        "PRAKTIKA_HOST": "127.0.0.1",
        "PRAKTIKA_PORT": str(port),
        "PRAKTIKA_ROLE": ROLES.get(name, "all"),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", f"services.{name.removesuffix('-worker')}.app"]
    return Server(name, address, command, FOLDER, partial(is_ok, f"{address}/health/ready"), env={**env, **own})


def start_all(servers: list[Server]) -> None:
    for server in servers:
        server.start(wait=False)
    wait_for_all(servers)


def wait_for_all(servers: list[Server]) -> None:
    for server in servers:
        server.wait()
