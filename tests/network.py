"""The four services of one network, inside the test's event loop, with what an institution and an enterprise say."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

from shared.log.topics import SERVICES
from tests.stack import Running, running, until

KINDS = {
    "operator": "operator",
    "uni": "institution",
    "college": "institution",
    "plant": "enterprise",
    "works": "enterprise",
    "lab": "research_centre",
}
STRUCTURED = {"Content-Type": "application/cloudevents+json"}
# What of uni's and plant's nobody else may see.
LEARNER, COHORT, INTERNSHIP = "learner-of-uni", "2017-03", "internship-of-uni"


@asynccontextmanager
async def network(kafka: str, mongodb: str, keys_dir: Path, **settings: Any) -> AsyncIterator[dict[str, Running]]:
    """All services by name, on the same log; they end with the block."""
    settings = {"namespace": f"n{uuid4().hex[:12]}"} | settings
    async with AsyncExitStack() as stack:
        services = {}
        for name in SERVICES:
            app = import_module(f"services.{name}.app")
            services[name] = await stack.enter_async_context(
                running(
                    app.core,
                    app.router,
                    kafka=kafka,
                    mongodb=mongodb,
                    keys_dir=keys_dir,
                    work=getattr(app, "work", ()),
                    serving=getattr(app, "serving", ()),
                    **settings,
                )
            )
        yield services


def as_(stack: Running, organisation: str, wait_s: int = 20) -> dict[str, str]:
    """Headers of an organisation that waits for what it commands."""
    return {**stack.token(organisation, KINDS[organisation]), "Prefer": f"wait={wait_s}"}


def cloudevent(by: str, type_: str, subject: str, data: dict[str, Any], **further: Any) -> dict[str, Any]:
    """A CloudEvent as an organisation sends it now."""
    event = {"specversion": "1.0", "id": str(uuid4()), "source": f"/organisations/{by}", "subject": subject}
    return {**event, "type": f"praktika.{type_}.v1", "time": datetime.now(UTC).isoformat(), "data": data, **further}


async def tell(services: dict[str, Running]) -> dict[str, str]:
    """Let uni and plant say one thing of each kind, and college, works and lab nothing; return names to fill in."""
    partners, certification, feedback = services["partners"], services["certification"], services["feedback"]

    async def command(stack: Running, by: str, method: str, path: str, body: Any = None) -> None:
        async def done() -> bool:
            answer = await stack.client.request(method, path, json=body, headers=as_(stack, by))
            assert answer.status_code in (200, 503), answer.text
            return answer.status_code == 200

        await until(done, 120)  # a Kafka that has just begun, on a busy machine: 503 says to send it again

    for id, kind in KINDS.items():
        if kind != "operator":
            entry = {"kind": kind, "name": id.title(), "region": "RU-KEM"}
            await command(partners, "operator", "PUT", f"/organisations/{id}", entry)
    programme = {"title": "Welding", "version": "1", "level": 4, "competencies": [], "hours_theory": 1}
    await command(partners, "uni", "PUT", "/programmes/welding", {**programme, "hours_workplace": 1})
    agreement = {"parties": ["uni", "plant"], "scope": "internships", "valid_from": "2020-01-01"}
    await command(partners, "uni", "PUT", "/agreements/a-1", {**agreement, "programmes": ["welding"]})
    await command(partners, "plant", "POST", "/agreements/a-1/signature")
    scheme = {"competency": "greencomp:3.1", "level": 4, "methods": ["exam"], "least_score": 0.5}
    await command(certification, "uni", "PUT", "/schemes/futures", {**scheme, "enterprise_required": False})
    placed = {"enterprise": "plant", "programme": "welding"}
    began = (datetime.now(UTC) - timedelta(days=10)).isoformat()
    completed = {**placed, "hours": 80, "competencies": ["greencomp:3.1"], "outcome": "passed"}
    about = {"partitionkey": LEARNER}
    address = ""
    for event in (
        cloudevent("uni", "learner.enrolled", LEARNER, {"programme": "welding", "cohort": COHORT}),
        cloudevent("plant", "internship.started", INTERNSHIP, {**placed, "agreement": "a-1"}, **about, time=began),
        cloudevent("plant", "internship.completed", INTERNSHIP, completed, **about),
        cloudevent(
            "uni", "assessment.recorded", "exam-1", {"competency": "greencomp:3.1", "method": "exam", "score": 0.9}
        )
        | about,
        cloudevent("plant", "opportunity.posted", "job-1", {"kind": "vacancy", "title": "Welder", "places": 1}),
    ):
        headers = as_(partners, event["source"].rpartition("/")[2]) | STRUCTURED
        answer = await partners.client.post("/events", json=event, headers=headers)
        assert answer.status_code == 202, answer.text
        address = address or answer.headers["Location"]

    async def first(stack: Running, path: str) -> Any:
        items = (await stack.client.get(path, headers=as_(stack, "uni"))).json()["items"]
        return items[0]["id"] if items else None

    certificate = await until(lambda: first(certification, "/certificates"))
    request = await until(lambda: first(feedback, "/requests"))
    await until(lambda: first(partners, "/internships"))
    return {"learner": LEARNER, "event": address, "certificate": certificate, "request": request}
