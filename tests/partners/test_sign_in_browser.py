"""Signing in with a real browser: passkeys, a sign-in provider, without JavaScript, and what a screen reader needs."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect
from pydantic import SecretStr

from deploy.local.processes import free_port
from shared.http.sessions import COOKIE
from tests.browser import DESK, PHONE, accessible, shot, within
from tests.packages import packages
from tests.people import PASSWORD, invited, person, signed_in
from tests.stack import Running, on_a_socket


@pytest_asyncio.fixture(scope="module")
async def url(partners: Running) -> AsyncIterator[str]:
    """Where people reach partners: by a name, for passkeys need one."""
    async with on_a_socket(partners) as address:
        named = address.replace("127.0.0.1", "localhost")
        partners.settings.public_urls["partners"] = named
        yield named


async def with_passkeys(context: BrowserContext) -> Page:
    """A page in a browser whose device has a finger on it."""
    page = await context.new_page()
    device = await context.new_cdp_session(page)
    await device.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True}
    options |= {"hasUserVerification": True, "isUserVerified": True}
    await device.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return page


@within(120)
async def test_journey_a_passkey_is_made_used_and_removed(browser: Browser, partners: Running, url: str):
    context = await browser.new_context(viewport=PHONE, locale="en")
    page = await with_passkeys(context)
    await page.goto(url + await invited(partners, "uni", "staff"))
    await page.get_by_role("button", name="Make a passkey").click()
    await page.wait_for_url(f"{url}/work")
    await page.goto(f"{url}/account")
    await page.get_by_role("button", name="Remove").click()
    await expect(page.locator(".wrong")).to_contain_text("the only way in")
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url(f"{url}/sign-in")
    await page.goto(f"{url}/account")
    await page.get_by_role("button", name="Sign in with a passkey").click()
    await page.wait_for_url(f"{url}/account")
    await expect(page.locator("h1")).to_have_text("New Person")
    await page.get_by_label("The new one").fill(PASSWORD)
    await page.get_by_role("button", name="Set the password").click()
    await expect(page.get_by_label("The one you have")).to_be_visible()
    await page.get_by_role("button", name="Remove").click()
    await expect(page.get_by_text("None yet.")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_role("button", name="Sign in with a passkey").click()
    await expect(page.locator(".wrong")).to_contain_text("belongs to no member")
    await context.close()


@within(120)
async def test_a_passkey_of_another_challenge_or_a_second_time_proves_nothing(
    browser: Browser, partners: Running, url: str
):
    context = await browser.new_context(viewport=PHONE, locale="en")
    page = await with_passkeys(context)
    await page.goto(url + await invited(partners, "uni", "staff"))
    await page.get_by_role("button", name="Make a passkey").click()
    await page.wait_for_url(f"{url}/work")
    await page.get_by_role("button", name="Sign out").click()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.post_data or "") if request.method == "POST" else None)
    await page.get_by_role("button", name="Sign in with a passkey").click()
    await page.wait_for_url(f"{url}/work")
    await context.clear_cookies()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": url}
    again = await context.request.post(f"{url}/sign-in", data=sent[0], headers=headers, max_redirects=0)
    assert again.status == 422
    assert "that took too long" in await again.text()
    await context.close()


@within(120)
async def test_journey_through_the_sign_in_provider(
    browser: Browser, partners: Running, url: str, monkeypatch: pytest.MonkeyPatch
):
    """Members are found by their verified address; others come in only by their domain."""
    known = await person(partners, "uni", "mentor")
    port, settings = free_port(), partners.settings
    monkeypatch.setattr(settings, "oidc_issuer", f"http://localhost:{port}")
    monkeypatch.setattr(settings, "oidc_client_id", "praktika")
    monkeypatch.setattr(settings, "oidc_client_secret", SecretStr("only-for-tests"))
    monkeypatch.setattr(settings, "oidc_name", "Uni's login")
    monkeypatch.setattr(settings, "oidc_provision", {"plant.example": "plant"})
    async with provider(port, f"{url}/sign-in/oidc/callback"):

        async def signed_in_as(email: str) -> Page:
            context = await browser.new_context(viewport=PHONE, locale="en")
            page = await context.new_page()
            await page.goto(f"{url}/account")
            await page.get_by_role("link", name="Sign in with Uni's login").click()
            await page.locator("[name=login]").fill(email)
            await page.locator("[name=password]").fill("x")
            await page.locator("[type=submit]").click()
            await page.wait_for_load_state()
            if urlsplit(page.url).port == port:
                await page.locator("[type=submit]").click()
            return page

        page = await signed_in_as(known["email"].upper())
        await expect(page.locator("h1")).to_have_text("mentor of uni")
        assert urlsplit(page.url).path == "/account"
        page = await signed_in_as("pavel@plant.example")
        await expect(page.locator("h1")).to_have_text("Name of pavel")
        await expect(page.locator("main")).to_contain_text("Plant")
        page = await signed_in_as("eve@elsewhere.example")
        await expect(page.locator(".trouble").first).to_contain_text("eve@elsewhere.example belongs to no member")
        page = await signed_in_as("unsure@plant.example")
        await expect(page.locator(".trouble").first).to_contain_text("does not vouch for your e-mail address")
        await page.goto(f"{url}/sign-in/oidc/callback?code=x&state=y")
        await expect(page.locator(".trouble").first).to_contain_text("that took too long")
        for context in browser.contexts:
            await context.close()
    page = await (await browser.new_context(locale="en")).new_page()
    await page.goto(f"{url}/sign-in")
    monkeypatch.setattr(settings, "oidc_client_id", "another")  # its metadata are not known yet
    await page.get_by_role("link", name="Sign in with Uni's login").click()
    await expect(page.locator(".trouble").first).to_contain_text("does not answer")
    await page.context.close()


class provider:  # noqa: N801  # a context manager
    """oidc-provider (npm) on loopback."""

    def __init__(self, port: int, back: str) -> None:
        self._command = ("node", "provider.mjs", str(port), "praktika", "only-for-tests", back)

    async def __aenter__(self) -> None:
        if shutil.which("node") is None:
            pytest.skip("there is no Node here")
        pipe = asyncio.subprocess.PIPE
        folder = await asyncio.to_thread(packages)
        self._process = await asyncio.create_subprocess_exec(*self._command, cwd=folder, stdout=pipe)
        assert self._process.stdout
        async with asyncio.timeout(30):
            assert await self._process.stdout.readline() == b"ready\n"

    async def __aexit__(self, *_: Any) -> None:
        self._process.kill()
        await self._process.wait()


@within(120)
async def test_journey_an_admin_invites_without_javascript(browser: Browser, partners: Running, url: str):
    context = await browser.new_context(viewport=PHONE, locale="ru", java_script_enabled=False)
    page = await context.new_page()
    await page.goto(url + await invited(partners, "plant", "admin"))
    await page.locator("#password").fill("коротко")
    await page.locator("#password").press("Enter")
    await expect(page.locator("#password-wrong")).to_be_visible()
    await page.locator("#password").fill("сорок яблонь у старой мельницы")
    await page.get_by_role("button", name="Задать пароль").click()
    await page.goto(f"{url}/members")
    await page.locator("summary").click()
    await page.locator("#name").fill("Пётр")
    await page.locator("#email").fill("petr@plant.example")
    await page.get_by_role("button", name="Создать ссылку").click()
    link = await page.locator("#made-link").input_value()
    assert link.startswith(f"{url}/invitation?token=")
    await page.get_by_role("button", name="Выйти").click()
    await page.goto(link)
    await expect(page.locator("main")).to_contain_text("Plant")
    await context.close()


PAGES = ("/sign-in", "/account", "/members", "/members/{member}", "/people-log", "/invitation?token=gone", "/nowhere")


@within(240)
@pytest.mark.parametrize(("language", "size"), [("ru", PHONE), ("en", DESK)], ids=["ru-phone", "en-desk"])
async def test_axe_finds_nothing_on_the_pages_of_people(
    browser: Browser, partners: Running, url: str, language: str, size: dict[str, int]
):
    admin = await signed_in(partners, "uni", "admin", "institution", "Анна Admin")
    assert admin.member
    link = await invited(partners, "uni", "staff")
    context = await browser.new_context(viewport=size, locale=language)  # type: ignore[arg-type]
    page = await context.new_page()
    for path in (link, *PAGES):
        if path == "/account":
            await context.add_cookies([{"name": COOKIE, "value": admin.client.cookies[COOKIE], "url": url}])
        await page.goto(url + path.format(member=admin.member.id))
        await expect(page.locator("html")).to_have_attribute("lang", language)
        await accessible(page)
        await shot(page, f"{path.strip('/').split('?')[0].split('/')[0]}-{size['width']}-{language}")
    await page.goto(f"{url}/members")
    await page.locator("summary").click()
    await page.locator("main form .primary").click()
    await expect(page.locator(".wrong").first).to_be_visible()
    await accessible(page)
    await shot(page, f"members-wrong-{size['width']}-{language}")
    await context.close()
