"""The same event again changes nothing; its id under other content is a conflict."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.partners.gateway.ingress.deduplication import RecentEvents, digest, kept
from services.partners.network.registry import entity, misfits
from shared.contract.events import DATA, ContractError, Data, Event, parse, serialise
from shared.processing import facts
from tests.making import after, examples
from tests.partners.conftest import as_, enrolled
from tests.shared.test_reading import told
from tests.stack import Running

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}


async def send(stack: Running, events: Any, by: str = "uni") -> httpx.Response:
    headers = as_(by, stack) | (BATCH if isinstance(events, list) else STRUCTURED)
    return await stack.client.post("/events", json=events, headers=headers)


def taken(sent: dict[str, Any], kind: str = "institution") -> Event[Data]:
    """The event that the ingress makes of *sent*, about the subject itself."""
    return parse(json.dumps({"partitionkey": sent["subject"], "sourcekind": kind} | sent).encode())


async def test_same_event_again_is_accepted_and_changes_nothing(partners: Running):
    event = enrolled(time="2026-01-01T12:00:00Z")
    assert (await send(partners, event)).status_code == 202
    await partners.applied()
    shown = await partners.client.get(f"/learners/{event['subject']}", headers=as_("uni", partners))
    same = {"time": "2026-01-01T19:00:00.000+07:00", "partitionkey": event["subject"], "traceparent": "second-attempt"}
    for again in (event, event | same):
        assert (await send(partners, again)).status_code == 202
        assert (await send(partners, [again, again])).status_code == 202
    await partners.applied()
    after = await partners.client.get(f"/learners/{event['subject']}", headers=as_("uni", partners))
    assert after.json() == shown.json()


OTHER = {
    "data": {"data": {"programme": "mechanics", "cohort": "2027-01"}},
    "time": {"time": "2026-01-02T12:00:00Z"},
    "type": {
        "type": "praktika.learner.graduated.v1",
        "data": {"programme": "mechanics", "graduated_on": "2026-01-01"},
    },
    "subject": {"subject": "learner-another"},
}


@pytest.mark.parametrize("what", OTHER)
async def test_same_id_with_other_content_is_a_conflict_at_once(partners: Running, what: str):
    event = enrolled(time="2026-01-01T12:00:00Z")
    other = event | OTHER[what]
    digests = {"accepted": digest(taken(event)), "sent": digest(taken(other))}
    assert (await send(partners, event)).status_code == 202
    on_log, rejected = await partners.count("learner"), await partners.count("rejected")
    alone = await send(partners, other)
    assert (alone.status_code, alone.json()["digests"]) == (409, digests)
    assert [e["field"] for e in alone.json()["errors"]] == ["id"]
    assert all(digest in alone.json()["errors"][0]["detail"] for digest in digests.values())
    batch = await send(partners, [other, enrolled()])
    assert [item["status"] for item in batch.json()["items"]] == [409, 202]
    assert batch.json()["items"][0]["problem"]["digests"] == digests
    assert await partners.count("learner") == on_log + 1
    assert await partners.count("rejected") == rejected + 2


def test_the_digest_of_an_event_does_not_depend_on_the_order_of_names_within_its_data():
    of = [("uni", 2), ("plant", 3)]
    said = {"kind": "workshop", "hours": 2, "participants": 9, "organisations": ["plant"]}
    held = enrolled(type="praktika.activity.held.v1")
    one, other, third = (
        taken(held | {"data": said | {"participants_of": dict(counts)}}) for counts in (of, of[::-1], [("uni", 2)])
    )
    assert digest(one) == digest(other)
    assert digest(third) not in (digest(one), digest(taken(held | {"data": said})))


async def test_of_two_contents_under_one_id_in_a_batch_the_first_is_accepted(partners: Running):
    event = enrolled()
    batch = await send(partners, [event, event, event | OTHER["data"]])
    assert [item["status"] for item in batch.json()["items"]] == [202, 202, 409]


async def test_conflict_is_seen_on_topics_that_the_registry_does_not_keep(partners: Running):
    report = {"competency": "greencomp:3.1", "places": 5, "horizon": "2027-12-31", "research": "own survey"}
    event = enrolled(type="praktika.demand.reported.v1", source="/organisations/plant", subject="report-9", data=report)
    assert (await send(partners, event, "plant")).status_code == 202
    assert (await send(partners, event | {"data": report | {"places": 6}}, "plant")).status_code == 409
    assert (await send(partners, event, "plant")).status_code == 202


async def test_what_another_process_accepted_is_known_from_the_registry(partners: Running):
    """Another process's events are on the log like any others: this one has not seen them come in."""
    first, second = enrolled(), enrolled()
    await partners.publish(taken(first), taken(second))
    await partners.applied()
    assert (await send(partners, first)).status_code == 202
    answer = await send(partners, [second | OTHER["data"], second])
    assert [item["status"] for item in answer.json()["items"]] == [409, 202]


async def test_ids_of_another_organisation_do_not_conflict(partners: Running):
    event = enrolled()
    assert (await send(partners, event)).status_code == 202
    theirs = enrolled(id=event["id"], source="/organisations/college")
    assert (await send(partners, theirs, "college")).status_code == 202


async def test_what_was_refused_may_be_mended_under_its_id(partners: Running):
    event = enrolled()
    assert (await send(partners, event | {"data": {"programme": 17}})).status_code == 422
    assert (await send(partners, event)).status_code == 202


@pytest.mark.parametrize("type_", sorted(DATA))
@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_kept_fact_has_the_digest_of_its_event(type_: str, data: st.DataObject):
    drawn = data.draw(told(type_))
    rule = DATA[type_].key
    if rule != "learner":
        drawn["partitionkey"] = drawn["data"].get(rule) or drawn["subject"]
    try:
        event = parse(json.dumps(drawn).encode())
    except ContractError:
        return
    if misfits(event):
        return
    key, state = entity(event), after(facts.empty(), parse(serialise(event)))
    if key is not None and state["facts"]:  # neither erased, nor for somebody else to say
        assert [digest(e) for e in kept(key, state["facts"], event.source, {event.id})] == [digest(event)]
        assert not [*kept(key, state["facts"], event.source, {"other"})]
        assert not [*kept(key, state["facts"], "/organisations/other", {event.id})]


def test_memory_is_bounded_and_forgets_the_oldest():
    recent = RecentEvents(most=3)
    for number in range(5):
        recent.note("/organisations/uni", {f"id-{number}": "digest"})
    recent.note("/organisations/uni", {"id-2": "digest"})
    recent.note("/organisations/uni", {"id-5": "digest"})
    known = [n for n in range(6) if recent.of("/organisations/uni", f"id-{n}")]
    assert known == [2, 4, 5]
