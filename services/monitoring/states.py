"""What monitoring keeps of each entity, and what an entity adds to the counters: pure functions of its facts.

A counter is a whole number for a scope (kind and id), a month (UTC) and a measure. What is about graduates is under
the month of graduation (the cohort), everything else under the month in which it happened. Measures of stocks are
signed changes: their sum up to a month is the stock at its end. A histogram's measures are named for the histogram
and the week (`employment_weeks/w012`).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from shared.contract.events import (
    HOSTS,
    CertificateCollected,
    CertificateExpiring,
    CertificateHidden,
    CertificateIssued,
    CertificateShown,
    FollowupOpened,
    IndicatorAcknowledged,
    IndicatorAlerted,
    IndicatorRuleRemoved,
    IndicatorRuleSet,
    IssuerDeclared,
    LearnerErasureRequested,
    Publisher,
    QuestionnairePublished,
    RecognitionGranted,
    RecognitionWithdrawn,
    SkillMapped,
    VacancyClosed,
    VacancyObserved,
    organisation_of,
)
from shared.http.access import access
from shared.processing import facts
from shared.processing.annulments import whose
from shared.processing.employment import day_after, day_of
from shared.processing.facts import DecodedEvent, Fact, State
from shared.processing.mongo import Counts, Key
from shared.processing.ownership import is_asked, is_withdrawn

from .learners import learner
from .measures import Added, hours_as, hundredths, in_order, month_of, week_of

COLLECTIONS = {
    "organisation": "organisations",
    "agreement": "agreements",
    "programme": "programmes",
    "activity": "activities",
    "opportunity": "opportunities",
    "learner": "learners",
    "feedback": "requests",
    "demand": "demands",
    "recognition": "recognitions",
    "indicator": "alert_rules",
}
VACANCIES = "vacancies"  # on the topic of demand, of which the reports are looked up
ACKNOWLEDGEMENTS = "acknowledgements"  # of alerts, on the topic of their rules
BESIDE = (VACANCIES, ACKNOWLEDGEMENTS)
INDEXES: dict[str, list[tuple[str, ...]]] = {collection: [] for collection in (*COLLECTIONS.values(), *BESIDE)}

WITHOUT_USE = (
    *(QuestionnairePublished, FollowupOpened, VacancyClosed, SkillMapped),
    *(CertificateIssued, CertificateExpiring, IssuerDeclared),
    *(CertificateCollected, CertificateHidden, CertificateShown, LearnerErasureRequested),
)
RECOGNITIONS = (RecognitionGranted, RecognitionWithdrawn)
UNKNOWN = "-"  # in place of an id that nobody gave; no id can be this


def route(event: DecodedEvent) -> Key | None:
    """Which state an event belongs to; None: monitoring has no use for it."""
    collection = COLLECTIONS.get(event.event_class.topic)
    if collection is None or event.event_class in WITHOUT_USE:
        return None
    id = event.partitionkey
    if event.event_class is VacancyObserved:
        return Key(VACANCIES, id)
    if collection == "demands":
        id = f"{id}/{whose(event)}/{event.subject}"
    elif event.event_class is IndicatorAcknowledged:
        collection, id = ACKNOWLEDGEMENTS, f"{alert_key(id, event.fact['data'])}/{event.publisher}"
    elif event.event_class in RECOGNITIONS:
        id = f"{id}/{organisation_of(event.source)}"
    return Key(collection, id)


def alert_key(rule: str, alert: Mapping[str, Any]) -> str:
    """What an alert is, and nothing else: there is one for each rule, scope and window."""
    return "/".join((rule, *(alert[name] for name in ("indicator", "scope", "scope_id", "window"))))


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


# feedback


def _request(_: str, state: State) -> Added:
    requested = facts.last(state, "feedback.requested")
    if requested and is_withdrawn(requested, facts.last(state, "feedback.cancelled")):
        return
    asked = requested["data"] if requested else {}
    answers = _answers(state, asked)
    if asked:
        for measure in ["requests", "requests_answered"] if answers else ["requests"]:
            yield from _asked(asked, measure)
    for fact in answers:
        about = {**fact["data"], **asked, **_answerer(fact)}
        for measure in _rating(fact):
            yield from _feedback(about, month_of(fact), measure)
        if fact["data"]["role"] == "enterprise" and fact["kind"] in (*HOSTS, "service"):
            employer = encoded(organisation_of(fact["source"]))
            yield from _feedback(about, month_of(fact), f"{EMPLOYERS}/{employer}/answers")
            yield from _feedback(about, month_of(fact), f"{EMPLOYERS}/{employer}/rating", fact["data"]["overall"])


EMPLOYERS = "employers"


def encoded(id: str) -> str:
    """An id as part of a measure's name, in which a dot would be taken for a path; no id has a per cent sign."""
    return id.replace(".", "%")


