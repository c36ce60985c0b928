"""Whose word counts: of two who claim the same, the first on the log has it. The same in every service.

A partition's order is the log's, and a state is made in that order. So a rule here looks at the facts that a state
holds already: whoever introduced an entity, or was named by those who did, speaks of it, and nobody else.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.contract import events
from shared.contract.events import EventClass, Publisher, organisation_of

if TYPE_CHECKING:
    from shared.processing.facts import DecodedEvent, Fact

HeldFacts = Mapping[str, Mapping[str, "Fact"]]  # facts by short type and slot
INTERNSHIP = ("internship.started", "internship.completed", "internship.cancelled")


class Refused(ValueError):
    """An event stays on the log and is not applied.

    Attributes:
        rule: its name, for programs.
    """

    def __init__(self, rule: str, reason: str) -> None:
        self.rule = rule
        super().__init__(reason)


class Refusal(NamedTuple):
    """Which rule forbids an event, and why; the reason names no learner."""

    rule: str
    reason: str


Rule = Callable[[HeldFacts, "DecodedEvent"], str | None]


def has_rule(of: EventClass) -> bool:
    """Can `refusal` have anything against events of this class?"""
    return of in _RULES


def refusal(held: HeldFacts, event: "DecodedEvent") -> Refusal | None:
    """What the facts of an entity have against a further event about it; None if nothing."""
    rule = _RULES.get(event.event_class)
    reason = rule(held, event) if rule and event.fact["kind"] != Publisher.operator else None
    return Refusal("asked" if event.event_class is events.FeedbackSubmitted else "owner", reason) if reason else None


def owners(held: HeldFacts) -> set[str]:
    """Who introduced an entity and speaks of all of it: what is kept free of an entity's room is theirs."""
    return _publishers(fact for type_ in _INTRODUCING for fact in held.get(type_, {}).values())


def erases(held: HeldFacts, event: "DecodedEvent") -> bool:
    """Is a learner forgotten now? Every institution of the learner must have said so, or the operator."""
    asked = {event.publisher} | _publishers(held.get("learner.erased", {}).values())
    return event.fact["kind"] == Publisher.operator or institutions(held) <= asked


def institutions(held: HeldFacts) -> set[str]:
    """Those that enrolled a learner."""
    return _publishers(held.get("learner.enrolled", {}).values())


def is_asked(submitted: "Fact", request: Mapping[str, Any]) -> bool:
    """Does a submission come from the one whom the request asks, in the role that it asks?

    What a learner, graduate or mentor says comes through the institution, or by a one-time link in its name; a request
    of earlier versions names none.
    """
    if submitted["data"]["role"] != request["role"]:
        return False
    if request["role"] == events.FeedbackRole.enterprise:
        return bool(_publisher(submitted) == request["respondent"])
    passes_on = submitted["kind"] in (Publisher.institution, Publisher.service)
    return passes_on and request.get("institution") in (None, _publisher(submitted))


def is_withdrawn(request: "Fact", cancelled: "Fact | None") -> bool:
    """Was a request withdrawn, and not raised again since?"""
    return cancelled is not None and request["time"] <= cancelled["time"]


def misnamed(id: str, organisation: str) -> str | None:
    """What is wrong with the id of something new: nobody's number shall meet another's."""
    return None if id.startswith(f"{organisation}:") else f"must begin with your own id: {organisation}:{id}"


def _publisher(fact: "Fact") -> str:
    return organisation_of(fact["source"])


def _publishers(found: Iterable["Fact"]) -> set[str]:
    return {_publisher(fact) for fact in found}


def _of_who_introduced(type_: str) -> Rule:
    what = type_.partition(".")[0]

    def rule(held: HeldFacts, event: "DecodedEvent") -> str | None:
        own = _publishers(held.get(type_, {}).values())
        return f"this {what} belongs to another organisation" if own and event.publisher not in own else None

    return rule


def _of_parties(held: HeldFacts, event: "DecodedEvent") -> str | None:
    proposals = held.get("agreement.proposed", {}).values()
    if not proposals or any(event.publisher in fact["data"]["parties"] for fact in proposals):
        return None
    return "this agreement belongs to other organisations"


def _enrols(held: HeldFacts, event: "DecodedEvent") -> str | None:
    enrolled = held.get("learner.enrolled", {})
    known = enrolled.get(event.fact["data"]["programme"])
    if known is not None and _publisher(known) != event.publisher:
        return "another institution has enrolled the learner in this programme"
    consents = {fact["data"]["institution"] for fact in held.get("learner.shared", {}).values()}
    if enrolled and event.publisher not in _publishers(enrolled.values()) | consents:
        return "the learner belongs to another organisation, which has not shared the learner with you"
    return None


