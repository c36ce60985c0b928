"""Who is asked for feedback and what was answered: pure rules from the facts of learners, requests and demand."""

import hmac
from datetime import UTC, date, datetime, timedelta
from typing import Any

from shared.contract.events import (
    Data,
    DemandReported,
    Event,
    EventClass,
    FeedbackErased,
    FeedbackRequested,
    FeedbackRole,
    FeedbackSubmitted,
    FeedbackWithdrawn,
    InternshipCancelled,
    InternshipCompleted,
    InternshipStarted,
    LearnerEnrolled,
    LearnerErased,
    LearnerShared,
    ProgrammePublished,
    ProgrammeRevised,
    ProgrammeRevisionDeclined,
    ProgrammeRevisionRecommended,
    ProgrammeRevisionWithdrawn,
    derive,
    derived_id,
    organisation_of,
)
from shared.http.access import CHANGES, access
from shared.http.auth import RequestKey
from shared.processing import facts
from shared.processing.facts import DecodedEvent, Fact, State
from shared.processing.mongo import Counter, Counts, Key
from shared.processing.ownership import is_asked

DUE = timedelta(days=14)  # no setting: what an event says follows from the facts alone


COLLECTIONS: dict[EventClass, str] = {
    LearnerEnrolled: "learners",
    LearnerShared: "learners",
    InternshipStarted: "learners",
    InternshipCompleted: "learners",
    InternshipCancelled: "learners",
    LearnerErased: "learners",
    FeedbackRequested: "requests",
    FeedbackSubmitted: "requests",
    FeedbackWithdrawn: "requests",
    FeedbackErased: "requests",
    ProgrammePublished: "programmes",
    ProgrammeRevisionRecommended: "programmes",
    ProgrammeRevisionWithdrawn: "programmes",
    ProgrammeRevised: "programmes",
    ProgrammeRevisionDeclined: "programmes",
    DemandReported: "demands",
    **dict.fromkeys(CHANGES, "organisations"),
}


def route(event: DecodedEvent) -> Key | None:
    collection = COLLECTIONS.get(event.event_class)
    if collection is None:
        return None
    number = f"/{organisation_of(event.source)}/{event.subject}" if collection == "demands" else ""
    return Key(collection, event.partitionkey + number)


def view(key: Key, state: State) -> dict[str, Any]:
    match key.collection:
        case "requests":
            return _request_view(state)
        case "programmes":
            return _programme_view(state)
        case "demands":
            return _demand_view(state)
        case "organisations":
            return access(state)
        case _:
            return {"erased": "erased" in state}


def ask(learner: str, state: State, secret: RequestKey) -> list[Event[Data]]:
    """The requests that a learner's completed internships call for and that are not raised, or not as they now are."""
    wanted = (
        _request(learner, internship, completed, role, state, secret)
        for internship, completed in sorted(facts.facts(state, "internship.completed").items())
        for role in (FeedbackRole.enterprise, FeedbackRole.learner)
        if not _is_raised(learner, internship, completed, role, state, secret)
    )
    return [event for event in wanted if facts.apply(state, event) is not state]


def _is_raised(  # noqa: PLR0913, PLR0917
    learner: str, internship: str, completed: Fact, role: FeedbackRole, state: State, secret: RequestKey
) -> bool:
    """Does the request say what the completed internship says? (Compared before an event is made: that is slow.)"""
    raised = facts.facts(state, "feedback.requested").get(
        _request_id(learner, internship, completed, role, state, secret)
    )
    if raised is None or raised["time"] != completed["time"]:
        return False
    return all(raised["data"].get(name, []) == completed["data"].get(name, []) for name in _ABOUT)


_ABOUT = ("enterprise", "programme", "competencies")


def _request_id(  # noqa: PLR0913, PLR0917
    learner: str, internship: str, completed: Fact, role: FeedbackRole, state: State, secret: RequestKey
) -> str:
    """The id of a request; it stays whatever is corrected."""
    guessable = derived_id("feedback.requested", learner, internship, role)
    secure = request_id(learner, internship, role, secret.key)
    raised = facts.facts(state, "feedback.requested").keys() & {guessable, secure}
    return raised.pop() if len(raised) == 1 else guessable if completed["time"] < secret.since else secure


