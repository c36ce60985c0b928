"""What changed since a day, since when a figure is as it is, what is recommended and open, and who has not answered.

The days on which figures are recorded are given to the recorder, not waited for.
"""

import asyncio
import csv
import io
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import date
from typing import Any

import pytest
import pytest_asyncio
from openpyxl import load_workbook
from playwright.async_api import Browser, expect

from deploy.praktika.backup import KEPT
from services.monitoring import counters, published
from services.monitoring.app import core, router
from services.monitoring.changes import What, changes
from services.monitoring.indicators import INDICATORS
from services.monitoring.published import DAYS, DEFINITIONS, FIGURES, NOTHING, Figure, Recorded, is_step, told
from services.monitoring.recommendations import recommendations_of
from shared.contract.events import (
    Event,
    FeedbackRequested,
    FeedbackSubmitted,
    ProgrammePublished,
    ProgrammeRevised,
    ProgrammeRevisionDeclined,
    ProgrammeRevisionPlanned,
    ProgrammeRevisionRecommended,
    Publisher,
)
from shared.http.auth import Member, Role, Signer
from shared.http.sessions import COOKIE
from shared.processing import facts
from shared.processing.mongo import ABOUT, COUNTERS, POSITIONS
from shared.statistics import difference
from tests.browser import DESK, PHONE, accessible, shot, visited, within
from tests.making import after, event
from tests.stack import Running, on_a_socket, running, until

from .counting import at
from .test_api import cohort, registered
from .test_api import published as programme

RATE, DAYS_TO_WORK = INDICATORS["employment_rate"], INDICATORS["median_days_to_employment"]
PROGRAMMES = INDICATORS["sustainability_programmes_rate"]

# what chance brings about


