"""The catalogue of indicators. Adding one is adding one entry to `CATALOGUE`.

The measures that an entry names are counted in states.py; figures.py works out its value from them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from shared.pages.languages import Text

from .states import HORIZONS_MONTHS, IN_WORK, STATUSES, months_later

Scope = Literal["network", "region", "institution", "programme", "sector", "enterprise", "competency"]
Status = Literal["ok", "suppressed", "not_enough_data"]
Measures = Mapping[str, int]


SMALL_GROUPS = Text(
    "Values of fewer cases than suppressed_below are hidden. So is what would tell them by subtraction: when `from` or "
    "`to` is given, months with fewer cases are left out (months_left_out), with the smallest other months if they "
    "are too few together; a stock is hidden at the ends of months between which too few cases changed. Without `from` "
    "and `to` everything is counted. Not covered: differences between scopes, between indicators, and between answers "
    "of different times.",
)

# For each scope offered, the kind of counter that is summed: one kind only, so nothing is counted twice.
GRADUATES: dict[Scope, str] = dict.fromkeys(("network", "region", "institution", "programme"), "programme")
PRACTICE: dict[Scope, str] = {**GRADUATES, "enterprise": "enterprise", "sector": "enterprise"}
PARTNERS: dict[Scope, str] = dict.fromkeys(("network", "region", "sector"), "organisation")
ORGANISERS: dict[Scope, str] = {**PARTNERS, "institution": "organisation", "enterprise": "organisation"}
AGREEMENTS: dict[Scope, str] = {"network": "agreement", "institution": "organisation", "enterprise": "organisation"}
COMPETENCIES: dict[Scope, str] = {"network": "competency", "competency": "competency"}


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
        kind: ratio and difference are of numerator and denominator; sum is the numerator; median is of *histogram*.
        scopes: the scopes offered, each with the kind of counter that it is summed from.
        by: what a month means: of graduation (cohort), of the event (period), or the end of it (stock).
        passed_months: only months after which so many have passed entirely are read; None: up to now.
        cases: what n counts; the denominator if left out.
        evidence: what must not be zero, besides the denominator of a ratio, for there to be a value.
        weights: what one of a measure counts for in the numerator, if not 1.
        divisor: what the numerator is divided by.
        personal: about people, so that few of them are not shown.
    """

    id: str
    group: Text
    title: Text
    formula: Text
    unit: Literal["share", "days", "hours", "hours per learner", "places", "organisations", "agreements"]
    kind: Literal["ratio", "difference", "sum", "median"] = "ratio"
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
    personal: bool = True
    source: str = "Praktika"

    @property
    def measures(self) -> set[str]:
        return {*self.numerator, *self.denominator, *(self.cases or ()), *(self.evidence or ())}

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
        if self.passed_months == 0:
            return Text("by month of graduation, months that have passed")
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


_EMPLOYED = _each("status_", IN_WORK)
_KNOWN = _each("status_", STATUSES)


def _employment_after(months: int) -> Indicator:
    return Indicator(
        id=f"employment_rate_{months}m",
        group=WORK,
        title=Text("Employment rate {months} months after graduation", {"months": months}),
        formula=Text(
            "graduates employed or self-employed {months} months after graduation / graduates whose status on that "
            "day is known (a status holds from its first day until 6 months after it was observed, or until the next)",
            {"months": months},
        ),
        unit="share",
        numerator=_each(f"after_{months}m_", IN_WORK),
        denominator=_each(f"after_{months}m_", STATUSES),
        scopes=GRADUATES,
        by="cohort",
        passed_months=months,
        source="EQAVET 5b",
    )


