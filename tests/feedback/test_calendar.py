"""Who is asked after graduation, reminded, and no longer asked: by the facts and the day alone."""

from datetime import UTC, date, datetime, time, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.feedback import calendar
from services.feedback.requests import answers, ask, view
from shared.contract.events import (
    Basis,
    Data,
    EmploymentEnded,
    EmploymentRecorded,
    EmploymentStatus,
    Event,
    FeedbackRole,
    FeedbackSubmitted,
    InternshipAnnulled,
    InternshipCancelled,
    InternshipCompleted,
    InternshipOutcome,
    LearnerAnnulled,
    LearnerEnrolled,
    LearnerErased,
    LearnerGraduated,
    Publisher,
    key_of,
)
from shared.http.auth import RequestKey
from shared.processing import facts
from shared.processing.employment import months_later
from shared.processing.facts import State
from shared.processing.mongo import Key
from tests.making import after, event, examples

SECRET = RequestKey(b"key", "")
GRADUATED = date(2026, 3, 2)
OPENED = [date(2026, 9, 2), date(2027, 3, 2), date(2027, 9, 2), date(2028, 9, 2)]


def at(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)


def told(on: date = GRADUATED, id: str = "g") -> Event[Data]:
    return event(LearnerGraduated(programme="welding", graduated_on=on), "l1", id=id)


def works_at(enterprise: str, since: date = GRADUATED, id: str = "job") -> Event[Data]:
    data = EmploymentRecorded(status=EmploymentStatus.employed, enterprise=enterprise)
    return event(data, id, "l1", by=f"enterprise:{enterprise}", id=id, time=at(since))


def learner(*events: Event[Data]) -> State:
    return after(facts.empty(), event(LearnerEnrolled(programme="welding"), "l1", id="e"), *events)


def tick(state: State, day: date) -> tuple[State, list[Event[Data]]]:
    """What a worker does with a learner's state on a day: react until there is nothing more to say."""
    said: list[Event[Data]] = []
    while events := [
        *ask("l1", state, SECRET),
        *calendar.ask_graduate("l1", state, SECRET),
        *calendar.open_windows("l1", state, day),
    ]:
        said += events
        state = after(state, *events)
    return state, said


def requests(events: list[Event[Data]]) -> list[tuple[int, str, str, date]]:
    return [
        (event.data.months, event.data.role, event.data.respondent, event.data.due)  # type: ignore[attr-defined]
        for event in events
        if event.data.short_type == "feedback.requested"
    ]


def test_a_graduate_is_asked_after_6_12_18_and_30_months_on_the_day():
    state = learner(told())
    for months, day in zip((6, 12, 18, 30), OPENED, strict=True):
        assert calendar.opens_next(state) == day.isoformat()
        state, said = tick(state, day - timedelta(days=1))
        assert said == []
        state, said = tick(state, day)
        assert requests(said) == [(months, "graduate", "l1", day + timedelta(days=30))]
    assert calendar.opens_next(state) is None


def test_months_end_where_the_month_does():
    assert months_later(date(2026, 8, 31), 6) == date(2027, 2, 28)
    assert months_later(date(2027, 8, 31), 6) == date(2028, 2, 29)
    assert months_later(date(2026, 12, 1), 12) == date(2027, 12, 1)


def test_graduates_of_long_ago_are_asked_from_the_next_window_on():
    state = learner(told(date(2024, 12, 1)))  # told on 2 March 2026: 6 and 12 months are over
    assert [(window.months, window.day) for window in calendar.windows(state)] == [
        (18, date(2026, 6, 1)),
        (30, date(2027, 6, 1)),
    ]
    assert calendar.windows(learner(told(date(2012, 6, 1)))) == []


def test_after_a_month_of_downtime_everybody_has_as_long_to_answer_and_only_the_last_window_opens():
    late = OPENED[1] + timedelta(days=31)
    state, said = tick(learner(told()), late)
    assert requests(said) == [(12, "graduate", "l1", late + timedelta(days=30))]
    assert (calendar.opens_next(state), tick(state, late + timedelta(days=1))[1]) == (OPENED[2].isoformat(), [])


