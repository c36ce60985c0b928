"""The region that speaks: its organisations, and what they say of each learner. The same seed says the same."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

from services.feedback.requests import request_id
from shared.contract.skills import skill_id

Json = dict[str, Any]

INSTITUTIONS = ("north-university", "south-college")
ENTERPRISES = ("crane-works", "dairy", "rail-yard", "software-house")
UNREGISTERED = ("reserve-foundry",)  # named in events, in no registry
HOSTILE_ENTERPRISE, HOSTILE_INSTITUTION = "scrap-dealer", "diploma-mill"  # what they do: hostile.py
ATTACKED = tuple(f"learner-{number}" for number in range(50))
OPERATOR = "operator"  # says what a job portal offers, and what its words mean
REGION = "r"  # of all organisations
PLACES: dict[str, str | None] = {"Town": REGION, "Coast": "coast", "Elsewhere": None}  # the region of a portal's area
# What vacancies ask for, in the spellings that are one skill.
SKILLS = (
    ("TIG welding", "tig-welding", "«TIG» Welding"),
    ("Stock keeping", "stock  keeping"),
    ("Sales", "SALES"),
    ("Учёт", "учет"),
    ("Reporting",),
    ("Python",),
)
COMPETENCIES = ("greencomp:1.1", "greencomp:3.1", "welding:tig", "logistics:7")
WISHED = "soft:teamwork"  # in no programme; employers rate it low
METHODS = ("exam", "workplace_demonstration")
LEAST_SCORE = 0.6
REQUEST_KEY = bytes(range(32))  # by which the network makes the ids of requests
STATUSES = ("employed", "employed", "employed", "self_employed", "studying", "seeking", "other")


@dataclass(frozen=True)
class Programme:
    """What an institution offers.

    Attributes:
        poor: its competency is always rated 1 or 2, so that a revision is recommended; else always 4 or 5.
    """

    id: str
    institution: str
    competency: str
    poor: bool


PROGRAMMES = tuple(
    Programme(f"{institution[:5]}-{number}", institution, COMPETENCIES[number], poor=number == 3)
    for institution in INSTITUTIONS
    for number in range(4)
)


@dataclass(frozen=True)
class Scheme:
    """By what an institution certifies: an exam and an enterprise's demonstration, each of at least `LEAST_SCORE`."""

    id: str
    institution: str
    competency: str
    level: int


SCHEMES = tuple(
    Scheme(f"{institution[:5]}-scheme-{competency.partition(':')[0]}-{level}", institution, competency, level)
    for institution in INSTITUTIONS
    for competency, level in (("greencomp:3.1", 6), ("welding:tig", 4))
)


def programme_events() -> Iterator[Json]:
    """Each programme in two versions, of which the second may have a partner or another competency."""
    for number, programme in enumerate(PROGRAMMES):
        for version, day in (("1", "2017-03-01"), ("2", "2019-05-10")):
            partner = [{"organisation": ENTERPRISES[0], "kind": "enterprise"}] if number % 2 and version == "2" else []
            data = {
                "title": f"Programme {programme.id}",
                "version": version,
                "level": 5,
                "competencies": [{"competency": programme.competency, "level": 5}],
                "joint_partners": partner,
            }
            said = (programme.institution, "programme.published", programme.id, f"{day}T08:00:00Z", data)
            yield event(*said, id=f"{programme.id}-v{version}")
        if number % 4 == 1:
            said = (ENTERPRISES[0], "programme.joined", programme.id, "2019-07-01T08:00:00Z", {})
            yield event(*said, id=f"{programme.id}-joined")


def event(by: str, type_: str, subject: str, time: str, data: Json, *, id: str, key: str | None = None) -> Json:
    return {
        "specversion": "1.0",
        "id": id,
        "source": f"/organisations/{by}",
        "type": f"praktika.{type_}.v1",
        "subject": subject,
        "time": time,
        "partitionkey": key or subject,
        "data": data,
    }


def event_id(by: str, type_: str, subject: str) -> str:
    return f"{by}-{type_}-{subject}"


def kind_of(organisation: str) -> str:
    if organisation == OPERATOR:
        return OPERATOR
    return "institution" if organisation in (*INSTITUTIONS, HOSTILE_INSTITUTION) else "enterprise"


def request_of(learner: str, internship: str, role: str) -> str:
    """The id of the feedback request that a completed internship raises."""
    return request_id(learner, internship, role, REQUEST_KEY)


