"""Who is asked for feedback and what was answered: pure rules from the facts of learners, requests and demand."""

import hmac
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from shared.contract.events import (
    HOSTS,
    INSTITUTION,
    CompetencyCertified,
    CompetencyRevoked,
    Data,
    DemandAnnulled,
    DemandReported,
    EmploymentAnnulled,
    EmploymentEnded,
    EmploymentRecorded,
    Event,
    EventClass,
    FeedbackCancelled,
    FeedbackErased,
    FeedbackExpired,
    FeedbackReminded,
    FeedbackRequested,
    FeedbackRole,
    FeedbackSubmitted,
    FeedbackWithdrawn,
    FollowupOpened,
    InternshipAnnulled,
    InternshipCancelled,
    InternshipCompleted,
    InternshipStarted,
    LearnerAnnulled,
    LearnerEnrolled,
    LearnerErased,
    LearnerGraduated,
    LearnerLeft,
    LearnerShared,
    OrganisationRegistered,
    ProgrammeAnnulled,
    ProgrammeDemandLapsed,
    ProgrammeGapFound,
    ProgrammePublished,
    ProgrammeRevised,
    ProgrammeRevisionDeclined,
    ProgrammeRevisionPlanned,
    ProgrammeRevisionRecommended,
    ProgrammeRevisionWithdrawn,
    Publisher,
    QuestionnairePublished,
    SchemePublished,
    derive,
    derived_id,
    timestamp,
)
from shared.http.access import CHANGES, access
from shared.http.auth import RequestKey
from shared.processing import facts
from shared.processing.annulments import whose
from shared.processing.facts import DecodedEvent, Fact, State
from shared.processing.mongo import Counter, Counts, Key
from shared.processing.ownership import is_asked, is_withdrawn

from . import market
from .outcomes import outcomes

# After the completion, or after it was told, if that was later. No setting: what an event says follows from facts.
DUE = timedelta(days=14)
SATISFIED = 4  # of 5


COLLECTIONS: dict[EventClass, str] = {
    LearnerEnrolled: "learners",
    LearnerShared: "learners",
    LearnerGraduated: "learners",
    LearnerLeft: "learners",
    CompetencyCertified: "learners",
    CompetencyRevoked: "learners",
    FollowupOpened: "learners",
    EmploymentRecorded: "learners",
    EmploymentEnded: "learners",
    EmploymentAnnulled: "learners",
    InternshipStarted: "learners",
    InternshipCompleted: "learners",
    InternshipCancelled: "learners",
    LearnerErased: "learners",
    LearnerAnnulled: "learners",
    InternshipAnnulled: "learners",
    FeedbackRequested: "requests",
    FeedbackSubmitted: "requests",
    FeedbackWithdrawn: "requests",
    FeedbackCancelled: "requests",
    FeedbackErased: "requests",
    FeedbackReminded: "requests",
    FeedbackExpired: "requests",
    QuestionnairePublished: "questionnaires",
    ProgrammePublished: "programmes",
    ProgrammeRevisionRecommended: "programmes",
    ProgrammeGapFound: "programmes",
    ProgrammeDemandLapsed: "programmes",
    ProgrammeRevisionWithdrawn: "programmes",
    ProgrammeRevised: "programmes",
    ProgrammeRevisionDeclined: "programmes",
    ProgrammeRevisionPlanned: "programmes",
    ProgrammeAnnulled: "programmes",
    DemandReported: "demands",
    DemandAnnulled: "demands",
    SchemePublished: "schemes",
    OrganisationRegistered: "organisations",
    **dict.fromkeys(CHANGES, "organisations"),
    **market.COLLECTIONS,
}


def route(event: DecodedEvent) -> Key | None:
    collection = COLLECTIONS.get(event.event_class)
    if collection is None:
        return None
    number = f"/{whose(event)}/{event.subject}" if collection == "demands" else ""
    return Key(collection, event.partitionkey + number)


def view(key: Key, state: State) -> dict[str, Any]:
    shown = _VIEWS.get(key.collection)
    return shown(state) if shown else {"erased": "erased" in state}


class Wanted(NamedTuple):
    """A request that a completed internship calls for."""

    learner: str
    internship: str
    completed: Fact
    role: FeedbackRole


