"""Up to six regions, institutions, programmes … side by side, on the same axes, and whether they differ at all."""

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Any, NamedTuple, get_args
from urllib.parse import urlencode

from fastapi import Query
from fastapi.responses import HTMLResponse, Response

from services.monitoring import counters
from services.monitoring.answers import Asked, find_scope, worked_out_recently
from services.monitoring.comparing import Difference, differ
from services.monitoring.counters import Registry
from services.monitoring.indicators import INDICATORS, Indicator, Scope
from services.monitoring.tables import WORDS
from shared.http.problems import Problem
from shared.http.routing import MicrocachedRoute, Router
from shared.http.visits import AnyVisit, Visit
from shared.pages.languages import Text

from .charts import bar, chart
from .overview import HEADLINES
from .parts import address, name_of

router = Router(route_class=MicrocachedRoute, include_in_schema=False, default_response_class=HTMLResponse)
MOST = 6
LONGEST = 130  # of a scope and an id
SCOPES: tuple[str, ...] = get_args(Scope)


class Side(NamedTuple):
    """One of those that are compared."""

    asked: Asked
    name: str
    without: str  # the address of the others

    @property
    def key(self) -> str:
        return f"{self.asked.scope}:{self.asked.scope_id or ''}"


@router.get("/compare")
async def compare_page(
    visit: AnyVisit,
    of: Annotated[list[Annotated[str, Query(max_length=LONGEST)]] | None, Query(max_length=MOST)] = None,
    indicator: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Each of *of* is a scope and an id: `programme:welding`; `network:` is the whole network."""
    registry = await counters.registry(visit.service.db)
    sides = await _sides(visit, [*dict.fromkeys(of or [])])
    shared = [one for one in INDICATORS.values() if all(side.asked.scope in one.scopes for side in sides)]
    chosen = [one for one in shared if one.id == indicator] or _first(sides, shared)
    found = [await _figure(visit, registry, one, sides) for one in chosen]
    figures = [
        each for each in found if indicator or any(item["status"] != "not_enough_data" for _, item, _ in each["rows"])
    ]
    return visit.show(
        "services/monitoring/pages/compare.html",
        sides=sides,
        figures=figures,
        without=[each["of"] for each in found if each not in figures],
        indicators=[(one.id, one.title.into(visit.language)) for one in shared],
        indicator=indicator,
        most=MOST,
        kinds={side.key: visit.word(WORDS[side.asked.scope]) for side in sides},
        addresses={side.key: address(side.asked.scope, side.asked.scope_id) for side in sides},
    )


async def _sides(visit: Visit, keys: Sequence[str]) -> list[Side]:
    found = []
    for key in keys:
        scope, _, id = key.partition(":")
        if scope not in SCOPES:
            form = Text("one of {values}, a colon, an id", {"values": ", ".join(SCOPES)})
            raise Problem(422, Text("{given} is no scope and id", {"given": key}), [("of", form)])
        asked = Asked(scope, id or None)  # type: ignore[arg-type]
        name = name_of(visit, (await find_scope(visit.service, asked)).scope())
        others = urlencode([("of", other) for other in keys if other != key])
        found.append(Side(asked, name, f"compare?{others}"))
    return found


def _first(sides: Sequence[Side], shared: Sequence[Indicator]) -> list[Indicator]:
    """The headline figures that all of them have."""
    wanted = [id for side in sides[:1] for id in HEADLINES[side.asked.scope]]
    return [one for id in wanted for one in shared if one.id == id] or list(shared[:3] if sides else [])


async def _figure(visit: Visit, registry: Registry, of: Indicator, sides: Sequence[Side]) -> dict[str, Any]:
    items = []
    for side in sides:
        (item,), _ = await worked_out_recently(visit.service, [of], side.asked)
        items.append(item)
    ends = [item[name] for item in items for name in ("value", "interval_to") if item[name] is not None]
    greatest = 1.0 if of.unit == "share" else max(ends, default=0.0)
    years, each = [item["years"] for item in items], list(zip(sides, items, strict=True))
    return {
        "of": of,
        "rows": [(side, item, bar(item, greatest)) for side, item in each],
        "pairs": [pair for two in combinations(each, 2) if (pair := _pair(registry, of, *two))],
        "charts": [chart(points, is_share=of.unit == "share", beside=years) for points in years],
        "years": sorted({point["period"] for points in years for point in points}),
        "by_year": [{point["period"]: point for point in points} for points in years],
    }


class Pair(NamedTuple):
    """The higher and the lower of two, and by how much."""

    one: Side
    other: Side
    difference: Difference


def _pair(registry: Registry, of: Indicator, one: tuple[Side, Any], other: tuple[Side, Any]) -> Pair | None:
    """None: one has no value, or may be a part of the other, whose difference would say little."""
    if of.scopes[one[0].asked.scope] != of.scopes[other[0].asked.scope]:
        return None  # an internship counts for its programme and for its enterprise
    if _overlap(registry, one[0].asked, other[0].asked) or _overlap(registry, other[0].asked, one[0].asked):
        return None
    high, low = sorted((one, other), key=lambda each: -(each[1]["value"] or 0))
    found = differ(of, high[1], low[1])
    return found and Pair(high[0], low[0], found)


def _overlap(registry: Registry, whole: Asked, part: Asked) -> bool:
    """May people of *part* be in *whole*, too?"""
    if whole.scope == "network":
        return True
    if part.scope_id is None or whole.scope == part.scope:
        return False
    kind = "programme" if part.scope == "programme" else "organisation"
    if part.scope in ("region", "sector", "competency"):
        return whole.scope in ("region", "sector", "competency")  # they may overlap
    return registry.scope_of(part.scope_id, kind, whole.scope) == whole.scope_id
