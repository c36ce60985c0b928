"""The operator's alert rules, decided by functions alone and over HTTP."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import pytest

from services.monitoring import counters
from services.monitoring.alerts import alert, crossing, objection, windows
from services.monitoring.app import core, router
from services.monitoring.indicators import INDICATORS
from shared.contract.events import Data, Event, IndicatorRuleRemoved, IndicatorRuleSet, OrganisationRegistered
from shared.processing import facts
from shared.statistics import wilson
from tests.making import NOON, after, event
from tests.stack import Running, running, until

from .counting import TODAY, graduated, status

RATE = "employment_rate_18m"
OPERATOR = "operator:region"


def rule(when: str = "below", threshold: float = 0.6, **more: Any) -> IndicatorRuleSet:
    about = {"indicator": RATE, "scope": "programme", "least_n": 5, **more}
    return IndicatorRuleSet(when=when, threshold=threshold, **about)


def cohort(year: int, employed: int, seeking: int) -> dict[str, dict[str, int]]:
    prefix = "after_18m_"
    counted = {f"{prefix}employed": employed, f"{prefix}seeking": seeking, "graduates": employed + seeking}
    return {f"{year}-06": counted}


def met(said: IndicatorRuleSet, *cohorts: dict[str, dict[str, int]]) -> Any:
    by_month = {month: counted for one in cohorts for month, counted in one.items()}
    return crossing("low", said.model_dump(mode="json", exclude_none=True), "welding", by_month, TODAY)


def test_windows_are_years_of_cohorts_and_quarters_that_have_passed() -> None:
    today = date(2026, 3, 15)
    assert [w.id for w in windows(INDICATORS[RATE], today)] == ["2023", "2022"]  # 18 months after 2024 are not over
    assert [w.id for w in windows(INDICATORS[RATE], date(2026, 7, 1))] == ["2024", "2023"]
    now, before = windows(INDICATORS["feedback_response_rate"], today)
    assert (now.id, now.begin, now.end, before.id) == ("2025Q4", "2025-10", "2025-12", "2025Q3")


def test_a_value_beyond_the_threshold_is_met_and_one_at_it_is_not() -> None:
    assert met(rule(), cohort(2023, 5, 5)).value == 0.5
    assert met(rule(threshold=0.5), cohort(2023, 5, 5)) is None
    assert met(rule("above", 0.4), cohort(2023, 5, 5)).n == 10
    assert met(rule("above", 0.5), cohort(2023, 5, 5)) is None


def test_few_cases_or_another_window_meet_nothing() -> None:
    assert met(rule(least_n=11), cohort(2023, 5, 5)) is None
    assert met(rule(least_n=1), cohort(2023, 1, 3)) is None  # hidden from the public
    assert met(rule(), cohort(2022, 0, 10)) is None


def test_a_fall_is_met_if_the_intervals_lie_apart() -> None:
    # by Wilson 0.826 to 0.945, and 0.604 to 0.781 or 0.733 to 0.883
    before = cohort(2022, 90, 10)
    found = met(rule("falls", 0.05), before, cohort(2023, 70, 30))
    assert (found.window, found.before, found.n_before) == ("2023", 0.9, 100)
    assert met(rule("falls", 0.05), before, cohort(2023, 82, 18)) is None
    assert met(rule("falls", 0.3), before, cohort(2023, 70, 30)) is None
    assert met(rule("falls", 0.05), cohort(2023, 70, 30)) is None


def test_wilsons_interval_is_the_published_one() -> None:
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (successes, n), interval in published.items():
        assert wilson(successes, n) == pytest.approx(interval, abs=5e-5)


def test_an_alert_is_given_once_for_a_scope_and_window_and_none_by_a_rule_that_is_removed() -> None:
    def told(data: Data, hours: int = 0) -> Event[Data]:
        return event(data, "low", by=OPERATOR, time=NOON + timedelta(hours=hours))

    state = after(facts.empty(), told(rule()))
    crossings = [met(rule(), cohort(2023, 5, 5))]
    (alerted,) = alert("low", state, crossings, NOON)
    assert (alerted.subject, alerted.data.scope_id, alerted.data.window) == ("low", "welding", "2023")
    state = facts.apply(state, alerted)
    worse = [met(rule(), cohort(2023, 1, 9))]
    assert alert("low", state, worse, NOON + timedelta(days=1)) == []
    assert len(alert("low", state, [worse[0]._replace(scope_id="casting")], NOON)) == 1
    assert alert("low", after(state, told(IndicatorRuleRemoved(), 1)), [worse[0]._replace(window="2024")], NOON) == []


def test_a_rule_names_an_indicator_a_scope_that_it_has_and_falls_of_a_share() -> None:
    assert objection(rule()) is None
    wrong = [rule(indicator="nothing"), rule(scope="enterprise"), rule("falls", indicator="members", scope="region")]
    assert [found and found[0] for found in map(objection, wrong)] == ["indicator", "scope", "when"]


# over HTTP


@pytest.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path_factory.mktemp("keys")) as one:
        yield one


async def set_rule(stack: Running, id: str, body: dict[str, Any], *, by: str = "operator") -> Any:
    headers = {**stack.token("region" if by == "operator" else "uni", by), "Prefer": "wait=20"}
    return await stack.client.put(f"/alert-rules/{id}", json=body, headers=headers)


async def test_an_operators_rule_alerts_once_and_no_more_when_it_is_removed(stack: Running) -> None:
    year = int(windows(INDICATORS[RATE], counters.today())[0].id)
    people = [f"welder-{n}" for n in range(10)]
    for n, learner in enumerate(people):
        seen = (date(year, 6, 1) + timedelta(days=548)).isoformat()
        await stack.publish(
            graduated(learner, f"{year}-06-01"), status(learner, "employed" if n < 4 else "seeking", seen)
        )
    entry = OrganisationRegistered(kind="institution", name="University", region="east")
    await stack.publish(event(entry, "uni", by=OPERATOR))
    body = {"indicator": RATE, "scope": "programme", "when": "below", "threshold": 0.6, "least_n": 10}
    answer = await set_rule(stack, "low", body)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["scope_id"]) == ("active", None)

    async def alerts() -> Any:
        return (await stack.client.get("/alert-rules/low")).json()["alerts"]

    (shown,) = await until(alerts)
    assert (shown["scope_id"], shown["value"], shown["n"], shown["threshold"]) == ("welding", 0.4, 10, 0.6)
    assert (await set_rule(stack, "low", body)).status_code == 200
    await stack.publish(status("welder-9", "seeking", (date(year, 6, 1) + timedelta(days=540)).isoformat()))
    await stack.applied()
    headers = {**stack.token("region", "operator"), "Prefer": "wait=20"}
    removed = (await stack.client.delete("/alert-rules/low", headers=headers)).json()
    assert (removed["status"], len(removed["alerts"])) == ("removed", 1)
    said = [record for record in await stack.read("indicator") if b"indicator.alerted" in (record.value or b"")]
    assert len(said) == 1
    assert [item["id"] for item in (await stack.client.get("/alert-rules")).json()["items"]] == ["low"]


async def test_a_rule_that_cannot_be_met_is_refused_with_the_field(stack: Running) -> None:
    body = {"indicator": "nothing", "scope": "programme", "when": "below", "threshold": 0.6}
    answer = await set_rule(stack, "wrong", body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "indicator")
    assert (await set_rule(stack, "wrong", body, by="institution")).status_code == 403
    assert (await stack.client.get("/alert-rules/wrong")).status_code == 404
