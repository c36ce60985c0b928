"""A region of twelve learners, three enterprises, two programmes and two regions, with each figure worked out by hand.

It is 15 March 2026. Welding is level 4, of the university in the east; nursing is level 6, of the college in the west.

| learner | programme | graduated  | internship                     | afterwards                                    |
| ------- | --------- | ---------- | ------------------------------ | --------------------------------------------- |
| ann     | welding   | 15.06.2024 | plant, passed, 160 h (plant)   | plant hired her on 1.7.2024, 40 h             |
| ben     | welding   | 15.06.2024 | plant, passed, 150 h (univ.)   | survey 20.12.2024: seeking since 1.10.        |
| cid     | welding   | 15.06.2024 | mill, failed, 80 h (mill)      | survey 10.1.2025: works since 20.12.2024      |
| dan     | welding   | 15.06.2024 | mill, broken off               | survey 10.1.2025: plant 36 h, the mill 8 h    |
| eve     | welding   | 15.06.2024 |                                | nothing is known                              |
| fay     | welding   | 15.06.2024 |                                | register: military service since 1.7.2024     |
| gus     | welding   |            |                                | left on 1.12.2023                             |
| hal     | nursing   | 20.06.2024 | clinic, passed, 200 h (clinic) | survey 20.12.2024: at the clinic since 2022   |
| ida     | nursing   | 20.06.2024 |                                | clinic hired her on 1.8.2024, until 31.3.2025 |
| jan     | nursing   | annulled   |                                |                                               |
| kim     | nursing   | 20.06.2024 |                                | erased                                        |
| lea     | both      | both days  |                                | survey 15.1.2025: studying                    |
"""

from datetime import date
from functools import cache
from typing import Any

import pytest

from services.monitoring import lookups
from services.monitoring.figures import caveats, figures, shown, sum_of, within
from services.monitoring.indicators import INDICATORS
from services.monitoring.states import view
from shared.contract import events as e
from shared.contract.events import Data, Event
from tests.making import event

from .counting import TODAY, at, fold, total

UNI, COLLEGE = "institution:uni", "institution:college"
PLANT, MILL, CLINIC = "enterprise:plant", "enterprise:mill", "enterprise:clinic"
OPERATOR, FEEDBACK, CERTIFICATION = "operator:operator", "service:feedback", "service:certification"
WELDING, NURSING = ("welding", UNI, "2024-06-15"), ("nursing", COLLEGE, "2024-06-20")


def said(by: str, on: str, subject: str, data: Data, key: str | None = None, *, id: str | None = None) -> Event[Data]:
    return event(data, subject, key, by=by, time=at(on), **({"id": id} if id else {}))


def day(text: str) -> date:
    return date.fromisoformat(text)


def studies(learner: str, of: tuple[str, str, str], graduated: bool = True) -> list[Event[Data]]:
    programme, by, on = of
    enrolled = said(by, "2021-09-01", learner, e.LearnerEnrolled(programme=programme, cohort="2024-06"))
    done = e.LearnerGraduated(programme=programme, graduated_on=day(on))
    return [enrolled, *([said(by, on, learner, done, id=f"graduated-{learner}")] if graduated else [])]


def internship(
    learner: str, by: str, at_: str, end: str, hours: float, *, programme: str = "welding"
) -> list[Event[Data]]:
    about: dict[str, Any] = {"enterprise": at_, "programme": programme}
    started = said(by, "2024-02-01", f"{learner}-i", e.InternshipStarted(**about), learner)
    data: Data = e.InternshipCancelled(reason="moved", **about)
    if end != "broken off":
        data = e.InternshipCompleted(outcome=end, hours=hours, **about)
    return [started, said(by, "2024-03-15", f"{learner}-i", data, learner)]


def status(learner: str, by: str, on: str, subject: str = "s", **data: Any) -> Event[Data]:
    data = {name: day(value) if name == "since" else value for name, value in data.items()}
    return said(by, on, f"{learner}-{subject}", e.EmploymentRecorded(**data), learner)


