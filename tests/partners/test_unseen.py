"""What looks alike is alike, and nothing is hidden in what is said."""

import json
import unicodedata
from typing import Any

import pytest

from shared.contract.events import parse
from shared.contract.text import hidden
from tests.partners.conftest import as_, enrolled
from tests.stack import Running

STRUCTURED = {"Content-Type": "application/cloudevents+json"}


async def send(stack: Running, event: dict[str, Any] | bytes) -> Any:
    body = event if isinstance(event, bytes) else json.dumps(event, ensure_ascii=False).encode()
    return await stack.client.post("/events", content=body, headers=as_("uni", stack) | STRUCTURED)


def activity(title: str) -> dict[str, Any]:
    data = {"title": title, "version": "1", "level": 4}
    return enrolled(type="praktika.programme.published.v1", subject="unseen", data=data)


@pytest.mark.parametrize("unseen", ["\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\u2028"])
async def test_a_character_that_cannot_be_seen_is_refused_by_its_name(partners: Running, unseen: str):
    answer = await send(partners, activity(f"Weld{unseen}ing"))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "data.title")
    assert str(hidden(unseen)) in answer.json()["errors"][0]["detail"]
    command = {"title": f"Weld{unseen}ing", "version": "1", "level": 4}
    told = await partners.client.put("/programmes/unseen", json=command, headers=as_("uni", partners))
    assert (told.status_code, told.json()["errors"][0]["field"]) == (422, "title")


async def test_letters_are_composed(partners: Running):
    event = activity(unicodedata.normalize("NFD", "Обучение: café й"))
    assert (await send(partners, event)).status_code == 202
    (cloudevent,) = [e for r in await partners.read("programme") if (e := parse(r.value)).id == event["id"]]
    assert cloudevent.data.model_dump()["title"] == "Обучение: café й"


async def test_a_member_that_is_given_twice_is_refused(partners: Running):
    event = json.dumps(enrolled()).encode()
    twice = event.replace(b'"specversion"', b'"id": "x", "specversion"')
    assert twice != event
    answer = await send(partners, twice)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "body")
    assert "duplicate key" in answer.json()["errors"][0]["detail"]
    command = b'{"title": "A", "version": "1", "version": "2", "level": 4}'
    headers = as_("uni", partners) | {"Content-Type": "application/json"}
    told = await partners.client.put("/programmes/twice", content=command, headers=headers)
    assert (told.status_code, "duplicate key" in told.json()["detail"]) == (400, True)


async def test_an_organisation_that_differs_only_by_case_is_not_registered(partners: Running):
    entry = {"kind": "institution", "name": "Uni", "region": "RU-KEM"}
    answer = await partners.client.put("/organisations/Uni", json=entry, headers=as_("operator", partners))
    assert (answer.status_code, "uni" in answer.json()["detail"]) == (409, True)
