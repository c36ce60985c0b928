"""What time brings: who is asked after graduation, when somebody is reminded, and when it is too late to answer.

Pure rules of the facts and the day. They are asked at a tick, by the owner of a partition, and say everything once:
an id is made of subject and window, so that deciding twice, after a rebuild or a month of downtime, changes nothing.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from shared.contract.events import (
    Data,
    Event,
    FeedbackExpired,
    FeedbackReminded,
    FeedbackRequested,
    FeedbackRole,
    FollowupOpened,
    derive,
    derived_id,
)
from shared.http.auth import RequestKey
from shared.processing import facts
from shared.processing.employment import months_later
from shared.processing.facts import Fact, State
from shared.processing.ownership import is_withdrawn

from .requests import is_open, request_id

MONTHS = (6, 12, 18, 30)  # after graduation; no setting: what follows from the facts must be the same everywhere
TO_ANSWER = timedelta(days=30)
REMINDERS = (7, 2)  # days before a request is due


class Window(NamedTuple):
    """So many months after a learner's graduation from a programme."""

    programme: str
    months: int
    day: date
    graduated: Fact

    @property
    def slot(self) -> str:
        """By which the facts of a learner tell windows apart: see `facts.slot_of`."""
        return f"{self.programme}/{self.months}"


def windows(state: State) -> list[Window]:
    """The windows of a learner that open after the graduation was told, the earliest first.

    A graduation of long ago that is told today is asked about from the next window on.
    """
    found = []
    for programme, fact in facts.facts(state, "learner.graduated").items():
        told = date.fromisoformat(fact.get("logged", fact["time"])[:10])
        on = date.fromisoformat(fact["data"]["graduated_on"])
        found += [Window(programme, months, day, fact) for months in MONTHS if (day := months_later(on, months)) > told]
    return sorted(found, key=lambda window: (window.day, window.programme))


def _coming(state: State) -> list[Window]:
    """The windows of each programme that are later than the last one that was opened, the earliest first."""
    opened = facts.facts(state, "followup.opened").keys()
    known = windows(state)
    last = {window.programme: window.day for window in known if window.slot in opened}
    return [window for window in known if window.day > last.get(window.programme, date.min)]


def opens_next(state: State) -> str | None:
    """The day on which the next window opens, as text; None: there are no more."""
    day = next((window.day for window in _coming(state)), None)
    return day.isoformat() if day else None


def open_windows(learner: str, state: State, today: date) -> list[Event[Data]]:
    """The window of each programme that has opened last by today, once; earlier ones that were missed lapse.

    Who is asked late has as long to answer as others.
    """
    reached = {window.programme: window for window in _coming(state) if window.day <= today}
    return [_opened(learner, each, employer_on(state, today), today + TO_ANSWER) for each in reached.values()]


def _opened(learner: str, window: Window, employer: str | None, due: date) -> Event[Data]:
    data = FollowupOpened(
        programme=window.programme,
        months=window.months,
        institution=facts.organisation(window.graduated),
        enterprise=employer,
        due=due,
    )
    id = derived_id("followup.opened", learner, window.slot)
    return derive("feedback", data, id=id, subject=id, key=learner, time=_midnight(window.day))


def employer_on(state: State, day: date) -> str | None:
    """The enterprise at which a learner works on a day, as far as is known.

    Who says "employed" without saying where is still where it was known last; any other status ends that.
    """
    ends = facts.facts(state, "employment.ended")
    said = [
        fact
        for slot, fact in facts.facts(state, "employment.recorded").items()
        if fact["time"][:10] <= day.isoformat()
        and not (slot in ends and ends[slot]["data"]["ended_on"] < day.isoformat())
    ]
    for fact in sorted(said, key=facts.age, reverse=True):
        if fact["data"]["status"] != "employed":
            return None
        if enterprise := fact["data"].get("enterprise"):
            return str(enterprise)
    return None


def ask_graduate(learner: str, state: State, secret: RequestKey) -> list[Event[Data]]:
    """The requests that follow from a learner's windows: to the graduate, and to the employer that was known."""
    said, graduated = facts.facts(state, "feedback.requested"), facts.facts(state, "learner.graduated")
    cancelled = facts.facts(state, "feedback.cancelled")
    wanted = []
    for slot, fact in sorted(facts.facts(state, "followup.opened").items()):
        if fact["data"]["programme"] not in graduated:
            continue
        asked = [(FeedbackRole.graduate, learner), (FeedbackRole.enterprise, fact["data"].get("enterprise"))]
        for role, respondent in asked:
            request = request_id(learner, slot, role, secret.key)
            ended = cancelled.get(request)
            if respondent and (request not in said or is_withdrawn(said[request], ended)):
                wanted.append(_request(request, learner, respondent, role, fact, ended))
    return wanted


def _request(  # noqa: PLR0913, PLR0917
    request: str, learner: str, respondent: str, role: FeedbackRole, opened: Fact, ended: Fact | None
) -> Event[Data]:
    """The request; after a withdrawal that turned out wrong it is raised again just then, and due later."""
    about, at = opened["data"], datetime.fromisoformat(opened["time"])
    due, again = date.fromisoformat(about["due"]), list[str]()
    if ended is not None:
        at = datetime.fromisoformat(ended["time"]) + timedelta(microseconds=1)
        due, again = max(due, at.date() + TO_ANSWER), [ended["time"]]
    data = FeedbackRequested(
        role=role,
        respondent=respondent,
        learner=learner,
        institution=about["institution"],
        enterprise=respondent if role is FeedbackRole.enterprise else None,
        programme=about["programme"],
        due=due,
        months=about["months"],
    )
    id = derived_id("feedback.requested", request, *again)
    return derive("feedback", data, id=id, subject=request, key=request, time=at)


class Step(NamedTuple):
    """What becomes due of a request that is not answered: a reminder, by its number from 1, or (0) its end."""

    day: date
    number: int


def _steps(state: State) -> Iterator[Step]:
    """What is still to come, or overdue, of an open request, the earliest first."""
    requested = facts.last(state, "feedback.requested")
    if requested is None or not is_open(state):
        return
    due = date.fromisoformat(requested["data"]["due"])
    reminded = facts.facts(state, "feedback.reminded").values()
    said = max((fact["data"]["number"] for fact in reminded if fact["time"] > requested["time"]), default=0)
    for number, days in enumerate(REMINDERS, 1):
        if number > said:
            yield Step(due - timedelta(days=days), number)
    yield Step(due + timedelta(days=1), 0)


def step_next(state: State) -> str | None:
    """The day on which a request is to be looked at again, as text."""
    step = next(_steps(state), None)
    return step.day.isoformat() if step else None


def remind(request: str, state: State, today: date) -> list[Event[Data]]:
    """The reminder that is due, of several the last one, or the end of a request."""
    reached = [step for step in _steps(state) if step.day <= today]
    if not reached:
        return []
    asked, step = facts.facts(state, "feedback.requested")[request], reached[-1]
    about = {name: asked["data"][name] for name in ("role", "respondent", "learner", "programme")}
    data: Data
    if step.number:
        data = FeedbackReminded(**about, number=step.number, due=date.fromisoformat(asked["data"]["due"]))
    else:
        data = FeedbackExpired(**about)
    id = derived_id(data.short_type, request, asked["id"], str(step.number))
    # Never before the request: one that was raised late would else be over and over again.
    at = max(_midnight(step.day), datetime.fromisoformat(asked["time"]) + timedelta(microseconds=1))
    said = derive("feedback", data, id=id, subject=request, key=request, time=at)
    return [said] if facts.apply(state, said) is not state else []


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
