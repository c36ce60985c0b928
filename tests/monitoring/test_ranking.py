"""Ranked lists, intervals and what stands behind a figure: the arithmetic, the API, and the pages in a browser."""

import json
from collections.abc import AsyncIterator
from itertools import pairwise
from math import sqrt
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from deploy.demo import graduates
from deploy.demo.network import Json
from services.monitoring.app import core, router
from services.monitoring.counters import Registry
from services.monitoring.figures import shown
from services.monitoring.indicators import INDICATORS
from services.monitoring.pages.charts import chart
from services.monitoring.ranking import Filters, Order, against
from shared.contract.events import OrganisationRegistered, Publisher, parse
from shared.statistics import median_ranks, wilson
from tests.browser import DESK, PHONE, accessible, shot, visited, within
from tests.making import event
from tests.stack import Running, on_a_socket, running

from .counting import at

RATE, DAYS = INDICATORS["employment_rate_18m"], INDICATORS["median_days_to_employment"]

# intervals


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_a_shares_interval_is_the_published_one(successes: int, n: int, low: float, high: float):
    """Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    assert wilson(successes, n) == pytest.approx((low, high), abs=0.00005)


def test_a_medians_interval_is_the_published_one():
    """Campbell and Gardner, BMJ 296 (1988): of 100 values from the 40th to the 61st."""
    low, high = median_ranks(100)
    assert (round(low), round(1 + high)) == (40, 61)


def test_a_share_has_an_interval_and_so_has_a_median_and_a_hidden_one_has_none():
    said = shown(RATE, {"after_18m_employed": 81, "after_18m_seeking": 182}, 5)
    assert (said["interval_from"], said["interval_to"]) == wilson(81, 263)
    few = shown(RATE, {"after_18m_employed": 3, "after_18m_seeking": 1}, 5)
    assert (few["status"], few["interval_from"], few["interval_to"]) == ("suppressed", None, None)
    weeks = {f"employment_weeks/w{week}": 1 for week in range(100)}
    days = shown(DAYS, weeks, 5)
    assert days["interval_from"] == pytest.approx(7 * median_ranks(100)[0])
    assert days["interval_from"] < days["value"] < days["interval_to"]
    hours = shown(INDICATORS["workplace_hours_per_learner"], {"intern_quarter_hours": 4_000, "interns": 10}, 5)
    assert (hours["value"], hours["interval_from"]) == (100, None)


# lists


def item(id: str, numerator: int, n: int) -> dict[str, Any]:
    counted = {"after_18m_employed": numerator, "after_18m_seeking": n - numerator}
    return {"scope_id": id, "scope_name": id, **shown(RATE, counted, 5)}


ITEMS = [item("a", 5, 10), item("b", 900, 1_000), item("c", 3, 4), item("d", 0, 0), item("e", 50, 100)]
REGISTRY = Registry(
    {"uni": {"kind": "institution", "region": "east", "name": "U"}, "col": {"kind": "institution", "region": "west"}},
    {id: {"institution": "uni" if id in "ab" else "col", "level": 4 + (id == "a"), "title": id} for id in "abcd"},
)


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        (Filters(), "abcde"),
        (Filters(order=Order.lowest), "eabcd"),
        (Filters(order=Order.highest), "beacd"),
        (Filters(region="east"), "ab"),
        (Filters(institution="col"), "cd"),
        (Filters(level=5), "a"),
        (Filters(least=100, order=Order.lowest), "eb"),
        (Filters(region="nowhere"), ""),
    ],
)
def test_a_list_has_what_is_asked_for_in_order_and_at_its_end_what_has_no_value(filters: Filters, ids: str):
    assert "".join(each["scope_id"] for each in filters.of(ITEMS, "programme", REGISTRY)) == ids


def test_only_what_chance_would_hardly_bring_about_is_said_to_be_below_or_above():
    network = item("network", 700, 1_000)
    told = {each["scope_id"]: against(RATE, each, network) for each in ITEMS}
    assert told == {"a": None, "b": "above", "c": None, "d": None, "e": "below"}
    # Half of ten is within 95 % of 70 per cent, four of twenty is not even within 99.8 %.
    assert against(RATE, item("f", 4, 20), network) == "below"
    assert against(RATE, item("g", 8, 18), network) is None  # outside of 95 %, where one in twenty lies by chance
    assert wilson(8, 18)[1] < 0.7


def test_all_or_none_of_few_is_not_clearly_off_a_network_of_all_or_none():
    for n in range(5, 400):
        assert (wilson(n, n)[1], wilson(0, n)[0]) == (1.0, 0.0)
    everybody = item("network", 1_000, 1_000)
    assert against(RATE, item("h", 37, 37), everybody) is None
    assert against(RATE, item("h", 0, 29), item("network", 0, 1_000)) is None


# charts


def point(period: str, value: float | None) -> dict[str, Any]:
    status = "ok" if value is not None else "suppressed"
    return {"period": period, "value": value, "status": status, "interval_from": None, "interval_to": None}


def test_a_line_joins_nothing_over_a_hidden_month_or_a_longer_gap():
    months = [("2012-06", 0.5), ("2013-06", 0.6), ("2014-06", None), ("2015-06", 0.4), ("2016-06", 0.5), ("2020-06", 1)]
    drawn = chart([point(period, value) for period, value in months], is_share=True)
    assert drawn is not None
    assert [mark.period for mark in drawn.marks] == ["2012-06", "2013-06", "2015-06", "2016-06", "2020-06"]
    assert len(drawn.runs) == 2
    assert all(run.count("L") == 1 for run in drawn.runs)
    assert all(left.x < right.x for left, right in pairwise(drawn.marks))
    assert [value for _, value in drawn.ticks] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert chart([point("2012-06", None)], is_share=True) is None
    lonely = chart([point("2012-06", 800.0)], is_share=False)
    assert lonely is not None
    assert lonely.ticks[-1][1] >= 800


# over HTTP, on real graduates

HOSTILE = "<img src=x onerror=alert(1)>"
GRADUATES = [row for row in graduates.rows() if int(row["row"]) % 4 == 0]
Z = 1.959963984540054


@pytest_asyncio.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path_factory.mktemp("keys")) as one:
        names = {graduates.UNIVERSITY: "Université Nice", "hostile": HOSTILE}
        for id, name in names.items():
            data = OrganisationRegistered(kind="institution", name=name, region="south")
            await one.publish(event(data, id, by="operator:region", time=at("2010-01-01")))
        said = [
            *graduates.programme_events(GRADUATES),
            *(e for row in GRADUATES for e in graduates.learner_events(row)),
        ]
        keyed = [{**each, "partitionkey": each.get("partitionkey", each["subject"])} for each in said]
        await one.publish(
            *(parse(json.dumps({**each, "sourcekind": Publisher.institution}).encode()) for each in keyed)
        )
        await one.applied(120)
        yield one


def after_18_months(row: graduates.Row) -> list[Json]:
    """The graduation, and what was said a year and a half later, if anything was."""
    return [e for e in graduates.learner_events(row) if "graduated" in e["type"] or e["subject"].endswith("-18m")]


async def ask(stack: Running, path: str, **params: Any) -> dict[str, Any]:
    answer = await stack.client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def counted() -> dict[str, tuple[int, int]]:
    """By programme, who works 18 months later and of whom that is known: straight from the file."""
    found: dict[str, tuple[int, int]] = {}
    for row in GRADUATES:
        status = row["situationProN18"]
        works, known = found.get(graduates.programme_of(row), (0, 0))
        found[graduates.programme_of(row)] = works + (status == "En emploi"), known + (status != "")
    return found


async def test_all_programmes_are_ranked_with_the_intervals_of_a_direct_count(stack: Running):
    path = "/indicators/employment_rate_18m/comparison"
    items = (await ask(stack, path, scope="programme", order="lowest"))["items"]
    direct = counted()
    assert {each["scope_id"] for each in items} == set(direct)
    for each in items:
        works, known = direct[each["scope_id"]]
        if each["status"] == "ok":
            assert (each["numerator"], each["denominator"]) == (works, known)
            # The ends solve (p - share)^2 = z^2 p (1 - p) / n.
            a, b, c = 1 + Z * Z / known, -(2 * works / known + Z * Z / known), (works / known) ** 2
            root = sqrt(b * b - 4 * a * c)
            ends = (-b - root) / (2 * a), (-b + root) / (2 * a)
            assert (each["interval_from"], each["interval_to"]) == pytest.approx(ends, abs=1e-9)
        else:
            assert known < 5 or (known < 10 and works in (0, known))
            assert (each["value"], each["interval_from"]) == (None, None)
    values = [each["value"] for each in items if each["value"] is not None]
    assert values == sorted(values)
    marked = {each["against_network"] for each in items}
    assert marked <= {None, "below", "above"}


async def test_lists_are_filtered_and_refuse_what_is_no_filter(stack: Running):
    path = "/indicators/employment_rate_18m/comparison"
    levels = [
        {each["scope_id"] for each in (await ask(stack, path, scope="programme", level=level))["items"]}
        for level in (6, 7)
    ]
    assert levels[0] | levels[1] == set(counted())
    assert not levels[0] & levels[1]
    least = (await ask(stack, path, scope="programme", least=40))["items"]
    assert least
    assert all(each["n"] >= 40 for each in least)
    assert (await ask(stack, path, scope="programme", region="north"))["items"] == []
    for wrong in ({"order": "worst"}, {"level": 9}, {"least": 0}, {"regio": "x"}):
        answer = await stack.client.get(path, params={"scope": "programme", **wrong})
        assert answer.status_code == 422


async def test_the_pages_show_what_the_api_says(stack: Running):
    network = await ask(stack, "/indicators/employment_rate_18m")
    page = await stack.client.get("/figures/employment_rate_18m", params={"lang": "en"})
    assert f"{100 * network['value']:.1f}" in page.text
    assert f"{network['numerator']:,} of {network['denominator']:,}" in page.text
    assert all(f"{each['n']:,}" in page.text for each in network["left_out"])
    listed = await stack.client.get("/ranking", params={"lang": "en", "order": "highest"})
    first, *_ = (await ask(stack, "/indicators/employment_rate_18m/comparison", scope="programme", order="highest"))[
        "items"
    ]
    assert listed.text.index(">No.<") < listed.text.index(first["scope_name"].split(" ")[0])
    assert HOSTILE not in (await stack.client.get("/ranking", params={"scope": "institution"})).text
    for path, status in (
        ("/ranking?indicator=nothing", 404),
        ("/figures/nothing", 404),
        ("/figures/employment_rate?scope=programme&scope_id=nothing", 404),
        ("/figures/employment_rate?scope=competency&scope_id=x", 422),
        ("/ranking?from=2024-05&to=2024-01", 422),
        ("/ranking?from=May&least=0&level=x", 422),
    ):
        answer = await stack.client.get(path, headers={"Accept": "text/html"})
        assert (answer.status_code, "<h1" in answer.text) == (status, True), path


@within(240)
@pytest.mark.parametrize(
    ("locale", "size"), [("ru", PHONE), ("en", DESK)], ids=["ru-phone-without-javascript", "en-desk"]
)
async def test_who_has_the_lowest_is_found_in_three_clicks(browser: Browser, stack: Running, locale: str, size: Any):
    async with on_a_socket(stack) as url:
        page, said = await visited(
            browser, f"{url}/ranking", locale=locale, viewport=size, java_script_enabled=locale == "en"
        )
        rows = page.locator(".ranked tbody tr")
        assert await rows.count() == 50
        if locale == "en":
            await accessible(page)
        await shot(page, f"ranking-{locale}-{size['width']}")
        await page.locator("#level").select_option("6")
        await page.locator("#least").fill("20")
        await page.locator(".search button").click()
        await expect(page.locator("#level")).to_have_value("6")
        assert "level=6" in page.url
        assert await rows.count() < 50
        await shot(page, f"ranking-filtered-{locale}-{size['width']}")
        name = await rows.first.locator("th a").inner_text()
        await rows.first.locator("th a").click()
        await expect(page.locator("main")).to_contain_text(name)
        await expect(page.locator(".big")).to_contain_text("%")
        if locale == "en":
            await accessible(page)
        await shot(page, f"figure-{locale}-{size['width']}")
        await page.goto(f"{url}/figures/employment_rate_18m")
        await shot(page, f"figure-network-{locale}-{size['width']}")
        await page.locator(".buttons a").nth(2).click()
        await expect(page.locator(".ranked")).to_be_visible()
        await page.emulate_media(color_scheme="dark")
        await shot(page, f"ranking-dark-{locale}-{size['width']}")
        assert said == []
        await page.context.close()
