"""What monitoring keeps of each entity, and what an entity adds to the counters: pure functions of its facts.

A counter is a whole number for a scope (kind and id), a month (UTC) and a measure. What is about graduates is under
the month of graduation (the cohort), everything else under the month in which it happened. Measures of stocks are
signed changes: their sum up to a month is the stock at its end. A histogram's measures are named for the histogram
and the week (`employment_weeks/w012`).
"""

from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from shared.contract.events import (
    DemandReported,
    EmploymentStatus,
    RecognitionGranted,
    RecognitionWithdrawn,
    is_sustainability,
    organisation_of,
)
from shared.http.access import access
from shared.processing import facts
from shared.processing.facts import DecodedEvent, Fact, State
from shared.processing.mongo import Counter, Counts, Key
from shared.processing.ownership import is_asked

COLLECTIONS = {
    "organisation": "organisations",
    "agreement": "agreements",
    "programme": "programmes",
    "activity": "activities",
    "learner": "learners",
    "feedback": "requests",
    "demand": "demands",
    "recognition": "recognitions",
}
INDEXES: dict[str, list[tuple[str, ...]]] = {collection: [] for collection in COLLECTIONS.values()}

RECOGNITIONS = (RecognitionGranted, RecognitionWithdrawn)
UNKNOWN = "-"  # in place of an id that nobody gave; no id can be this
STATUSES = tuple(EmploymentStatus)
IN_WORK = ("employed", "self_employed")
HORIZONS_MONTHS = (6, 12, 18, 30)
STATUS_HOLDS_MONTHS = 6
WEEKS = 260  # the last week of a histogram holds all that is later, too


def route(event: DecodedEvent) -> Key | None:
    """Which state an event belongs to; None: monitoring has no use for it."""
    collection = COLLECTIONS.get(event.event_class.topic)
    if collection is None:
        return None
    id = event.partitionkey
    if event.event_class is DemandReported:
        id = f"{id}/{organisation_of(event.source)}/{event.subject}"
    elif event.event_class in RECOGNITIONS:
        id = f"{id}/{organisation_of(event.source)}"
    return Key(collection, id)


def view(key: Key, state: State) -> dict[str, Any]:
    """Fields to read without the facts: the registry, and which competencies an enterprise recognises."""
    rule = VIEWS.get(key.collection)
    return rule(state) if rule else {}


def contributions(key: Key, state: State) -> Counts:
    """What the entity adds to the counters; an erased one holds no facts and adds nothing."""
    counts: Counts = {}
    for counter, count in CONTRIBUTIONS[key.collection](key.id, state):
        counts[counter] = counts.get(counter, 0) + count
    return counts if all(counts.values()) else {counter: count for counter, count in counts.items() if count}


Added = Iterable[tuple[Counter, int]]


def _month(moment: Fact | str) -> str:
    """The month (YYYY-MM) of a fact, or of a day or time as text."""
    return (moment if isinstance(moment, str) else moment["time"])[:7]


def _day(moment: Fact | str) -> date:
    return _date((moment if isinstance(moment, str) else moment["time"])[:10])


_date = lru_cache(100_000)(date.fromisoformat)  # there are few days, and each comes again and again


def _day_after(day: str) -> str:
    return (_day(day) + timedelta(days=1)).isoformat()


def _month_after(day: str) -> str:
    return months_later(_day(day).replace(day=1), 1).isoformat()[:7]


