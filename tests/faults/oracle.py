"""What must be true after everything was applied: the definitions written down a second time, from the events alone.

Nothing here is shared with the services but the contract's ids. Where a rule is unclear, the docstrings of
services/*/ and the definitions in the catalogue of indicators are what it was read from.
"""

import json
from calendar import monthrange
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from shared.contract.events import derived_id

from .region import LEAST_SCORE, METHODS, PROGRAMMES, REGION, SCHEMES, SKILLS, WISHED, Json, kind_of, request_of

Count = tuple[str, str, str, str]  # kind, id, month, measure
Gap = tuple[str, str, str]  # programme, competency, quarter
Demand = tuple[str | None, str | None]  # a competency, and a region (None: the network knows none)
IN_WORK = ("employed", "self_employed")
GROUPS = {
    **{("sex", "female"): "female", ("sex", "male"): "male", ("rural", True): "rural", ("rural", False): "not_rural"},
    **{("disability", True): "with_disability", ("disability", False): "without_disability"},
    **{("first_in_family", True): "first_in_family", ("first_in_family", False): "not_first_in_family"},
}
OF_GROUPS = {
    *("learners", "expected", "expected_graduated", "graduates", "graduates_month_at_workplace"),
    *(f"after_{n}m_{what}" for n in (12, 18) for what in (*IN_WORK, "studying", "seeking", "other")),
}


class Said(NamedTuple):
    """One event, ordered as the rule says: of two about the same the newer counts, then the greater id, ..."""

    at: datetime
    id: str
    source: str
    kind: str
    content: str
    type: str
    subject: str
    key: str

    @classmethod
    def of(cls, event: Json) -> "Said":
        at = datetime.fromisoformat(event["time"]).astimezone(UTC)
        type_ = event["type"].removeprefix("praktika.").removesuffix(".v1")
        kind = event.get("sourcekind") or kind_of(event["source"].rpartition("/")[2])
        content = json.dumps(event["data"], sort_keys=True)
        return cls(at, event["id"], event["source"], kind, content, type_, event["subject"], event["partitionkey"])

    @property
    def data(self) -> Json:
        data: Json = json.loads(self.content)
        return data

    @property
    def by(self) -> str:
        return self.source.rpartition("/")[2]

    @property
    def month(self) -> str:
        return self.at.strftime("%Y-%m")

    @property
    def day(self) -> date:
        return self.at.date()


class Derived(NamedTuple):
    """An event that a service must (or, not `must`, may) have concluded, with what it says."""

    must: bool
    type: str
    subject: str
    key: str
    at: datetime
    data: Json


Facts = dict[str, dict[str, Said]]  # by type and what the fact is about: the one that counts


def keep_newest(said: Iterable[Said]) -> Facts:
    """Of what was said of the same the newest; what was taken back counts no more, nor what it had replaced."""
    said = list(said)
    taken_back = {(one.by, one.data["event"]) for one in said if one.type.endswith(".annulled")}
    void: dict[tuple[str, str], Said] = {}
    for one in said:
        if (one.by, one.id) in taken_back:
            about = one.type, about_of(one)
            void[about] = max(one, void.get(about, one))
    facts: Facts = defaultdict(dict)
    for one in said:
        about = about_of(one)
        if (one.type, about) not in void or one > void[one.type, about]:
            facts[one.type][about] = max(one, facts[one.type].get(about, one))
    return facts


def about_of(said: Said) -> str:
    """What two events must have in common for the newer one to replace the older, besides their type and entity."""
    match said.type:
        case "learner.enrolled" | "learner.graduated" | "learner.left":
            return str(said.data["programme"])
        case "programme.published" | "organisation.registered":
            return said.month
        case "employment.recorded" | "employment.ended" | "assessment.recorded" | "feedback.submitted":
            return f"{said.by}/{said.subject}"
        case "agreement.signed" | "agreement.ended" | "programme.joined":
            return said.by
        case "learner.annulled" | "employment.annulled":
            return f"{said.by}/{said.data['event']}/{said.subject}"
        case _:
            return said.subject


