"""Certificates in a real browser: collecting on a phone, checking the file, and the institution's page of links."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from services.certification.app import core, router
from shared.contract.events import OrganisationKind, OrganisationRegistered
from shared.http.sessions import COOKIE
from tests.browser import DESK, PHONE, accessible, shot, within
from tests.certification.test_credentials_flow import FROM_HERE, certificate_of, publish_scheme
from tests.feedback.test_answering import member
from tests.making import event
from tests.people import close
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


@within(240)
async def test_a_learner_with_a_phone_and_without_scripts_takes_decides_and_asks(
    browser: Browser, stack: Running, tmp_path: Path
):
    id = await certificate_of(stack, "phone")
    path = await link_of(stack, id)
    async with on_a_socket(stack) as url:
        context = await browser.new_context(
            viewport=PHONE, locale="ru", accept_downloads=True, java_script_enabled=False, color_scheme="dark"
        )
        page = await context.new_page()
        await page.goto(f"{url}{path}")
        await shot(page, "collect-phone-dark")
        await page.get_by_text("Файл с вашим именем").click()
        await page.locator("#name").fill("Ирина Тест")
        await page.locator("#did").fill("did:example:x")
        await page.get_by_role("button", name="Взять этот файл").click()
        await expect(page.locator("#did-wrong")).to_contain_text("did:key:")
        await expect(page.locator("#name")).to_have_value("Ирина Тест")
        await shot(page, "collect-phone-wrong")
        await page.locator("#did").fill("")
        await page.locator("#form").select_option("credential.json")
        async with page.expect_download() as started:
            await page.get_by_role("button", name="Взять этот файл").click()
        file = tmp_path / "named.json"
        await (await started.value).save_as(file)
        assert "Ирина Тест" in file.read_text()
        await page.get_by_role("button", name="Добавить в кошелёк").click()
        await expect(page.locator(".tx-code")).to_have_text(re.compile(r"^\d{6}$"))
        await shot(page, "collect-phone-wallet")
        await page.get_by_role("button", name="Больше не показывать публично").click()
        await expect(page.locator(".notice")).to_contain_text("больше не показывает")
        assert page.url.endswith("?done=hidden")
        await shot(page, "collect-phone-hidden")
        public = await context.new_page()
        await public.goto(f"{url}/certificates/{id}")
        await expect(public.locator("h1")).to_have_text("Этот сертификат не показан публично")
        await shot(public, "certificate-hidden")
        await page.get_by_role("button", name="Снова показывать публично").click()
        await expect(page.locator(".notice")).to_contain_text("снова показывает")
        await public.goto(f"{url}/certificates/{id}")
        await expect(public.locator(".status")).to_have_text("Действителен")
        await page.get_by_role("link", name="Просьба об удалении данных").click()
        await shot(page, "erasure-phone")
        await page.get_by_role("button", name="Да, попросить").click()
        await expect(page.locator(".notice")).to_contain_text("просите удалить ваши данные")
        await expect(page.locator(".quiet")).to_contain_text("вы попросили удалить")
        await shot(page, "collect-phone-asked")
        await context.close()


@within(240)
async def test_collecting_works_by_the_keyboard_and_axe_finds_nothing_anywhere(browser: Browser, stack: Running):
    id = await certificate_of(stack, "desk")
    path = await link_of(stack, id)
    async with on_a_socket(stack) as url:
        for size in (DESK, PHONE):
            context = await browser.new_context(viewport=size, locale="en")
            page = await context.new_page()
            await page.goto(f"{url}{path}")
            for summary in await page.locator("summary").all():
                await summary.focus()
                await page.keyboard.press("Enter")
            await accessible(page)
            await shot(page, f"collect-open-{size['width']}")
            await page.locator("#did").fill("x")
            await page.locator("#did").press("Enter")
            await expect(page.locator("#did-wrong")).to_be_visible()
            await expect(page.locator("#did")).to_be_focused()
            await accessible(page)
            await page.get_by_role("button", name="Add to a wallet").focus()
            await page.keyboard.press("Enter")
            await expect(page.locator(".tx-code")).to_be_visible()
            await accessible(page)
            await shot(page, f"collect-wallet-{size['width']}")
            await page.reload()
            await page.get_by_role("link", name="Ask to be erased").focus()
            await page.keyboard.press("Enter")
            await expect(page.locator("h1")).to_have_text("Ask to be erased")
            await accessible(page)
            await shot(page, f"erasure-{size['width']}")
            await context.close()


async def link_of(stack: Running, id: str) -> str:
    """The path of a learner's link."""
    made = await stack.client.post(f"/certificates/{id}/link", headers=stack.token("uni", "institution"))
    return "/collect/" + str(made.json()["address"]).partition("/collect/")[2]


@within(240)
@pytest.mark.parametrize("language", ["en", "ru"])
async def test_an_institution_finds_its_links_and_axe_finds_nothing(browser: Browser, stack: Running, language: str):
    for name in ("one", "two"):
        id = await certificate_of(stack, f"listed-{name}")
    staff = member(stack, "uni", "institution", "staff")
    async with on_a_socket(stack) as url:
        await stack.client.post(
            f"{await link_of(stack, id)}/erasure",
            headers=FROM_HERE | {"Content-Type": "application/x-www-form-urlencoded"},
        )
        for size in (PHONE, DESK):
            context = await browser.new_context(viewport=size, locale=language)
            await context.add_cookies([{"name": COOKIE, "value": staff.client.cookies[COOKIE], "url": url}])
            page = await context.new_page()
            await page.goto(f"{url}/links")
            await accessible(page)
            await shot(page, f"links-{language}-{size['width']}")
            await expect(page.locator("#erasures")).to_be_visible()
            link = await page.locator("input.copy").first.input_value()
            await page.locator("ul.card form button").first.click()
            await expect(page.locator(".notice")).to_be_visible()
            assert link not in await page.content()
            await page.locator(".tabs a").nth(1).click()
            await accessible(page)
            await context.close()
    await close(staff)
