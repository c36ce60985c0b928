"""What is demanded, certified and taught, competency by competency: in the network, a region or a programme.

Few holders are hidden. So is what would tell them by subtraction: the smallest other competency of the network, whose
holders are told in all, the smallest other region of the network, and the smallest other programme of the region. That
is worked out as if who is enrolled in a region was certified there.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import Query

from shared.http.service import Service
from shared.processing import mongo
from shared.processing.frameworks import Frameworks
from shared.processing.mongo import Database
from shared.processing.recent import RecentAnswers
from shared.statistics import smallest

from .counters import Registry, registry, today
from .lookups import Report, demands_of, newest

GapScope = Literal["network", "region", "programme"]
Holders = Mapping[tuple[GapScope, str, str], int]  # people, by scope, its id ("": the network) and competency


class Demand(NamedTuple):
    """A report of demand that is in force.

    Attributes:
        whose: an organisation or a region, by id.
    """

    whose: str
    region: str | None
    places: int


@dataclass(frozen=True)
class Competencies:
    """What is known of all competencies now. Not to be changed.

    Attributes:
        demanded: by competency.
        taught: programmes whose newest version names a competency, by competency.
        holders: people with a valid certificate: in all, by the region of the institution, by the programme in which
            they are enrolled.
        hidden: of what in `holders` nothing may be told.
        regions: of the programmes.
    """

    demanded: Mapping[str, Sequence[Demand]]
    taught: Mapping[str, frozenset[str]]
    holders: Holders
    hidden: Collection[tuple[GapScope, str, str]]
    regions: Mapping[str, str]

    @property
    def named(self) -> set[str]:
        """The competencies of which anything is known."""
        return {*self.demanded, *self.taught, *(competency for _, _, competency in self.holders)}

    def held(self, scope: GapScope, scope_id: str | None, competency: str) -> int | None:
        """How many people hold a valid certificate; None: hidden."""
        of = (scope, scope_id or "", competency)
        return None if of in self.hidden else self.holders.get(of, 0)

    def demand(self, scope: GapScope, scope_id: str | None, competency: str) -> list[Demand]:
        """What is demanded in the network, or in a region; a programme's demand is that of its region."""
        region = self.regions.get(scope_id or "") if scope == "programme" else scope_id
        return [one for one in self.demanded.get(competency, ()) if scope == "network" or one.region == region]

    def teaching(self, scope: GapScope, scope_id: str | None, competency: str) -> int:
        """How many programmes teach a competency in the network or in a region; of a programme, whether it does."""
        programmes = self.taught.get(competency, frozenset())
        if scope == "network":
            return len(programmes)
        if scope == "programme":
            return int(scope_id in programmes)
        return sum(self.regions.get(programme) == scope_id for programme in programmes)


class Now(NamedTuple):
    """What is known of competencies, and until when every event is in it."""

    competencies: Competencies
    until: str | None


async def competencies_of(service: Service) -> Now:
    """What is known of all competencies; at most a second old."""
    recent: RecentAnswers = service.shared.setdefault("competencies", RecentAnswers(most=1))
    least = service.settings.suppress_below
    return Now(*await recent.answer(service.db, today(), 1, lambda: _read(service.db, least)))


async def _read(db: Database, least: int) -> Competencies:
    known = await registry(db)
    regions = {id: known.scope_of(id, "programme", "region") or "" for id in known.programmes}
    taught: dict[str, set[str]] = defaultdict(set)
    for id, entry in known.programmes.items():
        for competency in entry.get("competencies", ()):
            taught[competency].add(id)
    holders = await _holders(db, known)
    return Competencies(
        await _demanded(db, known),
        {competency: frozenset(programmes) for competency, programmes in taught.items()},
        holders,
        hidden(holders, regions, least),
        regions,
    )


async def _demanded(db: Database, known: Registry) -> dict[str, list[Demand]]:
    """The reports that are in force in this month, by competency."""
    reported = [doc async for doc in db["demands"].find({"places": {"$exists": True}}, {"state": 0})]
    month = today().isoformat()[:7]
    found = {id: _in_force(reports, known, month) for id, reports in demands_of(reported).items()}
    return {id: some for id, some in found.items() if some}


def _in_force(reports: Mapping[str, Sequence[Report]], known: Registry, month: str) -> list[Demand]:
    found = []
    for about, some in reports.items():
        if report := newest(some, month):
            whose = about.removeprefix("of ").partition("/")[0]
            entry = known.organisations.get(whose)
            found.append(Demand(whose, entry.get("region") if entry else whose, report.places))
    return sorted(found, key=lambda one: (-one.places, one.whose))


async def is_demanded(db: Database, competency: str) -> bool:
    """Was demand of a competency ever reported?"""
    of_competency = {"_id": {"$gte": f"{competency}/", "$lt": f"{competency}0"}, "places": {"$exists": True}}
    return await db["demands"].find_one(of_competency, {"_id": 1}) is not None


async def _holders(db: Database, known: Registry) -> Holders:
    found: dict[tuple[GapScope, str, str], int] = defaultdict(int)
    for competency, held in (await _sums(db, "competency")).items():
        found["network", "", competency] += held
    for about, held in (await _sums(db, "institution_competency")).items():
        institution, _, competency = about.partition(" ")
        found["region", known.organisations.get(institution, {}).get("region") or "", competency] += held
    for about, held in (await _sums(db, "programme_competency")).items():
        programme, _, competency = about.partition(" ")
        found["programme", programme, competency] += held
    return {of: held for of, held in found.items() if held}