def _asked(asked: dict[str, Any], measure: str) -> Added:
    """A request counts for its programme, and for the enterprise only if that is asked itself."""
    month = month_of(asked["due"])
    yield ("programme", asked["programme"], month, measure), 1
    if asked["role"] == "enterprise":
        yield ("enterprise", asked["respondent"], month, measure), 1


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


def _feedback(about: dict[str, Any], month: str, measure: str, count: int = 1) -> Added:
    yield ("programme", about.get("programme", UNKNOWN), month, measure), count
    if "enterprise" in about:
        yield ("enterprise", about["enterprise"], month, measure), count


BY_INSTITUTION = ("institution", "service")  # passed on by it, or by a one-time link in its name


def _rating(answer: Fact) -> Iterable[str]:
    """The measure of a learner's or graduate's answer, which comes through an institution."""
    data = answer["data"]
    if data["role"] in ("graduate", "learner") and answer["kind"] in BY_INSTITUTION and "relevance" in data:
        yield "training_relevant" if data["relevance"] >= 4 else "training_not_relevant"


# organisations, agreements, programmes, activities


def _organisation_counts(id: str, state: State) -> Added:
    """A partner is active from its first registration on, but for the time of a suspension."""
    registered = facts.facts(state, "organisation.registered").values()
    entry = facts.last(state, "organisation.registered")
    if entry is None or entry["data"].get("sandbox"):
        return
    first, active = min(map(month_of, registered)), True
    yield ("organisation", id, first, "partners"), 1
    suspended, reinstated = (facts.facts(state, f"organisation.{t}") for t in ("suspended", "reinstated"))
    for fact in in_order([*suspended.values(), *reinstated.values()]):
        if active is _suspends(fact):
            active = not active
            yield ("organisation", id, max(first, month_of(fact)), "partners"), 1 if active else -1


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
        ends.append(day_after(data["valid_until"]))
    return max(map(month_of, begins)), min(map(month_of, ends), default=None)


def _is_about(fact: Fact, proposed: Fact) -> bool:
    return fact["time"] >= proposed["time"]


def _programme(id: str, state: State) -> Added:
    yield from _programme_stocks(id, state)
    for slot, recommended in facts.recommended(state).items():
        yield ("programme", id, month_of(recommended), "revisions_recommended"), 1
        answered = first_answer(state, slot)
        if answered:
            week = week_of((day_of(answered[:10]) - day_of(recommended["time"][:10])).days)
            yield ("programme", id, month_of(recommended), "revisions_answered"), 1
            yield ("programme", id, month_of(recommended), f"revision_weeks/{week}"), 1


def first_answer(state: State, recommendation: str) -> str | None:
    """When the institution first declined, or published the version that it revised to; another's word is none."""
    published = facts.facts(state, "programme.published")
    newest_first = sorted(published.values(), key=facts.age, reverse=True)
    versions = {fact["data"]["version"]: fact["time"] for fact in newest_first}  # when each was published first
    newest = facts.newest(*published.values())
    given = [f for t in ("revised", "revision_declined") for f in facts.facts(state, f"programme.{t}").values()]
    times = [
        max(fact["time"], versions[fact["data"]["version"]]) if "version" in fact["data"] else fact["time"]
        for fact in given
        if fact["data"]["recommendation"] == recommendation
        and (newest is None or fact["source"] == newest["source"])
        and fact["data"].get("version") in (None, *versions)
    ]
    return min(times, default=None)


