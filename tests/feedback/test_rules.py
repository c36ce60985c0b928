"""Requests, answers, ratings and gaps, decided by functions alone."""

from collections import Counter as Tally
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.feedback.gaps import (
    DemandToday,
    Finding,
    Gap,
    Programme,
    ReportedDemand,
    Rules,
    by_ratings,
    falls,
    gaps,
    lapsed,
    recommend,
    unmet,
    window_of,
    wishes,
)
from services.feedback.market import History, Of
from services.feedback.requests import answers, ask, contributions, forget, recommendations, view
from shared.contract.events import (
    Data,
    Event,
    FeedbackCancelled,
    FeedbackErased,
    FeedbackRequested,
    FeedbackRole,
    FeedbackSubmitted,
    GapGround,
    InternshipAnnulled,
    InternshipCancelled,
    InternshipCompleted,
    InternshipOutcome,
    LearnerErased,
    ProgrammeCompetency,
    ProgrammePublished,
    ProgrammeRevised,
    ProgrammeRevisionDeclined,
)
from shared.contract.skills import skill_id
from shared.http.auth import RequestKey
from shared.processing import facts
from shared.processing.facts import State
from shared.processing.mongo import Key
from tests.making import NOON, after, event

RULES = Rules()
COMPLETED = InternshipCompleted(
    enterprise="plant", programme="welding", hours=120, competencies=["greencomp:3.1"], outcome=InternshipOutcome.passed
)
REQUEST = Key("requests", "r1")
SECRET = RequestKey(b"key", "")


def taken_in(*events: Event[Data]) -> State:
    return after(facts.empty(), *events)


def asked(role: FeedbackRole = FeedbackRole.enterprise) -> Event[Data]:
    data = FeedbackRequested(
        role=role,
        respondent="plant" if role is FeedbackRole.enterprise else "l1",
        learner="l1",
        internship="i1",
        enterprise="plant",
        programme="welding",
        due=date(2026, 3, 16),
    )
    return event(data, "r1", by="service:feedback", id="asked")


def submitted(id: str, overall: int, minutes: int = 0, by: str = "enterprise:plant", **more: object) -> Event[Data]:
    given = {"request": "r1", "role": "enterprise", "overall": overall, "competencies": {"greencomp:3.1": overall}}
    data = FeedbackSubmitted.model_validate(given | more)
    key = data.request or id
    return event(data, id, key, by=by, id=id, time=NOON + timedelta(minutes=minutes))


def test_a_completed_internship_asks_the_enterprise_and_the_learner_once():
    state = taken_in(event(COMPLETED, "i1", "l1", id="c1"))
    raised = ask("l1", state, SECRET)
    assert {(e.data.role, e.data.respondent) for e in raised} == {("enterprise", "plant"), ("learner", "l1")}
    assert all(e.data.due == date(2026, 3, 16) and e.time == NOON for e in raised)
    for one in raised:
        state = facts.apply(state, one)
    assert ask("l1", state, SECRET) == []


def test_a_request_is_due_14_days_after_the_completion_was_told_if_that_was_later():
    told = facts.from_event(event(COMPLETED, "i1", "l1", id="c1"))
    told.fact["logged"] = "2026-05-20T08:00:00.000000+00:00"
    assert {e.data.due for e in ask("l1", facts.apply(facts.empty(), told), SECRET)} == {date(2026, 6, 3)}
    told.fact["logged"] = "2026-03-01T08:00:00.000000+00:00"
    assert {e.data.due for e in ask("l1", facts.apply(facts.empty(), told), SECRET)} == {date(2026, 3, 16)}


def followed(state: State, *told: Event[Data]) -> tuple[State, list[str]]:
    """The state after *told*, with what was concluded after each, and the short types of that."""
    types: list[str] = []
    for one in told:
        state = after(state, one)
        while follows := ask("l1", state, SECRET):
            types += [one.data.short_type for one in follows]
            state = after(state, *follows)
    return state, types


