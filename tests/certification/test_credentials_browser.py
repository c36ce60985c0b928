"""Certificates in a real browser: collecting on a phone, and checking the file that was collected."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from services.certification.app import core, router
from shared.contract.events import OrganisationKind, OrganisationRegistered
from tests.browser import DESK, PHONE, accessible, shot, within
from tests.certification.test_credentials_flow import certificate_of, publish_scheme
from tests.making import event
from tests.stack import Running, on_a_socket, running

FOUND = {"en": "It is real and valid.", "ru": "Сертификат подлинный и действует."}


@pytest.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path_factory.mktemp("keys")) as started:
        name = "Юргинский технологический колледж"
        named = OrganisationRegistered(kind=OrganisationKind.institution, name=name, region="north")
        await started.publish(event(named, "uni", by="operator:operator"))
        await publish_scheme(started, "futures")
        yield started


@within(240)
@pytest.mark.parametrize("language", ["en", "ru"])
async def test_what_is_collected_on_a_phone_is_found_to_be_real_and_axe_finds_nothing(
    browser: Browser, stack: Running, tmp_path: Path, language: str
):
    id = await certificate_of(stack, f"learner-{language}")
    made = await stack.client.post(f"/certificates/{id}/link", headers=stack.token("uni", "institution"))
    path = made.json()["address"].partition("/collect/")[2]
    async with on_a_socket(stack) as url:
        for size in (PHONE, DESK):
            context = await browser.new_context(viewport=size, locale=language, accept_downloads=True)
            page = await context.new_page()
            await page.goto(f"{url}/collect/{path}")
            await accessible(page)
            await shot(page, f"collect-{language}-{size['width']}")
            async with page.expect_download() as started:
                await page.locator("a.primary").click()
            download = await started.value
            file = tmp_path / download.suggested_filename
            await download.save_as(file)
            await page.goto(f"{url}/certificates/{id}")
            await accessible(page)
            await shot(page, f"certificate-{language}-{size['width']}")
            printed = tmp_path / f"printed-{size['width']}.png"
            await page.locator("figure.qr").screenshot(path=printed)
            await page.goto(f"{url}/verify")
            await page.locator("#file").set_input_files(printed)
            await page.locator("main form button").click()
            await expect(page).to_have_url(f"{url}/certificates/{id}")
            await page.goto(f"{url}/verify")
            await accessible(page)
            await shot(page, f"verify-{language}-{size['width']}")
            await page.locator("#file").set_input_files(file)
            await page.locator("main form button").click()
            await expect(page.locator(".verdict .result")).to_have_text(FOUND[language])
            await accessible(page)
            await shot(page, f"verified-{language}-{size['width']}")
            await page.locator("#address").fill("http://127.0.0.1/")
            await page.locator("main form button").click()
            await expect(page.locator("#address-wrong")).to_be_visible()
            await accessible(page)
            await context.close()
