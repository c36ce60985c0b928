"""Employment in spells: what holds when, which job is the main one, who was hired. Each claim with figures by hand."""

from datetime import date
from typing import Any

import pytest

from shared.contract.events import Data, EmploymentEnded, Event, InternshipStarted
from shared.processing import facts
from shared.processing.employment import spells_of
from tests.making import after, event

from .counting import at, graduated, interned, measured, status

PLANT = "enterprise:plant"


def share(indicator: str, *events: Event[Data]) -> tuple[float | None, float | None]:
    found = measured(indicator, *events)
    return found.numerator, found.denominator


def hired(learner: str = "ann", on: str = "2024-07-01", by: str = PLANT, **said: Any) -> Event[Data]:
    return status(learner, "employed", on, **{"since": on, "by": by, **said})


def ended(learner: str, record: str, on: str, told: str, by: str = PLANT) -> Event[Data]:
    data = EmploymentEnded(ended_on=date.fromisoformat(on))
    return event(data, f"{learner}-{record}", learner, by=by, time=at(told))


@pytest.mark.parametrize("months", [6, 12, 18])
def test_hired_once_by_an_enterprise_holds_until_it_is_ended(months: int) -> None:
    assert share(f"employment_rate_{months}m", graduated(), hired()) == (1, 1)


def test_hired_once_is_known_at_every_horizon() -> None:
    events = [graduated(on="2022-06-01"), hired(on="2022-07-01")]
    assert [share(f"employment_rate_{n}m", *events) for n in (6, 12, 18, 24, 30, 36)] == [(1, 1)] * 6


def test_what_has_ended_is_no_longer_known() -> None:
    over = ended("ann", "2024-07-01", "2025-01-31", "2025-02-01")
    assert share("employment_rate_6m", graduated(), hired(), over) == (1, 1)
    assert share("employment_rate_12m", graduated(), hired(), over) == (0, 0)
    assert share("employment_rate", graduated(), hired(), over) == (0, 0)


def test_a_job_holds_on_its_last_day() -> None:
    last_day = ended("ann", "2024-07-01", "2024-12-01", "2025-02-01")
    assert share("employment_rate_6m", graduated(), hired(), last_day) == (1, 1)
    day_before = ended("ann", "2024-07-01", "2024-11-30", "2025-02-01")
    assert share("employment_rate_6m", graduated(), hired(), day_before) == (0, 0)


def test_a_survey_that_says_from_a_register_holds_as_that() -> None:
    assert share("employment_rate_12m", graduated(), status("ann", "employed", "2024-07-01")) == (0, 0)
    registered = status("ann", "employed", "2024-07-01", basis="register")
    assert share("employment_rate_12m", graduated(), registered) == (1, 1)


def test_the_end_of_an_earlier_job_does_not_end_one_that_began_since() -> None:
    again = hired(on="2024-07-01", since="2024-10-01")
    assert share("employment_rate_12m", graduated(), again, ended("ann", "2024-07-01", "2024-09-01", "2024-09-01")) == (
        1,
        1,
    )


def test_only_who_recorded_a_job_ends_it() -> None:
    stranger = ended("ann", "2024-07-01", "2024-08-01", "2024-08-01", by="enterprise:works")
    assert share("employment_rate_12m", graduated(), hired(), stranger) == (1, 1)


# what is in force at the moment asked about


def test_a_survey_from_before_the_graduation_says_nothing_of_the_graduate() -> None:
    assert share("employment_rate", graduated(), status("ann", "employed", "2024-01-01")) == (0, 0)
    assert share("status_response_rate", graduated(), status("ann", "employed", "2024-01-01")) == (0, 1)


def test_a_job_that_an_employer_reported_before_the_graduation_and_not_ended_is_the_graduates() -> None:
    assert share("employment_rate", graduated(), hired(on="2024-01-01")) == (1, 1)


def test_a_first_day_that_has_not_come_is_not_yet_work() -> None:
    signed = status("ann", "employed", "2024-06-20", since="2024-09-01")
    assert share("employment_rate", graduated(), signed) == (0, 0)
    assert share("employment_rate_6m", graduated(), signed) == (1, 1)


