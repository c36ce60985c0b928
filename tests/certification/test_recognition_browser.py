"""Recognition in a real browser: the public list, a certificate's page, and an enterprise's graduates."""

from collections.abc import AsyncIterator
from datetime import date, timedelta

import pytest
from playwright.async_api import Browser, expect

from services.certification.app import core, router
from shared.contract.events import LearnerGraduated, OrganisationKind
from shared.http.sessions import COOKIE
from tests.browser import DESK, PHONE, accessible, shot, within
from tests.certification.test_credentials_flow import certificate_of, publish_scheme
from tests.certification.test_recognition_flow import FUTURES, PROBLEM, SYSTEMS, grant, registered
from tests.making import NOON, event
from tests.people import close, signed_in
from tests.stack import Running, on_a_socket, running


@pytest.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path_factory.mktemp("keys")) as started:
        await started.publish(
            registered("uni", "Юргинский технологический колледж", OrganisationKind.institution),
            registered("plant", "Машиностроительный завод «Сибирский станок»"),
            registered("lab", "Institute of Welding", OrganisationKind.research_centre),
            *(grant(id, competency) for id in ("plant", "lab") for competency in (FUTURES, SYSTEMS, PROBLEM)),
        )
        await publish_scheme(started, "futures")
        for number in range(6):
            await certificate_of(started, f"graduate-{number}")
            graduated = LearnerGraduated(programme="p", graduated_on=date(2026, 2, 1))
            await started.publish(event(graduated, f"graduate-{number}", time=NOON + timedelta(hours=number)))
        await started.applied()
        yield started


@within(240)
@pytest.mark.parametrize("language", ["en", "ru"])
async def test_who_recognises_what_is_found_from_a_certificate_and_axe_finds_nothing(
    browser: Browser, stack: Running, language: str
):
    id = await certificate_of(stack, f"shown-{language}")
    who = await signed_in(stack, "plant", "mentor", "enterprise")
    cookie = {"name": COOKIE, "value": who.client.cookies[COOKIE]}
    async with on_a_socket(stack) as url:
        for size in (PHONE, DESK):
            context = await browser.new_context(viewport=size, locale=language)
            page = await context.new_page()
            await page.goto(f"{url}/certificates/{id}")
            await expect(page.locator("dd a", has_text="Institute of Welding")).to_be_visible()
            await accessible(page)
            await shot(page, f"recognised-{language}-{size['width']}")
            await page.locator("main p a[href*=recognitions]").click()
            await expect(page.locator("tbody tr")).to_have_count(2)
            await page.locator(".notice a").click()
            await expect(page.locator("tbody tr")).to_have_count(6)
            await page.locator("#q").fill("welding")
            await page.locator("main form button").click()
            await expect(page.locator("tbody tr")).to_have_count(3)
            await page.wait_for_load_state()  # a click does not wait for the style sheet
            await accessible(page)
            await shot(page, f"recognitions-{language}-{size['width']}")
            await context.add_cookies([{**cookie, "url": url}])
            await page.goto(f"{url}/recognitions")
            await page.locator("a[href$='recognitions/mine']").click()
            await expect(page.locator("tbody tr", has_text=FUTURES)).to_contain_text("технологический колледж: 6")
            await page.wait_for_load_state()
            await accessible(page)
            await shot(page, f"graduates-{language}-{size['width']}")
            await context.close()
    await close(who)
