"""The partners service, with an institution, an enterprise and what they send."""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from services.partners.app import core, router, work
from services.partners.gateway.egress import forwarding
from shared.contract.events import (
    AgreementProposed,
    AgreementSigned,
    JointPartner,
    LearnerEnrolled,
    OrganisationKind,
    ProgrammePublished,
)
from shared.log.topics import ensure_ingress
from shared.settings import Settings
from tests.making import event
from tests.stack import Running, running, until


@pytest_asyncio.fixture(scope="module")
async def partners(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The service with the registered organisations uni, college (institutions), plant and works (enterprises).

    The two institutions offer the programme mechanics together.
    """
    keys = tmp_path_factory.mktemp("keys")
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=keys) as stack:
        for id, kind in ORGANISATIONS.items():
            await register(stack, id, kind)
        await stack.publish(MECHANICS)
        yield stack


@pytest_asyncio.fixture(scope="module")
async def connected(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The same, and what concerns an organisation reaches it; two processes' worth of work at once."""
    keys = tmp_path_factory.mktemp("keys")
    settings = {
        "registry_checks": "owners",
        "webhooks_inside": True,
        "webhook_retry_s": 0.05,
        "webhook_origin": "praktika.test",
    }
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=keys, work=work * 2, **settings) as stack:
        for id, kind in ORGANISATIONS.items():
            await register(stack, id, kind)
        await settled(stack)  # so that each feed begins with the registration
        yield stack


async def practise(stack: Running) -> None:
    """Let uni offer the programme welding, enrol l-0 to l-1500, and agree with plant on their practice in 2026."""
    welding = ProgrammePublished(title="Welding", version="1", level=4)
    terms = AgreementProposed(parties=["uni", "plant"], scope="Practice", valid_from=date(2026, 1, 1))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    await stack.service.publish(
        event(welding, "welding", time=start),
        event(terms, "practice", time=start),
        event(AgreementSigned(), "practice", by="enterprise:plant", time=start),
        *(event(LearnerEnrolled(programme="welding"), f"l-{n}", time=start) for n in range(1_501)),
    )
    await stack.applied()


async def secret_of(organisation: str, stack: Running) -> str:
    """A new credential's secret."""
    path = f"/organisations/{organisation}/credentials"
    answer = await stack.client.post(path, headers=as_("operator", stack))
    made: str = answer.json()["client_secret"]
    return made


JOINT = JointPartner(organisation="college", kind=OrganisationKind.institution)
MECHANICS = event(ProgrammePublished(title="Mechanics", version="1", level=6, joint_partners=[JOINT]), "mechanics")
ORGANISATIONS = {"uni": "institution", "college": "institution", "plant": "enterprise", "works": "enterprise"}


async def ingress_topics(kafka: str, organisations: Iterable[str]) -> str:
    """A namespace with these topics: one that is found later makes the consumer judge again what it has in hand."""
    namespace = f"t{uuid4().hex[:12]}"
    for organisation in organisations:
        await ensure_ingress(Settings(kafka_bootstrap_servers=kafka, namespace=namespace), organisation)
    return namespace


async def register(stack: Running, id: str, kind: str) -> None:
    entry = {"kind": kind, "name": id.title(), "region": "RU-KEM"}

    async def done() -> bool:
        answer = await stack.client.put(f"/organisations/{id}", json=entry, headers=as_("operator", stack))
        assert answer.status_code in (200, 503), answer.text
        return answer.status_code == 200

    await until(done, 120)  # a Kafka that has just begun, on a busy machine: 503 says to send it again


def as_(organisation: str, stack: Running, wait_s: int = 20) -> dict[str, str]:
    """Headers of an organisation that waits for what it commands."""
    kind = "operator" if organisation == "operator" else ORGANISATIONS[organisation]
    return {**stack.token(organisation, kind), "Prefer": f"wait={wait_s}"}


async def publish(stack: Running, organisation: str, *events: dict[str, Any]) -> None:
    """Send a batch, of which all is accepted."""
    headers = as_(organisation, stack) | {"Content-Type": "application/cloudevents-batch+json"}
    answer = await stack.client.post("/events", json=list(events), headers=headers)
    assert answer.status_code == 202, answer.text


async def settled(stack: Running) -> None:
    """Wait until all that is published has been sent on."""

    async def all_read() -> bool:
        await forwarding.observe_lag(stack.service)
        return forwarding.LAG._value.get() == 0

    await until(all_read)


async def feed(stack: Running, organisation: str, **query: Any) -> list[dict[str, Any]]:
    """All that an organisation's feed has now (the query: after where)."""
    found: list[dict[str, Any]] = []
    while True:
        answer = await stack.client.get("/feed", params=query, headers=as_(organisation, stack))
        assert answer.status_code == 200, answer.text
        if not answer.json()["items"]:
            return found
        found += answer.json()["items"]
        query["after"] = answer.json()["next"]


async def fed(stack: Running, organisation: str, id: str) -> list[dict[str, Any]]:
    """The feed of an organisation once it has the event *id*."""

    async def there() -> list[dict[str, Any]]:
        found = await feed(stack, organisation)
        return found if id in [event["id"] for event in found] else []

    return await until(there)


def interned(learner: str, enterprise: str = "plant", **changes: Any) -> dict[str, Any]:
    """A CloudEvent by which an enterprise starts a learner's internship."""
    event = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": f"/organisations/{enterprise}",
        "type": "praktika.internship.started.v1",
        "subject": f"internship-{uuid4().hex[:8]}",
        "partitionkey": learner,
        "time": datetime.now(UTC).isoformat(),
        "data": {"enterprise": enterprise, "programme": "mechanics"},
    }
    return event | changes


def enrolled(**changes: Any) -> dict[str, Any]:
    """A CloudEvent by which uni enrols a learner; a change to None leaves the attribute out."""
    learner = f"learner-{uuid4().hex[:8]}"
    event = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "/organisations/uni",
        "type": "praktika.learner.enrolled.v1",
        "subject": learner,
        "time": datetime.now(UTC).isoformat(),
        "data": {"programme": "mechanics", "cohort": "2026-06"},
    }
    return {name: value for name, value in (event | changes).items() if value is not None}
