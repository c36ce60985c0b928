"""Whole ways of people through an empty network, in a real browser: each role does what only it can do.

The operator registers an institution and an enterprise and invites their admins; these sign in, agree, publish, enrol,
place, confirm and give feedback; monitoring counts it.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from services.partners.people import members
from shared.http.sessions import COOKIE
from tests.browser import DESK, PHONE, accessible, shot, within
from tests.network import INTERNSHIP, KINDS, STRUCTURED, cloudevent, network
from tests.partners.receiver import receiving
from tests.people import PASSWORD, signed_in
from tests.stack import Running, on_a_socket, until


class Way(NamedTuple):
    """How somebody uses the pages."""

    language: str
    size: dict[str, int]
    by_keyboard: bool
    with_scripts: bool


WAYS = {
    "ru-phone-without-javascript": Way("ru", PHONE, False, False),
    "en-desk-by-keyboard": Way("en", DESK, True, True),
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
    way: str = ""

    async def seen(self, name: str) -> None:
        """Nothing is wrong with the page as it is now; it may be looked at."""
        if WAYS[self.way].with_scripts:
            await accessible(self.page)
        await shot(self.page, f"{name}-{self.way}")

    async def open(self, path: str) -> None:
        await self.page.goto(self.url + path)

    async def shows(self, what: str, *, by_itself: bool = False) -> None:
        """Look at the page anew until it has something; or wait, if a script of its own does (*by_itself*)."""
        if by_itself and WAYS[self.way].with_scripts:
            await expect(self.page.locator(what).first).to_be_attached()
            return

        async def there() -> bool:
            await self.page.reload()
            return await self.page.locator(what).count() > 0

        await until(there, 30)

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


async def comes_in(browser: Browser, url: str, link: str, way: str) -> Person:
    """Somebody opens a one-time link, chooses a password, and is at home."""
    language, size, by_keyboard, with_scripts = WAYS[way]
    context = await browser.new_context(viewport=size, locale=language, java_script_enabled=with_scripts)  # type: ignore[arg-type]
    one = Person(await context.new_page(), url, by_keyboard, way)
    await one.page.goto(link)
    await expect(one.page.locator("html")).to_have_attribute("lang", language)
    await one.fill(password=PASSWORD)
    await one.page.keyboard.press("Enter")
    await one.page.wait_for_url(f"{url}/work")
    return one


async def link_for(services: dict[str, Running], url: str, organisation: str, role: str) -> str:
    """A one-time link for somebody new."""
    who = members.checked(organisation, f"{uuid4().hex[:8]}@{organisation}.example", role.title(), role)
    return f"{url}/invitation?token={await members.invite(services['partners'].service.store.home, 'test', who)}"


@within(200)
@pytest.mark.parametrize("way", WAYS)
async def test_journey_from_an_empty_network_to_a_figure(  # noqa: PLR0915  # one way, told in its order
    browser: Browser, places: tuple[dict[str, Running], str], way: str
):
    services, url = places
    college, plant = f"college-{uuid4().hex[:6]}", f"plant-{uuid4().hex[:6]}"
    learner, programme = f"{college}:1", f"{college}:welding"

    async def person(link: str) -> Person:
        return await comes_in(browser, url, link, way)

    operator = await person(await link_for(services, url, "operator", "operator"))
    await operator.seen("home-operator")

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
    await boss.seen("agreement")
    await boss.click(boss.page.locator("main a.button.primary"))
    await boss.send()
    skill = {"level:greencomp:3.1": "4"}
    await dean.open("/work/do/publish")
    await dean.seen("publish")
    await dean.fill(subject=programme, title="Welding", version="2026", level="4", hours_workplace="160,5", **skill)
    await dean.send("Welding")
    await dean.do("enrol", subject=learner, programme=programme, cohort="2027-06", time="2026-02-01")
    await dean.open(f"/work/learners/{learner}")
    await dean.seen("learner")
    await dean.click(dean.page.locator("main a.button.primary"))
    await dean.fill(enterprise=plant, time="2026-09-01")
    await dean.send()
    await dean.seen("placements")

    # The mentor at the plant, invited by its admin, confirms the placement and answers what that raises.
    await boss.open("/members")
    await boss.page.locator("summary").press("Enter")
    await boss.fill(name="Mentor", email=f"mentor@{plant}.example", role="mentor")
    await boss.click(boss.page.locator("details .primary"))
    mentor = await person(await boss.page.locator("#made-link").input_value())
    await mentor.seen("home-mentor")
    await mentor.click(mentor.page.locator(".tasks li a").first)
    await mentor.fill(hours="viel", outcome="passed")
    await mentor.click(mentor.page.locator("main .form .primary"))
    await expect(mentor.page.locator("#hours-wrong")).to_be_visible()
    await expect(mentor.page.locator('[name="hours"]')).to_have_value("viel")
    await mentor.seen("complete-wrong")
    await mentor.fill(hours="160", competencies="greencomp:3.1")
    await mentor.send()

    async def asked() -> bool:
        await mentor.open("/work")
        return await mentor.page.locator(".tasks li").count() > 0

    await until(asked, 30)
    await mentor.click(mentor.page.locator(".tasks li a").first)
    await mentor.fill(overall="4", **{"competencies.greencomp:3.1": "5"})
    await mentor.seen("answer")
    await mentor.send()
    await mentor.open("/work")
    await expect(mentor.page.locator(".tasks li")).to_have_count(0)

    async def counted() -> Any:
        asked_for = {"scope": "enterprise", "scope_id": plant}
        answer = await services["monitoring"].client.get("/indicators/workplace_hours_per_learner", params=asked_for)
        return answer.json().get("numerator") == 160

    await until(counted, 30)
    await mentor.page.goto(f"{services['monitoring'].settings.public('monitoring')}/")
    await expect(mentor.page.locator(".heads")).to_contain_text("160")
    await expect(mentor.page.locator("header")).to_contain_text("Mentor")
    for one in (operator, dean, boss, mentor):
        await one.page.context.close()


@within(200)
@pytest.mark.parametrize("way", WAYS)
async def test_journey_of_data_and_systems(  # noqa: PLR0915  # one way, told in its order
    browser: Browser, places: tuple[dict[str, Running], str], tmp_path: Path, way: str
):
    """Staff uploads a file and mends what was refused; a research centre connects its system; the operator looks."""
    services, url = places
    partners = services["partners"]
    college, lab = f"college-{uuid4().hex[:6]}", f"lab-{uuid4().hex[:6]}"
    for id, kind in ((college, "institution"), (lab, "research_centre")):
        await command(partners, "PUT", f"/organisations/{id}", {"kind": kind, "name": f"The {kind}", "region": "north"})
    programme = {"title": "Welding", "version": "1", "level": 4}
    await command(partners, "PUT", f"/programmes/{college}:welding", programme, partners.token(college, "institution"))

    staff = await comes_in(browser, url, await link_for(services, url, college, "staff"), way)
    file = tmp_path / "learners.csv"
    rows = [f"{college}:{n};{college}:welding;2027-0{6 if n else 'x'};2026-02-01" for n in range(3)]
    file.write_text("\n".join(["subject;programme;cohort;time", *rows]))
    await staff.open("/uploads")
    await staff.seen("uploads-empty")
    await staff.fill(type="praktika.learner.enrolled.v1")
    await staff.page.locator("#file").set_input_files(file)
    await staff.click(staff.page.locator("main .form .primary"))
    await staff.seen("upload-columns")
    await staff.click(staff.page.locator('[value="check"]'))
    await staff.shows('[value="publish"]', by_itself=True)
    await staff.seen("upload-checked")
    await staff.click(staff.page.locator('[value="publish"]'))
    await staff.shows('[href$="refused.csv"]', by_itself=True)
    await staff.seen("upload-published")
    await staff.open("/work/learners")
    await expect(staff.page.locator("tbody tr")).to_have_count(2)

    bad = cloudevent(college, "activity.held", f"{college}:a", {"kind": "workshop", "hours": "two", "participants": 9})
    headers = partners.token(college, "institution") | STRUCTURED
    assert (await partners.client.post("/events", json=bad, headers=headers)).status_code == 422
    await staff.open("/work")
    await staff.shows('[href*="work/rejections/"]')
    await staff.seen("home-staff-refused")
    await staff.open("/work/rejections")
    await staff.seen("rejections")
    await staff.click(staff.page.locator("tbody a").first)
    await staff.seen("rejection")
    typed = await staff.page.locator("textarea").input_value()
    await staff.page.locator("textarea").fill(typed.replace('"two"', "2"))
    await staff.click(staff.page.locator("main .form .primary"))
    await expect(staff.page.locator(".notice")).to_be_visible()
    await staff.open(f"/work/activities/{college}:a")
    await staff.seen("activity")

    head = await comes_in(browser, url, await link_for(services, url, lab, "admin"), way)
    await head.do("hold", kind="joint_research", time="2026-05-01", hours="8", participants="5")
    await head.open("/work/integration")
    await head.seen("integration-empty")
    await head.page.locator("summary").press("Enter")
    await head.fill(name="The lab's system", scope="send")
    await head.click(head.page.locator("details .primary"))
    secret = await head.page.locator("#client-secret").input_value()
    await head.seen("integration-made")
    form = {"grant_type": "client_credentials", "client_id": lab, "client_secret": secret}
    assert (await partners.client.post("/token", data=form)).status_code == 200
    async with receiving(agreed={"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "*"}) as receiver:
        await head.fill(url="http://lab.example/events")
        await head.click(head.page.locator("#hooks ~ form button"))
        await expect(head.page.locator("#url-wrong")).to_be_visible()
        await head.seen("webhook-wrong")
        await head.fill(url=receiver.url)
        partners.settings.webhooks_inside = True
        await head.click(head.page.locator("#hooks ~ form button"))
        partners.settings.webhooks_inside = False
        await head.click(head.page.locator('main [href*="webhooks/"]').first)
        await head.seen("webhook")

    operator = await comes_in(browser, url, await link_for(services, url, "operator", "operator"), way)
    await operator.open("/work/health")
    await operator.seen("health")
    await expect(operator.page.locator("main")).to_contain_text("The institution")
    coordinator = await comes_in(browser, url, await link_for(services, url, "operator", "coordinator"), way)
    await coordinator.seen("home-coordinator")
    await coordinator.click(coordinator.page.locator('main [href$="work/organisations"]'))
    await expect(coordinator.page.locator("main")).to_contain_text("The research_centre")
    await expect(coordinator.page.locator('main a[href*="work/do/"], main form[method="post"]')).to_have_count(0)
    for one in (staff, head, operator, coordinator):
        await one.page.context.close()


async def command(
    partners: Running, method: str, path: str, body: dict[str, Any], headers: dict[str, str] | None = None
) -> None:
    who = headers or partners.token("operator", "operator")
    answer = await partners.client.request(method, path, json=body, headers=who | {"Prefer": "wait=20"})
    assert answer.status_code == 200, answer.text


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
        *("/uploads", "/work/rejections", "/work/integration", "/people-log"),
        *("/work/do/propose", "/work/do/status?learner={learner}", "/work/do/erase?subject={learner}", "/work/do/hold"),
        "/work/do/assess?learner={learner}&competency=greencomp:3.1&method=portfolio",
    ),
    "admin of plant": (
        "/work",
        "/work/requests",
        "/work/applications",
        "/work/do/offer",
        "/work/do/complete",
        "/work/confirm",
        "/work/do/assess",
    ),
    "operator of operator": (
        "/work",
        "/work/organisations",
        "/work/organisations/uni",
        "/work/do/register",
        "/work/health",
    ),
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