def test_the_employer_is_asked_where_one_is_known():
    left = event(EmploymentEnded(ended_on=OPENED[0]), "job", "l1", by="enterprise:plant", id="left", time=at(OPENED[0]))
    state, said = tick(learner(told(), works_at("plant"), left), OPENED[0])
    assert {(role, who) for _, role, who, _ in requests(said)} == {("graduate", "l1"), ("enterprise", "plant")}
    state, said = tick(after(state, works_at("mill", OPENED[1], "second")), OPENED[1])
    assert {(role, who) for _, role, who, _ in requests(said)} == {("graduate", "l1"), ("enterprise", "mill")}
    assert {role for _, role, _, _ in requests(tick(learner(told(), works_at("plant"), left), OPENED[1])[1])} == {
        "graduate"
    }


def test_a_graduate_who_says_no_more_than_employed_is_where_it_was_known():
    survey = EmploymentRecorded(status=EmploymentStatus.employed, basis=Basis.survey)
    later = event(survey, "own", "l1", id="own", time=at(OPENED[0]))
    assert calendar.employer_on(learner(works_at("plant"), later), OPENED[1]) == "plant"
    seeking = event(EmploymentRecorded(status=EmploymentStatus.seeking), "own", "l1", id="s", time=at(OPENED[0]))
    assert calendar.employer_on(learner(works_at("plant"), seeking), OPENED[1]) is None


def test_a_graduation_that_is_entered_again_asks_again():
    state, asked = tick(learner(told()), OPENED[0])
    wrong = event(LearnerAnnulled(event="g", reason="x"), "l1", id="a", time=at(OPENED[0]))
    state, _ = tick(after(state, wrong), OPENED[0])
    again = event(LearnerGraduated(programme="welding", graduated_on=GRADUATED), "l1", id="g2", time=at(OPENED[0]))
    state, said = tick(after(state, again), OPENED[0])
    (raised,) = [each for each in said if each.data.short_type == "feedback.requested"]
    assert (raised.subject, raised.id != asked[-1].id) == (asked[-1].subject, True)
    assert tick(state, OPENED[0])[1] == []


def test_an_internship_that_took_place_after_all_is_due_later_and_ends_once():
    done = InternshipCompleted(
        enterprise="plant", programme="welding", hours=80, outcome=InternshipOutcome.passed, competencies=[]
    )
    gone = InternshipCancelled(enterprise="plant", programme="welding", reason="x")
    january, march, april = at(date(2026, 1, 10)), at(date(2026, 3, 1)), at(date(2026, 4, 1))
    state, asked = tick(learner(event(done, "i", "l1", by="enterprise:plant", id="c", time=january)), GRADUATED)
    state, off = tick(after(state, event(gone, "i", "l1", by="enterprise:plant", id="x", time=march)), GRADUATED)
    wrong = InternshipAnnulled(event="x", reason="it took place")
    state, more = tick(after(state, event(wrong, "i", "l1", by="enterprise:plant", id="a", time=april)), GRADUATED)
    raised = next(each for each in more if each.data.short_type == "feedback.requested")
    assert raised.data.due >= date(2026, 3, 15)  # type: ignore[attr-defined]
    said = [each for each in (*asked, *off, *more) if each.subject == raised.subject]
    one, ends = after(facts.empty(), *said), 0
    for _ in range(3):
        events = calendar.remind(raised.subject, one, date(2026, 6, 1))
        one, ends = after(one, *events), ends + len(events)
    assert (ends, calendar.step_next(one)) == (1, None)


def test_nobody_is_asked_about_an_erased_learner_or_a_graduation_that_was_taken_back():
    erased = after(learner(told()), event(LearnerErased(), "l1", id="gone"))
    assert (calendar.opens_next(erased), tick(erased, OPENED[0])[1]) == (None, [])
    state, asked = tick(learner(told()), OPENED[0])
    state = after(state, event(LearnerAnnulled(event="g", reason="another learner"), "l1", id="a", time=at(OPENED[0])))
    state, said = tick(state, OPENED[1])
    assert [(e.subject, e.data.short_type) for e in said] == [(asked[-1].subject, "feedback.cancelled")]
    assert tick(state, OPENED[2])[1] == []


