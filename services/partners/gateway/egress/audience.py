"""Whom an event concerns: the organisations that are sent it, besides the one that published it.

Nobody is sent of a learner what `registry.part` would not let it read: the learner's institutions get all, others what
names them. Of requests and answers they are sent what the feedback service shows: no enterprise sees how it was rated.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.partners.network.regions import of_region
from services.partners.network.registry import OF_PARTNERS, View
from shared.contract import events
from shared.contract.events import Data, Event, EventClass, FeedbackRole

OF_ALERTS = (events.IndicatorAlerted, events.IndicatorAcknowledged)


@dataclass(frozen=True)
class Known:
    """What the registry shows of the entities that the events are about, by id; of regions see `regions.py`."""

    learners: Mapping[str, View] = field(default_factory=dict)
    agreements: Mapping[str, View] = field(default_factory=dict)
    programmes: Mapping[str, View] = field(default_factory=dict)
    activities: Mapping[str, View] = field(default_factory=dict)
    institutions: Mapping[str, frozenset[str]] = field(default_factory=dict)


def audience_of(event: Event[Data], known: Known) -> set[str]:
    """Organisations by id, registered or not; what is said in the sandbox is for nobody but who said it."""
    publisher = {events.organisation_of(event.source)} if event.source.startswith("/organisations/") else set[str]()
    rules = () if event.sandbox or _is_foreign(event, known) else RULES[event.event_class]
    return publisher.union(*(rule(event, known) for rule in rules))


def _is_foreign(event: Event[Data], known: Known) -> bool:
    """Is the event about what belongs to others, so that it was not applied? Then it concerns nobody."""
    publisher = events.organisation_of(event.source)
    if event.sourcekind in (events.Publisher.service, events.Publisher.operator):
        return False
    if event.data.topic == "programme" and not isinstance(event.data, OF_PARTNERS):
        return known.programmes.get(event.subject, {}).get("institution") not in (None, publisher)
    if event.data.topic == "activity":
        return known.activities.get(event.subject, {}).get("organiser") not in (None, publisher)
    if event.data.topic == "learner":
        readers = known.learners.get(event.partitionkey, {}).get("readers")
        return readers is not None and publisher not in readers
    return False


def learner_of(event: Event[Data]) -> str | None:
    """Whose event it is, if it is about a learner."""
    return event.partitionkey if event.data.topic == "learner" else getattr(event.data, "learner", None)


def programme_of(event: Event[Data]) -> str | None:
    """The programme whose institution and partners an event may concern."""
    if event.data.topic == "programme":
        return event.subject
    if isinstance(event.data, OF_ALERTS):
        return event.data.scope_id if event.data.scope == "programme" else None
    return getattr(event.data, "programme", None)


Rule = Callable[[Event[Any], Known], Iterable[str]]


def _subject(event: Event[Any], _: Known) -> Iterable[str]:
    return (event.subject,)


def _enterprise(event: Event[Any], _: Known) -> Iterable[str]:
    return (event.data.enterprise,) if event.data.enterprise else ()


def _institutions(event: Event[Any], known: Known) -> Iterable[str]:
    """Those that enrolled the learner."""
    shown = known.learners.get(learner_of(event) or "", {})
    return tuple(shown.get("institutions", ()))


def _named_parties(event: Event[Any], _: Known) -> Iterable[str]:
    return tuple(event.data.parties)


def _parties(event: Event[Any], known: Known) -> Iterable[str]:
    return tuple(known.agreements.get(event.subject, {}).get("parties") or ())


def _named_partners(event: Event[Any], _: Known) -> Iterable[str]:
    return tuple(partner.organisation for partner in event.data.joint_partners)


def _institution(event: Event[Any], known: Known) -> Iterable[str]:
    """The programme's."""
    shown = known.programmes.get(programme_of(event) or "", {})
    return (shown["institution"],) if shown.get("institution") else ()


def _partners(event: Event[Any], known: Known) -> Iterable[str]:
    """The programme's institution and joint partners."""
    shown = known.programmes.get(programme_of(event) or "", {})
    return (*_institution(event, known), *(partner["organisation"] for partner in shown.get("joint_partners") or ()))


def _participants(event: Event[Any], _: Known) -> Iterable[str]:
    return tuple(event.data.organisations)


def _concerned(event: Event[Any], known: Known) -> Iterable[str]:
    """Those whom the event concerned that is taken back."""
    of = known.activities if event.data.topic == "activity" else known.learners
    taken_back = of.get(event.partitionkey, {}).get("annulled", ())
    return tuple(id for item in taken_back if item["event"] == event.data.event for id in item["concerned"])


def _certifiers(event: Event[Any], _: Known) -> Iterable[str]:
    """Who issued the scheme, and whose assessments met it."""
    return (event.data.institution, *(evidence.partition("/")[0] for evidence in event.data.evidence))


def _respondent(event: Event[Any], _: Known) -> Iterable[str]:
    """The enterprise that is asked; a learner is asked through the institutions."""
    return (event.data.respondent,) if event.data.role is FeedbackRole.enterprise else ()


def _issuer(event: Event[Any], _: Known) -> Iterable[str]:
    """Whose certificate it is."""
    return (event.data.institution,)