def said_of(seed: int, number: int) -> list[Json]:
    """Everything that is said of the learner of this *number*, and now and then something about the region."""
    story = Story(Random(f"{seed}/{number}"), number)  # noqa: S311
    story.tell()
    return story.events


def introductions(seed: int) -> list[Json]:
    """Who the attacked learners and whose their internships are: whoever says that first on the log owns them."""
    told = (event for number in range(len(ATTACKED)) for event in said_of(seed, number))
    introducing = ("praktika.learner.enrolled.v1", "praktika.internship.started.v1")
    return [event for event in told if event["type"] in introducing]


class Story:
    """One learner's way, told with corrections, contradictions and late news."""

    def __init__(self, random: Random, number: int) -> None:
        self.random = random
        self.number = number
        self.learner = f"learner-{number}"
        self.programme = random.choice(PROGRAMMES)
        self.events: list[Json] = []
        self.enrolled_at = datetime(2017, 9, 1, 8, tzinfo=UTC) + timedelta(days=random.randrange(900))

    def tell(self) -> None:
        # Nothing of an erased learner is corrected: then each derived event has one possible content.
        self.erased = self.random.random() < 0.015
        enrolled = {"programme": self.programme.id, "cohort": self.date(700)[:7]}
        self.say(self.programme.institution, "learner.enrolled", self.learner, 0, enrolled)
        if self.random.random() < 0.4:
            self.describe()
        for internship in range(self.random.choice((0, 1, 1, 1, 2))):
            self.intern(f"{self.learner}-internship-{internship}", 60 + 200 * internship)
        if self.random.random() < 0.75:
            self.graduate()
        elif self.random.random() < 0.5:
            self.leave(enrolled)
        if self.random.random() < 0.5:
            self.be_assessed()
        if self.erased:
            self.say(self.programme.institution, "learner.erased", self.learner, 1_900, {})
        if self.number % 40 == 0:
            self.tell_of_the_region()
        if self.number % 4 == 0:
            self.tell_of_the_market()

    def describe(self) -> None:
        """Which groups the learner belongs to; some say it anew, or take it back by saying nothing."""
        for again in (False, True)[: 1 + (self.random.random() < 0.2)]:
            said: Json = {"sex": self.random.choice(("female", "male"))} if self.random.random() < 0.9 else {}
            for field in ("disability", "rural", "first_in_family"):
                if self.random.random() < 0.5:
                    said[field] = self.random.random() < 0.3
            self.say(self.programme.institution, "learner.described", self.learner, 10, said, again=again)

    def intern(self, id: str, day: int) -> None:
        host = self.random.choice((*ENTERPRISES, *ENTERPRISES, *UNREGISTERED))
        speaker = host if host in ENTERPRISES and self.random.random() < 0.8 else self.programme.institution
        about = {"enterprise": host, "programme": self.programme.id}
        self.say(speaker, "internship.started", id, day, about)
        cancelled = {**about, "reason": "broken off"}
        if self.random.random() < 0.12:
            self.say(speaker, "internship.cancelled", id, day + 20, cancelled)
            return
        practised = [self.programme.competency]
        completed = {**about, "hours": self.hours(), "competencies": practised, "outcome": "passed"}
        self.say(speaker, "internship.completed", id, day + 40, completed)
        if not self.erased and self.random.random() < 0.1:
            self.say(speaker, "internship.completed", id, day + 44, {**completed, "hours": self.hours()}, again=True)
        elif self.random.random() < 0.05:
            self.say(speaker, "internship.cancelled", id, day + self.random.choice((30, 50)), cancelled)
        for role in ("enterprise", "learner"):
            if self.random.random() < 0.4:
                self.give_feedback(id, role, host, day + 46)

    def hours(self) -> float:
        return self.random.randrange(1_000, 30_000) / 100

    def give_feedback(self, internship: str, role: str, host: str, day: int) -> None:
        """An answer to the request, sometimes corrected; nobody answers for who is in no registry."""
        request = request_of(self.learner, internship, role)
        asked = host if role == "enterprise" else self.programme.institution
        if asked in UNREGISTERED:
            return
        subject = f"{internship}-answer-{role}"
        for again in (False, True)[: 1 + (self.random.random() < 0.15)]:
            self.say(
                asked, "feedback.submitted", subject, day + again, self.ratings(request, role), request, again=again
            )

    def ratings(self, request: str, role: str) -> Json:
        rating = self.random.choice((1, 2) if self.programme.poor else (4, 5))
        said: Json = {"request": request, "role": role, "overall": self.random.randrange(1, 6)}
        said["competencies"] = {self.programme.competency: rating}
        if role == "enterprise":
            said["competencies"][WISHED] = self.random.choice((1, 2, 3))
        if self.random.random() < 0.6:
            said["relevance"] = self.random.randrange(1, 6)
        return said

    def graduate(self) -> None:
        day = 700 + self.random.randrange(60)
        data = {"programme": self.programme.id, "graduated_on": self.date(day)}
        self.say(self.programme.institution, "learner.graduated", self.learner, day + 2, data)
        if not self.erased and self.random.random() < 0.06:
            data = {**data, "graduated_on": self.date(day + 31)}
            self.say(self.programme.institution, "learner.graduated", self.learner, day + 40, data, again=True)
        elif not self.erased and self.random.random() < 0.05:
            self.take_back(self.programme.institution, "learner.graduated", self.learner, day + 50)
        for job in range(self.random.choice((0, 1, 1, 2, 3))):
            self.work(f"{self.learner}-job-{job}", day + self.random.randrange(-60, 1_000))

    def leave(self, enrolled: Json) -> None:
        """Leave the programme; some come back."""
        day = 100 + self.random.randrange(500)
        left = {"programme": self.programme.id, "left_on": self.date(day)}
        self.say(self.programme.institution, "learner.left", self.learner, day + 2, left)
        if not self.erased and self.random.random() < 0.3:
            again = {**enrolled, "cohort": self.date(1_000)[:7]}
            self.say(self.programme.institution, "learner.enrolled", self.learner, day + 90, again, again=True)

    def work(self, id: str, day: int) -> None:
        by = self.random.choice((self.programme.institution, *ENTERPRISES))
        self.say(by, "employment.recorded", id, day, self.status(by, day))
        if self.random.random() < 0.15:
            later = day + self.random.randrange(1, 90)
            self.say(by, "employment.recorded", id, later, self.status(by, later), again=True)
        elif self.random.random() < 0.1:
            self.take_back(by, "employment.recorded", id, day + 100)
        elif self.random.random() < 0.2:
            ended = {"ended_on": self.date(day + self.random.randrange(400))}
            self.say(by, "employment.ended", id, day + 410, ended)
        if self.random.random() < 0.08:  # another says something else, for the same moment
            other = self.random.choice(ENTERPRISES)
            self.say(other, "employment.recorded", f"{id}-other", day, self.status(other, day))

    def status(self, by: str, day: int) -> Json:
        said: Json = {"status": "employed" if by in ENTERPRISES else self.random.choice(STATUSES)}
        if self.random.random() < 0.2:
            said["basis"] = "register"
        if self.random.random() < 0.6:
            said["since"] = self.date(day - self.random.randrange(200))
        if said["status"] in ("employed", "self_employed"):
            if self.random.random() < 0.7:
                said["enterprise"] = by if by in ENTERPRISES else self.random.choice(ENTERPRISES)
            if self.random.random() < 0.8:
                said["contract"] = self.random.choice(("permanent", "fixed_term", "agency"))
            if self.random.random() < 0.5:
                said["hours_per_week"] = self.random.choice((7.5, 19.5, 36.5, 39.5))
            for field in ("full_time", "related_to_field"):
                if self.random.random() < 0.7:
                    said[field] = self.random.random() < 0.7
        return said

    def take_back(self, by: str, type_: str, subject: str, day: float) -> None:
        """Annul what *by* said first of *subject*."""
        data = {"event": event_id(by, type_, subject), "reason": "entered by mistake"}
        self.say(by, f"{type_.partition('.')[0]}.annulled", subject, day, data)

    def be_assessed(self) -> None:
        """One passing assessment per method at most, so that it does not matter which is seen first."""
        competency = self.random.choice(("greencomp:3.1", "welding:tig", "logistics:7"))
        for number, method in enumerate(METHODS):
            by = self.random.choice(ENTERPRISES) if method != "exam" else self.programme.institution
            score, day = self.random.choice((0.3, 0.7, 0.8, 0.95)), 300 + 20 * number
            subject = f"{self.learner}-{method}"
            data = {"competency": competency, "method": method, "score": score}
            self.say(by, "assessment.recorded", subject, day, data)
            if score < LEAST_SCORE and self.random.random() < 0.5:
                data = {**data, "score": 0.75}
                self.say(by, "assessment.recorded", subject, day + 9, data, again=True)

    def tell_of_the_region(self) -> None:
        institution, enterprise = self.programme.institution, self.random.choice(ENTERPRISES)
        kind = self.random.choice(("teacher_upskilling", "teacher_upskilling", "workshop"))
        held = {"kind": kind, "hours": self.hours(), "participants": 12, "competencies": [self.programme.competency]}
        self.say(institution, "activity.held", f"activity-{self.number}", 500, held, f"activity-{self.number}")
        demand = {"competency": self.programme.competency, "places": self.random.randrange(1, 50)}
        demand |= {"horizon": self.date(1_200), "research": "survey of the chamber of commerce"}
        report, competency = f"demand-{self.number}", self.programme.competency
        self.say(enterprise, "demand.reported", report, 700, demand, competency)
        if self.random.random() < 0.3:
            corrected = {**demand, "places": 7}
            self.say(enterprise, "demand.reported", report, 720, corrected, competency, again=True)
        agreement = f"agreement-{self.number}"
        proposed = {"parties": [institution, enterprise], "scope": "internships", "valid_from": self.date(100)}
        if self.random.random() < 0.5:
            proposed["valid_until"] = self.date(800)
        self.say(institution, "agreement.proposed", agreement, 80, proposed, agreement)
        self.say(enterprise, "agreement.signed", agreement, 82 + self.random.randrange(90), {}, agreement)
        if self.random.random() < 0.3:
            self.say(enterprise, "agreement.ended", agreement, 400, {"reason": "moved away"}, agreement)

    def tell_of_the_market(self) -> None:
        """A vacancy: offered, perhaps changed, closed, and offered again; and now and then what a skill means."""
        vacancy = f"portal:{self.number}"
        self.say(OPERATOR, "vacancy.observed", vacancy, 0, self.offer(), vacancy)
        if self.random.random() < 0.3:
            self.say(OPERATOR, "vacancy.observed", vacancy, 30, self.offer(), vacancy, again=True)
        if self.random.random() < 0.4:
            self.say(OPERATOR, "vacancy.closed", vacancy, 60, {"closed_on": self.date(60)}, vacancy)
            if self.random.random() < 0.4:
                offered = event_id(OPERATOR, "vacancy.observed", f"{vacancy}-once-more")
                self.say(OPERATOR, "vacancy.observed", vacancy, 90, self.offer(), vacancy, id=offered)
        if self.number % 8 == 0:
            skill = self.random.choice(self.random.choice(SKILLS))
            decided: Json = {"skill": skill}
            if self.random.random() < 0.8:
                decided["competency"] = self.random.choice(COMPETENCIES)
            subject, id = skill_id(skill), f"{OPERATOR}-mapped-{self.number}"
            self.say(OPERATOR, "skill.mapped", subject, self.random.randrange(400), decided, subject, id=id)

    def offer(self) -> Json:
        """A vacancy as the portal has it; one skill may be in it in two spellings."""
        area = self.random.choice(tuple(PLACES))
        spellings = [spelling for spellings in SKILLS for spelling in spellings]
        said = {"portal": "portal", "title": "Somebody who can", "area": area, "published_on": self.date(-5)}
        said["skills"] = self.random.sample(spellings, self.random.randrange(4))
        return said | ({"region": PLACES[area]} if PLACES[area] else {})

    def say(  # noqa: PLR0917
        self,
        by: str,
        type_: str,
        subject: str,
        day: float,
        data: Json,
        key: str | None = None,
        *,
        again: bool = False,
        id: str | None = None,
    ) -> None:
        """Say *data* so many days after the enrolment; *again*: as a correction, newer by that."""
        moment = self.enrolled_at + timedelta(days=day, minutes=7 * again)
        zone = timezone(timedelta(hours=self.random.choice((0, 0, 3, 7, -5))))
        id = id or event_id(by, type_, subject) + ("-again" if again else "")
        time = moment.astimezone(zone).isoformat()
        self.events.append(event(by, type_, subject, time, data, id=id, key=key or self.learner))

    def date(self, day: int) -> str:
        return (self.enrolled_at + timedelta(days=day)).date().isoformat()