def applies(learner: str, at_: str, *then: Data) -> list[Event[Data]]:
    submitted = said(UNI, "2024-06-01", f"{learner}-a", e.ApplicationSubmitted(enterprise=at_), learner)
    by = {e.ApplicationWithdrawn: UNI}
    days = ("2024-06-05", "2024-06-09")
    told = [
        said(by.get(type(data), f"enterprise:{at_}"), on, f"{learner}-a", data, learner)
        for data, on in zip(then, days, strict=False)
    ]
    return [submitted, *told]


LEARNERS = [
    *studies("ann", WELDING),
    *internship("ann", PLANT, "plant", "passed", 160),
    status(
        "ann",
        PLANT,
        "2024-07-01",
        status="employed",
        since="2024-07-01",
        enterprise="plant",
        hours_per_week=40,
        full_time=True,
        contract="permanent",
        related_to_field=True,
        pay_band="upper_middle",
    ),
    *studies("ben", WELDING),
    *internship("ben", UNI, "plant", "passed", 150),
    status("ben", UNI, "2024-12-20", status="seeking", since="2024-10-01"),
    *studies("cid", WELDING),
    *internship("cid", MILL, "mill", "failed", 80),
    status(
        "cid",
        UNI,
        "2025-01-10",
        status="employed",
        since="2024-12-20",
        related_to_field=False,
        pay_band="low",
        occupation="isco:9111",
    ),
    *studies("dan", WELDING),
    *internship("dan", MILL, "mill", "broken off", 0),
    status(
        "dan",
        UNI,
        "2025-01-10",
        "main",
        status="employed",
        since="2024-09-01",
        enterprise="plant",
        hours_per_week=36,
        full_time=True,
        contract="permanent",
        related_to_field=True,
    ),
    status(
        "dan",
        UNI,
        "2025-01-10",
        "side",
        status="employed",
        since="2024-11-01",
        enterprise="mill",
        hours_per_week=8,
        full_time=False,
        contract="fixed_term",
        related_to_field=False,
    ),
    *studies("eve", WELDING),
    *studies("fay", WELDING),
    status("fay", UNI, "2024-09-10", status="other", detail="military_service", since="2024-07-01", basis="register"),
    *studies("gus", WELDING, graduated=False),
    said(UNI, "2023-12-01", "gus", e.LearnerLeft(programme="welding", left_on=day("2023-12-01"))),
    *studies("hal", NURSING),
    *internship("hal", CLINIC, "clinic", "passed", 200, programme="nursing"),
    status(
        "hal",
        COLLEGE,
        "2024-12-20",
        status="employed",
        since="2022-09-01",
        enterprise="clinic",
        full_time=False,
        contract="fixed_term",
        related_to_field=True,
        occupation="isco:2221",
    ),
    *studies("ida", NURSING),
    status("ida", CLINIC, "2024-08-01", status="employed", since="2024-08-01", enterprise="clinic"),
    said(CLINIC, "2025-04-01", "ida-s", e.EmploymentEnded(ended_on=day("2025-03-31")), "ida"),
    *studies("jan", NURSING),
    said(COLLEGE, "2024-07-01", "jan", e.LearnerAnnulled(event="graduated-jan", reason="it was another learner")),
    *studies("kim", NURSING),
    status("kim", COLLEGE, "2024-12-20", status="employed"),
    said(COLLEGE, "2025-01-01", "kim", e.LearnerErased()),
    *studies("lea", WELDING),
    said(UNI, "2021-09-02", "lea", e.LearnerShared(institution="college")),
    *studies("lea", NURSING),
    status("lea", COLLEGE, "2025-01-15", status="studying", study_level=7),
    *applies("ben", "plant", e.ApplicationDeclined()),
    *applies("cid", "mill", e.ApplicationAccepted()),
    *applies("eve", "mill", e.ApplicationAccepted(), e.ApplicationWithdrawn(enterprise="mill")),
    *applies("fay", "mill"),
    said(UNI, "2024-02-01", "case-1", e.SupportRequested(need="job"), "ben"),
    said(UNI, "2024-05-01", "case-1", e.SupportClosed(outcome="hired"), "ben"),
    said(UNI, "2024-06-01", "case-2", e.SupportClosed(outcome="withdrawn"), "eve"),
]