CANCELLED = event(
    InternshipCancelled(enterprise="plant", programme="welding", reason="broken off"),
    "i1",
    "l1",
    id="x1",
    time=NOON + timedelta(days=1),
)


def test_an_internship_cancelled_after_its_completion_withdraws_its_requests_and_ratings():
    _, types = followed(facts.empty(), event(COMPLETED, "i1", "l1", id="c1"), CANCELLED)
    assert types == ["feedback.requested"] * 2 + ["feedback.cancelled"] * 2
    data = FeedbackCancelled(role="enterprise", respondent="plant", learner="l1", programme="welding")
    withdrawn = event(data, "r1", by="service:feedback", time=NOON + timedelta(days=1))
    state = taken_in(asked(), submitted("s1", 5), withdrawn)
    assert contributions(REQUEST, state) == {}
    assert view(REQUEST, state)["status"] == "withdrawn"


def test_a_completion_that_is_annulled_withdraws_its_requests_and_a_new_one_raises_them_again():
    completed = event(COMPLETED, "i1", "l1", id="c1")
    annulled = event(InternshipAnnulled(event="c1", reason="goes on"), "i1", "l1", time=NOON + timedelta(days=2))
    again = event(COMPLETED, "i1", "l1", id="c2", time=NOON + timedelta(days=30))
    state, types = followed(facts.empty(), completed, annulled)
    assert types == ["feedback.requested"] * 2 + ["feedback.cancelled"] * 2
    _, types = followed(state, again)
    assert types == ["feedback.requested"] * 2


def test_a_cancellation_that_is_annulled_raises_the_requests_again():
    annulled = event(InternshipAnnulled(event="x1", reason="it took place"), "i1", "l1", time=NOON + timedelta(days=2))
    state, types = followed(facts.empty(), event(COMPLETED, "i1", "l1", id="c1"), CANCELLED, annulled)
    assert types[4:] == ["feedback.requested"] * 2
    assert ask("l1", state, SECRET) == []


def test_ratings_in_which_an_enterprise_has_a_part_are_told_by_who_gave_them():
    by_learner = submitted("s4", 1, by="institution:uni", role="learner")
    of_learner = contributions(REQUEST, taken_in(asked(FeedbackRole.learner), by_learner))
    of_plant = contributions(REQUEST, taken_in(asked(), submitted("s1", 5)))
    assert ("enterprise", "plant", "2026-03", "learner_1") in of_learner
    assert ("enterprise", "plant", "2026-03", "enterprise_5") in of_plant


def test_a_repeated_decision_is_a_duplicate_to_the_byte():
    state = taken_in(event(COMPLETED, "i1", "l1", id="c1"))
    assert [e.model_dump_json() for e in ask("l1", state, SECRET)] == [
        e.model_dump_json() for e in ask("l1", state, SECRET)
    ]


def test_an_erased_learner_is_not_asked_and_the_requests_are_forgotten():
    state = taken_in(event(COMPLETED, "i1", "l1"), event(LearnerErased(), "l1"))
    assert ask("l1", state, SECRET) == []
    (erased,) = forget("r1", taken_in(asked()), frozenset({"l1"}))
    assert isinstance(erased.data, FeedbackErased)
    assert forget("r1", taken_in(asked(), erased), frozenset({"l1"})) == []
    assert contributions(REQUEST, taken_in(submitted("s1", 5), asked(), erased)) == {}


def test_the_newest_submission_counts_and_counts_once():
    state = taken_in(asked(), submitted("s1", 1), submitted("s2", 5, 1))
    counts = {measure: n for (kind, _, _, measure), n in contributions(REQUEST, state).items() if kind == "programme"}
    assert counts == {"overall_5": 1, "enterprise_5": 1}
    assert view(REQUEST, state)["status"] == "answered"


