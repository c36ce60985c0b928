"""Measures that are worked out when they are read: one word is about many entities, or several words are about one.

What an enterprise recognises is about all certificates of a competency, a programme's level about all its graduates;
reports of one demand come from several senders. Stocks are changes month by month, as the counters hold them.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any, NamedTuple

from shared.processing import mongo
from shared.processing.employment import FOR_EVER, months_after
from shared.processing.mongo import TOTAL, Database

from .figures import add
from .learners import AT_WORK
from .states import UNKNOWN

Sums = dict[tuple[str, ...], dict[str, int]]
LEAST_LEVEL, TERTIARY_LEVEL = 3, 5  # of the European Qualifications Framework
OCCUPATIONS = tuple(f"occupation_{group}" for group in range(10))  # the major groups of ISCO-08
HOURS = {"graduate_quarter_hours": 25, "graduate_hundredth_hours": 1}  # in hundredths
ACTIVE_MONTHS = 12
ByMonth = Mapping[str, Mapping[str, Mapping[str, int]]]  # what is counted, by id, month and measure
ByPair = Mapping[tuple[str, str], Mapping[str, Mapping[str, int]]]  # of a programme and an enterprise


class Selection(NamedTuple):
    """Which counters are asked for.

    Attributes:
        ids: None: all.
        by: what is wanted apart: id or period or both.
        programmes, organisations: the entries of the registry, by id.
        kept: what several look-ups need, once it is read.
    """

    db: Database
    kind: str
    ids: Sequence[str] | None
    by: Sequence[str]
    latest: str
    programmes: Mapping[str, Mapping[str, Any]]
    organisations: Mapping[str, Mapping[str, Any]]
    kept: dict[str, Any]

    async def by_month(self, *measures: str) -> ByMonth:
        """What is counted of these measures."""
        match: dict[str, Any] = {"kind": self.kind, "period": {"$lte": self.latest}}
        if self.ids is not None:
            match["id"] = {"$in": list(self.ids)}
        found: dict[str, dict[str, dict[str, int]]] = {}
        for (id, month), counts in (await mongo.sums(self.db, match, ("id", "period"), list(measures))).items():
            found.setdefault(id, {})[month] = counts
        return found

    async def of_programmes(self) -> ByMonth:
        """What is counted of programmes."""
        if "programmes" not in self.kept:
            self.kept["programmes"] = await self.by_month("graduates", *OCCUPATIONS, *HOURS)
        found: ByMonth = self.kept["programmes"]
        return found

    async def of_pairs(self) -> ByPair:
        """What is counted of programmes together with an enterprise."""
        if "pairs" not in self.kept:
            self.kept["pairs"] = await self._read_pairs()
        found: ByPair = self.kept["pairs"]
        return found

    async def _read_pairs(self) -> ByPair:
        match: dict[str, Any] = {"kind": "programme_enterprise", "period": {"$lte": self.latest}}
        if self.ids is not None:
            match["$or"] = [{"id": {"$gte": f"{id} ", "$lt": f"{id}!"}} for id in self.ids or (UNKNOWN,)]
        found: dict[tuple[str, str], dict[str, dict[str, int]]] = {}
        for (both, month), counts in (await mongo.sums(self.db, match, ("id", "period"), None)).items():
            id, _, enterprise = both.partition(" ")
            found.setdefault((id, enterprise), {})[month] = counts
        return found

    def regions(self) -> dict[str, str]:
        """The region of each programme's institution, where that is registered."""
        found = {id: self.organisations.get(entry["institution"], {}) for id, entry in self.programmes.items()}
        return {id: entry["region"] for id, entry in found.items() if entry.get("region")}


Change = tuple[str, str, str, int]  # id, month, measure, and by how much it changes
Lookup = Callable[[Selection], Awaitable[Iterable[Change]]]


async def look_up(selection: Selection, measures: set[str]) -> Sums:
    """Those of *measures* that are not counted, summed by what is wanted apart."""
    found: Sums = {}
    for lookup in {LOOKUPS[measure] for measure in measures & LOOKUPS.keys()}:
        for id, month, measure, change in await lookup(selection):
            values = {"id": id, "period": month}
            add(found.setdefault(tuple(values[name] for name in selection.by), {}), {measure: change})
    return found


