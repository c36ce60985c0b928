"""The stack as containers of this machine's engine, by Docker Compose."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping

from deploy.local.processes import ROOT, ServerError

IMAGES = {"KAFKA_IMAGE": "apache/kafka:4.4.0", "MONGO_IMAGE": "mongo:8.0", "CADDY_IMAGE": "caddy:2.11.7"}
BASE_IMAGE = "python:3.13-slim-trixie"


def is_possible() -> bool:
    """Whether an engine answers, knows Compose, and has or gets the images."""
    images = [BASE_IMAGE, *(os.environ.get(name, image) for name, image in IMAGES.items())]
    return succeeds("compose", "version") and all(map(has_image, images))


def has_image(image: str) -> bool:
    """Whether an engine answers and has the image, or can pull it."""
    return succeeds("version") and (succeeds("image", "inspect", image) or succeeds("pull", image))


def succeeds(*arguments: str) -> bool:
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", *arguments], capture_output=True, check=False).returncode == 0


def running_services() -> set[str]:
    return set(docker_compose("ps", "--services", "--status", "running", capture=True).stdout.split())


def docker_compose(
    *arguments: str, capture: bool = False, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", "compose", *arguments],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE if capture else None,
        text=True,
        check=False,
    )


class Compose:
    """Ports: where each service is published on this machine."""

    def __init__(self, ports: Mapping[str, int], *, secured: bool = False) -> None:
        self.env: dict[str, str] = {}
        self._own = {f"PRAKTIKA_{name.upper().replace('-', '_')}_PORT": str(port) for name, port in ports.items()}
        if secured:
            self._own["COMPOSE_PROFILES"] = ",".join(filter(None, (os.environ.get("COMPOSE_PROFILES"), "secure")))

    def up(self) -> None:
        """Build the image, start what does not run or has changed, and wait until all is healthy."""
        if docker_compose("up", "-d", "--build", "--wait", env=self._own).returncode:
            docker_compose("logs", "--tail", "20")
            raise ServerError("docker compose up failed, see above")

    def down(self, *, clean: bool) -> None:
        docker_compose("down", *(["--volumes"] if clean else []), env=self._own)

    def stop_services(self) -> None:
        docker_compose("stop", "partners", "feedback", "certification", "monitoring", "monitoring-worker")

    def restart(self, name: str) -> None:
        docker_compose("restart", name)

    def show_status(self) -> None:
        docker_compose("ps", "--all")

    def show_log(self, name: str) -> None:
        docker_compose("logs", "--tail", "100", name)

    def run(self, service: str, module: Iterable[str], *, capture: bool) -> subprocess.CompletedProcess[str]:
        """Run a module inside the service's container."""
        return docker_compose("exec", "-T", service, "python", "-m", *module, capture=capture)
