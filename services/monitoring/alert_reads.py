"""Alerts as they are looked for: with names, the months of the window, and who has taken note of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, cast

from fastapi import Query

from shared.http.auth import Caller
from shared.http.problems import Problem
from shared.http.service import Service
from shared.http.spreadsheets import Share, Sheet
from shared.pages.languages import N_, Language, Text, translated
from shared.processing.mongo import Database, Key

from . import counters
from .alerts import RULES
from .counters import Registry
from .indicators import INDICATORS, Scope
from .states import ACKNOWLEDGEMENTS, alert_key, view
from .tables import WORDS

NOTES = "alert_notes"  # in the home: free text, on no log; to be backed up
Doc = dict[str, Any]
Text100 = Annotated[str, Query(max_length=100)]


class Status(StrEnum):
    """An alert is open until the operator or the institution that it is about has taken note of it."""

    open = "open"
    acknowledged = "acknowledged"
    all = "all"


@dataclass
class Filters:
    """Which alerts are listed; what is left empty leaves nothing out."""

    status: Status = Status.open
    region: Text100 = ""
    institution: Text100 = ""
    indicator: Text100 = ""

    def of(self, alerts: Iterable[Doc]) -> list[Doc]:
        wanted = {name: value for name in ("region", "institution", "indicator") if (value := getattr(self, name))}
        if self.status is not Status.all:
            wanted["status"] = self.status
        return [alert for alert in alerts if all(alert[name] == value for name, value in wanted.items())]


async def all_alerts(service: Service) -> list[Doc]:
    """Every alert, the newest first; not to be changed."""
    return await service.recent(("alerts",), lambda: _read(service.db))


async def find_alert(service: Service, id: str) -> Doc:
    """One alert by its id, or 404."""
    found = next((alert for alert in await all_alerts(service) if alert["id"] == id), None)
    if found is None:
        raise Problem(404, Text("there is no alert {id} (yet)", {"id": id}))
    return found


async def _read(db: Database) -> list[Doc]:
    registry = await counters.registry(db)
    noted: dict[str, list[Doc]] = {}
    async for doc in db[ACKNOWLEDGEMENTS].find({"acknowledged_at": {"$exists": True}}, {"state": 0}):
        alert, _, by = doc["_id"].rpartition("/")
        noted.setdefault(alert, []).append({"by": by, **doc})
    found: list[Doc] = []
    async for doc in db[RULES].find({"status": {"$exists": True}}):
        rule = view(Key(RULES, doc["_id"]), doc["state"])  # what is stored may be of an earlier version
        for alert in rule["alerts"]:
            if alert["indicator"] in INDICATORS:
                given = noted.get(alert_key(doc["_id"], alert), [])
                found.append(shown(doc["_id"], rule, alert, given, registry))
    return sorted(found, key=lambda alert: (alert["alerted_at"], alert["id"]), reverse=True)


def shown(
    id: str, rule: Mapping[str, Any], alert: Mapping[str, Any], given: Iterable[Mapping[str, Any]], registry: Registry
) -> Doc:
    """An alert with all that is looked for; what the operator or the institution says of it later acknowledges it."""
    scope = cast(Scope, alert["scope"])
    begin, end = months_of(alert["window"])
    institution = _institution(scope, alert["scope_id"], registry)
    counted = [
        {"by": one["by"], "at": one["acknowledged_at"]}
        for one in given
        if (one["by_operator"] or one["by"] == institution) and one["acknowledged_at"] >= alert["alerted_at"]
    ]
    return {
        "id": alert["id"],
        "rule": id,
        "organisation": rule["organisation"],
        "status": Status.acknowledged if counted else Status.open,
        **{name: alert[name] for name in ("alerted_at", "indicator", "scope", "scope_id")},
        "scope_name": None if scope == "network" else registry.name(scope, alert["scope_id"]),
        "institution": institution,
        "region": _region(scope, alert["scope_id"], institution, registry),
        "window": alert["window"],
        "from": begin,
        "to": end,
        "unit": INDICATORS[alert["indicator"]].unit,
        "when": alert["when"] or rule["when"],
        **{name: alert[name] for name in ("value", "threshold", "n", "before", "n_before")},
        "acknowledged": sorted(counted, key=lambda one: one["at"]),
    }


def months_of(window: str) -> tuple[str, str]:
    """The first and the last month of a window: 2024, or 2025Q4."""
    year, _, quarter = window.partition("Q")
    last = 3 * int(quarter) if quarter else 12
    return f"{year}-{last - (2 if quarter else 11):02}", f"{year}-{last:02}"


def _institution(scope: Scope, id: str, registry: Registry) -> str | None:
    """The institution that an alert is about, itself or by its programme."""
    if scope == "programme":
        return registry.programmes.get(id, {}).get("institution")
    return id if scope == "institution" else None


def _region(scope: Scope, id: str, institution: str | None, registry: Registry) -> str | None:
    return id if scope == "region" else registry.organisations.get(institution or id, {}).get("region")


def is_concerned(alert: Mapping[str, Any], caller: Caller) -> bool:
    """May the caller take note of an alert, and see the notes on it?"""
    return caller.is_operator or alert["institution"] == caller.organisation


async def notes_on(service: Service, alert: Mapping[str, Any], caller: Caller) -> list[Doc]:
    """What was noted on an alert, as far as the caller may see it: its own note, the operator all."""
    whose = {} if caller.is_operator else {"organisation": caller.organisation}
    found = service.store.home[NOTES].find({"alert": alert_key(alert["rule"], alert), **whose}).sort("_id")
    return [{name: doc[name] for name in ("organisation", "note", "written_at")} async for doc in found]


# files

HEADINGS = {
    "alerted_at": N_("Alerted at"),
    "status": N_("State"),
    "title": N_("Indicator"),
    "indicator": N_("Indicator's identifier"),
    "scope": N_("Of what"),
    "scope_name": N_("Of which"),
    "scope_id": N_("Of which (identifier)"),
    "window": N_("Window"),
    "value": N_("Value"),
    "when": N_("Condition"),
    "threshold": N_("Threshold"),
    "n": N_("Cases counted"),
    "before": N_("Value in the window before"),
    "n_before": N_("Cases in the window before"),
    "rule": N_("Rule"),
    "organisation": N_("Whose rule"),
    "acknowledged_at": N_("Acknowledged at"),
    "acknowledged_by": N_("Acknowledged by"),
}
STATES = {Status.open: N_("open"), Status.acknowledged: N_("acknowledged")}
WHENS = {"below": N_("lies below"), "above": N_("lies above"), "falls": N_("falls by at least")}


def sheet(alerts: Iterable[Doc], language: Language) -> Sheet:
    """A list of alerts for a file."""
    return Sheet(N_("Alerts"), HEADINGS, [_row(alert, language) for alert in alerts])


def _row(alert: Doc, language: Language) -> Doc:
    shares = ("value", "threshold", "before") if alert["unit"] == "share" else ()
    first = alert["acknowledged"][0] if alert["acknowledged"] else {"at": None, "by": None}
    told = {
        **alert,
        **{name: Share(alert[name]) for name in shares if alert[name] is not None},
        "status": translated(language, STATES[alert["status"]]),
        "title": INDICATORS[alert["indicator"]].title.into(language),
        "scope": translated(language, WORDS[alert["scope"]]),
        "when": translated(language, WHENS[alert["when"]]),
        "acknowledged_at": first["at"],
        "acknowledged_by": first["by"],
    }
    return {name: told[name] for name in HEADINGS}