def test_only_who_was_asked_can_answer():
    for stranger in (
        submitted("s1", 5, by="enterprise:other"),
        submitted("s2", 5, by="institution:uni"),
        submitted("s3", 5, role="learner"),
    ):
        assert answers(taken_in(asked(), stranger)) == []
    by_learner = submitted("s4", 5, by="institution:uni", role="learner")
    assert len(answers(taken_in(asked(FeedbackRole.learner), by_learner))) == 1


def test_another_organisations_submission_of_the_same_number_takes_nothing_away():
    state = taken_in(asked(), submitted("s1", 5), submitted("s1", 1, 9, by="enterprise:other"))
    assert [fact["data"]["overall"] for fact in answers(state)] == [5]


def test_an_answer_to_a_request_that_is_not_known_yet_waits_for_it():
    assert answers(taken_in(submitted("s1", 5))) == []
    assert len(answers(taken_in(submitted("s1", 5), asked()))) == 1


def test_feedback_that_nobody_asked_for_counts_each():
    state = taken_in(submitted("s1", 4, request=None, programme="welding"))
    assert sum(contributions(Key("requests", "s1"), state).values()) == 3


def test_an_institution_does_not_speak_as_an_enterprise_nor_the_reverse():
    for role, by in (("enterprise", "institution:uni"), ("graduate", "enterprise:plant")):
        assert answers(taken_in(submitted("s1", 4, request=None, role=role, by=by))) == []


EVENTS = [asked(), submitted("s1", 1), submitted("s1", 2), submitted("s2", 5, 1), submitted("s3", 4, 2, "enterprise:x")]


@given(st.lists(st.sampled_from(EVENTS), max_size=10).flatmap(lambda extra: st.permutations([*EVENTS, *extra])))
def test_any_order_and_repetition_gives_the_same_counts(events: list[Event[Data]]):
    assert contributions(REQUEST, taken_in(*events)) == contributions(REQUEST, taken_in(*EVENTS))


def programme(*events: Event[Data], competency: str = "greencomp:3.1") -> State:
    taught = [ProgrammeCompetency(competency=competency, level=5)]
    data = ProgrammePublished(
        title="Welding", version="1", level=4, competencies=taught, hours_theory=100, hours_workplace=200
    )
    return taken_in(event(data, "welding"), *events)


def gap(ratings: int, satisfied: int, competency: str = "greencomp:3.1") -> Gap:
    return Gap("welding", competency, "2026Q1", ratings, satisfied)


def test_fewer_than_sixty_percent_of_five_ratings_recommend_a_revision():
    (event_,) = recommend(programme(), by_ratings([gap(5, 2)], RULES), NOON, RULES)
    assert (event_.data.window, event_.data.ratings, event_.data.satisfied) == ("2026Q1", 5, 2)
    assert event_.partitionkey == event_.subject == "welding"


def test_sixty_percent_or_four_ratings_or_a_foreign_competency_recommend_nothing():
    for known in (gap(5, 3), gap(10, 6), gap(4, 0), gap(9, 0, "greencomp:1.1")):
        assert recommend(programme(), by_ratings([known], RULES), NOON, RULES) == []
    assert recommend(facts.empty(), by_ratings([gap(5, 0)], RULES), NOON, RULES) == []


def test_a_revision_is_recommended_once_per_window_whatever_comes_after():
    (first,) = recommend(programme(), by_ratings([gap(5, 2)], RULES), NOON, RULES)
    assert recommend(programme(first), by_ratings([gap(9, 0)], RULES), NOON + timedelta(days=1), RULES) == []
    other = Gap("welding", "greencomp:3.1", "2026Q2", 5, 0)
    assert len(recommend(programme(first), by_ratings([other], RULES), NOON, RULES)) == 1


