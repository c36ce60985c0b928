"""Who is certified, decided by functions alone."""

import itertools
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.certification.schemes.rules import (
    Context,
    Lack,
    Scheme,
    Step,
    certify,
    decide,
    judged,
    one_step,
    route,
    versions,
    view,
)
from services.certification.schemes.words import changed, rule_in_words, step_in_words
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
    SchemePublished,
)
from shared.processing import facts
from shared.processing.employment import months_later
from shared.processing.facts import State
from shared.processing.frameworks import Frameworks
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
        for follows in decide(KEY, state, Context(SCHEMES)):
            state = facts.apply(state, follows)
    assert [c["status"] for c in view(KEY, state)["certificates"]] == ["revoked"]
    assert decide(KEY, state, Context(SCHEMES)) == []


def test_a_certificate_stays_while_other_evidence_meets_the_scheme():
    state = facts.empty()
    for one in (*EARNED, assessed("a9", "exam", 0.9, minutes=30), annulled("a1", "a1")):
        state = facts.apply(state, one)
        for follows in decide(KEY, state, Context(SCHEMES)):
            state = facts.apply(state, follows)
    assert [c["status"] for c in view(KEY, state)["certificates"]] == ["valid"]


def test_an_assessment_taken_back_before_it_is_there_certifies_nobody():
    assert not certificates(annulled("a1", "a1"), *EARNED)


def test_an_erased_learner_has_no_certificate_and_gets_none():
    assert not certificates(event(LearnerErased(), "l1"), *EARNED)


# several assessors, other scores, validity

REVIEWED = SCHEME._replace(
    methods=("exam", "review_360"),
    enterprise_required=False,
    least_scores=(("exam", 0.8),),
    assessors=(("review_360", 3),),
)
LIMITED = SCHEME._replace(methods=("exam",), enterprise_required=False, valid_months=12)


def reviewed(id: str, by: str, assessor: str | None, score: float = 0.7, minutes: int = 0) -> Event[Data]:
    data = AssessmentRecorded(
        competency="greencomp:3.1", method=AssessmentMethod.review_360, score=score, assessor=assessor
    )
    return event(data, id, "l1", by=by, id=id, time=NOON + timedelta(minutes=minutes))


def state_of(*events: Event[Data]) -> State:
    state = facts.empty()
    for one in events:
        state = facts.apply(state, one)
    return state


def exam_on(day: int, score: float = 0.9, id: str = "") -> Event[Data]:
    return assessed(id or f"exam-{day}", "exam", score, minutes=day * 24 * 60)


def decided(scheme: Scheme, *events: Event[Data], today: date | None = None) -> list[Event[Data]]:
    """What follows from *events*, each taken in before the next, and then by what time brings."""
    state, derived, schemes = facts.empty(), list[Event[Data]](), {scheme.competency: [scheme]}
    for one in (*events, None):
        state = facts.apply(state, one) if one else state
        for follows in decide(KEY, state, Context(schemes, None if one else today)):
            state = facts.apply(state, follows)
            derived.append(follows)
    assert decide(KEY, state, Context(schemes, today)) == []
    return derived


THREE = (
    reviewed("r1", "institution:uni", "t-1", minutes=1),
    reviewed("r2", "institution:uni", "t-2", minutes=2),
    reviewed("r3", "enterprise:plant", None, minutes=3),
)


def test_several_have_to_assess_where_the_scheme_says_so():
    exam, again = assessed("e", "exam", 0.8), reviewed("r4", "institution:uni", "t-1", minutes=4)
    low = reviewed("r5", "enterprise:forge", "m-1", 0.5)
    assert not decided(REVIEWED, ENROLLED, exam, *THREE[:2], again, low)
    assert judged(state_of(ENROLLED, exam, *THREE[:2], again), REVIEWED)[1] == [Lack("review_360", 1)]
    (certificate,) = decided(REVIEWED, ENROLLED, exam, again, *THREE)
    assert certificate.data.evidence == ["uni/e", "uni/r1", "uni/r2", "plant/r3"]


