"""What enterprises demand, beside who holds a certificate and which programmes teach it: the greatest lack first."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, Field

from services.monitoring import counters
from services.monitoring.answers import Asked, gaps_of
from services.monitoring.competencies import GapFilters, GapOrder, framework_of
from shared.http.routing import MicrocachedRoute, Router
from shared.http.visits import AnyVisit, Visit
from shared.pages.languages import N_
from shared.pages.paging import pager
from shared.processing.frameworks import said

from .parts import ALL, Text100, options

router = Router(route_class=MicrocachedRoute, include_in_schema=False, default_response_class=HTMLResponse)
SHOWN_ROWS = 50
SHOWN_NAMES = 3
ORDERS = {
    GapOrder.lack: N_("greatest lack first"),
    GapOrder.places: N_("most places first"),
    GapOrder.holders: N_("fewest certified first"),
    GapOrder.taught: N_("fewest programmes first"),
    GapOrder.name: N_("by name"),
}


class Fields(BaseModel):
    """The form, as the address has it: what is left open is empty."""

    region: Text100 = ""
    framework: Text100 = ""
    uncertified: Text100 = ""
    order: Text100 = GapOrder.lack
    page: int = Field(1, ge=1, le=100_000)


@router.get("/competencies")
async def competencies_page(visit: AnyVisit, fields: Annotated[Fields, Query()]) -> Response:
    order = GapOrder(fields.order) if fields.order in ORDERS else GapOrder.lack
    chosen = {"region": fields.region, "framework": fields.framework, "order": str(order)}
    chosen |= {"uncertified": "1" if fields.uncertified else ""}
    visit.form.values = {name: [value] for name, value in chosen.items()}
    asked = Asked("region", fields.region) if fields.region else Asked()
    _, demanded, until = await gaps_of(visit.service, asked, GapFilters(order=order), visit.language)
    frameworks = sorted({framework_of(row["competency"]) for row in demanded})
    filters = GapFilters(fields.framework or None, bool(fields.uncertified), order)
    rows = filters.of(demanded)
    part = pager(fields.page, SHOWN_ROWS, len(rows), **chosen)
    names = {id: framework_name(visit, id) for id in frameworks}
    within = {"scope": "region", "scope_id": fields.region} if fields.region else {}
    kept = {name: value for name, value in chosen.items() if value and name != "region"}
    return visit.show(
        "services/monitoring/pages/competencies.html",
        rows=part.of(rows),
        part=part,
        totals=_totals(GapFilters(fields.framework or None).of(demanded)),
        names=names,
        greatest=max((row["places"] for row in rows), default=0),
        most_names=SHOWN_NAMES,
        orders=[(str(each), visit.word(words)) for each, words in ORDERS.items()],
        regions=options(visit, await counters.registry(visit.service.db), "region"),
        frameworks=[("", visit.word(ALL)), *names.items()],
        region=fields.region,
        hidden=sum(row["status"] == "suppressed" for row in rows),
        files=f"gaps?{urlencode(within | kept)}",
        least=visit.service.settings.suppress_below,
        until=until,
    )


def framework_name(visit: Visit, id: str) -> str:
    framework = visit.frameworks.all.get(id)
    return said(framework.in_force["name"], visit.language) if framework else id


def _totals(rows: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """How many competencies, and how many places: all, those that nobody certifies, those that nobody teaches."""
    some = {
        "all": rows,
        "uncertified": [row for row in rows if row["holders"] == 0],
        "untaught": [row for row in rows if not row["taught"]],
    }
    return {name: (len(each), sum(row["places"] for row in each)) for name, each in some.items()}
