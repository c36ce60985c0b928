"""The ranked list of an indicator: which programmes, institutions, regions … have the lowest, and how sure that is."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, ValidationError

from services.monitoring import counters
from services.monitoring.answers import Asked, compared, find_indicator
from services.monitoring.indicators import Scope
from services.monitoring.ranking import Filters, Order, left_over
from services.monitoring.tables import WORDS
from shared.http.routing import MicrocachedRoute, Router
from shared.http.visits import AnyVisit, Visit
from shared.pages.languages import N_, Text
from shared.pages.paging import pager

from .charts import bar, distribution
from .compare import MOST
from .parts import ALL, Text100, indicators_by_group, options, read_months, scope_name

router = Router(route_class=MicrocachedRoute, include_in_schema=False, default_response_class=HTMLResponse)
SHOWN_ROWS = 50
FIRST = "employment_rate_18m"
ORDERS = {Order.lowest: N_("lowest first"), Order.highest: N_("highest first")}
_COUNT: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=1, le=1_000_000)])


class Fields(BaseModel):
    """The form, as the address has it: what is left open is empty."""

    indicator: Text100 = FIRST
    scope: Text100 = ""
    order: Text100 = Order.lowest
    region: Text100 = ""
    institution: Text100 = ""
    sector: Text100 = ""
    level: Text100 = ""
    begin: Text100 = Field("", alias="from")
    end: Text100 = Field("", alias="to")
    least: Text100 = ""
    chosen: list[Annotated[str, StringConstraints(max_length=130)]] = Field([], alias="with", max_length=MOST)
    page: int = Field(1, ge=1, le=100_000)


@router.get("/ranking")
async def ranking_page(visit: AnyVisit, fields: Annotated[Fields, Query()]) -> Response:
    of = find_indicator(fields.indicator)
    offered = [scope for scope in of.scopes if scope != "network"]
    wanted = [scope for scope in (fields.scope, "programme", offered[0]) if scope in offered]
    scope: Scope = wanted[0]
    chosen = fields.model_dump(by_alias=True, exclude={"chosen"}) | {"scope": scope, "page": ""}
    visit.form.values = {name: [value] for name, value in chosen.items()}
    asked, filters = _read(visit, scope, chosen)
    items, network, until = await compared(visit.service, of, asked)
    registry = await counters.registry(visit.service.db)
    found = filters.of(items, scope, registry)
    ranked = [item for item in found if item["value"] is not None]
    part = pager(fields.page, SHOWN_ROWS, len(ranked), **chosen)
    greatest = 1.0 if of.unit == "share" else _greatest([*ranked, network])
    shown = part.of(ranked)
    shown = [item | {"scope_name": scope_name(visit, scope, item["scope_id"], item["scope_name"])} for item in shown]
    hidden, without = left_over(found)
    kept = [(name, value) for name, value in chosen.items() if value and name not in ("indicator", *visit.form.errors)]
    return visit.show(
        "services/monitoring/pages/ranking.html",
        422 if visit.form.errors else 200,
        of=of,
        scope=scope,
        scopes=[(each, visit.word(WORDS[each])) for each in offered],
        rows=[(item, bar(item, greatest)) for item in shown],
        part=part,
        network=network,
        network_at=bar(network, greatest),
        bins=distribution([item["value"] for item in ranked], greatest),
        hidden=hidden,
        without=without,
        against={side: visit.word(WORDS[side]) for side in ("below", "above")},
        indicators=indicators_by_group(visit),
        orders=[(str(order), visit.word(words)) for order, words in ORDERS.items()],
        regions=options(visit, registry, "region"),
        institutions=options(visit, registry, "institution"),
        sectors=options(visit, registry, "sector"),
        levels=[("", visit.word(ALL)), *((str(level), str(level)) for level in range(1, 9))],
        files=f"indicators/{of.id}/comparison?{urlencode(kept)}",
        ticked=fields.chosen,
        window="".join(f"&{name}={value}" for name, value in kept if name in ("from", "to")),
        until=until,
    )


def _read(visit: Visit, scope: Scope, chosen: dict[str, str]) -> tuple[Asked, Filters]:
    """What is asked for; what does not do is left open, and said beside its field."""
    wrong: dict[str, Text] = {}

    def count(name: str) -> int | None:
        try:
            return _COUNT.validate_python(chosen[name]) if chosen[name] else None
        except ValidationError:
            wrong[name] = Text("This is no whole number from 1 on.")
            return None

    begin, end = read_months(chosen["from"], chosen["to"], wrong)
    level, least = (count(name) for name in ("level", "least"))
    order = Order.highest if chosen["order"] == Order.highest else Order.lowest
    visit.wrong(wrong)
    region, institution, sector = (chosen[name] or None for name in ("region", "institution", "sector"))
    filters = Filters(region, institution, level, sector, least, order)
    return Asked(scope, None, begin, end), filters


def _greatest(items: list[dict[str, Any]]) -> float:
    return max((item[name] or 0 for item in items for name in ("value", "interval_to")), default=0)
