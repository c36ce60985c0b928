"""Who is certified: pure rules from a learner's facts and the schemes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Any, NamedTuple

from services.certification.recognition import rules as recognitions
from shared.contract.events import (
    AssessmentAnnulled,
    AssessmentRecorded,
    CertificateCollected,
    CertificateExpiring,
    CertificateHidden,
    CertificateIssued,
    CertificateShown,
    CompetencyCertified,
    CompetencyRevoked,
    Data,
    Event,
    IssuerDeclared,
    LearnerAnnulled,
    LearnerEnrolled,
    LearnerErased,
    LearnerErasureRequested,
    LearnerGraduated,
    LearnerShared,
    OrganisationRegistered,
    SchemePublished,
    derive,
    derived_id,
    timestamp,
)
from shared.http.access import CHANGES, access
from shared.processing import facts
from shared.processing.employment import months_later
from shared.processing.facts import DecodedEvent, Fact, State
from shared.processing.mongo import Key

ORGANISATION_FACTS = (OrganisationRegistered, IssuerDeclared, *CHANGES)
LEARNER_FACTS = (
    LearnerEnrolled,
    LearnerGraduated,
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
    CertificateExpiring,
)


NEVER = "9999"  # later than any `timestamp`
REMINDED = timedelta(days=90)  # before a certificate ends


class Scheme(NamedTuple):
    """The rule by which an institution certifies its learners in a competency.

    Attributes:
        least_scores, assessors: of the methods that ask for another score, or for more than one assessor.
    """

    id: str
    time: str
    institution: str
    competency: str
    level: int
    methods: tuple[str, ...]
    least_score: float
    enterprise_required: bool
    sustainable: str | None = None  # as `Event.sustainable` of its publication
    least_scores: tuple[tuple[str, float], ...] = ()
    assessors: tuple[tuple[str, int], ...] = ()
    valid_months: int | None = None

    def score(self, method: str) -> float:
        """The least that an assessment by *method* must have."""
        return dict(self.least_scores).get(method, self.least_score)

    def count(self, method: str) -> int:
        """How many have to assess by *method*."""
        return dict(self.assessors).get(method, 1)


def asked_by_method(asked: Iterable[Mapping[str, Any]]) -> dict[str, tuple[tuple[str, Any], ...]]:
    """The fields of a `Scheme` that say what some methods ask for, from those of its event."""
    return {
        field: tuple((each["method"], each[name]) for each in asked if each.get(name) is not None)
        for field, name in (("least_scores", "least_score"), ("assessors", "assessors"))
    }


Schemes = Mapping[str, list[Scheme]]  # by competency


class Context(NamedTuple):
    """What a learner is judged by besides the facts.

    Attributes:
        schemes: as they are in force now.
        today: set at a tick only: then it is decided whose certificate ends soon.
        versions: of each scheme by id, the newest first; where it is missing, the one in force stands for all.
    """

    schemes: Schemes
    today: date | None = None
    versions: Mapping[str, Sequence[Scheme]] = {}


def route(event: DecodedEvent) -> Key | None:
    if event.event_class is SchemePublished:
        return Key("schemes", event.partitionkey)
    if event.event_class in ORGANISATION_FACTS:
        return Key("organisations", event.partitionkey)
    if event.event_class in LEARNER_FACTS:
        return Key("learners", event.partitionkey)
    return recognitions.key_of(event) if event.event_class in recognitions.RECOGNITION_FACTS else None


def view(key: Key, state: State) -> dict[str, Any]:
    match key.collection:
        case "schemes":
            return _scheme_view(state)
        case "organisations":
            return _organisation_view(key, state)
        case "recognitions":
            return recognitions.view(key, state)
        case _:
            return _learner_view(key.id, state)


def _organisation_view(key: Key, state: State) -> dict[str, Any]:
    """The name and the region, by which DIDs of its own it issues, and whether its tokens may be used."""
    registered = facts.last(state, "organisation.registered")
    shown = {field: registered["data"][field] for field in ("name", "region")} if registered else {}
    return shown | _own_dids(key, state) | access(state)


def _own_dids(key: Key, state: State) -> dict[str, Any]:
    """Its `did` now, with whose key it signs, and all `dids` by which Praktika has ever signed in its name."""
    declared = [f for f in facts.facts(state, "issuer.declared").values() if facts.organisation(f) == key.id]
    if not (now := facts.newest(*declared)):
        return {}
    ours = sorted(f["data"]["did"] for f in declared if "did" in f["data"] and "own_key" not in f["data"])
    return {"did": now["data"].get("did"), "own_key": "own_key" in now["data"], "dids": ours}


def _scheme_view(state: State) -> dict[str, Any]:
    published = facts.last(state, "scheme.published")
    if published is None:
        return {}
    return {**published["data"], "institution": facts.organisation(published), "since": published["time"]}


def versions(state: State) -> list[dict[str, Any]]:
    """What a scheme has asked for, the newest version first: of each day the last one, with `since`.

    In a database that an earlier version has made, one may be there under two slots.
    """
    newest_first = sorted(facts.facts(state, "scheme.published").values(), key=facts.age, reverse=True)
    by_id = {fact["id"]: fact for fact in newest_first}
    return [{**fact["data"], "since": fact["time"]} for fact in by_id.values()]


def _learner_view(learner: str, state: State) -> dict[str, Any]:
    return {
        "institutions": sorted(map(facts.organisation, facts.facts(state, "learner.enrolled").values())),
        "assessed": sorted({f["data"]["competency"] for f in facts.facts(state, "assessment.recorded").values()}),
        "is_graduate": bool(facts.facts(state, "learner.graduated")),
        "certificates": certificates(state),
        "ending": [
            {"remind": _remind_on(fact).isoformat(), "valid_until": fact["data"]["valid_until"]}
            for _, fact in _unreminded(learner, state)
        ],
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
            "valid_until": fact["data"].get("valid_until"),
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


def certificate_id(learner: str, competency: str, scheme: str, renewal: int = 0) -> str:
    """Of the first certificate by a scheme, or of its first, second... renewal."""
    return derived_id("competency.certified", learner, competency, scheme, *([str(renewal)] if renewal else []))


def decide(key: Key, state: State, context: Context | None) -> list[Event[Data]]:
    """The certificates that a learner has earned and does not have, and the revocations of those not earned any more.

    A certificate stays, whatever is corrected later, until it is revoked; a revoked one is not given again. It is
    revoked if something that it rests on was taken back and the learner does not meet the scheme without it, as that
    was when the certificate was given: what a later version asks for touches no certificate.
    """
    if key.collection != "learners" or context is None:
        return []
    decided = certify(key, state, context.schemes) + _revoke(key.id, state, context)
    return decided or (_remind(key.id, state, context.today) if context.today else [])


def _revoke(learner: str, state: State, context: Context) -> list[Event[Data]]:
    revoked = facts.facts(state, "competency.revoked")
    return [
        derive(
            "certification",
            CompetencyRevoked(reason="What it rests on was taken back."),
            id=derived_id("competency.revoked", id),
            subject=id,
            key=learner,
            time=datetime.fromisoformat(max(fact["time"], taken_back["time"])),
        )
        for id, fact, since in (each for chain in _chains(learner, state) for each in chain)
        if id not in revoked
        and (taken_back := _taken_back(state, fact))
        and (scheme := _given_by(fact, context))
        and not evidence(state, scheme, since)
    ]


def _given_by(certified: Fact, context: Context) -> Scheme | None:
    """The version of a scheme by which a certificate was given; None: there is no such scheme (yet)."""
    data = certified["data"]
    now = (scheme for scheme in context.schemes.get(data["competency"], []) if scheme.id == data["scheme"])
    known = [v for v in context.versions.get(data["scheme"], ()) if v.competency == data["competency"]] or [*now]
    return next((version for version in known if version.time <= certified["time"]), known[-1] if known else None)


def _known(assessed: Iterable[Fact], schemes: Schemes) -> list[Scheme]:
    """The schemes of the competencies that facts are about."""
    return [scheme for c in sorted({fact["data"]["competency"] for fact in assessed}) for scheme in schemes.get(c, [])]


def _taken_back(state: State, certified: Fact) -> Fact | None:
    """The annulment of an assessment that a certificate rests on, or of an enrolment; the newest."""
    annulments = [*facts.facts(state, "assessment.annulled").values(), *facts.facts(state, "learner.annulled").values()]
    evidence = certified["data"]["evidence"]
    return facts.newest(
        *(a for a in annulments if "void" in a and (a["void"]["slot"] in evidence or a["void"]["type"] == _ENROLLED))
    )


_ENROLLED = "learner.enrolled"


def _chain(learner: str, state: State, competency: str, scheme: str) -> Iterator[tuple[str, Fact, str]]:
    """Certificates by a scheme, the first and those that renewed it, each with when what it rests on may begin."""
    known, since = facts.facts(state, "competency.certified"), ""
    for renewal in count():
        id = certificate_id(learner, competency, scheme, renewal)
        if id not in known:
            return
        yield id, known[id], since
        since = _renewable_from(known[id])


def _chains(learner: str, state: State) -> list[list[tuple[str, Fact, str]]]:
    """The `_chain` of each scheme by which a learner has certificates."""
    held = facts.facts(state, "competency.certified").values()
    by = sorted({(fact["data"]["competency"], fact["data"]["scheme"]) for fact in held})
    return [list(_chain(learner, state, competency, scheme)) for competency, scheme in by]


def _renewable_from(certified: Fact) -> str:
    """From when on assessments renew a certificate: the middle of its time. Of one that is valid for good: never."""
    if "valid_until" not in certified["data"]:
        return NEVER
    begin, end = datetime.fromisoformat(certified["time"]), _midnight(certified["data"]["valid_until"])
    return timestamp(begin + (end - begin) / 2)


def _midnight(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(), UTC)


def certify(key: Key, state: State, schemes: Schemes) -> list[Event[Data]]:
    assessed = facts.facts(state, "assessment.recorded").values()
    return [
        _certificate(key.id, scheme, earned, renewal)
        for scheme in _known(assessed, schemes)
        for renewal, since in _next(key.id, state, scheme)
        if (earned := evidence(state, scheme, since))
    ]


def _next(learner: str, state: State, scheme: Scheme) -> list[tuple[int, str]]:
    """Which certificate comes next by a scheme, as its number, and from when on assessments count for it; or none."""
    held = list(_chain(learner, state, scheme.competency, scheme.id))
    if not held:
        return [(0, "")]
    id, last, _ = held[-1]
    return [] if id in facts.facts(state, "competency.revoked") else [(len(held), _renewable_from(last))]


class Lack(NamedTuple):
    """What a learner does not have yet of what a scheme asks for.

    Attributes:
        method: None: any of the scheme's, by an enterprise.
        assessors: how many more have to assess.
    """

    method: str | None
    assessors: int


def judged(state: State, scheme: Scheme, since: str = "") -> tuple[list[tuple[str, Fact]], list[Lack]]:
    """The assessments by which a learner meets *scheme*, oldest first, and what is lacking.

    Each method of the scheme needs an assessment of at least its least score, or several, each by another assessor;
    one of all must come from an enterprise if the scheme says so.

    Args:
        since: what was assessed before does not count.
    """
    passed = sorted(
        (
            (id, fact)
            for id, fact in facts.facts(state, "assessment.recorded").items()
            if fact["data"]["competency"] == scheme.competency
            and fact["data"]["method"] in scheme.methods
            and fact["data"]["score"] >= scheme.score(fact["data"]["method"])
            and fact["time"] >= since
        ),
        key=_age,
    )
    by_method = {method: _first(passed, method, scheme.count(method)) for method in scheme.methods}
    chosen = {id: fact for found in by_method.values() for id, fact in found}
    lacks = [Lack(m, scheme.count(m) - len(found)) for m, found in by_method.items() if len(found) < scheme.count(m)]
    if scheme.enterprise_required and not any(fact["kind"] == "enterprise" for fact in chosen.values()):
        by_enterprise = [(id, fact) for id, fact in passed if fact["kind"] == "enterprise"][:1]
        chosen.update(by_enterprise)
        lacks += [Lack(None, 1)] if not by_enterprise and not lacks else []
    return sorted(chosen.items(), key=_age), lacks


class Step(NamedTuple):
    """What alone a learner lacks of the next certificate by a scheme.

    Attributes:
        by_enterprise: it has to come from an enterprise.
        renews: the last day of the certificate that the next one renews, if it is a renewal.
    """

    lack: Lack
    by_enterprise: bool
    renews: str | None


def one_step(learner: str, state: State, scheme: Scheme, now: str) -> Step | None:
    """The one assessment that a learner lacks, who has been assessed in the competency before.

    None: more is lacking, or nothing, or no certificate can be earned now. Who failed is one assessment away, too.

    Args:
        now: as `timestamp`.
    """
    if scheme.institution not in map(facts.organisation, facts.facts(state, "learner.enrolled").values()):
        return None
    for renewal, since in _next(learner, state, scheme):
        chosen, lacks = judged(state, scheme, since) if since <= now else ([], [])
        if [lack.assessors for lack in lacks] == [1]:
            by_enterprise = scheme.enterprise_required and all(fact["kind"] != "enterprise" for _, fact in chosen)
            return Step(lacks[0], by_enterprise, _last_day(learner, state, scheme) if renewal else None)
    return None


def _last_day(learner: str, state: State, scheme: Scheme) -> str:
    *_, (_, held, _) = _chain(learner, state, scheme.competency, scheme.id)
    return str(held["data"]["valid_until"])


def _age(item: tuple[str, Fact]) -> tuple[str, str]:
    return item[1]["time"], item[0]


def evidence(state: State, scheme: Scheme, since: str = "") -> list[tuple[str, Fact]]:
    """As `judged`, of a learner who meets the scheme and is enrolled at its institution; else empty."""
    enrolments = facts.facts(state, "learner.enrolled").values()
    if scheme.institution not in map(facts.organisation, enrolments):
        return []
    chosen, lacks = judged(state, scheme, since)
    return [] if lacks else chosen


def _first(passed: Iterable[tuple[str, Fact]], method: str, most: int) -> list[tuple[str, Fact]]:
    """The first assessments by a method, each by another assessor."""
    found: dict[tuple[str, str], tuple[str, Fact]] = {}
    for id, fact in passed:
        if fact["data"]["method"] == method:
            found.setdefault((facts.organisation(fact), fact["data"].get("assessor", "")), (id, fact))
    return [*found.values()][:most]


def _certificate(learner: str, scheme: Scheme, earned: list[tuple[str, Fact]], renewal: int) -> Event[Data]:
    id = certificate_id(learner, scheme.competency, scheme.id, renewal)
    # The moment it was earned: the last assessment needed, or the scheme if that came later.
    at = datetime.fromisoformat(max(scheme.time, *(fact["time"] for _, fact in earned)))
    data = CompetencyCertified(
        competency=scheme.competency,
        level=scheme.level,
        scheme=scheme.id,
        institution=scheme.institution,
        evidence=[assessment for assessment, _ in earned],
        address=f"/certificates/{id}",
        valid_until=months_later(at.date(), scheme.valid_months) if scheme.valid_months else None,
    )
    # Whether it counts as sustainability follows from what it rests on, not from what is in force when it is decided.
    stamps = (scheme.sustainable, *(fact.get("sustainable") for _, fact in earned))
    stamp = scheme.competency if scheme.competency in stamps else None
    return derive("certification", data, id=id, subject=id, key=learner, time=at, sustainable=stamp)


def _unreminded(learner: str, state: State) -> list[tuple[str, Fact]]:
    """Certificates that end, were not renewed or revoked, and whose end was not yet said to be near."""
    said = facts.facts(state, "competency.revoked").keys() | facts.facts(state, "certificate.expiring").keys()
    newest = (chain[-1] for chain in _chains(learner, state) if chain)
    return [(id, fact) for id, fact, _ in newest if "valid_until" in fact["data"] and id not in said]


def _remind_on(certified: Fact) -> date:
    """The day on which a certificate's end is near: it can be renewed from then on, or since longer."""
    end = date.fromisoformat(certified["data"]["valid_until"])
    return max(end - REMINDED, date.fromisoformat(_renewable_from(certified)[:10]))


def _remind(learner: str, state: State, today: date) -> list[Event[Data]]:
    return [
        derive(
            "certification",
            CertificateExpiring(**{name: fact["data"][name] for name in CertificateExpiring.model_fields}),
            id=derived_id("certificate.expiring", id),
            subject=id,
            key=learner,
            time=_midnight(_remind_on(fact).isoformat()),
        )
        for id, fact in _unreminded(learner, state)
        if _remind_on(fact) <= today <= date.fromisoformat(fact["data"]["valid_until"])
    ]
