"""Alerts: which rules an indicator meets, looked at when time has passed. What they are judged by is pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from shared.contract.events import (
    AlertWhen,
    Data,
    Event,
    IndicatorAlerted,
    IndicatorRuleSet,
    derive,
    derived_id,
)
from shared.pages.languages import Text, enumerated
from shared.processing import facts, mongo
from shared.processing.employment import months_later
from shared.processing.facts import DecodedEvent, State
from shared.processing.mongo import Database, Key
from shared.settings import settings
from shared.statistics import wilson

from . import counters
from .counters import Hiding, Registry
from .figures import is_of_cases, of_window
from .indicators import INDICATORS, Indicator, Measures, Scope
from .states import owner_of, rule_of
from .suppression import Hidden
from .tables import WORDS

RULES = "alert_rules"
MOST_RULES = 50  # of an institution


class Window(NamedTuple):
    """A year of cohorts, or a calendar quarter, by its first and last month."""

    id: str
    begin: str
    end: str


class Crossing(NamedTuple):
    """A window in which a scope meets a rule; `before` is of the window before, for a rule that asks for it."""

    rule: str
    scope_id: str
    window: str
    value: float
    n: int
    before: float | None = None
    n_before: int | None = None


def windows(indicator: Indicator, today: date) -> tuple[Window, Window]:
    """The last window all of whose months have passed, and the one before."""
    months = 12 if indicator.by == "cohort" else 3
    last = min(indicator.latest(today), months_later(today.replace(day=1), -1).isoformat()[:7])
    year, month = map(int, last.split("-"))
    ended = month // months * months  # the last month of a window that has passed, 0: of the year before
    end = date(year, ended, 1) if ended else date(year - 1, 12, 1)
    return _window(end, months), _window(months_later(end, -months), months)


def _window(end: date, months: int) -> Window:
    id = str(end.year) if months == 12 else f"{end.year}Q{end.month // 3}"
    return Window(id, months_later(end, 1 - months).isoformat()[:7], end.isoformat()[:7])


class Rule(NamedTuple):
    """A rule that is in force: what it asks for, as `IndicatorRuleSet` has it, and whose it is.

    Attributes:
        organisation: the institution; None: the operator.
    """

    asks: Mapping[str, Any]
    organisation: str | None = None


def objection(rule: IndicatorRuleSet) -> tuple[str, str] | None:
    """The field of a rule that cannot be met, and why."""
    indicator = INDICATORS.get(rule.indicator)
    if indicator is None:
        return "indicator", Text("there is no indicator {id}", {"id": rule.indicator})
    if rule.scope not in indicator.scopes:
        words = [Text(WORDS[scope]) for scope in indicator.scopes]
        return "scope", Text("this indicator is not offered for it, but for: {scopes}", {"scopes": enumerated(words)})
    if rule.when is AlertWhen.falls and not is_of_cases(indicator):
        return "when", Text("this indicator is no share: how much of a fall is chance cannot be said")
    if indicator.unit == "share" and not 0 <= rule.threshold <= 1:
        return "threshold", Text("a share is from 0 to 1 (100 per cent)")
    return None


def judged_for(rule: Rule, registry: Registry) -> list[str] | None:
    """The ids of the scopes that a rule is judged for; None: all that there are.

    Of an institution's rule it is the registry that says which are its own, whatever the rule names.
    """
    asked = rule.asks.get("scope_id")
    if rule.organisation is None:
        return [asked] if asked else None
    return [id for id in own_scopes(rule.organisation, registry).get(rule.asks["scope"], []) if asked in (None, id)]


def own_scopes(institution: str, registry: Registry) -> dict[str, list[str]]:
    """What an institution may be alerted of by rules of its own: itself, and its programmes."""
    own = [id for id, entry in registry.programmes.items() if entry["institution"] == institution]
    is_one = registry.organisations.get(institution, {}).get("kind") == "institution"
    return {"institution": [institution] if is_one else [], "programme": sorted(own)}


def crossing(  # noqa: PLR0913, PLR0917
    id: str, asks: Mapping[str, Any], scope_id: str, by_month: Mapping[str, Measures], today: date, hidden: Hidden
) -> Crossing | None:
    """Does a scope meet a rule in the last window? What is hidden from the public meets none."""
    indicator, below = INDICATORS[asks["indicator"]], settings().suppress_below
    now, then = windows(indicator, today)
    said = of_window(indicator, by_month, now.begin, now.end, below, hidden)
    if said["status"] != "ok" or said["n"] < asks["least_n"]:
        return None
    value, threshold = said["value"], asks["threshold"]
    if asks["when"] != AlertWhen.falls:
        is_met = value < threshold if asks["when"] == AlertWhen.below else value > threshold
        return Crossing(id, scope_id, now.id, value, said["n"]) if is_met else None
    before = of_window(indicator, by_month, then.begin, then.end, below, hidden)
    if before["status"] != "ok" or before["n"] < asks["least_n"]:
        return None
    is_met = before["value"] - value >= threshold and _interval(said)[1] < _interval(before)[0]
    return Crossing(id, scope_id, now.id, value, said["n"], before["value"], before["n"]) if is_met else None


def _interval(said: Mapping[str, Any]) -> tuple[float, float]:
    n = int(said["denominator"])
    return wilson(min(int(said["numerator"]), n), n)


def alert(id: str, state: State, crossings: Iterable[Crossing], now: datetime) -> list[Event[Data]]:
    """What a rule's crossings call for, once per scope and window."""
    asks = rule_of(state)
    if asks is None:
        return []
    rule = Rule(asks, owner_of(state))
    said = {fact["id"] for fact in facts.facts(state, IndicatorAlerted.short_type).values()}
    events = [_alerted(one, rule, now) for one in crossings if one.rule == id]
    return [event for event in events if event.id not in said]