def _consented(event: Event[Any], _: Known) -> Iterable[str]:
    return (event.data.institution,)


def _publisher(event: Event[Any], _: Known) -> Iterable[str]:
    return (event.data.organisation,)


def _scope(event: Event[Any], _: Known) -> Iterable[str]:
    return (event.data.scope_id,) if event.data.scope in ("institution", "enterprise") else ()


def _alerted(event: Event[Any], known: Known) -> Iterable[str]:
    """Whose rule it is; if that is the operator, whom the alert is about."""
    if event.data.organisation:
        return (event.data.organisation,)
    return (*_scope(event, known), *_partners(event, known), *_region(event, known))


def _region(event: Event[Any], known: Known) -> Iterable[str]:
    """The institutions of the region that it is of."""
    return known.institutions.get(of_region(event) or "", ())


RULES: dict[EventClass, tuple[Rule, ...]] = {
    events.OrganisationRegistered: (_subject,),
    events.OrganisationSuspended: (_subject,),
    events.OrganisationReinstated: (_subject,),
    events.CredentialWithdrawn: (_publisher,),
    events.IssuerDeclared: (_subject,),
    events.AgreementProposed: (_named_parties, _parties),
    events.AgreementSigned: (_parties,),
    events.AgreementRefused: (_parties,),
    events.AgreementEnded: (_parties,),
    events.ProgrammePublished: (_named_partners, _partners),
    events.ProgrammeRevisionRecommended: (_partners,),
    events.ProgrammeGapFound: (_partners,),
    events.ProgrammeDemandLapsed: (_partners,),
    events.ProgrammeRevisionWithdrawn: (_partners,),
    events.ProgrammeRevised: (_partners,),
    events.ProgrammeRevisionDeclined: (_partners,),
    events.ProgrammeRevisionPlanned: (_partners,),
    events.ProgrammeJoined: (_partners,),
    events.ProgrammeAnnulled: (_partners,),
    events.ActivityHeld: (_participants,),
    events.ActivityAnnulled: (_concerned,),
    events.LearnerEnrolled: (_institutions,),
    events.LearnerGraduated: (_institutions,),
    events.LearnerLeft: (_institutions,),
    events.LearnerDescribed: (),  # nobody but who said it: it is sensitive
    events.LearnerAnnulled: (_concerned, _institutions),
    events.LearnerShared: (_consented, _institutions),
    events.FollowupOpened: (),  # who is to pass something on is sent the requests
    events.LearnerErased: (_institutions,),  # and whom the learner concerned before: see `forwarding.py`
    events.LearnerErasureRequested: (_institutions,),
    events.InternshipStarted: (_enterprise, _institutions),
    events.InternshipCompleted: (_enterprise, _institutions),
    events.InternshipCancelled: (_enterprise, _institutions),
    events.InternshipAnnulled: (_concerned, _institutions),
    events.EmploymentRecorded: (_enterprise, _institutions),
    events.EmploymentEnded: (_institutions,),
    events.EmploymentAnnulled: (_concerned, _institutions),
    events.ApplicationSubmitted: (_enterprise, _institutions),
    events.ApplicationWithdrawn: (_enterprise, _institutions),
    events.ApplicationAccepted: (_institutions,),
    events.ApplicationDeclined: (_institutions,),
    events.SupportRequested: (_institutions,),
    events.SupportClosed: (_institutions,),
    events.SupportAnnulled: (_concerned, _institutions),
    events.AssessmentRecorded: (_institutions,),
    events.AssessmentAnnulled: (_concerned, _institutions),
    events.CompetencyCertified: (_certifiers, _institutions),
    events.CompetencyRevoked: (_institutions,),
    events.CertificateExpiring: (_issuer, _institutions),
    events.CertificateIssued: (_issuer, _institutions),
    events.CertificateCollected: (_institutions,),
    events.CertificateHidden: (_institutions,),
    events.CertificateShown: (_institutions,),
    events.OpportunityPosted: (_region,),
    events.OpportunityClosed: (_region,),
    events.FeedbackRequested: (_respondent, _institution, _institutions),
    events.FeedbackReminded: (_respondent, _institution, _institutions),
    events.FeedbackExpired: (_respondent, _institution, _institutions),
    events.FeedbackSubmitted: (_institution,),
    events.QuestionnairePublished: (),
    events.FeedbackWithdrawn: (_publisher,),
    events.FeedbackCancelled: (_respondent, _institution, _institutions),
    events.FeedbackErased: (),  # who was sent the request is sent the learner's erasure
    events.DemandReported: (_region,),
    events.DemandAnnulled: (_region,),
    events.VacancyObserved: (),
    events.VacancyClosed: (),
    events.SkillMapped: (),
    events.RecognitionGranted: (_region,),
    events.RecognitionWithdrawn: (_region,),
    events.SchemePublished: (),
    events.FrameworkItemDefined: (),  # whoever wants them reads /frameworks
    events.FrameworkPublished: (),
    events.IndicatorRuleSet: (),
    events.IndicatorRuleRemoved: (),
    events.IndicatorAlerted: (_alerted,),
    events.IndicatorAcknowledged: (_scope, _institution),
    events.EventRefused: (_publisher,),
}
