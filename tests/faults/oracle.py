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

from .region import LEAST_SCORE, METHODS, SCHEMES, Json, kind_of, request_of

Count = tuple[str, str, str, str]  # kind, id, month, measure
Gap = tuple[str, str, str]  # programme, competency, quarter
IN_WORK = ("employed", "self_employed")


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
    facts: Facts = defaultdict(dict)
    for one in said:
        about = about_of(one)
        facts[one.type][about] = max(one, facts[one.type].get(about, one))
    return facts


def about_of(said: Said) -> str:
    """What two events must have in common for the newer one to replace the older, besides their type and entity."""
    match said.type:
        case "learner.enrolled" | "learner.graduated":
            return str(said.data["programme"])
        case "programme.published" | "organisation.registered":
            return said.month
        case "employment.recorded" | "assessment.recorded" | "feedback.submitted":
            return f"{said.by}/{said.subject}"
        case "agreement.signed" | "agreement.ended":
            return said.by
        case _:
            return said.subject


@dataclass
class Expected:
    """What follows from all that was said; `add` takes in one learner after the other.

    Attributes:
        counters: monitoring's, that are not zero.
        ratings: feedback's counters.
        certificates: by id, what each says, and of whom.
        derived: by id, the events of the services.
        rated: how many ratings were ever given, valid or not, by programme, competency and quarter.
        facts: by topic and entity, the ids of the events that count, by type and what they are about.
        erased: learners.
    """

    schemes_at: Mapping[str, datetime]
    counters: Counter[Count] = field(default_factory=Counter)
    ratings: Counter[Count] = field(default_factory=Counter)
    derived: dict[str, Derived] = field(default_factory=dict)
    rated: Counter[Gap] = field(default_factory=Counter)
    facts: dict[tuple[str, str], dict[tuple[str, str], str]] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)

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
                case "demand":
                    for report in keep_newest(said)["demand.reported"].values():
                        self.add_demand(report)

    def count(self, kind: str, id: str, month: str, measure: str, number: int = 1) -> None:
        self.counters[kind, id, month, measure] += number

    def count_hours(self, kind: str, id: str, month: str, prefix: str, hours: list[float]) -> None:
        whole, rest = divmod(sum(round(each * 100) for each in hours), 25)
        self.count(kind, id, month, f"{prefix}_quarter_hours", whole)
        self.count(kind, id, month, f"{prefix}_hundredth_hours", rest)

    # learners

    def add_learner(self, learner: str, said: list[Said], answers: Mapping[str, list[Said]]) -> None:
        facts = keep_newest(said)
        erased = "learner.erased" in facts
        programme = next(iter(facts["learner.enrolled"]))
        for answer in (one for key in requests_of(learner, said) for one in answers.get(key, [])):
            for competency in answer.data["competencies"]:
                self.rated[programme, competency, quarter_of(answer.month)] += 1
        certificates = list(self.certify(learner, facts, must=not erased))
        for one in said:
            if one.type == "internship.completed":
                newest = facts[one.type][one.subject] is one
                for role in ("enterprise", "learner"):
                    self.ask(learner, one, role, must=newest and not erased)
        if erased:
            self.erased.add(learner)
            return
        self.facts["learner", learner] = ids_of(facts)
        self.count_learner(facts, certificates)
        for internship, completed in facts["internship.completed"].items():
            for role in ("enterprise", "learner"):
                request = request_of(learner, internship, role)
                self.count_request(request, request_data(learner, completed, role), answers.get(request, []))

    def count_learner(self, facts: Facts, certificates: list[Derived]) -> None:
        completed, cancelled = facts["internship.completed"], facts["internship.cancelled"]
        ends = [max(e[id] for e in (completed, cancelled) if id in e) for id in {*completed, *cancelled}]
        practice = [end for end in ends if end.type == "internship.completed"]
        for end in ends:
            for kind in ("programme", "enterprise"):
                self.count(kind, end.data[kind], end.month, end.type.replace("internship.", "internships_"))
        for kind in ("programme", "enterprise"):
            for place in {end.data[kind] for end in practice}:
                there = [end for end in practice if end.data[kind] == place]
                first = min(end.month for end in there)
                self.count(kind, place, first, "interns")
                self.count_hours(kind, place, first, "intern", [end.data["hours"] for end in there])
        for certificate in certificates:
            month = certificate.at.strftime("%Y-%m")
            self.count("competency", certificate.data["competency"], month, "certificates")
        statuses = list(facts["employment.recorded"].values())
        for programme, graduation in facts["learner.graduated"].items():
            day = date.fromisoformat(graduation.data["graduated_on"])
            for measure in {*graduate(programme, day, practice, statuses), *certified(certificates)}:
                self.count("programme", programme, day.strftime("%Y-%m"), measure)
            starts = [s.data["since"] for s in statuses if s.data["status"] in IN_WORK and "since" in s.data]
            if starts:
                days = max(0, (date.fromisoformat(min(starts)) - day).days)
                week = f"w{min(days // 7, 260):03}"
                self.count("programme", programme, day.strftime("%Y-%m"), f"employment_weeks/{week}")

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
        request, data = request_of(learner, completed.subject, role), request_data(learner, completed, role)
        self.derived[id] = Derived(must, "feedback.requested", request, request, completed.at, data)

    def count_request(self, request: str, asked: Json, submitted: list[Said]) -> None:
        facts = keep_newest(submitted)
        counting = {about: a for about, a in facts["feedback.submitted"].items() if answers(a, asked)}
        self.facts["feedback", request] = ids_of({"feedback.submitted": counting})
        valid = list(counting.values())
        scopes = [("programme", asked["programme"]), ("enterprise", asked["enterprise"])]
        due = asked["due"][:7]
        for kind, id in scopes:
            self.count(kind, id, due, "requests")
            if valid:
                self.count(kind, id, due, "requests_answered")
        if not valid:
            return
        answer = max(valid)
        said = answer.data
        good = said["overall"] >= 4 if asked["role"] == "enterprise" else said.get("relevance", 0) >= 4
        name = "employers_{}satisfied" if asked["role"] == "enterprise" else "training_{}relevant"
        for kind, id in scopes:
            if asked["role"] == "enterprise" or "relevance" in said:
                self.count(kind, id, answer.month, name.format("" if good else "not_"))
            for measure in ("overall", "relevance"):
                if measure in said:
                    self.ratings[kind, id, answer.month, f"{measure}_{said[measure]}"] += 1
        for competency, rating in said["competencies"].items():
            self.ratings["competency", competency, answer.month, f"rating_{rating}"] += 1
            id = f"{asked['programme']} {competency}"
            self.ratings["programme_competency", id, answer.month, f"rating_{rating}"] += 1

    def gaps(self) -> set[Gap]:
        """Where a revision must be recommended: five ratings at least, of which under 60 % are 4 or 5."""
        totals: dict[Gap, Counter[str]] = defaultdict(Counter)
        for (kind, id, month, measure), number in self.ratings.items():
            if kind == "programme_competency":
                programme, competency = id.split(" ")
                totals[programme, competency, quarter_of(month)][measure] += number
        return {
            gap
            for gap, ratings in totals.items()
            if ratings.total() >= 5 and ratings["rating_4"] + ratings["rating_5"] < 0.6 * ratings.total()
        }

    # the region

    def add_programme(self, id: str, facts: Facts) -> None:
        """What is offered changes with each version; a stock is counted by its changes."""
        offered: set[str] = set()
        for version in sorted(facts["programme.published"].values()):
            now = {"programmes"}
            if any(c["competency"].startswith("greencomp:") for c in version.data["competencies"]):
                now.add("programmes_sustainability")
            if any(partner["kind"] == "enterprise" for partner in version.data["joint_partners"]):
                now.add("programmes_joint")
            for measure in now ^ offered:
                self.count("programme", id, version.month, measure, 1 if measure in now else -1)
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
        if said["kind"] == "teacher_upskilling" and any(c.startswith("greencomp:") for c in said["competencies"]):
            self.count("organisation", held.by, held.month, "upskilling_activities")
            self.count_hours("organisation", held.by, held.month, "upskilling", [said["hours"]])

    def add_demand(self, reported: Said) -> None:
        said, begin = reported.data, reported.month
        after = later(date.fromisoformat(said["horizon"]).replace(day=1), 1).strftime("%Y-%m")
        for month, sign in ((begin, 1), (max(begin, after), -1)):
            self.count("competency", said["competency"], month, "demand_reports", sign)
            self.count("competency", said["competency"], month, "demand_places", sign * said["places"])

    def add_recommendation(self, programme: str, at: datetime) -> None:
        self.count("programme", programme, at.strftime("%Y-%m"), "revisions_recommended")


