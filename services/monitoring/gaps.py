"""Places demanded beside people who hold a certificate, competency by competency, in a region or for a programme."""

from typing import Any, Literal

from shared.processing import mongo
from shared.processing.mongo import Database

from .counters import Registry, today
from .lookups import demands_of, in_force

GapScope = Literal["network", "region", "programme"]


async def gap_table(
    db: Database, registry: Registry, scope: GapScope, scope_id: str | None, suppress_below: int
) -> list[dict[str, Any]]:
    """A row for each competency that is demanded in this month.

    Demand of a region is what its organisations report, and what is reported of it; a programme's is that of its
    region. Holders of a region have their certificate from one of its institutions; those of a programme are enrolled
    in it. Few holders are hidden, and with them what would tell their number.
    """
    region = scope_id if scope == "region" else _region(registry, scope_id)
    reported = [doc async for doc in db["demands"].find({"places": {"$exists": True}}, {"state": 0})]
    if scope != "network":
        reported = [doc for doc in reported if _region_of(registry, doc) == region]
    demanded = {
        competency: some
        for competency, reports in demands_of(reported).items()
        if (some := in_force(reports, today().isoformat()[:7]))
    }
    held = await _holders(db, registry, scope, scope_id)
    return [
        _row(competency, sum(report.places for report in some), len(some), held.get(competency, 0), suppress_below)
        for competency, some in sorted(demanded.items())
    ]


def _row(competency: str, places: int, reports: int, holders: int, suppress_below: int) -> dict[str, Any]:
    few = 0 < holders < suppress_below
    return {
        "competency": competency,
        "places": places,
        "reports": reports,
        "holders": f"<{suppress_below}" if few else holders,
        "lack": None if few else max(0, places - holders),
        "surplus": None if few else max(0, holders - places),
        "status": "suppressed" if few else "ok",
    }


def _region(registry: Registry, programme: str | None) -> str | None:
    return registry.scope_of(programme, "programme", "region") if programme else None


def _region_of(registry: Registry, report: dict[str, Any]) -> str | None:
    """Of whose demand it is: an organisation's region, or a region itself."""
    of = report.get("of") or report["_id"].split("/")[1]
    entry = registry.organisations.get(of)
    return entry.get("region") if entry else of


async def _holders(db: Database, registry: Registry, scope: GapScope, scope_id: str | None) -> dict[str, int]:
    """Who holds a valid certificate, by competency."""
    until_now = {"period": {"$lte": today().isoformat()[:7]}}  # later, certificates end
    if scope == "network":
        read = await mongo.sums(db, {"kind": "competency", **until_now}, ("id",), ["holders"])
        return {competency: counts.get("holders", 0) for (competency,), counts in read.items()}
    kind, own = "programme_competency", {scope_id}
    if scope == "region":
        kind = "institution_competency"
        own = {id for id, entry in registry.organisations.items() if entry.get("region") == scope_id}
    held: dict[str, int] = {}
    for (about,), counts in (await mongo.sums(db, {"kind": kind, **until_now}, ("id",), ["holders"])).items():
        whose, competency = about.split(" ")
        if whose in own:
            held[competency] = held.get(competency, 0) + counts.get("holders", 0)
    return held
