"""What is read of the database to find what programmes lack, and to show it."""

import asyncio
from collections.abc import Callable, Collection, Hashable, Iterator
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
    DemandToday,
    Finding,
    Gap,
    Programme,
    ReportedDemand,
    Rules,
    Sums,
    by_ratings,
    falls,
    gaps,
    lapsed,
    unmet,
    wishes,
)
from .market import History, Of, Source
from .market_reads import region_of, whose
from .outcomes import CERTIFIED, EXPECTED
from .requests import today

FOUND_KEPT = 20  # answers of a table; one may have all its rows
Findings = dict[str, list[Finding]]  # by programme


class Evidence(NamedTuple):
    """Ratings and demand, and what they speak for: by ratings, wishes and demand, and by its end."""

    ratings: list[Gap]
    market: DemandToday
    findings: Findings


async def read_ratings(db: Database, programmes: Collection[str] | None, kind: str = "programme_competency") -> Sums:
    """Counters of the competencies of these programmes (None: of all), by id and month."""
    # An id is "<programme> <competency>"; a blank is in neither, and sorts before every other character of an id.
    ranges = [{"id": {"$gt": f"{programme} ", "$lt": f"{programme}!"}} for programme in programmes or ()]
    return await mongo.sums(db, {"kind": kind, **({"$or": ranges} if ranges else {})}, BY)


async def read_evidence(db: Database, programmes: Collection[str] | None, history: History, rules: Rules) -> Evidence:
    """What speaks for revising these programmes (None: any)."""
    ratings = gaps(await read_ratings(db, programmes))
    sustainability = await counted(db, {gap.competency for gap in ratings})
    wished = wishes(await read_ratings(db, programmes, "wish"), rules)
    market = await read_demand(db, history)
    could = await _programmes(db, programmes, market)
    findings: Findings = {}
    for finding in (*by_ratings(ratings, rules), *falls(ratings, sustainability, rules), *wished):
        findings.setdefault(finding.programme, []).append(finding)
    for one in could:  # each by itself: others have their turn between them
        if found := unmet([one], market, rules) + lapsed([one], market, rules):
            findings.setdefault(one.id, []).extend(found)
        await asyncio.sleep(0)
    return Evidence(ratings, market, findings)


class GapTable(NamedTuple):
    """All rows, by programme and by region; not to be changed.

    Attributes:
        competencies: all that are in it.
        sources: portals, with how many open vacancies of each are in it, and when the newest was observed.
        as_of: until when every event is in it (ISO 8601); None: nothing is yet.
        found: rows by what was asked for: to filter and sort 100,000 of them takes longer than all the rest.
    """

    programmes: list[Row]
    regions: list[Row]
    competencies: list[str]
    sources: dict[str, Source]
    as_of: str | None
    found: dict[Hashable, list[Row]]

    def once(self, question: Hashable, find: Callable[[], list[Row]]) -> list[Row]:
        """The rows that *find* finds, once for all who ask the same of this table."""
        if question not in self.found:
            if len(self.found) >= FOUND_KEPT:
                del self.found[next(iter(self.found))]
            self.found[question] = find()
        return self.found[question]


async def gap_table(service: Service) -> GapTable:
    """The table, worked out once for all who ask; while events come in it may be some seconds old."""
    recent: RecentAnswers = service.shared.setdefault("gap table", RecentAnswers(1, rest=20))
    table, until = await recent.answer(service.db, today(), 0, lambda: _table(service))
    return table._replace(as_of=until)


async def _table(service: Service) -> GapTable:
    db, rules = service.db, Rules.of(service.settings)
    # Not the history that is kept: that may be older than what this answer is kept under.
    known = await read_evidence(db, None, await market_reads.read_history(db), rules)
    open_now = (await market_reads.market_of(service)).market
    is_whole = await is_counted(service)
    table = Table(
        await _offers(db, is_whole=is_whole),
        known.ratings,
        await _certified(db) if is_whole else None,
        known.findings,
        known.market,
        {region: covered.shown()["vacancies_share"] for region, covered in open_now.coverage.items()},
        rules,
        service.settings.suppress_below,
    )
    rows = await _in_turns(table.rows())
    regions = await _in_turns(table.regions(rows))
    sources = dict(sorted(open_now.sources.items()))
    competencies = sorted({row.competency for row in (*rows, *regions)})
    return GapTable(rows, regions, competencies, sources, None, {})