def _changes(id: str, measure: str, stock: Iterable[tuple[str, int]]) -> Iterator[Change]:
    """The changes of a stock that is told by the month."""
    before = 0
    for month, now in stock:
        if now != before:
            yield id, month, measure, now - before
        before = now


def _stock(changes: Mapping[str, Mapping[str, int]], measure: str, months: Sequence[str]) -> dict[str, int]:
    """A stock at the end of each of *months*, which are in order and hold all months of the changes."""
    so_far = accumulate(changes.get(month, {}).get(measure, 0) for month in months)
    return dict(zip(months, so_far, strict=True))


async def _occupations(asked: Selection) -> Iterable[Change]:
    """Graduates whose occupation is known, and those who work below what their programme qualifies for."""
    levels = {id: entry.get("level") or 0 for id, entry in asked.programmes.items()}
    return occupations(levels, await asked.of_programmes())


def occupations(levels: Mapping[str, int], graduates: ByMonth) -> list[Change]:
    """Who works below a programme's level, by the major group of the occupation.

    Args:
        levels: of the European Qualifications Framework, by programme.
    """
    found: list[Change] = []
    for id, months in graduates.items():
        if levels.get(id, 0) < LEAST_LEVEL:
            continue
        below = [f"occupation_{group}" for group in ("456789" if levels[id] >= TERTIARY_LEVEL else "9")]
        for measure, groups in (("occupation_known", OCCUPATIONS), ("occupation_below", below)):
            found += [(id, m, measure, sum(counts.get(group, 0) for group in groups)) for m, counts in months.items()]
    return found


async def _hours_hosted(asked: Selection) -> Iterable[Change]:
    """Hours that graduates were at enterprises, and all the hours that their programmes plan."""
    planned = {id: hours for id, entry in asked.programmes.items() if (hours := entry.get("planned_hours"))}
    return hours_hosted(planned, await asked.of_programmes())


def hours_hosted(planned: Mapping[str, int], graduates: ByMonth) -> list[Change]:
    """Only of programmes that say what they plan.

    Args:
        planned: hundredths of an hour, by programme.
    """
    found: list[Change] = []
    for id, months in graduates.items():
        for month, counts in months.items() if id in planned else ():
            n = counts.get("graduates", 0)
            done = sum(hours * counts.get(measure, 0) for measure, hours in HOURS.items())
            found += [(id, month, "hours_hosted", done), (id, month, "hours_of_programmes", n * planned[id])]
            found.append((id, month, "graduates_planned", n))
    return found


async def _regions(asked: Selection) -> Iterable[Change]:
    """Graduates who work at a registered employer, and those who do in their institution's region."""
    employers = {id: entry["region"] for id, entry in asked.organisations.items() if entry.get("region")}
    return same_region(asked.regions(), employers, await asked.of_pairs())


def same_region(institutions: Mapping[str, str], employers: Mapping[str, str], graduates: ByPair) -> list[Change]:
    """Who works in the region of the institution.

    Args:
        institutions: their regions, by programme.
        employers: their regions.
        graduates: at work, by programme and employer.
    """
    found: list[Change] = []
    for (id, employer), months in graduates.items():
        if id not in institutions or employer not in employers:
            continue
        for month, counts in months.items():
            found.append((id, month, "work_region_known", counts.get(AT_WORK, 0)))
            if institutions[id] == employers[employer]:
                found.append((id, month, "work_in_region", counts.get(AT_WORK, 0)))
    return found


async def _hosts(asked: Selection) -> Iterable[Change]:
    """Enterprises at which an internship of the programme was completed in the last 12 months."""
    return hosts(await asked.of_pairs(), asked.latest)


def hosts(internships: ByPair, latest: str) -> list[Change]:
    """How the number of a programme's enterprises changes."""
    found: list[Change] = []
    for (id, _), months in internships.items():
        until = _a_year_from(month for month, counts in months.items() if counts.get("hosted"))
        limits = sorted(month for month in {*until, *until.values()} if month <= latest)
        found += _changes(id, "hosts_active", [(m, int(_is_within(until, m))) for m in limits])
    return found


