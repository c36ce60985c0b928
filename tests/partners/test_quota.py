"""An organisation may send so much; who sends more is asked to wait, and disturbs nobody else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from services.partners.app import core, router
from services.partners.gateway.ingress import http
from services.partners.gateway.quotas import InFlight
from shared.contract.events import TOPICS
from shared.http.ratelimit import Quota
from tests.partners.conftest import MECHANICS, as_, enrolled, register
from tests.stack import Running, running, until

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}


@pytest_asyncio.fixture
async def narrow(kafka: str, mongodb: str, tmp_path: Path) -> AsyncIterator[Running]:
    """The service, where five events may be sent at once and then one a second."""
    quota = {"quota_events_per_s": 1, "quota_burst_events": 5}
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path, **quota) as stack:
        await register(stack, "uni", "institution")
        await register(stack, "college", "institution")
        await stack.publish(MECHANICS)
        yield stack


async def send(stack: Running, by: str, number: int = 1) -> tuple[int, dict[str, str]]:
    events = [enrolled(source=f"/organisations/{by}") for _ in range(number)]
    response = await stack.client.post("/events", json=events, headers=as_(by, stack) | BATCH)
    assert response.headers["Content-Type"] == f"application/{'problem+' if response.is_error else ''}json"
    return response.status_code, dict(response.headers)


async def test_who_is_overdrawn_is_asked_to_wait_and_disturbs_nobody(narrow: Running):
    on_log, counted = await narrow.count(*TOPICS, "rejected"), http.THROTTLED._value.get()
    assert (await send(narrow, "uni", 7))[0] == 202
    status, headers = await send(narrow, "uni")
    assert status == 429
    assert 1 <= int(headers["retry-after"]) <= 3
    assert await narrow.count(*TOPICS, "rejected") == on_log + 7
    assert http.THROTTLED._value.get() == counted + 1
    assert (await send(narrow, "college"))[0] == 202

    async def accepted() -> bool:
        return (await send(narrow, "uni"))[0] == 202

    await until(accepted, 10)


async def test_what_is_refused_is_charged_too(narrow: Running):
    async def is_overdrawn() -> bool:
        response = await narrow.client.post("/events", content=b"{", headers=as_("uni", narrow) | STRUCTURED)
        assert response.status_code in (400, 429)
        return response.status_code == 429

    await until(is_overdrawn, 10)


async def test_operator_has_no_quota(narrow: Running):
    for _ in range(8):
        headers = as_("operator", narrow) | STRUCTURED
        assert (await narrow.client.post("/events", json={}, headers=headers)).status_code == 400


@given(
    per_s=st.integers(1, 100),
    burst=st.integers(1, 100),
    requests=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 50)), max_size=50),
)
def test_nobody_is_let_in_beyond_burst_and_rate_nor_waits_longer_than_told(
    per_s: int, burst: int, requests: list[tuple[float, int]]
):
    quota, now, let_in = Quota(per_s, burst), 0.0, 0
    for pause_s, number in requests:
        now += pause_s
        wait_s = quota.wait_s("uni", now)
        if wait_s == 0:
            assert let_in + 1 <= burst + per_s * now + 0.001
            quota.charge("uni", number, now)
            let_in += number
        else:
            assert quota.wait_s("uni", now + wait_s + 0.001) == 0
        assert quota.wait_s("college", now) == 0


@pytest_asyncio.fixture
async def slim(kafka: str, mongodb: str, tmp_path: Path) -> AsyncIterator[Running]:
    """The service, where three kilobytes may be sent at once, and an event may name two others."""
    quota = {"quota_bytes_per_s": 100, "quota_burst_bytes": 3_000, "audience_max": 2}
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path, **quota) as stack:
        for id in ("uni", "college", "north", "south"):
            await register(stack, id, "institution")
        await stack.publish(MECHANICS)
        yield stack


def held(*organisations: str) -> dict[str, Any]:
    data = {"kind": "workshop", "hours": 2, "participants": 9, "organisations": list(organisations)}
    return enrolled(type="praktika.activity.held.v1", data=data)


async def test_bytes_have_a_quota_and_what_names_others_counts_for_each(slim: Running):
    async def publish(event: dict[str, Any]) -> Any:
        return await slim.client.post("/events", json=event, headers=as_("uni", slim) | STRUCTURED)

    many = await publish(held("college", "north", "south"))
    assert (many.status_code, many.json()["rule"]) == (422, "audience")
    assert "at most 2 may be named" in many.json()["detail"]
    sent = 0
    while (answer := await publish(held("college", "north"))).status_code == 202:
        sent += 1
        assert sent < 10, "each is some 300 bytes, three times"
    assert answer.status_code == 429
    assert "100 bytes a second" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) >= 1
    assert (await send(slim, "college"))[0] == 202


async def test_what_is_told_a_region_counts_for_each_of_its_institutions(slim: Running):
    await register(slim, "plant", "enterprise")  # with four institutions

    async def publish(number: int) -> Any:
        data = {"kind": "vacancy", "title": "Welder", "places": number + 1}
        posted = enrolled(type="praktika.opportunity.posted.v1", subject=f"plant-{number}", data=data)
        offer = posted | {"source": "/organisations/plant"}
        return await slim.client.post("/events", json=offer, headers=as_("plant", slim) | STRUCTURED)

    sent = 0
    while (answer := await publish(sent)).status_code == 202:
        sent += 1
        assert sent < 6, "each is some 300 bytes, five times"
    assert answer.status_code == 429, answer.text


async def test_work_in_flight_waits_in_turn_and_another_goes_on(slim: Running):
    slim.settings.in_flight_bytes, slim.settings.in_flight_bytes_of_one = 1_000, 600
    in_flight, done = InFlight(slim.settings), list[str]()
    first = asyncio.Event()

    async def work(whose: str, until: asyncio.Event | None = None) -> None:
        async with in_flight.hold(whose, 400):
            if until:
                await until.wait()
            done.append(whose)

    holding = asyncio.create_task(work("uni", first))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(work("uni"))
    await work("college")
    assert done == ["college"]
    first.set()
    await asyncio.gather(holding, waiting)
    assert done == ["college", "uni", "uni"]


async def test_what_is_small_waits_for_nobody_else_and_only_with_much_beside_it_for_its_own_turn(slim: Running):
    slim.settings.in_flight_bytes, slim.settings.in_flight_requests_of_one = slim.settings.event_max_bytes, 2
    in_flight, until, done = InFlight(slim.settings), asyncio.Event(), list[str]()

    async def work(whose: str, size: int) -> None:
        async with in_flight.hold(whose, size):
            await until.wait()
            done.append(whose)

    large = slim.settings.event_max_bytes + 1
    half, small = slim.settings.event_max_bytes // 2, 10
    sizes = [("uni", large), ("college", large), ("college", small), ("plant", half), ("plant", half), ("plant", half)]
    sizes += [("works", small)] * 5
    tasks = [asyncio.create_task(work(*each)) for each in sizes]
    await asyncio.sleep(0.1)
    at_once = {"uni": 1, "college": 1, "plant": 2, "works": 5}
    assert in_flight._open == at_once, "a large one and the third of plant's wait"
    until.set()
    await asyncio.gather(*tasks)
    assert len(done) == len(sizes)
    assert not in_flight._open
