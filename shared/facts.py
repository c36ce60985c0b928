"""Rule 3: of each fact about an entity one is kept, as a rule the newest, so repetition and order change nothing."""

import json
from datetime import UTC, datetime
from typing import Any, NotRequired, TypedDict

from shared.events import (
    AgreementEnded,
    AgreementRefused,
    AgreementSigned,
    AssessmentRecorded,
    CompetencyCertified,
    Data,
    EmploymentRecorded,
    Event,
    FeedbackErased,
    FeedbackSubmitted,
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
    Publisher,
    organisation_of,
)

# Bounds of an entity, so that its document stays far below MongoDB's 16 MiB, view included.
MAX_FACTS = 1_000
MAX_BYTES = 1_000_000


class Fact(TypedDict):
    """What one event said. `time` is UTC text of fixed width, so that text order is time order."""

    time: str
    id: str
    source: str
    kind: str
    data: dict[str, Any]


class State(TypedDict):
    """What is known of an entity: facts by short type and slot, and about how many bytes they are.

    An erased entity keeps the erasure and no fact.
    """

    facts: dict[str, dict[str, Fact]]
    bytes: int
    erased: NotRequired[Fact]


class TooManyFacts(ValueError):
    """An entity holds as much as it may; a further fact is not taken in (a document must stay small)."""


def empty() -> State:
    return {"facts": {}, "bytes": 0}


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


def organisation(fact: Fact) -> str:
    """Who said it."""
    return organisation_of(fact["source"])


def newest(*candidates: Fact | None) -> Fact | None:
    """The newest by time, id, source; of two that claim the same three, the greater content (any fixed choice)."""
    present = [fact for fact in candidates if fact is not None]
    return max(present, key=age, default=None)


def age(fact: Fact) -> tuple[str, str, str, str, str]:
    """What facts are ordered by; equal for equal facts only."""
    return fact["time"], fact["id"], fact["source"], fact["kind"], json.dumps(fact["data"], sort_keys=True)


def slot_of(event: Event[Data]) -> str:
    """What the fact is about within its entity: a sub-entity, a programme, the party that speaks, or a month.

    Where organisations number on their own, the slot names the organisation, so that none replaces another's fact.
    Of what makes a history (an entry changed, a new version) each month's newest is kept, so that the past stays.
    """
    data, organisation = event.data, organisation_of(event.source)
    slot = event.subject
    match data:
        case LearnerEnrolled() | LearnerGraduated():
            slot = data.programme
        case OrganisationRegistered() | OrganisationSuspended() | OrganisationReinstated() | ProgrammePublished():
            slot = f"{event.time.astimezone(UTC):%Y-%m}"
        case ProgrammeRevisionRecommended():
            slot = data.recommendation
        case ProgrammeRevised() | ProgrammeRevisionDeclined():
            slot = f"{organisation}/{data.recommendation}"
        case AssessmentRecorded() | EmploymentRecorded() | FeedbackSubmitted():
            slot = f"{organisation}/{event.subject}"
        case AgreementSigned() | AgreementRefused() | AgreementEnded():
            slot = organisation
    return slot


def apply(state: State, event: Event[Data]) -> State:
    """Take *event* into *state* as the fact (its type, its slot); the same object comes back if nothing changes.

    Raises:
        TooManyFacts: the entity would hold more than `MAX_FACTS` or `MAX_BYTES`.
    """
    fact = fact_of(event)
    if isinstance(event.data, LearnerErased | FeedbackErased):
        erased = newest(state.get("erased"), fact)
        return state if erased is state.get("erased") else {**empty(), "erased": fact}
    if "erased" in state:
        return state
    slot = slot_of(event)
    slots = state["facts"].get(event.data.short_type, {})
    kept = slots.get(slot)
    if kept is not None and _stays(kept, event, fact):
        return state
    size = state["bytes"] + _bytes(fact) - (_bytes(kept) if kept else 0)
    # What a service concludes is bounded by what it concludes from, and must not be lost.
    if event.sourcekind is not Publisher.service:
        if kept is None and sum(map(len, state["facts"].values())) >= MAX_FACTS:
            raise TooManyFacts(f"the entity already holds {MAX_FACTS} facts")
        if size > MAX_BYTES:
            raise TooManyFacts(f"the entity's facts would be larger than {MAX_BYTES} bytes")
    return {"facts": {**state["facts"], event.data.short_type: {**slots, slot: fact}}, "bytes": size}


def _stays(kept: Fact, event: Event[Data], fact: Fact) -> bool:
    """Does the fact that is known win? Of what a service decides once the first, of everything else the newest."""
    if isinstance(event.data, CompetencyCertified | ProgrammeRevisionRecommended):
        return age(kept) <= age(fact)
    return age(kept) >= age(fact)


def _bytes(fact: Fact) -> int:
    """About how large a fact is stored: the same for the same fact, so the sum is a function of the facts."""
    return 200 + len(fact["id"]) + len(json.dumps(fact["data"]))


def facts(state: State, short_type: str) -> dict[str, Fact]:
    """The facts of one type, by slot."""
    return state["facts"].get(short_type, {})


def last(state: State, *short_types: str) -> Fact | None:
    """The newest fact of these types in any slot."""
    return newest(*(fact for t in short_types for fact in facts(state, t).values()))
