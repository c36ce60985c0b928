"""Alerts: which rules of the operator an indicator meets, looked at when time has passed. The rules are pure."""

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
from shared.processing import facts, mongo
from shared.processing.employment import months_later
from shared.processing.facts import DecodedEvent, State
from shared.processing.mongo import Database, Key
from shared.settings import settings
from shared.statistics import wilson

from . import counters
from .figures import of_window
from .indicators import INDICATORS, Indicator, Measures
from .states import rule_of

RULES = "alert_rules"


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


def objection(rule: IndicatorRuleSet) -> tuple[str, str] | None:
    """The field of a rule that cannot be met, and why."""
    indicator = INDICATORS.get(rule.indicator)
    if indicator is None:
        return "indicator", f"there is no indicator {rule.indicator}"
    if rule.scope not in indicator.scopes:
        return "scope", f"one of {', '.join(indicator.scopes)}"
    if rule.when is AlertWhen.falls and indicator.unit != "share":
        return "when", f"{rule.indicator} is no share: by how much it falls by chance cannot be said"
    return None


def crossing(
    id: str, rule: Mapping[str, Any], scope_id: str, by_month: Mapping[str, Measures], today: date
) -> Crossing | None:
    """Does a scope meet a rule in the last window? What is hidden from the public meets none."""
    indicator, below = INDICATORS[rule["indicator"]], settings().suppress_below
    now, then = windows(indicator, today)
    said = of_window(indicator, by_month, now.begin, now.end, below)
    if said["status"] != "ok" or said["n"] < rule["least_n"]:
        return None
    value, threshold = said["value"], rule["threshold"]
    if rule["when"] != AlertWhen.falls:
        is_met = value < threshold if rule["when"] == AlertWhen.below else value > threshold
        return Crossing(id, scope_id, now.id, value, said["n"]) if is_met else None
    before = of_window(indicator, by_month, then.begin, then.end, below)
    if before["status"] != "ok" or before["n"] < rule["least_n"]:
        return None
    is_met = before["value"] - value >= threshold and _interval(said)[1] < _interval(before)[0]
    return Crossing(id, scope_id, now.id, value, said["n"], before["value"], before["n"]) if is_met else None


def _interval(said: Mapping[str, Any]) -> tuple[float, float]:
    n = int(said["denominator"])
    return wilson(min(int(said["numerator"]), n), n)


def alert(id: str, state: State, crossings: Iterable[Crossing], now: datetime) -> list[Event[Data]]:
    """What a rule's crossings call for, once per scope and window."""
    rule = rule_of(state)
    if rule is None:
        return []
    said = {fact["id"] for fact in facts.facts(state, IndicatorAlerted.short_type).values()}
    events = [_alerted(one, rule, now) for one in crossings if one.rule == id]
    return [event for event in events if event.id not in said]


def _alerted(one: Crossing, rule: Mapping[str, Any], now: datetime) -> Event[Data]:
    data = IndicatorAlerted(
        indicator=rule["indicator"],
        scope=rule["scope"],
        scope_id=one.scope_id,
        value=one.value,
        threshold=rule["threshold"],
        window=one.window,
        n=one.n,
        when=rule["when"],
        before=one.before,
        n_before=one.n_before,
    )
    id = derived_id("indicator.alerted", one.rule, rule["indicator"], rule["scope"], one.scope_id, one.window)
    return derive("monitoring", data, id=id, subject=one.rule, key=one.rule, time=now)


async def find_crossings(db: Database, rules: Mapping[str, Mapping[str, Any]], today: date) -> list[Crossing]:
    """Where these rules are met."""
    found: list[Crossing] = []
    for id, rule in rules.items():
        if objection(IndicatorRuleSet.model_validate(rule)):
            continue  # an event may name what this version has not
        indicator = INDICATORS[rule["indicator"]]
        read = await counters.by_scope(db, indicator, rule["scope"], rule.get("scope_id"), indicator.latest(today))
        met = (crossing(id, rule, scope_id, by_month, today) for scope_id, by_month in sorted(read.items()))
        found += [one for one in met if one]
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
    return Context(await find_crossings(db, _active(docs), counters.today()), datetime.now(UTC))


def _active(docs: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {doc["_id"]: rule for doc in docs if (rule := rule_of(doc["state"]))}


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
        crossings = await find_crossings(db, _active(docs), counters.today())
        met = {doc["_id"]: doc["partition"] for doc in docs if alert(doc["_id"], states[doc["_id"]], crossings, now)}
        if not met:
            self._quiet_at = seen
        return [(label, Key(RULES, id)) for id, label in met.items()]
