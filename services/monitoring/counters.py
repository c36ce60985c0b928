"""Reading counters and the registry from MongoDB, as indicators.py needs them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from shared.processing import mongo
from shared.processing.mongo import COUNTERS, TOTAL, Database

from .figures import add
from .indicators import Indicator, Scope
from .lookups import LOOKUPS, Selection, Sums, look_up
from .states import UNKNOWN

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


def today() -> date:
    return datetime.now(UTC).date()