def topic_of(said: Said) -> str:
    subject = said.type.partition(".")[0]
    return "learner" if subject in ("internship", "employment", "assessment") else subject


def ids_of(facts: Facts) -> dict[tuple[str, str], str]:
    return {(type_, about): said.id for type_, found in facts.items() for about, said in found.items()}


def quarter_of(month: str) -> str:
    return f"{month[:4]}Q{(int(month[5:]) + 2) // 3}"


def requests_of(learner: str, said: list[Said]) -> set[str]:
    completed = {one.subject for one in said if one.type == "internship.completed"}
    return {request_of(learner, internship, role) for internship in completed for role in ("enterprise", "learner")}


def request_data(learner: str, completed: Said, role: str) -> Json:
    said = completed.data
    return {
        "role": role,
        "respondent": said["enterprise"] if role == "enterprise" else learner,
        "learner": learner,
        "internship": completed.subject,
        "enterprise": said["enterprise"],
        "programme": said["programme"],
        "competencies": said["competencies"],
        "due": (completed.at + timedelta(days=14)).date().isoformat(),
    }


def answers(submitted: Said, asked: Json) -> bool:
    """An enterprise answers for itself, and what a learner says comes through an institution."""
    if submitted.data["role"] != asked["role"]:
        return False
    if asked["role"] == "enterprise":
        return submitted.kind == "enterprise" and submitted.by == asked["respondent"]
    return submitted.kind == "institution"


