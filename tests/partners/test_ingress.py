"""What organisations' systems send is on Kafka before they are answered."""

import asyncio
import json
import time
from typing import Any

import pytest

from shared.contract.events import parse
from tests.partners.conftest import as_, enrolled
from tests.stack import Running

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}


async def published(stack: Running, topic: str, id: str) -> list[Any]:
    return [e for r in await stack.read(topic) if (e := parse(r.value)).id == id]


async def test_structured_event_is_on_its_topic_when_answered(partners: Running):
    event = enrolled()
    response = await partners.client.post("/events", json=event, headers=as_("uni", partners) | STRUCTURED)
    assert response.status_code == 202, response.text
    (found,) = await published(partners, "learner", event["id"])
    assert (found.subject, found.partitionkey, found.sourcekind) == (event["subject"], event["subject"], "institution")
    assert response.json() == {"id": event["id"], "type": event["type"], "event": response.headers["Location"]}
    assert response.headers["Location"].startswith("/events/learner/")


async def test_address_shows_the_event_to_its_publisher_only(partners: Running):
    event = enrolled()
    sent = await partners.client.post("/events", json=event, headers=as_("uni", partners) | STRUCTURED)
    mine = await partners.client.get(sent.headers["Location"], headers=as_("uni", partners))
    assert mine.json()["event"]["id"] == event["id"]
    theirs = await partners.client.get(sent.headers["Location"], headers=as_("college", partners))
    assert theirs.status_code == 404


@pytest.mark.parametrize("address", ["learner/99/0", "learner/0/999999999", "nothing/0/0", "rejected/0/0"])
async def test_address_of_nothing_is_answered_at_once(partners: Running, address: str):
    started = time.monotonic()
    response = await partners.client.get(f"/events/{address}", headers=as_("operator", partners))
    assert response.status_code == 404
    assert time.monotonic() - started < 9  # it would be 10 if the log was waited for


async def test_every_address_shows_its_event_however_many_ask_at_once(partners: Running):
    headers = as_("uni", partners)
    events = [enrolled() for _ in range(30)]
    sent = await partners.client.post("/events", json=events, headers=headers | BATCH)

    async def shown(item: dict[str, Any]) -> str:
        return (await partners.client.get(item["event"], headers=headers)).json()["event"]["id"]

    assert await asyncio.gather(*map(shown, sent.json()["items"])) == [event["id"] for event in events]


async def test_charset_parameter_is_understood(partners: Running):
    headers = {"Content-Type": "application/cloudevents+json; charset=UTF-8"}
    response = await partners.client.post("/events", json=enrolled(), headers=as_("uni", partners) | headers)
    assert response.status_code == 202


async def test_binary_event_takes_its_attributes_from_headers(partners: Running):
    event = enrolled(id='caf%C3%A9 "1"')
    data = event.pop("data")
    headers = {f"ce-{name}": value for name, value in event.items()} | {
        "Content-Type": "application/json",
        "ce-id": '"caf%C3%A9 \\"1\\""',
    }
    response = await partners.client.post("/events", json=data, headers=as_("uni", partners) | headers)
    assert response.status_code == 202, response.text
    assert response.json()["id"] == 'café "1"'
    (found,) = await published(partners, "learner", 'café "1"')
    assert found.data.programme == "mechanics"


async def test_batch_is_answered_item_by_item(partners: Running):
    events = [enrolled(), enrolled(time=None), enrolled(), "nothing"]
    response = await partners.client.post("/events", json=events, headers=as_("uni", partners) | BATCH)
    assert response.status_code == 207
    answer = response.json()
    assert (answer["accepted"], answer["refused"]) == (2, 2)
    assert [item["status"] for item in answer["items"]] == [202, 422, 202, 400]
    assert answer["items"][1]["problem"]["errors"] == [{"field": "time", "detail": "is missing, and it is needed"}]
    assert answer["items"][1]["id"] == events[1]["id"]
    assert await published(partners, "learner", events[0]["id"])
    assert not await published(partners, "learner", events[1]["id"])


async def test_batch_of_good_events_is_accepted(partners: Running):
    events = [enrolled() for _ in range(300)]
    response = await partners.client.post("/events", json=events, headers=as_("uni", partners) | BATCH)
    assert (response.status_code, response.json()["accepted"]) == (202, 300)
    on_topic = {json.loads(r.value)["id"] for r in await partners.read("learner")}
    assert {event["id"] for event in events} <= on_topic


async def test_batch_without_a_good_event_is_refused(partners: Running):
    response = await partners.client.post("/events", json=[enrolled(id="")] * 2, headers=as_("uni", partners) | BATCH)
    assert (response.status_code, response.json()["refused"]) == (422, 2)


async def test_key_is_filled_in_where_the_contract_names_it(partners: Running):
    event = enrolled(
        type="praktika.demand.reported.v1",
        source="/organisations/plant",
        subject="report-1",
        data={"competency": "greencomp:3.1", "places": 5, "horizon": "2027-12-31", "research": "own survey"},
    )
    response = await partners.client.post("/events", json=event, headers=as_("plant", partners) | STRUCTURED)
    assert response.status_code == 202, response.text
    (found,) = await published(partners, "demand", event["id"])
    assert found.partitionkey == "greencomp:3.1"


async def test_same_event_twice_is_one_learner(partners: Running):
    event = enrolled()
    for _ in range(2):
        await partners.client.post("/events", json=event, headers=as_("uni", partners) | STRUCTURED)
    await partners.applied()
    shown = await partners.client.get(f"/learners/{event['subject']}", headers=as_("uni", partners))
    assert [p["id"] for p in shown.json()["programmes"]] == ["mechanics"]