def test_a_recommendation_shows_its_newest_answer():
    (recommended,) = recommend(programme(), by_ratings([gap(5, 2)], RULES), NOON, RULES)
    id = recommended.data.recommendation
    declined = event(ProgrammeRevisionDeclined(recommendation=id, reason="costs"), "welding", time=NOON)
    revised = event(ProgrammeRevised(recommendation=id, version="2"), "welding", time=NOON + timedelta(days=3))
    (shown,) = recommendations(programme(recommended, revised, declined))
    assert (shown["status"], shown["answer"]) == ("revised", {"version": "2"})


def test_another_institutions_answer_to_a_recommendation_is_none():
    (recommended,) = recommend(programme(), by_ratings([gap(5, 2)], RULES), NOON, RULES)
    id = recommended.data.recommendation
    revised = event(ProgrammeRevised(recommendation=id, version="2"), "welding")
    foreign = event(
        ProgrammeRevised(recommendation=id, version="9"), "welding", by="institution:x", time=NOON + timedelta(days=9)
    )
    (shown,) = recommendations(programme(recommended, revised, foreign))
    assert shown["answer"] == {"version": "2"}


def test_many_internships_of_one_learner_are_asked_about_once_each():
    state, raised = facts.empty(), 0
    for number in range(200):
        state = facts.apply(state, event(COMPLETED, f"i{number}", "l1"))
        for one in ask("l1", state, SECRET):
            state, raised = facts.apply(state, one), raised + 1
    assert raised == 400


@given(st.integers(2000, 2100))
def test_a_quarter_has_three_months(year: int):
    months = Tally(window_of(f"{year}-{month:02}") for month in range(1, 13))
    assert months == {f"{year}Q{quarter}": 3 for quarter in range(1, 5)}


def test_ratings_of_a_quarter_are_summed_over_its_months():
    sums = {
        ("welding greencomp:3.1", "2026-01"): {"rating_4": 2, "rating_1": 1},
        ("welding greencomp:3.1", "2026-03"): {"rating_5": 1, "rating_3": 1},
    }
    assert gaps(sums) == [gap(5, 3)]


# gaps of other kinds


def low(competency: str, *employers: str, month: str = "2026-02") -> dict[tuple[str, ...], dict[str, int]]:
    return {(f"welding {competency} {employer}", month): {"ratings": 2} for employer in employers}


def test_three_employers_who_rate_low_what_a_programme_does_not_name_wish_for_it():
    (finding,) = wishes(low("greencomp:1.1", "plant", "mill", "works") | low("greencomp:1.2", "plant", "mill"), RULES)
    (found,) = recommend(programme(), [finding], NOON, RULES)
    assert (found.data.competency, found.data.ground, found.data.employers) == ("greencomp:1.1", "wishes", 3)
    assert recommend(programme(found), [finding], NOON + timedelta(days=1), RULES) == []
    (shown,) = recommendations(programme(found))
    assert (shown["ground"], shown["status"], shown["employers"]) == ("wishes", "open", 3)


def test_employers_of_two_quarters_or_of_what_is_taught_already_wish_for_nothing():
    apart = low("greencomp:1.1", "plant", "mill") | low("greencomp:1.1", "works", month="2026-04")
    assert wishes(apart, RULES) == []
    taught = wishes(low("greencomp:3.1", "plant", "mill", "works"), RULES)
    assert recommend(programme(), taught, NOON, RULES) == []


def test_a_hosts_low_rating_is_counted_by_who_gave_it():
    state = taken_in(asked(), submitted("s1", 3))
    assert contributions(REQUEST, state)["wish", "welding greencomp:3.1 plant", "2026-03", "ratings"] == 1
    assert not any(kind == "wish" for kind, *_ in contributions(REQUEST, taken_in(asked(), submitted("s1", 4))))


GREEN = {"greencomp:3.1"}