async def _vacancies(asked: Selection) -> Iterable[Change]:
    """Vacancies and graduates of the last 12 months, by region."""
    regions = asked.regions()
    match: dict[str, Any] = {"kind": "programme", "period": {"$lte": asked.latest}}
    if asked.ids is not None:
        match["id"] = {"$in": [id for id, region in regions.items() if region in asked.ids]}
    elif "id" not in asked.by:
        match["kind"] += TOTAL
    graduates = await mongo.sums(asked.db, match, ("id", "period"), ["graduates"])
    return vacancies(regions, await asked.by_month("vacancies"), graduates, asked.latest)


def vacancies(regions: Mapping[str, str], offered: ByMonth, graduates: Sums, latest: str) -> list[Change]:
    """How the numbers of 12 months change: what a month adds leaves them a year later.

    Args:
        regions: by programme.
        graduates: by programme and month.
    """
    added = [(id, m, "vacancies_of_year", n.get("vacancies", 0)) for id, ms in offered.items() for m, n in ms.items()]
    for (id, month), counts in graduates.items():
        added.append((regions.get(id, UNKNOWN), month, "graduates_of_year", counts.get("graduates", 0)))
    left = [(id, months_after(f"{m}-01", ACTIVE_MONTHS)[:7], measure, -n) for id, m, measure, n in added]
    return [*added, *(change for change in left if change[1] <= latest)]


async def _recognised(asked: Selection) -> Iterable[Change]:
    """Valid certificates of competencies that an enterprise recognised at the end of the month."""
    known = [doc async for doc in asked.db["recognitions"].find({"since": {"$exists": True}}, {"state": 0})]
    spans = spans_of(known, datetime.now(UTC).date().isoformat())
    return recognised(spans, await asked.by_month("certificates"), asked.latest)


Spans = Mapping[str, Sequence[tuple[str, str]]]  # by competency: the first month, and the first that is no longer in


def spans_of(recognitions: Iterable[Mapping[str, Any]], today: str) -> Spans:
    """When each competency was recognised, up to today."""
    spans: dict[str, list[tuple[str, str]]] = {}
    for one in recognitions:
        if one["since"] <= today:
            spans.setdefault(one["competency"], []).append((one["since"][:7], (one["until"] or FOR_EVER)[:7]))
    return spans


def recognised(spans: Spans, certificates: ByMonth, latest: str) -> list[Change]:
    """How the stock of recognised certificates changes, with recognition and with certificates."""
    found: list[Change] = []
    for id, counted in certificates.items():
        own = spans.get(id, ())
        months = sorted({*counted, *(month for span in own for month in span if month <= latest)})
        stock = _stock(counted, "certificates", months)
        in_all = [(m, stock[m] if any(since <= m < until for since, until in own) else 0) for m in months]
        found += _changes(id, "certificates_recognised", in_all)
    return found


class Report(NamedTuple):
    """A report of demand: when it was made, and the months in which it is in force."""

    at: str
    begin: str
    end: str
    places: int


Demands = Mapping[str, Mapping[str, Sequence[Report]]]  # by competency, and by the demand that they are about


async def _gaps(asked: Selection) -> Iterable[Change]:
    """Places demanded that no holder of a valid certificate could fill, and how many holders are over."""
    reported = [doc async for doc in asked.db["demands"].find({"places": {"$exists": True}}, {"state": 0})]
    demanded = {id: some for id, some in demands_of(reported).items() if asked.ids is None or id in asked.ids}
    return gaps(demanded, await asked.by_month("holders"), asked.latest)


def demands_of(reported: Iterable[Mapping[str, Any]]) -> Demands:
    """The reports; one that was moved to another competency is the newest of its number."""
    newest: dict[str, Mapping[str, Any]] = {}
    for doc in reported:
        number = doc["_id"].partition("/")[2]
        if number not in newest or (doc["at"], doc["_id"]) > (newest[number]["at"], newest[number]["_id"]):
            newest[number] = doc
    found: dict[str, dict[str, list[Report]]] = {}
    for number, doc in newest.items():
        about = f"of {doc['of']}" if doc["of"] else number
        report = Report(doc["at"], doc["at"][:7], doc["horizon"][:7], doc["places"])
        found.setdefault(doc["competency"], {}).setdefault(about, []).append(report)
    return found


