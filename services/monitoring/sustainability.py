"""How sustainability competencies develop: which programmes teach and certify them, and graduates by year."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from shared.http.service import Service
from shared.processing.frameworks import BUILT_IN, Frameworks
from shared.processing.recent import RecentAnswers
from shared.statistics import smallest

from . import counters
from .answers import hiding_of
from .competencies import Competencies, GapScope, framework_of
from .counters import Registry
from .figures import HIDDEN, of_window
from .indicators import INDICATORS, Scope
from .suppression import Hidden

MOST_ITEMS, MOST_YEARS = 40, 6  # that are shown
GRADUATES = INDICATORS["sustainability_graduates_rate"]


class Cell(NamedTuple):
    """A competency in a programme.

    Attributes:
        is_taught: the newest version names it.
        holders: who is enrolled and holds a valid certificate; None: hidden.
    """

    is_taught: bool
    holders: int | None


class Line(NamedTuple):
    """A programme, with a cell for each item."""

    programme: str
    title: str
    institution: str
    region: str | None
    cells: list[Cell]

    @property
    def taught(self) -> int:
        return sum(cell.is_taught for cell in self.cells)


class HeatMap(NamedTuple):
    """Items of frameworks, and the programmes that teach or certify one of them: those that teach most first.

    Attributes:
        without: how many programmes do neither.
    """

    items: list[str]
    lines: list[Line]
    without: int


class Item(NamedTuple):
    """What is demanded, certified and taught of a competency; None: hidden."""

    id: str
    places: int
    holders: int | None
    lack: int | None
    taught: int


def items_of(known: Competencies, frameworks: Frameworks, framework: str | None) -> list[str]:
    """The competencies that count as sustainability now: those built in, and others of which anything is known."""
    built_in = [item.id for each in BUILT_IN.values() for item in each.current]
    named = dict.fromkeys([*built_in, *sorted(known.named)])
    counted = [one for one in named if frameworks.counts(one)]
    return [one for one in counted if framework in (None, framework_of(one))]


def foremost(items: Sequence[str], known: Competencies) -> list[str]:
    """As many as are shown, in their order: those built in, then those that most programmes teach, then by demand."""

    def weight(id: str) -> tuple[bool, int, int]:
        places = sum(one.places for one in known.demand("network", None, id))
        return framework_of(id) in BUILT_IN, known.teaching("network", None, id), places

    kept = set(sorted(items, key=weight, reverse=True)[:MOST_ITEMS])
    return [id for id in items if id in kept]


def heat_map(
    known: Competencies, registry: Registry, items: list[str], region: str | None, institution: str | None
) -> HeatMap:
    lines, without = [], 0
    for id, entry in registry.programmes.items():
        if region not in (None, known.regions.get(id)) or institution not in (None, entry["institution"]):
            continue
        cells = [Cell(id in known.taught.get(item, ()), known.held("programme", id, item)) for item in items]
        if any(cell.is_taught or cell.holders != 0 for cell in cells):
            title = str(entry.get("title", id))
            lines.append(Line(id, title, entry["institution"], known.regions.get(id) or None, cells))
        else:
            without += 1
    lines.sort(key=lambda line: (-line.taught, line.title.casefold(), line.programme))
    return HeatMap(items, lines, without)


def beside(known: Competencies, items: Iterable[str], scope: GapScope, scope_id: str | None) -> list[Item]:
    """Demand and supply of each item in the network or a region."""
    found = []
    for id in items:
        places, held = sum(one.places for one in known.demand(scope, scope_id, id)), known.held(scope, scope_id, id)
        lack = None if held is None else max(0, places - held)
        found.append(Item(id, places, held, lack, known.teaching(scope, scope_id, id)))
    return found


def rows_of(found: HeatMap, frameworks: Frameworks, language: str) -> list[dict[str, Any]]:
    """The heat map as a list, for files: what is neither taught nor certified is left out."""
    names = {id: frameworks.name(id, language) for id in found.items}
    return [
        {
            "scope": "programme",
            "scope_id": line.programme,
            "scope_name": line.title,
            "institution": line.institution,
            "region": line.region,
            "competency": id,
            "name": names[id],
            "is_taught": cell.is_taught,
            "holders": cell.holders,
            "status": "suppressed" if cell.holders is None else "ok",
        }
        for line in found.lines
        for id, cell in zip(found.items, line.cells, strict=True)
        if cell.is_taught or cell.holders != 0
    ]


# graduates, by year


class Year(NamedTuple):
    """Graduates of a region, an institution or a programme, year by year."""

    id: str
    name: str
    values: list[dict[str, Any]]


class Years(NamedTuple):
    """The years, and who is compared."""

    years: list[str]
    lines: list[Year]


ByScope = Mapping[str, Mapping[str, Mapping[str, int]]]


async def graduates_by_year(service: Service, scope: Scope, chosen: Collection[str]) -> Years:
    """The share of graduates with a certificate in sustainability, by year of graduation.

    Where few graduated in a year, it is hidden, and with it the next smallest of those who are compared.

    Args:
        chosen: regions, institutions or programmes.
    """
    registry, latest = await counters.registry(service.db), GRADUATES.latest(counters.today())
    recent: RecentAnswers = service.shared.setdefault("graduates by month", RecentAnswers(most=3))
    least = service.settings.suppress_below

    async def work() -> ByScope:
        return await counters.by_scope(service.db, GRADUATES, scope, None, latest)

    read, _ = await recent.answer(service.db, (scope, latest), 1, work)
    hiding = await hiding_of(service, [GRADUATES], scope, None)
    counted = {id: read.get(id, {}) for id in chosen}
    years = sorted({month[:4] for by_month in counted.values() for month in by_month})[-MOST_YEARS:]
    hidden = {id: hiding.of(GRADUATES, scope, id) for id in chosen}
    values = {year: _of_year(counted, year, least, hidden) for year in years}
    lines = [
        Year(id, registry.name(scope, id) or id, [values[year][id] for year in years])
        for id, by_month in counted.items()
        if by_month
    ]
    return Years(years, sorted(lines, key=lambda line: (line.name.casefold(), line.id)))


def _of_year(counted: ByScope, year: str, least: int, hidden: Mapping[str, Hidden]) -> dict[str, dict[str, Any]]:
    graduates = {
        id: sum(counts.get("graduates", 0) for month, counts in by_month.items() if month[:4] == year)
        for id, by_month in counted.items()
    }
    few = smallest(graduates, least)
    return {
        id: HIDDEN if id in few else of_window(GRADUATES, by_month, f"{year}-01", f"{year}-12", least, hidden[id])
        for id, by_month in counted.items()
    }
