"""An indicator by groups of learners: women and men, with and without a disability … as institutions describe them.

Of a scope all groups are shown or none. They are if each has enough cases or no case, and if the same holds for what is
left of the network without its regions that are shown, and of a region without its institutions that are shown. Of a
region that is not shown no institution is; of a scope whose value is hidden no group is. So neither other scopes nor
the value of all tell of a group of few by subtraction. There are no splits of programmes, of months, or by two things
at once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, get_args

from shared.processing import mongo
from shared.processing.mongo import Database

from . import counters
from .figures import HIDDEN, add, figures, shown, sum_of
from .indicators import Indicator, Measures, Scope
from .learners import SPLITS

Split = Literal["sex", "disability", "rural", "first_in_family"]
SCOPES: tuple[Scope, ...] = ("network", "region", "institution")
NOT_DESCRIBED = "not_described"
ByGroup = Mapping[str, Measures]


@dataclass(frozen=True)
class Groups:
    """What is counted of each group, by scope and id, and of which scopes it is shown."""

    indicator: Indicator
    split: Split
    below: int
    counted: Mapping[tuple[Scope, str | None], ByGroup]
    shown: frozenset[tuple[Scope, str | None]]

    def items(self, scope: Scope, scope_id: str | None) -> list[dict[str, Any]]:
        """A value for each group."""
        counted = self.counted.get((scope, scope_id), {})
        is_hidden = (scope, scope_id) not in self.shown and not is_empty(self.indicator, counted)
        return [
            {
                "learners": group,
                **(HIDDEN if is_hidden else shown(self.indicator, counted.get(group, {}), self.below)),
            }
            for group in (*SPLITS[self.split].values(), NOT_DESCRIBED)
        ]


async def read(db: Database, indicator: Indicator, below: int) -> dict[Split, Groups]:
    """What is counted of each group in the whole network, its regions and institutions."""
    registry, latest = await counters.registry(db), indicator.latest(counters.today())
    everybody = await counters.read(db, [indicator], "programme", None, by=["id"], latest=latest)
    match = {"kind": "programme_group", "period": {"$lte": latest}}
    described = await mongo.sums(db, match, ("id",), indicator.measures)
    hiding = {scope: await counters.hiding(db, [indicator], scope, None, below, by_month=False) for scope in SCOPES}
    found: dict[Split, Groups] = {}
    for split in get_args(Split):
        own: dict[str, dict[str, dict[str, int]]] = {}
        for (both,), counts in described.items():
            programme, _, group = both.partition(" ")
            if group.startswith(f"{split}="):
                own.setdefault(programme, {})[group.partition("=")[2]] = counts
        parts: dict[Part, dict[str, dict[str, int]]] = {}
        for (programme,), counts in everybody.items():
            groups = own.get(programme, {})
            part = Part(*(registry.scope_of(programme, "programme", scope) for scope in ("region", "institution")))
            parts[part] = total([parts.get(part, {}), groups, {NOT_DESCRIBED: _less(counts, sum_of(groups))}])
        fitting = in_all(indicator, split, below, parts)
        told = frozenset(key for key in fitting.shown if not hiding[key[0]].of(indicator, *key).whole)
        found[split] = replace(fitting, shown=told)
    return found


class Part(NamedTuple):
    """The programmes of an institution; None: it is not registered (yet)."""

    region: str | None
    institution: str | None


def in_all(indicator: Indicator, split: Split, below: int, parts: Mapping[Part, ByGroup]) -> Groups:
    """The groups of each scope, and the scopes of which they are shown."""
    network = total(parts.values())
    regions: dict[str, dict[str, ByGroup]] = {}
    for part, groups in parts.items():
        if part.region and part.institution:
            regions.setdefault(part.region, {})[part.institution] = groups
    wholes = {region: total(own.values()) for region, own in regions.items()}
    is_shown: set[tuple[Scope, str | None]] = set()
    if fits(indicator, network, below):
        is_shown.add(("network", None))
        for region in showable(indicator, wholes, network, below):
            is_shown.add(("region", region))
            is_shown |= {("institution", id) for id in showable(indicator, regions[region], wholes[region], below)}
    counted: dict[tuple[Scope, str | None], ByGroup] = {("network", None): network}
    counted |= {("region", region): groups for region, groups in wholes.items()}
    counted |= {("institution", id): groups for own in regions.values() for id, groups in own.items()}
    return Groups(indicator, split, below, counted, frozenset(is_shown))


def showable(indicator: Indicator, parts: Mapping[str, ByGroup], whole: ByGroup, below: int) -> list[str]:
    """The parts that may be shown beside the whole, which is shown: as many of the largest as it allows."""

    def size(id: str) -> tuple[int, str]:
        return -figures(indicator, sum_of(parts[id])).n, id

    fitting = sorted((id for id in parts if fits(indicator, parts[id], below)), key=size)
    while not fits(indicator, _left(whole, [parts[id] for id in fitting]), below):
        fitting.pop()
    return fitting


def fits(indicator: Indicator, groups: ByGroup, below: int) -> bool:
    """Has each group enough cases, or none?"""
    return all(shown(indicator, counted, below)["status"] != "suppressed" for counted in groups.values())


def is_empty(indicator: Indicator, groups: ByGroup) -> bool:
    """Is there no case in any group?"""
    return not any(indicator.is_in(counted) for counted in groups.values())


def total(parts: Iterable[ByGroup]) -> dict[str, dict[str, int]]:
    """The measures of several parts together, by group."""
    found: dict[str, dict[str, int]] = {}
    for part in parts:
        for group, counted in part.items():
            add(found.setdefault(group, {}), counted)
    return found


def _less(counted: Measures, other: Measures) -> dict[str, int]:
    return {measure: count - other.get(measure, 0) for measure, count in counted.items()}


def _left(whole: ByGroup, parts: Iterable[ByGroup]) -> ByGroup:
    told = total(parts)
    return {group: _less(counted, told.get(group, {})) for group, counted in whole.items()}