async def _sums(db: Database, kind: str) -> dict[str, int]:
    until_now = {"kind": kind, "period": {"$lte": today().isoformat()[:7]}}  # later, certificates end
    return {id: counts["holders"] for (id,), counts in (await mongo.sums(db, until_now, ("id",), ["holders"])).items()}


def hidden(holders: Holders, regions: Mapping[str, str], least: int) -> set[tuple[GapScope, str, str]]:
    """Of which few hold a certificate, and what must be hidden with them: see the module.

    Of a region that is hidden, some programmes are hidden, too: else it would be their sum.

    Args:
        regions: of the programmes.
    """
    of_regions: dict[str, dict[str, int]] = defaultdict(dict)
    of_programmes: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    of_network = {competency: held for (scope, _, competency), held in holders.items() if scope == "network"}
    found: set[tuple[GapScope, str, str]] = {("network", "", each) for each in smallest(of_network, least)}
    for (scope, id, competency), held in holders.items():
        if scope == "region":
            of_regions[competency][id] = held
        elif scope == "programme":
            of_programmes[competency, regions.get(id, "")][id] = held
    few_regions = {competency: smallest(held, least) for competency, held in of_regions.items()}
    found |= {("region", id, competency) for competency, some in few_regions.items() for id in some}
    for (competency, region), of_region in of_programmes.items():
        is_hidden = region in few_regions.get(competency, ())
        found |= {("programme", id, competency) for id in smallest(of_region, least, always=is_hidden)}
    return found


# the list of what is demanded


class GapOrder(StrEnum):
    """How the list is sorted; what is hidden stands at the end, but a lack of which the least is known."""

    id = "id"
    name = "name"
    lack = "lack"
    places = "places"
    holders = "holders"
    taught = "taught"


@dataclass
class GapFilters:
    """Which competencies are listed. Each is shown or hidden by itself, so a filter tells nothing more."""

    framework: Annotated[str | None, Query(max_length=100)] = None
    uncertified: Annotated[bool, Query(description="Only what nobody holds a valid certificate of.")] = False
    order: Annotated[
        GapOrder,
        Query(description="Greatest lack, most places, fewest holders, or fewest programmes first; or by id or name."),
    ] = GapOrder.id

    def of(self, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        found = [
            row
            for row in rows
            if self.framework in (None, framework_of(row["competency"]))
            and (row["holders"] == 0 or not self.uncertified)
        ]
        return sorted(found, key=_ORDERS[self.order])


def _last(count: Any) -> tuple[bool, int]:
    """What is hidden comes after all that is known."""
    return (False, count) if isinstance(count, int) else (True, 0)


_ORDERS: dict[GapOrder, Callable[[dict[str, Any]], Any]] = {
    GapOrder.id: lambda row: row["competency"],
    GapOrder.name: lambda row: (row["name"].casefold(), row["competency"]),
    GapOrder.lack: lambda row: (-(row["lack_at_least"] or 0), -row["places"], row["competency"]),
    GapOrder.places: lambda row: (-row["places"], row["competency"]),
    GapOrder.holders: lambda row: (_last(row["holders"]), -row["places"], row["competency"]),
    GapOrder.taught: lambda row: (row["taught"], -row["places"], row["competency"]),
}


def framework_of(competency: str) -> str:
    return competency.partition(":")[0]


class Names(NamedTuple):
    """What organisations and competencies are called, in one language."""

    registry: Registry
    frameworks: Frameworks
    language: str


def gaps(known: Competencies, names: Names, scope: GapScope, scope_id: str | None, least: int) -> list[dict[str, Any]]:
    """A row for each competency that is demanded in this month."""
    rows = []
    for competency in sorted(known.demanded):
        if demand := known.demand(scope, scope_id, competency):
            held = known.held(scope, scope_id, competency)
            is_few = scope == "network" and known.holders.get((scope, "", competency), 0) < least
            few = f"<{least}" if is_few else None  # another may be hidden beside it
            rows.append(
                {
                    "competency": competency,
                    "name": names.frameworks.name(competency, names.language),
                    **_demanded_by(demand, names.registry),
                    "taught": known.teaching(scope, scope_id, competency),
                    **_beside(demand, held, few, least),
                }
            )
    return rows


def _demanded_by(demand: Sequence[Demand], known: Registry) -> dict[str, Any]:
    places: dict[str, int] = defaultdict(int)
    for one in demand:
        places[one.whose] += one.places
    by = [{"id": id, "name": known.name("enterprise", id), "places": n} for id, n in places.items()]
    return {"places": sum(places.values()), "reports": len(demand), "demanded_by": by}


def _beside(demand: Sequence[Demand], held: int | None, few: str | None, least: int) -> dict[str, Any]:
    """Holders beside the places demanded.

    Args:
        held: None: hidden; then they are fewer than *least* if *few* says so.
    """
    places = sum(one.places for one in demand)
    if held is None:
        at_least = max(0, places - least + 1) if few else None
        unknown = {"holders": few, "lack": None, "lack_at_least": at_least, "surplus": None}
        return {**unknown, "status": "suppressed"}
    lack, surplus = max(0, places - held), max(0, held - places)
    return {"holders": held, "lack": lack, "lack_at_least": lack, "surplus": surplus, "status": "ok"}
