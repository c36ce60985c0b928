"""praktika organisations, praktika credentials: on a running partners, over HTTP, as the operator."""

import re
from collections.abc import AsyncIterator

import pytest_asyncio

from services.partners.app import core, router
from services.partners.gateway.credentials import issue_to_operator
from tests.operator.conftest import Praktika
from tests.stack import Running, on_a_socket, running

PLANT = ("--kind", "enterprise", "--name", "River Plant", "--region", "north")


@pytest_asyncio.fixture(scope="module")
async def partners(kafka: str, mongodb: str, tmp_path_factory) -> AsyncIterator[tuple[Running, Praktika]]:  # type: ignore[no-untyped-def]
    keys = tmp_path_factory.mktemp("keys")
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=keys) as one, on_a_socket(one) as url:
        made = await issue_to_operator(one.settings, "anna")
        secret = {"PRAKTIKA_CLIENT_ID": made["client_id"], "PRAKTIKA_CLIENT_SECRET": made["client_secret"]}
        yield one, Praktika(one.settings, PRAKTIKA_PARTNERS_URL=url, **secret)


async def accepts(stack: Running, id: str, secret: str) -> bool:
    form = {"grant_type": "client_credentials", "client_id": id, "client_secret": secret}
    return (await stack.client.post("/token", data=form)).is_success


async def test_an_organisation_is_registered_suspended_and_reinstated(partners: tuple[Running, Praktika]):
    _, praktika = partners
    for _ in range(2):
        done = await praktika("organisations", "register", "mill", *PLANT)
        assert done.code == 0, done.err
    listed = (await praktika("organisations", "list", "--json")).json["organisations"]
    assert [(one["id"], one["kind"], one["status"]) for one in listed if one["id"] == "mill"] == [
        ("mill", "enterprise", "registered")
    ]
    done = await praktika("organisations", "suspend", "mill", "--because", "sends test data", "--json")
    assert (done.code, done.json["status"]) == (0, "suspended")
    assert "suspended" in (await praktika("organisations", "list")).out
    done = await praktika("organisations", "reinstate", "mill", "--json")
    assert (done.code, done.json["status"]) == (0, "registered")


async def test_a_credential_is_rotated_without_a_gap_and_withdrawn(partners: tuple[Running, Praktika]):
    stack, praktika = partners
    await praktika("organisations", "register", "river-plant", *PLANT)
    made = (await praktika("credentials", "make", "river-plant", "--name", "erp", "--scope", "send", "--json")).json
    assert await accepts(stack, "river-plant", made["client_secret"])
    rotated = await praktika("credentials", "rotate", "river-plant", "--json")
    new = rotated.json
    assert f"praktika credentials withdraw river-plant {made['credential']}" in rotated.err
    assert await accepts(stack, "river-plant", made["client_secret"])
    assert await accepts(stack, "river-plant", new["client_secret"])
    listed = (await praktika("credentials", "list", "river-plant", "--json")).json["credentials"]
    assert [(one["credential"], one["name"], one["scope"]) for one in listed] == [
        (made["credential"], "erp", "send"),
        (new["credential"], "erp", "send"),
    ]
    assert "client_secret" not in str(listed)
    assert (await praktika("credentials", "rotate", "river-plant")).code == 2  # which one?
    assert (await praktika("credentials", "withdraw", "river-plant", made["credential"])).code == 0
    assert not await accepts(stack, "river-plant", made["client_secret"])
    assert await accepts(stack, "river-plant", new["client_secret"])


async def test_what_is_refused_is_told(partners: tuple[Running, Praktika]):
    _, praktika = partners
    plain = await praktika("credentials", "make", "river-plant")
    assert re.search(r"^client_secret: \S+$", plain.out, re.MULTILINE), "to be copied: a line of its own"
    done = await praktika("credentials", "make", "nobody")
    assert (done.code, "there is no nobody" in done.err) == (1, True), done.err
    done = await praktika("organisations", "register", "17Г11", *PLANT)
    assert (done.code, "“Г” is no Latin letter" in done.err) == (1, True), done.err
    wrong = await praktika("organisations", "list", PRAKTIKA_CLIENT_SECRET="wrong")
    assert (wrong.code, "client_id or client_secret is wrong" in wrong.err) == (1, True), wrong.err
    away = await praktika("organisations", "list", PRAKTIKA_PARTNERS_URL="http://127.0.0.1:9")
    assert (away.code, "does not answer" in away.err) == (1, True)
    unset = await praktika("organisations", "list", PRAKTIKA_CLIENT_SECRET="")
    assert (unset.code, "set PRAKTIKA_CLIENT_SECRET" in unset.err) == (2, True)