@pytest.mark.parametrize(
    ("share", "before", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_the_interval_of_a_difference_is_the_published_one(
    share: tuple[int, int], before: tuple[int, int], low: float, high: float
):
    """Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10."""
    assert difference(share, before) == pytest.approx((low, high), abs=0.00005)


# what is recorded


def rate(part: int, n: int, day: str = "2025-01-01") -> Recorded:
    return Recorded(day, "ok", part / n, part, n, n)


FEW = Recorded("2025-01-01", "suppressed", None, None, None, "<5")


@pytest.mark.parametrize(
    ("before", "now", "is_recorded"),
    [
        (NOTHING, rate(9, 10), True),
        (rate(9, 10), rate(9, 10, "2025-02-01"), False),
        (rate(9, 10), rate(10, 11), False),  # one has come, and would be told of
        (rate(9, 10), rate(6, 10), False),  # three have another status
        (rate(9, 10), rate(13, 14), False),
        (rate(9, 10), rate(13, 15), True),
        (rate(9, 10), rate(4, 10), True),
        (rate(5, 10), rate(9, 14), False),
        (FEW, rate(5, 5), True),
        (rate(5, 5), FEW, True),
        (FEW, FEW._replace(n=None), False),
    ],
)
def test_of_people_only_what_differs_by_as_many_as_are_shown_is_recorded(
    before: Recorded, now: Recorded, is_recorded: bool
):
    assert is_step(RATE, [before], now, 5) == is_recorded
    assert [*told(RATE, [before], now, 5)] == ([before] if is_recorded or before.value == now.value else [])


def test_what_was_hidden_in_between_is_recorded_again_only_if_many_have_changed_since_it_was_shown():
    shown, hidden = rate(20, 30), FEW
    assert is_step(RATE, [shown, hidden], rate(20, 30), 5)
    assert not is_step(RATE, [shown, hidden], rate(21, 31), 5)
    assert is_step(RATE, [shown, hidden], rate(25, 35), 5)
    assert is_step(RATE, [hidden], rate(21, 31), 5)


def test_of_hours_and_of_medians_only_the_cases_are_counted():
    """One more graduate adds hundreds of hours; a median may move though nobody came."""
    hours = INDICATORS["hosted_hours_share"]
    before = Recorded("2025-01-01", "ok", 0.2, 2_000.0, 10_000.0, 10)
    assert not is_step(hours, [before], before._replace(value=0.22, numerator=2_400.0, denominator=11_000.0, n=11), 5)
    assert is_step(hours, [before], before._replace(value=0.22, numerator=4_000.0, denominator=18_000.0, n=15), 5)
    median = Recorded("2025-01-01", "ok", 100.0, None, None, 10)
    assert not is_step(DAYS_TO_WORK, [median], median._replace(value=150.0), 5)
    assert is_step(DAYS_TO_WORK, [median], median._replace(value=150.0, n=15), 5)
    (found,) = changes([Figure(hours.id, "network", None, before, before._replace(value=0.5, n=99))], (), 5)
    assert (found.verdict, found.interval) == ("untold", None)


def test_what_is_not_about_people_is_recorded_whenever_it_differs():
    assert is_step(PROGRAMMES, [rate(9, 10)], rate(10, 11), 5)
    assert not is_step(PROGRAMMES, [rate(9, 10)], rate(9, 10), 5)


@pytest.mark.parametrize(
    ("id", "before", "now", "what", "verdict"),
    [
        ("employment_rate", rate(712, 1_000), rate(843, 1_213), What.changed, "unclear"),
        ("employment_rate", rate(30, 40), rate(44, 102), What.changed, "clear"),
        ("employment_rate", FEW, rate(5, 9), What.shown, None),
        ("employment_rate", rate(5, 9), FEW, What.hidden, None),
        ("employment_rate", rate(5, 9), NOTHING, What.gone, None),
        ("sustainability_programmes_rate", rate(1, 4), rate(4, 4), What.changed, "complete"),
        ("median_days_to_employment", rate(30, 40), rate(20, 60), What.changed, "untold"),
    ],
)
def test_only_more_than_chance_is_a_clear_difference(
    id: str, before: Recorded, now: Recorded, what: What, verdict: Any
):
    (found,) = changes([Figure(id, "network", None, before, now)], (), 5)
    assert (found.what, found.verdict) == (what, verdict)
    (redefined,) = changes([Figure(id, "network", None, before, now)], {id}, 5)
    assert redefined.verdict == ("redefined" if verdict else None)


def test_the_record_is_backed_up_and_no_rebuild_drops_it():
    assert {FIGURES, DEFINITIONS, DAYS} <= {*KEPT["monitoring"]}
    assert not {FIGURES, DEFINITIONS, DAYS} & {*core.indexes, POSITIONS, COUNTERS, ABOUT}


# over HTTP


FIRST, FEWER, LAST = date(2025, 11, 3), date(2025, 11, 10), date(2025, 12, 1)


def recommended(id: str, on: str, to: str = "welding", ratings: int = 9) -> Event[Any]:
    data = ProgrammeRevisionRecommended(
        recommendation=id,
        competency="greencomp:3.1",
        window="2025Q3",
        ratings=ratings,
        satisfied=3,
        threshold=0.6,
    )
    return event(data, to, by="service:feedback", time=at(on))


def asked(n: int, respondent: str, of: str = "welding", *, answers: bool) -> list[Event[Any]]:
    id = f"{respondent}-{of}-{n}"
    due = date(2025, 10, 20)
    data = FeedbackRequested(
        role="enterprise", respondent=respondent, learner="ann", enterprise=respondent, programme=of, due=due
    )
    request = event(data, id, by="service:feedback", time=at("2025-10-01"))
    answer = FeedbackSubmitted(role="enterprise", overall=4, request=id)
    given = event(answer, f"{id}-a", id, by=f"enterprise:{respondent}", time=at("2025-10-05"))
    return [request, given] if answers else [request]


@pytest_asyncio.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """Recorded on three days: 40 graduates of welding, of whom 30 work; 2 more; 60 more, of whom 14 work."""
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path_factory.mktemp("keys")) as one:
        await one.publish(
            registered("uni", "institution", "east", "University"),
            registered("college", "institution", "west", "College"),
            registered("plant", "enterprise", "east", "Plant", "C25"),
            registered("works", "enterprise", "west", "<b>Works</b>", "C25"),
            programme("welding", "uni"),
            programme("casting", "college", "Casting"),
            *cohort("welding", 30, 10),
            *cohort("casting", 3, 1),
            *cohort("filing", 3, 1),  # or those of casting would be the network's less welding's
        )
        await one.applied()
        await published.take(one.service, FIRST)
        await one.publish(*cohort("welding", 2, 0, "2024-07-01"))
        await one.applied()
        await published.take(one.service, FEWER)
        await one.publish(
            *cohort("welding", 14, 46, "2024-08-01"),
            *cohort("casting", 3, 0, "2024-08-01"),
            *cohort("filing", 2, 1, "2024-08-01"),
            recommended("r1", "2025-11-20"),
            recommended("r2", "2025-10-01"),
            recommended("r3", "2025-11-02", "casting"),
            event(
                ProgrammeRevisionPlanned(recommendation="r2", until=date(2025, 11, 5)), "welding", time=at("2025-10-03")
            ),
            event(
                ProgrammeRevisionDeclined(recommendation="r3", reason="no"),
                "casting",
                by="institution:college",
                time=at("2025-11-12"),
            ),
            *(each for n in range(6) for each in asked(n, "plant", answers=n < 4)),
            *(each for n in range(8) for each in asked(n, "works", "casting", answers=n < 1)),
            *asked(0, "smithy", answers=False),
            *(each for n in range(4) for each in asked(n, "forge", answers=n < 1)),
        )
        await one.applied()
        await published.take(one.service, LAST)
        yield one


async def ask(stack: Running, path: str, **params: Any) -> dict[str, Any]:
    answer = await stack.client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def of(items: list[dict[str, Any]], indicator: str, **match: Any) -> dict[str, Any]:
    wanted = {"indicator": indicator, **match}
    (found,) = [each for each in items if wanted.items() <= each.items()]
    return found


async def test_what_changed_is_told_with_what_it_means(stack: Running):
    found = await ask(stack, "/changes", since="2025-11-15")
    assert (found["since"], found["recorded_from"], found["recorded_until"]) == (
        "2025-11-15",
        "2025-11-03",
        "2025-12-01",
    )
    network = of(found["items"], "employment_rate")
    # 36 of 48 on the first day; of the others 21 of 68.
    assert (network["before_numerator"], network["before_n"], network["before_since"]) == (36, 48, "2025-11-03")
    assert (network["numerator"], network["n"], network["more_cases"]) == (57, 116, 68)
    assert (network["verdict"], network["change"]) == ("clear", "changed")
    assert (network["difference_from"], network["difference_to"]) == difference((57, 116), (36, 48))
    assert network["means"] == {
        "en": "Graduates counted: 68 more, 116 now. It fell from 75.0\N{NO-BREAK SPACE}% to 49.1\N{NO-BREAK SPACE}%: "
        "a clear difference.",
        "ru": "Учтено выпускников: на 68 больше, теперь 116. Снижение с 75,0\N{NO-BREAK SPACE}% до "
        "49,1\N{NO-BREAK SPACE}%: явная разница.",
    }
    college = of(found["within"], "employment_rate", scope="institution", scope_id="college")
    assert (college["change"], college["before"], college["value"], college["n"]) == ("shown", None, 6 / 7, 7)
    assert college["scope_name"] == "College"
    assert {each["scope"] for each in found["within"]} == {"region", "institution"}
    assert found["within"][0]["verdict"] == "clear"
    assert found["facts"] == {"versions": 0, "recommended": 1, "answered": 0, "alerts": 0}


async def test_of_few_who_have_come_nothing_is_told(stack: Running):
    kept = (await published.histories(stack.service.store.home, [RATE], "programme", "welding"))["employment_rate"]
    assert [(each.day, each.numerator, each.n) for each in kept] == [("2025-11-03", 30, 40), ("2025-12-01", 46, 102)]
    # What came between is not told afterwards: of this day the state of the first is known.
    found = await ask(stack, "/changes", since="2025-11-20", scope="programme", indicator="employment_rate")
    welding = of(found["within"], "employment_rate", scope_id="welding")
    assert (welding["before_n"], welding["n"]) == (40, 102)
    assert {each["indicator"] for each in found["items"] + found["within"]} == {"employment_rate"}


async def test_nothing_changed_since_the_last_day(stack: Running):
    found = await ask(stack, "/changes", since="2025-12-01")
    assert (found["items"], found["within"]) == ([], [])
    assert found["unchanged"] == sum("network" in each.scopes for each in INDICATORS.values())


async def test_before_the_first_day_nothing_is_known_and_the_first_day_is_compared_with(stack: Running):
    found = await ask(stack, "/changes", since="2024-01-01")
    assert found["since"] == "2025-11-03"
    assert of(found["items"], "employment_rate")["before_n"] == 48


async def test_a_region_and_an_institution_have_changes_of_their_own(stack: Running):
    west = await ask(stack, "/changes", since="2025-11-15", region="west")
    assert of(west["items"], "employment_rate")["scope_id"] == "west"
    assert {each["scope_id"] for each in west["within"]} == {"college"}
    assert west["facts"]["recommended"] == 0
    college = await ask(stack, "/changes", since="2025-11-01", institution="college")
    assert {each["scope_id"] for each in college["within"]} == {"casting"}
    assert college["facts"] == {"versions": 0, "recommended": 0, "answered": 1, "alerts": 0}
    assert (await stack.client.get("/changes", params={"region": "nowhere"})).status_code == 404


async def test_changes_come_as_csv_and_as_a_workbook(stack: Running):
    params = {"since": "2025-11-15", "format": "csv", "lang": "ru"}
    answer = await stack.client.get("/changes", params=params)
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert rows[0]["verdict"] == "явная разница"
    assert {row["scope_id"] for row in rows} >= {"", "east", "uni"}
    answer = await stack.client.get("/changes", params=params | {"format": "xlsx"})
    sheet = load_workbook(io.BytesIO(answer.content)).active
    assert sheet is not None
    assert sheet.max_row == len(rows) + 1
    assert sheet["A1"].value == "Показатель"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/changes?since=yesterday", "since"),
        ("/changes?since=2999-01-01", "since"),
        ("/changes?indicator=nothing", "indicator"),
        ("/changes?scope=nothing", "scope"),
        ("/changes?sinc=2025-01-01", "sinc"),
        ("/changes?format=pdf", "format"),
        ("/recommendations?status=old", "status"),
        ("/unanswered?scope=network", "scope"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_its_field(stack: Running, path: str, field: str):
    answer = await stack.client.get(path)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    page = await stack.client.get(path, headers={"Accept": "text/html"})
    assert (page.status_code, "<h1" in page.text) == (422, True)


async def test_a_definition_that_has_changed_is_said_and_nothing_is_compared(stack: Running):
    kept = stack.service.store.home[DEFINITIONS]
    (now,) = (await kept.find_one({"_id": "employment_rate"}) or {})["recorded"]
    earlier = {"day": "2025-11-03", "digest": "of old", "definition": {"en": "all / all", "ru": "все / все"}}
    await kept.update_one({"_id": "employment_rate"}, {"$set": {"recorded": [earlier, {**now, "day": "2025-11-20"}]}})
    try:
        found = await ask(stack, "/changes", since="2025-11-15")
        assert [(each["indicator"], each["before"]["en"]) for each in found["redefined"]] == [
            ("employment_rate", "all / all")
        ]
        assert of(found["items"], "employment_rate")["verdict"] == "redefined"
    finally:
        await kept.update_one({"_id": "employment_rate"}, {"$set": {"recorded": [now]}})


async def test_without_a_record_it_is_said_that_there_is_none_yet(stack: Running):
    kept = stack.service.store.home[DAYS]
    days = await kept.find_one_and_delete({"_id": "days"})
    try:
        found = await ask(stack, "/changes")
        assert (found["since"], found["items"], found["within"]) == (None, [], [])
        page = await stack.client.get("/changes?lang=en", headers={"Accept": "text/html"})
        assert "Nothing has been recorded yet." in page.text
    finally:
        await kept.insert_one(days)


# recommendations


def recommendation(*said: Event[Any]) -> tuple[str, str | None, bool]:
    state = after(facts.empty(), programme("welding", "uni"), recommended("r1", "2025-10-01"), *said)
    (found,) = recommendations_of("welding", state)
    return found.status, found.answered_at and found.answered_at[:10], found.is_open


def test_a_recommendation_is_open_until_it_is_declined_or_its_version_is_published():
    plan = event(
        ProgrammeRevisionPlanned(recommendation="r1", until=date(2025, 11, 5)), "welding", time=at("2025-10-02")
    )
    revised = event(ProgrammeRevised(recommendation="r1", version="2"), "welding", time=at("2025-10-03"))
    declined = event(ProgrammeRevisionDeclined(recommendation="r1", reason="no"), "welding", time=at("2025-10-04"))
    version = event(ProgrammePublished(title="Welding", version="2", level=4), "welding", time=at("2025-10-09"))
    assert recommendation() == ("open", None, True)
    assert recommendation(plan) == ("planned", None, True)
    assert recommendation(plan, revised) == ("announced", None, True)
    assert recommendation(plan, declined) == ("declined", "2025-10-04", False)
    assert recommendation(plan, revised, version) == ("revised", "2025-10-09", False)


async def test_open_recommendations_are_listed_with_why_and_for_how_long(stack: Running):
    found = await ask(stack, "/recommendations")
    assert [(each["programme"], each["recommended_on"], each["status"]) for each in found["items"]] == [
        ("welding", "2025-10-01", "planned"),
        ("welding", "2025-11-20", "open"),
    ]
    first = found["items"][0]
    assert first["days"] == (counters.today() - date(2025, 10, 1)).days
    assert (first["ratings"], first["satisfied"], first["ground"], first["region"]) == (9, 3, "ratings", "east")
    (answered,) = (await ask(stack, "/recommendations", status="answered"))["items"]
    assert (answered["programme"], answered["answered_on"], answered["days"]) == ("casting", "2025-11-12", 10)
    assert (await ask(stack, "/recommendations", region="west"))["items"] == []
    assert len((await ask(stack, "/recommendations", status="all", institution="uni"))["items"]) == 2
    # The figure counts them alike.
    rate = await ask(stack, "/indicators/revision_answer_rate")
    assert (rate["numerator"], rate["denominator"]) == (1, 3)
    answer = await stack.client.get("/recommendations", params={"format": "csv", "lang": "en"})
    (planned, _) = csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert (planned["status"], planned["planned_until"]) == ("planned until", "2025-11-05")


# who has not answered


async def test_who_has_not_answered_is_said_as_the_indicator_shows_it(stack: Running):
    enterprises = (await ask(stack, "/unanswered"))["items"]
    assert [(each["scope_id"], each["due"], each["answered"], each["unanswered"]) for each in enterprises] == [
        ("works", 8, 1, 7),
        ("plant", 6, 4, 2),
    ]  # of smithy one was due and of forge four, which are hidden
    institutions = (await ask(stack, "/unanswered", scope="institution"))["items"]
    assert [(each["scope_id"], each["unanswered"]) for each in institutions] == [("college", 7), ("uni", 6)]
    programmes = (await ask(stack, "/unanswered", scope="programme", institution="uni"))["items"]
    assert [(each["scope_id"], each["due"]) for each in programmes] == [("welding", 11)]
    page = (await stack.client.get("/unanswered?lang=en", headers={"Accept": "text/html"})).text
    assert "&lt;b&gt;Works" in page
    assert "<b>Works" not in page
    assert "My own open requests" not in page


@pytest.mark.parametrize(
    ("kind", "role", "path"),
    [
        ("enterprise", Role.admin, "asked"),
        ("enterprise", Role.mentor, "answers"),
        ("institution", Role.staff, "asked"),
        ("institution", Role.mentor, None),
        ("operator", Role.coordinator, None),
    ],
)
async def test_who_is_signed_in_is_led_to_the_own_open_requests(
    stack: Running, kind: str, role: Role, path: str | None
):
    now = int(time.time())
    member = Member("m", "plant", Publisher(kind), role, "Ann", "s", now, now + 600, now + 3_600)
    cookie = f"{COOKIE}={Signer(stack.settings).session_token(member)}"
    answer = await stack.client.get("/unanswered?lang=en", headers={"Accept": "text/html", "Cookie": cookie})
    main = answer.text.partition("<main")[2]
    assert ("My own open requests" in main) == (path is not None)
    if path:
        assert f'/{path}">My own' in main


# pages


@within(240)
@pytest.mark.parametrize(
    ("locale", "size"), [("ru", PHONE), ("en", DESK)], ids=["ru-phone-without-javascript", "en-desk"]
)
async def test_each_question_is_answered_three_clicks_from_the_start(
    browser: Browser, stack: Running, locale: str, size: Any
):
    async with on_a_socket(stack) as url:
        page, said = await visited(browser, f"{url}/", locale=locale, viewport=size, java_script_enabled=locale == "en")
        for path in ("changes", "recommendations", "unanswered"):
            await page.goto(f"{url}/?scope=network")
            await page.locator(f'main a[href$="/{path}"]').click()
            await expect(page.locator("h1")).not_to_be_empty()
            if path == "changes":
                await page.locator("#since").fill("2025-11-15")
                await page.locator("main form button").click()
                await expect(page.locator(".clear").first).to_be_visible()
                assert "since=2025-11-15" in page.url
            if locale == "en":
                await accessible(page)
            await shot(page, f"{path}-{locale}-{size['width']}")
        await page.goto(f"{url}/changes?since=2025-11-15")
        await page.locator('a[href*="figures/employment_rate"]').first.click()
        table = page.locator('[aria-labelledby="recorded"] tbody tr')
        assert await table.count() == 2
        await expect(table.first).to_contain_text("116")
        if locale == "en":
            await accessible(page)
        await shot(page, f"history-{locale}-{size['width']}")
        await page.emulate_media(color_scheme="dark")
        await page.goto(f"{url}/changes?since=2025-11-15&institution=uni")
        await shot(page, f"changes-dark-{locale}-{size['width']}")
        assert said == []
        await page.context.close()


# the recorder; these go on in time, so they come last


async def test_a_day_is_recorded_once_however_often_and_by_however_many(stack: Running):
    home, day = stack.service.store.home, date(2025, 12, 2)
    assert sorted(await asyncio.gather(*(published.claim(home, day) for _ in range(4)))) == [False, False, False, True]
    await stack.publish(*cohort("casting", 0, 20, "2024-09-01"))
    await stack.applied()
    changed = await asyncio.gather(published.take(stack.service, day), published.take(stack.service, day))
    assert max(changed) > 0
    assert not await published.claim(home, day)
    assert await published.take(stack.service, day) == 0
    assert await published.claim(home, date(2025, 12, 3))  # though nothing was recorded for some days
    async for doc in home[FIGURES].find():
        recorded = [each[0] for each in doc["recorded"]]
        assert recorded == sorted({*recorded}), doc["_id"]
    casting = (await published.histories(home, [RATE], "programme", "casting"))["employment_rate"]
    assert [(each.day, each.status, each.n) for each in casting] == [
        ("2025-11-03", "suppressed", "<5"),
        ("2025-12-01", "ok", 7),
        ("2025-12-02", "ok", 27),
    ]


async def test_what_is_few_cases_away_from_the_value_of_now_is_not_told(stack: Running):
    await stack.publish(*cohort("casting", 2, 0, "2024-10-01"))
    await stack.applied()
    stack.service.shared.pop("of_pages", None)  # pages rest from what took long, as on a busy machine
    address = "/figures/employment_rate?scope=programme&scope_id=casting&lang=en"
    page = (await stack.client.get(address, headers={"Accept": "text/html"})).text
    _, _, history = page.partition('id="recorded"')
    assert "Since 2 December 2025 it has changed by fewer than 5 cases." in history
    assert "6 of 27" not in history
    assert "6 of 7" in history
    found = await ask(stack, "/changes", since="2025-12-02", institution="college")
    assert "employment_rate" not in {each["indicator"] for each in found["items"]}
    found = await ask(stack, "/changes", since="2025-12-01", institution="college")
    assert (of(found["items"], "employment_rate")["before_n"], of(found["items"], "employment_rate")["n"]) == (7, 29)


async def test_the_service_records_today_once_it_has_taken_in_all_of_yesterday(stack: Running):
    home = stack.service.store.home
    await home[DAYS].update_one({"_id": "days"}, {"$set": {"claimed_at": 0.0}})

    async def is_recorded() -> bool:
        return (await published.days(home)).last == counters.today().isoformat()

    work = asyncio.create_task(published.keep_published(stack.service, every_s=0.05))
    try:
        await until(is_recorded)
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
