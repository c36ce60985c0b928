"""What was refused is shown to who sent it, and can be sent again."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.partners.gateway.egress import rejections
from services.partners.gateway.egress.rejections_command import rejections as rejections_on_topic
from shared.contract.events import parse
from tests.partners.conftest import as_, enrolled
from tests.stack import Running, until

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list may take its time here: it is waited for only 3 s."""
    monkeypatch.setattr(rejections, "CURRENT_WITHIN_S", 20)


async def refuse(stack: Running, organisation: str, event: Any, status: int = 422, **headers: str) -> dict[str, Any]:
    """Send what is refused; return the rejection as it is listed."""
    known = as_(organisation, stack) | (headers or STRUCTURED)
    answer = await stack.client.post("/events", content=json.dumps(event), headers=known)
    assert answer.status_code == status, answer.text
    return (await listed(stack, organisation, limit=1))[0]


async def listed(stack: Running, organisation: str, **query: Any) -> list[dict[str, Any]]:
    answer = await stack.client.get("/rejections", params=query, headers=as_(organisation, stack))
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def resubmit(stack: Running, organisation: str, id: str, event: Any = None, **headers: str) -> Any:
    known = as_(organisation, stack) | (headers or STRUCTURED if event is not None else {})
    content = b"" if event is None else json.dumps(event).encode()
    return await stack.client.post(f"/rejections/{id}/resubmission", content=content, headers=known)


async def published(stack: Running, id: str) -> list[Any]:
    return [event for record in await stack.read("learner") if (event := parse(record.value)).id == id]


async def test_a_rejection_is_listed_with_its_reason_and_shows_what_was_sent(connected: Running):
    event = enrolled(time="never")
    rejection = await refuse(connected, "uni", event)
    assert (rejection["status"], rejection["detail"]) == (422, "the event does not fit the contract")
    assert rejection["errors"][0]["field"] == "time"
    assert rejection["resubmitted"] is None
    shown = await connected.client.get(f"/rejections/{rejection['id']}", headers=as_("uni", connected))
    assert json.loads(shown.json()["text"]) == event
    assert json.loads(base64.b64decode(shown.json()["original"])) == event


async def test_rejections_are_listed_page_by_page_the_newest_first(connected: Running):
    made = [await refuse(connected, "works", {"n": n}, 400) for n in range(5)]
    newest = [rejection["id"] for rejection in reversed(made)]
    first = (await connected.client.get("/rejections?limit=2", headers=as_("works", connected))).json()
    second = await listed(connected, "works", limit=100, after=first["next"])
    assert [rejection["id"] for rejection in (*first["items"], *second)] == newest
    for after in ("x", "rejected-1", "rejected-1-" + "9" * 30):
        answer = await connected.client.get(f"/rejections?after={after}", headers=as_("works", connected))
        assert answer.status_code == 422


async def test_a_stranger_sees_no_rejection(connected: Running):
    rejection = await refuse(connected, "uni", enrolled(time=None))
    stranger = as_("plant", connected)
    assert rejection["id"] not in [item["id"] for item in await listed(connected, "plant")]
    assert (await connected.client.get(f"/rejections/{rejection['id']}", headers=stranger)).status_code == 404
    assert (await resubmit(connected, "plant", rejection["id"])).status_code == 404
    for path in ("/rejections", f"/rejections/{rejection['id']}"):
        assert (await connected.client.get(path)).status_code == 401
    for id in ("rejected-99-0", "rejected-0-99999"):
        assert (await resubmit(connected, "uni", id)).status_code == 404
    assert (await resubmit(connected, "uni", "learner-0-0")).status_code == 422


async def test_what_needs_nothing_more_is_put_aside_and_stays_in_the_list(connected: Running):
    rejection = await refuse(connected, "uni", enrolled(time=None))
    aside = f"/rejections/{rejection['id']}/aside"
    assert (rejection["aside"], (await connected.client.put(aside)).status_code) == (False, 401)
    assert (await connected.client.put(aside, headers=as_("plant", connected))).status_code == 404
    for _ in range(2):
        answer = await connected.client.put(aside, headers=as_("uni", connected))
        assert (answer.status_code, answer.json()) == (200, rejection | {"aside": True})
    assert (await listed(connected, "uni", limit=1))[0] == rejection | {"aside": True}
    assert (await resubmit(connected, "uni", rejection["id"], enrolled())).status_code == 202, "it can still be mended"