def certified(learner: str, id: str, competency: str) -> Event[Data]:
    data = e.CompetencyCertified(
        competency=competency, level=4, scheme="s", institution="uni", evidence=["uni/x"], address=f"/certificates/{id}"
    )
    return said(CERTIFICATION, "2024-05-01", id, data, learner)


def asked(request: str, role: str, of: str, learner: str = "ann", programme: str = "welding") -> Event[Data]:
    about: dict[str, Any] = {"learner": learner, "programme": programme, "enterprise": of.partition(":")[2] or None}
    respondent = of.partition(":")[2] if role == "enterprise" else learner
    data = e.FeedbackRequested(role=role, respondent=respondent, due=day("2024-03-29"), **about)
    return said(FEEDBACK, "2024-03-15", request, data)


def answered(request: str, role: str, by: str, overall: int, **more: Any) -> Event[Data]:
    data = e.FeedbackSubmitted(request=request, role=role, overall=overall, **more)
    return said(by, "2024-03-20", f"{request}-answer", data, request)


CIRCLE = [
    certified("ann", "c1", "esco:cnc"),
    certified("ben", "c2", "esco:cnc"),
    said(CERTIFICATION, "2024-08-01", "c2", e.CompetencyRevoked(reason="error"), "ben"),
    certified("hal", "c3", "greencomp:3.1"),
    certified("lea", "c4", "greencomp:3.1"),
    said(PLANT, "2025-01-01", "r", e.RecognitionGranted(competency="esco:cnc", since=day("2025-01-01")), "esco:cnc"),
    asked("r1", "enterprise", PLANT),
    asked("r2", "enterprise", PLANT, "ben"),
    asked("r3", "enterprise", MILL, "cid"),
    asked("r4", "enterprise", CLINIC, "hal", "nursing"),
    *(asked(f"l{n}", "learner", PLANT, learner) for n, learner in enumerate(("ann", "ben", "cid", "hal"))),
    asked("gone", "enterprise", MILL, "dan"),
    said(
        FEEDBACK,
        "2024-04-01",
        "gone",
        e.FeedbackCancelled(role="enterprise", respondent="mill", learner="dan", programme="welding"),
    ),
    answered("r1", "enterprise", PLANT, 5),
    answered("r2", "enterprise", PLANT, 2),
    answered("r4", "enterprise", CLINIC, 4),
    answered("l0", "learner", UNI, 4, relevance=5),
    answered("gone", "enterprise", MILL, 1),
]


def demand(by: str, on: str, report: str, competency: str, places: int, *, of: str | None = None) -> Event[Data]:
    data = e.DemandReported(competency=competency, places=places, horizon=day("2027-06-30"), research="plan", of=of)
    return said(by, on, report, data, competency)


def programme(
    of: tuple[str, str, str],
    on: str,
    version: str,
    level: int,
    *competencies: str,
    partner: bool = False,
    hours: tuple[float, float] | None = None,
) -> Event[Data]:
    data = e.ProgrammePublished(
        title=of[0],
        version=version,
        level=level,
        competencies=[e.ProgrammeCompetency(competency=c, level=level) for c in competencies],
        joint_partners=[e.JointPartner(organisation="plant", kind="enterprise")] if partner else [],
        **({"hours_theory": hours[0], "hours_workplace": hours[1]} if hours else {}),
    )
    return said(of[1], on, of[0], data)


def recommended(id: str) -> Event[Data]:
    window: dict[str, Any] = {"window": "2024Q4", "ratings": 9, "satisfied": 3, "threshold": 0.6}
    data = e.ProgrammeRevisionRecommended(recommendation=id, competency="esco:cnc", **window)
    return said(FEEDBACK, "2025-01-01", "welding", data)


def activity(by: str, on: str, id: str, kind: str, hours: float, *, people: int, **more: Any) -> Event[Data]:
    return said(by, on, id, e.ActivityHeld(kind=kind, hours=hours, participants=people, **more), id=id)


