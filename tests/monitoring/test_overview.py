"""The first page, finding, and what is side by side: the pages say what the API says, and what is chance is said."""

import re
from collections.abc import AsyncIterator
from html import unescape
from time import time
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from services.monitoring.app import core, router
from services.monitoring.comparing import Change, Difference, Peers, changed, differ, peers
from services.monitoring.figures import of_window, of_years, shown
from services.monitoring.indicators import INDICATORS
from services.monitoring.pages.charts import distribution
from services.monitoring.suppression import Hidden
from shared.contract.events import OrganisationRegistered, Publisher
from shared.http.auth import Member, Role, Signer
from shared.http.sessions import COOKIE
from shared.statistics import difference
from tests.browser import DESK, PHONE, accessible, shot, visited, within
from tests.making import event
from tests.stack import Running, on_a_socket, running

from .counting import at
from .test_api import cohort, everything, published

HOSTILE = "<img src=x onerror=alert(1)>"
RATE, DAYS, HOURS = (
    INDICATORS[id] for id in ("employment_rate_18m", "median_days_to_employment", "guest_teaching_hours")
)
TOLD = "/indicators/employment_rate_18m"

# differences


@pytest.mark.parametrize(
    ("one", "other", "ends"),
    [
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((6, 7), (2, 7), (0.0582, 0.8062)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((10, 10), (0, 20), (0.6791, 1.0)),
    ],
)
def test_the_interval_of_a_difference_is_the_published_one(one: Any, other: Any, ends: tuple[float, float]):
    """Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10."""
    assert difference(one, other) == pytest.approx(ends, abs=0.00006)


def rate(works: int, n: int) -> dict[str, Any]:
    return shown(RATE, {"after_18m_employed": works, "after_18m_seeking": n - works}, 5)


def days(weeks: range) -> dict[str, Any]:
    return shown(DAYS, {f"employment_weeks/w{week}": 10 for week in weeks}, 5)


def test_two_values_differ_clearly_only_where_chance_does_not_explain_it():
    assert differ(RATE, rate(56, 70), rate(48, 80)) == Difference(
        pytest.approx(0.2), *difference((56, 70), (48, 80)), True
    )
    assert differ(RATE, rate(8, 10), rate(6, 10)).is_clear is False  # type: ignore[union-attr]
    assert differ(RATE, rate(3, 4), rate(6, 10)) is None  # hidden
    assert differ(RATE, rate(0, 0), rate(6, 10)) is None
    enrolled = [shown(INDICATORS["participation"], {"learners": n}, 5) for n in (100, 101)]
    assert differ(INDICATORS["participation"], enrolled[1], enrolled[0]) == Difference(1, is_clear=True)
    near, far = days(range(20)), days(range(60, 80))
    assert differ(DAYS, far, near).is_clear is True  # type: ignore[union-attr]
    assert differ(DAYS, days(range(1, 21)), near).is_clear is False  # type: ignore[union-attr]
    held = [shown(HOURS, {"guest_teaching_activities": n, "guest_teaching_quarter_hours": 400 * n}, 5) for n in (2, 3)]
    assert differ(HOURS, held[1], held[0]) == Difference(100, is_clear=True)


def test_the_change_is_between_the_last_two_years_that_are_over_and_shown():
    years = [
        {"period": "2021", "months": 12, **rate(50, 100)},
        {"period": "2022", "months": 12, **rate(3, 4)},
        {"period": "2023", "months": 12, **rate(80, 100)},
        {"period": "2024", "months": 5, **rate(10, 100)},
    ]
    found = changed(RATE, years)
    assert isinstance(found, Change)
    assert (found.year, found.before, found.difference.is_clear) == ("2023", "2021", True)
    assert changed(RATE, years[:2]) is None
    assert changed(RATE, [{**years[0], "period": "2015"}, years[2]]) is None  # too long ago
    assert changed(RATE, [years[0], {**years[2], "months_left_out": 1}]) is None


def test_the_middle_is_of_the_others_and_of_three_at_least():
    items = [
        {"scope_id": id, "value": value} for id, value in (("a", 0.1), ("b", 0.5), ("c", 0.9), ("d", None), ("e", 1.0))
    ]
    assert peers(items, "a") == Peers(0.9, 3)
    assert peers(items[:4], "a") is None


def test_a_year_is_the_window_of_its_months():
    by_month = {
        f"{year}-{month:02}": {"after_18m_employed": n, "after_18m_seeking": 1, "graduates": n + 1}
        for year, month, n in ((2021, 6, 20), (2021, 9, 1), (2021, 10, 9), (2023, 3, 7))
    }
    hidden = Hidden(months=frozenset({"2021-09", "2021-10"}))
    points = of_years(RATE, by_month, None, "2023-05", 5, hidden)
    assert [(each["period"], each["months"]) for each in points] == [("2021", 12), ("2023", 5)]
    for each in points:
        last = min(f"{each['period']}-12", "2023-05")
        window = of_window(RATE, by_month, f"{each['period']}-01", last, 5, hidden)
        assert {name: each[name] for name in window} == window
    assert points[0]["months_left_out"] > 0
    (part, *_) = of_years(RATE, by_month, "2021-09", "2023-05", 5, Hidden())
    assert (part["period"], part["months"], part["change"]) == ("2021", 4, None)


def test_a_distribution_has_each_value_once_and_few_have_none():
    values = [n / 39 for n in range(40)]
    bins = distribution(values, 1.0)
    assert sum(each.n for each in bins) == len(values)
    for each in bins:
        top = each.high if each.high < 1 else 1.1
        assert each.n == sum(each.low - 1e-9 <= value < top - 1e-9 for value in values)
    assert distribution(values[:19], 1.0) == distribution([*values, -1], 1.0) == []


# pages


@pytest_asyncio.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path_factory.mktemp("keys")) as one:
        hostile = OrganisationRegistered(kind="institution", name=HOSTILE, region="north")
        await one.publish(
            *everything(),
            *cohort("welding", 30, 10, "2022-06-01"),
            *cohort("welding", 38, 2, "2023-06-01"),
            *cohort("casting", 10, 30, "2023-06-01"),
            *(published(f"programme-{n}", "uni", f"Programme {n}") for n in range(3)),
            *(each for n in range(3) for each in cohort(f"programme-{n}", 6 + n, 4, "2023-06-01")),
            event(hostile, "hostile", by="operator:region", time=at("2023-01-01")),
        )
        await one.applied()
        yield one