def test_a_sustainability_competency_falls_if_the_intervals_of_two_quarters_lie_apart():
    before = gap(100, 95)
    # by Wilson 0.888 to 0.978, 0.671 to 0.833 and 0.762 to 0.900
    for satisfied, found in ((76, 1), (84, 0)):
        later = before._replace(window="2026Q3", ratings=100, satisfied=satisfied)
        assert len(falls([later, before], GREEN, RULES)) == found
    (finding,) = falls([before, before._replace(window="2026Q3", satisfied=76)], GREEN, RULES)
    (event_,) = recommend(programme(), [finding], NOON, RULES)
    assert (event_.data.ground, event_.data.satisfied, event_.data.satisfied_before) == ("fall", 76, 95)


def test_a_fall_is_of_sustainability_only_and_not_of_what_its_ratings_show_already():
    before, after_ = gap(100, 95), gap(100, 40)._replace(window="2026Q2")
    assert falls([before, after_], GREEN, RULES) == []
    assert len(by_ratings([before, after_], RULES)) == 1
    welding = [one._replace(competency="welding:tig", satisfied=n) for one, n in ((before, 95), (after_, 70))]
    assert falls(welding, GREEN, RULES) == []
    assert len(falls(welding, {"welding:tig"}, RULES)) == 1, "what counts is data of the frameworks"


WELDING = Programme("welding", "east", frozenset({"welding:tig"}), frozenset({"plant"}))
TIG_IN_EAST = ("welding:tig", "east")


def demanded(
    *reports: ReportedDemand,
    certified: Iterable[Of] = (),
    reported_until: str | None = None,
    vacancies: Iterable[tuple[int, int | None]] = (),
) -> DemandToday:
    """What is demanded in east on NOON's day; vacancies for TIG by how many days ago they opened and closed."""
    history, today = History({skill_id("TIG"): "welding:tig"}), NOON.date()
    for opened, closed in vacancies:
        since, closed_on = (None if n is None else (today - timedelta(days=n)).isoformat() for n in (opened, closed))
        history.add(
            {
                **{"region": "east", "skills": ["TIG"], "since": since, "observed_at": f"{since}T09:00:00+00:00"},
                **{"open": closed is None, "closed_on": closed_on},
            }
        )
    return DemandToday(
        [*reports], {TIG_IN_EAST: reported_until} if reported_until else {}, history, {*certified}, today
    )


def test_demand_is_a_gap_where_it_could_be_met_and_nobody_of_the_region_certifies():
    def found(demand: ReportedDemand, *certified: tuple[str, str]) -> list[Finding]:
        return unmet([WELDING], demanded(demand, certified={*certified}), RULES)

    taught = ReportedDemand("welding:tig", "east", "mill", 4)
    (finding,) = found(taught)
    assert (finding.ground, finding.evidence) == (GapGround.demand, {"places": 4})
    assert found(taught, ("welding:tig", "east")) == []
    assert len(found(taught, ("welding:tig", "west"))) == 1
    assert found(taught._replace(region="west")) == []
    # Not taught: only from who trains its learners.
    assert found(ReportedDemand("welding:laser", "east", "mill", 4)) == []
    assert len(found(ReportedDemand("welding:laser", "west", "plant", 4))) == 1
    assert len(recommend(programme(), found(ReportedDemand("welding:laser", "west", "plant", 4)), NOON, RULES)) == 1


def test_places_of_several_reports_are_one_gap():
    reports = [ReportedDemand("welding:tig", "east", "mill", 4), ReportedDemand("welding:tig", "east", "plant", 3)]
    (finding,) = unmet([WELDING], demanded(*reports), RULES)
    assert finding.evidence == {"places": 7}


