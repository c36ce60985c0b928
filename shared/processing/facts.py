"""Rule 3: of each fact about an entity one is kept, as a rule the newest, so repetition and order change nothing.

Whose word counts, and how much one organisation may say of an entity, is decided by the order of the log.
"""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, NotRequired, TypedDict

from shared.contract import events
from shared.contract.events import (
    DATA,
    SANDBOX,
    AgreementEnded,
    AgreementRefused,
    AgreementSigned,
    ApplicationAccepted,
    ApplicationDeclined,
    AssessmentRecorded,
    CertificateCollected,
    CertificateExpiring,
    CertificateIssued,
    CompetencyCertified,
    CredentialWithdrawn,
    Data,
    EmploymentEnded,
    EmploymentRecorded,
    Event,
    EventClass,
    FeedbackErased,
    FeedbackReminded,
    FeedbackSubmitted,
    FeedbackWithdrawn,
    FollowupOpened,
    FrameworkItemDefined,
    FrameworkPublished,
    IndicatorAlerted,
    InternshipCompleted,
    IssuerDeclared,
    LearnerEnrolled,
    LearnerErased,
    LearnerErasureRequested,
    LearnerGraduated,
    LearnerLeft,
    LearnerShared,
    OrganisationRegistered,
    OrganisationReinstated,
    OrganisationSuspended,
    ProgrammeDemandLapsed,
    ProgrammeGapFound,
    ProgrammeJoined,
    ProgrammePublished,
    ProgrammeRevised,
    ProgrammeRevisionDeclined,
    ProgrammeRevisionPlanned,
    ProgrammeRevisionRecommended,
    ProgrammeRevisionWithdrawn,
    QuestionnairePublished,
    SchemePublished,
    organisation_of,
    parse,
    parse_plain,
    timestamp,
)
from shared.processing import annulments, ownership
from shared.processing.annulments import ANNULMENTS
from shared.processing.ownership import Refused

# Bounds of an entity, so that its document stays far below MongoDB's 16 MiB, view included. Half of its room is for
# its owners; of the other half nobody fills more than half. No settings: rebuilt, a state must be the same.
MAX_FACTS = 1_000
MAX_BYTES = 1_000_000
MAX_FACTS_OF_OTHERS, MAX_FACTS_OF_ONE, MAX_FACTS_OF_A_TYPE = 500, 250, 500
MAX_BYTES_OF_OTHERS, MAX_BYTES_OF_ONE = 500_000, 250_000
CHECKED_FROM_FACTS, CHECKED_FROM_BYTES = 250, 250_000  # no part is full before


class Fact(TypedDict):
    """What one event said. `time` is UTC text of fixed width, so that text order is time order."""

    time: str
    id: str
    source: str
    kind: str
    data: dict[str, Any]
    sustainable: NotRequired[str]  # see `Event.sustainable`
    void: NotRequired["annulments.Void"]  # of an annulment, once it has met its event: see annulments.py
    logged: NotRequired[str]  # when the log took it, like `time`; only of what `LOGGED` names


class State(TypedDict):
    """What is known of an entity: facts by short type and slot, and about how many bytes they are.

    An erased entity keeps the erasure and no fact.
    """

    facts: dict[str, dict[str, Fact]]
    bytes: int
    erased: NotRequired[Fact]


class TooManyFacts(Refused):
    """An entity holds as much as it may; a further fact is not taken in (a document must stay small)."""

    def __init__(self, reason: str) -> None:
        super().__init__("room", reason)


def empty() -> State:
    return {"facts": {}, "bytes": 0}


class DecodedEvent(NamedTuple):
    """An event as a consumer takes it in: what it says, about what, and the fact that is to be kept."""

    event_class: EventClass
    subject: str
    partitionkey: str
    fact: Fact
    topic: str

    @property
    def source(self) -> str:
        return self.fact["source"]

    @property
    def publisher(self) -> str:
        return organisation_of(self.fact["source"])


def from_event(event: Event[Data]) -> DecodedEvent:
    data = event.data.model_dump(mode="json", exclude_none=True)
    fact: Fact = {
        "time": timestamp(event.time),
        "id": event.id,
        "source": event.source,
        "kind": event.sourcekind.value,
        "data": data,
    }
    if event.sustainable:
        fact["sustainable"] = event.sustainable
    return DecodedEvent(event.event_class, event.subject, event.partitionkey, fact, event.topic)


