"""What was said by mistake and is taken back: the event that an annulment names, and what that event had replaced.

A state keeps one fact of each slot, so it may not hold what an annulment names: not yet, or because something newer
replaced it. An annulment therefore waits. Once it meets its event, the slot is void up to that event's time, in
whatever order both arrive; what is said of the slot with a later time counts.
"""

from typing import TYPE_CHECKING, NamedTuple, TypedDict

from shared.contract import events
from shared.contract.events import DATA, EventClass, Publisher, organisation_of
from shared.processing.ownership import HeldFacts

if TYPE_CHECKING:
    from shared.processing.facts import DecodedEvent, Fact

ANNULMENTS = (
    events.LearnerAnnulled,
    events.InternshipAnnulled,
    events.EmploymentAnnulled,
    events.AssessmentAnnulled,
    events.SupportAnnulled,
    events.ActivityAnnulled,
    events.DemandAnnulled,
    events.ProgrammeAnnulled,
)
_FOR_GOOD = (*ANNULMENTS, events.LearnerErased)  # what cannot be taken back itself


def _subject_of(event_class: EventClass) -> str:
    return event_class.short_type.partition(".")[0]


_BY_SUBJECT = {_subject_of(annulment): annulment.short_type for annulment in ANNULMENTS}
ANNULLED_BY: dict[EventClass, str] = {
    event_class: _BY_SUBJECT[_subject_of(event_class)]
    for event_class in DATA.values()
    if _subject_of(event_class) in _BY_SUBJECT and event_class not in _FOR_GOOD
}


class Void(TypedDict):
    """What an annulment that has met its event makes void.

    Attributes:
        type: the short type, of which `slot` is void.
        up_to: time, id and source of the event: what is not newer than it does not count.
        concerned: the organisations that the event named, and who published it.
    """

    type: str
    slot: str
    up_to: list[str]
    concerned: list[str]


class Annulled(NamedTuple):
    """An annulment that has met its event: its short type, its slot, and what it makes void."""

    by: str
    key: str
    void: Void


def slot_of(annulment: "DecodedEvent") -> str:
    """Whose event is taken back, which, and about what."""
    return f"{whose(annulment)}/{annulment.fact['data']['event']}/{annulment.subject}"


def whose(event: "DecodedEvent") -> str:
    """Whose word an event is about: its sender's own, or, where the operator annuls, the one that is named."""
    if event.fact["kind"] == Publisher.operator and event.event_class in ANNULMENTS:
        return str(event.fact["data"].get("organisation", event.publisher))
    return event.publisher


def target(held: HeldFacts, annulment: "DecodedEvent") -> Void | None:
    """What an annulment makes void, if the fact that it takes back is held."""
    id, by = annulment.fact["data"]["event"], whose(annulment)
    prefix = _subject_of(annulment.event_class) + "."
    for short_type, slots in held.items():
        if short_type.startswith(prefix) and short_type != annulment.event_class.short_type:
            for slot, fact in slots.items():
                if fact["id"] == id and organisation_of(fact["source"]) == by and _is_about(annulment, slot):
                    return _void(short_type, slot, fact)
    return None


def _is_about(annulment: "DecodedEvent", slot: str) -> bool:
    """Has the fact in *slot* the annulment's subject? Where that is the entity itself, all of its facts have."""
    return annulment.event_class.key != "learner" or slot.rpartition("/")[2] == annulment.subject


def _void(short_type: str, slot: str, fact: "Fact") -> Void:
    named = [fact["data"].get("enterprise"), fact["data"].get("institution"), *fact["data"].get("organisations", ())]
    concerned = sorted({organisation_of(fact["source"]), *filter(None, named)})
    return {"type": short_type, "slot": slot, "up_to": _age(fact), "concerned": concerned}


def _age(fact: "Fact") -> list[str]:
    return [fact["time"], fact["id"], fact["source"]]


def covers(void: Void, fact: "Fact") -> bool:
    """Does a fact of the slot not count?"""
    return _age(fact) <= void["up_to"]


def met_by(held: HeldFacts, event: "DecodedEvent", slot: str) -> Annulled | None:
    """The annulment that has waited for this event."""
    by = ANNULLED_BY.get(event.event_class, "")
    key = f"{event.publisher}/{event.fact['id']}/{event.subject}"
    waiting = held.get(by, {}).get(key)
    if waiting is None or "void" in waiting:
        return None
    return Annulled(by, key, _void(event.event_class.short_type, slot, event.fact))


def is_void(held: HeldFacts, event: "DecodedEvent", slot: str) -> bool:
    """Was an event taken back, itself or with what replaced it?"""
    known = held.get(ANNULLED_BY.get(event.event_class, ""), {}).values()
    about = (event.event_class.short_type, slot)
    voids = [annulment["void"] for annulment in known if "void" in annulment]
    return any((void["type"], void["slot"]) == about and covers(void, event.fact) for void in voids)
