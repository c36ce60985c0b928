"""The registry's rules: what is shown of an entity follows from its facts, however they arrive."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.partners.network.registry import entity, implausible, is_said, misfits, view
from shared.contract import events
from shared.contract.events import (
    ActivityHeld,
    AgreementEnded,
    AgreementProposed,
    AgreementRefused,
    AgreementSigned,
    Data,
    EmploymentRecorded,
    Event,
    InternshipCancelled,
    InternshipCompleted,
    InternshipStarted,
    LearnerEnrolled,
    LearnerErased,
    LearnerGraduated,
    OpportunityClosed,
    OpportunityPosted,
    OrganisationRegistered,
    OrganisationReinstated,
    OrganisationSuspended,
    ProgrammePublished,
    ProgrammeRevised,
    ProgrammeRevisionDeclined,
    ProgrammeRevisionRecommended,
    SupportClosed,
    SupportRequested,
)
from shared.processing import facts
from shared.processing.facts import State
from shared.processing.mongo import Key
from tests.making import NOON, after, event

UNI, PLANT, OPERATOR = "institution:uni", "enterprise:plant", "operator:operator"


def at(minute: int, data: Data, by: str = UNI, subject: str = "it", key: str | None = None) -> Event[Data]:
    return event(data, subject, key, by=by, time=NOON + timedelta(minutes=minute), id=f"{minute}-{by}")


def fold(events: list[Event[Data]]) -> dict[Key, State]:
    states: dict[Key, State] = {}
    for each in events:
        if key := entity(each):
            states[key] = after(states.get(key, facts.empty()), each)
    return states


def shown(*events: Event[Data]) -> dict[str, Any]:
    ((key, state),) = fold(list(events)).items()
    return view(key, state)


def proposed(*parties: str, scope: str = "internships") -> AgreementProposed:
    return AgreementProposed(parties=list(parties or ("uni", "plant")), scope=scope, valid_from="2026-01-01")


def published(version: str = "1", title: str = "Mechanics") -> ProgrammePublished:
    return ProgrammePublished(title=title, version=version, level=6, hours_theory=1200, hours_workplace=300)


def recommended(id: str = "r1") -> ProgrammeRevisionRecommended:
    return ProgrammeRevisionRecommended(
        recommendation=id, competency="greencomp:1.1", window="2026Q1", ratings=5, satisfied=2, threshold=0.6
    )


def registered(name: str = "Uni") -> OrganisationRegistered:
    return OrganisationRegistered(kind="institution", name=name, region="RU-KEM")


INTERNSHIP = {"enterprise": "plant", "programme": "mechanics"}
COMPLETED = InternshipCompleted(**INTERNSHIP, hours=120, outcome="passed")
ABOUT_IT = [
    registered(),
    registered("University"),
    OrganisationSuspended(reason="left"),
    OrganisationReinstated(),
    proposed(),
    proposed("uni", "plant", "works"),
    AgreementSigned(),
    AgreementRefused(reason="too late"),
    AgreementEnded(reason="done"),
    published(),
    published("2"),
    recommended(),
    ProgrammeRevised(recommendation="r1", version="2"),
    ProgrammeRevisionDeclined(recommendation="r1", reason="no need"),
    ActivityHeld(kind="workshop", organisations=["plant"], hours=2, participants=20),
    OpportunityPosted(kind="vacancy", title="Welder", places=2),
    OpportunityClosed(filled=1),
    LearnerEnrolled(programme="mechanics", cohort="2026-06"),
    LearnerEnrolled(programme="welding"),
    LearnerGraduated(programme="mechanics", graduated_on="2026-06-30"),
    LearnerErased(),
    InternshipStarted(**INTERNSHIP, agreement="a1"),
    COMPLETED,
    InternshipCancelled(**INTERNSHIP, reason="ill"),
    EmploymentRecorded(status="employed", enterprise="works"),
    EmploymentRecorded(status="seeking"),
    SupportRequested(need="job"),
    SupportClosed(outcome="hired"),
]
SPEAKERS = [UNI, PLANT, "enterprise:works"]
EVENTS = st.builds(at, st.integers(0, 3), st.sampled_from(ABOUT_IT), st.sampled_from(SPEAKERS))


@given(st.data())
def test_what_its_owner_says_shows_the_same_in_any_order_and_repetition(data: st.DataObject):
    speaker = data.draw(st.sampled_from([UNI, PLANT]))
    cloudevent = st.builds(at, st.integers(0, 3), st.sampled_from(ABOUT_IT), st.just(speaker))
    events = data.draw(st.lists(cloudevent, max_size=12))
    shuffled = (
        data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=6)))) if events else []
    )
    first, second = fold(events), fold(shuffled)
    assert first == second
    assert {key: view(key, state) for key, state in first.items()} == {
        key: view(key, state) for key, state in second.items()
    }


@given(st.lists(EVENTS, max_size=12))
def test_erased_learner_shows_nothing_whatever_else_is_said(events: list[Event[Data]]):
    states = fold([*events, at(1, LearnerErased(reason="asked"), OPERATOR)])
    assert view(Key("learners", "it"), states[Key("learners", "it")]) == {}


def test_operator_is_no_entry_of_the_registry():
    registering = at(0, registered(), OPERATOR, subject="operator")
    assert entity(registering) is None
    assert misfits(registering)[0][0] == "subject"


# organisations


def test_organisation_is_registered_since_its_first_registration():
    later = at(60 * 24 * 40, registered("University"), OPERATOR)
    entry = shown(later, at(0, registered(), OPERATOR))
    assert (entry["name"], entry["status"], entry["sector"]) == ("University", "registered", None)
    assert entry["since"] == events.timestamp(NOON)


def test_newest_of_suspended_and_reinstated_counts():
    events = [at(0, registered(), OPERATOR), at(1, OrganisationSuspended(reason="left"), OPERATOR)]
    assert (shown(*events)["status"], shown(*events)["reason"]) == ("suspended", "left")
    assert shown(*events, at(2, OrganisationReinstated(), OPERATOR))["status"] == "registered"


def test_suspension_is_known_before_the_registration():
    assert shown(at(1, OrganisationSuspended(reason="left"), OPERATOR))["status"] == "suspended"


# agreements


def test_agreement_is_signed_when_every_party_has_signed():
    proposal, signature = at(0, proposed("uni", "plant", "works")), at(1, AgreementSigned(), PLANT)
    assert shown(proposal, signature)["status"] == "proposed"
    signed = shown(proposal, signature, at(2, AgreementSigned(), "enterprise:works"))
    assert (signed["status"], signed["proposer"]) == ("signed", "uni")
    assert [(a["party"], a["answer"]) for a in signed["answers"]] == [
        ("plant", "signed"),
        ("uni", "signed"),
        ("works", "signed"),
    ]


def test_strangers_words_do_not_count():
    strangers = [
        at(1, cloudevent, "enterprise:works") for cloudevent in (AgreementSigned(), AgreementEnded(reason="x"))
    ]
    agreement = shown(at(0, proposed()), *strangers, at(2, AgreementSigned(), PLANT))
    assert agreement["status"] == "signed"
    assert len(agreement["answers"]) == 2


def test_refusal_shows_by_whom_and_why():
    agreement = shown(at(0, proposed()), at(1, AgreementSigned(), PLANT), at(2, AgreementRefused(reason="no"), PLANT))
    assert agreement["status"] == "refused"
    assert agreement["answers"][0] == {
        "party": "plant",
        "answer": "refused",
        "at": events.timestamp(NOON + timedelta(minutes=2)),
        "reason": "no",
    }


def test_signature_after_a_refusal_counts():
    agreement = shown(at(0, proposed()), at(1, AgreementRefused(reason="no"), PLANT), at(2, AgreementSigned(), PLANT))
    assert agreement["status"] == "signed"


def test_signature_of_earlier_content_does_not_count():
    events = [at(0, proposed()), at(1, AgreementSigned(), PLANT), at(2, proposed(scope="everything"))]
    assert shown(*events)["status"] == "proposed"
    assert shown(*events, at(3, AgreementSigned(), PLANT))["status"] == "signed"


def test_party_ends_an_agreement_for_all():
    agreement = shown(at(0, proposed()), at(1, AgreementSigned(), PLANT), at(2, AgreementEnded(reason="done"), PLANT))
    assert agreement["status"] == "ended"
    assert (agreement["ended"]["by"], agreement["ended"]["reason"]) == ("plant", "done")


def test_proposal_of_a_stranger_is_not_shown():
    assert shown(at(0, proposed("plant", "works"))) == {}


@pytest.mark.parametrize("parties", [("plant", "works"), ("uni", "plant", "uni")])
def test_proposal_needs_its_proposer_and_each_party_once(parties: tuple[str, ...]):
    assert misfits(at(0, proposed(*parties)))[0][0] == "data.parties"


# programmes, activities, opportunities


def test_newest_version_of_a_programme_is_shown():
    programme = shown(at(1, published("2")), at(0, published("1")))
    assert (programme["version"], programme["institution"], programme["recommendations"]) == ("2", "uni", [])


def test_recommendation_is_open_until_the_institution_answers():
    by_feedback = [at(minute, recommended(id), "service:feedback") for minute, id in ((1, "r1"), (2, "r2"))]
    answer = ProgrammeRevised(recommendation="r2", version="2")
    programme = shown(at(0, published()), *by_feedback, at(3, answer))
    assert [(r["recommendation"], r["status"]) for r in programme["recommendations"]] == [
        ("r1", "open"),
        ("r2", "revised"),
    ]
    assert programme["recommendations"][1]["version"] == "2"


def test_answer_of_another_institution_does_not_count():
    declined = ProgrammeRevisionDeclined(recommendation="r1", reason="no")
    programme = shown(
        at(0, published()), at(1, recommended(), "service:feedback"), at(2, declined, "institution:college")
    )
    assert programme["recommendations"][0]["status"] == "open"


def test_activity_names_its_organiser_among_the_organisations():
    held = ActivityHeld(kind="workshop", organisations=["plant"], hours=2, participants=20)
    assert shown(at(0, held, "enterprise:works"))["organisations"] == ["plant", "works"]


def test_opportunity_is_closed_by_its_enterprise_only():
    posted, closed = OpportunityPosted(kind="vacancy", title="Welder", places=2), OpportunityClosed(filled=1)
    assert shown(at(0, posted, PLANT), at(1, closed, "enterprise:works"))["status"] == "open"
    assert shown(at(0, posted, PLANT), at(1, closed, PLANT))["status"] == "closed"


# learners


def learner(*events: tuple[str, Data]) -> dict[str, Any]:
    return shown(*(at(minute, data, subject=id, key="l1") for minute, (id, data) in enumerate(events)))


def test_learner_studies_several_programmes():
    entry = learner(
        ("l1", LearnerEnrolled(programme="mechanics", cohort="2026-06")),
        ("l1", LearnerEnrolled(programme="welding")),
        ("l1", LearnerGraduated(programme="mechanics", graduated_on="2026-06-30")),
    )
    assert [(p["id"], p["status"]) for p in entry["programmes"]] == [
        ("mechanics", "graduated"),
        ("welding", "enrolled"),
    ]


def test_internships_may_overlap_and_each_has_its_own_end():
    entry = learner(
        ("i1", InternshipStarted(**INTERNSHIP, agreement="a1")),
        ("i2", InternshipStarted(**INTERNSHIP | {"enterprise": "works"})),
        ("i1", COMPLETED),
    )
    assert [(i["id"], i["enterprise"], i["status"]) for i in entry["internships"]] == [
        ("i1", "plant", "completed"),
        ("i2", "works", "started"),
    ]
    assert (entry["internships"][0]["hours"], entry["internships"][0]["agreement"]) == (120, "a1")


@pytest.mark.parametrize(
    ("ended", "hours", "why"),
    [
        ("2026-03-01", 24, None),
        ("2026-03-01", 24.01, "24.01 hours are more than 24 a day from 2026-03-01 to 2026-03-01 (24 in all)"),
        ("2026-03-30", 9999, "9999 hours are more than 24 a day from 2026-03-01 to 2026-03-30 (720 in all)"),
        ("2026-02-28", 8, "ended on 2026-02-28, before it began on 2026-03-01"),
    ],
)
def test_what_cannot_have_been_is_named(ended: str, hours: float, why: str | None):
    found = implausible("2026-03-01T17:00:00.000Z", f"{ended}T05:00:00.000Z", hours)
    assert (found and found[1]) == why


def test_an_internship_that_cannot_have_been_counts_and_says_why():
    started = ("i1", InternshipStarted(**INTERNSHIP))
    for told in ((started, ("i1", COMPLETED)), (("i1", COMPLETED), started)):
        (internship,) = learner(*told)["internships"]
        assert (internship["status"], internship["hours"]) == ("completed", 120)
        assert internship["implausible"].startswith("120 hours are more than 24 a day")
    assert learner(("i1", COMPLETED))["internships"][0]["implausible"] is None


def test_newer_of_completed_and_cancelled_counts():
    cancelled = InternshipCancelled(**INTERNSHIP, reason="ill")
    assert learner(("i1", cancelled), ("i1", COMPLETED))["internships"][0]["status"] == "completed"
    assert learner(("i1", COMPLETED), ("i1", cancelled))["internships"][0]["status"] == "cancelled"


def test_completed_internship_does_not_start_again():
    entry = learner(("i1", COMPLETED), ("i1", InternshipStarted(**INTERNSHIP)))
    assert entry["internships"][0]["status"] == "completed"


def test_employment_is_newest_first():
    statuses = [("e1", EmploymentRecorded(status="seeking")), ("e2", EmploymentRecorded(status="employed"))]
    assert [e["status"] for e in learner(*statuses)["employment"]] == ["employed", "seeking"]


def test_readers_of_a_learner_are_the_institution_those_that_spoke_and_those_named():
    entry = learner(
        ("l1", LearnerEnrolled(programme="mechanics")),
        ("e1", EmploymentRecorded(status="employed", enterprise="works")),
        ("i1", COMPLETED),
    )
    assert (entry["institutions"], entry["readers"]) == (["uni"], ["operator", "plant", "uni", "works"])


def test_of_two_employments_of_one_id_each_is_kept():
    jobs = [at(m, EmploymentRecorded(status="seeking"), by, "e1", "l1") for m, by in enumerate((UNI, PLANT))]
    assert [(job["id"], job["recorded_by"]) for job in shown(*jobs)["employment"]] == [("e1", "plant"), ("e1", "uni")]


def test_support_case_is_open_until_closed():
    entry = learner(("s1", SupportRequested(need="job")), ("s2", SupportRequested(need="training")))
    assert [case["status"] for case in entry["support"]] == ["open", "open"]
    entry = learner(("s1", SupportRequested(need="job")), ("s1", SupportClosed(outcome="hired")))
    assert (entry["support"][0]["status"], entry["support"][0]["outcome"]) == ("closed", "hired")


def test_same_content_is_recognised_and_other_content_is_not():
    entry = shown(at(0, registered(), OPERATOR))
    assert is_said(entry, registered())
    assert not is_said(entry, registered("University"))
    assert not is_said({}, registered())
