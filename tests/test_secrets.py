"""Secrets are nowhere but where they belong: no log, event, database, answer or image holds one."""

import base64
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local.processes import ROOT
from shared.processing import mongo
from shared.settings import Settings
from tests.network import STRUCTURED, cloudevent
from tests.processes import Processes

NAMESPACE = "secrets"
GUIDE = (ROOT / "docs/security.md").read_text()
WRONG = "a-wrong-secret-that-somebody-typed"
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture(scope="module")
def processes(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    servers = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "MONGODB_URI": mongodb, "PRAKTIKA_NAMESPACE": NAMESPACE}
    folder = tmp_path_factory.mktemp("secrets")
    with Processes(("partners", "certification"), folder, **servers, PRAKTIKA_LOG_LEVEL="DEBUG") as started:
        yield started


class Visit:
    """What a network is asked and answers, and the secrets that come up."""

    def __init__(self, processes: Processes) -> None:
        self.processes, self.answers, self.printed = processes, [], ""
        self.secrets: set[str] = {WRONG}

    def ask(self, method: str, path: str, service: str = "partners", *, secret: str = "", **given: Any) -> Any:
        """Ask; an answer whose member *secret* is the one look at a secret is not searched."""
        url = self.processes[service].address + path
        answer = httpx.request(method, url, timeout=30, trust_env=False, **given)
        if secret and answer.is_success:
            self.secrets.add(answer.json()[secret])
        else:
            self.answers.append(f"{answer.headers} {answer.text}")
        return answer

    def token(self, credential: dict[str, str], secret: str = "") -> dict[str, str]:
        auth = (credential["client_id"], secret or credential["client_secret"])
        basic = base64.b64encode(":".join(auth).encode()).decode()
        self.secrets |= {auth[1], basic}
        answer = self.ask("POST", "/token", secret="access_token", data=GRANT, auth=auth)
        return {"Authorization": f"Bearer {answer.json().get('access_token', '')}"}

    def run(self, *module: str) -> str:
        done = self.processes.run(*module)
        assert done.returncode == 0, done.stderr
        self.printed += done.stderr
        return done.stdout

    def keys(self) -> None:
        """Note the key that signs now."""
        pem = (Path(self.processes.env["PRAKTIKA_KEYS_DIR"]) / "private/token.key").read_text()
        self.secrets.add(pem.splitlines()[1])


def visit(processes: Processes) -> Visit:
    """Everything that secrets are used for, and mistakes with them; the keys are changed on the way."""
    told = Visit(processes)
    told.keys()
    operator = json.loads(told.run("services.partners.gateway.credentials", "operator"))
    as_operator = told.token(operator)
    told.ask("PUT", "/organisations/uni", headers=as_operator | WAIT, json=ENTRY)
    made = told.ask("POST", "/organisations/uni/credentials", secret="client_secret", headers=as_operator).json()
    as_uni = told.token(made)
    told.token(made, WRONG)
    told.ask("GET", "/organisations/uni/credentials", headers=as_operator)
    told.ask("POST", "/token", data=GRANT | {"client_id": "uni", "client_secret": WRONG})
    told.ask("GET", "/token", params={"client_secret": made["client_secret"]})
    told.ask("POST", "/events", headers={"Authorization": f"Bearer {made['client_secret']}"} | STRUCTURED, content="{}")
    told.ask("PUT", "/schemes/s", "certification", headers=as_uni, json={"secret": 1})
    told.ask("PUT", "/programmes/p", headers=as_uni | WAIT, json=PROGRAMME)
    event = cloudevent("uni", "learner.enrolled", "l-1", {"programme": "p"})
    assert told.ask("POST", "/events", headers=as_uni | STRUCTURED, json=event).status_code == 202
    wrong = told.ask("POST", "/events", headers=as_uni | STRUCTURED, json=event | {"time": "never"})
    assert wrong.status_code == 422
    told.run("deploy.setup", "--rotate-keys")
    told.keys()
    fresh = told.token(made)
    kids = [jwt.get_unverified_header(token["Authorization"][7:])["kid"] for token in (as_uni, fresh)]
    assert kids[0] != kids[1]
    for token in (as_uni, fresh):
        assert told.ask("GET", "/learners", headers=token).status_code == 200
        assert told.ask("GET", "/certificates", "certification", headers=token).status_code == 200
    told.run("deploy.setup", "--replace-keys")
    told.keys()
    for service, path in (("partners", "/learners"), ("certification", "/certificates")):
        until_refused(lambda service=service, path=path: told.ask("GET", path, service, headers=as_uni).status_code)
    last = told.token(made)
    assert told.ask("GET", "/certificates", "certification", headers=last).status_code == 200
    return told