@pytest_asyncio.fixture(scope="module")
async def address(stack: Running) -> AsyncIterator[str]:
    async with on_a_socket(stack) as url:
        yield url


async def text_of(stack: Running, path: str, **headers: str) -> str:
    answer = await stack.client.get(path, headers={"Accept": "text/html", **headers})
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.text)))


@pytest.mark.parametrize("about", ["", "scope=programme&scope_id=welding", "scope=region&scope_id=east"])
async def test_the_page_says_what_the_api_says(stack: Running, about: str):
    page = await text_of(stack, f"/?lang=en&{about}")
    items = (await stack.client.get(f"/values?{about}")).json()["items"]
    assert any(item["status"] == "ok" for item in items)
    for item in items:
        title = INDICATORS[item["indicator"]].title.into("en")
        assert title in page
        if item["status"] == "ok" and item["unit"] == "share" and item["n"]:
            numbers = f"{100 * item['value']:.1f} %"
            after = page[page.rindex("All figures") :].split(title, 1)[1].lstrip()
            assert after.startswith(numbers), (title, after[:80])


async def test_a_programme_is_beside_the_network_its_like_and_its_own_year_before(stack: Running):
    page = await text_of(stack, "/?lang=en&scope=programme&scope_id=welding")
    assert "East" not in page
    assert "Whole network › east › University › Welding" in page
    assert "▲ +20.0 pp 2023 / 2022 · clearly different" in page
    assert "Middle of 4 programmes of this level" in page
    assert "clearly above" in page