def ask(learner: str, state: State, secret: RequestKey) -> list[Event[Data]]:
    """The requests that a learner's completed internships call for, and the withdrawals of those that are over.

    A request is raised that is not, or not as it now is; one is withdrawn whose internship is cancelled or annulled.
    """
    completed = _completed(state)
    asked_for = [
        Wanted(learner, internship, fact, role)
        for internship, fact in sorted(completed.items())
        for role in (FeedbackRole.enterprise, FeedbackRole.learner)
    ]
    wanted = [_request(one, state, secret) for one in asked_for if not _is_raised(one, state, secret)]
    cancelled = facts.facts(state, "feedback.cancelled")
    over = [
        _cancellation(request, fact, state)
        for request, fact in sorted(facts.facts(state, "feedback.requested").items())
        if _is_over(fact, completed, state) and not is_withdrawn(fact, cancelled.get(request))
    ]
    return [event for event in (*wanted, *over) if facts.apply(state, event) is not state]


def _is_over(raised: Fact, completed: dict[str, Fact], state: State) -> bool:
    """Is there nothing more to ask about? The internship is not completed after all, or nobody has graduated."""
    if "months" in raised["data"]:
        return raised["data"]["programme"] not in facts.facts(state, "learner.graduated")
    return raised["data"].get("internship") not in completed


def _completed(state: State) -> dict[str, Fact]:
    """The internships that are completed, and not cancelled since."""
    cancelled = facts.facts(state, "internship.cancelled")
    found = facts.facts(state, "internship.completed").items()
    return {id: fact for id, fact in found if facts.newest(fact, cancelled.get(id)) is fact}


def _cancellation(request: str, raised: Fact, state: State) -> Event[Data]:
    """The withdrawal, dated by what made it necessary; a completion that is newer raises the request again."""
    about = raised["data"]
    internship, programme = about.get("internship", ""), about["programme"]
    why = facts.newest(
        facts.facts(state, "internship.cancelled").get(internship),
        *_annulling(state, "internship.annulled", "internship.completed", internship),
        *(_annulling(state, "learner.annulled", "learner.graduated", programme) if "months" in about else ()),
    )
    time = max(raised["time"], why["time"]) if why else raised["time"]
    data = FeedbackCancelled.model_validate(
        {name: raised["data"][name] for name in ("role", "respondent", "learner", "programme")}
    )
    id = derived_id("feedback.cancelled", request, raised["id"])
    moment = datetime.fromisoformat(time)
    return derive("feedback", data, id=id, subject=request, key=request, time=moment)


def _annulling(state: State, by: str, type_: str, slot: str) -> list[Fact]:
    """The annulments that made what was said of a slot void."""
    found = facts.facts(state, by).values()
    return [fact for fact in found if (void := fact.get("void")) and (void["type"], void["slot"]) == (type_, slot)]


def _is_raised(wanted: Wanted, state: State, secret: RequestKey) -> bool:
    """Does the request say what the completed internship says? (Compared before an event is made: that is slow.)"""
    request = _request_id(wanted, state, secret)
    raised = facts.facts(state, "feedback.requested").get(request)
    if raised is None or raised["time"] != _raised_at(request, wanted, state):
        return False
    data = wanted.completed["data"]
    return all(raised["data"].get(name, []) == data.get(name, []) for name in _ABOUT)


_ABOUT = ("enterprise", "programme", "competencies")


def _raised_at(request: str, wanted: Wanted, state: State) -> str:
    """The time of a request: when the internship was completed; after a withdrawal that turned out wrong, just then."""
    cancelled = facts.facts(state, "feedback.cancelled").get(request)
    if cancelled is None or cancelled["time"] < wanted.completed["time"]:
        return wanted.completed["time"]
    return timestamp(datetime.fromisoformat(cancelled["time"]) + timedelta(microseconds=1))


def _request_id(wanted: Wanted, state: State, secret: RequestKey) -> str:
    """The id of a request; it stays whatever is corrected."""
    guessable = derived_id("feedback.requested", wanted.learner, wanted.internship, wanted.role)
    secure = request_id(wanted.learner, wanted.internship, wanted.role, secret.key)
    raised = facts.facts(state, "feedback.requested").keys() & {guessable, secure}
    if len(raised) == 1:
        return raised.pop()
    return guessable if wanted.completed["time"] < secret.since else secure


def request_id(learner: str, internship: str, role: str, key: bytes) -> str:
    """What a request is called, so that nobody without the key knows."""
    return hmac.new(key, "\x1f".join((learner, internship, role)).encode(), "sha256").hexdigest()[:32]


