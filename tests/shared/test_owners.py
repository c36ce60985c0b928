"""Of two who claim the same, the first on the log has it; an entity keeps room for its owners; all services alike."""

from datetime import timedelta
from importlib import import_module
from itertools import permutations
from typing import Any

import pytest

from shared.contract import events as e
from shared.contract.events import Data, Event
from shared.log.topics import SERVICES
from shared.processing import facts
from shared.processing.facts import State, TooManyFacts
from shared.processing.ownership import Refused
from tests.making import NOON, after, event

UNI, COLLEGE, OPERATOR = "institution:uni", "institution:college", "operator:operator"
PLANT, WORKS = "enterprise:plant", "enterprise:works"
ABOUT = {"enterprise": "plant", "programme": "welding"}
COMPLETED = e.InternshipCompleted(**ABOUT, hours=100, outcome="passed")
CANCELLED = e.InternshipCancelled(**ABOUT, reason="no")


def by(who: str, data: Data, subject: str = "l1", minutes: int = 0, **given: Any) -> Event[Data]:
    return event(data, subject, "l1", by=who, time=NOON + timedelta(minutes=minutes), **given)


def enrolled(who: str = UNI, programme: str = "welding", minutes: int = 0) -> Event[Data]:
    return by(who, e.LearnerEnrolled(programme=programme), minutes=minutes)


def folded(*said: Event[Data]) -> State:
    return after(facts.empty(), *said)


def refused(state: State, *said: Event[Data]) -> list[str]:
    """The rules by which each is refused."""
    found = []
    for each in said:
        with pytest.raises(Refused) as refusal:
            facts.apply(state, each)
        found.append(refusal.value.rule)
    return found


@pytest.mark.parametrize("later", [-5, 5])
def test_the_first_on_the_log_has_a_learner_whatever_the_times_say(later: int):
    state = folded(enrolled(), enrolled(COLLEGE, "casting", later))
    assert list(facts.facts(state, "learner.enrolled")) == ["welding"]
    graduated = e.LearnerGraduated(programme="welding", graduated_on="2026-06-30")
    assert (
        refused(
            state,
            enrolled(COLLEGE),
            by(COLLEGE, graduated),
            by(COLLEGE, e.LearnerErased()),
            by(COLLEGE, e.LearnerShared(institution="college")),
            by(COLLEGE, e.SupportRequested(need="job"), "case-1"),
        )
        == ["owner"] * 5
    )


def test_a_second_institution_joins_by_consent_and_takes_nothing_over():
    graduated = e.LearnerGraduated(programme="welding", graduated_on="2026-06-30")
    consent = by(UNI, e.LearnerShared(institution="college"))
    state = folded(enrolled(), consent, enrolled(COLLEGE, "casting"), by(UNI, e.SupportRequested(need="job"), "case-1"))
    assert set(facts.facts(state, "learner.enrolled")) == {"welding", "casting"}
    closed = by(COLLEGE, e.SupportClosed(outcome="hired"), "case-1")
    assert refused(state, enrolled(COLLEGE), by(COLLEGE, graduated), closed) == ["owner"] * 3


@pytest.mark.parametrize("who", list(permutations([UNI, COLLEGE])))
def test_an_erasure_needs_every_institution_that_has_the_learner(who: tuple[str, str]):
    consent = by(UNI, e.LearnerShared(institution="college"))
    state = folded(enrolled(), consent, enrolled(COLLEGE, "casting"), by(who[0], e.LearnerErased()))
    assert "erased" not in state
    assert "learner.enrolled" in state["facts"]
    state = after(state, by(who[0], e.LearnerErased(), minutes=9))
    assert "erased" not in state
    state = after(state, by(who[1], e.LearnerErased()))
    assert state["facts"] == {}
    assert "erased" in state
    assert after(state, enrolled()) == state


def test_the_operator_erases_alone():
    consent = by(UNI, e.LearnerShared(institution="college"))
    state = folded(enrolled(), consent, enrolled(COLLEGE, "casting"))
    assert "erased" in after(state, by(OPERATOR, e.LearnerErased(reason="the court's order")))


INTRODUCED: list[tuple[Data, str, str, list[Data]]] = [
    (
        e.ProgrammePublished(title="A", version="1", level=4),
        UNI,
        COLLEGE,
        [e.ProgrammeRevised(recommendation="r", version="2")],
    ),
    (e.ActivityHeld(kind="workshop", hours=2, participants=3), PLANT, WORKS, []),
    (e.OpportunityPosted(kind="vacancy", title="Welder", places=1), PLANT, WORKS, [e.OpportunityClosed(filled=0)]),
    (
        e.AgreementProposed(parties=["uni", "plant"], scope="s", valid_from="2026-01-01"),
        UNI,
        WORKS,
        [e.AgreementSigned(), e.AgreementRefused(reason="no"), e.AgreementEnded(reason="no")],
    ),
]


