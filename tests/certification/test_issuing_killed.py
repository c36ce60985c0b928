"""Certification is killed (kill -9) while it issues and revokes: nothing is doubled, every credential stays."""

import asyncio
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from deploy.local.processes import ROOT, free_port
from services.certification.app import core, router
from services.certification.credentials import lists, status
from shared.contract.events import OrganisationKind, OrganisationRegistered, SchemePublished
from tests.certification.test_flow import SCHEME, exam
from tests.making import event
from tests.processes import environment
from tests.stack import Running, running, until

LEARNERS, REVOKED = 16, 5


class Killed:
    """A whole certification service as a process, killed at the end of the block."""

    def __init__(self, stack: Running) -> None:
        self.port = free_port()
        self.env = environment(stack) | {"PRAKTIKA_ROLE": "all", "PRAKTIKA_PORT": str(self.port)}

    async def __aenter__(self) -> httpx.AsyncClient:
        self.process = self._started()
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

        async def answers() -> bool:
            with suppress(httpx.HTTPError):
                return (await self.http.get("/health/live")).status_code == 200
            return False

        await until(answers)
        return self.http

    def _started(self) -> subprocess.Popen[bytes]:
        command, nowhere = [sys.executable, "-m", "services.certification.app"], subprocess.DEVNULL
        return subprocess.Popen(command, cwd=ROOT, env=self.env, stdout=nowhere, stderr=nowhere)

    async def __aexit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        await self.http.aclose()


async def certificates(stack: Running) -> list[str]:
    found = stack.service.db["learners"].find({"certificates.institution": "uni"}, {"certificates": 1})
    return sorted([each["id"] async for doc in found for each in doc["certificates"]])


async def issued(stack: Running) -> dict[str, set[str]]:
    """What was said of each certificate's credential, however often."""
    said: dict[str, set[str]] = {}
    for record in await stack.read("learner"):
        one = json.loads(record.value or b"{}")
        if one["type"] == "praktika.certificate.issued.v1":
            said.setdefault(one["subject"], set()).add(json.dumps(one["data"], sort_keys=True))
    return said


async def ask(http: httpx.AsyncClient, stack: Running, ids: list[str], got: dict[str, set[bytes]]) -> None:
    """Ask for each credential, twice at the same time; whoever is killed answers nothing."""

    async def one(id: str) -> None:
        with suppress(httpx.HTTPError):
            headers = stack.token("uni", "institution")
            answer = await http.get(f"/certificates/{id}/credential.json", headers=headers)
            if answer.status_code == 200:
                got.setdefault(id, set()).add(answer.content)

    await asyncio.gather(*(one(id) for id in ids for _ in range(2)))


async def test_killed_while_issuing_and_revoking_there_is_one_credential_for_each(
    kafka: str, mongodb: str, tmp_path: Path
):
    about: dict[str, Any] = {"kafka": kafka, "mongodb": mongodb, "keys_dir": tmp_path}
    async with running(core, router, **about, role="api") as stack:
        named = OrganisationRegistered(kind=OrganisationKind.institution, name="U", region="north")
        scheme = event(SchemePublished(**SCHEME), "futures", by="institution:uni")  # type: ignore[arg-type]
        await stack.publish(event(named, "uni", by="operator:operator"), scheme)
        await stack.publish(*[each for n in range(LEARNERS) for each in exam(f"l{n}")])
        got: dict[str, set[bytes]] = {}
        for goal in (1, LEARNERS // 2):
            async with Killed(stack) as http:

                async def some(least: int = goal) -> bool:
                    return len(await certificates(stack)) >= least

                await until(some)
                asking = asyncio.create_task(ask(http, stack, await certificates(stack), got))

                async def a_few(least: int = goal, asked: asyncio.Task[None] = asking) -> bool:
                    return len(await issued(stack)) >= least or asked.done()

                await until(a_few)
            await asking
        async with Killed(stack) as http:

            async def all_are() -> bool:
                return len(await certificates(stack)) == LEARNERS

            await until(all_are)
            ids = await certificates(stack)
            await ask(http, stack, ids, got)
            revoking = [revoke(http, stack, id) for id in ids[:REVOKED]]
            await asyncio.wait([asyncio.create_task(each) for each in revoking], return_when=asyncio.FIRST_COMPLETED)
        async with Killed(stack) as http:
            await asyncio.gather(*(revoke(http, stack, id) for id in ids[:REVOKED]))
            await ask(http, stack, ids, got)
            await stack.applied()
            of_list = json.loads(await lists.signed_list(stack.service, "uni", 1))
        said = await issued(stack)
        assert {*said} == {*got} == {*ids}
        assert {len(each) for each in (*said.values(), *got.values())} == {1}
        assert len({json.loads(next(iter(each)))["number"] for each in said.values()}) == LEARNERS
        bits = status.decoded(of_list["credentialSubject"]["encodedList"])
        assert sum(byte.bit_count() for byte in bits) == REVOKED
        for id in ids:
            document = json.loads(next(iter(got[id])))
            index = int(document["credentialStatus"]["statusListIndex"])
            assert status.bits_at(bits, index) == (id in ids[:REVOKED])


async def revoke(http: httpx.AsyncClient, stack: Running, id: str) -> None:
    with suppress(httpx.HTTPError):
        headers = stack.token("uni", "institution")
        await http.post(f"/certificates/{id}/revocation", json={"reason": "x"}, headers=headers)