def test_open_vacancies_are_a_demand_from_as_many_on_as_the_operator_says():
    five = [(10, None)] * 5
    (finding,) = unmet([WELDING], demanded(vacancies=[*five, (30, 2)]), RULES)
    assert (finding.ground, finding.evidence) == (GapGround.demand, {"vacancies": 5})
    assert unmet([WELDING], demanded(vacancies=five[1:]), RULES) == []
    assert len(unmet([WELDING], demanded(vacancies=five[1:]), RULES._replace(least_vacancies=4))) == 1
    assert unmet([WELDING], demanded(vacancies=five, certified={TIG_IN_EAST}), RULES) == []
    both = demanded(ReportedDemand("welding:tig", "east", "mill", 4), vacancies=five)
    assert [finding.evidence for finding in unmet([WELDING], both, RULES)] == [{"places": 4, "vacancies": 5}]
    taught = programme(competency="welding:tig")
    (event_,) = recommend(taught, unmet([WELDING], both, RULES), NOON, RULES)
    assert (event_.data.places, event_.data.vacancies) == (4, 5)


def test_what_is_certified_and_not_demanded_for_a_year_is_named_once_a_quarter():
    def found(vacancies: list[tuple[int, int | None]], **more: Any) -> list[Finding]:
        return lapsed([WELDING], demanded(vacancies=vacancies, **{"certified": [TIG_IN_EAST], **more}), RULES)

    (finding,) = found([(500, 400), (700, 365)])
    assert finding.evidence == {"demanded_until": "2025-03-02", "observed_since": "2024-04-01"}
    assert finding.evidence["demanded_until"] == (NOON.date() - timedelta(days=365)).isoformat()
    assert found([(500, 400), (700, 364)]) == []  # not for a year yet
    assert found([(500, 400), (1, None)]) == []  # there is one
    assert found([(300, 280)]) == []  # nothing is known of a year ago
    assert found([(500, 400)], certified=[]) == []
    assert found([(500, 400)], reported_until="2025-03-03") == []
    assert len(found([(500, 400)], reported_until="2025-03-02")) == 1
    unmapped = demanded(vacancies=[(500, 400)], certified=[("welding:laser", "east")])
    laser = WELDING._replace(competencies=frozenset({"welding:laser"}))
    assert lapsed([laser], unmapped, RULES) == [], "no skill is mapped to it: nobody knows"
    taught = programme(competency="welding:tig")
    (event_,) = recommend(taught, [finding], NOON, RULES)
    assert recommend(after(taught, event_), [finding], NOON + timedelta(days=9), RULES) == []
    (shown,) = recommendations(after(taught, event_))
    assert (shown["ground"], shown["demanded_until"], shown["status"]) == ("lapsed", "2025-03-02", "open")


def test_what_was_published_long_ago_and_seen_only_now_does_not_tell_of_the_time_between():
    history = History({skill_id("TIG"): "welding:tig", skill_id("Arc"): "welding:arc"})
    old = {"region": "east", "skills": ["Arc"], "since": "2024-01-01", "open": True, "closed_on": None}
    history.add({**old, "observed_at": f"{NOON.date()}T09:00:00+00:00"})
    first = DemandToday([], {}, history, {TIG_IN_EAST}, NOON.date())
    assert lapsed([WELDING], first, RULES) == []
    assert history.on(("welding:arc", "east"), "2025-03-02") is None
    assert history.on(("welding:arc", "east"), NOON.date().isoformat()) == 1


STORY = st.lists(st.tuples(st.integers(0, 60), st.none() | st.integers(0, 60)), max_size=8)


@given(STORY, st.integers(0, 60), st.randoms())
def test_the_history_of_demand_is_a_count_of_vacancies_by_day(
    story: list[tuple[int, int | None]], ago: int, chance: Any
):
    ends = [(opened, None if closed is None else min(opened, closed)) for opened, closed in story]
    shuffled = chance.sample(ends, len(ends))
    history, day = demanded(vacancies=shuffled).history, (NOON.date() - timedelta(days=ago)).isoformat()
    there = sum(opened >= ago and (closed is None or closed < ago) for opened, closed in ends)
    known = bool(ends) and max(opened for opened, _ in ends) >= ago
    assert history.on(TIG_IN_EAST, day) == (there if known else None)
    assert history.open[TIG_IN_EAST] == sum(closed is None for _, closed in ends)
