"""The command itself: where it finds the servers, what it tells, and that the guide names nothing else."""

import json
import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.core import TyperGroup
from typer.testing import CliRunner

from deploy import stack
from deploy.local.processes import ROOT
from deploy.praktika import __main__ as praktika
from deploy.praktika.__main__ import application, find_stack
from shared import __version__
from shared.operator import console

GUIDE = (ROOT / "docs/operator.md").read_text()
GIVEN = ["kafka.example:9092", "mongodb://mongo.example/?replicaSet=rs0"]


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which no stack was started, and an environment that names no servers."""
    for name in list(os.environ):
        if name.startswith("PRAKTIKA_") or name in ("KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(praktika, "CHOICE", tmp_path / "stack.json")
    monkeypatch.setattr(praktika, "OPERATOR", tmp_path / "operator.json")
    monkeypatch.setattr(stack, "CHOICE", tmp_path / "stack.json")
    monkeypatch.chdir(tmp_path)


def start(tmp_path: Path, kind: str) -> None:
    """Note a stack as `make up` does."""
    ports = {"partners": 1, "feedback": 2, "certification": 3, "monitoring": 4, "monitoring-worker": 5}
    known = {"kind": kind, "given": GIVEN if kind == "local" else None, "ports": {**ports, "kafka": 6, "mongod": 7}}
    (tmp_path / "stack.json").write_text(json.dumps(known))


def test_servers_of_a_stack_of_processes_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    start(tmp_path, "local")
    monkeypatch.setattr(os, "environ", dict(os.environ))
    find_stack(["status"])
    assert [os.environ["KAFKA_BOOTSTRAP_SERVERS"], os.environ["MONGODB_URI"]] == GIVEN
    assert os.environ["PRAKTIKA_MONITORING_URL"] == "http://127.0.0.1:4"


def test_servers_that_the_environment_names_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    start(tmp_path, "local")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "other.example:9092")
    find_stack(["status"])
    assert "MONGODB_URI" not in os.environ


def test_what_needs_no_servers_runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    start(tmp_path, "compose")
    monkeypatch.setattr(os, "execvp", lambda *_: pytest.fail("a container was started"))
    find_stack(["validate", "events.jsonl"])
    find_stack(["status", "--help"])
    find_stack(["--version"])


def test_nothing_is_found_where_nothing_was_started(tmp_path: Path):
    find_stack(["status"])
    start(tmp_path, "")
    find_stack(["status"])
    assert "MONGODB_URI" not in os.environ


def test_a_stack_of_containers_does_the_work_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    start(tmp_path, "compose")
    became: list[str] = []
    monkeypatch.setattr(os, "execvp", lambda _, arguments: became.extend(arguments))
    find_stack(["history", "export", "history.jsonl.zst"])
    cloudevent = " ".join(became)
    assert cloudevent.startswith(f"docker compose --project-directory {ROOT} run --rm ")
    assert f"--volume {tmp_path}:/here --workdir /here --user {os.getuid()}:{os.getgid()}" in cloudevent
    assert cloudevent.endswith(" praktika history export history.jsonl.zst")


def test_the_link_in_the_virtual_environment_runs_it_from_any_folder(tmp_path: Path):
    link = tmp_path / "praktika"
    link.symlink_to(ROOT / "deploy/praktika.sh")
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy/__init__.py").write_text("raise SystemExit('another deploy')")
    done = subprocess.run([link, "rebuild", "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, "--drop-old" in done.stdout) == (0, True), done.stderr


def test_the_operators_secret_of_a_checkout_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    start(tmp_path, "compose")
    monkeypatch.setattr(os, "execvp", lambda *_: pytest.fail("a container was started"))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    (tmp_path / "operator.json").write_text('{"client_id": "operator", "client_secret": "told once"}')
    os.environ |= {"PRAKTIKA_CLIENT_ID": "river-plant", "PRAKTIKA_CLIENT_SECRET": "an enterprise's"}
    find_stack(["credentials", "list", "river-plant"])
    assert os.environ["PRAKTIKA_CLIENT_ID"] == "operator"
    assert os.environ["PRAKTIKA_PARTNERS_URL"] == "http://127.0.0.1:1"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], [], ["--show-completion"]])
def test_what_is_asked_often_imports_nothing_that_takes_long(arguments: list[str]):
    script = (
        f"import sys; sys.argv = ['praktika', *{arguments}]\n"
        "from deploy.praktika.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'aiokafka', 'motor', 'fastapi', 'pymongo', 'httpx'} & sys.modules.keys()\n"
        "print('heavy:', *sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy:"


@pytest.mark.parametrize(("typed", "offered"), [("praktika sta", "status"), ("praktika credentials ro", "rotate")])
def test_a_shell_completes_commands(typed: str, offered: str):
    asked = {"_PRAKTIKA_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    done = subprocess.run(
        [ROOT / "deploy/praktika.sh"], env=os.environ | asked, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [offered]


def commands(group: TyperGroup, name: str = "") -> list[str]:
    found = []
    for part, command in group.commands.items():
        found += commands(command, f"{name}{part} ") if isinstance(command, TyperGroup) else [name + part]
    return found


ROOT_COMMAND = typer.main.get_command(application())
assert isinstance(ROOT_COMMAND, TyperGroup)
COMMANDS = commands(ROOT_COMMAND)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_what_it_does_how_it_ends_and_speaks_json(command: str):
    result = CliRunner().invoke(application(), [*command.split(), "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "Ends with 0: fine;" in result.stdout
    assert "--json" in result.stdout


def test_the_guide_names_every_command_and_no_other():
    named = set(
        re.findall(r"^(?:docker compose run --rm (?:-T )?)?praktika ([a-z-]+(?: [a-z]+)?)", GUIDE, re.MULTILINE)
    )
    one_word = {command.split()[0] for command in COMMANDS if " " not in command}
    assert {name if name in COMMANDS else name.split()[0] for name in named} == set(COMMANDS)
    assert {name.split()[0] for name in named if name not in COMMANDS} <= one_word


@pytest.mark.parametrize("line", sorted(set(re.findall(r"^praktika .*? --[a-z].*", GUIDE, re.MULTILINE))))
def test_the_guide_names_options_that_exist(line: str):
    words = line.partition("#")[0].split()[1:]
    (command,) = [name for name in COMMANDS if words[: len(name.split())] == name.split()]
    text = CliRunner().invoke(application(), [*command.split(), "--help"], env={"COLUMNS": "200"}).stdout
    assert all(word in text for word in words if word.startswith("--")), line


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_table_wraps_its_last_column_only(monkeypatch: pytest.MonkeyPatch, width: int):
    shown = StringIO()
    monkeypatch.setattr(console, "out", Console(file=shown, force_terminal=True, width=width, color_system=None))
    reason = "the event does not fit the contract (data.hours: must be greater than 0; time: must have an offset) " * 2
    console.show_table(["RECEIVED", "ORGANISATION", "REASON"], [["2026-03-02T12:00:00", "north-college", reason]])
    first, *lines = shown.getvalue().splitlines()
    assert first.split() == ["RECEIVED", "ORGANISATION", "REASON"]
    assert lines[0].startswith("2026-03-02T12:00:00  north-college  ")
    assert "".join(line[36:].rstrip() for line in lines).replace(" ", "") == reason.replace(" ", "")
    assert all(len(line) <= max(width, 36 + console.LEAST_LAST) for line in lines)


def test_the_command_tells_its_version():
    done = CliRunner().invoke(application(), ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"praktika {__version__}\n")