async def _in_turns(rows: Iterator[Row]) -> list[Row]:
    """All rows; others have their turn between them."""
    found: list[Row] = []
    while some := list(islice(rows, 1_000)):
        found += some
        await asyncio.sleep(0)
    return found


async def is_counted(service: Service) -> bool:
    """Does the database count certificates and graduates? One that an earlier version made has them in part only."""
    return await mongo.generation(service.db) >= service.core.generation


async def _certified(db: Database) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for (id,), counts in (await mongo.sums(db, {"kind": CERTIFIED}, ("id",), ["people"])).items():
        programme, competency = id.split(" ")
        found[programme, competency] = counts.get("people", 0)
    return found


async def _offers(db: Database, *, is_whole: bool) -> list[Offer]:
    regions, expected, day = await market_reads.regions(db), dict[str, int](), today()
    months = {"$gte": day.isoformat()[:7], "$lt": day.replace(year=day.year + 1, day=1).isoformat()[:7]}
    for (id,), counts in (await mongo.sums(db, {"kind": EXPECTED, "period": months}, ("id",), ["learners"])).items():
        expected[id] = counts.get("learners", 0)
    asked = [f"recommendations.{name}" for name in ("id", "status", "answer.until")]
    fields = dict.fromkeys(("title", "institution", "competencies", "withdrawn", *asked), 1)
    return [
        Offer(
            doc["_id"],
            doc["title"],
            doc["institution"],
            regions.get(doc["institution"]),
            frozenset(doc["competencies"]),
            expected.get(doc["_id"], 0) if is_whole else None,
            {one["id"]: _answer(one, day.isoformat()) for one in doc["recommendations"]}
            | dict.fromkeys(doc.get("withdrawn", ()), "withdrawn"),
        )
        async for doc in db["programmes"].find({"competencies": {"$exists": True}}, fields)
    ]


def _answer(recommendation: dict[str, Any], day: str) -> str:
    """How it was answered; `overdue` is what was planned until a day that has passed."""
    status: str = recommendation["status"]
    return "overdue" if status == "planned" and recommendation["answer"]["until"] < day else status


async def read_demand(db: Database, history: History) -> DemandToday:
    """What is demanded today, by reports and vacancies, and what is certified where."""
    day, regions = today(), await market_reads.regions(db)
    in_force = await market_reads.reports_in_force(db, day.isoformat())
    reported = [
        ReportedDemand(doc["competency"], region_of(whose(doc), regions), whose(doc), doc["places"])
        for doc in in_force
        if doc["places"]
    ]
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    async for doc in db["demands"].find({"horizon": {"$exists": True}}, {"state": 0}).sort("reported_at"):
        newest[doc["competency"], doc.get("of") or doc["_id"]] = doc
    until: dict[Of, str] = {}
    for doc in newest.values():  # no places any more: it ended when that was said
        of = doc["competency"], region_of(whose(doc), regions)
        until[of] = max(doc["horizon"] if doc["places"] else doc["reported_at"][:10], until.get(of, ""))
    schemes = [doc async for doc in db["schemes"].find({}, {"competency": 1, "institution": 1}) if "competency" in doc]
    certified = {(doc["competency"], regions.get(doc["institution"])) for doc in schemes}
    return DemandToday(reported, until, history, certified, day)


async def _programmes(db: Database, programmes: Collection[str] | None, market: DemandToday) -> list[Programme]:
    """The programmes that teach something, or trained learners at somebody who reports a demand."""
    hosts, regions = (
        await _hosts(db, {one.organisation for one in market.reported}, programmes),
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
