"""Whose word counts: of two who claim the same, the first on the log has it. The same in every service.

A partition's order is the log's, and a state is made in that order. So a rule here looks at the facts that a state
holds already: whoever introduced an entity, or was named by those who did, speaks of it, and nobody else.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.contract import events
from shared.contract.events import Publisher, Says, organisation_of

if TYPE_CHECKING:
    from shared.processing.facts import Fact, Said

Told = Mapping[str, Mapping[str, "Fact"]]  # facts by short type and slot
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


Rule = Callable[[Told, "Said"], str | None]


def refusal(told: Told, said: "Said") -> Refusal | None:
    """What the facts of an entity have against a further event about it; None if nothing."""
    rule = _RULES.get(said.says)
    reason = rule(told, said) if rule and said.fact["kind"] != Publisher.operator else None
    return Refusal("asked" if said.says is events.FeedbackSubmitted else "owner", reason) if reason else None


def owners(told: Told) -> set[str]:
    """Who introduced an entity and speaks of all of it: what is kept free of an entity's room is theirs."""
    return _speakers(fact for type_ in _INTRODUCING for fact in told.get(type_, {}).values())


def erases(told: Told, said: "Said") -> bool:
    """Is a learner forgotten now? Every institution of the learner must have said so, or the operator."""
    asked = {said.speaker} | _speakers(told.get("learner.erased", {}).values())
    return said.fact["kind"] == Publisher.operator or institutions(told) <= asked


def institutions(told: Told) -> set[str]:
    """Those that enrolled a learner."""
    return _speakers(told.get("learner.enrolled", {}).values())


def is_asked(submitted: "Fact", request: Mapping[str, Any]) -> bool:
    """Does a submission come from the one whom the request asks, in the role that it asks?

    What a learner, graduate or mentor says comes through the institution; a request of earlier versions names none.
    """
    if submitted["data"]["role"] != request["role"]:
        return False
    if request["role"] == events.FeedbackRole.enterprise:
        return bool(_speaker(submitted) == request["respondent"])
    return submitted["kind"] == Publisher.institution and request.get("institution") in (None, _speaker(submitted))


def misnamed(id: str, organisation: str) -> str | None:
    """What is wrong with the id of something new: nobody's number shall meet another's."""
    return None if id.startswith(f"{organisation}:") else f"must begin with your own id: {organisation}:{id}"


def _speaker(fact: "Fact") -> str:
    return organisation_of(fact["source"])


def _speakers(found: Iterable["Fact"]) -> set[str]:
    return {_speaker(fact) for fact in found}


def _of_who_introduced(type_: str) -> Rule:
    what = type_.partition(".")[0]

    def rule(told: Told, said: "Said") -> str | None:
        own = _speakers(told.get(type_, {}).values())
        return f"this {what} belongs to another organisation" if own and said.speaker not in own else None

    return rule


def _of_parties(told: Told, said: "Said") -> str | None:
    proposals = told.get("agreement.proposed", {}).values()
    if not proposals or any(said.speaker in fact["data"]["parties"] for fact in proposals):
        return None
    return "this agreement belongs to other organisations"


def _enrols(told: Told, said: "Said") -> str | None:
    enrolled = told.get("learner.enrolled", {})
    known = enrolled.get(said.fact["data"]["programme"])
    if known is not None and _speaker(known) != said.speaker:
        return "another institution has enrolled the learner in this programme"
    consents = {fact["data"]["institution"] for fact in told.get("learner.shared", {}).values()}
    if enrolled and said.speaker not in _speakers(enrolled.values()) | consents:
        return "the learner belongs to another organisation, which has not shared the learner with you"
    return None


def _graduates(told: Told, said: "Said") -> str | None:
    known = told.get("learner.enrolled", {}).get(said.fact["data"]["programme"])
    if known is not None and _speaker(known) != said.speaker:
        return "another institution has enrolled the learner in this programme"
    return _of_institutions(told, said)


def _of_institutions(told: Told, said: "Said") -> str | None:
    own = institutions(told)
    return "the learner belongs to another organisation" if own and said.speaker not in own else None


def _shares(told: Told, said: "Said") -> str | None:
    return None if said.speaker in institutions(told) else "you have not enrolled the learner"


def _supports(told: Told, said: "Said") -> str | None:
    opened = told.get("support.requested", {}).get(said.subject)
    if opened is not None and _speaker(opened) != said.speaker:
        return "this support case belongs to another organisation"
    return _of_institutions(told, said)


def _places(told: Told, said: "Said") -> str | None:
    """An internship is of its enterprise, of who introduced it and of who enrolled the learner in its programme."""
    if said.fact["kind"] == Publisher.institution and (foreign := _of_institutions(told, said)):
        return foreign
    known = [fact for type_ in INTERNSHIP if (fact := told.get(type_, {}).get(said.subject))]
    if not known or said.speaker in _speakers(known):
        return None
    enrolled = told.get("learner.enrolled", {})
    own = {fact["data"]["enterprise"] for fact in known}
    for fact in known:
        by = enrolled.get(fact["data"]["programme"])
        own |= {_speaker(by)} if by else _speakers(enrolled.values())
    return None if said.speaker in own else "this internship belongs to other organisations"


def _answers(told: Told, said: "Said") -> str | None:
    for request in told.get("feedback.requested", {}).values():
        if not is_asked(said.fact, request["data"]):
            return "this request does not ask you, or not in this role"
    return None


_INTRODUCING = (
    "learner.enrolled",
    "programme.published",
    "agreement.proposed",
    "activity.held",
    "opportunity.posted",
    "scheme.published",
)
_RULES: dict[Says, Rule] = {
    events.AgreementProposed: _of_parties,
    events.AgreementSigned: _of_parties,
    events.AgreementRefused: _of_parties,
    events.AgreementEnded: _of_parties,
    events.ProgrammePublished: _of_who_introduced("programme.published"),
    events.ProgrammeRevised: _of_who_introduced("programme.published"),
    events.ProgrammeRevisionDeclined: _of_who_introduced("programme.published"),
    events.ActivityHeld: _of_who_introduced("activity.held"),
    events.OpportunityPosted: _of_who_introduced("opportunity.posted"),
    events.OpportunityClosed: _of_who_introduced("opportunity.posted"),
    events.SchemePublished: _of_who_introduced("scheme.published"),
    events.LearnerEnrolled: _enrols,
    events.LearnerGraduated: _graduates,
    events.LearnerShared: _shares,
    events.LearnerErased: _of_institutions,
    events.SupportRequested: _supports,
    events.SupportClosed: _supports,
    events.InternshipStarted: _places,
    events.InternshipCompleted: _places,
    events.InternshipCancelled: _places,
    events.FeedbackSubmitted: _answers,
}
