"""Who is certified: pure rules from a learner's facts and the schemes."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from shared.contract.events import (
    AssessmentAnnulled,
    AssessmentRecorded,
    CertificateCollected,
    CertificateHidden,
    CertificateIssued,
    CertificateShown,
    CompetencyCertified,
    CompetencyRevoked,
    Data,
    Event,
    LearnerAnnulled,
    LearnerEnrolled,
    LearnerErased,
    LearnerErasureRequested,
    LearnerShared,
    OrganisationRegistered,
    SchemePublished,
    derive,
    derived_id,
)
from shared.http.access import CHANGES, access
from shared.processing import facts
from shared.processing.facts import DecodedEvent, Fact, State
from shared.processing.mongo import Key

ORGANISATION_FACTS = (OrganisationRegistered, *CHANGES)
LEARNER_FACTS = (
    LearnerEnrolled,
    LearnerShared,
    LearnerErased,
    LearnerAnnulled,
    AssessmentRecorded,
    AssessmentAnnulled,
    CompetencyCertified,
    CompetencyRevoked,
    CertificateIssued,
    CertificateCollected,
    CertificateHidden,
    CertificateShown,
    LearnerErasureRequested,
)


class Scheme(NamedTuple):
    """The rule by which an institution certifies its learners in a competency."""

    id: str
    time: str
    institution: str
    competency: str
    level: int
    methods: tuple[str, ...]
    least_score: float
    enterprise_required: bool
    sustainable: str | None = None  # as `Event.sustainable` of its publication


Schemes = Mapping[str, list[Scheme]]  # by competency


def route(event: DecodedEvent) -> Key | None:
    if event.event_class is SchemePublished:
        return Key("schemes", event.partitionkey)
    if event.event_class in ORGANISATION_FACTS:
        return Key("organisations", event.partitionkey)
    if event.event_class in LEARNER_FACTS:
        return Key("learners", event.partitionkey)
    return None


def view(key: Key, state: State) -> dict[str, Any]:
    match key.collection:
        case "schemes":
            return _scheme_view(state)
        case "organisations":
            return _organisation_view(state)
        case _:
            return _learner_view(state)


def _organisation_view(state: State) -> dict[str, Any]:
    """The name, and whether its tokens may be used."""
    registered = facts.last(state, "organisation.registered")
    shown = {"name": registered["data"]["name"]} if registered else {}
    return shown | access(state)


def _scheme_view(state: State) -> dict[str, Any]:
    published = facts.last(state, "scheme.published")
    return {} if published is None else {**published["data"], "institution": facts.organisation(published)}


def _learner_view(state: State) -> dict[str, Any]:
    return {
        "institutions": sorted(map(facts.organisation, facts.facts(state, "learner.enrolled").values())),
        "assessed": sorted({f["data"]["competency"] for f in facts.facts(state, "assessment.recorded").values()}),
        "certificates": certificates(state),
        "erasure_requested": erasures_requested(state),
    }


def certificates(state: State) -> list[dict[str, Any]]:
    """A learner's certificates by id, with the revocation if there is one, and what the evidence was."""
    revoked = facts.facts(state, "competency.revoked")
    assessments = facts.facts(state, "assessment.recorded")
    issued, collected = facts.facts(state, "certificate.issued"), facts.facts(state, "certificate.collected")
    return [
        {
            "id": id,
            **{k: v for k, v in fact["data"].items() if k != "evidence"},
            "certified_at": fact["time"],
            "evidence": [
                {"assessment": slot, "method": found["data"]["method"], "assessor": facts.organisation(found)}
                for slot in fact["data"]["evidence"]
                if (found := assessments.get(slot))
            ],
            "status": "revoked" if id in revoked else "valid",
            "revoked_at": revoked[id]["time"] if id in revoked else None,
            "reason": revoked[id]["data"]["reason"] if id in revoked else None,
            **({"number": issued[id]["data"]["number"]} if id in issued else {}),
            **({"collected_at": collected[id]["time"]} if id in collected else {}),
            **({"hidden": True} if is_hidden(state, id) else {}),
        }
        for id, fact in sorted(facts.facts(state, "competency.certified").items())
    ]


def erasures_requested(state: State) -> list[dict[str, str]]:
    """Which institutions the learner asks for erasure that have not done their part, and since when."""
    done = facts.facts(state, "learner.erased")
    asked = facts.facts(state, "learner.erasure_requested").items()
    return [{"institution": slot, "at": fact["time"]} for slot, fact in sorted(asked) if slot not in done]


def is_hidden(state: State, id: str) -> bool:
    """Has the learner said last that a certificate is not to be shown in public?"""
    hidden, shown = (facts.facts(state, name).get(id) for name in ("certificate.hidden", "certificate.shown"))
    return hidden is not None and facts.newest(shown, hidden) is hidden


