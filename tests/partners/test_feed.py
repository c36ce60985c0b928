"""What concerns an organisation is in its feed, whatever fails on the way, and nothing else is."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from deploy.local.processes import ROOT, free_port
from services.partners.app import core, router
from services.partners.gateway.egress import forwarding
from services.partners.gateway.egress.feed import Readers
from services.partners.gateway.egress.forwarding import forward
from shared.contract.events import OrganisationKind, OrganisationRegistered, Publisher
from shared.http.auth import Caller, Signer
from shared.http.problems import Problem
from shared.log.producer import NotPublished, Record
from shared.log.topics import topic_name, topic_of
from shared.processing.mongo import Database, DatabaseError
from tests.making import event
from tests.partners.conftest import ORGANISATIONS, as_, enrolled, fed, feed, interned, publish, register, settled
from tests.stack import Running, running, until


def ids(events: list[dict[str, Any]]) -> list[str]:
    return [event["id"] for event in events]


async def test_what_concerns_several_reaches_each_of_them_and_nobody_else(connected: Running):
    learner = enrolled()
    await publish(connected, "uni", learner)
    await fed(connected, "uni", learner["id"])
    internship = interned(learner["subject"], "plant")
    await publish(connected, "plant", internship)
    for organisation in ("uni", "plant"):
        assert internship["id"] in ids(await fed(connected, organisation, internship["id"]))
    await settled(connected)
    for organisation in ("college", "works"):
        assert not {internship["id"], learner["id"]} & {*ids(await feed(connected, organisation))}
    assert learner["id"] not in ids(await feed(connected, "plant"))


async def test_enterprises_of_one_learner_do_not_see_each_other(connected: Running):
    learner = enrolled()
    await publish(connected, "uni", learner)
    ours, theirs = interned(learner["subject"], "plant"), interned(learner["subject"], "works")
    await publish(connected, "plant", ours)
    await publish(connected, "works", theirs)
    assert {ours["id"], theirs["id"]} <= {*ids(await fed(connected, "uni", theirs["id"]))}
    await settled(connected)
    assert theirs["id"] not in ids(await feed(connected, "plant"))
    assert ours["id"] not in ids(await feed(connected, "works"))


async def test_an_offer_reaches_the_institutions_of_its_region_and_no_other_enterprise(connected: Running):
    data = {"kind": "vacancy", "title": "Welder", "places": 2}
    offer = enrolled(source="/organisations/plant", type="praktika.opportunity.posted.v1", subject="plant-1", data=data)
    await publish(connected, "plant", offer)
    for institution in ("uni", "college"):
        assert offer["id"] in ids(await fed(connected, institution, offer["id"]))
    await settled(connected)
    assert offer["id"] not in ids(await feed(connected, "works"))


async def test_an_organisation_hears_of_its_own_registration(connected: Running):
    (first,) = (await connected.client.get("/feed?limit=1", headers=as_("works", connected))).json()["items"]
    assert (first["type"], first["subject"]) == ("praktika.organisation.registered.v1", "works")


async def test_pages_follow_on_each_other_and_a_cursor_stays(connected: Running):
    events = [enrolled(source="/organisations/college") for _ in range(7)]
    await publish(connected, "college", *events)
    await settled(connected)
    whole, client = await feed(connected, "college"), connected.client
    assert {*ids(events)} <= {*ids(whole)}
    after, paged = "0", []
    for _ in range(-(-len(whole) // 3)):
        page = (await client.get(f"/feed?limit=3&after={after}", headers=as_("college", connected))).json()
        again = (await client.get(f"/feed?limit=3&after={after}", headers=as_("college", connected))).json()
        assert page == again
        paged += page["items"]
        after = page["next"]
    assert paged == whole
    end = (await client.get(f"/feed?after={after}", headers=as_("college", connected))).json()
    assert end == {"items": [], "next": after}


async def test_events_of_one_learner_come_in_their_order(connected: Running):
    learner = enrolled()
    internships = [interned(learner["subject"], "works") for _ in range(20)]
    await publish(connected, "uni", learner)
    await publish(connected, "works", *internships)
    await settled(connected)
    own = [event["id"] for event in await feed(connected, "uni") if event["partitionkey"] == learner["subject"]]
    assert own == [learner["id"], *ids(internships)]


async def test_a_waiting_reader_is_answered_as_soon_as_something_comes(connected: Running):
    await settled(connected)
    end = (await connected.client.get("/feed?limit=1000", headers=as_("college", connected))).json()["next"]
    headers = as_("college", connected)
    waiting = asyncio.create_task(connected.client.get(f"/feed?after={end}&wait=30", headers=headers))
    await asyncio.sleep(0)
    event = enrolled(source="/organisations/college")
    await publish(connected, "college", event)
    async with asyncio.timeout(20):
        answer = await waiting
    assert ids(answer.json()["items"]) == [event["id"]]


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=1001", "wait=31", f"after={2**63}"])
async def test_a_question_beyond_the_bounds_is_refused(connected: Running, query: str):
    answer = await connected.client.get(f"/feed?{query}", headers=as_("uni", connected))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, query.partition("=")[0])


async def test_a_cursor_that_is_no_longer_kept_is_told_what_is(connected: Running):
    headers = as_("works", connected)
    await publish(connected, "works", *[interned("somebody", "works") for _ in range(3)])
    await settled(connected)
    tp = TopicPartition(topic_name(connected.settings.namespace, topic_of("egress", "works")), 0)
    admin = AIOKafkaAdminClient(bootstrap_servers=connected.settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_records({tp: RecordsToDelete(before_offset=2)})
    finally:
        await admin.close()
    gone = await connected.client.get("/feed?after=1", headers=headers)
    assert (gone.status_code, gone.json()["oldest"]) == (410, "2")
    later = await connected.client.get("/feed?after=999999", headers=headers)
    assert (later.status_code, later.json()["oldest"]) == (410, "2")
    kept = (await connected.client.get("/feed?limit=1", headers=headers)).json()
    assert kept["next"] == "3"
    assert (await connected.client.get("/feed?after=2", headers=headers)).status_code == 200


async def test_only_organisations_have_a_feed(connected: Running):
    for path in ("/feed", "/feed/stream"):
        assert (await connected.client.get(path)).status_code == 401
        operator = connected.token("operator", "operator")
        assert (await connected.client.get(path, headers=operator)).status_code == 403
    unheard = connected.token("unheard-of", "enterprise")
    answer = await connected.client.get("/feed?wait=1", headers=unheard)
    assert answer.json() == {"items": [], "next": "0"}


async def test_a_suspended_organisation_has_no_feed_and_misses_nothing(connected: Running):
    operator, college = as_("operator", connected), as_("college", connected)
    await connected.client.post("/organisations/college/suspension", json={"reason": "closed"}, headers=operator)
    refused = await connected.client.get("/feed", headers=college)
    assert (refused.status_code, "closed" in refused.json()["detail"]) == (403, True)
    await connected.client.post("/organisations/college/reinstatement", headers=operator)
    await until(lambda: _has(connected, "college", "praktika.organisation.reinstated.v1"))
    assert await _has(connected, "college", "praktika.organisation.suspended.v1")


async def _has(stack: Running, organisation: str, type_: str) -> bool:
    return type_ in [event["type"] for event in await feed(stack, organisation)]


async def test_an_erasure_reaches_all_whom_the_learner_concerned_and_later_words_nobody(connected: Running):
    learner = enrolled()
    await publish(connected, "uni", learner)
    await publish(connected, "plant", interned(learner["subject"], "plant"))
    await settled(connected)
    erasure = enrolled(type="praktika.learner.erased.v1", subject=learner["subject"], data={})
    await publish(connected, "uni", erasure)
    for organisation in ("uni", "plant"):
        await fed(connected, organisation, erasure["id"])
    late = interned(learner["subject"], "works")
    await publish(connected, "works", late)
    await settled(connected)
    assert late["id"] not in ids(await feed(connected, "uni")) + ids(await feed(connected, "works"))
    assert erasure["id"] not in ids(await feed(connected, "college")) + ids(await feed(connected, "works"))
    told = await connected.service.store.home[forwarding.AUDIENCES].find_one({"_id": learner["subject"]})
    assert told == {"_id": learner["subject"], "erased": True}


async def test_what_is_said_in_the_sandbox_reaches_nobody_but_who_said_it(connected: Running):
    learner = enrolled()
    await publish(connected, "uni", learner)
    entry = {"kind": "enterprise", "name": "Trial", "region": "r", "sandbox": True}
    await connected.client.put("/organisations/trial", json=entry, headers=as_("operator", connected))
    trial = Signer(connected.settings).token(Caller("trial", Publisher.enterprise, sandbox=True))
    headers = {"Authorization": f"Bearer {trial}", "Content-Type": "application/cloudevents+json"}
    cloudevent = interned(learner["subject"], "trial")
    assert (await connected.client.post("/events", json=cloudevent, headers=headers)).status_code == 202
    await settled(connected)
    own = (await connected.client.get("/feed", headers=headers)).json()["items"]
    assert {event["subject"] for event in own} == {"trial", cloudevent["subject"]}
    assert cloudevent["id"] not in ids(await feed(connected, "uni"))


async def test_what_is_no_event_or_on_another_topic_is_passed_over(connected: Running):
    learner = enrolled()
    strayed = enrolled(partitionkey=learner["subject"], subject=learner["subject"], sourcekind="institution")
    await connected.publish(Record("learner", learner["subject"], b"no event"))
    await connected.publish(Record("demand", learner["subject"], json.dumps(strayed).encode()))
    await publish(connected, "uni", learner)
    await settled(connected)
    found = ids(await feed(connected, "uni"))
    assert (learner["id"] in found, strayed["id"] in found) == (True, False)


# what goes wrong on the way


async def test_a_crash_after_publishing_repeats_events_and_loses_none(
    kafka: str, mongodb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    servers = {"kafka": kafka, "mongodb": mongodb, "keys_dir": tmp_path}
    async with running(core, router, **servers, registry_checks="owners", work=[forward]) as stack:
        await register(stack, "uni", "institution")
        await settled(stack)
        publish_all, crashes = stack.service.producer.publish, 0

        async def crash(records: list[Record], timeout_s: float = 15) -> Any:
            nonlocal crashes
            done = await publish_all(records, timeout_s)
            if crashes < 2 and any(record.topic.startswith("egress.") for record in records):
                crashes += 1
                raise NotPublished("as if it had crashed here")
            return done

        monkeypatch.setattr(stack.service.producer, "publish", crash)
        events = [enrolled() for _ in range(30)]
        await publish(stack, "uni", *events)
        await settled(stack)
        found = [id for id in ids(await feed(stack, "uni")) if id in ids(events)]
        assert crashes == 2
        assert {*found} == {*ids(events)}
        assert len(found) > len(events)


async def test_who_cannot_see_where_it_stands_sends_nothing_again(
    kafka: str, mongodb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    servers = {"kafka": kafka, "mongodb": mongodb, "keys_dir": tmp_path, "registry_checks": "owners"}
    async with running(core, router, **servers) as stack:
        await register(stack, "uni", "institution")
        events = [enrolled() for _ in range(20)]
        await publish(stack, "uni", *events)
        async with sending_on(stack):
            await settled(stack)
        known, away = forwarding.positions, iter([True])

        async def positions(home: Database) -> dict[str, int]:
            if next(away, False):
                raise DatabaseError("away")
            return await known(home)

        monkeypatch.setattr(forwarding, "positions", positions)
        with pytest.raises(DatabaseError):
            async with asyncio.timeout(30):
                await forward(stack.service)
        later = enrolled()
        await publish(stack, "uni", later)
        async with sending_on(stack):
            found = Counter(ids(await fed(stack, "uni", later["id"])))
        assert {found[id] for id in ids([*events, later])} == {1}


@asynccontextmanager
async def sending_on(stack: Running) -> AsyncIterator[None]:
    """What concerns organisations is sent on meanwhile."""
    task = asyncio.create_task(forward(stack.service))
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_nobody_misses_an_event_because_the_registry_lags(kafka: str, mongodb: str, tmp_path: Path):
    servers = {"kafka": kafka, "mongodb": mongodb, "keys_dir": tmp_path, "registry_checks": "owners"}
    async with running(core, router, **servers, role="api") as lagging:
        for id, kind in ORGANISATIONS.items():
            entry = OrganisationRegistered(kind=OrganisationKind(kind), name=id, region="r")
            await lagging.publish(event(entry, id, by="operator:operator"))
        learner = enrolled()
        internship = interned(learner["subject"], "plant")
        async with sending_on(lagging):
            await publish(lagging, "uni", learner)
            await publish(lagging, "plant", internship)
            async with running(core, router, **servers, namespace=lagging.settings.namespace, role="all") as registry:
                assert learner["id"] in ids(await fed(registry, "uni", internship["id"]))


# Server-Sent Events


@pytest_asyncio.fixture(scope="module")
async def address(connected: Running) -> AsyncIterator[str]:
    """The same application behind a real server: the client of the others waits for the end of an answer."""
    app: Any = connected.client._transport.app
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(app, port=port, lifespan="off", log_config=None, timeout_graceful_shutdown=5)
    )
    app.state.server = server
    serving = asyncio.create_task(server.serve())
    await until(lambda: asyncio.sleep(0, server.started))
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await serving
    del app.state.server


@asynccontextmanager
async def stream(address: str, **options: Any) -> AsyncIterator[AsyncIterator[str]]:
    async with (
        httpx.AsyncClient(trust_env=False, timeout=20) as http,
        http.stream("GET", f"{address}/feed/stream", **options) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield answer.aiter_lines()


async def event_in(lines: AsyncIterator[str]) -> tuple[str, dict[str, Any]]:
    """The next event of a stream, and its id."""
    id = ""
    async for line in lines:
        name, _, value = line.partition(": ")
        if name == "id":
            id = value
        if name == "data":
            return id, json.loads(value)
    raise EOFError


async def test_a_stream_tells_what_happens_and_goes_on_where_it_was_left(connected: Running, address: str):
    await settled(connected)
    end = (await connected.client.get("/feed?limit=1000", headers=as_("uni", connected))).json()["next"]
    first, second = enrolled(), enrolled()
    async with stream(address, params={"after": end}, headers=as_("uni", connected)) as lines:
        await publish(connected, "uni", first)
        id, event = await event_in(lines)
        assert event["id"] == first["id"]
    await publish(connected, "uni", second)
    async with stream(address, headers=as_("uni", connected) | {"Last-Event-ID": id}) as lines:
        assert (await event_in(lines))[1]["id"] == second["id"]


async def test_a_stream_ends_with_the_token(connected: Running, address: str):
    short = Signer(connected.settings.model_copy(update={"token_lifetime_s": 5}))
    token = short.token(Caller("uni", Publisher.institution))
    async with stream(address, headers={"Authorization": f"Bearer {token}"}) as lines:
        with suppress(EOFError):
            async with asyncio.timeout(15):
                while True:
                    await event_in(lines)


async def test_a_stream_ends_when_the_organisation_is_suspended(connected: Running, address: str):
    operator = as_("operator", connected)
    async with stream(address, headers=as_("college", connected)) as lines:
        await connected.client.post("/organisations/college/suspension", json={"reason": "closed"}, headers=operator)
        with suppress(EOFError):
            async with asyncio.timeout(15):
                while True:
                    await event_in(lines)
    await connected.client.post("/organisations/college/reinstatement", headers=operator)


async def test_a_stream_from_a_cursor_that_is_not_kept_is_refused(connected: Running, address: str):
    async with httpx.AsyncClient(trust_env=False) as http:
        headers = as_("uni", connected)
        for given in ({"params": {"after": 999_999}}, {"headers": headers | {"Last-Event-ID": "999999"}}):
            answer = await http.get(f"{address}/feed/stream", **({"headers": headers} | given))
            assert (answer.status_code, answer.json()["oldest"]) == (410, "0")
        answer = await http.get(f"{address}/feed/stream", headers=headers | {"Last-Event-ID": "x"})
        assert answer.status_code == 422


def test_every_address_in_the_documentation_exists():
    document = json.loads((ROOT / "deploy/contract/openapi/partners.json").read_text())
    text = (ROOT / "docs/feed.md").read_text()
    for value, name in (("$ID", "{id}"), ("$FAILURE", "{failure}"), ("rejected-1-17", "{position}")):
        text = text.replace(value, name)
    named = re.findall(r'\$PARTNERS(/[^"?`]*)', text)
    assert len(named) > 10
    assert {*named} <= document["paths"].keys()


def test_an_organisation_has_a_bounded_number_of_readers():
    readers = Readers(1)
    with readers.one_more("uni"), readers.one_more("plant"):
        with pytest.raises(Problem) as refused, readers.one_more("uni"):
            pass
        assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "5"})
    with readers.one_more("uni"):
        pass