def test_a_method_may_need_another_score_than_the_others():
    assert not decided(REVIEWED, ENROLLED, assessed("e", "exam", 0.79), *THREE)
    assert judged(state_of(*THREE), REVIEWED)[1] == [Lack("exam", 1)]


def test_an_enterprise_is_lacking_once_nothing_else_is():
    exam, portfolio = EARNED[1], assessed("a2", "portfolio", 0.9)
    assert judged(state_of(exam), SCHEME)[1] == [Lack("portfolio", 1)]
    assert judged(state_of(exam, portfolio), SCHEME)[1] == [Lack(None, 1)]
    assert judged(state_of(*EARNED[1:]), SCHEME)[1] == []


def test_a_certificate_ends_on_the_day_that_the_scheme_says():
    (certificate,) = decided(LIMITED, ENROLLED, exam_on(0))
    assert certificate.data.valid_until == months_later(NOON.date(), 12)


def test_an_assessment_in_the_second_half_renews_a_certificate_and_one_before_does_not():
    first, *others = decided(LIMITED, ENROLLED, exam_on(0), exam_on(100), exam_on(182))
    assert not others
    again, renewed, third = decided(LIMITED, ENROLLED, exam_on(0), exam_on(100), exam_on(184), exam_on(900))
    assert again == first
    assert len({first.id, renewed.id, third.id}) == 3
    assert renewed.data.evidence == ["uni/exam-184"]
    assert renewed.data.valid_until == months_later((NOON + timedelta(days=184)).date(), 12)
    assert third.time == NOON + timedelta(days=900)


def test_what_was_given_for_good_is_not_renewed_by_a_later_version_of_the_scheme():
    state = state_of(ENROLLED, exam_on(0))
    (certificate,) = certify(KEY, state, {LIMITED.competency: [LIMITED._replace(valid_months=None)]})
    state = facts.apply(facts.apply(state, certificate), exam_on(900))
    assert certify(KEY, state, {LIMITED.competency: [LIMITED]}) == []


def test_a_revoked_certificate_is_not_renewed():
    (certificate,) = decided(LIMITED, ENROLLED, exam_on(0))
    revoked = event(CompetencyRevoked(reason="x"), certificate.subject, "l1", by="service:certification")
    assert decided(LIMITED, ENROLLED, exam_on(0), revoked, exam_on(300)) == [certificate]


def test_a_renewal_that_rests_on_what_was_taken_back_is_revoked_and_the_first_one_is_not():
    taken_back = annulled("exam-300", "exam-300")
    taken_back = taken_back.model_copy(update={"time": NOON + timedelta(days=301)})
    *_, renewed, revoked = decided(LIMITED, ENROLLED, exam_on(0), exam_on(300), taken_back)
    assert (revoked.data.short_type, revoked.subject) == ("competency.revoked", renewed.subject)


def test_that_a_certificate_ends_is_said_once_ninety_days_before_unless_it_was_renewed():
    end = months_later(NOON.date(), 12)
    for days, times in ((91, 0), (90, 1), (0, 1), (-1, 0)):
        _, *said = decided(LIMITED, ENROLLED, exam_on(0), today=end - timedelta(days=days))
        assert [one.data.short_type for one in said] == ["certificate.expiring"] * times, days
    _, renewed = decided(LIMITED, ENROLLED, exam_on(0), exam_on(300), today=end)
    assert renewed.data.short_type == "competency.certified"
    state = state_of(ENROLLED, exam_on(0), *decided(LIMITED, ENROLLED, exam_on(0)))
    (ending,) = view(KEY, state)["ending"]
    assert ending == {"remind": (end - timedelta(days=90)).isoformat(), "valid_until": end.isoformat()}


V1 = SCHEME._replace(methods=("exam",), enterprise_required=False)
V2 = V1._replace(methods=("exam", "portfolio"), time=events.timestamp(NOON + timedelta(days=10)))