def offer(by: str, id: str, places: int, filled: int | None) -> list[Event[Data]]:
    posted = said(by, "2024-01-01", id, e.OpportunityPosted(kind="internship", title="x", places=places))
    return [posted, *([said(by, "2024-02-01", id, e.OpportunityClosed(filled=filled))] if filled is not None else [])]


NETWORK = [
    *(
        said(OPERATOR, "2023-01-01", id, e.OrganisationRegistered(kind=kind, name=id, region=region, sector=sector))
        for id, kind, region, sector in (
            ("uni", "institution", "east", None),
            ("college", "institution", "west", None),
            ("plant", "enterprise", "east", "C25"),
            ("mill", "enterprise", "east", "C10"),
            ("clinic", "enterprise", "west", "Q86"),
        )
    ),
    said(OPERATOR, "2025-06-01", "mill", e.OrganisationSuspended(reason="closed")),
    said(
        UNI,
        "2023-08-01",
        "a1",
        e.AgreementProposed(parties=["uni", "plant"], scope="practice", valid_from=day("2023-09-01")),
    ),
    said(PLANT, "2023-08-15", "a1", e.AgreementSigned()),
    programme(WELDING, "2023-01-10", "1", 4, "esco:cnc", partner=True, hours=(900, 300)),
    said(PLANT, "2023-02-01", "welding", e.ProgrammeJoined()),
    programme(NURSING, "2023-01-10", "1", 6, "greencomp:3.1", hours=(1000, 500)),
    *map(recommended, ("one", "two", "three")),
    said(UNI, "2025-01-20", "welding", e.ProgrammeRevised(recommendation="one", version="2")),
    programme(WELDING, "2025-02-05", "2", 4, "esco:cnc", partner=True, hours=(600, 600)),
    said(UNI, "2025-01-10", "welding", e.ProgrammeRevisionDeclined(recommendation="two", reason="no")),
    said(UNI, "2025-01-10", "welding", e.ProgrammeRevisionPlanned(recommendation="three", until=day("2026-01-01"))),
    demand(OPERATOR, "2025-01-01", "region-1", "esco:cnc", 6, of="plant"),
    demand(PLANT, "2025-02-01", "plan", "esco:cnc", 4, of="plant"),
    demand(CLINIC, "2025-02-01", "green", "greencomp:3.1", 1),
    *(
        said(OPERATOR, on, f"hh:{on}", e.VacancyObserved(portal="hh", title="x", region="east"))
        for on in ("2024-01-10", "2025-09-10")
    ),
    activity(
        CLINIC,
        "2025-05-10",
        "training",
        "teacher_upskilling",
        8,
        people=10,
        organisations=["college"],
        competencies=["greencomp:3.1"],
    ),
    activity(PLANT, "2025-09-10", "lecture", "guest_lecture", 2, people=30),
    activity(PLANT, "2025-09-11", "wrong", "guest_lecture", 5, people=50),
    said(PLANT, "2025-09-12", "wrong", e.ActivityAnnulled(event="wrong", reason="it was put off")),
    *offer(PLANT, "o1", 3, 2),
    *offer(MILL, "o2", 4, 99),
    *offer(CLINIC, "o3", 9, None),
]


