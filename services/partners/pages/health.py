"""How the network is, in plain words, for those who run it: what is late, what could not be processed, who was refused.

All of it comes from Kafka and from partners' own home: no service is asked, so this page answers when one is down.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from fastapi.responses import HTMLResponse, Response
from pydantic_core import from_json

from services.partners.gateway.egress.forwarding import REJECTIONS
from services.partners.gateway.egress.hooks import WEBHOOKS
from services.partners.people.visits import ByNetwork
from shared.http.routing import Router
from shared.http.service import Service
from shared.http.visits import MemberVisit
from shared.log.raw import reader
from shared.log.topics import SERVICES
from shared.operator import dead_letters
from shared.pages.languages import N_

from .lists import Doc

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
DAY = timedelta(days=1)
SHOWN = 5  # of each kind
LOOKED_AT = 50  # rejections of an organisation, for why it is refused mostly
WORK = {
    "partners": N_("Registry: organisations, agreements, programmes, learners"),
    "feedback": N_("Feedback: requests, answers, recommendations"),
    "certification": N_("Certificates"),
    "monitoring": N_("Indicators"),
}


class ServiceHealth(NamedTuple):
    """How far a service is.

    Attributes:
        workers: processes that do its work now.
        behind: events that it has not processed yet.
        since: when the oldest of these was published.
        dead: events that it could not process, and about which nobody has decided yet.
    """

    work: str
    workers: int
    behind: int
    since: datetime | None
    dead: list[dead_letters.DeadLetter]


class Refused(NamedTuple):
    """What an organisation was refused within a day: how often, why mostly, and when it was last."""

    organisation: str
    name: str
    number: int
    reason: str
    last: datetime


@router.get("/work/health")
async def health_page(visit: ByNetwork) -> Response:
    service = visit.service

    async def read() -> tuple[list[ServiceHealth], list[Refused], list[Doc]]:
        return await _services(visit), await _refused(service), await _hooks(service)

    services, refused, hooks = await service.coalesced(("health", visit.language), read)
    return visit.show(
        "services/partners/pages/health.html",
        services=services,
        refused=refused,
        number=sum(each.number for each in refused),
        hooks=hooks,
        shown=SHOWN,
        is_well=all(each.workers and not each.behind and not each.dead for each in services) and not hooks,
        at=datetime.now(UTC),
    )


async def _services(visit: MemberVisit) -> list[ServiceHealth]:
    """How far each service is, by what it has committed to Kafka."""
    service = visit.service
    async with reader(service.settings) as topics:
        workers = await topics.members(SERVICES)
        letters = await dead_letters.read(topics, await dead_letters.spans(topics))
        late = {name: await topics.behind(name) for name in SERVICES}
    found = []
    for name in SERVICES:
        since = [await _published_at(service, *position) for position in late[name].oldest]
        dead = [letter for letter in letters.letters if letter.service == name and letter.is_open]
        oldest = min((at for at in since if at), default=None)
        found.append(ServiceHealth(visit.word(WORK[name]), workers.get(name, 0), late[name].number, oldest, dead))
    return found


async def _published_at(service: Service, topic: str, partition: int, offset: int) -> datetime | None:
    record = await service.log.record(topic, partition, offset)
    return datetime.fromtimestamp(record.timestamp / 1000, UTC) if record else None


async def _refused(service: Service) -> list[Refused]:
    """Who was refused most within a day, and why, by the newest."""
    rejections, recent = service.store.home[REJECTIONS], {"at": {"$gt": datetime.now(UTC) - DAY}}
    most = {"$group": {"_id": "$organisation", "n": {"$sum": 1}, "last": {"$max": "$at"}}}
    groups = await rejections.aggregate(
        [{"$match": recent}, most, {"$sort": {"n": -1}}, {"$limit": 4 * SHOWN}]
    ).to_list(None)
    entries = await service.by_id("organisations", [group["_id"] for group in groups], {"name": 1})
    refused = []
    for group in groups:
        of = {**recent, "organisation": group["_id"]}
        newest = await rejections.find(of, {"about": 1}).sort("offset", -1).to_list(LOOKED_AT)
        (reason, _), *_ = Counter(_reason(doc) for doc in newest).most_common(1)
        name = str(entries.get(group["_id"], {}).get("name", group["_id"]))
        refused.append(Refused(group["_id"], name, group["n"], reason, group["last"]))
    return refused


def _reason(doc: Doc) -> str:
    about: dict[str, Any] = from_json(doc["about"])
    first = next(iter(about["errors"]), None)
    return f"{first['field']}: {first['detail']}" if first else str(about["detail"])


async def _hooks(service: Service) -> list[Doc]:
    """Webhooks to which nothing is delivered (any more)."""
    match = {"$or": [{"status": {"$ne": "active"}}, {"failing_since": {"$ne": None}}]}
    fields = {"organisation": 1, "url": 1, "status": 1, "reason": 1, "failing_since": 1}
    return await service.store.home[WEBHOOKS].find(match, fields).sort("organisation").to_list(100)
