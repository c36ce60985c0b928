"""What one credential, or none, can take of a process: measured on a real one, as its supervisor sees it."""

import asyncio
import gzip
import resource
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest_asyncio

from deploy.demo.network import Network
from tests.processes import Processes

MB = 1_000_000
LAST = {"kind": "enterprise", "name": "Last", "region": "RU-KEM"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}


class Measured:
    """Partners as a process, and an enterprise and an institution that talk to it."""

    def __init__(self, network: Network, pid: int, http: httpx.AsyncClient, log: Path) -> None:
        self.network, self._statm, self.http, self.log = network, Path(f"/proc/{pid}/statm"), http, log

    def resident(self) -> int:
        return int(self._statm.read_text().split()[1]) * resource.getpagesize()

    async def as_(self, organisation: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {await self.network._token(organisation)}"}

    async def peak_during(self, work: Any) -> int:
        """How many bytes the process grew by at most while *work* went on."""
        before, most = self.resident(), 0
        task = asyncio.ensure_future(work)
        while not task.done():
            most = max(most, self.resident())
            await asyncio.sleep(0.005)
        await task
        return max(most, self.resident()) - before


@pytest_asyncio.fixture(scope="module")
async def partners(kafka: str, mongodb: str, tmp_path_factory: Any) -> AsyncIterator[Measured]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    env = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "MONGODB_URI": mongodb, "PRAKTIKA_NAMESPACE": f"h{uuid4().hex[:12]}"}
    with Processes(("partners",), folder, **env) as processes:
        network = processes.network()
        for id, kind in (("uni", "institution"), ("plant", "enterprise")):
            entry = {"kind": kind, "name": id, "region": "RU-KEM"}
            await network.ask("partners", "PUT", f"/organisations/{id}", entry, wait=True)
        pid, address = processes["partners"].pid, processes["partners"].address
        assert pid is not None
        async with httpx.AsyncClient(base_url=address, timeout=120, trust_env=False) as http:
            yield Measured(network, pid, http, processes["partners"].log)
        await network.close()


def programme(id: str, competencies: int = 0) -> dict[str, Any]:
    named = [{"competency": f"c{n}:{'x' * 60}", "level": 4} for n in range(competencies)]
    return {
        "specversion": "1.0",
        "id": id,
        "source": "/organisations/uni",
        "type": "praktika.programme.published.v1",
        "subject": id,
        "time": datetime.now(UTC).isoformat(),
        "data": {"title": "A programme", "version": "1", "level": 4, "competencies": named},
    }


async def test_two_thousand_reads_by_position_leave_nothing_behind(partners: Measured):
    await partners.network.send("uni", [programme(f"p-{n}") for n in range(200)])
    headers = await partners.as_("uni")
    address = (await partners.http.post("/events", json=[programme("q")], headers=headers | BATCH)).json()["items"][0]
    await asyncio.gather(*(partners.http.get("/feed?limit=100", headers=headers) for _ in range(50)))
    before = partners.resident()
    for _ in range(20):
        await asyncio.gather(*(partners.http.get("/feed?limit=100", headers=headers) for _ in range(50)))
        answers = await asyncio.gather(*(partners.http.get(address["event"], headers=headers) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {200}
    assert partners.resident() - before < 30 * MB


async def test_streams_that_hang_up_are_quiet(partners: Measured):
    authorization = (await partners.as_("uni"))["Authorization"]
    request = f"GET /feed/stream HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n".encode()
    lines = len(partners.log.read_text().splitlines())
    for number in range(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", partners.http.base_url.port)
        writer.write(request)
        await reader.readuntil(b"data:")
        writer.transport.abort()  # resets the connection while more is being sent
        await partners.network.send("uni", [programme(f"hung-{number}")])
    assert (await partners.http.get("/health/live")).status_code == 200
    assert partners.log.read_text().splitlines()[lines:] == []


async def test_nested_lists_take_no_gigabytes(partners: Measured):
    body = gzip.compress(b"[" + b"[]," * 2_600_000 + b"[]]")
    assert len(body) < 20_000
    headers = await partners.as_("plant") | BATCH | {"Content-Encoding": "gzip"}

    async def attack() -> None:
        answers = await asyncio.gather(
            *(partners.http.post("/events", content=body, headers=headers) for _ in range(12))
        )
        assert {answer.status_code for answer in answers} == {413}
        assert "more than 600000 values" in answers[0].json()["detail"]

    assert await partners.peak_during(attack()) < 200 * MB


async def test_long_lists_come_in_pages_of_a_megabyte(partners: Measured):
    for start in range(0, 300, 100):
        await partners.network.send("uni", [programme(f"wide-{start + n}", 200) for n in range(100)])

    await partners.network.ask("partners", "PUT", "/organisations/last", LAST, wait=True)  # all before is applied

    async def attack() -> None:
        answers = await asyncio.gather(*(partners.http.get("/programmes?limit=1000") for _ in range(8)))
        for answer in answers:
            assert len(answer.content) < 1.5 * MB
            assert answer.json()["next"]

    assert await partners.peak_during(attack()) < 200 * MB
    seen, after = set(), ""
    while after is not None:
        page = (await partners.http.get("/programmes", params={"limit": 1000, "after": after})).json()
        seen |= {item["id"] for item in page["items"]}
        after = page["next"]
    assert {f"wide-{n}" for n in range(300)} <= seen


async def test_who_has_no_credential_is_bounded_by_address(partners: Measured):
    async def held() -> int:
        return (await partners.http.get("/programmes?limit=1000")).status_code

    statuses = await asyncio.gather(*(held() for _ in range(200)))
    assert set(statuses) <= {200, 429}
    known = await partners.http.get("/programmes?limit=1", headers=await partners.as_("uni"))
    assert known.status_code == 200