@dataclass
class Expected:
    """What follows from all that was said; `add` takes in one learner after the other.

    Attributes:
        counters: monitoring's, that are not zero.
        of_feedback: feedback's counters that are not zero.
        certificates: by id, what each says, and of whom.
        derived: by id, the events of the services.
        rated: how many ratings were ever given, valid or not, by programme, competency and quarter.
        rated_low: the enterprises that ever rated what no programme names, valid or not.
        facts: by topic and entity, the ids of the events that count, by type and what they are about.
        erased: learners.
        vacancies: the newest word on each.
        mappings: the newest word on each skill, by its first spelling.
        groups: those that the learner belongs to who is being counted.
        due: by the id of a derived request, when the log says that it is due: that depends on when it was raised.
    """

    schemes_at: Mapping[str, datetime]
    due: Mapping[str, str] = field(default_factory=dict)
    counters: Counter[Count] = field(default_factory=Counter)
    of_feedback: Counter[Count] = field(default_factory=Counter)
    derived: dict[str, Derived] = field(default_factory=dict)
    rated: Counter[Gap] = field(default_factory=Counter)
    rated_low: dict[Gap, set[str]] = field(default_factory=lambda: defaultdict(set))
    facts: dict[tuple[str, str], dict[tuple[str, str], str]] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    vacancies: dict[str, Said] = field(default_factory=dict)
    mappings: dict[str, Said] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)

    @property
    def certificates(self) -> dict[str, Derived]:
        return {d.subject: d for d in self.derived.values() if d.must and d.type == "competency.certified"}

    def add(self, events: Iterable[Json]) -> None:
        """Take in events: all there are of the entities that they are about."""
        entities: dict[tuple[str, str], list[Said]] = defaultdict(list)
        for one in map(Said.of, events):
            entities[topic_of(one), one.key].append(one)
        answers = {key: said for (topic, key), said in entities.items() if topic == "feedback"}
        for (topic, key), said in entities.items():
            match topic:
                case "learner":
                    self.add_learner(key, said, answers)
                case "organisation":
                    self.count("organisation", key, min(said).month, "partners")
                case "programme":
                    self.add_programme(key, keep_newest(said))
                case "agreement":
                    self.add_agreement(key, keep_newest(said))
                case "activity":
                    self.add_activity(max(said))
                case "vacancy":
                    self.vacancies[key] = max(said)
                    offer = max(one for one in said if one.type == "vacancy.observed").data
                    self.count("region", offer.get("region", "-"), offer["published_on"][:7], "vacancies")
                case "skill":
                    skill, newest = skill_of(said[0].data["skill"]), max(said)
                    self.mappings[skill] = max(newest, self.mappings.get(skill, newest))

    def count(self, kind: str, id: str, month: str, measure: str, number: int = 1) -> None:
        self.counters[kind, id, month, measure] += number
        for group in self.groups if kind == "programme" and measure in OF_GROUPS else ():
            self.counters["programme_group", f"{id} {group}", month, measure] += number

    def count_hours(self, kind: str, id: str, month: str, prefix: str, hours: list[float]) -> None:
        whole, rest = divmod(sum(round(each * 100) for each in hours), 25)
        self.count(kind, id, month, f"{prefix}_quarter_hours", whole)
        self.count(kind, id, month, f"{prefix}_hundredth_hours", rest)

    # learners

    def add_learner(self, learner: str, said: list[Said], answers: Mapping[str, list[Said]]) -> None:
        facts = keep_newest(said)
        erased = "learner.erased" in facts
        programme = next(iter(facts["learner.enrolled"]))
        self.note_ratings(programme, [one for key in requests_of(learner, said) for one in answers.get(key, [])])
        certificates = list(self.certify(learner, facts, must=not erased))
        for one in said:
            if one.type == "internship.completed":
                newest = facts[one.type][one.subject] is one
                over = ended_otherwise(facts, one)
                for role in ("enterprise", "learner"):
                    self.ask(learner, one, role, must=newest and not erased and over is None)
                    if over:
                        self.withdraw(learner, one, role, over)
        if erased:
            self.erased.add(learner)
            return
        self.facts["learner", learner] = ids_of(facts)
        self.count_learner(facts, certificates)
        for internship, completed in facts["internship.completed"].items():
            for role in ("enterprise", "learner"):
                request = request_of(learner, internship, role)
                asked, over = self.request_data(learner, completed, role), ended_otherwise(facts, completed)
                self.count_request(request, asked, answers.get(request, []), stands=over is None)

    def note_ratings(self, programme: str, answers: list[Said]) -> None:
        for answer in answers:
            for competency in answer.data["competencies"]:
                gap = programme, competency, quarter_of(answer.month)
                if competency == WISHED:
                    self.rated_low[gap].add(answer.by)
                else:
                    self.rated[gap] += 1

    def count_learner(self, facts: Facts, certificates: list[Derived]) -> None:
        described = facts["learner.described"].values()
        self.groups = [f"{split}={GROUPS[split, value]}" for one in described for split, value in one.data.items()]
        completed, cancelled = facts["internship.completed"], facts["internship.cancelled"]
        ends = [max(e[id] for e in (completed, cancelled) if id in e) for id in {*completed, *cancelled}]
        practice = [end for end in ends if end.type == "internship.completed"]
        jobs = spells(facts)
        hired = {end.data["enterprise"] for end in practice if is_hired(end, facts, jobs)}
        for end in ends:
            for kind in ("programme", "enterprise"):
                self.count(kind, end.data[kind], end.month, f"internships_{end.data.get('outcome', 'cancelled')}")
        for kind in ("programme", "enterprise"):
            for place in {end.data[kind] for end in practice}:
                there = [end for end in practice if end.data[kind] == place]
                first = min(end.month for end in there)
                self.count(kind, place, first, "interns")
                if kind == "enterprise" and place in hired:
                    self.count(kind, place, first, "interns_hired")
                self.count_hours(kind, place, first, "intern", [end.data["hours"] for end in there])
                own = [end.data["hours"] for end in there if end.by == end.data["enterprise"]]
                self.count_hours(kind, place, first, "validated", own)
        for end in practice:
            both = f"{end.data['programme']} {end.data['enterprise']}"
            self.count("programme_enterprise", both, end.month, "hosted")
        self.count_certificates(certificates, facts["learner.enrolled"])
        self.count_studies(facts)
        self.count_hires(jobs)
        self.count_graduations(facts, certificates, practice, jobs)
        self.groups = []

    def count_graduations(
        self, facts: Facts, certificates: list[Derived], practice: list[Said], jobs: "list[Spell]"
    ) -> None:
        """What a graduate adds in the month of graduation, for the programme and for who has hired the graduate."""
        hired = any(is_hired(end, facts, jobs) for end in practice)
        for programme, graduation in facts["learner.graduated"].items():
            day = date.fromisoformat(graduation.data["graduated_on"])
            month = day.strftime("%Y-%m")
            for measure in {*graduate(programme, day, practice, facts), *certified(certificates, jobs)}:
                self.count("programme", programme, month, measure)
            competencies = len({certificate.data["competency"] for certificate in certificates})
            self.count("programme", programme, month, "graduates_competencies", competencies)
            hours = [end.data["hours"] for end in practice if end.data["programme"] == programme]
            self.count_hours("programme", programme, month, "graduate", hours)
            self.count_cohort(programme, day, jobs)
            if hired and programme in {end.data["programme"] for end in practice}:
                self.count("programme", programme, month, "graduates_hired_where_interned")
            newest = status_on(last_seen(day, facts), [job for job in jobs if job.holds or job.said.day >= day])
            if newest and newest.data["status"] in IN_WORK and (place := place_of(newest)):
                self.count("enterprise", place, month, "graduates_at_work")
                self.count("programme_enterprise", f"{programme} {place}", month, "graduates_at_work")

    def count_studies(self, facts: Facts) -> None:
        """Who was expected to graduate in a month: who has, who has left and not come back, and who is still there."""
        for programme, enrolled in facts["learner.enrolled"].items():
            month, left = enrolled.data["cohort"], facts["learner.left"].get(programme)
            self.count("programme", programme, enrolled.month, "learners")
            if programme in facts["learner.graduated"]:
                end = facts["learner.graduated"][programme].data["graduated_on"]
                self.count("programme", programme, max(enrolled.month, end[:7]), "learners", -1)
            elif left and left > enrolled:
                self.count("programme", programme, max(enrolled.month, left.data["left_on"][:7]), "learners", -1)
            self.count("programme", programme, month, "expected")
            if programme in facts["learner.graduated"]:
                self.count("programme", programme, month, "expected_graduated")
            elif left and left > enrolled:
                self.count("programme", programme, month, "expected_left")
            if programme not in facts["learner.graduated"] and not (left and left > enrolled):
                self.of_feedback["expected", programme, month, "learners"] += 1

    def count_cohort(self, programme: str, day: date, jobs: "list[Spell]") -> None:
        """What feedback counts of a graduate: what is known half a year later, and who is in work then."""
        then = status_on(later(day, 6), [job for job in jobs if job.holds or job.said.day >= day])
        counted = {"known": then, "working": then and then.data["status"] in IN_WORK}
        for measure in (name for name, counts in counted.items() if counts):
            self.of_feedback["cohort", programme, day.strftime("%Y-%m"), measure] += 1

    def count_certificates(self, certificates: list[Derived], programmes: Iterable[str]) -> None:
        for competency in {certificate.data["competency"] for certificate in certificates}:
            months = sorted(c.at.strftime("%Y-%m") for c in certificates if c.data["competency"] == competency)
            self.count("competency", competency, months[0], "holders")
            own = [c for c in certificates if c.data["competency"] == competency]
            for institution in {c.data["institution"] for c in own}:
                first = min(c.at.strftime("%Y-%m") for c in own if c.data["institution"] == institution)
                self.count("institution_competency", f"{institution} {competency}", first, "holders")
            for programme in programmes:
                self.count("programme_competency", f"{programme} {competency}", months[0], "holders")
                self.of_feedback["certified", f"{programme} {competency}", months[0], "people"] += 1
            for month in months:
                self.count("competency", competency, month, "certificates")

    def count_hires(self, jobs: "list[Spell]") -> None:
        """Who began at an enterprise on a known day, and whether it is known that they are there a year later."""
        known = [job for job in jobs if job.works and job.at and "since" in job.said.data]
        for place in {job.at for job in known if job.at}:
            own = [job for job in known if job.at == place]
            begin = min(job.begin for job in own)
            then = later(begin, 12)
            stays = any(job.begin <= then < job.end for job in own)
            if stays or all(job.ended for job in own):
                self.count("enterprise", place, begin.strftime("%Y-%m"), "hires_known")
                self.count("enterprise", place, begin.strftime("%Y-%m"), "hires_retained", int(stays))

    # certificates

    def certify(self, learner: str, facts: Facts, *, must: bool) -> Iterator[Derived]:
        """A certificate of each scheme of an institution where the learner is enrolled, and that the learner meets."""
        at = {enrolment.by for enrolment in facts["learner.enrolled"].values()}
        for scheme in SCHEMES:
            passed = [
                a
                for a in facts["assessment.recorded"].values()
                if a.data["competency"] == scheme.competency and a.data["score"] >= LEAST_SCORE
            ]
            enough = {a.data["method"] for a in passed} == set(METHODS) and "enterprise" in {a.kind for a in passed}
            if scheme.institution not in at or not enough:
                continue
            id = derived_id("competency.certified", learner, scheme.competency, scheme.id)
            data = {
                "competency": scheme.competency,
                "level": scheme.level,
                "scheme": scheme.id,
                "institution": scheme.institution,
                "evidence": [f"{a.by}/{a.subject}" for a in sorted(passed)],
                "address": f"/certificates/{id}",
            }
            earned = max(self.schemes_at[scheme.id], *(a.at for a in passed))
            self.derived[id] = Derived(must, "competency.certified", id, learner, earned, data)
            yield self.derived[id]

    # feedback

    def ask(self, learner: str, completed: Said, role: str, *, must: bool) -> None:
        """The request that a completed internship raises, of which a newer word about it makes another version."""
        id = derived_id("feedback.requested", completed.source, completed.id, role)
        request, data = request_of(learner, completed.subject, role), self.request_data(learner, completed, role)
        self.derived[id] = Derived(must, "feedback.requested", request, request, completed.at, data)

    def withdraw(self, learner: str, completed: Said, role: str, cancelled: Said) -> None:
        """The withdrawal of a request, if it was raised before it was known that the internship was cancelled."""
        raised = derived_id("feedback.requested", completed.source, completed.id, role)
        request, asked = request_of(learner, completed.subject, role), self.request_data(learner, completed, role)
        data = {name: asked[name] for name in ("role", "respondent", "learner", "programme")}
        at = max(completed.at, cancelled.at)
        id = derived_id("feedback.cancelled", request, raised)
        self.derived[id] = Derived(False, "feedback.cancelled", request, request, at, data)

    def request_data(self, learner: str, completed: Said, role: str) -> Json:
        """Due 14 days after the completion, or after it was told: of that only the log knows the day."""
        said, first = completed.data, (completed.at + timedelta(days=14)).date()
        id = derived_id("feedback.requested", completed.source, completed.id, role)
        due = date.fromisoformat(self.due[id]) if id in self.due else first
        last = max(first, datetime.now(UTC).date() + timedelta(days=14))
        return {
            "role": role,
            "respondent": said["enterprise"] if role == "enterprise" else learner,
            "learner": learner,
            "internship": completed.subject,
            "enterprise": said["enterprise"],
            "programme": said["programme"],
            "competencies": said["competencies"],
            "due": min(max(due, first), last).isoformat(),
        }

    def count_request(self, request: str, asked: Json, submitted: list[Said], *, stands: bool) -> None:
        facts = keep_newest(submitted)
        counting = {about: a for about, a in facts["feedback.submitted"].items() if answers(a, asked)}
        self.facts["feedback", request] = ids_of({"feedback.submitted": counting})
        if not stands:
            return
        valid = list(counting.values())
        scopes = [("programme", asked["programme"]), ("enterprise", asked["enterprise"])]
        due = asked["due"][:7]
        for kind, id in scopes:
            if kind == "programme" or asked["role"] == "enterprise":
                self.count(kind, id, due, "requests")
                if valid:
                    self.count(kind, id, due, "requests_answered")
        if valid:
            self.count_answer(asked, max(valid), scopes)

    def count_answer(self, asked: Json, answer: Said, scopes: list[tuple[str, str]]) -> None:
        said = answer.data
        for kind, id in scopes:
            if asked["role"] == "enterprise":
                self.count(kind, id, answer.month, f"employers/{answer.by}/answers")
                self.count(kind, id, answer.month, f"employers/{answer.by}/rating", said["overall"])
            elif "relevance" in said:
                good = "training_relevant" if said["relevance"] >= 4 else "training_not_relevant"
                self.count(kind, id, answer.month, good)
            self.of_feedback[kind, id, answer.month, f"{asked['role']}_{said['overall']}"] += 1
            for measure in ("overall", "relevance"):
                if measure in said:
                    self.of_feedback[kind, id, answer.month, f"{measure}_{said[measure]}"] += 1
        for competency, rating in said["competencies"].items():
            id = f"{asked['programme']} {competency}"
            self.of_feedback["programme_competency", id, answer.month, f"rating_{rating}"] += 1
            if asked["role"] == "enterprise" and rating < 4:
                self.of_feedback["wish", f"{id} {answer.by}", answer.month, "ratings"] += 1

    def gaps(self) -> set[Gap]:
        """Where a revision must be recommended: five ratings at least, of which under 60 % are 4 or 5."""
        totals: dict[Gap, Counter[str]] = defaultdict(Counter)
        for (kind, id, month, measure), number in self.of_feedback.items():
            if kind == "programme_competency":
                programme, competency = id.split(" ")
                totals[programme, competency, quarter_of(month)][measure] += number
        return {
            gap
            for gap, ratings in totals.items()
            if gap[1] != WISHED
            if ratings.total() >= 5 and ratings["rating_4"] + ratings["rating_5"] < 0.6 * ratings.total()
        }

    def wishes(self) -> set[Gap]:
        """What three enterprises rate below 4 in a quarter, and the programme does not name."""
        employers: dict[Gap, set[str]] = defaultdict(set)
        for (kind, id, month, _), number in self.of_feedback.items():
            if kind == "wish" and number:
                programme, competency, employer = id.split(" ")
                employers[programme, competency, quarter_of(month)].add(employer)
        return {gap for gap, some in employers.items() if len(some) >= 3 and gap[1] == WISHED}

    # the labour market

    @property
    def offered(self) -> dict[str, Json]:
        """What is known of the vacancies that are open: observed after they were closed, if they were."""
        return {id: said.data for id, said in self.vacancies.items() if said.type == "vacancy.observed"}

    def demanded(self) -> Counter[Demand]:
        """Open vacancies by competency and region; one that asks for a competency by several skills counts once."""
        mapped = {skill: said.data.get("competency") for skill, said in self.mappings.items()}
        return Counter(
            (competency, offer.get("region"))
            for offer in self.offered.values()
            for competency in {mapped.get(skill_of(written)) for written in offer["skills"]} - {None}
        )

    def unmet(self) -> set[tuple[str, str]]:
        """Programmes with what five vacancies of their region demand and nobody there certifies."""
        demanded, certified = self.demanded(), {scheme.competency for scheme in SCHEMES}
        taught = {(one.id, one.competency) for one in PROGRAMMES if one.competency not in certified}
        return {(id, competency) for id, competency in taught if demanded[competency, REGION] >= 5}

    # the region

    def add_programme(self, id: str, facts: Facts) -> None:
        """What is offered changes with each version and confirmation; a stock is counted by its changes."""
        offered: set[str] = set()
        version: Said | None = None
        joined: set[str] = set()
        for said in sorted([*facts["programme.published"].values(), *facts["programme.joined"].values()]):
            if said.type == "programme.published":
                version = said
            elif said.kind == "enterprise":
                joined.add(said.by)
            now = {"programmes"} if version else set()
            if version and any(c["competency"].startswith("greencomp:") for c in version.data["competencies"]):
                now.add("programmes_sustainability")
            if version and joined & {partner["organisation"] for partner in version.data["joint_partners"]}:
                now.add("programmes_joint")
            for measure in now ^ offered:
                self.count("programme", id, said.month, measure, 1 if measure in now else -1)
            offered = now

    def add_agreement(self, id: str, facts: Facts) -> None:
        """In force from the last signature (the proposal is its proposer's) or the day agreed on, if that is later."""
        (proposed,) = facts["agreement.proposed"].values()
        said, signed = proposed.data, {proposed.by: proposed, **facts["agreement.signed"]}
        if set(said["parties"]) - signed.keys():
            return
        begin = max([said["valid_from"][:7], *(signed[party].month for party in said["parties"])])
        ends = [end.month for end in facts["agreement.ended"].values()]
        if "valid_until" in said:
            ends.append((date.fromisoformat(said["valid_until"]) + timedelta(days=1)).strftime("%Y-%m"))
        for kind, of in (("agreement", id), *(("organisation", party) for party in said["parties"])):
            self.count(kind, of, begin, "agreements")
            if ends:
                self.count(kind, of, max(begin, min(ends)), "agreements", -1)

    def add_activity(self, held: Said) -> None:
        said = held.data
        self.count("organisation", held.by, held.month, "activities_held")
        if said["kind"] == "teacher_upskilling" and any(c.startswith("greencomp:") for c in said["competencies"]):
            self.count("organisation", held.by, held.month, "upskilling_activities")
            self.count_hours("organisation", held.by, held.month, "upskilling", [said["hours"]] * said["participants"])

    def add_recommendation(self, programme: str, at: datetime) -> None:
        self.count("programme", programme, at.strftime("%Y-%m"), "revisions_recommended")