def request() -> State:
    """A graduate's request, raised six months after the graduation."""
    return after(facts.empty(), tick(learner(told()), OPENED[0])[1][-1])


def on(day: date, state: State) -> tuple[State, list[tuple[str, int | None]]]:
    """What is said of a request on a day."""
    subject = next(iter(facts.facts(state, "feedback.requested")))
    events = calendar.remind(subject, state, day)
    return after(state, *events), [(e.data.short_type, getattr(e.data, "number", None)) for e in events]


DUE = OPENED[0] + timedelta(days=30)


def test_who_does_not_answer_is_reminded_twice_and_then_left_alone():
    state, said = request(), []
    for days in range(-30, 10):
        day = DUE + timedelta(days=days)
        state, new = on(day, state)
        said += [(days, *each) for each in new]
    assert said == [(-7, "feedback.reminded", 1), (-2, "feedback.reminded", 2), (1, "feedback.expired", None)]
    assert calendar.step_next(state) is None
    assert view(Key("requests", "r"), state)["status"] == "expired"


def test_of_reminders_that_were_missed_only_the_last_one_is_sent():
    state, said = on(DUE - timedelta(days=1), request())
    assert said == [("feedback.reminded", 2)]
    assert on(DUE, state)[1] == []
    assert on(DUE + timedelta(days=40), request())[1] == [("feedback.expired", None)]


def by_link(state: State, day: date, overall: int = 4) -> State:
    """An answer by a one-time link: the feedback service says it in the institution's name."""
    subject = next(iter(facts.facts(state, "feedback.requested")))
    data = FeedbackSubmitted(request=subject, role=FeedbackRole.graduate, overall=overall)
    made = event(data, subject, subject, id=f"s{day}", time=at(day))
    assert key_of(made) == subject
    return after(state, made.model_copy(update={"sourcekind": Publisher.service}))


def test_who_has_answered_is_not_reminded_and_a_late_answer_counts():
    state = by_link(request(), OPENED[0])
    assert (calendar.step_next(state), on(DUE + timedelta(days=1), state)[1]) == (None, [])
    state, _ = on(DUE + timedelta(days=1), request())
    late = by_link(state, DUE + timedelta(days=5))
    assert (view(Key("requests", "r"), late)["status"], len(answers(late))) == ("answered", 1)


@settings(max_examples=examples(300), deadline=None)
@given(st.data())
def test_in_whatever_order_and_however_often_each_is_asked_once_per_window(data: st.DataObject):
    """Ticks on any days, events between them, again, and with requests forgotten as after a rebuild."""
    events = [told(), works_at("plant"), works_at("mill", OPENED[1], "second")]
    days = data.draw(st.lists(st.integers(0, 1_100), min_size=1, max_size=8).map(sorted))
    state, said = learner(), list[Event[Data]]()
    for day in days:
        for each in data.draw(st.lists(st.sampled_from(events), max_size=3)):
            state = after(state, each)
        if data.draw(st.booleans()):  # rebuilt from the log: what the learner's own topic has
            own = [e for e in said if e.topic == "learner"]
            state = after(learner(*(e for e in events if e.id in _held(state))), *own)
        state, new = tick(state, GRADUATED + timedelta(days=day))
        said += new
    ids = {event.id: event for event in said}
    assert all(ids[event.id] == event for event in said), "what is said again is the same"
    asked = requests(list(ids.values()))
    assert len({(months, role) for months, role, _, _ in asked}) == len(asked)
    if told().id in _held(state):
        last = GRADUATED + timedelta(days=days[-1])
        reached = [m for m, d in zip((6, 12, 18, 30), OPENED, strict=True) if d <= last]
        assert not reached or reached[-1] in {months for months, *_ in asked}


def _held(state: State) -> set[str]:
    return {fact["id"] for slots in state["facts"].values() for fact in slots.values()}