@pytest.mark.parametrize("what", ["employed", "seeking", "studying", "other"])
def test_the_first_day_reaches_back_for_every_status_alike(what: str) -> None:
    known = status("ann", what, "2025-01-10", since="2024-11-01")
    assert share("status_response_rate", graduated(), known) == (1, 1)
    assert measured("employment_rate_6m", graduated(), known).denominator == 1
    unknown = status("ann", what, "2025-01-10")
    assert measured("employment_rate_6m", graduated(), unknown).denominator == 0


# of several jobs the main one


def two_jobs(small: dict[str, Any], main: dict[str, Any]) -> list[Event[Data]]:
    """The smaller one was reported last."""
    first = hired(by="enterprise:works", on="2024-07-01", enterprise="works", **main)
    return [graduated(), first, hired(on="2024-09-01", enterprise="plant", **small)]


def test_the_main_job_has_the_most_usual_hours_whichever_was_reported_last() -> None:
    events = two_jobs(
        small={"hours_per_week": 8, "contract": "fixed_term", "related_to_field": False, "full_time": False},
        main={"hours_per_week": 36, "contract": "permanent", "related_to_field": True, "full_time": True},
    )
    assert share("stable_job_rate", *events) == (1, 1)
    assert share("relevant_occupation_rate", *events) == (1, 1)
    assert share("full_time_rate", *events) == (1, 1)


def test_of_two_jobs_with_equal_hours_the_longer_is_the_main_job() -> None:
    events = two_jobs(
        small={"full_time": True, "contract": "agency"}, main={"full_time": True, "contract": "permanent"}
    )
    assert share("stable_job_rate", *events) == (1, 1)


def test_a_job_that_began_after_another_was_last_surveyed_has_taken_its_place() -> None:
    first = status("ann", "employed", "2024-10-01", contract="agency", hours_per_week=40)
    second = status("ann", "employed", "2025-01-10", since="2024-12-15", contract="permanent", hours_per_week=20)
    assert share("stable_job_rate", graduated(), first, second) == (1, 1)


def test_who_works_works_whatever_else_a_survey_says() -> None:
    events = [graduated(), hired(), status("ann", "seeking", "2025-01-10")]
    assert share("unemployment_rate", *events) == (0, 1)


def test_a_detail_counts_in_place_of_the_status_other() -> None:
    events = [graduated(), status("ann", "other", detail="military_service")]
    assert share("employment_rate", *events) == (0, 1)
    assert measured("placement_rate", *events).numerator == 1


# hiring


def begun(on: str, learner: str = "ann") -> Event[Data]:
    data = InternshipStarted(enterprise="plant", programme="welding")
    return event(data, f"{learner}-plant", learner, time=at(on))


def test_hired_is_who_began_to_work_after_the_internship_began() -> None:
    events = [graduated(), begun("2024-02-01"), interned(seen="2024-03-01")]
    assert share("internship_to_hire_rate", *events, hired(on="2024-02-15")) == (1, 1)
    assert share("internship_to_hire_rate", *events, hired(on="2021-09-01")) == (0, 1)
    assert share("conversion_rate", *events, hired(on="2024-02-15")) == (1, 1)
    assert share("conversion_rate", *events, hired(on="2024-02-15", by="enterprise:works")) == (0, 1)


def test_the_first_job_is_after_the_graduation_and_who_worked_already_is_counted_apart() -> None:
    before = status("ann", "employed", "2025-01-10", since="2021-09-01")
    assert measured("median_days_to_employment", graduated(), before).n == 0
    assert share("employed_at_graduation_rate", graduated(), before) == (1, 1)
    after_it = status("ben", "employed", "2025-01-10", since="2024-06-08")
    assert measured("median_days_to_employment", graduated("ben"), after_it).value == 7 * 1.5


def test_retained_is_who_is_there_a_year_later() -> None:
    stays, left = hired("ann", "2023-07-01"), hired("ben", "2023-07-01")
    over = ended("ben", "2023-07-01", "2024-06-30", "2024-07-01")
    unknown = status("cid", "employed", "2023-07-01", since="2023-07-01", enterprise="plant")
    assert share("retention_rate", stays, left, over, unknown) == (1, 2)


def test_a_spell_knows_where_the_work_is() -> None:
    state = after(
        facts.empty(),
        hired(),
        status("ann", "employed", enterprise="elsewhere"),
        status("ann", "seeking", "2025-03-01"),
    )
    assert sorted(str(spell.employer) for spell in spells_of(state)) == ["None", "elsewhere", "plant"]
