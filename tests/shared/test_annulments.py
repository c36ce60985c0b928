"""What is taken back counts nowhere, whatever the order in which a mistake and its annulment arrive."""

from datetime import UTC, date, datetime
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contract.events import (
    Data,
    DemandAnnulled,
    EmploymentAnnulled,
    EmploymentEnded,
    EmploymentRecorded,
    Event,
    InternshipAnnulled,
    LearnerAnnulled,
    LearnerEnrolled,
    LearnerErased,
    LearnerGraduated,
    LearnerShared,
)
from shared.processing import facts
from shared.processing.annulments import ANNULLED_BY, ANNULMENTS
from shared.processing.facts import State
from tests.making import after, event, examples


def graduated(id: str, on: int, by: str = "institution:uni") -> Event[Data]:
    data = LearnerGraduated(programme="welding", graduated_on=date(2026, 3, on))
    return event(data, "ann", id=id, by=by, time=datetime(2026, 3, on, tzinfo=UTC))


def annulled(id: str, by: str = "institution:uni", organisation: str | None = None) -> Event[Data]:
    data = LearnerAnnulled(event=id, organisation=organisation, reason="a mistake")
    return event(data, "ann", id=f"annulled-{by}-{id}", by=by)


def visible(state: State) -> dict[str, dict[str, str]]:
    """The ids of the facts that count, by type and slot."""
    told = state["facts"].items()
    return {t: {slot: fact["id"] for slot, fact in slots.items()} for t, slots in told if not t.endswith("annulled")}


def test_a_mistake_is_gone_in_any_order_and_the_later_truth_stays() -> None:
    said = [graduated("wrong", 10), annulled("wrong"), graduated("right", 20)]
    for order in permutations(said):
        assert visible(after(facts.empty(), *order)) == {"learner.graduated": {"welding": "right"}}


def test_what_the_mistake_had_replaced_does_not_come_back() -> None:
    for order in permutations([graduated("older", 1), graduated("wrong", 10), annulled("wrong")]):
        assert visible(after(facts.empty(), *order)) == {}


def test_a_mistake_that_was_corrected_leaves_its_correction() -> None:
    for order in permutations([graduated("wrong", 1), graduated("corrected", 10), annulled("wrong")]):
        assert visible(after(facts.empty(), *order)) == {"learner.graduated": {"welding": "corrected"}}


def test_nobody_takes_back_anothers_word_but_the_operator_who_names_it() -> None:
    strangers = [annulled("g", "institution:other"), annulled("g", "institution:other", organisation="uni")]
    state = after(facts.empty(), graduated("g", 10), *strangers)
    assert visible(state) == {"learner.graduated": {"welding": "g"}}
    assert visible(after(state, annulled("g", "operator:operator", organisation="other"))) == visible(state)
    assert visible(after(state, annulled("g", "operator:operator", organisation="uni"))) == {}


def test_the_same_mistake_sent_again_stays_taken_back() -> None:
    state = after(facts.empty(), graduated("wrong", 10), annulled("wrong"))
    assert after(state, graduated("wrong", 10), annulled("wrong")) is state


def test_an_annulled_enrolment_leaves_the_learner_to_others() -> None:
    mine = event(LearnerEnrolled(programme="welding"), "ann", id="mine")
    theirs = event(LearnerEnrolled(programme="law"), "ann", id="theirs", by="institution:other")
    assert visible(after(facts.empty(), mine, theirs)) == {"learner.enrolled": {"welding": "mine"}}
    assert visible(after(facts.empty(), mine, annulled("mine"), theirs)) == {"learner.enrolled": {"law": "theirs"}}


def test_room_is_given_back() -> None:
    before = after(facts.empty(), graduated("kept", 1))
    assert after(before, graduated("g", 10), annulled("g"))["bytes"] < after(before, graduated("g", 10))["bytes"] + 400


def test_an_erasure_cannot_be_taken_back() -> None:
    state = after(
        facts.empty(), event(LearnerEnrolled(programme="welding"), "ann"), event(LearnerErased(), "ann", id="e")
    )
    assert "erased" in after(state, annulled("e"))
    assert LearnerErased not in ANNULLED_BY
    assert not {*ANNULMENTS} & ANNULLED_BY.keys()
    assert ANNULLED_BY[LearnerShared] == "learner.annulled"
    assert InternshipAnnulled in ANNULMENTS
    assert DemandAnnulled in ANNULMENTS


SUBJECTS = {f"{what}{n}": f"job-{n % 2}" for what in ("r", "e") for n in range(4)}
IDS = [f"{what}{n}" for what in ("r", "e") for n in range(4)]


def job(id: str, day: int) -> Event[Data]:
    time = datetime(2026, 3, day, tzinfo=UTC)
    data: Data = EmploymentRecorded(status="employed") if id[0] == "r" else EmploymentEnded(ended_on=date(2026, 3, day))
    return event(data, SUBJECTS[id], "ann", id=id, by="enterprise:plant", time=time)


def taken_back(id: str) -> Event[Data]:
    data = EmploymentAnnulled(event=id, reason="x")
    return event(
        data, SUBJECTS[id], "ann", id=f"annulled-{id}", by="enterprise:plant", time=datetime(2026, 4, 1, tzinfo=UTC)
    )


@settings(max_examples=examples(300), deadline=None)
@given(st.data())
def test_any_order_and_repetition_leaves_the_same(data: st.DataObject) -> None:
    jobs = [job(id, data.draw(st.integers(1, 4))) for id in data.draw(st.sets(st.sampled_from(IDS)))]
    said = [*jobs, *map(taken_back, data.draw(st.sets(st.sampled_from(IDS))))]
    again = data.draw(st.lists(st.sampled_from(said), max_size=6)) if said else []
    once = after(facts.empty(), *said)
    assert visible(after(facts.empty(), *data.draw(st.permutations([*said, *again])))) == visible(once)


@pytest.mark.parametrize("annulment", ANNULMENTS)
def test_every_annulment_takes_back_what_has_its_subject(annulment: type[Data]) -> None:
    subject = annulment.short_type.partition(".")[0]
    mine = {data.short_type for data, by in ANNULLED_BY.items() if by == annulment.short_type}
    assert mine
    assert all(short_type.startswith(f"{subject}.") for short_type in mine)
