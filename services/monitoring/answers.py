"""Answers about indicators, for the API, pages, reports and the record: what is asked for, and what is said of it.

While events arrive, answers are shared by who asks the same, and those for pages rest.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Annotated, Any, NamedTuple

from fastapi import Query

from shared.contract.events import Month
from shared.http.parameters import query
from shared.http.problems import Problem
from shared.http.service import Service
from shared.pages.languages import Language, Text
from shared.processing.recent import RecentAnswers

from . import counters, ranking, splits
from .competencies import GapFilters, Names, competencies_of, gaps, is_demanded
from .figures import NO_CAVEATS, caveats, of_months, of_window, of_years, sum_of, within
from .indicators import INDICATORS, Indicator, Scope
from .splits import Split
from .tables import WORDS

LEFT_OUT = (
    "With `from` or `to`, months that would tell of few are left out: see months_left_out, and small_groups in "
    "/indicators."
)


@dataclass
class Asked:
    """What is asked for: a scope, the first and the last month."""

    scope: Annotated[Scope, Query()] = "network"
    scope_id: Annotated[str | None, Query(max_length=100, description="Needed unless the scope is the network.")] = None
    begin: Annotated[Month | None, Query(alias="from", description=LEFT_OUT)] = None
    end: Annotated[Month | None, Query(alias="to", description=LEFT_OUT)] = None

    def __post_init__(self) -> None:
        if self.scope == "network":
            self.scope_id = None
        if self.begin and self.end and self.begin > self.end:
            raise Problem(
                422,
                Text("The period ends before it begins."),
                [("to", Text("must not be before {month}", {"month": self.begin}))],
            )


Question = Annotated[Asked, query(Asked)]


@dataclass(frozen=True)
class About:
    """What a question is about, with the registry."""

    asked: Asked
    registry: counters.Registry

    def scope(self) -> dict[str, Any]:
        name = self.registry.name(self.asked.scope, self.asked.scope_id)
        return {"scope": self.asked.scope, "scope_id": self.asked.scope_id, "scope_name": name}


def find_indicator(id: str) -> Indicator:
    """The indicator of this id.

    Raises:
        Problem: there is none.
    """
    if id not in INDICATORS:
        raise Problem(404, Text("there is no indicator {id}", {"id": id}))
    return INDICATORS[id]


async def find_scope(service: Service, asked: Asked) -> About:
    """Look up the scope.

    Raises:
        Problem: it is not named, or there is nothing of that name.
    """
    if asked.scope == "network":
        return About(asked, counters.Registry({}, {}))
    if asked.scope_id is None:
        needed = Text("is needed with the scope {scope}", {"scope": Text(WORDS[asked.scope])})
        raise Problem(422, Text("which one?"), [("scope_id", needed)])
    registry = await counters.registry(service.db)
    is_known = registry.has(asked.scope, asked.scope_id) or (
        asked.scope == "competency" and await is_demanded(service.db, asked.scope_id)
    )
    if not is_known and not await counters.is_counted(service.db, asked.scope, asked.scope_id):
        given = {"scope": Text(WORDS[asked.scope]), "id": asked.scope_id}
        raise Problem(404, Text("There is nothing of this name (yet): {scope} {id}", given))
    return About(asked, registry)


REST = 40


async def worked_out_recently(
    service: Service, indicators: list[Indicator], asked: Asked
) -> tuple[list[dict[str, Any]], str | None]:
    """The values with their series for a page, and the time until which they contain every event.

    While events arrive they are at most a second old, or `REST` times as old as it took to work them out.
    """
    recent: RecentAnswers = service.shared.setdefault("of_pages", RecentAnswers(most=30, rest=REST))
    return await answered(recent, service, indicators, asked, with_series=True, within_s=1)


async def answered(  # noqa: PLR0913
    recent: RecentAnswers,
    service: Service,
    indicators: list[Indicator],
    asked: Asked,
    *,
    with_series: bool,
    within_s: float,
) -> tuple[list[dict[str, Any]], str | None]:
    question = (tuple(indicator.id for indicator in indicators), astuple(asked), with_series, counters.today())
    return await recent.answer(
        service.db, question, within_s, lambda: worked_out(service, indicators, asked, with_series=with_series)
    )


async def worked_out(
    service: Service, indicators: list[Indicator], asked: Asked, *, with_series: bool = False
) -> list[dict[str, Any]]:
    """The values of a scope. Those that are made of the same counters are read at once."""
    kinds: dict[str, list[Indicator]] = {}
    for indicator in indicators:
        kinds.setdefault(kind_of(indicator, asked.scope), []).append(indicator)
    about = await find_scope(service, asked)
    hiding, months = await asyncio.gather(
        hiding_of(service, indicators, asked.scope, asked.scope_id),
        asyncio.gather(*(_by_month(service, alike, kind, about) for kind, alike in kinds.items())),
    )
    today = counters.today()
    below, coverage_min = service.settings.suppress_below, service.settings.coverage_min
    answers: dict[str, dict[str, Any]] = {}
    for alike, read in zip(kinds.values(), months, strict=True):
        for indicator in alike:
            begin, end = indicator.months(asked.begin, asked.end, today)
            by_month = within(read, None, indicator.latest(today))
            hidden = hiding.of(indicator, asked.scope, asked.scope_id)
            said = of_window(indicator, by_month, asked.begin, asked.end, below, hidden)
            reasons = hiding.reasons_of(indicator, asked.scope, asked.scope_id)
            is_whole = asked.begin is None and asked.end is None
            answers[indicator.id] = {
                "indicator": indicator.id,
                **about.scope(),
                "from": begin,
                "to": end,
                **said,
                **(
                    caveats(indicator, sum_of(by_month), said, below, coverage_min, reasons) if is_whole else NO_CAVEATS
                ),
                "unit": indicator.unit,
                **explained(indicator),
                "applied_until": None,
            }
            if with_series:
                answers[indicator.id]["points"] = of_months(indicator, by_month, asked.begin, end, below, hidden)
                answers[indicator.id]["years"] = of_years(indicator, by_month, asked.begin, end, below, hidden)
    return [answers[indicator.id] for indicator in indicators]


def explained(indicator: Indicator) -> dict[str, Any]:
    return {
        "window": indicator.window.in_all(),
        "definition": indicator.formula.in_all(),
        "source": indicator.source,
    }


async def hiding_of(
    service: Service, indicators: Iterable[Indicator], scope: Scope, scope_id: str | None, *, by_month: bool = True
) -> counters.Hiding:
    """What is hidden of a scope or, without an id, of all of its kind.

    Where it takes long to work out, that of some time ago is taken; what is small itself is always hidden at once.
    """
    personal = [indicator for indicator in indicators if indicator.personal]
    question = (tuple(indicator.id for indicator in personal), scope, scope_id, by_month, counters.today())
    recent: RecentAnswers = service.shared.setdefault("hiding", RecentAnswers(rest=20, at_once_s=0.2))
    below = service.settings.suppress_below
    hiding, _ = await recent.answer(
        service.db,
        question,
        0,
        lambda: counters.hiding(service.db, personal, scope, scope_id, below, by_month=by_month),
    )
    return hiding


async def _by_month(service: Service, alike: list[Indicator], kind: str, about: "About") -> dict[str, dict[str, int]]:
    """Every month that one of the indicators reads: which of them may be shown depends on all."""
    latest = max(indicator.latest(counters.today()) for indicator in alike)
    asked = about.asked
    ids = about.registry.members(kind, asked.scope, asked.scope_id) if asked.scope_id else None
    read = await counters.read(service.db, alike, kind, ids, by=["period"], latest=latest)
    return {month: counted for (month,), counted in read.items()}


def kind_of(indicator: Indicator, scope: Scope) -> str:
    """The kind of counter that the indicator is summed from for a scope; a problem if it is not offered."""
    if scope not in indicator.scopes:
        one_of = Text("one of {values}", {"values": ", ".join(indicator.scopes)})
        raise Problem(422, not_offered(indicator, scope), [("scope", one_of)])
    return indicator.scopes[scope]


def not_offered(indicator: Indicator, scope: Scope) -> Text:
    return Text(
        "“{indicator}” is not offered for: {scope}", {"indicator": indicator.title, "scope": Text(WORDS[scope])}
    )


async def split_up(service: Service, indicator: Indicator) -> tuple[dict[Split, splits.Groups], str | None]:
    """Every scope at once, because what is hidden of one depends on the others; at most a second old."""
    recent: RecentAnswers = service.shared.setdefault("splits", RecentAnswers(most=8))
    question, below = ("split", indicator.id, counters.today()), service.settings.suppress_below
    return await recent.answer(service.db, question, 1, lambda: splits.read(service.db, indicator, below))


class Compared(NamedTuple):
    """The items of a comparison by id, the whole network's, and until when every event is in them."""

    items: list[dict[str, Any]]
    network: dict[str, Any]
    until: str | None


