"""The public pages: the catalogue, indicators by scope as JSON and CSV, and the dashboard."""

import asyncio
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import Depends, Header, Query, Request
from fastapi import Path as InPath
from fastapi.responses import JSONResponse, Response
from prometheus_client import Gauge

from shared.contract.events import Month
from shared.http.parameters import query
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Running, Service
from shared.http.spreadsheets import BOM, TABLES, XLSX, csv_of
from shared.pages.languages import Chosen, Language
from shared.processing.recent import RecentAnswers

from . import counters, ranking, splits, sustainability
from .competencies import GapFilters, GapScope, Names, competencies_of, gaps, is_demanded
from .figures import NO_CAVEATS, caveats, of_months, of_window, of_years, sum_of, within
from .indicators import INDICATORS, SMALL_GROUPS, Indicator, Scope
from .splits import Split
from .tables import file_name, xlsx_of

Kind = Literal["json", "csv", "xlsx"]
router = Router(tags=["indicators"], responses={200: {"content": TABLES}})

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
            raise Problem(422, "the period ends before it begins", [("to", f"must not be before {self.begin}")])


Question = Annotated[Asked, query(Asked)]


# Coroutines, though they wait for nothing: FastAPI runs plain functions in threads.
async def _indicator(indicator_id: Annotated[str, InPath(max_length=100)]) -> Indicator:
    if indicator_id not in INDICATORS:
        raise Problem(404, f"there is no indicator {indicator_id}")
    return INDICATORS[indicator_id]


@dataclass(frozen=True)
class Form:
    """How an answer is wanted.

    Attributes:
        bom: with a byte order mark, by which Excel knows UTF-8.
    """

    kind: Kind
    bom: bool
    language: Language
    address: str
    file_name: str


async def _form(
    request: Request,
    language: Chosen,
    format: Annotated[Kind | None, Query(description="Instead of the Accept header.")] = None,
    bom: Annotated[bool, Query(description="Begin CSV with a byte order mark, by which Excel knows UTF-8.")] = False,
    accept: Annotated[str, Header()] = "",
) -> Form:
    accepted: Kind = "csv" if "text/csv" in accept else "xlsx" if XLSX in accept else "json"
    kind = format or accepted
    name = file_name(request.url.path, request.query_params.get("scope_id"), kind)
    return Form(kind, bom, language, str(request.url), name)


OfIndicator = Annotated[Indicator, Depends(_indicator)]
Listed = Annotated[ranking.Filters, query(ranking.Filters)]
Gaps = Annotated[GapFilters, query(GapFilters)]
Wanted = Annotated[Form, Depends(_form)]
Months = Annotated[bool, Query(description="Give the months one by one; in `/values` also the years.")]
Step = Literal["month", "year"]
SplitBy = Annotated[
    Split | None,
    Query(description="By groups of learners, for a network, region or institution as a whole (no `from` and `to`)."),
]


@router.get("/indicators")
async def catalogue(service: Running, form: Wanted) -> Response:
    """Every indicator: its meaning, unit, source and the scopes that it is offered for; how small groups are hidden."""
    below = service.settings.suppress_below
    items = [_entry(indicator) | {"suppressed_below": below if indicator.personal else None} for indicator in _all()]
    return await _answer(form, {"items": items, "small_groups": SMALL_GROUPS.in_all()}, items)


def _all() -> list[Indicator]:
    return list(INDICATORS.values())


def _entry(indicator: Indicator) -> dict[str, Any]:
    return {
        "indicator": indicator.id,
        "title": indicator.title.in_all(),
        "group": indicator.group.in_all(),
        "unit": indicator.unit,
        "by": indicator.by,
        "scopes": list(indicator.scopes),
        "splits": indicator.splits,
        **_explained(indicator),
    }


def _explained(indicator: Indicator) -> dict[str, Any]:
    return {
        "window": indicator.window.in_all(),
        "definition": indicator.formula.in_all(),
        "source": indicator.source,
    }