def topic_of(said: Said) -> str:
    subject = said.type.partition(".")[0]
    return "learner" if subject in ("internship", "employment", "assessment") else subject


def ids_of(facts: Facts) -> dict[tuple[str, str], str]:
    return {(type_, about): said.id for type_, found in facts.items() for about, said in found.items()}


def skill_of(written: str) -> str:
    """A skill by its first spelling."""
    return next(spellings[0] for spellings in SKILLS if written in spellings)


def quarter_of(month: str) -> str:
    return f"{month[:4]}Q{(int(month[5:]) + 2) // 3}"


def requests_of(learner: str, said: list[Said]) -> set[str]:
    completed = {one.subject for one in said if one.type == "internship.completed"}
    return {request_of(learner, internship, role) for internship in completed for role in ("enterprise", "learner")}


def ended_otherwise(facts: Facts, completed: Said) -> Said | None:
    """The newer word that an internship was cancelled."""
    cancelled = facts["internship.cancelled"].get(completed.subject)
    newest = facts["internship.completed"][completed.subject]
    return cancelled if cancelled and cancelled > newest else None


def answers(submitted: Said, asked: Json) -> bool:
    """An enterprise answers for itself, and what a learner says comes through an institution."""
    if submitted.data["role"] != asked["role"]:
        return False
    if asked["role"] == "enterprise":
        return submitted.kind == "enterprise" and submitted.by == asked["respondent"]
    return submitted.kind == "institution"