def _graduates(held: HeldFacts, event: "DecodedEvent") -> str | None:
    known = held.get("learner.enrolled", {}).get(event.fact["data"]["programme"])
    if known is not None and _publisher(known) != event.publisher:
        return "another institution has enrolled the learner in this programme"
    return _of_institutions(held, event)


def _of_institutions(held: HeldFacts, event: "DecodedEvent") -> str | None:
    own = institutions(held)
    return "the learner belongs to another organisation" if own and event.publisher not in own else None


def _shares(held: HeldFacts, event: "DecodedEvent") -> str | None:
    return None if event.publisher in institutions(held) else "you have not enrolled the learner"


def _supports(held: HeldFacts, event: "DecodedEvent") -> str | None:
    opened = held.get("support.requested", {}).get(event.subject)
    if opened is not None and _publisher(opened) != event.publisher:
        return "this support case belongs to another organisation"
    return _of_institutions(held, event)


def _applies(held: HeldFacts, event: "DecodedEvent") -> str | None:
    known = held.get("application.submitted", {}).get(event.subject)
    if known is not None and _publisher(known) != event.publisher:
        return "another institution has passed this application on"
    return _of_institutions(held, event)


def _places(held: HeldFacts, event: "DecodedEvent") -> str | None:
    """An internship is of its enterprise, of who introduced it and of who enrolled the learner in its programme."""
    if event.fact["kind"] == Publisher.institution and (foreign := _of_institutions(held, event)):
        return foreign
    known = [fact for type_ in INTERNSHIP if (fact := held.get(type_, {}).get(event.subject))]
    if not known or event.publisher in _publishers(known):
        return None
    enrolled = held.get("learner.enrolled", {})
    own = {fact["data"]["enterprise"] for fact in known}
    for fact in known:
        by = enrolled.get(fact["data"]["programme"])
        own |= {_publisher(by)} if by else _publishers(enrolled.values())
    return None if event.publisher in own else "this internship belongs to other organisations"


def _answers(held: HeldFacts, event: "DecodedEvent") -> str | None:
    for request in held.get("feedback.requested", {}).values():
        if not is_asked(event.fact, request["data"]):
            return "this request does not ask you, or not in this role"
    return None


def _alert_rule(held: HeldFacts, event: "DecodedEvent") -> str | None:
    """An institution's rule has a number of its own, which nobody else can have had before."""
    wrong = misnamed(event.subject, event.publisher) if event.fact["kind"] == "institution" else None
    return wrong or _of_who_introduced("indicator.rule_set")(held, event)


_INTRODUCING = (
    "learner.enrolled",
    "programme.published",
    "agreement.proposed",
    "activity.held",
    "opportunity.posted",
    "scheme.published",
)
_RULES: dict[EventClass, Rule] = {
    events.AgreementProposed: _of_parties,
    events.AgreementSigned: _of_parties,
    events.AgreementRefused: _of_parties,
    events.AgreementEnded: _of_parties,
    events.ProgrammePublished: _of_who_introduced("programme.published"),
    events.ProgrammeRevised: _of_who_introduced("programme.published"),
    events.ProgrammeRevisionPlanned: _of_who_introduced("programme.published"),
    events.ProgrammeRevisionDeclined: _of_who_introduced("programme.published"),
    events.ActivityHeld: _of_who_introduced("activity.held"),
    events.OpportunityPosted: _of_who_introduced("opportunity.posted"),
    events.OpportunityClosed: _of_who_introduced("opportunity.posted"),
    events.SchemePublished: _of_who_introduced("scheme.published"),
    events.LearnerEnrolled: _enrols,
    events.LearnerGraduated: _graduates,
    events.LearnerLeft: _graduates,
    events.LearnerDescribed: _of_institutions,
    events.LearnerShared: _shares,
    events.LearnerErased: _of_institutions,
    events.SupportRequested: _supports,
    events.SupportClosed: _supports,
    events.InternshipStarted: _places,
    events.InternshipCompleted: _places,
    events.InternshipCancelled: _places,
    events.ApplicationSubmitted: _applies,
    events.ApplicationWithdrawn: _applies,
    events.FeedbackSubmitted: _answers,
    events.IndicatorRuleSet: _alert_rule,
    events.IndicatorRuleRemoved: _alert_rule,
}
