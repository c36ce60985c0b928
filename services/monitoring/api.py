"""Indicators over HTTP: the catalogue, values, series, comparisons and gaps, as JSON, CSV and XLSX."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, Header, Query, Request
from fastapi import Path as InPath
from fastapi.responses import JSONResponse, Response
from prometheus_client import Gauge

from shared.http.parameters import query
from shared.http.problems import Problem
from shared.http.routing import MicrocachedRoute, Router
from shared.http.service import Running, Service
from shared.http.spreadsheets import BOM, TABLES, XLSX, csv_of
from shared.pages.chosen import Chosen
from shared.pages.languages import Language, Text
from shared.processing.recent import RecentAnswers

from . import counters, ranking, splits, sustainability
from .answers import Asked, Question, answered, compared, explained, find_indicator, find_scope, gaps_of, split_up
from .competencies import GapFilters, GapScope, competencies_of
from .indicators import INDICATORS, SMALL_GROUPS, Indicator, Scope
from .splits import Split
from .tables import file_name, xlsx_of

Kind = Literal["json", "csv", "xlsx"]
router = Router(tags=["indicators"], responses={200: {"content": TABLES}})
microcached = Router(route_class=MicrocachedRoute, tags=["indicators"], responses={200: {"content": TABLES}})


# Coroutines, though they wait for nothing: FastAPI runs plain functions in threads.
async def _indicator(indicator_id: Annotated[str, InPath(max_length=100)]) -> Indicator:
    return find_indicator(indicator_id)


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
        **explained(indicator),
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


@microcached.get("/values")
async def values(service: Running, asked: Question, form: Wanted, series: Months = False) -> Response:
    """Every indicator that is offered for a scope, at once; in JSON also month by month. At most two seconds old."""
    offered = [indicator for indicator in _all() if asked.scope in indicator.scopes]
    items = await _values(service, offered, asked, with_series=series, within_s=1)
    rows = [{name: content for name, content in item.items() if name not in ("points", "years")} for item in items]
    return await _answer(form, {"items": items}, rows)


async def _values(
    service: Service, indicators: list[Indicator], asked: Asked, *, with_series: bool = False, within_s: float = 0
) -> list[dict[str, Any]]:
    """The values of *indicators*, with the time until which they contain every event."""
    recent: RecentAnswers = service.shared.setdefault("recent", RecentAnswers())
    items, until = await answered(recent, service, indicators, asked, with_series=with_series, within_s=within_s)
    return [{**item, "applied_until": until} for item in items]


@microcached.get("/indicators/{indicator_id}/series")
async def months(
    service: Running, indicator: OfIndicator, asked: Question, form: Wanted, step: Step = "month"
) -> Response:
    """The values month by month: cohorts, periods, or the ends of the months; or year by year. At most two seconds old.

    A month that windows leave out is suppressed here, too, whether it has cases or not, and left out of its year.
    `months` says how many months of a year are over; `change` is the difference from the year before, where both are
    whole and shown.
    """
    (said,) = await _values(service, [indicator], asked, with_series=True, within_s=1)
    points = said["points" if step == "month" else "years"]
    about = {name: said[name] for name in ("scope", "scope_id", "scope_name")}
    answer = _whole(indicator, said["applied_until"]) | about | {"from": asked.begin, "to": said["to"]}
    return await _answer(form, {**answer, "points": points}, [{**answer, **point} for point in points])


async def _groups(service: Service, indicator: Indicator, asked: Asked, split: Split, form: Form) -> Response:
    """The values of groups of learners."""
    if split not in indicator.splits:
        raise Problem(422, f"{indicator.id} is not split", [("split", "is offered by /indicators, where it is")])
    if asked.scope not in splits.SCOPES:
        one_of = Text("one of {values}", {"values": ", ".join(splits.SCOPES)})
        raise Problem(422, f"{asked.scope} is not split", [("scope", one_of)])
    if asked.begin or asked.end:
        raise Problem(422, "a split is of all months", [("from" if asked.begin else "to", "leave it out")])
    about = await find_scope(service, asked)
    groups, until = await split_up(service, indicator)
    answer = _whole(indicator, until) | about.scope() | {"split": split}
    items = groups[split].items(asked.scope, asked.scope_id)
    return await _answer(form, {**answer, "items": items}, [{**answer, **item} for item in items])


@microcached.get("/indicators/{indicator_id}/comparison")
async def comparison(
    service: Running, indicator: OfIndicator, asked: Question, form: Wanted, filters: Listed
) -> Response:
    """The values of all regions, institutions, programmes … side by side, with their 95 % intervals.

    `against_network` says which shares lie clearly below or above the network's: by more than chance brings about in
    one of 500. At most two seconds old, or 40 times as old as it took to work it out.
    `filtered` says by what the list was filtered; null: by nothing.
    """
    items, _, until = await compared(service, indicator, asked)
    begin, end = indicator.months(asked.begin, asked.end, counters.today())
    answer = _whole(indicator, until) | {"scope": asked.scope, "from": begin, "to": end, "filtered": filters.said()}
    items = filters.of(items, asked.scope, await counters.registry(service.db))
    return await _answer(form, {**answer, "items": items}, [{**answer, **item} for item in items])


def _whole(indicator: Indicator, applied_until: str | None) -> dict[str, Any]:
    return {
        "indicator": indicator.id,
        "unit": indicator.unit,
        **explained(indicator),
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

AUDIT_DIFFERENCES = Gauge(
    "praktika_audit_differences", "Counters that the last audit found to be wrong; NaN: none ran."
)
AUDITED_AT = Gauge("praktika_audit_timestamp_seconds", "When the last audit was made; 0: never.")
AUDIT_DIFFERENCES.set(float("nan"))


async def show_audit(service: Service) -> None:
    """Show the result that `praktika audit` has left."""
    audit = await counters.last_audit(service.db)
    if audit is not None:
        AUDIT_DIFFERENCES.set(audit["differences"])
        AUDITED_AT.set(audit["at"].timestamp())
