"""What is read of the database to find what programmes lack."""

from collections.abc import Collection
from typing import Any

from shared.processing import mongo
from shared.processing.mongo import Database

from . import market_reads
from .gaps import (
    BY,
    Demand,
    Finding,
    Market,
    Programme,
    Rules,
    by_ratings,
    falls,
    gaps,
    lapsed,
    unmet,
    wishes,
)
from .market import Of
from .market_reads import Histories
from .requests import today


async def read_findings(
    db: Database, programmes: Collection[str] | None, histories: Histories, rules: Rules
) -> list[Finding]:
    """What speaks for revising these programmes (None: any): by ratings, wishes and demand, and by its end."""
    if programmes is not None and not programmes:
        return []
    # An id is "<programme> <competency>"; a blank is in neither, and sorts before every other character of an id.
    ranges = [{"id": {"$gt": f"{programme} ", "$lt": f"{programme}!"}} for programme in programmes or ()]
    match = {"$or": ranges} if ranges else {}
    ratings = gaps(await mongo.sums(db, {"kind": "programme_competency", **match}, BY))
    wished = wishes(await mongo.sums(db, {"kind": "wish", **match}, BY), rules)
    market = await read_market(db, histories)
    could = await _programmes(db, programmes, market)
    by_demand = unmet(could, market, rules) + lapsed(could, market, rules)
    return by_ratings(ratings, rules) + falls(ratings, rules) + wished + by_demand


async def read_market(db: Database, histories: Histories) -> Market:
    """What is demanded today, by reports and vacancies, and what is certified where."""
    day, regions = today(), await market_reads.regions(db)
    in_force = await market_reads.reports_in_force(db, day.isoformat())
    demanded = [Demand(doc["competency"], *_whose(doc, regions), doc["places"]) for doc in in_force if doc["places"]]
    until: dict[Of, str] = {}
    async for doc in db["demands"].find({"places": {"$gt": 0}}, {"state": 0}):
        of = doc["competency"], _whose(doc, regions)[0]
        until[of] = max(doc["horizon"], until.get(of, ""))
    schemes = [doc async for doc in db["schemes"].find({}, {"competency": 1, "institution": 1}) if "competency" in doc]
    certified = {(doc["competency"], regions.get(doc["institution"])) for doc in schemes}
    history = await histories.of(db)
    return Market(demanded, until, history, certified, day)


def _whose(report: dict[str, Any], regions: dict[str, str]) -> tuple[str, str]:
    """The region of a demand, and who demands: an organisation, or a region itself."""
    of = report.get("of") or report["organisation"]
    return regions.get(of, of), of


async def _programmes(db: Database, programmes: Collection[str] | None, market: Market) -> list[Programme]:
    """The programmes that teach something, or trained learners at somebody who reports a demand."""
    hosts, regions = (
        await _hosts(db, {one.organisation for one in market.demanded}, programmes),
        await market_reads.regions(db),
    )
    match: dict[str, Any] = {"competencies": {"$exists": True}}
    match |= {} if programmes is None else {"_id": {"$in": list(programmes)}}
    return [
        Programme(
            doc["_id"],
            regions.get(doc["institution"]),
            frozenset(doc["competencies"]),
            hosts.get(doc["_id"], frozenset()),
        )
        async for doc in db["programmes"].find(match, {"institution": 1, "competencies": 1})
    ]


async def _hosts(
    db: Database, enterprises: Collection[str], programmes: Collection[str] | None
) -> dict[str, frozenset[str]]:
    """Which of these enterprises trained learners of a programme, by programme."""
    took_place = {"status": {"$in": ["open", "answered", "expired"]}, "months": {"$exists": False}}
    match: dict[str, Any] = {"enterprise": {"$in": sorted(enterprises)}, **took_place}
    match |= {} if programmes is None else {"programme": {"$in": list(programmes)}}
    hosts: dict[str, set[str]] = {}
    for programme, enterprise in await mongo.distinct(db, "requests", ("programme", "enterprise"), match):
        hosts.setdefault(programme, set()).add(enterprise)
    return {programme: frozenset(some) for programme, some in hosts.items()}
