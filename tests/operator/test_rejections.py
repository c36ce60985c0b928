"""praktika rejections: what senders were refused is what the operator sees."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.partners.app import core, router
from shared.log.raw import Raw, writer
from tests.operator.conftest import Praktika
from tests.partners.conftest import ORGANISATIONS, as_, enrolled, register
from tests.stack import Running, running

CLOUDEVENTS = "application/cloudevents+json"


@pytest.fixture
async def partners(kafka: str, mongodb: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path) as stack:
        for id in ("uni", "plant"):
            await register(stack, id, ORGANISATIONS[id])
        yield stack


async def refuse(partners: Running, by: str = "uni", **changes: object) -> None:
    headers = {**as_(by, partners), "Content-Type": CLOUDEVENTS}
    answer = await partners.client.post("/events", json=enrolled(**changes), headers=headers)
    assert answer.is_client_error, answer.text


async def test_rejections_are_listed_with_the_reason_that_the_sender_was_given(partners: Running):
    praktika = Praktika(partners.settings)
    await refuse(partners, time=None)
    await refuse(partners, "plant")
    done = await praktika("rejections", "--json")
    assert done.code == 0, done.err
    first, second = done.json["rejections"]
    assert (first["organisation"], first["status"], first["errors"][0]["field"]) == ("uni", 422, "time")
    assert b"learner.enrolled" in base64.b64decode(first["original"])
    assert (second["organisation"], second["status"]) == ("plant", 403)
    text = await praktika("rejections")
    assert "the event does not fit the contract (time: is missing, and it is needed)" in text.out
    assert "2 rejections" in text.err


async def test_rejections_are_chosen_by_organisation_and_time(partners: Running):
    praktika = Praktika(partners.settings)
    await refuse(partners, time=None)
    await refuse(partners, "plant")
    (only,) = (await praktika("rejections", "--organisation", "plant", "--json")).json["rejections"]
    assert only["organisation"] == "plant"
    assert len((await praktika("rejections", "--since", "1h", "--json")).json["rejections"]) == 2
    assert (await praktika("rejections", "--since", "2999-01-01", "--json")).json["rejections"] == []
    assert (await praktika("rejections", "--organisation", "nobody", "--json")).json["rejections"] == []


async def test_what_a_sender_writes_reaches_no_terminal_raw_and_stops_no_list(partners: Running):
    praktika = Praktika(partners.settings)
    await refuse(partners, type="praktika.\x1b]0;owned\x07\u202e.v1")
    await refuse(partners, data={"programme": "x", "\x1b[2J": 1})
    async with writer(partners.settings) as into:
        await into.write([Raw("rejected", b"uni", value) for value in (b"\xff", b"[]", b'{"problem": 1}', None)])
    for options in ([], ["--json"]):
        done = await praktika("rejections", *options)
        assert done.code == 0, done.err
        assert "[2J" in done.out
        assert all(c.isprintable() or c == "\n" for c in done.out + done.err)
    assert (done.json["unreadable"], len(done.json["rejections"])) == (4, 2)


async def test_wrong_use_and_a_missing_server_have_their_own_exit_codes(partners: Running, unanswering: dict[str, str]):
    praktika = Praktika(partners.settings)
    for wrong in ("yesterday", "2026-13-01", "9999999d", "999999d"):
        assert (await praktika("rejections", "--since", wrong)).code == 2, wrong
    assert (await praktika("rejections", **unanswering)).code == 3
