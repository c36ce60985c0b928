"""Events for tests."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from hypothesis import settings

from shared.contract.events import Data, Event, Publisher, compose
from shared.processing import facts
from shared.processing.facts import State
from shared.processing.ownership import Refused


def examples(most: int) -> int:
    """How many examples a property is tried with: few where the run is to be quick."""
    return 10 if settings.get_current_profile_name() == "quick" else most


NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def event(data: Data, subject: str, key: str | None = None, **given: Any) -> Event[Data]:
    """An event that says *data*: by the institution `uni` at noon of 2 March 2026, unless given otherwise.

    Args:
        given: `by` ("enterprise:plant"), `time`, `id`.
    """
    kind, _, organisation = given.get("by", "institution:uni").partition(":")
    return compose(
        data,
        source=f"/services/{organisation}" if kind == "service" else f"/organisations/{organisation}",
        kind=Publisher(kind),
        id=given.get("id") or str(uuid4()),
        subject=subject,
        key=key or subject,
        time=given.get("time", NOON),
    )


def after(state: State, *events: Event[Data]) -> State:
    """The state after *events*: a service passes over those that it refuses."""
    for each in events:
        try:
            state = facts.apply(state, each)
        except Refused:
            continue
    return state