class Spell(NamedTuple):
    """From when until when a status is taken to hold."""

    begin: date
    end: date
    holds: bool  # not by a survey
    ended: bool
    said: Said

    @property
    def works(self) -> bool:
        return self.said.data["status"] in IN_WORK

    @property
    def at(self) -> str | None:
        return place_of(self.said)

    @property
    def hours(self) -> float:
        full = self.said.data.get("full_time")
        return float(self.said.data.get("hours_per_week", {True: 40, False: 20, None: 0}[full]))


def spells(facts: Facts) -> list[Spell]:
    found = []
    for about, said in facts["employment.recorded"].items():
        begin = date.fromisoformat(said.data["since"]) if "since" in said.data else said.day
        holds = said.data.get("basis", "survey" if said.kind == "institution" else "employer") != "survey"
        end = date.max if holds else later(said.day, 6)
        ended = facts["employment.ended"].get(about)
        last = date.fromisoformat(ended.data["ended_on"]) if ended else date.min
        if last >= begin:
            end = last + timedelta(days=1)
        found.append(Spell(begin, end, holds, last >= begin, said))
    return found


def is_hired(end: Said, facts: Facts, jobs: list[Spell]) -> bool:
    """Did an intern begin to work there after the first internship there began?"""
    there = [e for e in facts["internship.completed"].values() if e.data["enterprise"] == end.data["enterprise"]]
    there = [e for e in there if ended_otherwise(facts, e) is None]
    first = min(facts["internship.started"].get(e.subject, e).day for e in there)
    return any(job.works and job.at == end.data["enterprise"] and job.begin > first for job in jobs)