@cache
def measures(kind: str) -> dict[str, dict[str, int]]:
    """All that is counted or looked up of a kind, by month."""
    states = fold([*NETWORK, *LEARNERS, *CIRCLE])
    by_id: dict[str, dict[str, dict[str, int]]] = {}
    acts: lookups.Sums = {}
    pairs: dict[tuple[str, str], dict[str, dict[str, int]]] = {}
    graduates: lookups.Sums = {}
    for (of_kind, id, month, measure), count in total(states).items():
        if of_kind == "programme_enterprise":
            programme_id, _, enterprise = id.partition(" ")
            pairs.setdefault((programme_id, enterprise), {}).setdefault(month, {})[measure] = count
        if (of_kind, measure) == ("programme", "graduates"):
            graduates[id, month] = {measure: count}
        acts.setdefault((of_kind, id, month), {})[measure] = count
        if of_kind == kind:
            by_id.setdefault(id, {}).setdefault(month, {})[measure] = count
    views = [(key, view(key, state)) for key, state in states.items()]
    collections = ("programmes", "demands", "organisations")
    shown_of = {name: {k.id: v for k, v in views if k.collection == name} for name in collections}
    recognitions = [v for k, v in views if k.collection == "recognitions" and v]
    latest = TODAY.isoformat()[:7]
    levels = {id: shown["level"] for id, shown in shown_of["programmes"].items()}
    institutions = {id: shown["institution"] for id, shown in shown_of["programmes"].items()}
    planned = {id: shown["planned_hours"] for id, shown in shown_of["programmes"].items()}
    regions = {id: shown["region"] for id, shown in shown_of["organisations"].items()}
    own_regions = {programme: regions[institution] for programme, institution in institutions.items()}
    reported = [{"_id": id, **shown} for id, shown in shown_of["demands"].items()]
    acts = {key: counts for key, counts in acts.items() if key[0] in ("enterprise", "organisation", "programme")}
    found = {
        "programme": lambda: [
            *lookups.occupations(levels, by_id),
            *lookups.hours_hosted(planned, by_id),
            *lookups.same_region(own_regions, regions, pairs),
            *lookups.hosts(pairs, latest),
        ],
        "region": lambda: lookups.vacancies(own_regions, by_id, graduates, latest),
        "organisation": lambda: lookups.active(by_id, lookups.acts_of(acts, institutions), latest),
        "competency": lambda: [
            *lookups.recognised(lookups.spans_of(recognitions, TODAY.isoformat()), by_id, latest),
            *lookups.gaps(lookups.demands_of(reported), by_id, latest),
        ],
    }.get(kind, list)()
    by_month: dict[str, dict[str, int]] = {}
    for months in by_id.values():
        for month, counts in months.items():
            for measure, count in counts.items():
                by_month.setdefault(month, {})[measure] = by_month.get(month, {}).get(measure, 0) + count
    for _, month, measure, change in found:
        by_month.setdefault(month, {})[measure] = by_month.get(month, {}).get(measure, 0) + change
    return by_month