@pytest.mark.parametrize(
    "now", [V1, V2, V2._replace(competency="greencomp:2.1")], ids=["v1", "v2", "another-competency"]
)
@pytest.mark.parametrize(("others", "revoked"), [([], True), ([exam_on(1)], False)])
def test_an_annulment_judges_by_the_version_by_which_a_certificate_was_given(
    now: Scheme, others: list[Event[Data]], revoked: bool
):
    state = state_of(ENROLLED, exam_on(0, id="a1"), *others)
    (given,) = certify(KEY, state, {V1.competency: [V1]})
    state = facts.apply(facts.apply(state, given), annulled("a1", "a1"))
    context = Context({now.competency: [now]}, None, {V1.id: [V1] if now is V1 else [now, V1]})
    assert [one.subject for one in decide(KEY, state, context)] == [given.subject] * revoked


def test_of_a_short_one_it_is_said_from_its_middle_on():
    short = LIMITED._replace(valid_months=2)
    (certificate,) = decided(short, ENROLLED, exam_on(0))
    middle = NOON.date() + (certificate.data.valid_until - NOON.date()) / 2
    assert len(decided(short, ENROLLED, exam_on(0), today=middle - timedelta(days=1))) == 1
    assert len(decided(short, ENROLLED, exam_on(0), today=middle + timedelta(days=1))) == 2


# one step from a certificate


def after_days(days: int) -> str:
    return events.timestamp(NOON + timedelta(days=days))


def test_who_lacks_one_assessment_is_one_step_away_and_who_lacks_more_is_not():
    exam, low = assessed("a1", "exam", 0.9), assessed("a2", "portfolio", 0.3)
    portfolio = Step(Lack("portfolio", 1), True, None)
    assert one_step("l1", state_of(ENROLLED, exam), SCHEME, after_days(1)) == portfolio
    assert one_step("l1", state_of(ENROLLED, exam, low), SCHEME, after_days(1)) == portfolio
    assert one_step("l1", state_of(ENROLLED, low), SCHEME, after_days(1)) is None, "two are lacking"
    by_plant = assessed("a3", "exam", 0.9, "enterprise:plant")
    assert one_step("l1", state_of(ENROLLED, by_plant), SCHEME, after_days(1)) == Step(
        Lack("portfolio", 1), False, None
    )
    assert one_step("l1", state_of(exam), SCHEME, after_days(1)) is None, "not enrolled at the institution"
    assert one_step("l1", state_of(ENROLLED, assessed("e", "exam", 0.9), *THREE[:1]), REVIEWED, after_days(1)) is None
    (certificate,) = certificates(*EARNED)
    assert one_step("l1", state_of(*EARNED, certificate), SCHEME, after_days(9_000)) is None, "it is for good"


def test_a_renewal_is_one_step_away_from_the_middle_of_a_certificates_time_on_unless_it_was_revoked():
    (certificate,) = decided(LIMITED, ENROLLED, exam_on(0))
    state = state_of(ENROLLED, exam_on(0), certificate)
    until = certificate.data.valid_until.isoformat()
    assert one_step("l1", state, LIMITED, after_days(180)) is None
    assert one_step("l1", state, LIMITED, after_days(184)) == Step(Lack("exam", 1), False, until)
    assert one_step("l1", state, LIMITED, after_days(900)) == Step(Lack("exam", 1), False, until), "after its end, too"
    revoked = event(CompetencyRevoked(reason="x"), certificate.subject, "l1", by="service:certification")
    assert one_step("l1", facts.apply(state, revoked), LIMITED, after_days(184)) is None


def test_what_is_lacking_is_said_in_words():
    for method, by_enterprise, scheme, language, words in (
        ("portfolio", False, SCHEME, "en", "portfolio, at least 60 per cent"),
        ("portfolio", True, SCHEME, "en", "portfolio, at least 60 per cent, by an enterprise"),
        ("portfolio", True, SCHEME, "ru", "портфолио, не ниже 60 %, от предприятия"),
        ("exam", False, REVIEWED, "en", "exam, at least 80 per cent"),
        ("review_360", False, REVIEWED, "en", "360° review: one more assessor, at least 60 per cent"),
        (None, True, SCHEME, "en", "an assessment by an enterprise"),
        (None, True, SCHEME, "ru", "оценка предприятием"),
    ):
        assert step_in_words(Step(Lack(method, 1), by_enterprise, None), scheme, language) == words