def gaps(demanded: Demands, holders: ByMonth, latest: str) -> list[Change]:
    """How lack and surplus change; where nobody reports demand there is neither lack nor surplus."""
    found: list[Change] = []
    for id, reports in demanded.items():
        limits = {m for some in reports.values() for r in some for m in (r.begin, months_after(f"{r.end}-01", 1)[:7])}
        months = sorted(month for month in {*limits, *holders.get(id, {})} if month <= latest)
        held = _stock(holders.get(id, {}), "holders", months)
        asked = {month: in_force(reports, month) for month in months}
        gap = {m: sum(report.places for report in some) - held[m] if some else 0 for m, some in asked.items()}
        found += _changes(id, "demand_reports", [(m, len(some)) for m, some in asked.items()])
        found += _changes(id, "demand_lack", [(m, max(0, gap[m])) for m in months])
        found += _changes(id, "demand_surplus", [(m, max(0, -gap[m])) for m in months])
    return found


def in_force(reports: Mapping[str, Sequence[Report]], month: str) -> list[Report]:
    """The newest report on each demand that is in force in a month."""
    return [report for some in reports.values() if (report := newest(some, month))]


def newest(reports: Iterable[Report], month: str) -> Report | None:
    """Of the reports on one demand the newest that is in force."""
    return max((report for report in reports if report.begin <= month <= report.end), default=None)


async def _active(asked: Selection) -> Iterable[Change]:
    """Organisations of which anything was counted in the last 12 months, while they are registered."""
    kinds = {"kind": {"$in": ["enterprise", "organisation", "programme"]}, "period": {"$lte": asked.latest}}
    counted = await mongo.sums(asked.db, kinds, ("kind", "id", "period"), None)
    institutions = {id: entry.get("institution", UNKNOWN) for id, entry in asked.programmes.items()}
    return active(await asked.by_month("partners"), acts_of(counted, institutions), asked.latest)


def acts_of(counted: Sums, institutions: Mapping[str, str]) -> dict[str, set[str]]:
    """The months in which something was counted of an organisation, but for its membership.

    Args:
        counted: by kind, id and month.
        institutions: by programme.
    """
    acts: dict[str, set[str]] = {}
    for (kind, id, month), counts in counted.items():
        if any(count for measure, count in counts.items() if measure not in NO_ACTS):
            acts.setdefault(institutions.get(id, UNKNOWN) if kind == "programme" else id, set()).add(month)
    return acts


NO_ACTS = ("partners", "learners", AT_WORK)  # who is a member, is enrolled, or works there


def _a_year_from(months: Iterable[str]) -> dict[str, str]:
    """For each of *months* the first one that no longer has it among its last 12."""
    return {month: months_after(f"{month}-01", ACTIVE_MONTHS)[:7] for month in months}


def _is_within(until: Mapping[str, str], month: str) -> bool:
    return any(begin <= month < end for begin, end in until.items())


def active(members: ByMonth, acts: Mapping[str, set[str]], latest: str) -> list[Change]:
    """How the number of active members changes.

    Args:
        acts: by organisation: the months in which something was counted of it.
    """
    found: list[Change] = []
    for id, counted in members.items():
        until = _a_year_from(acts.get(id, ()))
        months = sorted(month for month in {*counted, *until, *until.values()} if month <= latest)
        member = _stock(counted, "partners", months)
        in_all = [(m, int(member[m] > 0 and _is_within(until, m))) for m in months]
        found += _changes(id, "partners_active", in_all)
    return found


LOOKUPS: dict[str, Lookup] = {
    **dict.fromkeys(("occupation_known", "occupation_below"), _occupations),
    "certificates_recognised": _recognised,
    **dict.fromkeys(("demand_reports", "demand_lack", "demand_surplus"), _gaps),
    "partners_active": _active,
    "hosts_active": _hosts,
    **dict.fromkeys(("hours_hosted", "hours_of_programmes", "graduates_planned"), _hours_hosted),
    **dict.fromkeys(("work_region_known", "work_in_region"), _regions),
    **dict.fromkeys(("vacancies_of_year", "graduates_of_year"), _vacancies),
}
