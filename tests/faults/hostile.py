"""Two organisations that spoil and starve as much as their credentials let them, in a process of their own.

Nothing that they do may change a number, an entity or a certificate of the others, or keep the others waiting.
"""

import asyncio
import gzip
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx

from deploy.demo.network import BATCH

from .region import (
    ATTACKED,
    ENTERPRISES,
    HOSTILE_ENTERPRISE,
    HOSTILE_INSTITUTION,
    INSTITUTIONS,
    PROGRAMMES,
    Json,
    event,
    introductions,
    request_of,
)

ADDRESS = "127.0.0.66"  # its own, as an attacker's would be: what has no credential is bounded by address
AT_ONCE = 1  # of each attack
PAUSE_S = 0.05


class Attacker:
    """Speaks as the two organisations, and as nobody.

    Attributes:
        answers: how often each attack got which status.
    """

    def __init__(self, partners: str, credentials: dict[str, Json], seed: int) -> None:
        self.answers: dict[str, Counter[str]] = {}
        self._credentials, self._tokens, self._number = credentials, dict[str, str](), count()
        self._own = f"{os.getpid()}-{time.time_ns()}"  # nothing is a mere duplicate of what an earlier process sent
        self._internships = [
            (event["partitionkey"], event["subject"])
            for event in introductions(seed)
            if event["type"] == "praktika.internship.started.v1"
        ]
        transport = httpx.AsyncHTTPTransport(local_address=ADDRESS, limits=httpx.Limits(max_connections=100))
        self._http = httpx.AsyncClient(base_url=partners, timeout=30, transport=transport, trust_env=False)
        nested = "[" + ",".join(["[]"] * 2_600_000) + "]"
        self._nested = gzip.compress(nested.encode())

    async def run(self) -> None:
        """All attacks at once, each over and over."""
        async with asyncio.TaskGroup() as tasks:
            for attack in ATTACKS * AT_ONCE:
                tasks.create_task(self._repeat(attack))

    async def _repeat(self, attack: "Attack") -> None:
        found = self.answers.setdefault(attack.__name__, Counter())
        while True:
            try:
                status = (await attack(self)).status_code
            except (httpx.HTTPError, KeyError):
                found["no answer"] += 1
            else:
                found[str(status)] += 1
                if status == 401:
                    self._tokens.clear()
            await asyncio.sleep(PAUSE_S)

    async def _as(self, by: str) -> dict[str, str]:
        if by not in self._tokens:
            form = {name: self._credentials[by][name] for name in ("client_id", "client_secret")}
            answer = await self._http.post("/token", data={"grant_type": "client_credentials", **form})
            self._tokens[by] = answer.json()["access_token"]
        return {"Authorization": f"Bearer {self._tokens[by]}"}

    async def _send(self, by: str, events: list[Json]) -> httpx.Response:
        headers = await self._as(by) | {"Content-Type": BATCH}
        return await self._http.post("/events", headers=headers, json=events)

    def _say(self, by: str, type_: str, subject: str, data: Json, key: str | None = None) -> Json:
        # Now: the region's own events are older, so what is said here would win, if it counted.
        now = datetime.now(UTC).isoformat()
        return event(by, type_, subject, now, data, id=f"{self._own}-{next(self._number)}", key=key)

    async def rate_who_did_not_ask(self) -> httpx.Response:
        """Answer others' requests, whose ids it knows by a leak, and requests that there are none of."""
        said = []
        for role, by in (("enterprise", HOSTILE_ENTERPRISE), ("learner", HOSTILE_INSTITUTION)):
            for request in [
                *(request_of(*about, role) for about in self._internships),
                f"invented-{next(self._number)}",
            ]:
                rating = {"request": request, "role": role, "overall": 1, "relevance": 1}
                said.append(self._say(by, "feedback.submitted", "an-answer", rating, request))
        await self._send(HOSTILE_ENTERPRISE, [e for e in said if e["source"].endswith(HOSTILE_ENTERPRISE)])
        return await self._send(HOSTILE_INSTITUTION, [e for e in said if e["source"].endswith(HOSTILE_INSTITUTION)])

    async def take_what_is_anothers(self) -> httpx.Response:
        """Enrol others' learners, forget them, publish others' programmes."""
        said = [self._say(HOSTILE_INSTITUTION, "learner.erased", learner, {}) for learner in ATTACKED]
        for learner in ATTACKED:
            said.append(self._say(HOSTILE_INSTITUTION, "learner.enrolled", learner, {"programme": PROGRAMMES[0].id}))
        for programme in PROGRAMMES:
            taken = {"title": "Taken", "version": "9", "level": 1}
            said.append(self._say(HOSTILE_INSTITUTION, "programme.published", programme.id, taken))
        return await self._send(HOSTILE_INSTITUTION, said)

    async def break_off_foreign_internships(self) -> httpx.Response:
        said = []
        for learner, internship in self._internships:
            about = {"enterprise": HOSTILE_ENTERPRISE, "programme": PROGRAMMES[0].id, "reason": "spoilt"}
            said.append(self._say(HOSTILE_ENTERPRISE, "internship.cancelled", internship, about, learner))
            said.append(self._say(HOSTILE_ENTERPRISE, "employment.recorded", "x", {"status": "seeking"}, learner))
        return await self._send(HOSTILE_ENTERPRISE, said)

    async def fill_learners(self) -> httpx.Response:
        """Say of others' learners as much as there is room for, and no scheme asks for."""
        learner = ATTACKED[next(self._number) % len(ATTACKED)]
        data = {"competency": "mischief:1", "method": "portfolio", "score": 0.1}
        said = [
            self._say(HOSTILE_ENTERPRISE, "assessment.recorded", f"{self._own}-{next(self._number)}", data, learner)
            for _ in range(100)
        ]
        return await self._send(HOSTILE_ENTERPRISE, said)

    async def read_by_position(self) -> httpx.Response:
        await self._http.get("/feed?limit=1000", headers=await self._as(HOSTILE_INSTITUTION))
        return await self._http.get("/events/learner-0-0", headers=await self._as(HOSTILE_INSTITUTION))

    async def send_nested_lists(self) -> httpx.Response:
        headers = await self._as(HOSTILE_ENTERPRISE) | {"Content-Type": BATCH, "Content-Encoding": "gzip"}
        return await self._http.post("/events", headers=headers, content=self._nested)

    async def have_much_refused(self) -> httpx.Response:
        data = {"programme": 17, "unknown": "x" * 5_000}
        said = [self._say(HOSTILE_INSTITUTION, "learner.enrolled", "nobody", data) for _ in range(100)]
        return await self._send(HOSTILE_INSTITUTION, said)

    async def name_everybody(self) -> httpx.Response:
        held = {"kind": "workshop", "hours": 1, "participants": 1, "organisations": [*INSTITUTIONS, *ENTERPRISES]}
        said = []
        for _ in range(20):
            id = f"{self._own}-{next(self._number)}"
            said.append(self._say(HOSTILE_INSTITUTION, "activity.held", id, held))
        return await self._send(HOSTILE_INSTITUTION, said)

    async def list_everything(self) -> httpx.Response:
        return await self._http.get("/programmes?limit=1000")


Attack = Callable[[Attacker], Coroutine[Any, Any, httpx.Response]]
ATTACKS: tuple[Attack, ...] = (
    Attacker.rate_who_did_not_ask,
    Attacker.take_what_is_anothers,
    Attacker.break_off_foreign_internships,
    Attacker.fill_learners,
    Attacker.read_by_position,
    Attacker.send_nested_lists,
    Attacker.have_much_refused,
    Attacker.name_everybody,
    Attacker.list_everything,
)


async def main(partners: str, seed: int) -> None:
    attacker = Attacker(partners, json.loads(await asyncio.to_thread(sys.stdin.read)), seed)
    attacking = asyncio.create_task(attacker.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, attacking.cancel)
    with suppress(asyncio.CancelledError):
        await attacking
    print(json.dumps(attacker.answers))


if __name__ == "__main__":
    os.nice(19)  # an attacker's computer is another one: it takes nothing from the services here, either
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
