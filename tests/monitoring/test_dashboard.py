"""The dashboard in a real browser: what is in the address is what is shown, and Back leads to what was shown before."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from services.monitoring.app import core, router
from shared.contract.events import OrganisationRegistered
from tests.browser import shot, visited, within
from tests.making import event
from tests.stack import on_a_socket, running

from .counting import at
from .test_api import everything

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest_asyncio.fixture(scope="module")
async def address(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path_factory.mktemp("keys")) as one:
        hostile = OrganisationRegistered(kind="institution", name=HOSTILE, region="north")
        await one.publish(*everything(), event(hostile, "hostile", by="operator:region", time=at("2023-01-01")))
        await one.applied()
        async with on_a_socket(one) as url:
            yield url


LOOKS = [
    ("en-GB", 1280, ("Programme: Welding", "Graduates at work")),
    ("ru-RU", 390, ("Программа: Welding", "Трудоустройство")),
]


@within(120)
@pytest.mark.parametrize(("locale", "width", "told"), LOOKS, ids=["en-1280", "ru-390"])
async def test_what_is_chosen_stands_in_the_address_the_title_and_the_history(
    browser: Browser, address: str, locale: str, width: int, told: tuple[str, str]
):
    heading, group = told
    page, said = await visited(browser, address, locale=locale, viewport={"width": width, "height": 800})
    network = await page.locator("h1").inner_text()
    await expect(page.locator("h2").first).to_contain_text(group)
    await shot(page, f"dashboard-{locale}-{width}")
    await page.locator("#scope").select_option("programme")
    await expect(page.locator("#scope-id")).to_be_visible()
    await page.locator("#scope-id").select_option("welding")
    await expect(page.locator("h1")).to_have_text(heading)
    await expect(page).to_have_title(f"{heading} — Praktika")
    assert "scope=programme&scope_id=welding" in page.url
    await shot(page, f"dashboard-{locale}-{width}-programme")
    await page.reload()
    await expect(page.locator("h1")).to_have_text(heading)
    await page.go_back()
    await page.go_back()
    await expect(page.locator("h1")).to_have_text(network)
    await expect(page.locator("#scope")).to_have_value("network")
    await page.go_forward()
    await page.go_forward()
    await expect(page.locator("h1")).to_have_text(heading)
    await page.locator(".languages a:not([aria-current])").click()
    await expect(page.locator("h1")).to_contain_text("Welding")
    await expect(page.locator("h1")).not_to_have_text(heading)
    await expect(page.locator("#scope-id")).to_have_value("welding")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert said == []
    await page.context.close()


@within(60)
async def test_what_is_not_there_is_said_to_be_not_there(browser: Browser, address: str):
    for query in ("?scope=programme&scope_id=weldin", "?scop=programme", "?scope=programme&scope_id=" + HOSTILE):
        page, _ = await visited(browser, f"{address}/{query}")
        answer = await page.reload()
        assert answer is not None
        assert answer.status == (422 if "scop=" in query else 404)
        assert await page.locator("#indicators, img").count() == 0
        await page.context.close()


@within(60)
async def test_names_from_outside_are_text(browser: Browser, address: str):
    page, said = await visited(browser, f"{address}/?scope=institution&scope_id=hostile")
    await expect(page.locator("h1")).to_contain_text(HOSTILE)
    await expect(page.locator("#scope-id")).to_have_value("hostile")
    assert await page.locator("img").count() == 0
    assert said == []
    await page.context.close()


MONTHS: list[tuple[list[tuple[str, str]], list[list[str]]]] = [
    ([("2020-01", "ok"), ("2020-02", "ok"), ("2020-03", "ok")], [["2020-01", "2020-02", "2020-03"]]),
    ([("2020-01", "ok"), ("2020-02", "suppressed"), ("2020-03", "ok")], [["2020-01"], ["2020-03"]]),
    ([("2020-01", "ok"), ("2020-02", "ok"), ("2022-03", "ok")], [["2020-01", "2020-02"], ["2022-03"]]),
    (
        [("2012-06", "ok"), ("2013-06", "ok"), ("2014-06", "ok"), ("2020-06", "ok"), ("2021-06", "ok")],
        [["2012-06", "2013-06", "2014-06"], ["2020-06", "2021-06"]],
    ),
    ([("2020-06", "ok")], [["2020-06"]]),
    ([("2020-06", "not_enough_data")], []),
]


@within(60)
async def test_lines_join_no_months_between_which_something_is_missing_or_hidden(browser: Browser, address: str):
    page, _ = await visited(browser, address)
    script = """(all) => joined(all.filter((point) => point.status === "ok"), all)
        .map((run) => run.map((point) => point.period))"""
    for months, runs in MONTHS:
        points: list[dict[str, Any]] = [{"period": period, "status": status, "value": 1} for period, status in months]
        assert await page.evaluate(script, points) == runs
    await page.context.close()