async def test_the_mended_event_is_accepted_and_the_rejection_says_so(connected: Running):
    event = enrolled(time=None)
    rejection = await refuse(connected, "uni", event)
    mended = enrolled(id=event["id"])
    answer = await resubmit(connected, "uni", rejection["id"], mended)
    assert answer.status_code == 202, answer.text
    (found,) = await published(connected, event["id"])
    assert found.subject == mended["subject"]
    (newest,) = await listed(connected, "uni", limit=1)
    assert newest["id"] == rejection["id"]
    assert (newest["resubmitted"]["id"], newest["resubmitted"]["event"]) == (event["id"], answer.headers["Location"])
    _, unreadable = await rejections_on_topic(connected.settings, None, None)
    assert unreadable == 0


async def test_what_is_still_wrong_is_a_further_rejection(connected: Running):
    rejection = await refuse(connected, "uni", enrolled(time=None))
    answer = await resubmit(connected, "uni", rejection["id"])
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "time")
    newest, former = await listed(connected, "uni", limit=2)
    assert former["id"] == rejection["id"] != newest["id"]
    assert newest["errors"] == former["errors"]
    assert former["resubmitted"] is None


@pytest.mark.parametrize("mode", ["structured", "binary", "batch"])
async def test_without_a_body_it_is_judged_anew_as_it_was_sent(
    connected: Running, monkeypatch: pytest.MonkeyPatch, mode: str
):
    soon = (datetime.now(UTC) + timedelta(seconds=60)).isoformat()
    event = enrolled(time=soon, source="/organisations/college")
    with monkeypatch.context() as hurry:
        hurry.setattr(connected.service.settings, "clock_skew_s", 0)
        if mode == "structured":
            rejection = await refuse(connected, "college", event)
        elif mode == "batch":
            rejection = await refuse(connected, "college", [event], **BATCH)
        else:
            attributes = {f"ce-{name}": value for name, value in event.items() if name != "data"}
            headers = attributes | {"Content-Type": "application/json"}
            rejection = await refuse(connected, "college", event["data"], **headers)
        assert rejection["errors"][0]["field"] == "time"
    answer = await resubmit(connected, "college", rejection["id"])
    assert answer.status_code == 202, answer.text
    assert len(await published(connected, event["id"])) == 1


async def test_what_is_not_kept_whole_must_be_sent_in_the_body(connected: Running):
    rejection = await refuse(connected, "uni", enrolled(id="x" * 100_000))
    answer = await resubmit(connected, "uni", rejection["id"])
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body")
    assert (await resubmit(connected, "uni", rejection["id"], enrolled())).status_code == 202


async def test_a_batch_is_not_sent_again_at_once(connected: Running):
    rejection = await refuse(connected, "uni", enrolled(time=None))
    answer = await resubmit(connected, "uni", rejection["id"], [enrolled()], **BATCH)
    assert answer.status_code == 415


async def test_a_batch_full_of_faults_with_large_headers_is_listed(connected: Running):
    large = {f"ce-x{number}": "x" * 500 for number in range(50)}
    bad = [{"n": number} for number in range(700)]
    answer = await connected.client.post("/events", json=bad, headers=as_("works", connected) | BATCH | large)
    assert answer.status_code == 422

    async def all_listed() -> bool:
        seen, after = set[str](), {}
        while True:  # a page has a megabyte at most
            path, headers = "/rejections", as_("works", connected)
            page = (await connected.client.get(path, params={"limit": 700, **after}, headers=headers)).json()
            seen |= {item["id"] for item in page["items"]}
            if page["next"] is None:
                return len(seen) >= 700
            after = {"after": page["next"]}

    await until(all_listed)


async def test_the_list_has_what_was_refused_a_moment_ago(connected: Running):
    for number in range(10):
        event = enrolled(time=f"never {number}")
        rejection = await refuse(connected, "plant", event | {"source": "/organisations/plant"})
        shown = await connected.client.get(f"/rejections/{rejection['id']}", headers=as_("plant", connected))
        assert json.loads(shown.json()["text"])["id"] == event["id"]


def test_the_headers_that_an_event_came_with_are_made_again():
    record = {
        "content_type": "application/json",
        "attributes": {"ce-id": "caf%C3%A9"},
        "original": base64.b64encode(b"{}").decode(),
        "size": 2,
    }
    headers, body = rejections._as_sent(record)
    assert (dict(headers), body) == ({"content-type": "application/json", "ce-id": "caf%C3%A9"}, b"{}")
