"""Each client brings its events into the indicators once, whatever the network does and however often it is run."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local import servers as local
from deploy.local.processes import free_port, wait_until
from shared.log.topics import PARTITIONS, connection
from shared.settings import Settings
from tests import servers
from tests.examples import BUILT, LEARNERS, NEEDS, Stack, built, copied, missing, published, run, stack
from tests.stack import until


@pytest.fixture(scope="module")
def network(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack(kafka, mongodb, tmp_path_factory.mktemp("examples"), "examples") as started:
        yield started


@dataclass
class Trouble:
    """A way to partners on which each path meets its troubles first, one a request; remembers the events' bodies."""

    target: str
    troubles: dict[str, list[int | str]] = field(
        default_factory=lambda: {"/token": [503], "/events": ["cut", 503, 401]}
    )
    bodies: list[bytes] = field(default_factory=list)

    def __enter__(self) -> str:
        trouble = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                trouble.meet(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def meet(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        if request.path == "/events":
            self.bodies.append(body)
        trouble = self.troubles[request.path].pop(0) if self.troubles[request.path] else None
        if isinstance(trouble, int):
            request.send_response(trouble)
            request.send_header("Retry-After", "1")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        status, answer = self._pass_on(request, body)
        if trouble == "cut":  # it has arrived, and the sender does not know
            return
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(answer)))
        request.end_headers()
        request.wfile.write(answer)

    def _pass_on(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes]:
        headers = {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}
        answer = httpx.post(self.target + request.path, content=body, headers=headers, trust_env=False, timeout=30)
        return answer.status_code, answer.content


async def records(network: Stack, enterprise: str, client: dict[str, Any]) -> dict[str, list[bytes]]:
    """What an enterprise has said on the log, by id."""
    cloudevent: dict[str, list[bytes]] = {}
    async with AIOKafkaConsumer(**client, auto_offset_reset="earliest") as consumer:
        parts = [TopicPartition(f"{network.namespace}.learner", number) for number in range(PARTITIONS["learner"])]
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        while any([await consumer.position(part) < end for part, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                for record in batch:
                    event = json.loads(record.value)
                    if event["source"] == f"/organisations/{enterprise}":
                        cloudevent.setdefault(event["id"], []).append(record.value)
    return cloudevent


async def prove_counted_once(network: Stack, enterprise: str, client: dict[str, Any]) -> None:
    sent = datetime.now(UTC).isoformat()

    def applied() -> bool:
        counted = network.counted(enterprise)
        return counted["n"] == len(LEARNERS) and counted["applied_until"] > sent

    assert wait_until(applied, 30), network.counted(enterprise)
    hours = network.counted(enterprise)
    assert (hours["numerator"], hours["denominator"]) == (160.5 * len(LEARNERS), len(LEARNERS))
    cloudevent = await records(network, enterprise, client)
    assert {id: len(set(contents)) for id, contents in cloudevent.items()} == {
        f"{sha256(f'{enterprise} {id}'.encode()).hexdigest()[:16]}-completed": 1 for id in LEARNERS
    }


@pytest.mark.parametrize("client", NEEDS)
async def test_a_client_is_counted_once_over_http(client: str, network: Stack, kafka: str):
    if reason := missing(client):
        pytest.skip(reason)
    enterprise, folder = f"plant-{client}", copied(client, BUILT)
    settings = network.enterprise(enterprise)

    trouble = Trouble(network.url("partners"))
    with trouble as url:
        printed = run(f"{built(client)}\n{published(client)}", folder, settings | {"PRAKTIKA_URL": url})
    assert printed.count(": accepted, /events/learner/") == 1 + len(LEARNERS)
    assert trouble.troubles == {"/token": [], "/events": []}
    assert len(set(trouble.bodies[:4])) == 1, "a repeat differs from what was sent first"
    run(published(client), folder, settings)

    await prove_counted_once(network, enterprise, {"bootstrap_servers": kafka})


@pytest.mark.parametrize("client", NEEDS)
def test_a_client_shows_what_to_mend(client: str, network: Stack):
    if reason := missing(client):
        pytest.skip(reason)
    settings = network.enterprise(f"plant-{client}")
    one, several = published(client).splitlines()
    wrong = one.replace("+07:00", "")
    if client == "java":  # says so itself
        wrong = one.replace("north-college:1", "'learner 1'")
    printed = run(wrong, copied(client, BUILT), settings, status=1)
    assert "refused, 422 the event does not fit the contract" in printed
    assert re.search(r"^  (time|partitionkey): \S", printed, re.MULTILINE), printed

    printed = run(several.replace("north-college:3", "'learner 3'"), copied(client, BUILT), settings, status=1)
    assert printed.count(": accepted") == 4
    assert printed.count(": refused, 422") == 1


@pytest.mark.parametrize("client", NEEDS)
def test_a_client_says_that_its_secret_is_wrong(client: str, network: Stack):
    if reason := missing(client):
        pytest.skip(reason)
    one, _ = published(client).splitlines()
    settings = {
        "PRAKTIKA_URL": network.url("partners"),
        "PRAKTIKA_CLIENT_ID": "stranger",
        "PRAKTIKA_CLIENT_SECRET": "x",
    }
    printed = run(one, copied(client, BUILT), settings, status=1)
    assert "client_id or client_secret is wrong" in printed


# over Kafka


@pytest.fixture(scope="module")
def secured(mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, dict[str, Any]]]:
    """The stack on a secured Kafka, and how our own clients connect to that."""
    keys = tmp_path_factory.mktemp("keys")
    secrets = keys / "services"
    with servers.folder() as folder:
        broker = local.kafka(folder, secured=local.Secured(keys, free_port()))
        try:
            broker.start()
            with stack(broker.address, mongodb, folder, "secured", PRAKTIKA_SECRETS_DIR=str(secrets)) as started:
                yield started, connection(Settings(KAFKA_BOOTSTRAP_SERVERS=broker.address, _secrets_dir=secrets))
        finally:
            broker.kill()


@pytest.mark.parametrize("client", ["python", "go", "java"])
async def test_a_client_is_counted_once_over_kafka(client: str, secured: tuple[Stack, dict[str, Any]], tmp_path: Path):
    if reason := missing(client):
        pytest.skip(reason)
    network, ours = secured
    enterprise, folder = f"kafka-{client}", copied(client, BUILT)
    settings = network.enterprise_on_kafka(enterprise, tmp_path)
    run(built(client), folder, settings)
    for _ in range(2):
        printed = run(published(client, " over Kafka"), folder, settings)
        assert printed.count(f"sent, {settings['PRAKTIKA_KAFKA_TOPIC']}/") == 1 + len(LEARNERS)

    async def all_there() -> bool:
        return sum(map(len, (await records(network, enterprise, ours)).values())) >= 2 * (1 + len(LEARNERS))

    await until(all_there)
    await prove_counted_once(network, enterprise, ours)