def certificate_id(learner: str, scheme: Scheme) -> str:
    return derived_id("competency.certified", learner, scheme.competency, scheme.id)


def decide(key: Key, state: State, schemes: Schemes | None) -> list[Event[Data]]:
    """The certificates that a learner has earned and does not have, and the revocations of those not earned any more.

    A certificate stays, whatever is corrected later, until it is revoked; a revoked one is not given again. It is
    revoked if something that it rests on was taken back and the learner does not meet the scheme without it.
    """
    if key.collection != "learners" or not schemes:
        return []
    return certify(key, state, schemes) + _revoke(key, state, schemes)


def _revoke(key: Key, state: State, schemes: Schemes) -> list[Event[Data]]:
    held, revoked = facts.facts(state, "competency.certified"), facts.facts(state, "competency.revoked")
    return [
        derive(
            "certification",
            CompetencyRevoked(reason="What it rests on was taken back."),
            id=derived_id("competency.revoked", id),
            subject=id,
            key=key.id,
            time=datetime.fromisoformat(max(fact["time"], taken_back["time"])),
        )
        for id, fact in held.items()
        if id not in revoked and (taken_back := _taken_back(state, fact))
        for scheme in schemes.get(fact["data"]["competency"], [])
        if scheme.id == fact["data"]["scheme"] and not evidence(state, scheme)
    ]


def _taken_back(state: State, certified: Fact) -> Fact | None:
    """The annulment of an assessment that a certificate rests on, or of an enrolment; the newest."""
    annulments = [*facts.facts(state, "assessment.annulled").values(), *facts.facts(state, "learner.annulled").values()]
    evidence = certified["data"]["evidence"]
    return facts.newest(
        *(a for a in annulments if "void" in a and (a["void"]["slot"] in evidence or a["void"]["type"] == _ENROLLED))
    )


_ENROLLED = "learner.enrolled"


def certify(key: Key, state: State, schemes: Schemes) -> list[Event[Data]]:
    held = facts.facts(state, "competency.certified")
    assessed = {fact["data"]["competency"] for fact in facts.facts(state, "assessment.recorded").values()}
    return [
        _certificate(key.id, scheme, earned)
        for competency in sorted(assessed)
        for scheme in schemes.get(competency, [])
        if certificate_id(key.id, scheme) not in held and (earned := evidence(state, scheme))
    ]


def evidence(state: State, scheme: Scheme) -> list[tuple[str, Fact]]:
    """The assessments by which a learner meets *scheme*, oldest first; empty if the learner does not meet it.

    Each method of the scheme needs an assessment of at least the least score, and one of them must come from an
    enterprise if the scheme says so. The learner must be enrolled at the scheme's institution.
    """
    enrolments = facts.facts(state, "learner.enrolled").values()
    if scheme.institution not in map(facts.organisation, enrolments):
        return []
    passed = sorted(
        (
            (id, fact)
            for id, fact in facts.facts(state, "assessment.recorded").items()
            if fact["data"]["competency"] == scheme.competency
            and fact["data"]["method"] in scheme.methods
            and fact["data"]["score"] >= scheme.least_score
        ),
        key=lambda item: (item[1]["time"], item[0]),
    )
    chosen = {id: fact for method in scheme.methods for id, fact in _first(passed, "method", method)}
    if len({fact["data"]["method"] for fact in chosen.values()}) < len(set(scheme.methods)):
        return []
    if scheme.enterprise_required and not any(fact["kind"] == "enterprise" for fact in chosen.values()):
        by_enterprise = [(id, fact) for id, fact in passed if fact["kind"] == "enterprise"][:1]
        if not by_enterprise:
            return []
        chosen.update(by_enterprise)
    return sorted(chosen.items(), key=lambda item: (item[1]["time"], item[0]))


def _first(passed: Iterable[tuple[str, Fact]], field: str, value: str) -> list[tuple[str, Fact]]:
    return [(id, fact) for id, fact in passed if fact["data"][field] == value][:1]


def _certificate(learner: str, scheme: Scheme, earned: list[tuple[str, Fact]]) -> Event[Data]:
    id = certificate_id(learner, scheme)
    data = CompetencyCertified(
        competency=scheme.competency,
        level=scheme.level,
        scheme=scheme.id,
        institution=scheme.institution,
        evidence=[assessment for assessment, _ in earned],
        address=f"/certificates/{id}",
    )
    # The moment it was earned: the last assessment needed, or the scheme if that came later.
    time = datetime.fromisoformat(max(scheme.time, *(fact["time"] for _, fact in earned)))
    # Whether it counts as sustainability follows from what it rests on, not from what is in force when it is decided.
    stamps = (scheme.sustainable, *(fact.get("sustainable") for _, fact in earned))
    stamp = scheme.competency if scheme.competency in stamps else None
    return derive("certification", data, id=id, subject=id, key=learner, time=time, sustainable=stamp)