CATALOGUE: tuple[Indicator, ...] = (
    Indicator(
        id="employment_rate",
        group=WORK,
        title=Text("Employment rate"),
        formula=Text(
            "graduates employed or self-employed / graduates with a known status (the newest recorded)",
        ),
        unit="share",
        numerator=_EMPLOYED,
        denominator=_KNOWN,
        scopes=GRADUATES,
        by="cohort",
        source="EQAVET 5",
    ),
    *map(_employment_after, HORIZONS_MONTHS),
    Indicator(
        id="unemployment_rate",
        group=WORK,
        title=Text("Unemployment rate"),
        formula=Text(
            "graduates seeking work / graduates seeking work, employed or self-employed",
        ),
        unit="share",
        numerator=("status_seeking",),
        denominator=("status_seeking", *_EMPLOYED),
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
        unit="share",
        numerator=_EMPLOYED,
        denominator=(*_EMPLOYED, "status_seeking"),
        scopes=GRADUATES,
        by="cohort",
        source="French ministry of higher education",
    ),
    Indicator(
        id="placement_rate",
        group=WORK,
        title=Text("Placement rate"),
        formula=Text(
            "graduates in work, study or another known destination (not seeking work) / all graduates",
        ),
        unit="share",
        numerator=tuple(measure for measure in _KNOWN if measure != "status_seeking"),
        denominator=("graduates",),
        scopes=GRADUATES,
        by="cohort",
        source="EQAVET 5a",
    ),
    Indicator(
        id="relevant_occupation_rate",
        group=JOBS,
        title=Text("Working in the field of study"),
        formula=Text(
            "graduates in work that matches the field of study / graduates in work of whom this is known",
        ),
        unit="share",
        numerator=("work_related",),
        denominator=("work_related", "work_unrelated"),
        scopes=GRADUATES,
        by="cohort",
        source="EQAVET 6a",
    ),
    Indicator(
        id="stable_job_rate",
        group=JOBS,
        title=Text("Stable job rate"),
        formula=Text(
            "graduates self-employed or with a permanent contract / self-employed, or employed with a known contract",
        ),
        unit="share",
        numerator=("contract_stable",),
        denominator=("contract_stable", "contract_other"),
        scopes=GRADUATES,
        by="cohort",
        source="French ministry of higher education",
    ),
    Indicator(
        id="full_time_rate",
        group=JOBS,
        title=Text("Full-time rate"),
        formula=Text(
            "graduates working full time / graduates in work whose working time is known",
        ),
        unit="share",
        numerator=("hours_full",),
        denominator=("hours_full", "hours_part"),
        scopes=GRADUATES,
        by="cohort",
        source="French ministry of higher education; ACS",
    ),
    Indicator(
        id="median_days_to_employment",
        group=WORK,
        title=Text("Median days to first job"),
        formula=Text(
            "median of days from graduation to the first work whose first day is known (earlier work: 0), by weeks, "
            "at most 260",
        ),
        unit="days",
        kind="median",
        histogram="employment_weeks",
        scopes=GRADUATES,
        by="cohort",
    ),
    Indicator(
        id="internship_to_hire_rate",
        group=INTERNSHIPS,
        title=Text("Hired where they interned"),
        formula=Text(
            "graduates with a completed internship in the programme who work or worked at an enterprise where they "
            "completed an internship / graduates with a completed internship in the programme",
        ),
        unit="share",
        numerator=("graduates_hired_where_interned",),
        denominator=("graduates_interned",),
        scopes=GRADUATES,
        by="cohort",
    ),
    Indicator(
        id="status_response_rate",
        group=WORK,
        title=Text("Graduates with a known status"),
        formula=Text("graduates with a known status / all graduates"),
        unit="share",
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
            "enterprises' answers rating 4 or 5 of 5 overall / enterprises' answers (the newest per request)",
        ),
        unit="share",
        numerator=("employers_satisfied",),
        denominator=("employers_satisfied", "employers_not_satisfied"),
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
        unit="share",
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
            "feedback requests answered / feedback requests due in the month",
        ),
        unit="share",
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
        unit="share",
        numerator=("graduates_certified",),
        denominator=("graduates",),
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
        unit="share",
        numerator=("graduates_certified_sustainability",),
        denominator=("graduates",),
        scopes=GRADUATES,
        by="cohort",
        source="STARS AC-2; SDG 4.7",
    ),
    Indicator(
        id="recognised_certificates_rate",
        group=CERTIFICATES,
        title=Text("Certificates recognised by enterprises"),
        formula=Text(
            "valid certificates of competencies that at least one enterprise recognises today / valid certificates",
        ),
        unit="share",
        numerator=("certificates_recognised",),
        denominator=("certificates",),
        scopes=COMPETENCIES,
        by="stock",
    ),
    Indicator(
        id="competency_gap",
        group=CERTIFICATES,
        title=Text("Competency gap"),
        formula=Text(
            "places demanded by reports whose horizon has not passed − valid certificates; not enough data without a "
            "report",
        ),
        unit="places",
        kind="difference",
        numerator=("demand_places",),
        denominator=("certificates",),
        evidence=("demand_reports",),
        scopes=COMPETENCIES,
        by="stock",
        source="EQAVET 9",
    ),
    Indicator(
        id="internship_completion_rate",
        group=INTERNSHIPS,
        title=Text("Internships completed"),
        formula=Text(
            "internships completed / internships completed or cancelled",
        ),
        unit="share",
        numerator=("internships_completed",),
        denominator=("internships_completed", "internships_cancelled"),
        scopes=PRACTICE,
        by="period",
        source="EQAVET 4",
    ),
    Indicator(
        id="workplace_hours_per_learner",
        group=INTERNSHIPS,
        title=Text("Workplace hours per learner"),
        formula=Text(
            "hours of completed internships / learners with a completed internship (once per programme or enterprise, "
            "in the month of the first)",
        ),
        unit="hours per learner",
        numerator=("intern_quarter_hours", "intern_hundredth_hours"),
        weights={"intern_quarter_hours": 25},
        divisor=100,
        denominator=("interns",),
        scopes=PRACTICE,
        by="period",
    ),
    Indicator(
        id="sustainability_programmes_rate",
        group=SUSTAINABILITY,
        title=Text("Programmes with sustainability"),
        formula=Text(
            "programmes whose newest version has a sustainability competency / programmes",
        ),
        unit="share",
        numerator=("programmes_sustainability",),
        denominator=("programmes",),
        scopes=GRADUATES,
        by="stock",
        personal=False,
        source="SDG 4.7.1",
    ),
    Indicator(
        id="teacher_sustainability_hours",
        group=SUSTAINABILITY,
        title=Text("Teacher upskilling in sustainability"),
        formula=Text(
            "hours of teacher upskilling activities with a sustainability competency, at their organiser",
        ),
        unit="hours",
        kind="sum",
        numerator=("upskilling_quarter_hours", "upskilling_hundredth_hours"),
        weights={"upskilling_quarter_hours": 25},
        divisor=100,
        cases=("upskilling_activities",),
        evidence=("upskilling_activities",),
        scopes=ORGANISERS,
        by="period",
        personal=False,
        source="EQAVET 2; SDG 4.7.1",
    ),
    Indicator(
        id="joint_programmes_rate",
        group=COOPERATION,
        title=Text("Programmes joint with enterprises"),
        formula=Text(
            "programmes whose newest version has an enterprise as a partner / programmes",
        ),
        unit="share",
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
            "recommended programme revisions that were made or declined / revisions recommended in the month",
        ),
        unit="share",
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
    Indicator(
        id="active_partners",
        group=COOPERATION,
        title=Text("Active partners"),
        formula=Text("organisations registered and not suspended"),
        unit="organisations",
        kind="sum",
        numerator=("partners",),
        cases=("partners",),
        scopes=PARTNERS,
        by="stock",
        personal=False,
    ),
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
