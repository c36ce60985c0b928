"""Events of monitoring's tests in short, and the way from events to a value without any server."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from services.monitoring.figures import Figures, figures, sum_of, within
from services.monitoring.indicators import INDICATORS
from services.monitoring.states import contributions, route
from shared.contract.events import (
    Data,
    EmploymentRecorded,
    Event,
    InternshipCancelled,
    InternshipCompleted,
    InternshipOutcome,
    LearnerGraduated,
)
from shared.processing import facts
from shared.processing.facts import State
from shared.processing.mongo import Counts, Key
from tests.making import after, event

TODAY = date(2026, 3, 15)


def at(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=UTC)


def fold(events: Iterable[Event[Data]], states: dict[Key, State] | None = None) -> dict[Key, State]:
    """The states after *events*, from *states* on."""
    states = dict(states or {})
    for said in events:
        key = route(facts.from_event(said))
        if key is not None:
            states[key] = after(states.get(key, facts.empty()), said)
    return states


def total(states: dict[Key, State]) -> Counts:
    """All that the states add to the counters."""
    counts: Counts = {}
    for key, state in states.items():
        for counter, count in contributions(key, state).items():
            counts[counter] = counts.get(counter, 0) + count
    return {counter: count for counter, count in counts.items() if count}


def measured(indicator: str, *events: Event[Data], id: str | None = None, kind: str | None = None) -> Figures:
    """The figures of the network on 15 March 2026, or those of one *kind* and *id*."""
    entry = INDICATORS[indicator]
    kind = kind or entry.scopes["network"]
    by_month: dict[str, dict[str, int]] = {}
    for (of_kind, of_id, period, measure), count in total(fold(events)).items():
        if of_kind == kind and id in (None, of_id):
            counted = by_month.setdefault(period, {})
            counted[measure] = counted.get(measure, 0) + count
    return figures(entry, sum_of(within(by_month, *entry.months(None, None, TODAY))))


# what is said about the learner `ann` of the programme `welding` at `uni`, unless given otherwise


def graduated(learner: str = "ann", on: str = "2024-06-01", programme: str = "welding") -> Event[Data]:
    data = LearnerGraduated(programme=programme, graduated_on=date.fromisoformat(on))
    return event(data, learner, time=at(on))


def status(learner: str, what: str, seen: str = "2025-01-10", **said: Any) -> Event[Data]:
    since = {"since": date.fromisoformat(said.pop("since"))} if "since" in said else {}
    by = said.pop("by", "institution:uni")
    data = EmploymentRecorded(status=what, **since, **said)
    return event(data, f"{learner}-{seen}", learner, by=by, time=at(seen))


def interned(
    learner: str = "ann", seen: str = "2024-02-10", enterprise: str = "plant", hours: float = 80, **given: str
) -> Event[Data]:
    data = InternshipCompleted(
        enterprise=enterprise,
        programme=given.get("programme", "welding"),
        hours=hours,
        outcome=InternshipOutcome(given.get("outcome", "passed")),
    )
    by = given.get("by", "institution:uni")
    return event(data, given.get("internship", f"{learner}-{enterprise}"), learner, by=by, time=at(seen))


def broke_off(learner: str = "ann", seen: str = "2024-02-10", enterprise: str = "plant") -> Event[Data]:
    data = InternshipCancelled(enterprise=enterprise, programme="welding", reason="moved")
    return event(data, f"{learner}-{enterprise}", learner, time=at(seen))