def _request(wanted: Wanted, state: State, secret: RequestKey) -> Event[Data]:
    completed, about = wanted.completed, wanted.completed["data"]
    request = _request_id(wanted, state, secret)
    raised_at = _raised_at(request, wanted, state)
    enrolled = facts.facts(state, "learner.enrolled").get(about["programme"])
    data = FeedbackRequested(
        role=wanted.role,
        respondent=about["enterprise"] if wanted.role is FeedbackRole.enterprise else wanted.learner,
        learner=wanted.learner,
        institution=facts.organisation(enrolled) if enrolled else None,
        internship=wanted.internship,
        enterprise=about["enterprise"],
        programme=about["programme"],
        competencies=about.get("competencies", []),
        due=(datetime.fromisoformat(max(raised_at, completed["time"], completed.get("logged", ""))) + DUE).date(),
    )
    again = (raised_at,) if raised_at != completed["time"] else ()
    id = derived_id("feedback.requested", completed["source"], completed["id"], wanted.role, *again)
    time = datetime.fromisoformat(raised_at)
    return derive("feedback", data, id=id, subject=request, key=request, time=time)


def forget(request: str, state: State, erased: frozenset[str]) -> list[Event[Data]]:
    """The erasure of a request whose learner was erased."""
    asked = facts.last(state, "feedback.requested")
    if asked is None or asked["data"]["learner"] not in erased:
        return []
    id = derived_id("feedback.erased", request)
    time = datetime.fromisoformat(asked["time"])
    return [derive("feedback", FeedbackErased(), id=id, subject=request, key=request, time=time)]


def answers(state: State) -> list[Fact]:
    """The submissions that count: of a request the newest by the one who was asked, else each that nobody asked for.

    An enterprise speaks for itself; what a learner, graduate or mentor says comes through the institution. What the
    operator has withdrawn counts no more, and neither does an answer to a request that is withdrawn.
    """
    standing = facts.standing(state, "feedback.submitted", "feedback.withdrawn").values()
    submitted = [fact for fact in standing if _speaks(fact)]
    requested = facts.last(state, "feedback.requested")
    if requested is None:
        return [fact for fact in submitted if "request" not in fact["data"]]
    if is_withdrawn(requested, facts.last(state, "feedback.cancelled")):
        return []
    newest = facts.newest(*(fact for fact in submitted if is_asked(fact, requested["data"])))
    return [newest] if newest else []


def _speaks(submitted: Fact) -> bool:
    is_hosts = submitted["data"]["role"] == FeedbackRole.enterprise
    # By a one-time link the feedback service speaks, in the name of whom the request asks or who passes it on.
    return submitted["kind"] in (*(HOSTS if is_hosts else INSTITUTION), Publisher.service)


def is_open(state: State) -> bool:
    """Is a request neither answered nor withdrawn nor over?"""
    requested, expired = (facts.last(state, f"feedback.{verb}") for verb in ("requested", "expired"))
    if requested is None or is_withdrawn(requested, facts.last(state, "feedback.cancelled")):
        return False
    return not answers(state) and (expired is None or expired["time"] <= requested["time"])


def contributions(key: Key, state: State) -> Counts:
    """What is known of a learner's way, see `outcomes`; of an answer the ratings: `overall_4`, `learner_4`, `rating_1`.

    Ratings count by programme, enterprise, a programme's competency, and month.
    """
    if key.collection == "learners":
        return outcomes(state)
    counts: Counts = {}
    if key.collection != "requests":
        return counts
    asked = facts.last(state, "feedback.requested")
    for answer in answers(state):
        about = {**answer["data"], **(asked["data"] if asked else {})}
        period, data = answer["time"][:7], answer["data"]
        scopes = [(kind, about[kind]) for kind in ("programme", "enterprise") if kind in about]
        for kind, id in scopes:
            _add(counts, (kind, id, period, f"overall_{data['overall']}"))
            _add(counts, (kind, id, period, f"{data['role']}_{data['overall']}"))
            if "relevance" in data:
                _add(counts, (kind, id, period, f"relevance_{data['relevance']}"))
        for competency, rating in data.get("competencies", {}).items():
            if "programme" in about:
                id = f"{about['programme']} {competency}"
                _add(counts, ("programme_competency", id, period, f"rating_{rating}"))
                if data["role"] == FeedbackRole.enterprise and rating < SATISFIED:
                    _add(counts, ("wish", f"{id} {facts.organisation(answer)}", period, "ratings"))
    return counts


def _add(counts: Counts, counter: Counter) -> None:
    counts[counter] = counts.get(counter, 0) + 1


def _request_view(state: State) -> dict[str, Any]:
    asked = facts.last(state, "feedback.requested")
    counting = answers(state)
    shown = [_answer_view(answer, state) for answer in counting]
    if asked is None:
        about = {"programme": counting[0]["data"].get("programme")} if counting else {}
        return {"status": "unsolicited" if counting else "unknown", "answers": shown, **about}
    cancelled = facts.last(state, "feedback.cancelled")
    if is_withdrawn(asked, cancelled):
        status = "withdrawn"
    else:
        status = "answered" if counting else "open" if is_open(state) else "expired"
    reminders = len(facts.facts(state, "feedback.reminded"))
    about = {**asked["data"], "requested_at": asked["time"], "answers": shown}
    return {"status": status, **about, **({"reminders": reminders} if reminders else {})}