def decode(raw: bytes) -> DecodedEvent:
    """What the event in *raw* says: the same as `from_event(parse(raw, tolerant=True))`, as a rule without building it.

    Raises:
        ContractError: what does not fit, by field.
    """
    plain = parse_plain(raw)
    if plain is None:
        return from_event(parse(raw, tolerant=True))
    fact: Fact = {
        "time": plain["time"],
        "id": plain["id"],
        "source": plain["source"],
        "kind": plain["sourcekind"],
        "data": plain["data"],
    }
    if "sustainable" in plain:
        fact["sustainable"] = plain["sustainable"]
    event_class = DATA[plain["type"]]
    topic = SANDBOX if plain.get("sandbox") else event_class.topic
    return DecodedEvent(event_class, plain["subject"], plain["partitionkey"], fact, topic)


def organisation(fact: Fact) -> str:
    """Who said it."""
    return organisation_of(fact["source"])


def newest(*candidates: Fact | None) -> Fact | None:
    """The newest by time, id, source; of two that claim the same three, the greater content (any fixed choice)."""
    best = None
    for fact in candidates:
        if fact is not None and (best is None or is_newer(fact, best)):
            best = fact
    return best


def is_newer(one: Fact, other: Fact) -> bool:
    if one["time"] != other["time"]:  # as a rule, and the rest is slow
        return one["time"] > other["time"]
    return age(one) > age(other)


def age(fact: Fact) -> tuple[str, str, str, str, str, int, str]:
    """What facts are ordered by; equal for equal facts only.

    The same event that is sent again may be stamped otherwise. The one of which less counts wins: that is as a rule
    the first one, from before something was declared to count.
    """
    stamp = fact.get("sustainable", "")
    content = json.dumps(fact["data"], sort_keys=True)
    return fact["time"], fact["id"], fact["source"], fact["kind"], content, -len(stamp), stamp


def is_sustainability(fact: Fact, competency: str) -> bool:
    """Does a competency that the fact names count as sustainability?"""
    return events.is_sustainability(competency, fact.get("sustainable"))


def _month(event: DecodedEvent) -> str:
    return event.fact["time"][:7]


def _day(event: DecodedEvent) -> str:
    return event.fact["time"][:10]


def _publisher(event: DecodedEvent) -> str:
    return organisation(event.fact)


def _of_publisher(event: DecodedEvent) -> str:
    return f"{organisation(event.fact)}/{event.subject}"


def _programme(event: DecodedEvent) -> str:
    return str(event.fact["data"]["programme"])


def _institution(event: DecodedEvent) -> str:
    return str(event.fact["data"]["institution"])


def _recommendation(event: DecodedEvent) -> str:
    return str(event.fact["data"]["recommendation"])


def _consent(event: DecodedEvent) -> str:
    return f"{organisation(event.fact)}/{event.fact['data']['institution']}"


def _annulled(event: DecodedEvent) -> str:
    return f"{event.fact['data']['organisation']}/{event.fact['data']['submission']}"


def _credential(event: DecodedEvent) -> str:
    """Of many withdrawn credentials the last ones are kept: a token lives for a quarter of an hour."""
    return str(event.fact["data"]["credential"])[-2:]


def _answer(event: DecodedEvent) -> str:
    return f"{organisation(event.fact)}/{_recommendation(event)}"


def _window(event: DecodedEvent) -> str:
    return f"{_programme(event)}/{event.fact['data']['months']}"


def _reminder(event: DecodedEvent) -> str:
    return str(event.fact["data"]["number"])


def _did(event: DecodedEvent) -> str:
    """What was issued by a DID names it for good, so each that there was is kept."""
    data = event.fact["data"]
    return f"{data.get('did', '')}{'/own' if 'own_key' in data else ''}"


def _version(event: DecodedEvent) -> str:
    return str(event.fact["data"]["version"])


def _alerted(event: DecodedEvent) -> str:
    data = event.fact["data"]
    return f"{data['indicator']}/{data['scope']}/{data['scope_id']}/{data['window']}"


