"""The public pages: the catalogue, indicators by scope as JSON and CSV, and the dashboard."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query
from fastapi import Path as InPath
from fastapi.responses import FileResponse, JSONResponse, Response

from shared.events import Month
from shared.web import Problem, Running, Service

from . import counters
from .indicators import INDICATORS, Indicator, Scope, add, series, shown, within

router = APIRouter(tags=["indicators"])
DASHBOARD = Path(__file__).parent / "dashboard"


@dataclass
class Asked:
    """What is asked for: a scope, the first and the last month."""

    scope: Annotated[Scope, Query()] = "network"
    scope_id: Annotated[str | None, Query(max_length=100, description="Needed unless the scope is the network.")] = None
    begin: Annotated[Month | None, Query(alias="from")] = None
    end: Annotated[Month | None, Query(alias="to")] = None

    def __post_init__(self) -> None:
        if self.scope == "network":
            self.scope_id = None
        if self.begin and self.end and self.begin > self.end:
            raise Problem(422, "the period ends before it begins", [("to", f"must not be before {self.begin}")])


Question = Annotated[Asked, Depends()]


def _indicator(indicator_id: Annotated[str, InPath(max_length=100)]) -> Indicator:
    if indicator_id not in INDICATORS:
        raise Problem(404, f"there is no indicator {indicator_id}")
    return INDICATORS[indicator_id]


def _wants_csv(
    format: Annotated[Literal["json", "csv"] | None, Query(description="Instead of the Accept header.")] = None,
    accept: Annotated[str | None, Header()] = None,
) -> bool:
    return format == "csv" if format else "text/csv" in (accept or "")


OfIndicator = Annotated[Indicator, Depends(_indicator)]
AsCsv = Annotated[bool, Depends(_wants_csv)]
Months = Annotated[bool, Query(description="Give the months one by one.")]


@router.get("/indicators")
async def catalogue(service: Running, as_csv: AsCsv) -> Response:
    """Every indicator: its meaning, unit, source and the scopes that it is offered for."""
    below = service.settings.suppress_below
    items = [_entry(indicator) | {"suppressed_below": below if indicator.personal else None} for indicator in _all()]
    return _answer({"items": items}, items, as_csv)


def _all() -> list[Indicator]:
    return list(INDICATORS.values())


def _entry(indicator: Indicator) -> dict[str, Any]:
    return {
        "indicator": indicator.id,
        "title": indicator.title._asdict(),
        "group": indicator.group._asdict(),
        "unit": indicator.unit,
        "by": indicator.by,
        "scopes": list(indicator.scopes),
        **_explained(indicator),
    }


def _explained(indicator: Indicator) -> dict[str, Any]:
    return {
        "window": indicator.window._asdict(),
        "definition": indicator.formula._asdict(),
        "source": indicator.source,
    }


@router.get("/indicators/{indicator_id}")
async def value(
    service: Running,
    indicator: OfIndicator,
    asked: Question,
    as_csv: AsCsv,
    series: Months = False,
) -> Response:
    """The value for a scope, with what it is made of and the time until which events are applied."""
    if series:
        return await months(service, indicator, asked, as_csv)
    (answer,) = await _values(service, [indicator], asked)
    return _answer(answer, [answer], as_csv)


@router.get("/values")
async def values(service: Running, asked: Question, as_csv: AsCsv, series: Months = False) -> Response:
    """Every indicator that is offered for a scope, at once; in JSON also month by month."""
    items = await _values(service, [i for i in _all() if asked.scope in i.scopes], asked, with_series=series)
    rows = [{name: content for name, content in item.items() if name != "points"} for item in items]
    return _answer({"items": items}, rows, as_csv)


async def _values(
    service: Service, indicators: list[Indicator], asked: Asked, *, with_series: bool = False
) -> list[dict[str, Any]]:
    """The values of *indicators*; those that are made of the same counters are read at once."""
    about = await _about(service, asked)
    today = counters.today()
    answers: dict[str, dict[str, Any]] = {}
    for kind in {_kind(indicator, asked.scope) for indicator in indicators}:
        alike = [indicator for indicator in indicators if indicator.scopes[asked.scope] == kind]
        latest = max(indicator.months(None, asked.end, today)[1] for indicator in alike)
        ids = about.registry.members(kind, asked.scope, asked.scope_id) if asked.scope_id else None
        by_month = await counters.read(service.db, alike, kind, ids, by="period", months=(None, latest))
        for indicator in alike:
            begin, end = indicator.months(asked.begin, asked.end, today)
            counted = within(by_month, begin, end)
            answers[indicator.id] = {
                "indicator": indicator.id,
                **about.scope(),
                "from": begin,
                "to": end,
                **shown(indicator, counted, service.settings.suppress_below),
                "unit": indicator.unit,
                **_explained(indicator),
                "applied_until": about.applied_until,
            }
            if with_series:
                answers[indicator.id]["points"] = _points(service, indicator, by_month, asked.begin, end)
    return [answers[indicator.id] for indicator in indicators]


@router.get("/indicators/{indicator_id}/series")
async def months(service: Running, indicator: OfIndicator, asked: Question, as_csv: AsCsv) -> Response:
    """The values month by month: cohorts, periods, or the ends of the months."""
    kind = _kind(indicator, asked.scope)
    about = await _about(service, asked)
    _, end = indicator.months(asked.begin, asked.end, counters.today())
    ids = about.registry.members(kind, asked.scope, asked.scope_id) if asked.scope_id else None
    by_month = await counters.read(service.db, [indicator], kind, ids, by="period", months=(None, end))
    points = _points(service, indicator, by_month, asked.begin, end)
    answer = _whole(indicator, about.applied_until) | about.scope() | {"from": asked.begin, "to": end}
    return _answer({**answer, "points": points}, [{**answer, **point} for point in points], as_csv)


def _points(
    service: Service, indicator: Indicator, by_month: dict[str, dict[str, int]], begin: str | None, end: str
) -> list[dict[str, Any]]:
    return [
        {"period": month, **shown(indicator, counted, service.settings.suppress_below)}
        for month, counted in series(indicator, by_month, begin, end)
    ]


@router.get("/indicators/{indicator_id}/comparison")
async def comparison(service: Running, indicator: OfIndicator, asked: Question, as_csv: AsCsv) -> Response:
    """The values of all regions, institutions, programmes … side by side."""
    kind = _kind(indicator, asked.scope)
    until = await counters.applied_until(service.db)
    registry = await counters.registry(service.db)
    begin, end = indicator.months(asked.begin, asked.end, counters.today())
    by_scope: dict[str, dict[str, int]] = {id: {} for id in registry.ids(asked.scope)}
    by_id = await counters.read(service.db, [indicator], kind, None, by="id", months=(begin, end))
    for id, counted in by_id.items():
        scope_id = registry.scope_of(id, kind, asked.scope)
        if scope_id is not None and indicator.is_in(counted):
            add(by_scope.setdefault(scope_id, {}), counted)
    items = [
        {
            "scope_id": scope_id,
            "scope_name": registry.name(asked.scope, scope_id),
            **shown(indicator, counted, service.settings.suppress_below),
        }
        for scope_id, counted in sorted(by_scope.items())
    ]
    answer = _whole(indicator, until) | {"scope": asked.scope, "from": begin, "to": end}
    return _answer({**answer, "items": items}, [{**answer, **item} for item in items], as_csv)


def _whole(indicator: Indicator, applied_until: str | None) -> dict[str, Any]:
    return {
        "indicator": indicator.id,
        "unit": indicator.unit,
        **_explained(indicator),
        "applied_until": applied_until,
    }


@router.get("/scopes/{scope}")
async def scopes(service: Running, scope: Scope, as_csv: AsCsv) -> Response:
    """What there is to choose from: ids with their names."""
    registry = await counters.registry(service.db)
    ids = {*registry.ids(scope), *(await counters.counted_ids(service.db, scope))}
    items = [{"id": id, "name": registry.name(scope, id)} for id in sorted(ids)]
    return _answer({"items": items}, items, as_csv)


@dataclass(frozen=True)
class About:
    """What a question is about, with the registry and the time until which events are applied."""

    asked: Asked
    registry: counters.Registry
    applied_until: str | None

    def scope(self) -> dict[str, Any]:
        name = self.registry.name(self.asked.scope, self.asked.scope_id)
        return {"scope": self.asked.scope, "scope_id": self.asked.scope_id, "scope_name": name}


async def _about(service: Service, asked: Asked) -> About:
    """Look up the scope.

    Raises:
        Problem: it is not named, or there is nothing of that name.
    """
    until = await counters.applied_until(service.db)  # before the counters are read: they can only be newer
    if asked.scope == "network":
        return About(asked, counters.Registry({}, {}), until)
    if asked.scope_id is None:
        raise Problem(422, "which one?", [("scope_id", f"is needed with the scope {asked.scope}")])
    registry = await counters.registry(service.db)
    known = {*registry.ids(asked.scope), *(await counters.counted_ids(service.db, asked.scope))}
    if asked.scope_id not in known:
        raise Problem(404, f"there is no {asked.scope} {asked.scope_id} (yet)")
    return About(asked, registry, until)


def _kind(indicator: Indicator, scope: Scope) -> str:
    """The kind of counter that the indicator is summed from for a scope; a problem if it is not offered."""
    if scope not in indicator.scopes:
        offered = ", ".join(indicator.scopes)
        raise Problem(422, f"{indicator.id} is not offered by {scope}", [("scope", f"one of {offered}")])
    return indicator.scopes[scope]


# how it is said


def _answer(body: dict[str, Any], rows: list[dict[str, Any]], as_csv: bool) -> Response:
    headers = {"Vary": "Accept", "Cache-Control": "no-cache"}
    if as_csv:
        return Response(csv_of(rows), headers=headers, media_type="text/csv; charset=utf-8")
    return JSONResponse(body, headers=headers)


def csv_of(rows: list[dict[str, Any]]) -> str:
    """*rows* as CSV (RFC 4180); a text in two languages makes two columns."""
    flat = [dict(_cells(row)) for row in rows]
    text = io.StringIO()
    writer = csv.writer(text)
    if flat:
        writer.writerow(flat[0])
        writer.writerows([list(row.values()) for row in flat])
    return text.getvalue()


def _cells(row: Mapping[str, Any]) -> list[tuple[str, Any]]:
    cells: list[tuple[str, Any]] = []
    for name, content in row.items():
        if isinstance(content, dict):
            cells += [(f"{name}_{language}", _cell(text)) for language, text in content.items()]
        else:
            cells.append((name, _cell(" ".join(content) if isinstance(content, list) else content)))
    return cells


def _cell(content: Any) -> Any:
    """A text that a spreadsheet would take for a formula gets an apostrophe (OWASP, CSV injection)."""
    risky = isinstance(content, str) and content.lstrip()[:1] in ("=", "+", "-", "@", "|", "%")
    return f"'{content}" if risky or (isinstance(content, str) and content[:1] in ("\t", "\r", "\n")) else content


# the dashboard

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FILES = {"index.html": "text/html", "dashboard.js": "text/javascript", "dashboard.css": "text/css"}


@router.get("/", include_in_schema=False)
async def dashboard() -> Response:
    """The dashboard for people."""
    return await dashboard_file("index.html")


@router.get("/dashboard/{name}", include_in_schema=False)
async def dashboard_file(name: str) -> Response:
    if name not in FILES:
        raise Problem(404, f"there is no {name}")
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return FileResponse(DASHBOARD / name, media_type=f"{FILES[name]}; charset=utf-8", headers=headers)