async def test_who_is_signed_in_sees_the_own_first_and_everybody_the_network(stack: Running):
    now = int(time())
    member = Member("m", "uni", Publisher.institution, Role.staff, "A Name", "s", now, now + 600, now + 600)
    cookie = {"Cookie": f"{COOKIE}={Signer(stack.settings).session_token(member)}"}
    assert "University Institution · As of" in await text_of(stack, "/?lang=en", **cookie)
    assert "Whole network As of" in await text_of(stack, "/?lang=en")
    assert "Whole network As of" in await text_of(stack, "/?lang=en&scope=network", **cookie)


async def test_what_is_not_there_or_no_scope_is_said(stack: Running):
    for path, status in (
        ("/?scope=programme&scope_id=weldin", 404),
        ("/?scop=programme", 422),
        (f"/?scope=programme&scope_id={HOSTILE}", 404),
        ("/compare?of=programme:nothing", 404),
        ("/compare?of=planet:earth", 422),
        ("/compare?of=programme:", 422),
        ("/compare?" + "&".join(f"of=programme:{n}" for n in range(7)), 422),
        ("/find?kind=institution&q=" + "x" * 101, 422),
    ):
        answer = await stack.client.get(path, headers={"Accept": "text/html"})
        assert (answer.status_code, "<h1" in answer.text, "<img" in answer.text) == (status, True, False), path
    answer = await stack.client.get("/?scope=programme", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"].endswith("/find?kind=programme")) == (303, True)


async def test_anything_is_found_by_a_part_of_its_name(stack: Running):
    for asked, found in (
        ("weld", "Welding"),
        ("UNIV", "University"),
        ("img", "&lt;img src=x"),
        ("c25", "C25"),
    ):
        answer = await stack.client.get("/find", params={"q": asked, "lang": "en"})
        assert found in answer.text, asked
        assert "<img" not in answer.text
    assert "Nothing has a name like this." in (await stack.client.get("/find?q=zzz&lang=en")).text
    only = await stack.client.get("/find?q=&kind=enterprise&lang=en")
    assert "&lt;b&gt;Plant" in only.text
    assert "Welding" not in only.text


async def test_side_by_side_says_what_differs_and_nothing_of_a_part(stack: Running):
    query = "/compare?lang=en&indicator=employment_rate_18m"
    page = await text_of(stack, f"{query}&of=programme:welding&of=programme:casting&of=network:")
    two = [(await stack.client.get(f"{TOLD}?scope=programme&scope_id={id}")).json() for id in ("welding", "casting")]
    by = 100 * (two[0]["value"] - two[1]["value"])
    low, high = (100 * end for end in difference(*((each["numerator"], each["denominator"]) for each in two)))
    assert f"▲ +{by:.1f} pp ({low:.1f} … {high:.1f} pp) · clearly different" in page
    assert page.count("clearly different") == 1
    alike = await text_of(stack, f"{query}&of=programme:programme-0&of=programme:programme-1")
    assert "no clear difference" in alike
    # An internship counts for its programme and for its enterprise.
    query = "/compare?lang=en&indicator=internship_completion_rate"
    both = await text_of(stack, f"{query}&of=programme:welding&of=enterprise:plant")
    assert "Internship" in both
    assert " pp " not in both


async def test_years_are_in_the_api_too(stack: Running):
    answer = (await stack.client.get(f"{TOLD}/series?scope=programme&scope_id=welding&step=year")).json()
    assert [(each["period"], each["numerator"], each["denominator"]) for each in answer["points"][:2]] == [
        ("2022", 30, 40),
        ("2023", 38, 40),
    ]
    months = (await stack.client.get(f"{TOLD}/series?scope=programme&scope_id=welding")).json()["points"]
    assert [each["period"] for each in months[:2]] == ["2022-06", "2023-06"]


LOOKS = [
    ("en-GB", DESK, True, "Programme: Welding"),
    ("ru-RU", PHONE, False, "Программа"),
]


@within(180)
@pytest.mark.parametrize(("locale", "size", "scripts", "kind"), LOOKS, ids=["en-desk", "ru-phone-without-javascript"])
async def test_the_way_from_the_network_to_a_programme_and_back(  # noqa: PLR0917
    browser: Browser, address: str, locale: str, size: Any, scripts: bool, kind: str
):
    page, said = await visited(browser, address, locale=locale, viewport=size, java_script_enabled=scripts)
    network = await page.locator("h1").inner_text()
    await shot(page, f"overview-{locale}")
    if scripts:
        await accessible(page)
    await page.locator("#by-region ~ .scroll a", has_text="east").click()
    await page.locator("#by-institution ~ .scroll a", has_text="University").click()
    await page.locator("#by-programme ~ .scroll a", has_text="Welding").click()
    await expect(page.locator("h1")).to_have_text("Welding")
    await expect(page).to_have_title("Welding — Praktika")
    assert "scope=programme&scope_id=welding" in page.url
    await shot(page, f"overview-{locale}-programme")
    if scripts:
        await accessible(page)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.locator(".languages a:not([aria-current])").click()
    await expect(page.locator("h1")).to_have_text("Welding")
    await page.locator(".way a").first.click()
    await expect(page.locator("h1")).not_to_have_text(network)  # in the other language
    await page.go_back()
    await expect(page.locator("h1")).to_have_text("Welding")
    await page.locator(".heads h2 a").first.click()
    await expect(page.locator(".big")).to_contain_text("%")
    await page.goto(f"{address}/?scope=institution&scope_id=hostile")
    await expect(page.locator("h1")).to_contain_text(HOSTILE)
    assert await page.locator("img").count() == 0
    assert said == []
    await page.context.close()


@within(120)
async def test_two_are_ticked_in_a_list_and_stand_side_by_side(browser: Browser, address: str):
    page, said = await visited(browser, f"{address}/ranking?lang=en", viewport=PHONE)
    for name in ("Welding", "HYPERLINK"):
        await page.locator(".ranked tr", has_text=name).locator("input").check()
    await page.get_by_role("button", name="Side by side").click()
    await expect(page.locator("main > ul li")).to_have_count(2)
    await accessible(page)
    await shot(page, "compare-phone")
    await page.get_by_role("link", name="Choose from a list").click()
    await page.locator(".ranked tr", has_text="Programme 1").locator("input").check()
    await page.get_by_role("button", name="Side by side").click()
    await expect(page.locator("main > ul li")).to_have_count(3)
    await page.locator("main > ul li a", has_text="Leave out").first.click()
    await expect(page.locator("main > ul li")).to_have_count(2)
    assert said == []
    await page.context.close()


@within(120)
async def test_what_is_new_is_shown_when_asked_for_and_nothing_jumps(browser: Browser, address: str, stack: Running):
    page, said = await visited(browser, f"{address}/?lang=en&scope=programme&scope_id=programme-0", viewport=DESK)
    shown_value = page.locator(".heads .big").first
    await expect(shown_value).to_have_text("60.0 %")
    await page.get_by_role("button", name="Live").click()
    await page.evaluate("scrollTo(0, 300)")
    await stack.publish(*cohort("programme-0", 30, 0, "2024-06-01"))
    await stack.applied()
    print("API", (await stack.client.get(f"{TOLD}?scope=programme&scope_id=programme-0")).json())
    await expect(shown_value).to_have_text("90.0 %", timeout=90_000)  # rests for longer where the machine is busy
    assert await page.evaluate("scrollY") == 300
    await page.get_by_role("button", name="Live").click()
    assert said == []
    await page.context.close()
