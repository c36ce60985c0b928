"""Schemes and certificates in a real browser: on a phone in Russian without JavaScript, at a desk by keyboard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from services.certification.app import core, router
from shared.contract.events import OrganisationKind, OrganisationRegistered
from shared.http.sessions import COOKIE
from tests.browser import PHONE, accessible, shot, within
from tests.certification.test_issuing_pages import CRITICAL, FUTURES, SYSTEMS, assessed, enrolled, scheme
from tests.making import event
from tests.people import close, signed_in
from tests.stack import Running, on_a_socket, running, until
from tests.test_journeys import WAYS, Person

NAME = "Юргинский технологический колледж"


@pytest_asyncio.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path_factory.mktemp("keys")) as started:
        entry = OrganisationRegistered(kind=OrganisationKind.institution, name=NAME, region="RU-KEM")
        await started.publish(event(entry, "uni", by="operator:operator"))
        now = datetime.now(UTC)
        review = {"by_method": [{"method": "review_360", "assessors": 3, "least_score": 0.7}]}
        for id, days, data in (
            ("uni:futures", 950, scheme(FUTURES, "exam")),
            ("uni:futures", 940, scheme(FUTURES, "exam", "portfolio", valid_months=12)),
            ("uni:futures", 900, scheme(FUTURES, "exam", valid_months=12, level=6)),
            ("uni:critical", 30, scheme(CRITICAL, "exam", "portfolio", enterprise_required=True)),
            ("uni:systems", 30, scheme(SYSTEMS, "exam", "review_360", **review)),
        ):
            await started.publish(event(data, id, by="institution:uni", time=now - timedelta(days=days)))
        await started.applied()
        learners = [f"uni:{n:04}" for n in range(8)]
        await started.publish(*map(enrolled, learners))
        days = (400, 300, 290, 5, 5, 5, 5, 5)
        told = [assessed(each, FUTURES, "exam", days=ago) for each, ago in zip(learners, days, strict=True)]
        told += [assessed(each, CRITICAL, "exam") for each in learners[:4]]
        told += [assessed("uni:0005", SYSTEMS, "review_360", assessor=f"t-{n}") for n in range(3)]
        await started.publish(*told)

        async def all_given() -> bool:
            return await started.service.db["learners"].count_documents({"certificates.0": {"$exists": True}}) == 8

        await until(all_given)
        yield started


@asynccontextmanager
async def dean(browser: Browser, stack: Running, way: str) -> AsyncIterator[Person]:
    """An institution's admin at a browser."""
    language, size, by_keyboard, with_scripts = WAYS[way]
    who = await signed_in(stack, "uni", "admin", "institution", "Анна Петрова")
    async with on_a_socket(stack) as url:
        context = await browser.new_context(viewport=size, locale=language, java_script_enabled=with_scripts)  # type: ignore[arg-type]
        await context.add_cookies([{"name": COOKIE, "value": who.client.cookies[COOKIE], "url": url}])
        yield Person(await context.new_page(), url, by_keyboard, way)
        await context.close()
    await close(who)


@within(200)
@pytest.mark.parametrize("way", WAYS)
async def test_an_admin_publishes_a_scheme_knowing_what_follows(browser: Browser, stack: Running, way: str):
    async with dean(browser, stack, way) as one:
        page, send = one.page, one.page.locator("main .form .primary")
        await one.open("/issuing")
        await expect(page.locator("html")).to_have_attribute("lang", WAYS[way].language)
        await one.seen("issuing")
        await one.click(page.locator('main a[href$="issuing/scheme"]'))
        await one.seen("scheme-form")
        await one.fill(competency="thinking", least_score="160", **{"assessors:review_360": "3"})
        await one.click(send)
        for name in ("least_score", "competency", "methods"):
            await expect(page.locator(f"#{name}-wrong")).to_be_visible()
        await expect(page.locator('[name="least_score"]')).to_have_value("160")
        await one.seen("scheme-form-wrong")
        await one.fill(found="greencomp:2.1", level="5", least_score="60", methods="review_360", valid_months="24")
        await one.click(send)
        await expect(page.locator("#ahead")).to_be_visible()
        await one.seen("scheme-ahead")
        await one.click(page.locator('[name="checked"]'))
        await expect(page.locator(".notice").first).to_be_visible()
        await one.seen("issuing-published")


@within(200)
@pytest.mark.parametrize("way", WAYS)
async def test_staff_looks_who_is_near_what_ends_and_revokes(browser: Browser, stack: Running, way: str):
    async with dean(browser, stack, way) as one:
        page, send = one.page, one.page.locator("main .danger")
        await one.open("/issuing/nearly?scheme=uni:critical")
        await expect(page.locator("tbody tr")).to_have_count(4)
        await one.seen("nearly")
        await one.open("/issuing/certificates?status=ending")
        await expect(page.locator("tbody tr")).to_have_count(2)
        await one.seen("certificates")
        await one.open("/issuing/certificates")
        await one.fill(search="uni:0006" if one.keyboard else "uni:0007")
        await one.click(page.locator("main form.search button"))
        await one.click(page.locator('tbody td a[href*="issuing/certificates/"]').first)
        await one.click(send)
        await expect(page.locator("#reason-wrong")).to_be_visible()
        await one.seen("revocation-wrong")
        await page.locator('[name="reason"]').fill("Работа списана")
        await one.fill(sure="yes")
        await one.click(send)
        await expect(page.locator(".notice").first).to_be_visible()
        await expect(page.locator("main")).to_contain_text("Работа списана")
        await one.seen("certificates-revoked")


@within(120)
@pytest.mark.parametrize("way", WAYS)
async def test_everybody_finds_a_scheme_and_its_history(browser: Browser, stack: Running, way: str):
    async with dean(browser, stack, way) as one:
        await one.page.context.clear_cookies(name=COOKIE)
        await one.open("/certificates/check")
        await one.click(one.page.locator('main a[href$="schemes"]'))
        await one.fill(q="greencomp:3.1")
        await one.click(one.page.locator("main form.search button"))
        await expect(one.page.locator("tbody tr")).to_have_count(1)
        await one.seen("catalogue")
        await one.click(one.page.locator("tbody a"))
        await expect(one.page.locator(".versions li")).to_have_count(3)
        await one.seen("scheme")


@within(120)
async def test_axe_finds_nothing_on_a_phone_and_in_the_dark(browser: Browser, stack: Running):
    who = await signed_in(stack, "uni", "admin", "institution")
    async with on_a_socket(stack) as url:
        context = await browser.new_context(viewport=PHONE, locale="ru", color_scheme="dark")  # type: ignore[arg-type]
        await context.add_cookies([{"name": COOKIE, "value": who.client.cookies[COOKIE], "url": url}])
        page = await context.new_page()
        certificate = (await stack.service.db["learners"].find_one({"_id": "uni:0000"}) or {})["certificates"][0]["id"]
        for path in (
            *("schemes", "schemes/uni:futures", "issuing", "issuing/scheme", "issuing/scheme?id=uni:systems"),
            *("issuing/nearly?scheme=uni:systems", "issuing/certificates", f"issuing/certificates/{certificate}"),
            "certificates/check",
        ):
            answer = await page.goto(f"{url}/{path}")
            assert answer is not None
            assert answer.status == 200, path
            await accessible(page)
            await shot(page, f"dark-{path.partition('?')[0].replace('/', '-')[:24]}")
        await context.close()
    await close(who)
