"""Whole ways of people through an empty network, in a real browser: each role does what only it can do.

The operator registers an institution and an enterprise and invites their admins; these sign in, agree, publish, enrol,
place, confirm and give feedback; monitoring counts it.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from services.partners.people import members
from shared.http.sessions import COOKIE
from tests.browser import DESK, PHONE, accessible, shot, within
from tests.network import INTERNSHIP, KINDS, network
from tests.people import PASSWORD, signed_in
from tests.stack import Running, on_a_socket, until

# How somebody uses the pages: language, window, by keyboard only, with JavaScript.
WAYS = {
    "ru-phone-without-javascript": ("ru", PHONE, False, False),
    "en-desk-by-keyboard": ("en", DESK, True, True),
}


@pytest_asyncio.fixture(scope="module")
async def places(
    kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[dict[str, Running], str]]:
    """An empty network of all four services, and where people reach partners."""
    keys = tmp_path_factory.mktemp("keys")
    async with network(kafka, mongodb, keys, free_ids=False, suppress_below=1) as services, AsyncExitStack() as stack:
        sockets = {name: await stack.enter_async_context(on_a_socket(each)) for name, each in services.items()}
        urls = {name: address.replace("127.0.0.1", "localhost") for name, address in sockets.items()}
        for each in services.values():
            each.settings.public_urls.update(urls)
        yield services, urls["partners"]


_FOCUS = """(wanted) => {
  const now = document.activeElement;
  return now === wanted ? "here" : now.type === "radio" && now.name === wanted.name ? "same group" : "elsewhere";
}"""


@dataclass
class Person:
    """Somebody at a browser."""

    page: Page
    url: str
    keyboard: bool

    async def open(self, path: str) -> None:
        await self.page.goto(self.url + path)

    async def fill(self, **values: str) -> None:
        """Fill in fields of the form by their names (`__` stands for a dot)."""
        for name, value in values.items():
            await self._fill(self.page.locator(f'main [name="{name.replace("__", ".")}"]'), value)

    async def _fill(self, found: Locator, value: str) -> None:
        kind = await found.first.get_attribute("type")
        if kind in ("radio", "checkbox"):
            found = found.and_(self.page.locator(f'[value="{value}"]'))
            await (self._press(found, "Space") if self.keyboard else found.check())
        elif await found.first.evaluate("each => each.tagName") == "SELECT":
            await self._select(found.first, value)
        elif self.keyboard and kind not in {"date", "month"}:
            await self._reach(found.first)
            await self.page.keyboard.press("Control+A")
            await self.page.keyboard.type(value)
        else:
            await found.first.fill(value)

    async def _select(self, found: Locator, value: str) -> None:
        if not self.keyboard:
            await found.select_option(value)
            return
        await self._reach(found)
        for _ in range(60):
            if await found.input_value() == value:
                return
            await self.page.keyboard.press("ArrowDown")
        raise AssertionError(f"no option {value}")

    async def click(self, found: Locator) -> None:
        """Click, or reach it with Tab and press Enter; then wait for the next page."""
        if self.keyboard:
            await self._reach(found)
        async with self.page.expect_navigation():
            await (self.page.keyboard.press("Enter") if self.keyboard else found.click())

    async def send(self, says: str = "") -> None:
        """Send the form, and see that it was taken."""
        await self.click(self.page.locator("main .form .primary, main .form .danger").last)
        await expect(self.page.locator(".notice")).to_be_visible()
        if says:
            await expect(self.page.locator("main")).to_contain_text(says)

    async def do(self, form: str, **values: str) -> None:
        await self.open(f"/work/do/{form}")
        await self.fill(**values)
        await self.send()

    async def _press(self, found: Locator, key: str) -> None:
        await self._reach(found)
        await self.page.keyboard.press(key)

    async def _reach(self, found: Locator) -> None:
        """Press Tab until it has the focus, which must be seen."""
        for _ in range(150):
            where = await found.evaluate(_FOCUS)
            if where == "here":
                return
            await self.page.keyboard.press("ArrowRight" if where == "same group" else "Tab")  # arrows choose in a group
        raise AssertionError(f"the keyboard does not lead to {found}")


@within(200)
@pytest.mark.parametrize("way", WAYS)
async def test_journey_from_an_empty_network_to_a_figure(  # noqa: PLR0915  # one way, told in its order
    browser: Browser, places: tuple[dict[str, Running], str], way: str
):
    services, url = places
    language, size, by_keyboard, with_scripts = WAYS[way]
    college, plant = f"college-{uuid4().hex[:6]}", f"plant-{uuid4().hex[:6]}"
    learner, programme = f"{college}:1", f"{college}:welding"

    async def person(link: str) -> Person:
        context = await browser.new_context(viewport=size, locale=language, java_script_enabled=with_scripts)  # type: ignore[arg-type]
        one = Person(await context.new_page(), url, by_keyboard)
        await one.page.goto(link)
        await expect(one.page.locator("html")).to_have_attribute("lang", language)
        await one.fill(password=PASSWORD)
        await one.page.keyboard.press("Enter")
        await one.page.wait_for_url(f"{url}/work")
        return one

    async def seen(one: Person, name: str) -> None:
        if with_scripts:
            await accessible(one.page)
        await shot(one.page, f"{name}-{way}")

    home = services["partners"].service.store.home
    who = members.checked("operator", f"{uuid4().hex[:8]}@operator.example", "Olga", "operator")
    operator = await person(f"{url}/invitation?token={await members.invite(home, 'test', who)}")
    await seen(operator, "home-operator")

    async def joined(id: str, kind: str) -> Person:
        await operator.do("register", subject=id, kind=kind, name=f"The {kind}", region="north")
        await operator.open("/work")
        await expect(operator.page.locator(".tasks")).to_contain_text(f"The {kind}")
        await operator.open(f"/members?organisation={id}")
        await operator.fill(name="Admin", email=f"admin@{id}.example")
        await operator.click(operator.page.locator("details .primary"))
        link = await operator.page.locator("#made-link").input_value()
        return await person(link)

    dean, boss = await joined(college, "institution"), await joined(plant, "enterprise")
    await dean.do("propose", parties=plant, scope="Practice of welders", valid_from="2026-01-01")
    await boss.open("/work")
    await boss.click(boss.page.locator(".tasks li a").first)
    await seen(boss, "agreement")
    await boss.click(boss.page.locator("main a.button.primary"))
    await boss.send()
    skill = {"level:greencomp:3.1": "4"}
    await dean.open("/work/do/publish")
    await seen(dean, "publish")
    await dean.fill(subject=programme, title="Welding", version="2026", level="4", hours_workplace="160,5", **skill)
    await dean.send("Welding")
    await dean.do("enrol", subject=learner, programme=programme, cohort="2027-06", time="2026-02-01")
    await dean.open(f"/work/learners/{learner}")
    await seen(dean, "learner")
    await dean.click(dean.page.locator("main a.button.primary"))
    await dean.fill(enterprise=plant, time="2026-09-01")
    await dean.send()
    await seen(dean, "placements")

    # The mentor at the plant, invited by its admin, confirms the placement and answers what that raises.
    await boss.open("/members")
    await boss.page.locator("summary").press("Enter")
    await boss.fill(name="Mentor", email=f"mentor@{plant}.example", role="mentor")
    await boss.click(boss.page.locator("details .primary"))
    mentor = await person(await boss.page.locator("#made-link").input_value())
    await seen(mentor, "home-mentor")
    await mentor.click(mentor.page.locator(".tasks li a").first)
    await mentor.fill(hours="viel", outcome="passed")
    await mentor.click(mentor.page.locator("main .form .primary"))
    await expect(mentor.page.locator("#hours-wrong")).to_be_visible()
    await expect(mentor.page.locator('[name="hours"]')).to_have_value("viel")
    await seen(mentor, "complete-wrong")
    await mentor.fill(hours="160", competencies="greencomp:3.1")
    await mentor.send()

    async def asked() -> bool:
        await mentor.open("/work")
        return await mentor.page.locator(".tasks li").count() > 0

    await until(asked, 30)
    await mentor.click(mentor.page.locator(".tasks li a").first)
    await mentor.fill(overall="4", **{"competencies.greencomp:3.1": "5"})
    await seen(mentor, "answer")
    await mentor.send()
    await mentor.open("/work")
    await expect(mentor.page.locator(".tasks li")).to_have_count(0)

    async def counted() -> Any:
        asked_for = {"scope": "enterprise", "scope_id": plant}
        answer = await services["monitoring"].client.get("/indicators/workplace_hours_per_learner", params=asked_for)
        return answer.json().get("numerator") == 160

    await until(counted, 30)
    if with_scripts:
        dashboard = services["monitoring"].settings.public("monitoring")
        await mentor.page.goto(f"{dashboard}/?scope=enterprise&scope_id={plant}")
        await expect(mentor.page.locator("#indicators")).to_contain_text("160")
        await expect(mentor.page.locator("header")).to_contain_text("Mentor")
    for one in (operator, dean, boss, mentor):
        await one.page.context.close()


PAGES = {
    "admin of uni": (
        *("/work", "/work/agreements", "/work/agreements?status=ended", "/work/agreements/a-1", "/work/programmes"),
        *(
            "/work/programmes/welding",
            "/work/learners",
            "/work/learners/{learner}",
            "/work/placements",
            "/work/activities",
        ),
        *("/work/placements/{internship}", "/work/opportunities/job-1", "/work/activities"),
        *("/work/do/publish?subject=welding", "/work/do/start?learner={learner}"),
        *("/work/do/propose", "/work/do/status?learner={learner}", "/work/do/erase?subject={learner}", "/work/do/hold"),
    ),
    "admin of plant": ("/work", "/work/requests", "/work/applications", "/work/do/offer", "/work/do/complete"),
    "operator of operator": ("/work", "/work/organisations", "/work/organisations/uni", "/work/do/register"),
    "": (
        "/network/programmes",
        "/network/programmes/welding",
        "/network/organisations",
        "/network/opportunities",
        "/join",
    ),
}


@within(240)
@pytest.mark.parametrize(("language", "size"), [("ru", PHONE), ("en", DESK)], ids=["ru-phone", "en-desk"])
async def test_axe_finds_nothing_on_the_pages_of_work(
    browser: Browser, services: dict[str, Running], names: dict[str, str], language: str, size: dict[str, int]
):
    partners = services["partners"]
    async with on_a_socket(partners) as url:
        for who, paths in PAGES.items():
            context = await browser.new_context(viewport=size, locale=language)  # type: ignore[arg-type]
            page = await context.new_page()
            if who:
                role, _, organisation = who.partition(" of ")
                visitor = await signed_in(partners, organisation, role, KINDS[organisation])
                await context.add_cookies([{"name": COOKIE, "value": visitor.client.cookies[COOKIE], "url": url}])
            for path in paths:
                answer = await page.goto(url + path.format(**names, internship=INTERNSHIP))
                assert answer is not None
                assert answer.status == 200, path
                await accessible(page)
                name = path.strip("/").split("?")[0].replace("/", "-")
                await shot(page, f"{name}-{role if who else 'public'}-{size['width']}-{language}")
            await context.close()