def graduate(programme: str, day: date, practice: list[Said], statuses: list[Said]) -> Iterator[str]:
    """The measures that a graduate adds one to."""
    yield "graduates"
    if statuses:
        yield from status_measures(max(statuses).data)
    for months in (6, 12, 18, 30):
        status = status_on(later(day, months), statuses)
        if status:
            yield f"after_{months}m_{status}"
    if programme in {end.data["programme"] for end in practice}:
        yield "graduates_interned"
        employers = {s.data.get("enterprise") for s in statuses if s.data["status"] in IN_WORK}
        if employers & {end.data["enterprise"] for end in practice}:
            yield "graduates_hired_where_interned"


def certified(certificates: list[Derived]) -> Iterator[str]:
    if certificates:
        yield "graduates_certified"
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


def status_on(day: date, statuses: list[Said]) -> str | None:
    """The status that began last by *day*, of those observed within the six months before it (or after it)."""
    holding = [(begin(s), s) for s in statuses if begin(s) <= day < later(s.day, 6)]
    return str(max(holding)[1].data["status"]) if holding else None


def begin(status: Said) -> date:
    since = status.data.get("since")
    return date.fromisoformat(since) if since else status.day


def later(day: date, months: int) -> date:
    """The same day so many months later, or the last one of that month."""
    number = day.year * 12 + day.month - 1 + months
    year, month = number // 12, number % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))