_SLOTS: dict[EventClass, Callable[[DecodedEvent], str]] = {
    LearnerEnrolled: _programme,
    LearnerGraduated: _programme,
    LearnerLeft: _programme,
    LearnerShared: _consent,
    LearnerErasureRequested: _institution,
    FollowupOpened: _window,
    LearnerErased: _publisher,
    OrganisationRegistered: _month,
    OrganisationSuspended: _month,
    OrganisationReinstated: _month,
    CredentialWithdrawn: _credential,
    IssuerDeclared: _did,
    ProgrammePublished: _month,
    ProgrammeRevisionRecommended: _recommendation,
    ProgrammeGapFound: _recommendation,
    ProgrammeDemandLapsed: _recommendation,
    ProgrammeRevisionWithdrawn: _recommendation,
    ProgrammeRevised: _answer,
    ProgrammeRevisionDeclined: _answer,
    ProgrammeRevisionPlanned: _answer,
    ProgrammeJoined: _publisher,
    ApplicationAccepted: _of_publisher,
    ApplicationDeclined: _of_publisher,
    AssessmentRecorded: _of_publisher,
    EmploymentRecorded: _of_publisher,
    EmploymentEnded: _of_publisher,
    FeedbackReminded: _reminder,
    FeedbackSubmitted: _of_publisher,
    FeedbackWithdrawn: _annulled,
    QuestionnairePublished: _version,
    FrameworkItemDefined: _version,
    FrameworkPublished: _version,
    SchemePublished: _day,
    AgreementSigned: _publisher,
    AgreementRefused: _publisher,
    AgreementEnded: _publisher,
    IndicatorAlerted: _alerted,
    **dict.fromkeys(ANNULMENTS, annulments.slot_of),
}


def slot_of(event: DecodedEvent) -> str:
    """What the fact is about within its entity: a sub-entity, a programme, the party that speaks, or a month.

    Where organisations number on their own, the slot names the organisation, so that none replaces another's fact.
    Of what makes a history (an entry changed, a new version) each month's newest is kept, so that the past stays; of a
    scheme each day's, because certificates are given by it.
    """
    rule = _SLOTS.get(event.event_class)
    return rule(event) if rule else event.subject


ERASURES = (LearnerErased, FeedbackErased)
LOGGED = (InternshipCompleted, LearnerGraduated)  # of which a rule asks when it became known
# What a programme is recommended to revise: for ratings, for gaps of another kind, and what nobody demands any more.
RECOMMENDATIONS = (ProgrammeRevisionRecommended, ProgrammeGapFound, ProgrammeDemandLapsed)
OF_CERTIFICATES = (CompetencyCertified, CertificateIssued, CertificateExpiring, CertificateCollected)
DECIDED_ONCE = (*OF_CERTIFICATES, *RECOMMENDATIONS, IndicatorAlerted, FollowupOpened, LearnerErasureRequested)


def apply(state: State, event: Event[Data] | DecodedEvent) -> State:
    """Take *event* into *state* as the fact (its type, its slot); the same object comes back if nothing changes.

    Raises:
        Refused: it is not for who says it to say, or the entity has no room for it (`TooManyFacts`).
    """
    one = event if isinstance(event, DecodedEvent) else from_event(event)
    fact = one.fact
    if "erased" in state and one.event_class not in ERASURES:
        return state
    if refusal := ownership.refusal(state["facts"], one):
        raise Refused(*refusal)
    if one.event_class in ERASURES and (
        one.event_class is FeedbackErased or "erased" in state or ownership.erases(state["facts"], one)
    ):
        erased = newest(state.get("erased"), fact)
        return state if erased is state.get("erased") else {**empty(), "erased": fact}
    slot = slot_of(one)
    if annulments.ANNULLED_BY.get(one.event_class) in state["facts"]:
        if annulled := annulments.met_by(state["facts"], one, slot):
            return _taken_back(state, annulled)
        if annulments.is_void(state["facts"], one, slot):
            return state
    return _annul(state, one, slot) if one.event_class in ANNULMENTS else _taken_in(state, one, slot)


def _taken_in(state: State, one: DecodedEvent, slot: str) -> State:
    fact, short_type = one.fact, one.event_class.short_type
    slots = state["facts"].get(short_type, {})
    kept = slots.get(slot)
    if kept is not None and _stays(kept, one.event_class, fact):
        return state
    size = state["bytes"] + _bytes(fact) - (_bytes(kept) if kept else 0)
    # What a service concludes is bounded by what it concludes from, and must not be lost.
    if fact["kind"] != "service":
        _check_room(state, one, kept, size)
    return {"facts": {**state["facts"], short_type: {**slots, slot: fact}}, "bytes": size}


def _annul(state: State, one: DecodedEvent, slot: str) -> State:
    """Take in an annulment, and take back what it is about if that is known already."""
    kept = state["facts"].get(one.event_class.short_type, {}).get(slot)
    known = kept["void"] if kept and "void" in kept else annulments.target(state["facts"], one)
    after = _taken_in(state, one, slot)
    return (
        after
        if known is None or after is state
        else _taken_back(after, annulments.Annulled(one.event_class.short_type, slot, known))
    )


