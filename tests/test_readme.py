"""What the README tells an enterprise's developer to type works as it stands there."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.processes import ROOT
from deploy.local.stack import WORKER
from tests.processes import Processes

README = (ROOT / "README.md").read_text()
CONNECT, COUNT = re.findall(r"<!-- tested: .*?-->\n```sh\n(.*?)```", README, re.DOTALL)
PROBLEM, COUNTED = re.findall(r"```json\n(\{.*?\})\n```", README, re.DOTALL)
needs_jq = pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")


@pytest.fixture(scope="module")
def services(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    servers = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "MONGODB_URI": mongodb, "PRAKTIKA_NAMESPACE": "readme"}
    with Processes(("partners", "monitoring", WORKER), tmp_path_factory.mktemp("readme"), **servers) as started:
        yield started


def typed(services: Processes, commands: str) -> str:
    """The last line that commands print."""
    for name, shown in (("partners", "http://127.0.0.1:8101"), ("monitoring", "http://127.0.0.1:8104")):
        commands = commands.replace(shown, services[name].address)
    command = ["bash", "-euo", "pipefail", "-c", commands]
    environment = {**os.environ, "SECRET": services.operator()["client_secret"]}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@needs_jq
def test_the_first_event_is_accepted(services: Processes):
    answer = json.loads(typed(services, CONNECT))
    assert answer["id"] == "9bccedfe12efc425-completed"
    assert answer["event"].startswith("/events/learner/")


@needs_jq
def test_the_first_events_are_counted_once(services: Processes):
    # What the reader does by looking again; the last command is the pipe that shows the value.
    again = (
        f"until shown=$({COUNT.partition(chr(10))[2]}) && [[ $shown == '{COUNTED}' ]]; do sleep 0.2; done; echo $shown"
    )
    assert typed(services, f"{CONNECT}\n{COUNT}\n{again}") == COUNTED


@needs_jq
def test_a_wrong_event_is_answered_as_shown(services: Processes):
    assert "17:00:00+07:00" in CONNECT
    assert json.loads(typed(services, CONNECT.replace("17:00:00+07:00", "17:00:00"))) == json.loads(PROBLEM)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z][a-z0-9-]*)", README))))
def test_every_make_target_that_is_named_exists(target: str):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", re.findall(r"\]\(((?!http)[^)]+)\)", README))
def test_every_file_that_is_linked_exists(path: str):
    assert (ROOT / Path(path)).exists()


def parts(readme: str) -> dict[str, list[str]]:
    """What two languages of the README must have in common."""
    prose = re.sub(r"```.*?```", "", readme, flags=re.DOTALL)
    return {
        "headings": [heading.split(" ")[0] for heading in re.findall(r"^#+ .*", prose, re.MULTILINE)],
        "blocks": re.findall(r"```.*?```", readme, re.DOTALL),
        "addresses": sorted(set(re.findall(r"https?://[^\s)|]+?(?=[.,]?[\s)|])", prose))),
        "links": sorted(set(re.findall(r"\]\(((?!README)[^)]+)\)", prose))),
        "code": sorted(set(re.findall(r"`([^`\n]+)`", prose))),
    }


def test_the_readme_says_the_same_in_russian():
    english, russian = parts(README), parts((ROOT / "README.ru.md").read_text())
    for what, there in english.items():
        assert russian[what] == there, what