def _programme_stocks(id: str, state: State) -> Added:
    """What the newest version is, month by month; it is joint once an enterprise that it names has confirmed."""
    offered: dict[str, int] = {}
    version: Fact | None = None
    joined: set[str] = set()
    published = facts.facts(state, "programme.published").values()
    for fact in in_order([*published, *facts.facts(state, "programme.joined").values()]):
        if "version" in fact["data"]:
            version = fact
        elif fact["kind"] == "enterprise":
            joined.add(organisation_of(fact["source"]))
        now = _stocks_of(version, joined) if version else {}
        for measure in sorted(now.keys() | offered.keys()):
            if change := now.get(measure, 0) - offered.get(measure, 0):
                yield ("programme", id, month_of(fact), measure), change
        offered = now


def _stocks_of(published: Fact, joined: set[str]) -> dict[str, int]:
    version = published["data"]
    stocks = {"programmes": 1}
    if any(facts.is_sustainability(published, part["competency"]) for part in version["competencies"]):
        stocks["programmes_sustainability"] = 1
    if joined & {partner["organisation"] for partner in version["joint_partners"]}:
        stocks["programmes_joint"] = 1
    if "hours_theory" in version and "hours_workplace" in version:
        theory, workplace = hundredths(version["hours_theory"]), hundredths(version["hours_workplace"])
        stocks |= {"programmes_planned": 1, "planned_hours": theory + workplace, "planned_workplace_hours": workplace}
    return stocks


def _activity(_: str, state: State) -> Added:
    held = facts.last(state, "activity.held")
    if held is None:
        return
    data, month, organiser = held["data"], month_of(held), organisation_of(held["source"])
    yield ("organisation", organiser, month, "activities_held"), 1
    is_counted = any(facts.is_sustainability(held, competency) for competency in data["competencies"])
    if data["kind"] == "teacher_upskilling" and is_counted:
        for whose, teachers in _teachers(held):
            yield ("organisation", whose, month, "upskilling_activities"), 1
            for measure, count in hours_as("upskilling", hundredths(data["hours"]) * teachers):
                yield ("organisation", whose, month, measure), count
    prefix = ACTIVITIES.get(data["kind"])
    if prefix:
        yield ("organisation", organiser, month, f"{prefix}_activities"), 1
        yield ("organisation", organiser, month, f"{prefix}_participants"), data["participants"]
        for measure, count in hours_as(prefix, hundredths(data["hours"])):
            yield ("organisation", organiser, month, measure), count


ACTIVITIES = {"guest_lecture": "guest_teaching", "master_class": "guest_teaching", "joint_research": "joint_research"}


def _teachers(held: Fact) -> list[tuple[str, int]]:
    """Whose teachers came, and how many: as the activity says; else the institution's that organised it or took part.

    Where it cannot be told whose they were, they count for the organiser.
    """
    data, organiser = held["data"], organisation_of(held["source"])
    if told := data.get("participants_of"):
        return sorted(told.items())
    guests = [id for id in data["organisations"] if id != organiser]
    whose = guests[0] if held["kind"] != "institution" and len(guests) == 1 else organiser
    return [(whose, data["participants"])]


# opportunities


def _opportunity(_: str, state: State) -> Added:
    """Places of an offer that was closed, and how many of them were filled, in the month in which it was."""
    posted, closed = facts.last(state, "opportunity.posted"), facts.last(state, "opportunity.closed")
    if posted is None or closed is None or closed["source"] != posted["source"]:
        return
    places = posted["data"]["places"]
    enterprise, month = organisation_of(posted["source"]), month_of(closed)
    yield ("enterprise", enterprise, month, "places_offered"), places
    yield ("enterprise", enterprise, month, "places_filled"), min(places, closed["data"]["filled"])


# demand, recognition


def _vacancy(_: str, state: State) -> Added:
    """A vacancy of a region, in the month in which it was last published, or else last observed."""
    observed = facts.last(state, VacancyObserved.short_type)
    if observed:
        data = observed["data"]
        month = month_of(data.get("published_on", observed["time"]))
        yield ("region", data.get("region", UNKNOWN), month, "vacancies"), 1


