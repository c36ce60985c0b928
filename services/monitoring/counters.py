"""Reading counters and the registry from MongoDB, as indicators.py needs them."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from shared.processing import mongo
from shared.processing.mongo import COUNTERS, TOTAL, Database

from .figures import add, cell_of, reasons_of, rule_of, sum_of, within
from .indicators import Indicator, Measures, Scope, dividing
from .lookups import LOOKUPS, Selection, Sums, look_up
from .states import UNKNOWN
from .suppression import SUMMED, Cells, Coarse, Hidden, Key, Path, Rule, hidden_ends, hidden_scopes

_OF_REGISTRY = ("organisation-", "programme-")  # partitions


@dataclass(frozen=True)
class Registry:
    """The organisations and programmes as they are registered now."""

    organisations: dict[str, dict[str, Any]]
    programmes: dict[str, dict[str, Any]]

    def scope_of(self, id: str, kind: str, scope: Scope) -> str | None:
        """The *scope* that a counter of this kind and id is part of; None: none, or it is not registered (yet)."""
        if id == UNKNOWN or scope == kind:
            return None if id == UNKNOWN else id
        organisation = self.programmes.get(id, {}).get("institution", UNKNOWN) if kind == "programme" else id
        entry = self.organisations.get(organisation)
        if entry is None:
            return None
        if scope in ("region", "sector"):
            return entry.get(scope)
        return organisation if entry["kind"] == scope else None

    def path(self, indicator: Indicator, kind: str, id: str) -> Path:
        """The scopes of an indicator that a counter of this kind and id is part of, from the widest on.

        The last is its own, with an empty scope if no answer is about it. Where both regions and sectors are made of
        the same counters, the sector is that part of it which is in the region.
        """
        divided: list[Scope] = ["region", "institution", "sector"]
        own = (scope for scope in ("institution", "enterprise") if self.scope_of(id, kind, scope) == id)
        leaf = kind if kind in indicator.scopes else next((scope for scope in own if scope in indicator.scopes), "")
        found: list[Key] = []
        for scope in divided:
            within = self.scope_of(id, kind, scope) if indicator.scopes.get(scope) == kind != scope != leaf else None
            if within is not None:
                found.append((scope, within, found[0][1]) if scope == "sector" and found else (scope, within))
        return (*found, ("", id) if id == UNKNOWN else (leaf, id))

    def members(self, kind: str, scope: Scope, scope_id: str) -> list[str]:
        """The ids of this kind that the scope is the sum of."""
        if scope == kind or (scope not in ("region", "sector") and kind != "programme"):
            return [scope_id]
        entries = self.programmes if kind == "programme" else self.organisations
        return [id for id in entries if self.scope_of(id, kind, scope) == scope_id]

    def name(self, scope: Scope, id: str | None) -> str | None:
        """How the scope is called; its id if it has no name."""
        if id is None:
            return None
        if scope == "programme":
            return str(self.programmes.get(id, {}).get("title", id))
        return str(self.organisations.get(id, {}).get("name", id))

    def has(self, scope: Scope, id: str) -> bool:
        """Is there such a scope?"""
        if scope == "programme":
            return id in self.programmes
        if scope in ("region", "sector"):
            return any(entry.get(scope) == id for entry in self.organisations.values())
        return self.organisations.get(id, {}).get("kind") == scope

    def ids(self, scope: Scope) -> list[str]:
        """What is registered of a scope."""
        if scope == "programme":
            return sorted(self.programmes)
        if scope in ("region", "sector"):
            return sorted({entry[scope] for entry in self.organisations.values() if entry.get(scope)})
        return sorted(id for id, entry in self.organisations.items() if entry["kind"] == scope)


_REGISTRIES: dict[str, tuple[frozenset[tuple[str, int]], Registry]] = {}  # by database: when it was so, and it


async def registry(db: Database) -> Registry:
    """The registry, read anew only when something was said of an organisation or a programme."""
    positions = await mongo.positions(db)
    at = frozenset((label, p.next_offset) for label, p in positions.items() if label.startswith(_OF_REGISTRY))
    known = _REGISTRIES.get(db.name)
    if known is None or known[0] != at:
        known = _REGISTRIES[db.name] = at, await _read_registry(db)
    return known[1]


async def _read_registry(db: Database) -> Registry:
    organisations = db["organisations"].find({"name": {"$exists": True}}, {"state": 0})
    programmes = db["programmes"].find({"title": {"$exists": True}}, {"state": 0})
    return Registry({doc["_id"]: doc async for doc in organisations}, {doc["_id"]: doc async for doc in programmes})


async def is_counted(db: Database, kind: str, id: str) -> bool:
    """Has the id counters of this kind?"""
    return id != UNKNOWN and await db[COUNTERS].find_one({"kind": kind, "id": id}, {"_id": 1}) is not None


async def counted_ids(db: Database, kind: str) -> list[str]:
    """The ids that have counters of this kind, registered or not."""
    return [id for (id,) in await mongo.distinct(db, COUNTERS, ("id",), {"kind": kind}) if id != UNKNOWN]


async def read(  # noqa: PLR0913
    db: Database,
    indicators: Iterable[Indicator],
    kind: str,
    ids: Sequence[str] | None,
    *,
    by: Sequence[str],
    latest: str,
) -> Sums:
    """What *indicators* need of the counters of one kind up to a month, summed by id or period or both.

    Args:
        ids: None: all of them.
    Returns:
        {values of the fields *by*: {measure: count}}
    """
    indicators = list(indicators)
    match: dict[str, Any] = {"kind": kind, "period": {"$lte": latest}}
    if ids is not None:
        match["id"] = {"$in": list(ids)}
    of_all = match | {"kind": kind + TOTAL} if ids is None and "id" not in by else match
    measures = {measure for indicator in indicators for measure in indicator.measures}
    are_few = len(indicators) == 1 and not indicators[0].histogram
    named = measures - LOOKUPS.keys() if are_few else None
    found: Sums = {} if named == set() else await mongo.sums(db, of_all, by, named)
    if measures & LOOKUPS.keys():
        known = await registry(db)
        selection = Selection(db, kind, ids, by, latest, known.programmes, known.organisations, {})
        for key, counts in (await look_up(selection, measures)).items():
            add(found.setdefault(key, {}), counts)
    return found


async def by_scope(  # noqa: PLR0913, PLR0917
    db: Database, indicator: Indicator, scope: Scope, asked: Collection[str] | None, latest: str, by_month: bool = True
) -> dict[str, dict[str, dict[str, int]]]:
    """What is counted of an indicator in each region, institution, programme …, month by month, or all as *latest*.

    Args:
        asked: only these; None: all.
    Returns:
        {id: {month: {measure: count}}}; all that are registered are there. The network's id is "network".
    """
    kind, known = indicator.scopes[scope], await registry(db)
    ids = None
    if asked is not None and scope != "network":
        ids = [id for scope_id in asked for id in known.members(kind, scope, scope_id)]
    by = (["id"] if scope != "network" else []) + (["period"] if by_month else [])
    found: dict[str, dict[str, dict[str, int]]] = {id: {} for id in (known.ids(scope) if asked is None else asked)}
    for key, counted in (await read(db, [indicator], kind, ids, by=by, latest=latest)).items():
        id = known.scope_of(key[0], kind, scope) if scope != "network" else scope
        if id is not None and indicator.is_in(counted):
            add(found.setdefault(id, {}).setdefault(key[-1] if by_month else latest, {}), counted)
    return found


AUDITS = "_audits"


async def last_audit(db: Database) -> dict[str, Any] | None:
    """What the last audit found, and `at` when; None: none was made."""
    audit = await db[AUDITS].find_one({"_id": "last"})
    return audit and {**audit, "at": datetime.fromtimestamp(audit["at_ms"] / 1000, UTC)}


def today() -> date:
    return datetime.now(UTC).date()


Known = dict[str, dict[Key, Hidden]]  # by indicator
Counted = dict[Path, dict[str, dict[str, int]]]  # by the scopes that it is part of, and month


class Hiding(NamedTuple):
    """What is hidden of each scope, by indicator: of values by month, and of whom is left out by reason."""

    values: Known
    reasons: Known

    def of(self, indicator: Indicator, scope: Scope, scope_id: str | None) -> Hidden:
        return self.values.get(indicator.id, {}).get((scope, scope_id), Hidden())

    def reasons_of(self, indicator: Indicator, scope: Scope, scope_id: str | None) -> Hidden:
        return self.reasons.get(indicator.id, {}).get((scope, scope_id), Hidden())


async def hiding(  # noqa: PLR0913
    db: Database,
    indicators: Iterable[Indicator],
    scope: Scope,
    scope_id: str | None,
    suppress_below: int,
    *,
    by_month: bool = True,
) -> Hiding:
    """What is hidden of a scope, or of all of its kind: worked out from the network down, as far as it takes.

    Args:
        by_month: False: which are hidden altogether is enough.
    """
    alike: dict[tuple[tuple[Scope, str], ...], list[Indicator]] = {}
    for indicator in indicators:
        if indicator.personal:
            alike.setdefault(tuple(indicator.scopes.items()), []).append(indicator)
    found = Hiding({}, {})
    for some in alike.values():
        one = await _hiding(db, some, scope, scope_id, suppress_below, by_month)
        found.values.update(one.values)
        found.reasons.update(one.reasons)
    return found


async def _hiding(  # noqa: PLR0913, PLR0917
    db: Database, alike: Sequence[Indicator], scope: Scope, scope_id: str | None, suppress_below: int, by_month: bool
) -> Hiding:
    """The same of indicators that are offered for the same scopes."""
    kind, whole = alike[0].scopes[scope], alike[0].scopes["network"]
    is_of_all = scope == "network" and alike[0].by != "stock"  # what is hidden of it does not depend on its parts
    counted: dict[str, Counted] = {}
    if is_of_all or kind != whole:
        counted[whole] = {(): await _months(db, alike, whole, None)}
    if scope_id:
        counted[kind] = await _around(db, alike, kind, (scope, scope_id))
    elif not is_of_all:
        counted[kind] = await _all(db, alike, kind, by_month or kind != whole)
    found: list[Known] = []
    for hidden in (hidden_values, hidden_reasons):
        try:
            one = await asyncio.to_thread(hidden, alike, counted, today(), suppress_below)
        except Coarse:
            counted[kind] = await _all(db, alike, kind)
            one = await asyncio.to_thread(hidden, alike, counted, today(), suppress_below)
        found.append(one)
    return Hiding(*found)


def _latest(indicators: Iterable[Indicator]) -> str:
    return max(indicator.latest(today()) for indicator in indicators)


async def _months(
    db: Database, alike: Sequence[Indicator], kind: str, ids: Sequence[str] | None
) -> dict[str, dict[str, int]]:
    found = await read(db, alike, kind, ids, by=["period"], latest=_latest(alike))
    return {month: counts for (month,), counts in found.items()}


async def _all(
    db: Database, alike: Sequence[Indicator], kind: str, by_month: bool = True, ids: Sequence[str] | None = None
) -> Counted:
    """What is counted of each id; of all months together as of the last."""
    known, latest = await registry(db), _latest(alike)
    found: Counted = {}
    for key, counts in (
        await read(db, alike, kind, ids, by=["id", "period"] if by_month else ["id"], latest=latest)
    ).items():
        found.setdefault(known.path(alike[0], kind, key[0]), {})[key[1] if by_month else latest] = counts
    return found


async def _around(db: Database, alike: Sequence[Indicator], kind: str, about: Key) -> Counted:
    """What is counted of each id in the same part of the network as a scope, and of the other parts as wholes."""
    known = await registry(db)
    registered = known.programmes if kind == "programme" else known.organisations
    paths = {id: known.path(alike[0], kind, id) for id in {*registered, *await counted_ids(db, kind), UNKNOWN}}
    parts = {path[0] for path in paths.values() if about in (key[:2] for key in path)}
    if len(parts) > 1:  # a sector, which has a part in each region
        return await _all(db, alike, kind)
    one_by_one: list[str] = []
    others: dict[Key, list[str]] = {}
    for id, path in paths.items():
        if len(path) == 1 or (path[0] in parts and path[0] != about):
            one_by_one.append(id)
        else:
            others.setdefault(path[0], []).append(id)
    found = await _all(db, alike, kind, ids=one_by_one)
    return found | {(key, SUMMED): await _months(db, alike, kind, ids) for key, ids in others.items()}


def hidden_values(
    indicators: Iterable[Indicator], counted: Mapping[str, Counted], today: date, suppress_below: int
) -> Known:
    """What is hidden of the values of *indicators*, from what is counted by kind.

    If one is hidden of several that divide the same cases all are: the last would follow from the others.
    """
    found: Known = {}
    for indicator in indicators:
        known = found[indicator.id] = {}
        for one in dividing(indicator):
            for key, hidden in _hidden_values(one, counted, today, suppress_below).items():
                known[key] = known.get(key, Hidden()) | hidden
    return found


def _hidden_values(
    indicator: Indicator, counted: Mapping[str, Counted], today: date, suppress_below: int
) -> dict[Key, Hidden]:
    cells: dict[str, dict[Path, Cells]] = {
        kind: {
            path: {month: cell_of(indicator, counts) for month, counts in months.items()}
            for path, months in _read(indicator, of_kind, today)
        }
        for kind, of_kind in counted.items()
    }
    hidden = hidden_ends if indicator.by == "stock" else hidden_scopes
    return hidden(cells, indicator.scopes["network"], rule_of(indicator, suppress_below))


def hidden_reasons(
    indicators: Iterable[Indicator], counted: Mapping[str, Counted], today: date, suppress_below: int
) -> Known:
    """What is hidden of the reasons why somebody is left out: reasons take the place of months."""
    found: Known = {}
    for indicator in indicators:
        if indicator.left_out:
            kind = indicator.scopes["network"]
            left_out: dict[Path, Cells] = {
                path: {reason: (n, 0) for reason, n in reasons_of(indicator, sum_of(months)).items()}
                for path, months in _read(indicator, counted.get(kind, {}), today)
            }
            found[indicator.id] = hidden_scopes({kind: left_out}, kind, Rule(suppress_below, False))
    return found


def _read(indicator: Indicator, counted: Counted, today: date) -> Iterable[tuple[Path, Mapping[str, Measures]]]:
    """The months that an indicator reads."""
    latest = indicator.latest(today)
    return ((path, within(months, None, latest)) for path, months in counted.items())