ASSESSMENTS = [
    assessed(f"{method}-{score}-{by[0]}", method, score, f"{by}:{by}", minutes)
    for minutes, (method, score, by) in enumerate(
        itertools.product(("exam", "portfolio", "review_360"), (0.5, 0.7, 0.9), ("institution", "enterprise"))
    )
]


@given(st.sets(st.sampled_from(range(len(ASSESSMENTS))), max_size=6), st.booleans(), st.booleans())
def test_by_the_step_that_is_lacking_and_by_no_lower_score_a_learner_is_certified(
    chosen: set[int], needed: bool, reviewed: bool
):
    scheme = (REVIEWED if reviewed else SCHEME)._replace(enterprise_required=needed)
    state = state_of(ENROLLED, *(ASSESSMENTS[n] for n in chosen))
    step = one_step("l1", state, scheme, after_days(1))
    if step is None:
        return
    assert certify(KEY, state, {scheme.competency: [scheme]}) == []
    method = step.lack.method or scheme.methods[0]
    by = "enterprise:forge" if step.by_enterprise else "institution:forge"
    for score in (scheme.score(method) - 0.01, scheme.score(method)):
        after = facts.apply(state, assessed("the-step", method, score, by, 99))
        assert len(certify(KEY, after, {scheme.competency: [scheme]})) == (score == scheme.score(method))


# versions


def published(day: int, minutes: int = 0, **changes: object) -> Event[Data]:
    about = {"competency": "greencomp:3.1", "level": 5, "methods": ["exam"], "least_score": 0.6}
    data = SchemePublished.model_validate({**about, "enterprise_required": False, **changes})
    return event(data, "green", time=NOON + timedelta(days=day, minutes=minutes))


VERSIONS = (
    published(0),
    published(3, methods=["exam", "portfolio"], by_method=[{"method": "portfolio", "assessors": 2}]),
    published(3, 9, methods=["exam", "portfolio"], by_method=[{"method": "portfolio", "assessors": 3}]),
    published(40, valid_months=12, level=6),
)


@given(st.permutations([*VERSIONS, *VERSIONS[:2]]))
def test_each_days_last_version_of_a_scheme_is_kept_whatever_the_order(told: list[Event[Data]]):
    kept = versions(state_of(*told))
    assert [each["since"] for each in kept] == [events.timestamp(VERSIONS[n].time) for n in (3, 2, 0)]
    assert view(Key("schemes", "green"), state_of(*told))["level"] == 6


def test_an_earlier_database_has_a_version_under_another_slot_and_shows_it_once():
    state = state_of(VERSIONS[0])
    (fact,) = facts.facts(state, "scheme.published").values()
    earlier: State = {"facts": {"scheme.published": {"green": fact}}, "bytes": state["bytes"]}
    assert len(versions(facts.apply(earlier, VERSIONS[0]))) == 1
    assert len(versions(facts.apply(earlier, VERSIONS[3]))) == 2


def test_what_changed_from_a_version_to_the_next_is_named():
    newest, middle, first = versions(state_of(*VERSIONS))
    assert changed(newest, middle) == ["level", "methods", "valid_months"]
    assert changed(middle, first) == ["methods"]
    assert changed(first, first) == []
    rounds = {"by_method": [{"method": "exam", "least_score": 0.6}]}
    assert changed({**first, **rounds}, first) == [], "the scheme's own score, said twice"
    said = rule_in_words(middle, Frameworks(), "en")
    assert said["methods"] == ["exam, at least 60 per cent", "portfolio, at least 60 per cent; assessors: 3"]
    assert (said["valid_months"], rule_in_words(newest, Frameworks(), "ru")["valid_months"]) == (
        ["without an end"],
        ["12 мес."],
    )


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