@pytest.mark.parametrize(("introducing", "owner", "stranger", "further"), INTRODUCED)
def test_what_one_introduced_nobody_else_says_anything_of(
    introducing: Data, owner: str, stranger: str, further: list[Data]
):
    state = folded(event(introducing, "it", by=owner))
    later = {"by": stranger, "time": NOON + timedelta(days=9)}
    assert {*refused(state, *(event(data, "it", **later) for data in (introducing, *further)))} == {"owner"}
    assert after(state, event(introducing, "it", by=owner, time=NOON + timedelta(1))) != state


def test_a_scheme_belongs_to_the_institution_in_whose_name_it_was_published_first():
    data = e.SchemePublished(
        competency="greencomp:3.1", level=4, methods=["exam"], least_score=0.5, enterprise_required=False
    )
    uni, college = (
        event(data, "s1", by=who).model_copy(update={"sourcekind": e.Publisher.service}) for who in (UNI, COLLEGE)
    )
    assert refused(folded(uni), college) == ["owner"]


def test_an_internship_is_ended_by_nobody_but_its_enterprise_and_institution():
    state = folded(enrolled(), by(PLANT, COMPLETED, "i1"))
    assert refused(state, by(WORKS, CANCELLED, "i1", 9), by(COLLEGE, CANCELLED, "i1", 9)) == ["owner"] * 2
    for who in (UNI, PLANT):
        assert "internship.cancelled" in after(state, by(who, CANCELLED, "i1", 9))["facts"]


def test_an_institution_introduces_no_internship_of_anothers_learner():
    assert refused(folded(enrolled()), by(COLLEGE, COMPLETED, "i1")) == ["owner"]


def employed(who: str, number: int) -> Event[Data]:
    return by(who, e.EmploymentRecorded(status="employed"), f"job-{number}", number)


def test_strangers_cannot_fill_a_learner_nor_one_of_them_the_room_of_others():
    state = folded(enrolled(), *(employed(PLANT, n) for n in range(300)))
    assert len(facts.facts(state, "employment.recorded")) == facts.MAX_FACTS_OF_ONE
    state = after(state, *(employed(WORKS, n) for n in range(100)))
    assert len(facts.facts(state, "employment.recorded")) == facts.MAX_FACTS_OF_ONE + 100
    state = after(state, *(employed(f"enterprise:e{n % 9}", n) for n in range(400)))
    assert len(facts.facts(state, "employment.recorded")) == facts.MAX_FACTS_OF_OTHERS
    graduated = by(UNI, e.LearnerGraduated(programme="welding", graduated_on="2026-06-30"))
    assert "learner.graduated" in facts.apply(state, graduated)["facts"]
    with pytest.raises(TooManyFacts, match="all but the entity's owners"):
        facts.apply(state, employed("enterprise:new", 1))


def test_a_correction_needs_no_room():
    state = folded(enrolled(), *(employed(PLANT, n) for n in range(300)))
    again = by(PLANT, e.EmploymentRecorded(status="employed", full_time=True), "job-0", 1_000)
    assert facts.apply(state, again) != state


def asked(role: str = "enterprise", institution: str | None = "uni") -> Event[Data]:
    respondent = "plant" if role == "enterprise" else "l1"
    data = e.FeedbackRequested(
        role=role, respondent=respondent, learner="l1", institution=institution, programme="welding", due="2026-04-01"
    )
    return event(data, "r1", by="service:feedback")


def answer(who: str, role: str = "enterprise", subject: str = "a1") -> Event[Data]:
    return event(e.FeedbackSubmitted(request="r1", role=role, overall=1), subject, "r1", by=who)


def test_a_request_takes_in_the_word_of_nobody_but_the_one_it_asks():
    assert refused(folded(asked()), answer(WORKS), answer(UNI), answer(PLANT, "learner")) == ["asked"] * 3
    assert "feedback.submitted" in folded(asked(), answer(PLANT))["facts"]
    of_learner = folded(asked("learner"))
    assert refused(of_learner, answer(COLLEGE, "learner"), answer(PLANT, "learner")) == ["asked"] * 2
    assert "feedback.submitted" in after(of_learner, answer(UNI, "learner"))["facts"]
    # A request of before it named an institution.
    assert "feedback.submitted" in folded(asked("learner", None), answer(COLLEGE, "learner"))["facts"]


def test_every_service_that_knows_learners_knows_whose_they_are():
    """Enrolments, consents and erasures are routed wherever anything of a learner is, so all decide alike."""
    for service in SERVICES:
        route = import_module(f"services.{service}.app").core.route
        keys = {
            key
            for data in (e.LearnerEnrolled(programme="p"), e.LearnerShared(institution="x"), e.LearnerErased())
            if (key := route(facts.from_event(event(data, "l1")))) is not None
        }
        assert [(key.collection, key.id) for key in keys] == [("learners", "l1")], service
