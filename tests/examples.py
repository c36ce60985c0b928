"""The clients in deploy/examples, run as their users would: by the commands of their READMEs.

`python -m tests.examples` measures, client by client, the seconds from a clone (nothing built, nothing downloaded) to
the first event that monitoring has counted.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from deploy.local.processes import ROOT, wait_until
from deploy.local.stack import WORKER
from tests import servers
from tests.processes import Processes

EXAMPLES, BUILT = ROOT / "deploy/examples", ROOT / ".praktika/examples"
LEARNERS = [f"north-college:{number}" for number in range(1, 6)]  # smaller groups are not shown
NEEDS = {
    "curl": ("bash", "curl", "jq"),
    "python": ("python3",),
    "node": ("node",),
    "go": ("go",),
    "java": ("java", "mvn"),
}
# Makes build tools forget what this machine has downloaded and built.
COLD = {
    "GOMODCACHE": "{0}/go-modules",
    "GOCACHE": "{0}/go-build",
    "GOFLAGS": "-modcacherw",
    "MAVEN_OPTS": "-Dmaven.repo.local={0}/maven",
    "PIP_NO_CACHE_DIR": "1",
}
Environment = dict[str, str]


def missing(client: str) -> str:
    """Which tool of a client is not here; college.sh needs curl's."""
    lacking = [tool for tool in {*NEEDS["curl"], *NEEDS[client]} if not shutil.which(tool)]
    return f"not on PATH: {', '.join(sorted(lacking))}" if lacking else ""


def commands(client: str, over: str = "") -> str:
    """The tested commands of a client's README."""
    found = re.search(
        rf"<!-- tested{over}: .*?-->\n```sh\n(.*?)```", (EXAMPLES / client / "README.md").read_text(), re.S
    )
    assert found, f"{client}/README.md has no tested commands{over}"
    return found[1]


def built(client: str) -> str:
    """Those of them that build it."""
    return "\n".join(line for line in commands(client).splitlines() if LEARNERS[0] not in line)


def published(client: str, over: str = "") -> str:
    """Those of them that publish: one event, and a batch that has it again."""
    return "\n".join(line for line in commands(client, over).splitlines() if LEARNERS[0] in line)


@dataclass
class Stack:
    """Partners and monitoring on real servers."""

    processes: Processes
    operator_secret: str
    namespace: str

    def url(self, service: str) -> str:
        return self.processes[service].address

    def enterprise(self, id: str) -> Environment:
        """Register an enterprise to which a college sends its learners; give a client's settings."""
        with self._operator() as http:
            body = {"kind": "enterprise", "name": id, "region": "north"}
            http.put(f"/organisations/{id}", json=body).raise_for_status()
            made = http.post(f"/organisations/{id}/credentials").raise_for_status().json()
        settings = {
            "PRAKTIKA_URL": self.url("partners"),
            "PRAKTIKA_CLIENT_ID": id,
            "PRAKTIKA_CLIENT_SECRET": made["client_secret"],
        }
        run(f"./college.sh {' '.join(LEARNERS)}", EXAMPLES, settings | {"SECRET": self.operator_secret})
        return settings

    def enterprise_on_kafka(self, id: str, folder: Path) -> Environment:
        """The same, with what a client over Kafka needs."""
        settings = self.enterprise(id)
        with self._operator() as http:
            made = http.post(f"/organisations/{id}/kafka-credentials").raise_for_status().json()
        authority = folder / f"{id}.pem"
        authority.write_text(made["ca"])
        return settings | {
            "PRAKTIKA_KAFKA": made["bootstrap_servers"],
            "PRAKTIKA_KAFKA_USER": made["user"],
            "PRAKTIKA_KAFKA_PASSWORD": made["password"],
            "PRAKTIKA_KAFKA_CA": str(authority),
            "PRAKTIKA_KAFKA_TOPIC": made["ingress"],
        }

    def _operator(self) -> httpx.Client:
        form = {"grant_type": "client_credentials", "client_id": "operator", "client_secret": self.operator_secret}
        token = httpx.post(f"{self.url('partners')}/token", data=form, trust_env=False, timeout=60).json()[
            "access_token"
        ]
        headers = {"Authorization": f"Bearer {token}", "Prefer": "wait=20"}
        return httpx.Client(base_url=self.url("partners"), trust_env=False, timeout=60, headers=headers)

    def counted(self, enterprise: str) -> dict[str, Any]:
        """The hours per learner that monitoring says of an enterprise; nothing before it knows the enterprise."""
        query = {"scope": "enterprise", "scope_id": enterprise}
        url = f"{self.url('monitoring')}/indicators/workplace_hours_per_learner"
        answer = httpx.get(url, params=query, trust_env=False, timeout=30)
        return answer.json() if answer.status_code == 200 else {"n": 0}


@contextmanager
def stack(kafka: str, mongodb: str, folder: Path, namespace: str, **settings: str) -> Iterator[Stack]:
    given = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "MONGODB_URI": mongodb, "PRAKTIKA_NAMESPACE": namespace, **settings}
    with Processes(("partners", "monitoring", WORKER), folder, **given) as processes:
        yield Stack(processes, processes.operator()["client_secret"], namespace)


def copied(client: str, to: Path) -> Path:
    """A client's files as a clone has them; what was built there before stays."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", client],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLES / name, to / name)
    return to / client


def started(script: str, folder: Path, settings: Mapping[str, str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **settings}
    command = ["bash", "-euo", "pipefail", "-c", script]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, **streams)  # type: ignore[call-overload]


def run(script: str, folder: Path, settings: Mapping[str, str], status: int = 0) -> str:
    """What commands print; they must end with *status*."""
    running = started(script, folder, settings)
    printed, _ = running.communicate(timeout=240)
    assert running.returncode == status, printed
    return printed


def first_counted_s(stack: Stack, client: str, folder: Path) -> float:
    settings = stack.enterprise(f"cold-{client}") | {name: value.format(folder) for name, value in COLD.items()}
    begin = time.monotonic()
    running = started(commands(client), copied(client, folder), settings)
    wait_until(lambda: stack.counted(f"cold-{client}")["n"] != 0 or running.poll() not in (None, 0), 300)
    seconds = time.monotonic() - begin
    printed, _ = running.communicate(timeout=240)
    assert running.returncode == 0, printed
    return seconds


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        servers.running() as (kafka, mongodb),
        stack(kafka.address, mongodb.address, Path(folder), "examples") as measured,
    ):
        for client in NEEDS:
            took = missing(client) or f"{first_counted_s(measured, client, Path(folder) / 'cold' / client):.1f} s"
            print(f"{client:8} {took}", flush=True)


if __name__ == "__main__":
    main()
