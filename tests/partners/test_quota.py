"""An organisation may send so much; who sends more is asked to wait, and disturbs nobody else."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from services.partners.app import core, router
from services.partners.ingress import http
from shared.events import TOPICS
from shared.ratelimit import Quota
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