def _answer_view(answer: Fact, state: State) -> dict[str, Any]:
    """An answer with who submitted it as what: by these the operator withdraws it."""
    slot = next(slot for slot, fact in facts.facts(state, "feedback.submitted").items() if fact is answer)
    shown = {"role": answer["data"]["role"], "submitted_at": answer["time"], "ratings": _ratings(answer)}
    return {**shown, "organisation": facts.organisation(answer), "submission": slot.partition("/")[2]}


_SAID = ("overall", "relevance", "competencies", "questionnaire", "choices", "numbers")


def _ratings(answer: Fact) -> dict[str, Any]:
    return {name: answer["data"][name] for name in _SAID if name in answer["data"]}


def _programme_view(state: State) -> dict[str, Any]:
    published = facts.last(state, "programme.published")
    withdrawn = sorted(facts.facts(state, "programme.revision_withdrawn"))
    view = {"recommendations": recommendations(state), "withdrawn": withdrawn}
    if published is None:
        return view
    return {
        "institution": facts.organisation(published),
        "title": published["data"]["title"],
        "competencies": sorted(_competencies(published)),
        "versions": _versions(state),
        **view,
    }


def _competencies(published: Fact) -> set[str]:
    return {part["competency"] for part in published["data"]["competencies"]}


def _versions(state: State) -> list[dict[str, Any]]:
    """The versions of a programme, oldest first, each with the competencies that it added and removed."""
    published = sorted(facts.facts(state, "programme.published").values(), key=facts.age)
    before = [published[0], *published[:-1]] if published else []
    return [
        {
            "version": fact["data"]["version"],
            "published_at": fact["time"],
            "added": sorted(_competencies(fact) - _competencies(earlier)),
            "removed": sorted(_competencies(earlier) - _competencies(fact)),
        }
        for earlier, fact in zip(before, published, strict=True)
    ]


def _organisation_view(state: State) -> dict[str, Any]:
    registered = facts.last(state, "organisation.registered")
    entry = registered["data"] if registered else {}
    return {**access(state), "region": entry.get("region"), "name": entry.get("name")}


def _questionnaire_view(state: State) -> dict[str, Any]:
    published = facts.last(state, "questionnaire.published")
    if published is None:
        return {}
    versions = facts.facts(state, "questionnaire.published").values()
    return {**published["data"], "versions": sorted([fact["time"], fact["data"]["version"]] for fact in versions)}


def _scheme_view(state: State) -> dict[str, Any]:
    published = facts.last(state, "scheme.published")
    if published is None:
        return {}
    return {"competency": published["data"]["competency"], "institution": facts.organisation(published)}


_ANSWERS = {"revised": "revised", "revision_declined": "declined", "revision_planned": "planned"}


def recommendations(state: State) -> list[dict[str, Any]]:
    """Each recommended revision with its evidence and, once given, the newest answer of the programme's institution."""
    published = facts.last(state, "programme.published")
    owner = facts.organisation(published) if published else ""
    found = []
    for id, fact in sorted(facts.recommended(state).items()):
        given = {s: facts.facts(state, f"programme.{t}").get(f"{owner}/{id}") for t, s in _ANSWERS.items()}
        answer = facts.newest(*given.values())
        found.append(
            {
                "id": id,
                "ground": facts.ground_of(fact),
                **{k: v for k, v in fact["data"].items() if k != "recommendation"},
                "recommended_at": fact["time"],
                "status": next((status for status, fact in given.items() if fact and fact is answer), "open"),
                "answered_at": answer["time"] if answer else None,
                "answer": {k: v for k, v in answer["data"].items() if k != "recommendation"} if answer else None,
            }
        )
    return found


def _demand_view(state: State) -> dict[str, Any]:
    reported = facts.last(state, "demand.reported")
    if reported is None:
        return {}
    return {**reported["data"], "organisation": facts.organisation(reported), "reported_at": reported["time"]}


_VIEWS: dict[str, Callable[[State], dict[str, Any]]] = {
    "requests": _request_view,
    "programmes": _programme_view,
    "demands": _demand_view,
    "organisations": _organisation_view,
    "schemes": _scheme_view,
    "questionnaires": _questionnaire_view,
    **market.VIEWS,
}


def today() -> date:
    return datetime.now(UTC).date()
