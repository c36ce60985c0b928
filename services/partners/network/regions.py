"""Who is told of what is of a region: the institutions that train people there."""

from collections.abc import Iterable, Mapping
from typing import Any

from shared.contract import events
from shared.contract.events import Data, Event
from shared.http.service import Service

REGIONAL = frozenset(
    {
        events.DemandReported,
        events.DemandAnnulled,
        events.OpportunityPosted,
        events.OpportunityClosed,
        events.RecognitionGranted,
        events.RecognitionWithdrawn,
    }
)


def of_region(event: Event[Any]) -> str | None:
    """The organisation whose region an event is of, or the region itself; None: it is of none."""
    if event.event_class is events.IndicatorAlerted:
        return event.data.scope_id if event.data.scope == "region" else None
    if event.sandbox or event.event_class not in REGIONAL:
        return None
    return getattr(event.data, "of", None) or events.organisation_of(event.source)


async def institutions(service: Service, told: Iterable[Event[Data]]) -> Mapping[str, frozenset[str]]:
    """The institutions of the region, by what `of_region` gives."""
    ids = set(filter(None, map(of_region, told)))
    if not ids:
        return {}
    entries = await service.by_id("organisations", ids, {"region": 1})
    regions = {id: entries.get(id, {}).get("region") or id for id in ids}
    found: dict[str, set[str]] = {}
    wanted = {"kind": events.OrganisationKind.institution, "region": {"$in": sorted(set(regions.values()))}}
    async for doc in service.db["organisations"].find(wanted, {"region": 1}):
        found.setdefault(doc["region"], set()).add(doc["_id"])
    return {id: frozenset(found.get(region, ())) for id, region in regions.items()}
