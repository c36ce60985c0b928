"""A service whose Kafka or MongoDB is away says so, waits, and goes on alone; one that is asked to end ends cleanly."""

import asyncio
import signal
from collections.abc import Iterator
from os import kill
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from shared.contract.events import InternshipCompleted, InternshipOutcome, Publisher
from shared.http.auth import Caller, Signer
from shared.log.consumer import SESSION_MS
from shared.log.producer import Producer, record_of
from shared.settings import Settings
from tests import servers as test_servers
from tests.making import event
from tests.processes import Processes
from tests.servers import Servers
from tests.stack import until

COMPLETED = InternshipCompleted(enterprise="plant", programme="p", hours=8, outcome=InternshipOutcome.passed)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with test_servers.running() as both:
        yield both


@pytest.fixture(scope="module")
def feedback(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    env = {"KAFKA_BOOTSTRAP_SERVERS": servers.kafka.address, "MONGODB_URI": servers.mongodb.address}
    with Processes(("feedback",), tmp_path_factory.mktemp("feedback"), **env, PRAKTIKA_LOG_LEVEL="INFO") as started:
        yield started


async def reasons(processes: Processes) -> list[str]:
    """Why the service is not ready; empty once it is."""
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        answer = await client.get(f"{processes['feedback'].address}/health/ready")
        live = await client.get(f"{processes['feedback'].address}/health/live")
    assert live.status_code == 200
    found: list[str] = answer.json()["reasons"]
    assert answer.status_code == (503 if found else 200)
    return found


async def complains(processes: Processes, about: str) -> bool:
    return any(about in reason for reason in await reasons(processes))


async def is_ready(processes: Processes) -> bool:
    try:
        return not await reasons(processes)
    except httpx.TransportError:
        return False


async def complete_internship(servers: Servers, learner: str) -> None:
    producer = Producer(Settings(kafka_bootstrap_servers=servers.kafka.address))
    await producer.publish([record_of(event(COMPLETED, f"i-{learner}", learner))])
    await producer.close()


async def requests_of(processes: Processes, learner: str) -> list[dict[str, Any]]:
    keys = Path(processes.env["PRAKTIKA_KEYS_DIR"])
    token = Signer(Settings(keys_dir=keys)).token(Caller("operator", Publisher.operator))
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        url = f"{processes['feedback'].address}/requests?limit=1000"
        answer = await client.get(url, headers={"Authorization": f"Bearer {token}"})
    return [request for request in answer.json()["items"] if request["learner"] == learner]


async def asked_twice(processes: Processes, learner: str) -> bool:
    return len(await requests_of(processes, learner)) == 2


async def test_mongodb_away_is_waited_out(servers: Servers, feedback: Processes):
    await complete_internship(servers, "before")
    await until(lambda: asked_twice(feedback, "before"), 30)
    servers.mongodb.kill()
    await until(lambda: complains(feedback, "MongoDB does not answer"), 60)
    await complete_internship(servers, "during")
    await asyncio.to_thread(servers.mongodb.start)
    await until(lambda: is_ready(feedback), 60)
    await until(lambda: asked_twice(feedback, "during"), 60)


async def test_kafka_away_is_waited_out(servers: Servers, feedback: Processes):
    servers.kafka.kill()
    await until(lambda: complains(feedback, "Kafka does not answer"), 60)
    await asyncio.to_thread(servers.kafka.start)
    await until(lambda: is_ready(feedback), 90)
    await complete_internship(servers, "after")
    await until(lambda: asked_twice(feedback, "after"), 60)


async def test_a_service_started_without_kafka_waits_for_it(servers: Servers, feedback: Processes):
    servers.kafka.kill()
    feedback["feedback"].kill()
    feedback["feedback"].start(wait=False)

    async def waits() -> bool:
        try:
            return await complains(feedback, "Kafka does not answer")
        except httpx.TransportError:
            return False

    await until(waits, 60)
    await asyncio.to_thread(servers.kafka.start)
    await until(lambda: is_ready(feedback), 90)


async def test_sigterm_leaves_the_group_and_ends(servers: Servers, feedback: Processes):
    service = feedback["feedback"]
    assert service.pid is not None
    kill(service.pid, signal.SIGTERM)

    async def ended() -> bool:
        return service.pid is None

    await until(ended, 30)
    assert '"event": "stopped"' in service.log.read_text()
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.kafka.address)
    await admin.start()
    try:

        async def is_empty() -> bool:
            (group,) = (await admin.describe_consumer_groups(["praktika.feedback"]))[0].groups
            return not group[5]

        await until(is_empty, SESSION_MS / 1000 - 1)  # before it would be missed
    finally:
        await admin.close()
    service.start()