def _alerted(one: Crossing, rule: Rule, now: datetime) -> Event[Data]:
    asks = rule.asks
    data = IndicatorAlerted(
        indicator=asks["indicator"],
        scope=asks["scope"],
        scope_id=one.scope_id,
        value=one.value,
        threshold=asks["threshold"],
        window=one.window,
        n=one.n,
        when=asks["when"],
        before=one.before,
        n_before=one.n_before,
        organisation=rule.organisation,
    )
    id = derived_id("indicator.alerted", one.rule, asks["indicator"], asks["scope"], one.scope_id, one.window)
    return derive("monitoring", data, id=id, subject=one.rule, key=one.rule, time=now)


async def find_crossings(db: Database, rules: Mapping[str, Rule], today: date) -> list[Crossing]:
    """Where these rules are met."""
    found: list[Crossing] = []
    registry = await counters.registry(db) if rules else Registry({}, {})
    hidings: dict[tuple[str, Scope, str | None], Hiding] = {}  # which rules share
    for id, rule in rules.items():
        asks, scope_ids = rule.asks, judged_for(rule, registry)
        if objection(IndicatorRuleSet.model_validate(asks)) or scope_ids == []:
            continue  # an event may name what this version has not, or what is not for its sender to judge
        indicator, scope = INDICATORS[asks["indicator"]], asks["scope"]
        read = await counters.by_scope(db, indicator, scope, scope_ids, indicator.latest(today))
        one = scope_ids[0] if scope_ids and len(scope_ids) == 1 else None
        if (indicator.id, scope, one) not in hidings:
            hidings[indicator.id, scope, one] = await counters.hiding(
                db, [indicator], scope, one, settings().suppress_below
            )
        hiding = hidings[indicator.id, scope, one]
        for scope_id, by_month in sorted(read.items()):
            hidden = hiding.of(indicator, scope, scope_id if scope != "network" else None)
            if met := crossing(id, asks, scope_id, by_month, today, hidden):
                found.append(met)
    return found


class Context(NamedTuple):
    """What a rule is judged by besides its facts."""

    crossings: Sequence[Crossing]
    now: datetime


def react(key: Key, state: State, context: Context) -> list[Event[Data]]:
    return alert(key.id, state, context.crossings, context.now) if key.collection == RULES else []


async def read_context(db: Database, keys: Collection[Key], events: Sequence[DecodedEvent]) -> Context:
    # Rules are judged at a tick: in the middle of a backlog a window's figures are not all there.
    ids = [] if events else [key.id for key in keys if key.collection == RULES]
    docs = [doc async for doc in db[RULES].find({"_id": {"$in": ids}})] if ids else []
    return Context(await find_crossings(db, await _active(db, docs), counters.today()), datetime.now(UTC))


async def _active(db: Database, docs: Iterable[Mapping[str, Any]]) -> dict[str, Rule]:
    """The rules in force; of an institution that has more of them than it may, the first by id, whoever judges them."""
    found = {
        doc["_id"]: Rule(asks, owner_of(doc["state"])) for doc in docs if (asks := rule_of(doc["state"])) is not None
    }
    for organisation in {rule.organisation for rule in found.values() if rule.organisation}:
        own = db[RULES].find({"organisation": organisation, "status": "active"}, {"_id": 1}).sort("_id")
        first = {doc["_id"] async for doc in own.limit(MOST_RULES)}
        found = {id: rule for id, rule in found.items() if rule.organisation != organisation or id in first}
    return found


class DueRules:
    """Finds the rules that are met. It looks again only after something was consumed or another day began."""

    def __init__(self) -> None:
        self._quiet_at: object = None

    async def due(self, db: Database, labels: Sequence[str]) -> list[tuple[str, Key]]:
        positions = await mongo.positions(db)
        seen = (db.name, counters.today(), sorted((label, p.next_offset) for label, p in positions.items()))
        if seen == self._quiet_at:
            return []
        docs = [doc async for doc in db[RULES].find({"status": "active", "partition": {"$in": list(labels)}})]
        now, states = datetime.now(UTC), {doc["_id"]: doc["state"] for doc in docs}
        crossings = await find_crossings(db, await _active(db, docs), counters.today())
        met = {doc["_id"]: doc["partition"] for doc in docs if alert(doc["_id"], states[doc["_id"]], crossings, now)}
        if not met:
            self._quiet_at = seen
        return [(label, Key(RULES, id)) for id, label in met.items()]
