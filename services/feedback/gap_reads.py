"""What is read of the database to find what programmes lack, and to show it."""

import asyncio
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any, NamedTuple

from shared.http.service import Service
from shared.processing import mongo
from shared.processing.frameworks import counted
from shared.processing.mongo import Database
from shared.processing.recent import RecentAnswers

from . import market_reads
from .gap_table import Offer, Row, Table
from .gaps import (
    BY,
    Demand,
    Finding,
    Gap,
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
from .market import History, Of
from .outcomes import CERTIFIED, EXPECTED
from .requests import today


async def read_findings(
    db: Database, programmes: Collection[str] | None, history: History, rules: Rules
) -> list[Finding]:
    """What speaks for revising these programmes (None: any): by ratings, wishes and demand, and by its end."""
    return (await _read(db, programmes, history, rules)).findings


class Evidence(NamedTuple):
    """What speaks for and against programmes, and what follows."""

    ratings: list[Gap]
    market: Market
    findings: list[Finding]


async def _read(db: Database, programmes: Collection[str] | None, history: History, rules: Rules) -> Evidence:
    # An id is "<programme> <competency>"; a blank is in neither, and sorts before every other character of an id.
    ranges = [{"id": {"$gt": f"{programme} ", "$lt": f"{programme}!"}} for programme in programmes or ()]
    match = {"$or": ranges} if ranges else {}
    ratings = gaps(await mongo.sums(db, {"kind": "programme_competency", **match}, BY))
    sustainability = await counted(db, {gap.competency for gap in ratings})
    wished = wishes(await mongo.sums(db, {"kind": "wish", **match}, BY), rules)
    market = await _read_market(db, history)
    could = await _programmes(db, programmes, market)
    by_demand = unmet(could, market, rules) + lapsed(could, market, rules)
    by_feedback = by_ratings(ratings, rules) + falls(ratings, sustainability, rules) + wished
    return Evidence(ratings, market, by_feedback + by_demand)


class GapTable(NamedTuple):
    """All rows, by programme and by region; not to be changed.

    Attributes:
        as_of: until when every event is in it (ISO 8601); None: nothing is yet.
        sources: portals, with how many open vacancies of each are in it.
    """

    programmes: list[Row]
    regions: list[Row]
    sources: dict[str, int]
    as_of: str | None


async def gap_table(service: Service) -> GapTable:
    """The table, worked out once for all who ask; while events come in it may be some seconds old."""
    recent: RecentAnswers = service.shared.setdefault("gap table", RecentAnswers(1, rest=20))
    (programmes, regions, sources), until = await recent.answer(service.db, today(), 0, lambda: _table(service))
    return GapTable(programmes, regions, sources, until)


async def _table(service: Service) -> tuple[list[Row], list[Row], dict[str, int]]:
    db, least = service.db, service.settings.suppress_below
    known = await _read(db, None, await market_reads.history_of(service), Rules.of(service.settings))
    open_now = (await market_reads.market_of(service)).market
    people = await mongo.sums(db, {"kind": CERTIFIED}, ("id",), ["people"])
    table = Table(
        await _offers(db, least),
        known.ratings,
        {tuple(id.split(" ")): counts.get("people", 0) for (id,), counts in people.items()},  # type: ignore[misc]
        known.findings,
        known.market,
        {region: covered.shown()["vacancies_share"] for region, covered in open_now.coverage.items()},
        least,
    )
    rows = await _in_turns(table.rows())
    sources = {portal: source.vacancies for portal, source in sorted(open_now.sources.items())}
    return rows, await _in_turns(table.regions(rows)), sources


async def _in_turns(rows: Iterator[Row]) -> list[Row]:
    """All rows; others have their turn between them."""
    found: list[Row] = []
    while some := list(islice(rows, 1_000)):
        found += some
        await asyncio.sleep(0)
    return found


async def _offers(db: Database, least: int) -> list[Offer]:
    regions, expected, day = await market_reads.regions(db), dict[str, int](), today()
    months = {"$gte": day.isoformat()[:7], "$lt": day.replace(year=day.year + 1, day=1).isoformat()[:7]}
    for (id,), counts in (await mongo.sums(db, {"kind": EXPECTED, "period": months}, ("id",), ["learners"])).items():
        expected[id] = counts.get("learners", 0)
    asked = [f"recommendations.{name}" for name in ("id", "status", "answer.until")]
    fields = dict.fromkeys(("title", "institution", "competencies", *asked), 1)
    return [
        Offer(
            doc["_id"],
            doc["title"],
            doc["institution"],
            regions.get(doc["institution"]),
            frozenset(doc["competencies"]),
            None if 0 < expected.get(doc["_id"], 0) < least else expected.get(doc["_id"], 0),
            {one["id"]: _answer(one, day.isoformat()) for one in doc["recommendations"]},
        )
        async for doc in db["programmes"].find({"competencies": {"$exists": True}}, fields)
    ]


def _answer(recommendation: dict[str, Any], day: str) -> str:
    """How it was answered; `overdue` is what was planned until a day that has passed."""
    status: str = recommendation["status"]
    return "overdue" if status == "planned" and recommendation["answer"]["until"] < day else status


async def _read_market(db: Database, history: History) -> Market:
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