async def compared(service: Service, indicator: Indicator, asked: Asked) -> Compared:
    """Side by side; at most a second old, or `REST` times as old as it took. Few are kept: each may be long."""
    kind_of(indicator, asked.scope)
    question = ("comparison", indicator.id, astuple(asked), counters.today())
    recent: RecentAnswers = service.shared.setdefault("comparisons", RecentAnswers(most=24, rest=REST))
    (items, network), until = await recent.answer(
        service.db, question, 1, lambda: side_by_side(service, indicator, asked)
    )
    return Compared(items, network, until)


async def side_by_side(
    service: Service, indicator: Indicator, asked: Asked
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The items of a comparison, and the whole network's, as they are now."""
    registry, whole = await counters.registry(service.db), Asked(begin=asked.begin, end=asked.end)
    (network,) = await worked_out(service, [indicator], whole)
    is_window = bool(asked.begin or asked.end)
    by_scope = await counters.by_scope(
        service.db,
        indicator,
        asked.scope,
        None,
        indicator.latest(counters.today()),
        by_month=is_window,
    )
    hiding = await hiding_of(service, [indicator], asked.scope, None, by_month=is_window)
    below = service.settings.suppress_below
    items = []
    for scope_id, by_month in sorted(by_scope.items()):
        hidden = hiding.of(indicator, asked.scope, scope_id if asked.scope != "network" else None)
        said = of_window(indicator, by_month, asked.begin, asked.end, below, hidden)
        about = {"scope_id": scope_id, "scope_name": registry.name(asked.scope, scope_id)}
        items.append(about | said | {"against_network": ranking.against(indicator, said, network)})
    return items, network


class Demanded(NamedTuple):
    """The scope, a row for each competency that is demanded there, and until when every event is in them."""

    about: dict[str, Any]
    rows: list[dict[str, Any]]
    until: str | None


async def gaps_of(service: Service, asked: Asked, filters: GapFilters, language: Language) -> Demanded:
    """What is demanded, certified and taught in the network, a region or for a programme; at most a second old.

    Raises:
        Problem: there is no such region or programme.
    """
    about = (await find_scope(service, asked)).scope()
    known, until = await competencies_of(service)
    names = Names(await counters.registry(service.db), await service.frameworks(), language)
    scope: Any = asked.scope
    rows = gaps(known, names, scope, asked.scope_id, service.settings.suppress_below)
    return Demanded(about, filters.of(rows), until)