WAIT = {"Prefer": "wait=20"}
PROGRAMME = {"title": "P", "version": "1", "level": 4}
ENTRY = {"kind": "institution", "name": "Uni", "region": "north"}


def until_refused(status: Any) -> None:
    """A verifier looks once a second: its answer to a question of a moment ago may be the former one."""
    deadline = time.monotonic() + 10
    while status() != 401:
        assert time.monotonic() < deadline, "the old key is still trusted"
        time.sleep(0.1)


async def test_secrets_are_in_no_log_event_database_or_answer_while_keys_change_without_a_restart(
    processes: Processes, kafka: str, mongodb: str
):
    told = visit(processes)
    assert len(told.secrets) >= 12
    places = {
        "answers": "\n".join(told.answers),
        "commands": told.printed,
        **{f"log of {name}": server.log.read_text() for name, server in processes.by_name.items()},
        "topics": await all_records(kafka),
        "databases": await all_documents(mongodb),
    }
    assert all(len(text) > 100 for text in places.values())
    found = [(place, secret[:8]) for place, text in places.items() for secret in told.secrets if secret in text]
    assert not found
    assert "sha256" in places["databases"]
    assert '"level": "debug"' in places["log of partners"]


async def all_records(kafka: str) -> str:
    """All that is on the network's topics; what was refused as it was sent."""
    async with AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest") as consumer:
        cluster = await consumer._client.fetch_all_metadata()
        topics = [topic for topic in cluster.topics() if topic.startswith(f"{NAMESPACE}.")]
        parts = [TopicPartition(topic, part) for topic in topics for part in cluster.partitions_for_topic(topic)]
        consumer.assign(parts)
        ends, records = await consumer.end_offsets(parts), []
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            records += [r for part in (await consumer.getmany(timeout_ms=200)).values() for r in part]
    originals = [
        base64.b64decode(text) for r in records for text in re.findall(rb'"original":"([^"]*)"', r.value or b"")
    ]
    assert originals
    return f"{[(r.key, r.value, r.headers) for r in records]} {originals}"


async def all_documents(mongodb: str) -> str:
    client = mongo.connect(Settings(mongodb_uri=mongodb))
    try:
        names = [name for name in await client.list_database_names() if name.startswith(f"{NAMESPACE}_")]
        documents = [
            document
            for name in names
            for collection in await client[name].list_collection_names()
            async for document in client[name][collection].find()
        ]
    finally:
        client.close()
    return repr(documents)


def test_a_credential_is_replaced_without_a_gap_as_the_guide_says(processes: Processes):
    guide = re.search(r"<!-- tested: tests/test_secrets.py -->\n```sh\n(.*?)```", GUIDE, re.DOTALL)
    assert guide
    told = Visit(processes)
    operator = json.loads(told.run("services.partners.gateway.credentials", "operator"))
    as_operator = told.token(operator)
    told.ask("PUT", "/organisations/north-college", headers=as_operator | WAIT, json=ENTRY)
    first = told.ask("POST", "/organisations/north-college/credentials", headers=as_operator).json()
    environment = {"OPERATOR": as_operator["Authorization"][7:], "PARTNERS": processes["partners"].address}
    script = guide[1].replace("OLD=...", f"OLD={first['credential']}")
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    second = json.loads(done.stdout.splitlines()[0])
    assert told.ask("POST", "/token", data=GRANT, auth=("north-college", second["client_secret"])).status_code == 200
    assert told.ask("POST", "/token", data=GRANT, auth=("north-college", first["client_secret"])).status_code == 401


def test_nothing_secret_gets_into_the_image():
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*", "the image gets what is named, and nothing else"
    let_in = [line[1:] for line in lines if line.startswith("!")]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)
    assert {path for paths in copied for path in paths.split()} <= {*let_in}
    assert not {path.split("/")[0] for path in let_in} & {".praktika", ".git", ".env", "tests"}
    files = [path for name in let_in for path in [ROOT / name, *(ROOT / name).rglob("*")] if path.is_file()]
    assert not [path for path in files if path.suffix in (".key", ".pem", ".jwks", ".env", ".p12", ".jks")]
    assert not [path for path in files if b"PRIVATE KEY-----" in path.read_bytes() and path.suffix != ".pyc"]


def test_no_file_of_the_repository_holds_a_private_key():
    command = ["git", "grep", "-lIE", "BEGIN [A-Z ]*PRIVATE KEY-----$", "--", ".", ":!tests/test_secrets.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) in (("", 1), ("", 128))
