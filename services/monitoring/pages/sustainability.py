"""Sustainability competencies: which programmes teach and certify them, and how that developed by region and year."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, Field

from services.monitoring import counters
from services.monitoring.answers import Asked, worked_out_recently
from services.monitoring.competencies import Competencies, competencies_of, framework_of
from services.monitoring.counters import Registry
from services.monitoring.indicators import INDICATORS, Scope
from services.monitoring.sustainability import (
    GRADUATES,
    HeatMap,
    beside,
    foremost,
    graduates_by_year,
    heat_map,
    items_of,
)
from services.monitoring.tables import WORDS
from shared.http.routing import MicrocachedRoute, Router
from shared.http.visits import AnyVisit, Visit
from shared.pages.paging import pager

from .charts import DRAWN, chart
from .competencies import framework_name
from .parts import ALL, Text100, of_api, options, scope_name

router = Router(route_class=MicrocachedRoute, include_in_schema=False, default_response_class=HTMLResponse)
SHOWN_ROWS = 50
SHOWN_MONTHS = 60  # of a chart; the page of the figure has all
SHOWN_FIGURES = (
    GRADUATES,
    *(
        INDICATORS[id]
        for id in ("sustainability_programmes_rate", "teacher_sustainability_hours", "joint_research_hours")
    ),
)
HEAT = (5, 10, 20, 50)  # from so many people on a cell is darker
BELOW: dict[Scope, Scope] = {"network": "region", "region": "institution", "institution": "programme"}


class Fields(BaseModel):
    """The form, as the address has it: what is left open is empty."""

    region: Text100 = ""
    institution: Text100 = ""
    framework: Text100 = ""
    page: int = Field(1, ge=1, le=100_000)


@router.get("/sustainability")
async def sustainability_page(visit: AnyVisit, fields: Annotated[Fields, Query()]) -> Response:
    (known, until), registry = await competencies_of(visit.service), await counters.registry(visit.service.db)
    asked = _asked(fields)
    figures, _ = await worked_out_recently(visit.service, list(SHOWN_FIGURES), asked)
    items = items_of(known, visit.frameworks, fields.framework or None)
    shown = foremost(items, known)
    found = heat_map(known, registry, shown, fields.region or None, fields.institution or None)
    chosen = {"region": fields.region, "institution": fields.institution, "framework": fields.framework}
    visit.form.values = {name: [value] for name, value in chosen.items()}
    part = pager(fields.page, SHOWN_ROWS, len(found.lines), **chosen)
    below = BELOW[asked.scope]
    return visit.show(
        "services/monitoring/pages/sustainability.html",
        **_heat(visit, found, known, registry, _region(registry, fields)),
        lines=part.of(found.lines),
        part=part,
        without=found.without,
        left_out=len(items) - len(shown),
        by_year=await graduates_by_year(visit.service, below, _parts(registry, asked)),
        below=below,
        below_words=visit.word(WORDS[below]),
        of=GRADUATES,
        drawn=[(of, item, *_points(of.unit, item)) for of, item in zip(SHOWN_FIGURES, figures, strict=True)],
        size=DRAWN,
        address=of_api(asked),
        name=scope_name(visit, asked.scope, asked.scope_id, registry.name(asked.scope, asked.scope_id)),
        regions=options(visit, registry, "region"),
        institutions=options(visit, registry, "institution"),
        frameworks=_frameworks(visit, items_of(known, visit.frameworks, None)),
        kept=urlencode({name: value for name, value in chosen.items() if value}),
        least=visit.service.settings.suppress_below,
        until=until,
    )


def _asked(fields: Fields) -> Asked:
    """The narrowest scope that is chosen."""
    if fields.institution:
        return Asked("institution", fields.institution)
    return Asked("region", fields.region) if fields.region else Asked()


def _region(registry: Registry, fields: Fields) -> str:
    """The region whose demand and supply are shown, if it is not the whole network's."""
    return fields.region or registry.organisations.get(fields.institution, {}).get("region") or ""


def _parts(registry: Registry, asked: Asked) -> list[str]:
    """The regions of the network, the institutions of a region, or the programmes of an institution."""
    if asked.scope == "network":
        return registry.ids("region")
    if asked.scope == "institution":
        return registry.members("programme", "institution", asked.scope_id or "")
    return [id for id in registry.ids("institution") if registry.organisations[id].get("region") == asked.scope_id]


def _heat(visit: Visit, found: HeatMap, known: Competencies, registry: Registry, region: str) -> dict[str, Any]:
    """The columns of the heat map, with demand and supply in the network, or in a region."""
    names = {id: visit.frameworks.name(id, visit.language) for id in found.items}
    columns = beside(known, found.items, "region" if region else "network", region or None)
    return {
        "columns": columns,
        "names": names,
        "groups": _groups(visit, found.items),
        "whole": region or visit.word(WORDS["network"]),
        "institution_names": {id: registry.name("institution", id) for id in registry.ids("institution")},
        "legend": [*zip(HEAT, [*(least - 1 for least in HEAT[1:]), None], strict=True)],
        "shade": lambda people: f"heat-{sum(people >= least for least in HEAT)}",
    }


def _groups(visit: Visit, items: Iterable[str]) -> list[tuple[str, int]]:
    """The frameworks above the columns: their names, and how many columns each has."""
    counts: dict[str, int] = {}
    for id in items:
        counts[framework_of(id)] = counts.get(framework_of(id), 0) + 1
    return [(framework_name(visit, id), count) for id, count in counts.items()]


def _frameworks(visit: Visit, items: Iterable[str]) -> list[tuple[str, str]]:
    ids = dict.fromkeys(framework_of(id) for id in items)
    return [("", visit.word(ALL)), *((id, framework_name(visit, id)) for id in ids)]


def _points(unit: str, item: Mapping[str, Any]) -> tuple[list[dict[str, Any]], Any]:
    """The last months of a figure, and their chart."""
    points = item["points"][-SHOWN_MONTHS:]
    return points, chart(points, is_share=unit == "share")
