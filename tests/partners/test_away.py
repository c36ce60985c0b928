"""While Kafka or MongoDB is away the sender is asked to come again, and nothing is half done."""

import asyncio
import json
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer

from services.partners.app import core, router
from services.partners.gateway.ingress.kafka import ingress_over_kafka
from shared.contract.events import parse
from shared.log.topics import connection, ensure_ingress, topic_name, topic_of
from tests.partners.conftest import MECHANICS, as_, enrolled, register
from tests.servers import Servers
from tests.stack import running, until

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
HEADERS = [("content-type", b"application/cloudevents+json")]


async def test_sender_is_asked_to_come_again_while_a_server_is_away(own_servers: Servers, tmp_path: Path):
    kafka, mongodb = own_servers
    async with running(core, router, kafka=kafka.address, mongodb=mongodb.address, keys_dir=tmp_path) as stack:
        await register(stack, "uni", "institution")
        await stack.publish(MECHANICS)

        def send(**changes: str) -> Awaitable[httpx.Response]:
            return stack.client.post("/events", json=enrolled(**changes), headers=as_("uni", stack) | STRUCTURED)

        async def accepted() -> bool:
            return (await send()).status_code == 202

        def claim() -> Awaitable[httpx.Response]:
            form = {"grant_type": "client_credentials", "client_id": "uni", "client_secret": "x"}
            return stack.client.post("/token", data=form)

        def command() -> Awaitable[httpx.Response]:
            entry = {"kind": "enterprise", "name": "Plant", "region": "RU-KEM"}
            return stack.client.put("/organisations/plant", json=entry, headers=as_("operator", stack))

        def read() -> Awaitable[httpx.Response]:
            return stack.client.get("/organisations/uni")

        mongodb.kill()
        for response in await asyncio.gather(send(), read(), claim(), command()):
            assert_come_again(response)
        mongodb.start()
        await until(accepted, 60)

        kafka.kill()
        for response in await asyncio.gather(send(), send(time="yesterday"), command()):
            assert_come_again(response)
        assert (await read()).status_code == 200
        kafka.start()
        await until(accepted, 60)


def assert_come_again(response: httpx.Response) -> None:
    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/problem+json"
    assert int(response.headers["Retry-After"]) > 0


async def test_what_is_written_over_kafka_waits_while_the_database_is_away(own_servers: Servers, tmp_path: Path):
    kafka, mongodb = own_servers
    async with running(
        core, router, kafka=kafka.address, mongodb=mongodb.address, keys_dir=tmp_path, work=[ingress_over_kafka]
    ) as stack:
        await register(stack, "uni", "institution")
        await stack.publish(MECHANICS)
        await ensure_ingress(stack.settings, "uni")
        events = [enrolled() for _ in range(3)]
        async with AIOKafkaProducer(**connection(stack.settings), acks="all") as producer:

            async def write(event: dict[str, Any]) -> None:
                topic = topic_name(stack.settings.namespace, topic_of("ingress", "uni"))
                await producer.send_and_wait(topic, json.dumps(event).encode(), headers=HEADERS, partition=0)

            async def accepted() -> list[str]:
                return [parse(record.value).id for record in await stack.read("learner")]

            await write(events[0])
            await until(accepted)
            mongodb.kill()
            await write(events[1])
            kafka.kill()
            kafka.start()
            await write(events[2])
            mongodb.start()

        async def all_accepted() -> bool:
            return {*await accepted()} == {event["id"] for event in events}

        await until(all_accepted, 60)
        assert await stack.count("rejected") == 0