def _nothing(_: str, __: State) -> Added:
    """Demand and recognition are looked up when certificates are read: one word of them is about many at once.

    Alerts are of figures, and no figure is of alerts.
    """
    return ()


CONTRIBUTIONS: dict[str, Callable[[str, State], Added]] = {
    "organisations": _organisation_counts,
    "agreements": _agreement,
    "programmes": _programme,
    "activities": _activity,
    "opportunities": _opportunity,
    "learners": learner,
    "requests": _request,
    "demands": _nothing,
    VACANCIES: _vacancy,
    "recognitions": _nothing,
    "alert_rules": _nothing,
    ACKNOWLEDGEMENTS: _nothing,
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
    data = version["data"]
    return {
        "title": data["title"],
        "level": data["level"],
        "institution": organisation_of(version["source"]),
        "competencies": sorted({part["competency"] for part in data["competencies"]}),
        "planned_hours": _stocks_of(version, set()).get("planned_hours"),
    }


def _recognition_view(state: State) -> dict[str, Any]:
    """From when until when the enterprise recognises the competency as a whole; `until`: for as long as is known."""
    whole = {
        kind: facts.newest(*(f for f in facts.facts(state, kind).values() if "certificate" not in f["data"]))
        for kind in ("recognition.granted", "recognition.withdrawn")
    }
    granted, withdrawn = whole["recognition.granted"], whole["recognition.withdrawn"]
    if granted is None:
        return {}
    until = withdrawn["time"][:10] if withdrawn and facts.newest(granted, withdrawn) is withdrawn else None
    return {"competency": granted["data"]["competency"], "since": granted["data"]["since"], "until": until}


def _demand_view(state: State) -> dict[str, Any]:
    reported = facts.last(state, "demand.reported")
    if reported is None:
        return {}
    return {field: reported["data"].get(field) for field in _OF_DEMAND} | {"at": reported["time"]}


_OF_DEMAND = ("competency", "places", "horizon", "of")


def rule_of(state: State) -> dict[str, Any] | None:
    """What the rule asks for; None: it was removed, or never set."""
    said = facts.last(state, IndicatorRuleSet.short_type, IndicatorRuleRemoved.short_type)
    return said["data"] if said and "indicator" in said["data"] else None


def owner_of(state: State) -> str | None:
    """The institution whose rule it is; None: the operator's."""
    said = facts.last(state, IndicatorRuleSet.short_type)
    return organisation_of(said["source"]) if said and said["kind"] == Publisher.institution else None


def _rule_view(state: State) -> dict[str, Any]:
    """A rule with its alerts, the newest first."""
    said = facts.last(state, IndicatorRuleSet.short_type)
    if said is None:
        return {}
    alerts = [_alert_view(fact) for fact in facts.facts(state, IndicatorAlerted.short_type).values()]
    return {
        **{name: said["data"].get(name) for name in IndicatorRuleSet.model_fields},
        "organisation": owner_of(state),
        "status": "removed" if rule_of(state) is None else "active",
        "set_at": said["time"],
        "alerts": sorted(alerts, key=lambda alert: (alert["alerted_at"], alert["scope_id"]), reverse=True),
    }


def _alert_view(fact: Fact) -> dict[str, Any]:
    return {"id": fact["id"], "alerted_at": fact["time"], **{name: fact["data"].get(name) for name in _SHOWN}}


_SHOWN = ("indicator", "scope", "scope_id", "window", "when", "value", "threshold", "n", "before", "n_before")


def _acknowledgement_view(state: State) -> dict[str, Any]:
    said = facts.last(state, IndicatorAcknowledged.short_type)
    return {"acknowledged_at": said["time"], "by_operator": said["kind"] == Publisher.operator} if said else {}


VIEWS: dict[str, Callable[[State], dict[str, Any]]] = {
    "organisations": _organisation_view,
    "programmes": _programme_view,
    "recognitions": _recognition_view,
    "demands": _demand_view,
    "alert_rules": _rule_view,
    ACKNOWLEDGEMENTS: _acknowledgement_view,
}
