"""What several pages about indicators share: the ways up and down, filters and forms of answers."""

from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import StringConstraints, TypeAdapter, ValidationError

from services.monitoring.answers import Asked
from services.monitoring.counters import Registry
from services.monitoring.indicators import INDICATORS, Scope
from services.monitoring.tables import WORDS
from shared.contract.events import Month
from shared.http.spreadsheets import TABLES
from shared.http.visits import Visit
from shared.pages.languages import N_, Text

ALL = N_("all")
_MONTH: TypeAdapter[str] = TypeAdapter(Month)
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


def read_months(begin: str, end: str, wrong: dict[str, Text]) -> tuple[str | None, str | None]:
    """The window of a form; what does not do is left open, and said in *wrong* by its field."""
    found: dict[str, str | None] = {}
    for name, typed in (("from", begin), ("to", end)):
        try:
            found[name] = _MONTH.validate_python(typed) if typed else None
        except ValidationError:
            found[name], wrong[name] = None, Text("This is no month: 2026-06.")
    first, last = found["from"], found["to"]
    if first and last and first > last:
        wrong["to"], last = Text("The period ends before it begins."), None
    return first, last


def indicators_by_group(visit: Visit, scopes: Collection[Scope] = ()) -> list[tuple[str, list[tuple[str, str]]]]:
    """The indicators that are offered for one of *scopes* (none given: all), by group."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for each in INDICATORS.values():
        if scopes and not {*scopes} & each.scopes.keys():
            continue
        group = groups.setdefault(each.group.into(visit.language), [])
        group.append((each.id, each.title.into(visit.language)))
    return list(groups.items())


def scope_name(visit: Visit, scope: Scope, id: str | None, name: str | None) -> str:
    """How a scope is called, in the visitor's language where it has a name in several.

    Args:
        name: as the registry has it.
    """
    if scope == "competency" and id:
        return visit.frameworks.name(id, visit.language)
    return name or id or visit.word(WORDS["network"])


def name_of(visit: Visit, said: Mapping[str, Any]) -> str:
    """The same of what an answer is about."""
    return scope_name(visit, said["scope"], said["scope_id"], said["scope_name"])


def months_of(asked: Asked) -> dict[str, str]:
    """The window that is asked for, as an address has it (`from`, `to`)."""
    return {name: value for name, value in (("from", asked.begin), ("to", asked.end)) if value}


def of_api(asked: Asked) -> str:
    """The query by which the API is asked for the same."""
    return urlencode(({"scope": asked.scope, "scope_id": asked.scope_id} if asked.scope_id else {}) | months_of(asked))


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
