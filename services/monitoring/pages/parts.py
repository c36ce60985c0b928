"""What several pages about indicators share: the ways up and down, filters and forms of answers."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import StringConstraints

from services.monitoring.answers import Asked
from services.monitoring.counters import Registry
from services.monitoring.indicators import Scope
from services.monitoring.tables import WORDS
from shared.http.spreadsheets import TABLES
from shared.http.visits import Visit
from shared.pages.languages import N_

ALL = N_("all")
Text100 = Annotated[str, StringConstraints(max_length=100)]
PAGE_AND_TABLES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/html": {"schema": {"type": "string"}}, **TABLES}}
}
LIVE = Path(__file__).parent / "live.js"
BELOW: dict[Scope, tuple[Scope, ...]] = {
    "network": ("region", "institution", "programme", "sector", "enterprise", "competency"),
    "region": ("institution", "programme", "enterprise"),
    "institution": ("programme",),
}
LISTS: dict[Scope, str] = {
    "region": N_("by region"),
    "institution": N_("by institution"),
    "programme": N_("by programme"),
    "sector": N_("by sector"),
    "enterprise": N_("by enterprise"),
    "competency": N_("by competency"),
}


def above(visit: Visit, registry: Registry, asked: Asked) -> list[tuple[str, tuple[Scope, str | None]]]:
    """The scopes that this one is a part of, the widest first, with their names."""
    found: list[tuple[Scope, str | None]] = [("network", None)] if asked.scope != "network" else []
    programme = registry.programmes.get(asked.scope_id or "", {}) if asked.scope == "programme" else {}
    organisation = programme.get(
        "institution", asked.scope_id if asked.scope in ("institution", "enterprise") else None
    )
    entry = registry.organisations.get(organisation or "", {})
    found += [("region", entry["region"])] if entry.get("region") else []
    found += [("institution", organisation)] if programme.get("institution") else []
    return [(registry.name(*one) or visit.word(WORDS[one[0]]), one) for one in found]


def address(
    scope: Scope, scope_id: str | None, page: str = "", window: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Where a page is about a scope, in a window (`from`, `to`)."""
    about = {"scope": scope, "scope_id": scope_id} if scope_id else {"scope": scope}
    return f"{page}?{urlencode({**about, **window})}"


def for_people(visit: Visit, format: str | None) -> bool:
    """Is a page wanted? Browsers ask for one, unless a file is named; programs get JSON."""
    return format is None and "text/html" in visit.request.headers.get("accept", "")


def options(visit: Visit, registry: Registry, scope: Scope) -> list[tuple[str, str]]:
    """What a filter offers: ids and names."""
    named = [(id, registry.name(scope, id) or id) for id in registry.ids(scope)]
    return [("", visit.word(ALL)), *sorted(named, key=lambda one: one[1].casefold())]