# indicator: of the whole network (numerator, denominator), or the value where there is none
BY_HAND: dict[str, tuple[float, float] | float | None] = {
    # ann, cid, dan, hal of those and ben, fay and lea twice; of eve and ida nothing is known now
    "employment_rate": (4, 8),
    # on 15 and 20 December 2024: ann, dan, hal, ida of those and ben, fay
    "employment_rate_6m": (4, 6),
    # on 15 and 20 June 2025: ann, cid, dan of those and ben, fay and lea twice; hal was last seen six months before
    "employment_rate_12m": (3, 7),
    # ann of her and fay: what surveys said has lapsed
    "employment_rate_18m": (1, 2),
    # 24 months after June 2024 are not over
    "employment_rate_24m": (0, 0),
    "employment_rate_30m": (0, 0),
    "employment_rate_36m": (0, 0),
    # ann and dan at the plant, hal at the clinic; of cid no employer is known
    "graduates_at_work": 3,
    "employed_in_region_rate": (3, 3),
    # one vacancy is older than a year, and so are all graduations
    "vacancies_per_graduate": (1, 0),
    "unemployment_rate": (1, 5),
    "insertion_rate": (4, 5),
    # ann, cid, dan, hal, fay and lea twice
    "placement_rate": (7, 10),
    "further_study_rate": (2, 8),
    "status_response_rate": (8, 10),
    # ann, dan by his main job, and hal; not cid
    "relevant_occupation_rate": (3, 4),
    # ann and dan; not hal
    "stable_job_rate": (2, 3),
    "full_time_rate": (2, 3),
    "low_pay_rate": (1, 2),
    "above_median_pay_rate": (1, 2),
    # cid, in group 9 after level 4; not hal, in group 2 after level 6
    "over_qualification_rate": (1, 2),
    # after 16, 42, 78 and 188 days: in the weeks 2, 6, 11 and 26, and half of them by the end of the week 6
    "median_days_to_employment": 49,
    "employed_at_graduation_rate": (1, 10),
    # ann of her, ben, cid and hal, who worked there before
    "internship_to_hire_rate": (1, 4),
    "conversion_rate": (1, 4),
    # ann and hal; not ida; of dan it is not known
    "retention_rate": (2, 3),
    # ann, ben and hal
    "workplace_month_rate": (3, 10),
    # in hundredths of an hour: 590, of seven times 1,200 and three times 1,500
    "hosted_hours_share": (59_000, 1_290_000),
    # all internships are older than a year
    "enterprises_per_programme": (0, 2),
    "internship_completion_rate": (3, 5),
    "internship_failure_rate": (1, 5),
    "internship_cancellation_rate": (1, 5),
    "workplace_hours_per_learner": (590, 4),
    # not the 150 that only the university says
    "validated_hours_per_learner": (440, 4),
    # jan, whose graduation was annulled
    "participation": 1,
    # not gus and jan, of twelve enrolments: kim is erased, lea counts twice
    "completion_rate": (10, 12),
    "drop_out_rate": (1, 12),
    "support_success_rate": (1, 2),
    # the plant with 3.5 on average is not satisfied, the clinic is
    "employer_satisfaction": (1, 2),
    "training_relevance": (1, 1),
    # r1, r2, r4 and l0
    "feedback_response_rate": (4, 8),
    # ann, hal and lea twice; ben's is revoked
    "certified_graduates_rate": (4, 10),
    "sustainability_graduates_rate": (3, 10),
    "certificates_per_graduate": (4, 10),
    # ann after 61 days, in the middle of the week 8; hal worked already
    "median_days_certificate_to_job": 59.5,
    "recognised_certificates_rate": (1, 3),
    # the plant's own word on its demand is newer; one of the four places could be filled
    "competency_gap": 3,
    "competency_surplus": 1,
    "sustainability_programmes_rate": (1, 2),
    "joint_programmes_rate": (1, 2),
    "teacher_sustainability_hours": 80,
    "activities_held": 2,
    "guest_teaching_hours": 2,
    "guest_teaching_participants": 30,
    "joint_research_hours": None,
    "joint_research_participants": None,
    # 2 of 3, and of 4 no more than 4
    "opportunities_filled_rate": (6, 7),
    # of cid, of him and ben; eve has withdrawn, and nobody has decided on fay
    "application_acceptance_rate": (1, 2),
    # in hundredths of an hour: 600 and 500 of 1,200 and 1,500
    "planned_workplace_share": (110_000, 270_000),
    # the first by publishing version 2 after 35 days, the second by declining after 9; the third is planned
    "revision_answer_rate": (2, 3),
    "median_days_to_revision": 14,
    "members": 4,
    # the plant, the clinic and the college, in 2025; the university did nothing since February 2025
    "active_partners": 3,
    "active_agreements": 1,
}


def test_every_indicator_is_worked_out_by_hand() -> None:
    assert BY_HAND.keys() == INDICATORS.keys()


@pytest.mark.parametrize("indicator", BY_HAND)
def test_the_products_value_is_the_one_by_hand(indicator: str) -> None:
    entry = INDICATORS[indicator]
    by_month = measures(entry.scopes["network"])
    found = figures(entry, sum_of(within(by_month, *entry.months(None, None, TODAY))))
    wanted = BY_HAND[indicator]
    assert ((found.numerator, found.denominator) if isinstance(wanted, tuple) else found.value) == wanted


def test_who_is_left_out_is_told_with_the_bounds_that_follow() -> None:
    counted = sum_of(measures("programme"))
    entry = INDICATORS["unemployment_rate"]
    caveats_of = caveats(entry, counted, shown(entry, counted, 1), 1, 0.5)
    assert caveats_of["left_out"] == [
        {"reason": "studying", "n": 2},
        {"reason": "military_service", "n": 1},
        {"reason": "unknown", "n": 2},
    ]
    assert (caveats_of["coverage"], caveats_of["lower"], caveats_of["upper"]) == (0.8, 1 / 7, 3 / 7)