@router.get("/indicators/{indicator_id}")
async def value(  # noqa: PLR0913, PLR0917
    service: Running,
    indicator: OfIndicator,
    asked: Question,
    form: Wanted,
    series: Months = False,
    split: SplitBy = None,
) -> Response:
    """The value for a scope, with what it is made of and the time until which events are applied.

    `status` is ok, not_enough_data (nothing to work a value out from, never zero) or suppressed: a small group, or what
    would tell one; then `n` is null, or says that there are fewer than are shown. When `from` or `to` is given, months
    that would tell of few are left out and counted in `months_left_out`; `n` is null if nothing else is in the window.
    Without `from` and `to` everything is counted, and the answer says who is left out of a rate and why (`left_out`; of
    few not the reason), what share of those it is about it could use (`coverage`; `thin` if that is too little), and
    between what it would lie if everybody was known (`lower`, `upper`).

    With `split` a value for each group of learners, as far as institutions have described them; all of them are
    suppressed if one is small, here or by subtraction from what is shown of other scopes.
    """
    if split:
        return await _groups(service, indicator, asked, split, form)
    if series:
        return await months(service, indicator, asked, form)
    (answer,) = await _values(service, [indicator], asked)
    return await _answer(form, answer, [answer])


@router.get("/values")
async def values(service: Running, asked: Question, form: Wanted, series: Months = False) -> Response:
    """Every indicator that is offered for a scope, at once; in JSON also month by month. At most a second old."""
    offered = [indicator for indicator in _all() if asked.scope in indicator.scopes]
    items = await _values(service, offered, asked, with_series=series, within_s=1)
    rows = [{name: content for name, content in item.items() if name not in ("points", "years")} for item in items]
    return await _answer(form, {"items": items}, rows)


async def _values(
    service: Service, indicators: list[Indicator], asked: Asked, *, with_series: bool = False, within_s: float = 0
) -> list[dict[str, Any]]:
    """The values of *indicators*, with the time until which they contain every event."""
    recent: RecentAnswers = service.shared.setdefault("recent", RecentAnswers())
    items, until = await _answered(recent, service, indicators, asked, with_series=with_series, within_s=within_s)
    return [{**item, "applied_until": until} for item in items]


async def worked_out_recently(
    service: Service, indicators: list[Indicator], asked: Asked
) -> tuple[list[dict[str, Any]], str | None]:
    """The values with their series for a page, and the time until which they contain every event.

    While events arrive they are at most a second old, or `REST` times as old as it took to work them out.
    """
    recent: RecentAnswers = service.shared.setdefault("of_pages", RecentAnswers(most=30, rest=REST))
    return await _answered(recent, service, indicators, asked, with_series=True, within_s=1)


REST = 40


async def _answered(  # noqa: PLR0913
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
    kinds = {_kind(indicator, asked.scope) for indicator in indicators}
    about = await find_scope(service, asked)
    hiding = await _hiding(service, indicators, asked.scope, asked.scope_id)
    today = counters.today()
    below, coverage_min = service.settings.suppress_below, service.settings.coverage_min
    answers: dict[str, dict[str, Any]] = {}
    for kind in kinds:
        alike = [indicator for indicator in indicators if indicator.scopes[asked.scope] == kind]
        read = await _by_month(service, alike, kind, about)
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
                **_explained(indicator),
                "applied_until": None,
            }
            if with_series:
                answers[indicator.id]["points"] = of_months(indicator, by_month, asked.begin, end, below, hidden)
                answers[indicator.id]["years"] = of_years(indicator, by_month, asked.begin, end, below, hidden)
    return [answers[indicator.id] for indicator in indicators]


