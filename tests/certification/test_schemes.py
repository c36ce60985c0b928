"""Who is certified, decided by functions alone."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.certification.schemes import Scheme, certify, decide, route, view
from shared.contract import events
from shared.contract.events import (
    AssessmentAnnulled,
    AssessmentMethod,
    AssessmentRecorded,
    CompetencyRevoked,
    Data,
    Event,
    LearnerEnrolled,
    LearnerErased,
)
from shared.processing import facts
from shared.processing.mongo import Key
from tests.making import NOON, event

KEY = Key("learners", "l1")
SCHEME = Scheme(
    id="green",
    time=events.timestamp(NOON),
    institution="uni",
    competency="greencomp:3.1",
    level=5,
    methods=("exam", "portfolio"),
    least_score=0.6,
    enterprise_required=True,
)
SCHEMES = {SCHEME.competency: [SCHEME]}
ENROLLED = event(LearnerEnrolled(programme="p"), "l1", id="enrolled")


def assessed(id: str, method: str, score: float, by: str = "institution:uni", minutes: int = 0) -> Event[Data]:
    data = AssessmentRecorded(competency="greencomp:3.1", method=AssessmentMethod(method), score=score)
    return event(data, id, "l1", by=by, id=id, time=NOON + timedelta(minutes=minutes))


def certificates(*events: Event[Data]) -> list[Event[Data]]:
    """What follows from *events* in this order, each taken in before the next as the runner does."""
    state, derived = facts.empty(), []
    for one in events:
        state = facts.apply(state, one)
        for follows in certify(KEY, state, SCHEMES):
            state = facts.apply(state, follows)
            derived.append(follows)
        assert certify(KEY, state, SCHEMES) == []
    return derived


EARNED = (ENROLLED, assessed("a1", "exam", 0.6), assessed("a2", "portfolio", 0.9, "enterprise:plant", 5))


def test_whoever_meets_the_scheme_is_certified_at_the_moment_of_the_last_assessment():
    (certificate,) = certificates(*EARNED)
    assert certificate.data.evidence == ["uni/a1", "plant/a2"]
    assert certificate.time == NOON + timedelta(minutes=5)
    assert certificate.data.address == f"/certificates/{certificate.subject}"


def test_a_certificate_counts_as_sustainability_by_what_it_rests_on():
    pump = "esco:heat-pump"
    data = AssessmentRecorded(competency=pump, method=AssessmentMethod.exam, score=0.9)
    plain = SCHEME._replace(competency=pump, methods=("exam",), enterprise_required=False)
    exam = event(data, "a1", "l1", id="a1")
    for scheme_stamp, exam_stamp in ((None, None), (None, pump), (pump, None), (None, "esco:other")):
        state = facts.empty()
        for one in (ENROLLED, exam.model_copy(update={"sustainable": exam_stamp})):
            state = facts.apply(state, one)
        (certificate,) = certify(KEY, state, {pump: [plain._replace(sustainable=scheme_stamp)]})
        assert certificate.sustainable == (pump if pump in (scheme_stamp, exam_stamp) else None)


def test_low_score_is_not_certified():
    assert not certificates(ENROLLED, assessed("a1", "exam", 0.59), EARNED[2])


def test_a_missing_method_is_not_certified():
    assert not certificates(ENROLLED, EARNED[1])


def test_without_an_enterprises_assessment_nobody_is_certified():
    assert not certificates(ENROLLED, EARNED[1], assessed("a2", "portfolio", 0.9))


def test_an_enterprises_later_assessment_completes_the_evidence():
    (certificate,) = certificates(
        *EARNED[:2], assessed("a2", "portfolio", 0.9), assessed("a3", "exam", 0.7, "enterprise:plant", 9)
    )
    assert certificate.data.evidence == ["uni/a1", "uni/a2", "plant/a3"]


def test_another_institutions_learner_is_not_certified():
    assert not certificates(event(LearnerEnrolled(programme="p"), "l1", by="institution:other"), *EARNED[1:])


def test_a_corrected_score_counts():
    corrected = assessed("a1", "exam", 0.1, minutes=1)
    assert not certificates(ENROLLED, EARNED[1], corrected, EARNED[2])


def test_a_revoked_certificate_is_shown_as_revoked_and_not_given_again():
    (certificate,) = certificates(*EARNED)
    revoked = event(CompetencyRevoked(reason="plagiarism"), certificate.subject, "l1", by="service:certification")
    state = facts.empty()
    for one in (*EARNED, certificate, revoked):
        state = facts.apply(state, one)
    assert certify(KEY, state, SCHEMES) == []
    (shown,) = view(KEY, state)["certificates"]
    assert (shown["status"], shown["reason"]) == ("revoked", "plagiarism")


def annulled(id: str, subject: str) -> Event[Data]:
    data = AssessmentAnnulled(event=id, reason="another learner's")
    return event(data, subject, "l1", id=f"no-{id}", time=NOON + timedelta(days=1))


def test_a_certificate_that_rests_on_what_was_taken_back_is_revoked():
    state = facts.empty()
    for one in (*EARNED, annulled("a1", "a1")):
        state = facts.apply(state, one)
        for follows in decide(KEY, state, SCHEMES):
            state = facts.apply(state, follows)
    assert [c["status"] for c in view(KEY, state)["certificates"]] == ["revoked"]
    assert decide(KEY, state, SCHEMES) == []


def test_a_certificate_stays_while_other_evidence_meets_the_scheme():
    state = facts.empty()
    for one in (*EARNED, assessed("a9", "exam", 0.9, minutes=30), annulled("a1", "a1")):
        state = facts.apply(state, one)
        for follows in decide(KEY, state, SCHEMES):
            state = facts.apply(state, follows)
    assert [c["status"] for c in view(KEY, state)["certificates"]] == ["valid"]


def test_an_assessment_taken_back_before_it_is_there_certifies_nobody():
    assert not certificates(annulled("a1", "a1"), *EARNED)


def test_an_erased_learner_has_no_certificate_and_gets_none():
    assert not certificates(event(LearnerErased(), "l1"), *EARNED)


EVENTS = [
    *EARNED,
    assessed("a3", "exam", 0.8, "enterprise:plant", 7),
    assessed("a1", "exam", 0.4, minutes=-3),
    assessed("a4", "portfolio", 0.2, minutes=8),
]


@given(st.lists(st.sampled_from(EVENTS), max_size=12).flatmap(lambda extra: st.permutations([*EVENTS, *extra])))
def test_any_order_and_repetition_gives_exactly_one_certificate_and_the_same_facts(events: list[Event[Data]]):
    derived = certificates(*events)
    assert len(derived) == 1
    assert derived[0].id == certificates(*EARNED)[0].id
    state = facts.empty()
    for one in events:
        state = facts.apply(state, one)
    expected = facts.empty()
    for one in EVENTS:
        expected = facts.apply(expected, one)
    assert state == expected


def test_events_of_no_use_are_left_alone():
    assert route(event(LearnerEnrolled(programme="p"), "l1")) == KEY
    assert route(event(CompetencyRevoked(reason="x"), "c", "l1")) == KEY
