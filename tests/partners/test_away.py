"""While Kafka or MongoDB is away the sender is asked to come again, and nothing is half done."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import httpx

from services.partners.app import core, router
from tests.partners.conftest import MECHANICS, as_, enrolled, register
from tests.servers import Servers
from tests.stack import running, until

STRUCTURED = {"Content-Type": "application/cloudevents+json"}


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