async def _hiding(
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


@router.get("/indicators/{indicator_id}/series")
async def months(
    service: Running, indicator: OfIndicator, asked: Question, form: Wanted, step: Step = "month"
) -> Response:
    """The values month by month: cohorts, periods, or the ends of the months; or year by year.

    A month that windows leave out is suppressed here, too, whether it has cases or not, and left out of its year.
    `months` says how many months of a year are over; `change` is the difference from the year before, where both are
    whole and shown.
    """
    (said,) = await _values(service, [indicator], asked, with_series=True)
    points = said["points" if step == "month" else "years"]
    about = {name: said[name] for name in ("scope", "scope_id", "scope_name")}
    answer = _whole(indicator, said["applied_until"]) | about | {"from": asked.begin, "to": said["to"]}
    return await _answer(form, {**answer, "points": points}, [{**answer, **point} for point in points])


async def _groups(service: Service, indicator: Indicator, asked: Asked, split: Split, form: Form) -> Response:
    """The values of groups of learners."""
    if split not in indicator.splits:
        raise Problem(422, f"{indicator.id} is not split", [("split", "is offered by /indicators, where it is")])
    if asked.scope not in splits.SCOPES:
        raise Problem(422, f"{asked.scope} is not split", [("scope", f"one of {', '.join(splits.SCOPES)}")])
    if asked.begin or asked.end:
        raise Problem(422, "a split is of all months", [("from" if asked.begin else "to", "leave it out")])
    about = await find_scope(service, asked)
    groups, until = await split_up(service, indicator)
    answer = _whole(indicator, until) | about.scope() | {"split": split}
    items = groups[split].items(asked.scope, asked.scope_id)
    return await _answer(form, {**answer, "items": items}, [{**answer, **item} for item in items])


async def split_up(service: Service, indicator: Indicator) -> tuple[dict[Split, splits.Groups], str | None]:
    """Every scope at once, because what is hidden of one depends on the others; at most a second old."""
    recent: RecentAnswers = service.shared.setdefault("splits", RecentAnswers(most=8))
    question, below = ("split", indicator.id, counters.today()), service.settings.suppress_below
    return await recent.answer(service.db, question, 1, lambda: splits.read(service.db, indicator, below))


@router.get("/indicators/{indicator_id}/comparison")
async def comparison(
    service: Running, indicator: OfIndicator, asked: Question, form: Wanted, filters: Listed
) -> Response:
    """The values of all regions, institutions, programmes … side by side, with their 95 % intervals.

    `against_network` says which shares lie clearly below or above the network's: by more than chance brings about in
    one of 500. At most a second old, or 40 times as old as it took to work it out.
    `filtered` says by what the list was filtered; null: by nothing.
    """
    items, _, until = await compared(service, indicator, asked)
    begin, end = indicator.months(asked.begin, asked.end, counters.today())
    answer = _whole(indicator, until) | {"scope": asked.scope, "from": begin, "to": end, "filtered": filters.said()}
    items = filters.of(items, asked.scope, await counters.registry(service.db))
    return await _answer(form, {**answer, "items": items}, [{**answer, **item} for item in items])


class Compared(NamedTuple):
    """The items of a comparison by id, the whole network's, and until when every event is in them."""

    items: list[dict[str, Any]]
    network: dict[str, Any]
    until: str | None


async def compared(service: Service, indicator: Indicator, asked: Asked) -> Compared:
    """Side by side; at most a second old, or `REST` times as old as it took. Few are kept: each may be long."""
    _kind(indicator, asked.scope)
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
    hiding = await _hiding(service, [indicator], asked.scope, None, by_month=is_window)
    below = service.settings.suppress_below
    items = []
    for scope_id, by_month in sorted(by_scope.items()):
        hidden = hiding.of(indicator, asked.scope, scope_id if asked.scope != "network" else None)
        said = of_window(indicator, by_month, asked.begin, asked.end, below, hidden)
        about = {"scope_id": scope_id, "scope_name": registry.name(asked.scope, scope_id)}
        items.append(about | said | {"against_network": ranking.against(indicator, said, network)})
    return items, network


def _whole(indicator: Indicator, applied_until: str | None) -> dict[str, Any]:
    return {
        "indicator": indicator.id,
        "unit": indicator.unit,
        **_explained(indicator),
        "applied_until": applied_until,
    }


@router.get("/scopes/{scope}")
async def scopes(service: Running, scope: Scope, form: Wanted) -> Response:
    """What there is to choose from: ids with their names."""
    registry = await counters.registry(service.db)
    ids = {*registry.ids(scope), *(await counters.counted_ids(service.db, scope))}
    if scope == "competency":
        ids |= (await competencies_of(service)).competencies.demanded.keys()
    known = await service.frameworks()
    names = {id: known.name(id, form.language) if scope == "competency" else registry.name(scope, id) for id in ids}
    items = [{"id": id, "name": name} for id, name in sorted(names.items())]
    return await _answer(form, {"items": items}, items)


@router.get("/gaps")
async def competency_gaps(
    service: Running,
    form: Wanted,
    filters: Gaps,
    scope: GapScope = "network",
    scope_id: Annotated[
        str | None, Query(max_length=100, description="Needed unless the scope is the network.")
    ] = None,
) -> Response:
    """Places demanded now beside people who hold a valid certificate and programmes that teach it, by competency.

    Of a region: what its organisations demand, who was certified by its institutions, and their programmes. Of a
    programme: what its region demands, and who is enrolled in it. `holders`, `lack` and `surplus` are hidden where few
    hold the certificate, and where it would tell a few elsewhere. At most a second old.
    """
    about, rows, until = await gaps_of(service, Asked(scope, scope_id), filters, form.language)
    items = [{**about, **row} for row in rows]
    flat = [{**item, "demanded_by": _in_words(item["demanded_by"])} for item in items]
    return await _answer(form, {**about, "items": items, "applied_until": until}, flat)


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


@router.get("/sustainability/programmes")
async def sustainability_programmes(
    service: Running,
    form: Wanted,
    region: Annotated[str | None, Query(max_length=100)] = None,
    institution: Annotated[str | None, Query(max_length=100)] = None,
    framework: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Which programmes teach sustainability competencies, and how many of their learners hold a valid certificate.

    `is_taught`: the newest version names it. `holders` is null where few hold it, and where it would tell a few
    elsewhere. What is neither taught nor certified is left out. At most a second old.
    """
    known, until = await competencies_of(service)
    registry, frameworks = await counters.registry(service.db), await service.frameworks()
    items = sustainability.items_of(known, frameworks, framework)
    found = sustainability.heat_map(known, registry, items, region, institution)
    rows = sustainability.rows_of(found, frameworks, form.language)
    return await _answer(form, {"items": rows, "applied_until": until}, rows)


def _in_words(demanded_by: list[dict[str, Any]]) -> str:
    return "; ".join(f"{one['name']}: {one['places']}" for one in demanded_by)


@dataclass(frozen=True)
class About:
    """What a question is about, with the registry."""

    asked: Asked
    registry: counters.Registry

    def scope(self) -> dict[str, Any]:
        name = self.registry.name(self.asked.scope, self.asked.scope_id)
        return {"scope": self.asked.scope, "scope_id": self.asked.scope_id, "scope_name": name}


async def find_scope(service: Service, asked: Asked) -> About:
    """Look up the scope.

    Raises:
        Problem: it is not named, or there is nothing of that name.
    """
    if asked.scope == "network":
        return About(asked, counters.Registry({}, {}))
    if asked.scope_id is None:
        raise Problem(422, "which one?", [("scope_id", f"is needed with the scope {asked.scope}")])
    registry = await counters.registry(service.db)
    is_known = registry.has(asked.scope, asked.scope_id) or (
        asked.scope == "competency" and await is_demanded(service.db, asked.scope_id)
    )
    if not is_known and not await counters.is_counted(service.db, asked.scope, asked.scope_id):
        raise Problem(404, f"there is no {asked.scope} {asked.scope_id} (yet)")
    return About(asked, registry)


def _kind(indicator: Indicator, scope: Scope) -> str:
    """The kind of counter that the indicator is summed from for a scope; a problem if it is not offered."""
    if scope not in indicator.scopes:
        offered = ", ".join(indicator.scopes)
        raise Problem(422, f"{indicator.id} is not offered by {scope}", [("scope", f"one of {offered}")])
    return indicator.scopes[scope]


# how it is said


async def _answer(form: Form, body: dict[str, Any], rows: list[dict[str, Any]]) -> Response:
    headers = {"Vary": "Accept, Accept-Language", "Cache-Control": "no-cache"}
    if form.kind == "json":
        return JSONResponse(body, headers=headers)
    headers["Content-Disposition"] = f'attachment; filename="{form.file_name}"'
    if form.kind == "csv":
        text = (BOM if form.bom else "") + csv_of(rows)
        return Response(text, headers=headers, media_type="text/csv; charset=utf-8")
    content = await asyncio.to_thread(xlsx_of, rows, form.language, form.address)
    return Response(content, headers=headers, media_type=XLSX)


# what the last audit found, for /metrics

AUDITS = "_audits"
AUDIT_DIFFERENCES = Gauge(
    "praktika_audit_differences", "Counters that the last audit found to be wrong; NaN: none ran."
)
AUDITED_AT = Gauge("praktika_audit_timestamp_seconds", "When the last audit was made; 0: never.")
AUDIT_DIFFERENCES.set(float("nan"))


async def last_audit(service: Service) -> None:
    """Show the result that `praktika audit` has left."""
    audit = await service.db[AUDITS].find_one({"_id": "last"})
    if audit is not None:
        AUDIT_DIFFERENCES.set(audit["differences"])
        AUDITED_AT.set(audit["at_ms"] / 1000)
