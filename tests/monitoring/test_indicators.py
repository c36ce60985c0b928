"""What each indicator counts: one claim each, from events to figures, without servers."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.monitoring.figures import median_days, series, shown
from services.monitoring.indicators import CATALOGUE, INDICATORS
from services.monitoring.states import months_later
from shared.contract.events import (
    ActivityHeld,
    ActivityKind,
    AgreementEnded,
    AgreementProposed,
    AgreementRefused,
    AgreementSigned,
    CompetencyCertified,
    CompetencyRevoked,
    Data,
    DemandReported,
    Event,
    FeedbackErased,
    FeedbackRequested,
    FeedbackSubmitted,
    JointPartner,
    OrganisationRegistered,
    OrganisationReinstated,
    OrganisationSuspended,
    ProgrammeCompetency,
    ProgrammePublished,
    ProgrammeRevised,
    ProgrammeRevisionDeclined,
    ProgrammeRevisionRecommended,
)
from tests.making import event

from .counting import at, broke_off, fold, graduated, interned, measured, status, total

PEOPLE = ("ann", "ben", "cid", "dan")
OPERATOR, PLANT = "operator:region", "enterprise:plant"


def share(indicator: str, *events: Event[Data], **of: str) -> tuple[float | None, float | None]:
    found = measured(indicator, *events, **of)
    return found.numerator, found.denominator


def everybody(*statuses: str, **said: object) -> list[Event[Data]]:
    """Four graduates, the first of them with a status each."""
    known = [status(learner, what, **said) for learner, what in zip(PEOPLE, statuses, strict=False)]
    return [*map(graduated, PEOPLE), *known]


# graduates


def test_employment_rate_is_of_those_with_a_known_status() -> None:
    assert share("employment_rate", *everybody("employed", "self_employed", "studying")) == (2, 3)


def test_the_newest_status_counts_whatever_came_first() -> None:
    statuses = [status("ann", "employed", "2025-05-01"), status("ann", "seeking", "2025-02-01")]
    assert share("employment_rate", graduated(), *statuses) == (1, 1)
    assert share("employment_rate", graduated(), *reversed(statuses)) == (1, 1)


def test_a_graduate_of_two_programmes_counts_in_each() -> None:
    two = [graduated(programme="welding"), graduated(programme="casting"), status("ann", "employed")]
    assert share("employment_rate", *two) == (2, 2)
    assert share("employment_rate", *two, id="casting") == (1, 1)


def test_a_status_without_graduation_counts_in_nothing() -> None:
    assert total(fold([status("ann", "employed")])) == {}


def test_unemployment_rate_leaves_out_who_studies() -> None:
    assert share("unemployment_rate", *everybody("employed", "seeking", "studying", "other")) == (1, 2)


def test_insertion_rate_leaves_out_who_studies() -> None:
    assert share("insertion_rate", *everybody("employed", "seeking", "studying", "other")) == (1, 2)


def test_placement_rate_is_of_all_graduates_and_unknown_is_not_placed() -> None:
    assert share("placement_rate", *everybody("employed", "seeking", "studying")) == (2, 4)


def test_status_response_rate_is_of_all_graduates() -> None:
    assert share("status_response_rate", *everybody("employed", "seeking")) == (2, 4)


def test_relevant_occupation_rate_leaves_out_unknown_and_who_does_not_work() -> None:
    events = [
        *map(graduated, PEOPLE),
        status("ann", "employed", related_to_field=True),
        status("ben", "employed", related_to_field=False),
        status("cid", "employed"),
        status("dan", "seeking", related_to_field=True),
    ]
    assert share("relevant_occupation_rate", *events) == (1, 2)


def test_stable_job_rate_takes_self_employment_as_stable_and_leaves_out_unknown_contracts() -> None:
    events = [
        *map(graduated, PEOPLE),
        status("ann", "employed", contract="permanent"),
        status("ben", "employed", contract="agency"),
        status("cid", "self_employed"),
        status("dan", "employed"),
    ]
    assert share("stable_job_rate", *events) == (2, 3)


def test_full_time_rate_leaves_out_unknown() -> None:
    events = [
        *map(graduated, PEOPLE),
        status("ann", "employed", full_time=True),
        status("ben", "self_employed", full_time=False),
        status("cid", "employed"),
        status("dan", "studying", full_time=True),
    ]
    assert share("full_time_rate", *events) == (1, 2)


# the status at a time after graduation


def test_statuses_seen_18_and_30_months_after_graduation_are_those_of_18_and_30_months() -> None:
    seen = [status("ann", "seeking", "2013-12-01"), status("ann", "employed", "2014-12-01")]
    events = [graduated(on="2012-06-01"), *seen]
    assert share("employment_rate_18m", *events) == (0, 1)
    assert share("employment_rate_30m", *events) == (1, 1)


def test_the_status_at_18_months_is_not_carried_to_30() -> None:
    events = [graduated(on="2012-06-01"), status("ann", "employed", "2013-12-01")]
    assert share("employment_rate_18m", *events) == (1, 1)
    assert share("employment_rate_30m", *events) == (0, 0)


def test_nothing_is_known_before_a_status_was_seen_unless_its_first_day_is() -> None:
    assert share("employment_rate_12m", graduated(), status("ann", "employed", "2025-06-02")) == (0, 0)
    known = status("ann", "employed", "2025-06-02", since="2025-05-01")
    assert share("employment_rate_12m", graduated(), known) == (1, 1)


def test_a_status_holds_until_six_months_after_it_was_seen() -> None:
    assert share("employment_rate_12m", graduated(), status("ann", "employed", "2024-12-02")) == (1, 1)
    assert share("employment_rate_12m", graduated(), status("ann", "employed", "2024-12-01")) == (0, 0)


def test_a_status_holds_until_the_next_one_begins() -> None:
    worked = status("ann", "employed", "2024-11-15")
    sought = status("ann", "seeking", "2025-02-01", since="2024-11-20")
    assert share("employment_rate_6m", graduated(), worked, sought) == (0, 1)
    assert share("employment_rate_6m", graduated(), worked, status("ann", "seeking", "2025-02-01")) == (1, 1)


def test_only_cohorts_whose_months_have_passed_are_read() -> None:
    # In March 2026 the cohort of August 2025 has its sixth month, February, behind it; that of September has not.
    assert INDICATORS["employment_rate_6m"].months(None, None, date(2026, 3, 15)) == (None, "2025-08")
    assert INDICATORS["employment_rate"].months("2020-01", None, date(2026, 3, 15)) == ("2020-01", "2026-03")
    assert INDICATORS["feedback_response_rate"].months(None, "2030-01", date(2026, 1, 1)) == (None, "2025-12")


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [("2023-08-31", 6, "2024-02-29"), ("2024-08-31", 6, "2025-02-28"), ("2024-01-31", 30, "2026-07-31")],
)
def test_months_are_calendar_months_clipped_to_their_end(day: str, months: int, then: str) -> None:
    assert months_later(date.fromisoformat(day), months) == date.fromisoformat(then)


# the way to the first job


def test_days_to_employment_are_to_the_first_known_first_day() -> None:
    later = status("ann", "employed", "2025-01-10", since="2024-12-01")
    first = status("ann", "self_employed", "2024-09-10", since="2024-06-08")
    assert measured("median_days_to_employment", graduated(), later, first).value == 7 * 1.5


def test_work_begun_before_graduation_takes_no_days() -> None:
    known = status("ann", "employed", since="2023-01-01")
    assert measured("median_days_to_employment", graduated(), known).value == 7 * 0.5


def test_a_status_without_its_first_day_says_nothing_about_days_to_employment() -> None:
    found = measured("median_days_to_employment", graduated(), status("ann", "employed"))
    assert (found.value, found.n) == (None, 0)


def test_very_long_ways_are_counted_in_the_last_week() -> None:
    known = status("ann", "employed", "2025-01-10", since="2025-01-01")
    assert measured("median_days_to_employment", graduated(on="2000-01-01"), known).value == 7 * 260.5


@given(st.lists(st.integers(0, 1800), min_size=1, max_size=60))
def test_the_median_by_weeks_is_within_a_week_of_a_middle_value(days: list[int]) -> None:
    weeks: dict[int, int] = {}
    for each in days:
        weeks[each // 7] = weeks.get(each // 7, 0) + 1
    median, ordered = median_days(weeks), sorted(days)
    low, high = ordered[(len(days) - 1) // 2], ordered[len(days) // 2]
    assert median is not None
    assert low // 7 * 7 <= median <= (high // 7 + 1) * 7


# internships


def test_hired_where_interned_needs_work_at_the_enterprise_of_the_internship() -> None:
    events = [
        *map(graduated, PEOPLE),
        *(interned(learner) for learner in PEOPLE[:3]),
        status("ann", "employed", enterprise="plant"),
        status("ben", "employed", enterprise="works"),
        status("cid", "seeking", enterprise="plant"),
        status("dan", "employed", enterprise="plant"),
    ]
    assert share("internship_to_hire_rate", *events) == (1, 3)


def test_internship_completion_rate_is_of_those_that_ended() -> None:
    ends = [interned("ann"), interned("ben"), broke_off("cid")]
    assert share("internship_completion_rate", *ends) == (2, 3)
    assert share("internship_completion_rate", *ends, kind="enterprise", id="plant") == (2, 3)


def test_an_internship_ends_once_and_the_newest_word_counts() -> None:
    ends = [broke_off("ann", "2024-03-01"), interned("ann", "2024-04-01")]
    assert share("internship_completion_rate", *ends) == (1, 1)


def test_workplace_hours_are_added_up_per_learner_in_the_month_of_the_first_internship() -> None:
    two = [interned("ann", "2024-02-10", "plant", 80.25), interned("ann", "2024-09-10", "works", 40)]
    assert share("workplace_hours_per_learner", *two, interned("ben", hours=60)) == (180.25, 2)
    assert {period for _, _, period, measure in total(fold(two)) if measure == "interns"} == {"2024-02", "2024-09"}
    assert "intern_hundredth_hours" not in {measure for _, _, _, measure in total(fold(two))}, (
        "old counters stay as they are"
    )
    with_rest = [interned("ann", "2024-02-10", "plant", 7.33), interned("ann", "2024-02-11", "works", 7.2)]
    assert share("workplace_hours_per_learner", *with_rest, interned("ben", hours=0.01)) == (14.54, 2)
    programme = {period for kind, _, period, measure in total(fold(two)) if (kind, measure) == ("programme", "interns")}
    assert programme == {"2024-02"}


# feedback


def asked(request: str, role: str = "enterprise", respondent: str = "plant", due: str = "2025-03-01") -> Event[Data]:
    data = FeedbackRequested(
        role=role,
        respondent=respondent,
        learner="ann",
        enterprise="plant",
        programme="welding",
        due=date.fromisoformat(due),
    )
    return event(data, request, by="service:feedback", time=at("2025-02-01"))


def answered(request: str | None, submission: str, overall: int, **given: object) -> Event[Data]:
    by, seen = str(given.pop("by", PLANT)), str(given.pop("seen", "2025-02-10"))
    role = "enterprise" if by.startswith("enterprise") else "graduate"
    data = FeedbackSubmitted(request=request, role=role, overall=overall, **given)
    return event(data, submission, request or submission, by=by, time=at(seen))


def test_employers_are_satisfied_from_four_of_five_on() -> None:
    answers = [answered(None, f"answer-{overall}", overall, programme="welding") for overall in (3, 4, 5)]
    assert share("employer_satisfaction", *answers) == (2, 3)
    assert share("employer_satisfaction", *answers, kind="enterprise", id="plant") == (2, 3)


def test_a_correction_replaces_the_answer_to_a_request() -> None:
    given = [answered("r1", "late", 5, seen="2025-02-20"), asked("r1"), answered("r1", "early", 1)]
    assert share("employer_satisfaction", *given) == (1, 1)


def test_an_answer_without_a_programme_still_counts_in_the_network() -> None:
    assert share("employer_satisfaction", answered(None, "one", 5)) == (1, 1)


def test_nobody_answers_for_an_enterprise() -> None:
    others = [answered("r1", "works", 5, by="enterprise:works"), asked("r1")]
    assert share("employer_satisfaction", *others) == (0, 0)
    assert share("feedback_response_rate", *others) == (0, 1)
    institution = FeedbackSubmitted(role="enterprise", overall=5)
    assert share("employer_satisfaction", event(institution, "one", by="institution:uni")) == (0, 0)


def test_training_relevance_is_of_graduates_who_rate_it() -> None:
    ratings = [{"relevance": 5}, {"relevance": 3}, {}]
    answers = [answered(None, f"a{n}", 4, by="institution:uni", **said) for n, said in enumerate(ratings)]
    assert share("training_relevance", *answers, answered(None, "plant", 5, relevance=5)) == (1, 2)


def test_feedback_response_rate_is_of_requests_due_in_months_that_have_passed() -> None:
    requests = [asked("r1"), asked("r2"), asked("r3", due="2026-03-01"), answered("r1", "one", 2)]
    assert share("feedback_response_rate", *requests) == (1, 2)


def test_an_erased_request_counts_in_nothing() -> None:
    erased = event(FeedbackErased(), "r1", by="service:feedback")
    assert total(fold([asked("r1"), answered("r1", "one", 5), erased])) == {}


# certificates and demand


def certified(
    certificate: str, learner: str = "ann", competency: str = "esco:cnc", on: str = "2024-03-01"
) -> Event[Data]:
    data = CompetencyCertified(
        competency=competency,
        level=4,
        scheme="s",
        institution="uni",
        evidence=["uni/exam"],
        address=f"/certificates/{certificate}",
    )
    return event(data, certificate, learner, by="service:certification", time=at(on))


def revoked(certificate: str, learner: str = "ann", on: str = "2025-03-01") -> Event[Data]:
    return event(CompetencyRevoked(reason="error"), certificate, learner, by="service:certification", time=at(on))


def demanded(report: str, places: int, horizon: str = "2027-06-30", on: str = "2025-01-15") -> Event[Data]:
    data = DemandReported(competency="esco:cnc", places=places, horizon=date.fromisoformat(horizon), research="survey")
    return event(data, report, "esco:cnc", by=OPERATOR, time=at(on))


def test_only_valid_certificates_certify_a_graduate() -> None:
    events = [*map(graduated, PEOPLE), certified("c1"), certified("c2", "ben"), revoked("c2", "ben")]
    assert share("certified_graduates_rate", *events) == (1, 4)


def test_sustainability_graduates_hold_a_certificate_of_a_sustainability_framework() -> None:
    events = [*map(graduated, PEOPLE), certified("c1"), certified("c2", "ben", "greencomp:3.1")]
    assert share("sustainability_graduates_rate", *events) == (1, 4)


def test_a_revoked_certificate_leaves_the_stock_in_the_month_of_its_revocation() -> None:
    changes = {period: count for (_, _, period, _), count in total(fold([certified("c1"), revoked("c1")])).items()}
    assert changes == {"2024-03": 1, "2025-03": -1}


def test_a_revocation_dated_before_its_certificate_leaves_no_certificate() -> None:
    assert total(fold([certified("c1"), revoked("c1", on="2023-01-01")])) == {}


def test_a_revocation_alone_counts_in_nothing() -> None:
    assert total(fold([revoked("c1")])) == {}


def test_competency_gap_is_places_demanded_less_valid_certificates() -> None:
    found = measured("competency_gap", demanded("a", 10), demanded("b", 5), certified("c1"))
    assert found == (14, 15, 1, 1)


def test_the_newest_word_of_a_report_counts() -> None:
    assert measured("competency_gap", demanded("a", 10), demanded("a", 3, on="2025-02-01")).value == 3


def test_without_a_report_in_force_there_is_no_gap_to_speak_of() -> None:
    assert measured("competency_gap", certified("c1")).value is None
    assert measured("competency_gap", demanded("a", 10, horizon="2026-02-28"), certified("c1")).value is None
    assert measured("competency_gap", demanded("a", 10, horizon="2026-03-01")).value == 10


def test_certificates_are_recognised_or_not_by_competency() -> None:
    figures = INDICATORS["recognised_certificates_rate"]
    assert shown(figures, {"certificates": 20, "certificates_recognised": 5}, 5)["value"] == 0.25


# organisations, agreements, programmes, activities


def registered(organisation: str, on: str) -> Event[Data]:
    data = OrganisationRegistered(kind="enterprise", name="A plant", region="east")
    return event(data, organisation, by=OPERATOR, time=at(on))


def stock(events: list[Event[Data]], indicator: str, month: str, kind: str) -> float | None:
    """The stock at the end of a month."""
    measure = INDICATORS[indicator].numerator[0]
    return sum(
        n
        for (of, _, period, what), n in total(fold(events)).items()
        if (of, what) == (kind, measure) and period <= month
    )


def test_a_partner_is_active_but_for_its_suspension() -> None:
    history = [
        registered("plant", "2024-01-10"),
        event(OrganisationSuspended(reason="late"), "plant", by=OPERATOR, time=at("2024-03-10")),
        event(OrganisationReinstated(), "plant", by=OPERATOR, time=at("2024-05-10")),
        registered("plant", "2025-01-10"),  # a change of its entry
    ]
    months = ["2023-12", "2024-01", "2024-03", "2024-05", "2025-02"]
    assert [stock(history, "active_partners", month, "organisation") for month in months] == [0, 1, 0, 1, 1]


def test_a_suspension_dated_before_the_registration_leaves_no_active_partner() -> None:
    suspended = event(OrganisationSuspended(reason="late"), "plant", by=OPERATOR)
    assert total(fold([suspended])) == {}
    late = [event(OrganisationSuspended(reason="late"), "plant", by=OPERATOR, time=at("2023-01-10"))]
    assert total(fold([*late, registered("plant", "2024-01-10")])) == {}


def proposed(on: str = "2024-01-10", until: str | None = None) -> Event[Data]:
    data = AgreementProposed(
        parties=["uni", "plant", "works"],
        scope="practice",
        valid_from=date(2024, 2, 1),
        valid_until=date.fromisoformat(until) if until else None,
    )
    return event(data, "a1", time=at(on))


def party(said: Data, by: str, on: str) -> Event[Data]:
    return event(said, "a1", by=by, time=at(on))


SIGNED = [
    party(AgreementSigned(), PLANT, "2024-03-10"),
    party(AgreementSigned(), "enterprise:works", "2024-04-10"),
]


def test_an_agreement_is_in_force_from_the_last_signature_on() -> None:
    events = [proposed(), *SIGNED]
    assert [stock(events, "active_agreements", m, "agreement") for m in ("2024-03", "2024-04")] == [0, 1]
    assert stock([proposed(), SIGNED[0]], "active_agreements", "2026-01", "agreement") == 0


def test_an_agreement_of_three_counts_once_in_the_network_and_once_with_each_party() -> None:
    assert stock([proposed(), *SIGNED], "active_agreements", "2026-01", "agreement") == 1
    assert stock([proposed(), *SIGNED], "active_agreements", "2026-01", "organisation") == 3


@pytest.mark.parametrize(
    "last",
    [
        party(AgreementEnded(reason="over"), PLANT, "2025-06-10"),
        party(AgreementRefused(reason="no"), "enterprise:works", "2025-06-10"),
    ],
)
def test_a_party_that_ends_or_refuses_ends_the_agreement(last: Event[Data]) -> None:
    events = [proposed(), *SIGNED, last]
    assert [stock(events, "active_agreements", m, "agreement") for m in ("2025-05", "2025-06")] == [1, 0]


def test_an_agreement_is_in_force_on_its_last_day() -> None:
    events = [proposed(until="2025-05-31"), *SIGNED]
    assert [stock(events, "active_agreements", m, "agreement") for m in ("2025-05", "2025-06")] == [1, 0]


def test_words_of_others_and_from_before_the_proposal_do_not_count() -> None:
    stranger = party(AgreementEnded(reason="over"), "enterprise:other", "2025-06-10")
    assert stock([proposed(), *SIGNED, stranger], "active_agreements", "2026-01", "agreement") == 1
    assert stock([proposed("2024-04-01"), *SIGNED], "active_agreements", "2026-01", "agreement") == 0


def published(
    programme: str, on: str = "2024-01-10", competency: str | None = None, joint: bool = False
) -> Event[Data]:
    data = ProgrammePublished(
        title="Welding",
        version="1",
        level=4,
        hours_theory=100,
        hours_workplace=50,
        competencies=[ProgrammeCompetency(competency=competency, level=4)] if competency else [],
        joint_partners=[JointPartner(organisation="plant", kind="enterprise")] if joint else [],
    )
    return event(data, programme, time=at(on))


def test_the_newest_version_of_a_programme_says_what_it_is() -> None:
    versions = [published("welding", "2024-05-10", "greencomp:3.1"), published("welding"), published("casting")]
    assert share("sustainability_programmes_rate", *versions) == (1, 2)
    history = [stock(versions, "sustainability_programmes_rate", m, "programme") for m in ("2024-04", "2024-05")]
    assert history == [0, 1]


def test_a_joint_programme_has_an_enterprise_as_partner() -> None:
    assert share("joint_programmes_rate", published("welding", joint=True), published("casting")) == (1, 2)


def recommended(recommendation: str, on: str = "2025-01-01") -> Event[Data]:
    data = ProgrammeRevisionRecommended(
        recommendation=recommendation,
        competency="esco:cnc",
        window="2024Q4",
        ratings=9,
        satisfied=3,
        threshold=0.6,
    )
    return event(data, "welding", by="service:feedback", time=at(on))


def test_revisions_are_answered_by_making_or_declining_them() -> None:
    answers = [
        event(ProgrammeRevised(recommendation="r1", version="2"), "welding", time=at("2025-01-11")),
        event(ProgrammeRevisionDeclined(recommendation="r2", reason="no"), "welding", time=at("2025-01-12")),
        event(ProgrammeRevised(recommendation="r9", version="2"), "welding", time=at("2025-01-12")),
    ]
    asked_for = [recommended("r1"), recommended("r2"), recommended("r3")]
    assert share("revision_answer_rate", *asked_for, *answers) == (2, 3)
    assert measured("median_days_to_revision", *asked_for, *answers).value == 7 * 1.5


def test_the_first_of_two_answers_ends_the_wait_for_one() -> None:
    declined = event(ProgrammeRevisionDeclined(recommendation="r1", reason="no"), "welding", time=at("2025-01-03"))
    revised = event(ProgrammeRevised(recommendation="r1", version="2"), "welding", time=at("2025-03-03"))
    found = measured("median_days_to_revision", recommended("r1"), declined, revised)
    assert (found.value, found.n) == (7 * 0.5, 1)


def test_another_institution_does_not_answer_a_recommendation() -> None:
    answer = event(ProgrammeRevised(recommendation="r1", version="2"), "welding", by="institution:other")
    assert share("revision_answer_rate", published("welding"), recommended("r1"), answer) == (0, 1)


def test_teacher_upskilling_counts_hours_in_sustainability_at_the_organiser() -> None:
    def held(name: str, kind: ActivityKind, competency: str) -> Event[Data]:
        data = ActivityHeld(kind=kind, hours=6.25, participants=9, competencies=[competency])
        return event(data, name, time=at("2025-01-10"))

    activities = [
        held("one", ActivityKind.teacher_upskilling, "greencomp:1.1"),
        held("two", ActivityKind.teacher_upskilling, "esco:cnc"),
        held("three", ActivityKind.workshop, "greencomp:1.1"),
    ]
    assert measured("teacher_sustainability_hours", *activities, id="uni").value == 6.25
    assert measured("teacher_sustainability_hours", *activities[1:]).value is None


# what is shown


def test_few_people_are_not_shown() -> None:
    said = shown(INDICATORS["insertion_rate"], {"status_employed": 3, "status_seeking": 1}, 5)
    assert said == {"value": None, "status": "suppressed", "numerator": None, "denominator": None, "n": "<5"}


def test_five_people_are_shown() -> None:
    said = shown(INDICATORS["insertion_rate"], {"status_employed": 4, "status_seeking": 1}, 5)
    assert said == {"value": 0.8, "status": "ok", "numerator": 4, "denominator": 5, "n": 5}


def test_nobody_is_not_enough_data_and_never_zero() -> None:
    said = shown(INDICATORS["insertion_rate"], {"graduates": 9}, 5)
    assert (said["value"], said["status"]) == (None, "not_enough_data")


def test_none_of_many_is_zero() -> None:
    assert shown(INDICATORS["insertion_rate"], {"status_seeking": 9}, 5)["value"] == 0


def test_few_programmes_are_shown_because_they_are_not_people() -> None:
    assert shown(INDICATORS["joint_programmes_rate"], {"programmes": 2, "programmes_joint": 1}, 5)["value"] == 0.5


def test_a_gap_that_would_tell_of_few_certificates_is_not_shown() -> None:
    counted = {"demand_reports": 1, "demand_places": 10, "certificates": 3}
    assert shown(INDICATORS["competency_gap"], counted, 5)["status"] == "suppressed"
    assert shown(INDICATORS["competency_gap"], {**counted, "certificates": 0}, 5)["value"] == 10


def test_the_series_of_a_stock_says_every_month() -> None:
    changes = {"2025-01": {"partners": 3}, "2025-03": {"partners": -1}}
    points = series(INDICATORS["active_partners"], changes, "2025-02", "2025-04")
    assert [(month, counted["partners"]) for month, counted in points] == [
        ("2025-02", 3),
        ("2025-03", 2),
        ("2025-04", 2),
    ]


# the catalogue


def test_ids_are_unique() -> None:
    assert len(INDICATORS) == len(CATALOGUE)


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.id)
def test_every_entry_is_explained_in_both_languages_and_offered_for_the_network(entry) -> None:  # type: ignore[no-untyped-def]
    texts = (entry.title, entry.formula, entry.group, entry.window)
    assert all(text.into("en") and text.into("ru") and text.into("en") != text.into("ru") for text in texts)
    assert "network" in entry.scopes
    assert entry.histogram if entry.kind == "median" else entry.numerator


def test_the_catalogue_holds_every_indicator_of_the_design() -> None:
    assert set(INDICATORS) == {
        "employment_rate",
        "employment_rate_6m",
        "employment_rate_12m",
        "employment_rate_18m",
        "employment_rate_30m",
        "unemployment_rate",
        "insertion_rate",
        "placement_rate",
        "relevant_occupation_rate",
        "stable_job_rate",
        "full_time_rate",
        "median_days_to_employment",
        "internship_to_hire_rate",
        "status_response_rate",
        "employer_satisfaction",
        "training_relevance",
        "feedback_response_rate",
        "certified_graduates_rate",
        "sustainability_graduates_rate",
        "recognised_certificates_rate",
        "competency_gap",
        "internship_completion_rate",
        "workplace_hours_per_learner",
        "sustainability_programmes_rate",
        "teacher_sustainability_hours",
        "joint_programmes_rate",
        "revision_answer_rate",
        "median_days_to_revision",
        "active_partners",
        "active_agreements",
    }