def _taken_back(state: State, annulled: annulments.Annulled) -> State:
    """The state without what an annulment makes void."""
    by, key, void = annulled
    short_type, slot = void["type"], void["slot"]
    annulment: Fact = {**state["facts"][by][key], "void": void}
    told = {**state["facts"], by: {**state["facts"][by], key: annulment}}
    kept = told.get(short_type, {}).get(slot)
    if kept is None or not annulments.covers(void, kept):
        return {"facts": told, "bytes": state["bytes"]}
    left = {other: fact for other, fact in told.pop(short_type).items() if other != slot}
    return {"facts": told | ({short_type: left} if left else {}), "bytes": state["bytes"] - _bytes(kept)}


def _check_room(state: State, one: DecodedEvent, kept: Fact | None, size: int) -> None:
    """Refuse what would leave no room for others, first of all for the owners."""
    number = sum(map(len, state["facts"].values())) + (kept is None)
    if number > MAX_FACTS:
        raise TooManyFacts(f"the entity already holds {MAX_FACTS} facts")
    if size > MAX_BYTES:
        raise TooManyFacts(f"the entity's facts would be larger than {MAX_BYTES} bytes")
    if number > CHECKED_FROM_FACTS or size > CHECKED_FROM_BYTES:
        _check_share(state, one, kept)


def _check_share(state: State, one: DecodedEvent, kept: Fact | None) -> None:
    own, publisher, short_type = ownership.owners(state["facts"]), one.publisher, one.event_class.short_type
    numbers, sizes = Counter[tuple[str, str]](), Counter[str]()
    for type_, slots in state["facts"].items():
        for fact in slots.values():
            if fact is not kept and fact["kind"] != "service":
                numbers[organisation(fact), type_] += 1
                sizes[organisation(fact)] += _bytes(fact)
    numbers[publisher, short_type] += 1
    sizes[publisher] += _bytes(one.fact)
    if numbers[publisher, short_type] > MAX_FACTS_OF_A_TYPE:
        raise TooManyFacts(f"of one type an organisation may say {MAX_FACTS_OF_A_TYPE} facts of an entity")
    if not own or publisher in own:
        return
    of_one = sum(count for (whose, _), count in numbers.items() if whose == publisher)
    of_others = sum(count for (whose, _), count in numbers.items() if whose not in own)
    if of_one > MAX_FACTS_OF_ONE or sizes[publisher] > MAX_BYTES_OF_ONE:
        bound = f"{MAX_FACTS_OF_ONE} facts and {MAX_BYTES_OF_ONE} bytes"
        raise TooManyFacts(f"of an entity that another owns, an organisation may say {bound}")
    if (
        of_others > MAX_FACTS_OF_OTHERS
        or sum(n for whose, n in sizes.items() if whose not in own) > MAX_BYTES_OF_OTHERS
    ):
        raise TooManyFacts(f"the room of {MAX_FACTS_OF_OTHERS} facts for all but the entity's owners is used up")


def _stays(kept: Fact, event_class: EventClass, fact: Fact) -> bool:
    """Does the fact that is known win? Of what a service decides once the first, of everything else the newest."""
    return not (is_newer(kept, fact) if event_class in DECIDED_ONCE else is_newer(fact, kept))


def _bytes(fact: Fact) -> int:
    """About how large a fact is stored: the same for the same fact, so the sum is a function of the facts."""
    return 200 + len(fact["id"]) + len(repr(fact["data"])) + len(fact.get("sustainable", ""))


def facts(state: State, short_type: str) -> dict[str, Fact]:
    """The facts of one type, by slot."""
    return state["facts"].get(short_type, {})


def standing(state: State, short_type: str, annulled_by: str) -> dict[str, Fact]:
    """The facts of one type, by slot, but for those that the operator annulled."""
    annulled = facts(state, annulled_by)
    return {slot: fact for slot, fact in facts(state, short_type).items() if slot not in annulled}


def recommended(state: State) -> dict[str, Fact]:
    """The `RECOMMENDATIONS` to a programme that the operator has not withdrawn, by slot."""
    return {
        slot: fact
        for event_class in RECOMMENDATIONS
        for slot, fact in standing(state, event_class.short_type, "programme.revision_withdrawn").items()
    }


def ground_of(recommended: Fact) -> str:
    """Why something is recommended: a `GapGround`, or ratings, or lapsed (no demand)."""
    return "lapsed" if "observed_since" in recommended["data"] else recommended["data"].get("ground", "ratings")


def last(state: State, *short_types: str) -> Fact | None:
    """The newest fact of these types in any slot."""
    return newest(*(fact for t in short_types for fact in facts(state, t).values()))
