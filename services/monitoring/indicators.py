"""The catalogue of indicators. Adding one is adding one entry to `CATALOGUE`.

The measures that an entry names are counted in states.py; figures.py works out its value from them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from shared.contract.events import PayBand
from shared.pages.languages import N_, Text
from shared.processing.employment import HORIZONS_MONTHS, IN_WORK, STATUSES, months_later
from shared.settings import settings

from .learners import AT_WORK, OF_GROUPS, SPLITS
from .states import EMPLOYERS

Scope = Literal["network", "region", "institution", "programme", "sector", "enterprise", "competency"]
Unit = Literal[
    "share",
    "days",
    "hours",
    "person-hours",
    "hours per learner",
    "places",
    "people",
    "organisations",
    "agreements",
    "activities",
    "per graduate",
]
Status = Literal["ok", "suppressed", "not_enough_data"]
Measures = Mapping[str, int]


SMALL_GROUPS = Text(
    "Values of fewer cases than suppressed_below are hidden, and shares of 0 or 100 per cent of fewer than twice as "
    "many. So is what would tell them by subtraction, of all scopes together: beside a small region, institution, "
    "programme or enterprise the smallest others; when `from` or `to` is given, small months are left out "
    "(months_left_out), with other months of the same scope and of those beside it; a past stock is told only if "
    "enough cases have changed since. Without `from` and `to` everything is counted. Not covered: differences between "
    "indicators that count the same people differently, and between answers of different times.",
)

# For each scope offered, the kind of counter that is summed: one kind only, so nothing is counted twice.
GRADUATES: dict[Scope, str] = dict.fromkeys(("network", "region", "institution", "programme"), "programme")
PRACTICE: dict[Scope, str] = {**GRADUATES, "enterprise": "enterprise", "sector": "enterprise"}
PARTNERS: dict[Scope, str] = dict.fromkeys(("network", "region", "sector"), "organisation")
ORGANISERS: dict[Scope, str] = {**PARTNERS, "institution": "organisation", "enterprise": "organisation"}
HOSTS: dict[Scope, str] = dict.fromkeys(("network", "region", "sector", "enterprise"), "enterprise")
INSTITUTIONS: dict[Scope, str] = dict.fromkeys(("network", "region", "institution"), "organisation")
AGREEMENTS: dict[Scope, str] = {"network": "agreement", "institution": "organisation", "enterprise": "organisation"}
COMPETENCIES: dict[Scope, str] = {"network": "competency", "competency": "competency"}
REGIONS: dict[Scope, str] = {"network": "region", "region": "region"}


STUDY = Text("Study")
WORK = Text("Graduates at work")
JOBS = Text("Quality of jobs")
INTERNSHIPS = Text("Practice at the workplace")
FEEDBACK = Text("Feedback and revision of programmes")
CERTIFICATES = Text("Competencies and certificates")
SUSTAINABILITY = Text("Sustainability")
COOPERATION = Text("Cooperation")


@dataclass(frozen=True, kw_only=True)
class Indicator:
    """One entry of the catalogue.

    Attributes:
        kind: ratio is of numerator and denominator; sum is the numerator; median is of *histogram*; satisfied is the
            share of those in *histogram* whose ratings are 4 or more on average.
        scopes: the scopes offered, each with the kind of counter that it is summed from.
        by: what a month means: of graduation (cohort), of the event (period), or the end of it (stock).
        passed_months: only months after which so many have passed entirely are read; None: up to now.
        cases: what n counts; the denominator if left out.
        evidence: what must not be zero, besides the denominator of a ratio, for there to be a value.
        weights: what one of a measure counts for in the numerator, if not 1.
        divisor: what the numerator is divided by.
        of_all: all that the denominator should be of; those of them who are not in it are said with the value.
        left_out: who of them is left out on purpose, by reason; the others are unknown.
        personal: about people, so that few of them are not shown.
    """

    id: str
    group: Text
    title: Text
    formula: Text
    unit: Unit = "share"
    kind: Literal["ratio", "sum", "median", "satisfied"] = "ratio"
    numerator: tuple[str, ...] = ()
    denominator: tuple[str, ...] = ()
    histogram: str | None = None
    scopes: Mapping[Scope, str]
    by: Literal["cohort", "period", "stock"]
    passed_months: int | None = None
    cases: tuple[str, ...] | None = None
    evidence: tuple[str, ...] | None = None
    weights: Mapping[str, int] = field(default_factory=dict)
    divisor: int = 1
    of_all: tuple[str, ...] = ()
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    personal: bool = True
    source: str = "Praktika"

    @property
    def measures(self) -> set[str]:
        """The measures that are named; those of a histogram follow from its name."""
        around = (*self.of_all, *(measure for some in self.left_out.values() for measure in some))
        return {*self.numerator, *self.denominator, *(self.cases or ()), *(self.evidence or ()), *around}

    @property
    def splits(self) -> list[str]:
        """By what it is offered split into groups of learners."""
        return list(SPLITS) if not self.histogram and self.measures <= OF_GROUPS else []

    def is_in(self, counted: Measures) -> bool:
        """Is anything counted of what the indicator is made of?"""
        made_of = self.measures
        return any(
            count and (measure in made_of or measure.partition("/")[0] == self.histogram)
            for measure, count in counted.items()
        )

    @property
    def window(self) -> Text:
        """Which months are read, in words."""
        if self.by == "stock":
            return Text("state at the end of the month")
        if self.passed_months is None:
            return Text("by month of graduation") if self.by == "cohort" else Text("by month of the event")
        if self.by == "period":
            return Text("by month of the event, months that have passed")
        if "expected" in self.denominator:
            return Text("by month in which the graduation was expected, months that have passed")
        passed = {"months": self.passed_months}
        return Text("by month of graduation, cohorts whose {months} months have passed", passed)

    def latest(self, today: date) -> str:
        """The last month that is read."""
        complete = 0 if self.passed_months is None else self.passed_months + 1
        return months_later(today.replace(day=1), -complete).isoformat()[:7]

    def months(self, begin: str | None, end: str | None, today: date) -> tuple[str | None, str]:
        """The first and the last month to show when *begin* to *end* is asked for today."""
        latest = self.latest(today)
        return (None if self.by == "stock" else begin), min(end or latest, latest)


def _each(prefix: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{prefix}{name}" for name in names)


# Whom the employment rates leave out besides those of whom nothing is known; a country's rules may want some.
_LEFT_OUT = tuple(sorted(settings().employment_leaves_out))
_EMPLOYED = _each("status_", IN_WORK)
_KNOWN = _each("status_", STATUSES)
_NOT_AVAILABLE = tuple(status for status in STATUSES if status not in (*IN_WORK, "seeking"))


def _without(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in _LEFT_OUT)


def _reasons(prefix: str, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    return {name: (f"{prefix}{name}",) for name in names}


def _employment_after(months: int) -> Indicator:
    return Indicator(
        id=f"employment_rate_{months}m",
        group=WORK,
        title=Text("Employment rate {months} months after graduation", {"months": months}),
        formula=Text(
            "graduates employed or self-employed {months} months after graduation / graduates whose status on that "
            "day is known. What a register or the employer says holds until it is ended, what a survey says until 6 "
            "months after it or until the next one",
            {"months": months},
        ),
        numerator=_each(f"after_{months}m_", IN_WORK),
        denominator=_each(f"after_{months}m_", _without(STATUSES)),
        of_all=("graduates",),
        left_out=_reasons(f"after_{months}m_", _LEFT_OUT),
        scopes=GRADUATES,
        by="cohort",
        passed_months=months,
        source="EQAVET 5",
    )


def _of_graduates(id: str, title: Text, formula: Text, measure: str, **more: Any) -> Indicator:
    """The share of all graduates that a measure counts."""
    return Indicator(
        id=id,
        title=title,
        formula=formula,
        numerator=(measure,),
        **{"denominator": ("graduates",), "scopes": GRADUATES, "by": "cohort", **more},
    )


def _of_internships(id: str, title: Text, formula: Text, measure: str) -> Indicator:
    return Indicator(
        id=id,
        group=INTERNSHIPS,
        title=title,
        formula=formula,
        numerator=(measure,),
        denominator=("internships_passed", "internships_failed", "internships_cancelled"),
        scopes=PRACTICE,
        by="period",
    )


def _hours_per_learner(id: str, title: Text, formula: Text, prefix: str) -> Indicator:
    return Indicator(
        id=id,
        group=INTERNSHIPS,
        title=title,
        formula=formula,
        unit="hours per learner",
        numerator=(f"{prefix}_quarter_hours", f"{prefix}_hundredth_hours"),
        weights={f"{prefix}_quarter_hours": 25},
        divisor=100,
        denominator=("interns",),
        scopes=PRACTICE,
        by="period",
    )


def _activity(what: str, unit: Literal["hours", "people"], title: Text, formula: Text) -> Indicator:
    """A sum over activities of a kind, at their organiser."""
    hours = unit == "hours"
    return Indicator(
        id=f"{what}_{'hours' if hours else 'participants'}",
        group=COOPERATION,
        title=title,
        formula=formula,
        unit=unit,
        kind="sum",
        numerator=(f"{what}_quarter_hours", f"{what}_hundredth_hours") if hours else (f"{what}_participants",),
        weights={f"{what}_quarter_hours": 25} if hours else {},
        divisor=100 if hours else 1,
        cases=(f"{what}_activities",),
        evidence=(f"{what}_activities",),
        scopes=ORGANISERS,
        by="period",
        personal=False,
    )


def _of_demand(id: str, title: Text, formula: Text, measure: str, unit: Literal["places", "people"]) -> Indicator:
    return Indicator(
        id=id,
        group=CERTIFICATES,
        title=title,
        formula=formula,
        unit=unit,
        kind="sum",
        numerator=(measure,),
        cases=("holders",),
        evidence=("demand_reports",),
        scopes=COMPETENCIES,
        by="stock",
        source="EQAVET 9",
    )


def _of_members(id: str, title: Text, formula: Text, measure: str) -> Indicator:
    return Indicator(
        id=id,
        group=COOPERATION,
        title=title,
        formula=formula,
        unit="organisations",
        kind="sum",
        numerator=(measure,),
        cases=(measure,),
        scopes=PARTNERS,
        by="stock",
        personal=False,
    )


CATALOGUE: tuple[Indicator, ...] = (
    Indicator(
        id="employment_rate",
        group=WORK,
        title=Text("Employment rate"),
        formula=Text(
            "graduates employed or self-employed / graduates with a known status, on the day on which anything was "
            "last said of them",
        ),
        numerator=_EMPLOYED,
        denominator=_each("status_", _without(STATUSES)),
        of_all=("graduates",),
        left_out=_reasons("status_", _LEFT_OUT),
        scopes=GRADUATES,
        by="cohort",
        source="EQAVET 5",
    ),
    *map(_employment_after, HORIZONS_MONTHS),
    Indicator(
        id="graduates_at_work",
        group=WORK,
        title=Text("Graduates at work, by employer"),
        formula=Text(
            "graduates who are in work by their newest status and whose employer is known, at their employer; so the "
            "sector and the region are the employer's"
        ),
        unit="people",
        kind="sum",
        numerator=(AT_WORK,),
        cases=(AT_WORK,),
        evidence=(AT_WORK,),
        scopes=HOSTS,
        by="cohort",
        source=N_("ILO (employment by economic activity)"),
    ),
    Indicator(
        id="employed_in_region_rate",
        group=WORK,
        title=Text("At work in the institution's region"),
        formula=Text(
            "graduates in work whose employer is registered in the region of their institution / graduates in work "
            "whose employer is registered"
        ),
        numerator=("work_in_region",),
        denominator=("work_region_known",),
        of_all=_EMPLOYED,
        scopes=GRADUATES,
        by="cohort",
        source=N_("Praktika; ILO, by the place of work"),
    ),
    Indicator(
        id="vacancies_per_graduate",
        group=WORK,
        title=Text("Vacancies per graduate"),
        formula=Text(
            "vacancies of the region on job portals that were published (or else observed) in the last 12 months / "
            "graduates of the region's institutions in the last 12 months. Vacancies name no programme: it is offered "
            "neither for programmes nor for institutions"
        ),
        unit="per graduate",
        numerator=("vacancies_of_year",),
        denominator=("graduates_of_year",),
        evidence=("vacancies_of_year",),
        scopes=REGIONS,
        by="stock",
        source="EQAVET 9",
    ),
    Indicator(
        id="unemployment_rate",
        group=WORK,
        title=Text("Unemployment rate"),
        formula=Text(
            "graduates seeking work / graduates seeking work, employed or self-employed",
        ),
        numerator=("status_seeking",),
        denominator=("status_seeking", *_EMPLOYED),
        of_all=("graduates",),
        left_out=_reasons("status_", _NOT_AVAILABLE),
        scopes=GRADUATES,
        by="cohort",
        source="ACS; ILO",
    ),
    Indicator(
        id="insertion_rate",
        group=WORK,
        title=Text("Insertion rate"),
        formula=Text(
            "graduates employed or self-employed / graduates employed, self-employed or seeking work",
        ),
        numerator=_EMPLOYED,
        denominator=(*_EMPLOYED, "status_seeking"),
        of_all=("graduates",),
        left_out=_reasons("status_", _NOT_AVAILABLE),
        scopes=GRADUATES,
        by="cohort",
        source=N_("French ministry of higher education"),
    ),
    Indicator(
        id="placement_rate",
        group=WORK,
        title=Text("Placement rate"),
        formula=Text(
            "graduates in work, study or another known destination (not seeking work) / all graduates",
        ),
        numerator=tuple(measure for measure in _KNOWN if measure != "status_seeking"),
        denominator=("graduates",),
        scopes=GRADUATES,
        by="cohort",
        source=N_("EQAVET 5, whose placement rate is of those placed within 12-36 months"),
    ),
    Indicator(
        id="further_study_rate",
        group=WORK,
        title=Text("Graduates in further study"),
        formula=Text("graduates who study / graduates with a known status"),
        numerator=("status_studying",),
        denominator=_KNOWN,
        of_all=("graduates",),
        scopes=GRADUATES,
        by="cohort",
        source="EQAVET 5",
    ),
    Indicator(
        id="relevant_occupation_rate",
        group=JOBS,
        title=Text("Working in the field of study"),
        formula=Text(
            "graduates in work that matches the field of study / graduates in work of whom this is known",
        ),
        numerator=("work_related",),
        denominator=("work_related", "work_unrelated"),
        of_all=_EMPLOYED,
        scopes=GRADUATES,
        by="cohort",
        source=N_("EQAVET 6a, which asks for the occupation of graduates; here they are asked themselves"),
    ),
    Indicator(
        id="stable_job_rate",
        group=JOBS,
        title=Text("Stable job rate"),
        formula=Text(
            "graduates self-employed or with a permanent contract / self-employed, or employed with a known contract",
        ),
        numerator=("contract_stable",),
        denominator=("contract_stable", "contract_other"),
        of_all=_EMPLOYED,
        scopes=GRADUATES,
        by="cohort",
        source=N_("French ministry of higher education"),
    ),
    Indicator(
        id="full_time_rate",
        group=JOBS,
        title=Text("Full-time rate"),
        formula=Text(
            "graduates working full time / graduates in work whose working time is known",
        ),
        numerator=("hours_full",),
        denominator=("hours_full", "hours_part"),
        of_all=_EMPLOYED,
        scopes=GRADUATES,
        by="cohort",
        source=N_("French ministry of higher education; ACS"),
    ),
    Indicator(
        id="low_pay_rate",
        group=JOBS,
        title=Text("Low pay"),
        formula=Text("graduates paid less than two thirds of the median / graduates in work whose pay band is known"),
        numerator=("pay_low",),
        denominator=_each("pay_", PayBand),
        of_all=_EMPLOYED,
        scopes=GRADUATES,
        by="cohort",
        source=N_("OECD (incidence of low pay)"),
    ),
    Indicator(
        id="above_median_pay_rate",
        group=JOBS,
        title=Text("Pay above the median"),
        formula=Text("graduates paid more than the median / graduates in work whose pay band is known"),
        numerator=("pay_upper_middle", "pay_high"),
        denominator=_each("pay_", PayBand),
        of_all=_EMPLOYED,
        scopes=GRADUATES,
        by="cohort",
    ),
    Indicator(
        id="over_qualification_rate",
        group=JOBS,
        title=Text("Over-qualification"),
        formula=Text(
            "graduates in work below their qualification / graduates in work whose occupation is known, of programmes "
            "of level 3 or higher. Below it are the major groups 4 to 9 of ISCO-08 for level 5 and higher, and group 9 "
            "for levels 3 and 4",
        ),
        numerator=("occupation_below",),
        denominator=("occupation_known",),
        of_all=_EMPLOYED,
        scopes=GRADUATES,
        by="cohort",
        source=N_("Eurostat (over-qualification rate), which is of tertiary education only"),
    ),
    Indicator(
        id="median_days_to_employment",
        group=WORK,
        title=Text("Median days to first job"),
        formula=Text(
            "median of days from graduation to the first work after it whose first day is known, by weeks, at most "
            "260. Who was in work already on the day of graduation is left out",
        ),
        unit="days",
        kind="median",
        histogram="employment_weeks",
        left_out={"employed_at_graduation": ("employed_at_graduation",)},
        scopes=GRADUATES,
        by="cohort",
    ),
    _of_graduates(
        "employed_at_graduation_rate",
        Text("In work at graduation"),
        Text("graduates in work on the day of graduation, in a job that began earlier / all graduates"),
        "employed_at_graduation",
        group=WORK,
    ),
    _of_graduates(
        "internship_to_hire_rate",
        Text("Hired where they interned"),
        Text(
            "graduates whom an enterprise hired after their internship there began / graduates with a completed "
            "internship in the programme",
        ),
        "graduates_hired_where_interned",
        group=INTERNSHIPS,
        denominator=("graduates_interned",),
    ),
    Indicator(
        id="hosted_hours_share",
        group=INTERNSHIPS,
        title=Text("Share of the programme at enterprises"),
        formula=Text(
            "hours of completed internships in the programme, of its graduates / hours of theory and at the workplace "
            "that the programme's newest version plans, for each of these graduates. Programmes that do not say both "
            "are left out, and so is what enterprises teach otherwise: activities name no programme"
        ),
        numerator=("hours_hosted",),
        denominator=("hours_of_programmes",),
        cases=("graduates_planned",),
        scopes=GRADUATES,
        by="cohort",
        source=N_("EU, Council Recommendation on vocational education and training (2020): work-based learning"),
    ),
    Indicator(
        id="enterprises_per_programme",
        group=INTERNSHIPS,
        title=Text("Enterprises per programme"),
        formula=Text(
            "enterprises at which an internship of the programme was completed in the last 12 months / programmes; an "
            "enterprise counts in each of its programmes"
        ),
        unit="organisations",
        numerator=("hosts_active",),
        denominator=("programmes",),
        scopes=GRADUATES,
        by="stock",
        personal=False,
    ),
    _of_graduates(
        "workplace_month_rate",
        Text("At least a month at a workplace"),
        Text("graduates with at least 140 hours of completed internships in the programme / all graduates"),
        "graduates_month_at_workplace",
        group=INTERNSHIPS,
        source=N_("EU, Council Recommendation on vocational education and training (2020): work-based learning"),
    ),
    Indicator(
        id="status_response_rate",
        group=WORK,
        title=Text("Graduates with a known status"),
        formula=Text("graduates with a known status / all graduates"),
        numerator=_KNOWN,
        denominator=("graduates",),
        scopes=GRADUATES,
        by="cohort",
    ),
    Indicator(
        id="employer_satisfaction",
        group=FEEDBACK,
        title=Text("Employer satisfaction"),
        formula=Text(
            "enterprises whose answers (the newest per request) are 4 or more of 5 overall, on average / enterprises "
            "that answered",
        ),
        kind="satisfied",
        histogram=EMPLOYERS,
        scopes=PRACTICE,
        by="period",
        source="EQAVET 6b3",
    ),
    Indicator(
        id="training_relevance",
        group=FEEDBACK,
        title=Text("Relevance of training"),
        formula=Text(
            "graduates' and learners' answers rating the relevance of training 4 or 5 of 5 / those that rate it",
        ),
        numerator=("training_relevant",),
        denominator=("training_relevant", "training_not_relevant"),
        scopes=PRACTICE,
        by="period",
        source="EQAVET 6b1",
    ),
    Indicator(
        id="feedback_response_rate",
        group=FEEDBACK,
        title=Text("Feedback response rate"),
        formula=Text(
            "feedback requests answered / feedback requests due in the month; of an enterprise, those that ask itself",
        ),
        numerator=("requests_answered",),
        denominator=("requests",),
        scopes=PRACTICE,
        by="period",
        passed_months=0,
    ),
    Indicator(
        id="certified_graduates_rate",
        group=CERTIFICATES,
        title=Text("Graduates with a certificate"),
        formula=Text(
            "graduates with a valid certificate of a competency / all graduates",
        ),
        numerator=("graduates_certified",),
        denominator=("graduates",),
        scopes=GRADUATES,
        by="cohort",
    ),
    _of_graduates(
        "certificates_per_graduate",
        Text("Certificates per graduate"),
        Text(
            "competencies of which graduates hold a valid certificate / all graduates; several certificates of one "
            "competency are one",
        ),
        "graduates_competencies",
        group=CERTIFICATES,
        unit="per graduate",
    ),
    Indicator(
        id="median_days_certificate_to_job",
        group=CERTIFICATES,
        title=Text("Median days from certificate to job"),
        formula=Text(
            "median of days from a graduate's first valid certificate to the first work after it whose first day is "
            "known, by weeks, at most 260. Who was in work already on the day of the certificate is left out",
        ),
        unit="days",
        kind="median",
        histogram="certificate_weeks",
        left_out={"employed_at_certificate": ("employed_at_certificate",)},
        scopes=GRADUATES,
        by="cohort",
    ),
    Indicator(
        id="sustainability_graduates_rate",
        group=SUSTAINABILITY,
        title=Text("Graduates certified in sustainability"),
        formula=Text(
            "graduates with a valid certificate of a sustainability competency / all graduates",
        ),
        numerator=("graduates_certified_sustainability",),
        denominator=("graduates",),
        scopes=GRADUATES,
        by="cohort",
        source=N_("SDG 4.7, for graduates of whom it is certified"),
    ),
    Indicator(
        id="recognised_certificates_rate",
        group=CERTIFICATES,
        title=Text("Certificates recognised by enterprises"),
        formula=Text(
            "valid certificates of competencies that at least one enterprise recognises / valid certificates",
        ),
        numerator=("certificates_recognised",),
        denominator=("certificates",),
        scopes=COMPETENCIES,
        by="stock",
    ),
    _of_demand(
        "competency_gap",
        Text("Competency gap"),
        Text(
            "places demanded by reports whose horizon has not passed that no holder of a valid certificate could fill; "
            "of several reports on one demand the newest. Competencies of which more are certified than demanded do "
            "not make up for others; not enough data without a report",
        ),
        "demand_lack",
        unit="places",
    ),
    _of_demand(
        "competency_surplus",
        Text("Competency surplus"),
        Text(
            "holders of a valid certificate beyond the places demanded by reports whose horizon has not passed; not "
            "enough data without a report",
        ),
        "demand_surplus",
        unit="people",
    ),
    _of_internships(
        "internship_completion_rate",
        Text("Internships passed"),
        Text("internships passed / internships passed, failed or broken off"),
        "internships_passed",
    ),
    _of_internships(
        "internship_failure_rate",
        Text("Internships failed"),
        Text("internships failed / internships passed, failed or broken off"),
        "internships_failed",
    ),
    _of_internships(
        "internship_cancellation_rate",
        Text("Internships broken off"),
        Text("internships that did not take place or were broken off / internships passed, failed or broken off"),
        "internships_cancelled",
    ),
    _hours_per_learner(
        "workplace_hours_per_learner",
        Text("Workplace hours per learner"),
        Text(
            "hours of completed internships / learners with a completed internship (once per programme or enterprise, "
            "in the month of the first)",
        ),
        "intern",
    ),
    _hours_per_learner(
        "validated_hours_per_learner",
        Text("Validated workplace hours per learner"),
        Text(
            "hours of completed internships that the enterprise itself has reported / learners with a completed "
            "internship (once per programme or enterprise, in the month of the first)",
        ),
        "validated",
    ),
    Indicator(
        id="conversion_rate",
        group=INTERNSHIPS,
        title=Text("Interns hired by the enterprise"),
        formula=Text(
            "interns whom the enterprise hired after their internship began / learners with a completed internship "
            "there, in the month of the first",
        ),
        numerator=("interns_hired",),
        denominator=("interns",),
        scopes=HOSTS,
        by="period",
    ),
    Indicator(
        id="retention_rate",
        group=JOBS,
        title=Text("Still with the enterprise after 12 months"),
        formula=Text(
            "learners and graduates who work at the enterprise 12 months after they began there / those of whom it is "
            "known, by the month in which they began",
        ),
        numerator=("hires_retained",),
        denominator=("hires_known",),
        scopes=HOSTS,
        by="period",
        passed_months=12,
    ),
    Indicator(
        id="opportunities_filled_rate",
        group=COOPERATION,
        title=Text("Places filled"),
        formula=Text("places filled / places of offers that were closed in the month"),
        numerator=("places_filled",),
        denominator=("places_offered",),
        scopes=HOSTS,
        by="period",
        personal=False,
    ),
    Indicator(
        id="application_acceptance_rate",
        group=COOPERATION,
        title=Text("Applications accepted"),
        formula=Text("applications accepted / applications that the enterprise decided on in the month"),
        numerator=("applications_accepted",),
        denominator=("applications_accepted", "applications_declined"),
        scopes=HOSTS,
        by="period",
    ),
    Indicator(
        id="planned_workplace_share",
        group=COOPERATION,
        title=Text("Hours at the workplace in the programmes"),
        formula=Text(
            "planned hours at the workplace / planned hours of theory and at the workplace, of the newest versions of "
            "programmes that say both"
        ),
        numerator=("planned_workplace_hours",),
        denominator=("planned_hours",),
        cases=("programmes_planned",),
        scopes=GRADUATES,
        by="stock",
        personal=False,
    ),
    Indicator(
        id="support_success_rate",
        group=WORK,
        title=Text("Support that led to a job, an internship or training"),
        formula=Text("cases closed with a job, an internship or training / cases closed in the month"),
        numerator=("support_helped",),
        denominator=("support_closed",),
        scopes=INSTITUTIONS,
        by="period",
    ),
    Indicator(
        id="participation",
        group=STUDY,
        title=Text("Learners enrolled"),
        formula=Text(
            "learners who were enrolled and have neither graduated nor left; who studies in two programmes counts in "
            "each"
        ),
        unit="people",
        kind="sum",
        numerator=("learners",),
        cases=("learners",),
        evidence=("learners",),
        scopes=GRADUATES,
        by="stock",
        source="EQAVET 3",
    ),
    Indicator(
        id="completion_rate",
        group=STUDY,
        title=Text("Programmes completed"),
        formula=Text(
            "learners who graduated, at any time / learners who were enrolled and expected to graduate in the month",
        ),
        numerator=("expected_graduated",),
        denominator=("expected",),
        scopes=GRADUATES,
        by="cohort",
        passed_months=0,
        source="EQAVET 4",
    ),
    Indicator(
        id="drop_out_rate",
        group=STUDY,
        title=Text("Programmes left"),
        formula=Text(
            "learners who left the programme / learners who were enrolled and expected to graduate in the month",
        ),
        numerator=("expected_left",),
        denominator=("expected",),
        scopes=GRADUATES,
        by="cohort",
        passed_months=0,
        source="EQAVET 4",
    ),
    Indicator(
        id="sustainability_programmes_rate",
        group=SUSTAINABILITY,
        title=Text("Programmes with sustainability"),
        formula=Text(
            "programmes whose newest version has a sustainability competency / programmes",
        ),
        numerator=("programmes_sustainability",),
        denominator=("programmes",),
        scopes=GRADUATES,
        by="stock",
        personal=False,
        source=N_("STARS AC-2 and SDG 4.7.1, by the competencies that a programme names"),
    ),
    Indicator(
        id="teacher_sustainability_hours",
        group=SUSTAINABILITY,
        title=Text("Teacher upskilling in sustainability"),
        formula=Text(
            "hours of teacher upskilling with a sustainability competency × teachers who took part, for the "
            "institution whose teachers they are",
        ),
        unit="person-hours",
        kind="sum",
        numerator=("upskilling_quarter_hours", "upskilling_hundredth_hours"),
        weights={"upskilling_quarter_hours": 25},
        divisor=100,
        cases=("upskilling_activities",),
        evidence=("upskilling_activities",),
        scopes=ORGANISERS,
        by="period",
        personal=False,
        source=N_("EQAVET 2, which is of all training of teachers"),
    ),
    Indicator(
        id="activities_held",
        group=COOPERATION,
        title=Text("Activities held"),
        formula=Text(
            "workshops, master classes, lectures, project assignments, research and training, at their organiser"
        ),
        unit="activities",
        kind="sum",
        numerator=("activities_held",),
        cases=("activities_held",),
        evidence=("activities_held",),
        scopes=ORGANISERS,
        by="period",
        personal=False,
    ),
    _activity(
        "guest_teaching",
        "hours",
        Text("Guest teaching, hours"),
        Text("hours of guest lectures and master classes"),
    ),
    _activity(
        "guest_teaching",
        "people",
        Text("Guest teaching, people"),
        Text("participants of guest lectures and master classes"),
    ),
    _activity("joint_research", "hours", Text("Joint research, hours"), Text("hours of joint research")),
    _activity("joint_research", "people", Text("Joint research, people"), Text("participants of joint research")),
    Indicator(
        id="joint_programmes_rate",
        group=COOPERATION,
        title=Text("Programmes joint with enterprises"),
        formula=Text(
            "programmes whose newest version names an enterprise as a partner that has confirmed it / programmes",
        ),
        numerator=("programmes_joint",),
        denominator=("programmes",),
        scopes=GRADUATES,
        by="stock",
        personal=False,
    ),
    Indicator(
        id="revision_answer_rate",
        group=FEEDBACK,
        title=Text("Recommended revisions answered"),
        formula=Text(
            "recommended programme revisions whose new version was published, or that were declined / revisions "
            "recommended in the month",
        ),
        numerator=("revisions_answered",),
        denominator=("revisions_recommended",),
        scopes=GRADUATES,
        by="period",
        personal=False,
        source="EQAVET 9",
    ),
    Indicator(
        id="median_days_to_revision",
        group=FEEDBACK,
        title=Text("Median days to a revision's answer"),
        formula=Text(
            "median of days from a recommended revision to its answer, by weeks, at most 260",
        ),
        unit="days",
        kind="median",
        histogram="revision_weeks",
        scopes=GRADUATES,
        by="period",
        personal=False,
        source="EQAVET 9",
    ),
    _of_members(
        "active_partners",
        Text("Active partners"),
        Text(
            "organisations registered and not suspended of which something was counted in the last 12 months: an "
            "internship, an answer, an agreement, an activity, an offer, graduates",
        ),
        "partners_active",
    ),
    _of_members("members", Text("Members"), Text("organisations registered and not suspended"), "partners"),
    Indicator(
        id="active_agreements",
        group=COOPERATION,
        title=Text("Active agreements"),
        formula=Text(
            "agreements that all parties have signed and that are valid: not refused, ended or expired",
        ),
        unit="agreements",
        kind="sum",
        numerator=("agreements",),
        cases=("agreements",),
        scopes=AGREEMENTS,
        by="stock",
        personal=False,
    ),
)
INDICATORS: dict[str, Indicator] = {indicator.id: indicator for indicator in CATALOGUE}


def dividing(indicator: Indicator) -> list[Indicator]:
    """It, with those that divide the same cases if each case is in one's numerator: internships passed, failed, …"""
    cases = {*indicator.denominator}
    alike = [
        one
        for one in CATALOGUE
        if ({*one.denominator}, one.scopes, one.by, one.passed_months)
        == (cases, indicator.scopes, indicator.by, indicator.passed_months)
    ]
    are_all = cases and {measure for one in alike for measure in one.numerator} == cases
    return alike if are_all else [indicator]
