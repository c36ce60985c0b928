"""Alert rules, of the operator and of institutions: decided by functions alone, over HTTP, and on pages."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from openpyxl import load_workbook
from playwright.async_api import Browser, expect

from deploy.praktika.backup import KEPT
from services.monitoring import counters
from services.monitoring.alert_reads import NOTES, months_of
from services.monitoring.alert_reads import shown as shown_alert
from services.monitoring.alerts import Rule, alert, crossing, judged_for, objection, windows
from services.monitoring.app import core, router
from services.monitoring.counters import Registry
from services.monitoring.indicators import INDICATORS
from services.monitoring.states import INDEXES, owner_of, rule_of
from services.monitoring.suppression import Hidden
from shared.contract.events import (
    Data,
    Event,
    IndicatorAlerted,
    IndicatorRuleRemoved,
    IndicatorRuleSet,
    OrganisationRegistered,
    ProgrammePublished,
)
from shared.http.sessions import COOKIE
from shared.processing import facts
from shared.statistics import wilson
from tests.browser import DESK, PHONE, accessible, shot, visited, within
from tests.making import NOON, after, event
from tests.people import close, signed_in, visitor
from tests.stack import Running, on_a_socket, running, until

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
    return crossing("low", said.model_dump(mode="json", exclude_none=True), "welding", by_month, TODAY, Hidden())


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
    wrong = [
        (rule(indicator="nothing"), "indicator"),
        (rule(scope="enterprise"), "scope"),
        (rule("falls", indicator="members", scope="region"), "when"),
        (rule("falls", indicator="hosted_hours_share"), "when"),  # hours are no cases
        (rule(threshold=60), "threshold"),
        (rule(threshold=-0.1), "threshold"),
    ]
    for one, field in wrong:
        found = objection(one)
        assert found, one
        assert found[0] == field, one


# whose rules


REGISTRY = Registry(
    {"uni": {"kind": "institution", "region": "east", "name": "U"}, "plant": {"kind": "enterprise", "region": "east"}},
    {id: {"institution": "uni" if id != "casting" else "college", "title": id} for id in ("welding", "tig", "casting")},
)


@pytest.mark.parametrize(
    ("about", "by", "judged"),
    [
        ({}, None, None),
        ({"scope_id": "casting"}, None, ["casting"]),
        ({}, "uni", ["tig", "welding"]),
        ({"scope_id": "welding"}, "uni", ["welding"]),
        ({"scope_id": "casting"}, "uni", []),
        ({"scope": "institution", "scope_id": "uni"}, "uni", ["uni"]),
        ({"scope": "institution", "scope_id": "college"}, "uni", []),
        ({"scope": "institution"}, "uni", ["uni"]),
        ({"scope": "region", "scope_id": "east"}, "uni", []),
        ({"scope": "network"}, "uni", []),
        ({"scope": "institution", "scope_id": "plant"}, "plant", []),
    ],
)
def test_an_institutions_rule_is_judged_for_itself_and_its_programmes_whatever_it_names(
    about: dict[str, Any], by: str | None, judged: list[str] | None
) -> None:
    asks = rule(**about).model_dump(mode="json")
    assert judged_for(Rule(asks, by), REGISTRY) == judged


def test_nobody_overwrites_or_removes_a_rule_of_others() -> None:
    def says(data: Data, id: str, by: str, hours: int = 0) -> Event[Data]:
        return event(data, id, by=by, time=NOON + timedelta(hours=hours))

    mild, own = rule(threshold=0.1), "institution:uni"
    operators = after(facts.empty(), says(rule(), "uni:low", OPERATOR), says(mild, "uni:low", own, 1))
    operators = after(operators, says(IndicatorRuleRemoved(), "uni:low", own, 2))
    assert (owner_of(operators), rule_of(operators)) == (None, rule().model_dump(mode="json", exclude_none=True))
    state = after(facts.empty(), says(rule(), "low", own), says(mild, "uni:low", "institution:college"))
    assert rule_of(state) is None  # an id that does not begin with the own one is taken by nobody
    state = after(facts.empty(), says(IndicatorRuleRemoved(), "uni:low", "institution:college", 9))
    state = after(state, says(rule(), "uni:low", own))
    assert (owner_of(state), rule_of(state) is None) == ("uni", False)
    (alerted,) = alert("uni:low", state, [met(rule(), cohort(2023, 5, 5))._replace(rule="uni:low")], NOON)
    assert alerted.data.organisation == "uni"


def test_only_the_operators_and_the_institutions_own_acknowledgement_counts() -> None:
    about = {"id": "x", "alerted_at": "t", "indicator": RATE, "scope": "programme", "window": "2023", "scope_id": "tig"}
    said = {**about, "when": None, "value": 0.4, "threshold": 0.5, "n": 9, "before": None, "n_before": None}
    noted = {by: {"by": by, "by_operator": by == "operator", "acknowledged_at": by} for by in ("uni", "plant")}
    one = {"organisation": None, "when": "below"}
    assert shown_alert("low", one, said, [noted["plant"]], REGISTRY)["status"] == "open"
    found = shown_alert("low", one, said, noted.values(), REGISTRY)
    assert (found["status"], found["acknowledged"]) == ("acknowledged", [{"by": "uni", "at": "uni"}])
    again = {**said, "alerted_at": "v"}  # after the note was taken
    assert shown_alert("low", one, again, noted.values(), REGISTRY)["status"] == "open"
    assert (found["institution"], found["region"], found["from"], found["to"]) == ("uni", "east", "2023-01", "2023-12")
    assert months_of("2025Q4") == ("2025-10", "2025-12")


def test_notes_stay_in_a_rebuild_and_come_back_from_a_backup() -> None:
    assert NOTES not in INDEXES, "a rebuild drops what comes from the log"
    assert NOTES in KEPT["monitoring"]


# over HTTP


YEAR = int(windows(INDICATORS[RATE], counters.today())[0].id)
HOSTILE = "Ann <img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """In welding, of uni, 4 of 10 graduates are in work; in casting, of college, 3 of 10."""
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path_factory.mktemp("keys")) as one:
        past = datetime(YEAR, 1, 1, tzinfo=UTC)
        for id, region, programme, employed in (("uni", "east", "welding", 4), ("college", "west", "casting", 3)):
            entry = OrganisationRegistered(kind="institution", name=f"The {id}", region=region)
            await one.publish(event(entry, id, by=OPERATOR, time=past))
            about = {"title": programme.title(), "version": "1", "level": 4, "competencies": []}
            said = ProgrammePublished(**about, hours_theory=1, hours_workplace=1)
            await one.publish(event(said, programme, by=f"institution:{id}", time=past))
            for n in range(10):
                learner, seen = f"{programme}-{n}", (date(YEAR, 6, 1) + timedelta(days=548)).isoformat()
                await one.publish(
                    graduated(learner, f"{YEAR}-06-01", programme),
                    status(learner, "employed" if n < employed else "seeking", seen),
                )
        await one.applied()
        yield one


LOW = {"indicator": RATE, "scope": "programme", "when": "below", "threshold": 0.6, "least_n": 10}


async def send(stack: Running, method: str, path: str, body: Any = None, *, by: str = "operator") -> Any:
    kind = {"operator": "operator", "plant": "enterprise"}.get(by, "institution")
    headers = {**stack.token(by, kind), "Prefer": "wait=20"}
    return await stack.client.request(method, path, headers=headers, **({} if body is None else {"json": body}))


async def alerts_of(stack: Running, rule: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await stack.client.get("/alerts?status=all")).json()["items"]
    return [alert for alert in items if alert["rule"] == rule]


async def test_an_operators_rule_alerts_once_and_no_more_when_it_is_removed(stack: Running) -> None:
    answer = await send(stack, "PUT", "/alert-rules/low", LOW)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["scope_id"]) == ("active", None)

    async def alerts() -> Any:
        return (await stack.client.get("/alert-rules/low")).json()["alerts"]

    found = {alert["scope_id"]: alert for alert in await until(alerts)}
    assert found.keys() == {"welding", "casting"}
    shown = found["welding"]
    assert (shown["value"], shown["n"], shown["threshold"], shown["window"]) == (0.4, 10, 0.6, str(YEAR))
    assert (await send(stack, "PUT", "/alert-rules/low", LOW)).status_code == 200
    await stack.publish(status("welding-9", "seeking", (date(YEAR, 6, 1) + timedelta(days=540)).isoformat()))
    await stack.applied()
    removed = (await send(stack, "DELETE", "/alert-rules/low")).json()
    assert (removed["status"], len(removed["alerts"])) == ("removed", 2)
    said = [record for record in await stack.read("indicator") if b"indicator.alerted" in (record.value or b"")]
    assert len(said) == 2
    assert [item["id"] for item in (await stack.client.get("/alert-rules")).json()["items"]] == ["low"]


async def test_a_rule_that_cannot_be_met_is_refused_with_the_field(stack: Running) -> None:
    wrong = LOW | {"indicator": "nothing"}
    for by, status_code, field, body in (
        ("operator", 422, "indicator", wrong),
        ("operator", 422, "scope_id", LOW | {"scope_id": "nowhere"}),
        ("uni", 422, "indicator", wrong),
        ("uni", 403, "scope", LOW | {"scope": "region"}),
        ("uni", 403, "scope_id", LOW | {"scope_id": "casting"}),
        ("uni", 403, "scope_id", LOW | {"scope": "institution", "scope_id": "college"}),
        ("uni", 422, "id", LOW),
    ):
        answer = await send(stack, "PUT", "/alert-rules/wrong", body, by=by)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (status_code, field), body
    assert (await send(stack, "PUT", "/alert-rules/plant:low", LOW, by="plant")).status_code == 403
    assert (await stack.client.get("/alert-rules/wrong")).status_code == 404


async def test_an_institutions_rule_alerts_of_its_own_programmes_and_is_its_own(stack: Running) -> None:
    # What no ingress lets in is judged for nobody, either.
    forged = IndicatorRuleSet.model_validate(LOW | {"scope_id": "casting"})
    await stack.publish(event(forged, "uni:forged"), event(forged, "college:stolen"))
    answer = await send(stack, "PUT", "/alert-rules/uni:low", LOW, by="uni")
    assert (answer.status_code, answer.json()["organisation"]) == (200, "uni"), answer.text

    async def alerted() -> Any:
        return await alerts_of(stack, "uni:low")

    (one,) = await until(alerted)
    assert (one["scope_id"], one["organisation"], one["status"]) == ("welding", "uni", "open")
    assert await alerts_of(stack, "uni:forged") == await alerts_of(stack, "college:stolen") == []
    assert (await stack.client.get("/alert-rules/college:stolen")).status_code == 404
    for by in ("college", "operator"):
        assert (
            await send(stack, "PUT", "/alert-rules/uni:low", LOW | {"scope_id": "casting"}, by=by)
        ).status_code == 403
    assert (await send(stack, "DELETE", "/alert-rules/uni:low", by="college")).status_code == 403
    refused = [record.value or b"" for record in await stack.read("refusal")]
    assert sum(b"college:stolen" in each or b"must begin with your own id" in each for each in refused) == 1


async def test_an_alert_is_acknowledged_once_and_the_note_is_for_few(stack: Running) -> None:
    await send(stack, "PUT", "/alert-rules/uni:noted", LOW | {"threshold": 0.5}, by="uni")

    async def alerted() -> Any:
        return await alerts_of(stack, "uni:noted")

    (one,) = await until(alerted)
    path = f"/alerts/{one['id']}/acknowledgement"
    assert (await send(stack, "PUT", path, {"note": "x"}, by="college")).status_code == 403
    assert (await send(stack, "PUT", path, {"note": "x" * 2_001}, by="uni")).status_code == 422
    answer = await send(stack, "PUT", path, {"note": HOSTILE}, by="uni")
    assert (answer.status_code, answer.json()["status"]) == (200, "acknowledged"), answer.text
    assert (await send(stack, "PUT", path, {}, by="uni")).json() == answer.json()
    assert [each["by"] for each in (await send(stack, "PUT", path, {}, by="operator")).json()["acknowledged"]] == [
        "uni",
        "operator",
    ]
    said = [record.value or b"" for record in await stack.read("indicator")]
    assert sum(b"indicator.acknowledged" in each for each in said) == 2
    assert not [each for each in said if b"Ann" in each]
    notes = f"/alerts/{one['id']}/notes"
    for by in ("uni", "operator"):
        assert [each["note"] for each in (await send(stack, "GET", notes, by=by)).json()["items"]] == [HOSTILE]
    assert (await send(stack, "GET", notes, by="college")).status_code == 403
    for public in (
        "/alerts?status=all",
        f"/alerts/{one['id']}",
        "/alert-rules/uni:noted",
        "/alerts?format=csv&status=all",
    ):
        assert "Ann" not in (await stack.client.get(public)).text
    await send(stack, "PUT", path, {"note": ""}, by="uni")
    assert await stack.service.store.home[NOTES].count_documents({}) == 0


# pages


async def test_people_see_alerts_take_note_of_them_and_set_rules(stack: Running) -> None:
    everybody, dean = visitor(stack), await signed_in(stack, "uni", "staff", "institution")
    mentor, college = (
        await signed_in(stack, "uni", "mentor", "institution"),
        await signed_in(stack, "college", "admin", "institution"),
    )
    form = {**LOW, "id": "uni:typed", "threshold": "61,5", "least_n": "ten", "scope_id": "welding"}
    page = await dean.post("/alerts/rules", **form)
    assert (page.status_code, 'value="61,5"' in page.text, 'id="least_n-wrong"' in page.text) == (422, True, True)
    page = await dean.post("/alerts/rules", **form | {"least_n": "10", "id": "uni:a/b"})
    assert (page.status_code, 'id="id-wrong"' in page.text) == (422, True)
    page = await dean.post("/alerts/rules", **form | {"least_n": "10", "scope_id": "casting"})
    assert (page.status_code, 'id="scope_id-wrong"' in page.text) == (403, True)
    assert (await dean.post("/alerts/rules", **form | {"least_n": "10", "csrf": "x"})).status_code == 403
    assert (await mentor.get("/alerts/rules")).status_code == 403
    assert (await everybody.get("/alerts/rules")).status_code == 303  # to sign in
    page = await dean.post("/alerts/rules", **form | {"least_n": "10"})
    assert (page.status_code, page.headers["location"]) == (303, "/alerts/rules?done=set")

    async def alerted() -> Any:
        return await alerts_of(stack, "uni:typed")

    (one,) = await until(alerted)
    assert one["threshold"] == 0.615
    listed = await everybody.get("/alerts", lang="en", region="east", institution="uni", indicator=RATE)
    assert f"/alerts/{one['id']}" in listed.text
    figure = f"figures/{RATE}?scope=programme&amp;scope_id=welding&amp;from={YEAR}-01&amp;to={YEAR}-12"
    assert figure in listed.text
    assert f"/alerts/{one['id']}" not in (await everybody.get("/alerts", region="west")).text
    assert 'alerts?institution=uni">' in (await everybody.get("/", scope="institution", scope_id="uni")).text
    assert '<form class="form"' not in (await college.get(f"/alerts/{one['id']}")).text
    assert (await college.post(f"/alerts/{one['id']}", note="x")).status_code == 403
    page = await dean.post(f"/alerts/{one['id']}", note="x" * 2_001)
    assert (page.status_code, "x" * 2_001 in page.text) == (422, True)
    page = await dean.post(f"/alerts/{one['id']}", note=HOSTILE)
    assert page.headers["location"] == f"/alerts/{one['id']}?done=acknowledged"
    own, strange = await dean.get(f"/alerts/{one['id']}"), await everybody.get(f"/alerts/{one['id']}")
    assert ("Ann &lt;img" in own.text, HOSTILE in own.text, "Ann" in strange.text) == (True, False, False)
    assert f"/alerts/{one['id']}" not in (await everybody.get("/alerts")).text
    file = await everybody.get("/alerts", status="acknowledged", format="csv", indicator=RATE)
    rows = {row["rule"]: row for row in csv.DictReader(io.StringIO(file.text.lstrip("\ufeff")))}
    assert {row["status"] for row in rows.values()} == {"acknowledged"}
    assert (rows["uni:typed"]["value"], rows["uni:typed"]["acknowledged_by"]) == ("0.4", "uni")
    book = load_workbook(io.BytesIO((await everybody.get("/alerts", status="all", format="xlsx")).content))
    assert book.active is not None
    assert book.active.max_row >= 2
    assert (await dean.post("/alerts/rules", remove="uni:typed")).status_code == 303
    assert "uni:typed" not in (await dean.get("/alerts/rules")).text
    for who in (everybody, dean, mentor, college):
        await close(who)


async def test_a_fall_and_what_is_no_share_are_shown_and_the_operator_sets_rules_for_all(stack: Running) -> None:
    about = {"scope": "region", "scope_id": "east", "n": 50, "window": "2026Q1"}
    fell = IndicatorAlerted(
        **about, indicator="internship_completion_rate", value=0.6, threshold=0.2, when="falls", before=0.9, n_before=40
    )
    days = IndicatorAlerted(**about, indicator="median_days_to_employment", value=91.4, threshold=60)
    past = datetime(2026, 4, 1, tzinfo=UTC)
    await stack.publish(
        # One that nothing meets, should a tick come before it is removed.
        event(IndicatorRuleSet.model_validate(LOW | {"threshold": 0}), "early", by=OPERATOR, time=past),
        event(IndicatorRuleRemoved(), "early", by=OPERATOR, time=past + timedelta(seconds=1)),
        *(event(data, "early", by="service:monitoring", time=past + timedelta(seconds=1)) for data in (fell, days)),
    )
    await stack.applied()
    operator = await signed_in(stack, "operator", "operator", "operator")
    coordinator = await signed_in(stack, "operator", "coordinator", "operator")
    page = (await operator.get("/alerts", region="east", lang="en")).text
    for words in (
        "falls by 20.0 percentage points or more",
        "before: 90.0&nbsp;%, n = 40",
        "91 days",
        "lies below 60 days",
    ):
        assert words in page
    assert "from=2026-01&amp;to=2026-03" in page
    (one, _) = await alerts_of(stack, "early")
    assert one["institution"] is None  # so the operator alone takes note of it
    assert (await send(stack, "PUT", f"/alerts/{one['id']}/acknowledgement", {}, by="uni")).status_code == 403
    assert (await coordinator.post(f"/alerts/{one['id']}", note="x")).status_code == 403
    assert (await operator.post(f"/alerts/{one['id']}", note="x")).status_code == 303
    assert 'class="written"' not in (await coordinator.get(f"/alerts/{one['id']}")).text
    form = {"id": "all", "indicator": "members", "scope": "programme", "when": "below", "threshold": "3"}
    page = (await operator.post("/alerts/rules?lang=ru", **form)).text
    assert "в этом разрезе показателя нет" in page
    assert (await operator.post("/alerts/rules", **form | {"scope": "region"})).status_code == 303
    assert (await stack.client.get("/alert-rules/all")).json()["organisation"] is None
    assert 'value="3"' in (await operator.get("/alerts/rules", id="all")).text
    assert (await coordinator.get("/alerts/rules")).status_code == 403
    await close(operator)
    await close(coordinator)


@within(240)
@pytest.mark.parametrize(("locale", "size"), [("ru", PHONE), ("en", DESK)], ids=["ru-phone", "en-desk"])
async def test_an_alert_is_acknowledged_in_a_browser(browser: Browser, stack: Running, locale: str, size: Any) -> None:
    await send(stack, "PUT", f"/alert-rules/uni:{locale}", LOW | {"threshold": 0.7}, by="uni")

    async def alerted() -> Any:
        return await alerts_of(stack, f"uni:{locale}")

    (one,) = await until(alerted)
    dean = await signed_in(stack, "uni", "admin", "institution")
    async with on_a_socket(stack) as url:
        cookie = {"name": COOKIE, "value": dean.client.cookies[COOKIE], "url": url}
        page, said = await visited(browser, f"{url}/alerts", locale=locale, viewport=size)
        await shot(page, f"alerts-{locale}-{size['width']}")
        await accessible(page)
        await page.context.add_cookies([cookie])
        await page.goto(f"{url}/alerts/rules")
        await page.locator("#threshold").fill("many")
        await page.locator("#set .primary").click()
        await expect(page.locator("#threshold-wrong")).to_be_visible()
        await expect(page.locator("#threshold")).to_have_value("many")
        await shot(page, f"rules-{locale}-{size['width']}")
        await accessible(page)
        await page.goto(f"{url}/alerts?indicator={RATE}")
        await page.locator(f"a[href$='alerts/{one['id']}']").click()
        await page.locator("#note").fill("Ann asks the programme's head.")
        await shot(page, f"alert-{locale}-{size['width']}")
        await accessible(page)
        await page.locator("form.form .primary").click()
        await expect(page.locator(".notice")).to_be_visible()
        await expect(page.locator("#note")).to_have_value("Ann asks the programme's head.")
        await shot(page, f"alert-done-{locale}-{size['width']}")
        assert ["422" in each for each in said] == [True]  # of the form that was wrong
        await page.context.close()
    await close(dean)
