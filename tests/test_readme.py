"""What the README tells an enterprise's developer to type works as it stands there."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.processes import ROOT
from tests.processes import Processes

README = (ROOT / "README.md").read_text()
SHELL = re.search(r"<!-- tested: .*?-->\n```sh\n(.*?)```", README, re.DOTALL)
PROBLEM = re.search(r"```json\n(\{.*?\})\n```", README, re.DOTALL)


@pytest.fixture(scope="module")
def partners(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    servers = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "MONGODB_URI": mongodb, "PRAKTIKA_NAMESPACE": "readme"}
    with Processes(("partners",), tmp_path_factory.mktemp("readme"), **servers) as started:
        yield started


def typed(partners: Processes, change: tuple[str, str] = ("", "")) -> str:
    """What the README's commands print at the end, with one change to what is typed."""
    assert SHELL, "the README has no tested commands"
    assert change[0] in SHELL[1]
    script = SHELL[1].replace("http://127.0.0.1:8101", partners["partners"].address).replace(*change)
    environment = {**os.environ, "SECRET": partners.operator()["client_secret"]}
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.rpartition("}{")[2] and "{" + done.stdout.rpartition("}{")[2]


def test_the_first_event_is_accepted(partners: Processes):
    answer = json.loads(typed(partners))
    assert answer["id"] == "enrolment-2026-17"
    assert answer["event"].startswith("/events/learner/")


def test_a_wrong_event_is_answered_as_shown(partners: Processes):
    assert PROBLEM, "the README shows no problem"
    assert json.loads(typed(partners, ("09:00:00+07:00", "09:00:00"))) == json.loads(PROBLEM[1])


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z][a-z0-9-]*)", README))))
def test_every_make_target_that_is_named_exists(target: str):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", re.findall(r"\]\(((?!http)[^)]+)\)", README))
def test_every_file_that_is_linked_exists(path: str):
    assert (ROOT / Path(path)).exists()