@lru_cache(100_000)
def months_later(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day if it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _week(days: int) -> str:
    """The week (w000 to w260) of a histogram that so many days fall into."""
    return f"w{min(max(days, 0) // 7, WEEKS):03d}"


def _hundredths(hours: float) -> int:
    """Hundredths of an hour: whole, so that sums are exact."""
    return round(hours * 100)


def _hours(prefix: str, hundredths: int) -> Iterator[tuple[str, int]]:
    """Hours as measures: whole quarters, which is all that was counted once, and the hundredths that are left over."""
    quarters, rest = divmod(hundredths, 25)
    yield f"{prefix}_quarter_hours", quarters
    if rest:
        yield f"{prefix}_hundredth_hours", rest


def _in_order(found: Iterable[Fact]) -> list[Fact]:
    return sorted(found, key=facts.age)


# learners


def _learner(_: str, state: State) -> Added:
    told = state["facts"]
    completed: list[Fact] = []
    if not INTERNSHIPS.isdisjoint(told):
        internships = _internships(state)
        completed = list(filter(_completed, internships))
        yield from _placements(internships, completed)
    yield from _certificates(state)
    statuses = list(told.get("employment.recorded", {}).values())
    for programme, graduation in told.get("learner.graduated", {}).items():
        graduated_on = graduation["data"]["graduated_on"]
        month = graduated_on[:7]
        for measure in _graduate(state, programme, graduated_on, statuses, completed):
            yield ("programme", programme, month, measure), 1


INTERNSHIPS = frozenset({"internship.completed", "internship.cancelled"})


def _placements(internships: list[Fact], completed: list[Fact]) -> Added:
    for internship in internships:
        outcome = "completed" if _completed(internship) else "cancelled"
        for kind in ("programme", "enterprise"):
            yield (kind, internship["data"][kind], _month(internship), f"internships_{outcome}"), 1
    for kind in ("programme", "enterprise"):
        yield from _workplace_hours(kind, completed)


def _internships(state: State) -> list[Fact]:
    """The end of each internship that ended: the newest of completed and cancelled."""
    completed, cancelled = facts.facts(state, "internship.completed"), facts.facts(state, "internship.cancelled")
    ends = (facts.newest(completed.get(id), cancelled.get(id)) for id in sorted({*completed, *cancelled}))
    return [end for end in ends if end is not None]


def _completed(end: Fact) -> bool:
    return "hours" in end["data"]


def _workplace_hours(kind: str, completed: list[Fact]) -> Added:
    """A learner's hours count, like the learner, in the month of the first completed internship there."""
    by_id: dict[str, list[Fact]] = {}
    for fact in completed:
        by_id.setdefault(fact["data"][kind], []).append(fact)
    for id, internships in by_id.items():
        month = min(map(_month, internships))
        yield (kind, id, month, "interns"), 1
        hours = sum(_hundredths(fact["data"]["hours"]) for fact in internships)
        for measure, count in _hours("intern", hours):
            yield (kind, id, month, measure), count


def _certificates(state: State) -> Added:
    if "competency.certified" not in state["facts"]:
        return
    revoked = facts.facts(state, "competency.revoked")
    for id, fact in facts.facts(state, "competency.certified").items():
        competency = fact["data"]["competency"]
        yield ("competency", competency, _month(fact), "certificates"), 1
        if id in revoked:
            yield ("competency", competency, max(_month(fact), _month(revoked[id])), "certificates"), -1


def _graduate(
    state: State, programme: str, graduated_on: str, statuses: list[Fact], completed: list[Fact]
) -> list[str]:
    """The measures in which a graduate of *programme* counts."""
    measures = ["graduates"]
    if statuses:
        measures += _employment(statuses, graduated_on)
    if completed and any(fact["data"]["programme"] == programme for fact in completed):
        measures.append("graduates_interned")
        hosts = {fact["data"]["enterprise"] for fact in completed}
        employers = {fact["data"].get("enterprise") for fact in statuses if fact["data"]["status"] in IN_WORK}
        if hosts & employers:
            measures.append("graduates_hired_where_interned")
    held = state["facts"].get("competency.certified")
    if held:
        revoked = facts.facts(state, "competency.revoked")
        valid = [fact["data"]["competency"] for id, fact in held.items() if id not in revoked]
        measures += ["graduates_certified"] if valid else []
        measures += ["graduates_certified_sustainability"] if any(map(is_sustainability, valid)) else []
    return measures


def _employment(statuses: list[Fact], graduated_on: str) -> list[str]:
    """The measures of what is known of a graduate's work: now, at the horizons, and how long it took."""
    newest = facts.newest(*statuses)
    measures = _status(newest["data"]) if newest else []
    spans = list(map(_span, statuses))
    for prefix, day in _horizons(graduated_on):
        then = status_at(spans, day)
        if then:
            measures.append(prefix + then["data"]["status"])
    days = days_to_employment(statuses, graduated_on)
    if days is not None:
        measures.append(f"employment_weeks/{_week(days)}")
    return measures


def _status(data: dict[str, Any]) -> list[str]:
    """The measures of a graduate's newest status; what is unknown counts in no denominator."""
    status = data["status"]
    measures = [f"status_{status}"]
    if status not in IN_WORK:
        return measures
    contract = "permanent" if status == "self_employed" else data.get("contract")
    if contract:
        measures.append("contract_stable" if contract == "permanent" else "contract_other")
    if "full_time" in data:
        measures.append("hours_full" if data["full_time"] else "hours_part")
    if "related_to_field" in data:
        measures.append("work_related" if data["related_to_field"] else "work_unrelated")
    return measures


@lru_cache(100_000)
def _horizons(graduated_on: str) -> list[tuple[str, str]]:
    """What measures at each horizon begin with, and its day."""
    return [(f"after_{months}m_", _months_after(graduated_on, months)) for months in HORIZONS_MONTHS]


@lru_cache(100_000)
def _months_after(day: str, months: int) -> str:
    return months_later(_day(day), months).isoformat()


Span = tuple[str, str, Fact]  # days as text, whose order is that of time


def _span(status: Fact) -> Span:
    """The first day of a status, and the first on which it is no longer taken to hold."""
    observed = status["time"][:10]
    return status["data"].get("since", observed), _months_after(observed, STATUS_HOLDS_MONTHS), status


def status_at(spans: Iterable[Span], day: str) -> Fact | None:
    """The status in force on *day*, if one is known.

    A status begins at `since` (else when it was observed) and is taken to hold until 6 months after it was observed,
    or until the next one begins.
    """
    holding = [span for span in spans if span[0] <= day < span[1]]
    if len(holding) < 2:
        return holding[0][2] if holding else None
    latest = max(begin for begin, _, _ in holding)
    return facts.newest(*(fact for begin, _, fact in holding if begin == latest))


def days_to_employment(statuses: Iterable[Fact], graduated_on: str) -> int | None:
    """Days from graduation to the first work whose first day is known; 0 if it began before."""
    reported = [fact["data"] for fact in statuses]
    firsts = [data["since"] for data in reported if data["status"] in IN_WORK and "since" in data]
    return max(0, (_date(min(firsts)) - _date(graduated_on)).days) if firsts else None


# feedback


def _request(_: str, state: State) -> Added:
    requested = facts.last(state, "feedback.requested")
    asked = requested["data"] if requested else {}
    answers = _answers(state, asked)
    if asked:
        for measure in ["requests", "requests_answered"] if answers else ["requests"]:
            yield from _feedback(asked, _month(asked["due"]), measure)
    for fact in answers:
        for measure in _rating(fact):
            yield from _feedback({**fact["data"], **asked, **_answerer(fact)}, _month(fact), measure)


def _answers(state: State, asked: dict[str, Any]) -> list[Fact]:
    """The newest answer to a request, by the one who was asked; each that nobody asked for; none that is withdrawn."""
    submitted = facts.standing(state, "feedback.submitted", "feedback.withdrawn").values()
    if not asked:
        return [fact for fact in submitted if "request" not in fact["data"]]
    newest = facts.newest(*(fact for fact in submitted if is_asked(fact, asked)))
    return [newest] if newest else []


def _answerer(fact: Fact) -> dict[str, Any]:
    """The enterprise that speaks for itself, whatever else it names."""
    return {"enterprise": organisation_of(fact["source"])} if fact["data"]["role"] == "enterprise" else {}


def _feedback(about: dict[str, Any], month: str, measure: str) -> Added:
    yield ("programme", about.get("programme", UNKNOWN), month, measure), 1
    if "enterprise" in about:
        yield ("enterprise", about["enterprise"], month, measure), 1


def _rating(answer: Fact) -> Iterable[str]:
    """The measure of an answer; an enterprise speaks for no graduate, and an institution for no enterprise."""
    data = answer["data"]
    if data["role"] == "enterprise" and answer["kind"] == "enterprise":
        yield "employers_satisfied" if data["overall"] >= 4 else "employers_not_satisfied"
    elif data["role"] in ("graduate", "learner") and answer["kind"] == "institution" and "relevance" in data:
        yield "training_relevant" if data["relevance"] >= 4 else "training_not_relevant"


# organisations, agreements, programmes, activities


def _organisation_counts(id: str, state: State) -> Added:
    """A partner is active from its first registration on, but for the time of a suspension."""
    registered = facts.facts(state, "organisation.registered").values()
    entry = facts.last(state, "organisation.registered")
    if entry is None or entry["data"].get("sandbox"):
        return
    first, active = min(map(_month, registered)), True
    yield ("organisation", id, first, "partners"), 1
    suspended, reinstated = (facts.facts(state, f"organisation.{t}") for t in ("suspended", "reinstated"))
    for fact in _in_order([*suspended.values(), *reinstated.values()]):
        if active is _suspends(fact):
            active = not active
            yield ("organisation", id, max(first, _month(fact)), "partners"), 1 if active else -1


def _suspends(change: Fact) -> bool:
    return "reason" in change["data"]


def _agreement(id: str, state: State) -> Added:
    proposed = facts.last(state, "agreement.proposed")
    if proposed is None or organisation_of(proposed["source"]) not in proposed["data"]["parties"]:
        return
    period = in_force(proposed, state)
    if period is None:
        return
    begin, end = period
    parties = sorted(set(proposed["data"]["parties"]))
    scopes = [("agreement", id), *(("organisation", party) for party in parties)]
    for kind, of in scopes:
        yield (kind, of, begin, "agreements"), 1
        if end:
            yield (kind, of, max(begin, end), "agreements"), -1


def in_force(proposed: Fact, state: State) -> tuple[str, str | None] | None:
    """The months in which an agreement began and ceased to be in force; None: not every party has signed.

    The proposal is its proposer's signature. Only what parties said since the proposal counts: it is about its
    content. A refusal or an end after a signature ends the agreement.
    """
    data = proposed["data"]
    signed, refused, ended = (
        {party: fact for party, fact in facts.facts(state, f"agreement.{verb}").items() if _is_about(fact, proposed)}
        for verb in ("signed", "refused", "ended")
    )
    signed[organisation_of(proposed["source"])] = proposed
    parties = set(data["parties"])
    if not parties <= signed.keys():
        return None
    begins = [data["valid_from"], *(signed[party]["time"] for party in parties)]
    ends = [refused[p]["time"] for p in parties & refused.keys() if facts.newest(refused[p], signed[p]) is refused[p]]
    ends += [ended[party]["time"] for party in parties & ended.keys()]
    if "valid_until" in data:
        ends.append(_day_after(data["valid_until"]))
    return max(map(_month, begins)), min(map(_month, ends), default=None)


def _is_about(fact: Fact, proposed: Fact) -> bool:
    return fact["time"] >= proposed["time"]


def _programme(id: str, state: State) -> Added:
    offered: set[str] = set()
    for version in _in_order(facts.facts(state, "programme.published").values()):
        now = _programme_stocks(version["data"])
        for measure in sorted(now ^ offered):
            yield ("programme", id, _month(version), measure), 1 if measure in now else -1
        offered = now
    standing = facts.standing(state, "programme.revision_recommended", "programme.revision_withdrawn")
    for slot, recommended in standing.items():
        yield ("programme", id, _month(recommended), "revisions_recommended"), 1
        answered = _first_answer(state, slot)
        if answered:
            week = _week((_day(answered) - _day(recommended)).days)
            yield ("programme", id, _month(recommended), "revisions_answered"), 1
            yield ("programme", id, _month(recommended), f"revision_weeks/{week}"), 1


def _first_answer(state: State, recommendation: str) -> str | None:
    """When the institution revised or declined, first; another's word is no answer."""
    published = facts.last(state, "programme.published")
    given = [f for t in ("revised", "revision_declined") for f in facts.facts(state, f"programme.{t}").values()]
    about = [fact for fact in given if fact["data"]["recommendation"] == recommendation]
    own = [fact["time"] for fact in about if published is None or fact["source"] == published["source"]]
    return min(own, default=None)


def _programme_stocks(version: dict[str, Any]) -> set[str]:
    measures = {"programmes"}
    if any(is_sustainability(part["competency"]) for part in version["competencies"]):
        measures.add("programmes_sustainability")
    if any(partner["kind"] == "enterprise" for partner in version["joint_partners"]):
        measures.add("programmes_joint")
    return measures


def _activity(_: str, state: State) -> Added:
    held = facts.last(state, "activity.held")
    if held is None:
        return
    data = held["data"]
    if data["kind"] == "teacher_upskilling" and any(map(is_sustainability, data["competencies"])):
        organiser = organisation_of(held["source"])
        yield ("organisation", organiser, _month(held), "upskilling_activities"), 1
        for measure, count in _hours("upskilling", _hundredths(data["hours"])):
            yield ("organisation", organiser, _month(held), measure), count


# demand, recognition


def _demand(_: str, state: State) -> Added:
    """A report counts from its month on, up to and including the month of its horizon."""
    reported = facts.last(state, "demand.reported")
    if reported is None:
        return
    data, begin = reported["data"], _month(reported)
    end = max(begin, _month_after(data["horizon"]))
    for month, sign in ((begin, 1), (end, -1)):
        yield ("competency", data["competency"], month, "demand_reports"), sign
        yield ("competency", data["competency"], month, "demand_places"), sign * data["places"]


def _nothing(_: str, __: State) -> Added:
    """Recognitions are looked up when certificates are read: they are about many at once."""
    return ()


CONTRIBUTIONS: dict[str, Callable[[str, State], Added]] = {
    "organisations": _organisation_counts,
    "agreements": _agreement,
    "programmes": _programme,
    "activities": _activity,
    "learners": _learner,
    "requests": _request,
    "demands": _demand,
    "recognitions": _nothing,
}


# views


def _organisation_view(state: State) -> dict[str, Any]:
    entry = facts.last(state, "organisation.registered")
    if entry is None:
        return access(state)
    change = facts.last(state, "organisation.suspended", "organisation.reinstated")
    suspended = change is not None and _suspends(change)
    return {
        **{field: entry["data"].get(field) for field in ("kind", "region", "sector", "name")},
        "status": "suspended" if suspended else "active",
        **access(state),
    }


def _programme_view(state: State) -> dict[str, Any]:
    version = facts.last(state, "programme.published")
    if version is None:
        return {}
    return {"title": version["data"]["title"], "institution": organisation_of(version["source"])}


def _recognition_view(state: State) -> dict[str, Any]:
    """`since` is there only while the enterprise recognises the competency as a whole."""
    whole = [
        fact
        for kind in ("recognition.granted", "recognition.withdrawn")
        for fact in facts.facts(state, kind).values()
        if "certificate" not in fact["data"]
    ]
    newest = facts.newest(*whole)
    if newest is None or "since" not in newest["data"]:
        return {}
    return {"competency": newest["data"]["competency"], "since": newest["data"]["since"]}


VIEWS: dict[str, Callable[[State], dict[str, Any]]] = {
    "organisations": _organisation_view,
    "programmes": _programme_view,
    "recognitions": _recognition_view,
}
