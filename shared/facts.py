"""Rule 3: of each fact about an entity the newest is kept, so repetition and order change nothing."""

import json
from datetime import UTC, datetime
from typing import Any, NotRequired, TypedDict

from shared.events import (
    AgreementEnded,
    AgreementRefused,
    AgreementSigned,
    Data,
    Event,
    FeedbackErased,
    LearnerEnrolled,
    LearnerErased,
    LearnerGraduated,
    OrganisationRegistered,
    OrganisationReinstated,
    OrganisationSuspended,
    ProgrammePublished,
    ProgrammeRevised,
    ProgrammeRevisionDeclined,
    ProgrammeRevisionRecommended,
)

MAX_FACTS = 1_000


class Fact(TypedDict):
    """What one event said. `time` is UTC text of fixed width, so that text order is time order."""

    time: str
    id: str
    source: str
    kind: str
    data: dict[str, Any]


class State(TypedDict):
    """What is known of an entity: facts by short type and slot. An erased entity keeps the erasure and no fact."""

    facts: dict[str, dict[str, Fact]]
    erased: NotRequired[Fact]


class TooManyFacts(ValueError):
    """An entity holds its most facts; a new one is not taken in (a document must stay small)."""


def empty() -> State:
    return {"facts": {}}


def timestamp(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def fact_of(event: Event[Data]) -> Fact:
    return {
        "time": timestamp(event.time),
        "id": event.id,
        "source": event.source,
        "kind": event.sourcekind.value,
        "data": event.data.model_dump(mode="json", exclude_none=True),
    }


def newest(*candidates: Fact | None) -> Fact | None:
    """The newest by time, id, source; of two that claim the same three, the greater content (any fixed choice)."""
    present = [fact for fact in candidates if fact is not None]
    return max(present, key=age, default=None)


def age(fact: Fact) -> tuple[str, str, str, str, str]:
    """What facts are ordered by; equal for equal facts only."""
    return fact["time"], fact["id"], fact["source"], fact["kind"], json.dumps(fact["data"], sort_keys=True)


def slot_of(event: Event[Data]) -> str:
    """What the fact is about within its entity: a sub-entity, a programme, the party that speaks, or a month.

    Of what makes a history (an entry changed, a new version) each month's newest is kept, so that the past stays.
    """
    match event.data:
        case LearnerEnrolled() | LearnerGraduated():
            return event.data.programme
        case OrganisationRegistered() | OrganisationSuspended() | OrganisationReinstated() | ProgrammePublished():
            return f"{event.time.astimezone(UTC):%Y-%m}"
        case ProgrammeRevisionRecommended() | ProgrammeRevised() | ProgrammeRevisionDeclined():
            return event.data.recommendation
        case AgreementSigned() | AgreementRefused() | AgreementEnded():
            return event.source.rpartition("/")[2]
        case _:
            return event.subject


def apply(state: State, event: Event[Data]) -> State:
    """Take *event* into *state* as the fact (its type, its slot); the same object comes back if nothing changes.

    Raises:
        TooManyFacts: the entity would hold more than `MAX_FACTS`.
    """
    fact = fact_of(event)
    if isinstance(event.data, LearnerErased | FeedbackErased):
        erased = newest(state.get("erased"), fact)
        return state if erased is state.get("erased") else {"facts": {}, "erased": fact}
    if "erased" in state:
        return state
    slot = slot_of(event)
    slots = state["facts"].get(event.data.short_type, {})
    kept = slots.get(slot)
    if kept is not None and newest(kept, fact) is kept:
        return state
    if kept is None and sum(map(len, state["facts"].values())) >= MAX_FACTS:
        raise TooManyFacts(f"the entity already holds {MAX_FACTS} facts")
    return {"facts": {**state["facts"], event.data.short_type: {**slots, slot: fact}}}


def facts(state: State, short_type: str) -> dict[str, Fact]:
    """The facts of one type, by slot."""
    return state["facts"].get(short_type, {})


def last(state: State, *short_types: str) -> Fact | None:
    """The newest fact of these types in any slot."""
    return newest(*(fact for t in short_types for fact in facts(state, t).values()))