def request_id(learner: str, internship: str, role: str, key: bytes) -> str:
    """What a request is called, so that nobody without the key knows."""
    return hmac.new(key, "\x1f".join((learner, internship, role)).encode(), "sha256").hexdigest()[:32]


def _request(  # noqa: PLR0913, PLR0917
    learner: str, internship: str, completed: Fact, role: FeedbackRole, state: State, secret: RequestKey
) -> Event[Data]:
    internship_data, time = completed["data"], datetime.fromisoformat(completed["time"])
    request = _request_id(learner, internship, completed, role, state, secret)
    enrolled = facts.facts(state, "learner.enrolled").get(internship_data["programme"])
    data = FeedbackRequested(
        role=role,
        respondent=internship_data["enterprise"] if role is FeedbackRole.enterprise else learner,
        learner=learner,
        institution=facts.organisation(enrolled) if enrolled else None,
        internship=internship,
        enterprise=internship_data["enterprise"],
        programme=internship_data["programme"],
        competencies=internship_data.get("competencies", []),
        due=(time + DUE).date(),
    )
    id = derived_id("feedback.requested", completed["source"], completed["id"], role)
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
    operator has withdrawn counts no more.
    """
    standing = facts.standing(state, "feedback.submitted", "feedback.withdrawn").values()
    submitted = [fact for fact in standing if _speaks(fact)]
    requested = facts.last(state, "feedback.requested")
    if requested is None:
        return [fact for fact in submitted if "request" not in fact["data"]]
    newest = facts.newest(*(fact for fact in submitted if is_asked(fact, requested["data"])))
    return [newest] if newest else []


def _speaks(submitted: Fact) -> bool:
    by_enterprise = submitted["data"]["role"] == FeedbackRole.enterprise
    return submitted["kind"] == ("enterprise" if by_enterprise else "institution")


def contributions(key: Key, state: State) -> Counts:
    """Ratings by programme, enterprise and competency and month: measures `overall_4`, `relevance_5`, `rating_1`."""
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
            if "relevance" in data:
                _add(counts, (kind, id, period, f"relevance_{data['relevance']}"))
        for competency, rating in data.get("competencies", {}).items():
            _add(counts, ("competency", competency, period, f"rating_{rating}"))
            if "programme" in about:
                id = f"{about['programme']} {competency}"
                _add(counts, ("programme_competency", id, period, f"rating_{rating}"))
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
    status = "answered" if counting else "open"
    return {"status": status, **asked["data"], "requested_at": asked["time"], "answers": shown}


def _answer_view(answer: Fact, state: State) -> dict[str, Any]:
    """An answer with who submitted it as what: by these the operator withdraws it."""
    slot = next(slot for slot, fact in facts.facts(state, "feedback.submitted").items() if fact is answer)
    shown = {"role": answer["data"]["role"], "submitted_at": answer["time"], "ratings": _ratings(answer)}
    return {**shown, "organisation": facts.organisation(answer), "submission": slot.partition("/")[2]}


def _ratings(answer: Fact) -> dict[str, Any]:
    return {name: answer["data"][name] for name in ("overall", "relevance", "competencies") if name in answer["data"]}


def _programme_view(state: State) -> dict[str, Any]:
    published = facts.last(state, "programme.published")
    view = {"recommendations": recommendations(state)}
    if published is None:
        return view
    return {"institution": facts.organisation(published), "title": published["data"]["title"], **view}


def recommendations(state: State) -> list[dict[str, Any]]:
    """Each recommended revision with its evidence and, once given, the newest answer of the programme's institution."""
    published = facts.last(state, "programme.published")
    owner = facts.organisation(published) if published else ""
    found = []
    standing = facts.standing(state, "programme.revision_recommended", "programme.revision_withdrawn")
    for id, fact in sorted(standing.items()):
        revised = facts.facts(state, "programme.revised").get(f"{owner}/{id}")
        declined = facts.facts(state, "programme.revision_declined").get(f"{owner}/{id}")
        answer = facts.newest(revised, declined)
        found.append(
            {
                "id": id,
                **{k: v for k, v in fact["data"].items() if k != "recommendation"},
                "recommended_at": fact["time"],
                "status": "open" if answer is None else "revised" if answer is revised else "declined",
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


def today() -> date:
    return datetime.now(UTC).date()