def graduate(programme: str, day: date, practice: list[Said], facts: Facts) -> Iterator[str]:
    """The measures that a graduate adds one to."""
    yield "graduates"
    own = [job for job in spells(facts) if job.holds or job.said.day >= day]
    if newest := status_on(last_seen(day, facts), own):
        yield from status_measures(newest.data)
    for months in (6, 12, 18, 24, 30, 36):
        if then := status_on(later(day, months), own):
            yield f"after_{months}m_{then.data['status']}"
    if any(job.works and job.begin < day < job.end for job in own):
        yield "employed_at_graduation"
    elif starts := [job.begin for job in own if job.works and "since" in job.said.data and job.begin >= day]:
        yield f"employment_weeks/w{min((min(starts) - day).days // 7, 260):03}"
    if programme in {end.data["programme"] for end in practice}:
        yield "graduates_interned"
        hours = sum(round(100 * end.data["hours"]) for end in practice if end.data["programme"] == programme)
        if hours >= 14_000:
            yield "graduates_month_at_workplace"


def last_seen(day: date, facts: Facts) -> date:
    """The day of the newest word on a graduate's work, not before the graduation."""
    told = (said.day for type_ in ("employment.recorded", "employment.ended") for said in facts[type_].values())
    return max([day, *told])


def place_of(said: Said) -> str | None:
    return said.data.get("enterprise") or (said.by if said.kind == "enterprise" else None)


