"""Regions, institutions, programmes … side by side: filtered, in order, and whether they differ by more than chance."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Query

from shared.statistics import Z_FUNNEL, wilson

from .counters import Registry
from .indicators import Indicator, Scope

Item = dict[str, Any]  # as the comparison gives it


class Order(StrEnum):
    """How the list is sorted; what has no value stands at the end."""

    id = "id"
    lowest = "lowest"
    highest = "highest"


@dataclass
class Filters:
    """Which are listed; a filter that a scope has no such property for leaves nothing."""

    region: Annotated[str | None, Query(max_length=100)] = None
    institution: Annotated[str | None, Query(max_length=100)] = None
    level: Annotated[int | None, Query(ge=1, le=8, description="Of programmes, by the EQF.")] = None
    sector: Annotated[str | None, Query(max_length=100)] = None
    least: Annotated[int | None, Query(ge=1, le=1_000_000, description="Cases: those with fewer are left out.")] = None
    order: Order = Order.id

    def said(self) -> str | None:
        """Which of them are set, as an address says it."""
        chosen = {name: value for name, value in asdict(self).items() if name != "order" and value is not None}
        return "; ".join(f"{name}={value}" for name, value in chosen.items()) or None

    def of(self, items: Sequence[Item], scope: Scope, registry: Registry) -> list[Item]:
        """Those that are asked for, in order. What is hidden is the same whatever is asked for."""
        return in_order([item for item in items if self._has(item, scope, registry)], self.order)

    def _has(self, item: Item, scope: Scope, registry: Registry) -> bool:
        id = item["scope_id"]
        programme = registry.programmes.get(id, {}) if scope == "programme" else {}
        organisation = str(programme.get("institution", id))
        entry = registry.organisations.get(organisation, {})
        region = id if scope == "region" else entry.get("region")
        sector = id if scope == "sector" else entry.get("sector")
        return (
            self.region in (None, region)
            and self.institution in (None, organisation)
            and self.level in (None, programme.get("level"))
            and self.sector in (None, sector)
            and (self.least is None or (isinstance(item["n"], int) and item["n"] >= self.least))
        )


def in_order(items: list[Item], order: Order) -> list[Item]:
    if order is Order.id:
        return items
    valued = [item for item in items if item["value"] is not None]
    sign = 1 if order is Order.lowest else -1
    ranked = sorted(valued, key=lambda item: (sign * item["value"], -item["n"], item["scope_id"]))
    return [*ranked, *(item for item in items if item["value"] is None)]


def against(indicator: Indicator, item: Mapping[str, Any], network: Mapping[str, Any]) -> str | None:
    """Is a share clearly `below` or `above` the network's; None: it may be chance, or cannot be told.

    Clearly: the network's lies outside of its 99.8 % interval. With 95 %, one in twenty would be marked by chance.
    """
    value = network["value"]
    if indicator.unit != "share" or item["interval_from"] is None or value is None:
        return None
    low, high = wilson(item["numerator"], item["denominator"], Z_FUNNEL)
    return "below" if high < value else "above" if low > value else None


def left_over(items: Sequence[Item]) -> tuple[int, int]:
    """How many have a value that is hidden, and how many have none."""
    hidden = sum(item["status"] == "suppressed" for item in items)
    return hidden, sum(item["status"] == "not_enough_data" for item in items)