def certified(certificates: list[Derived], jobs: list[Spell]) -> Iterator[str]:
    if certificates:
        yield "graduates_certified"
        first = min(certificate.at for certificate in certificates).date()
        if any(job.works and job.begin < first < job.end for job in jobs):
            yield "employed_at_certificate"
        elif starts := [job.begin for job in jobs if job.works and "since" in job.said.data and job.begin >= first]:
            yield f"certificate_weeks/w{min((min(starts) - first).days // 7, 260):03}"
    if any(certificate.data["competency"].startswith("greencomp:") for certificate in certificates):
        yield "graduates_certified_sustainability"


def status_measures(said: Json) -> Iterator[str]:
    yield f"status_{said['status']}"
    if said["status"] in IN_WORK:
        contract = "permanent" if said["status"] == "self_employed" else said.get("contract")
        if contract:
            yield "contract_stable" if contract == "permanent" else "contract_other"
        if "full_time" in said:
            yield "hours_full" if said["full_time"] else "hours_part"
        if "related_to_field" in said:
            yield "work_related" if said["related_to_field"] else "work_unrelated"


def status_on(day: date, jobs: list[Spell]) -> Said | None:
    """The main job of those held on a day; without one, what was said to have begun last."""
    held = [job for job in jobs if job.begin <= day < job.end]
    standing = [job for job in held if not any(replaces(other, job) for other in held)]
    if work := [job for job in standing if job.works]:
        return min(work, key=lambda job: (-job.hours, job.begin, job.said)).said
    return max(standing, key=lambda job: (job.begin, job.said)).said if standing else None


def replaces(other: Spell, one: Spell) -> bool:
    """Does a later survey make an earlier one void? Two jobs may be held at once, if both were seen at once."""
    if one.holds or other.holds or (other.begin, other.said) <= (one.begin, one.said):
        return False
    return not (one.works and other.works) or other.begin > one.said.day


def later(day: date, months: int) -> date:
    """The same day so many months later, or the last one of that month."""
    number = day.year * 12 + day.month - 1 + months
    year, month = number // 12, number % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))
