"""The institution's own picture of a badge: only its pixels come through, and credentials stay as they are."""

import base64
import json
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from deploy.praktika.backup import KEPT
from services.certification.app import core, router
from services.certification.credentials import issuing, own_pictures, picture, pixels
from services.certification.credentials.baking import unbake_png, unbake_svg
from shared.contract.events import OrganisationKind, OrganisationRegistered
from shared.files import bounded
from shared.http.sessions import COOKIE
from shared.processing import mongo
from tests.browser import DESK, PHONE, accessible, shot, within
from tests.certification.test_credentials_flow import certificate_of, credential, publish_scheme
from tests.making import event
from tests.pages import BADGE_PAGES
from tests.people import close, signed_in, visitor
from tests.stack import Running, on_a_socket, running

COMPETENCY = "greencomp:3.1"
XMLNS = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
CIRCLE = '<circle cx="50" cy="50" r="40" fill="teal"/>'


def svg(inside: str, attributes: str = "", before: str = "") -> bytes:
    return f'{before}<svg {XMLNS} viewBox="0 0 100 100" {attributes}>{inside}</svg>'.encode()


def png(width: int, height: int, rows: list[bytes] | None = None, *, said: int = 0) -> bytes:
    """A PNG in shades of grey; *said*: how wide it claims to be."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", said or width, said or height, 8, 0, 0, 0, 0)
    content = zlib.compress(b"".join(b"\0" + row for row in rows or [b"\x80" * width] * height), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def data(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


OWN = svg(CIRCLE)
LAUGHS = (
    "<!DOCTYPE svg [" + '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(9)) + "]>"
)
USES = "".join(
    f'<g id="u{i + 1}">{f"""<use href="#u{i}"/>""" * 10}</g>' for i in range(12)
)  # a billion circles, if they are all drawn

# What is refused, and by which words.
REFUSED: dict[str, tuple[bytes, str]] = {
    "xxe": (svg("&x;", before='<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'), "could be read"),
    "external dtd": (svg(CIRCLE, before='<!DOCTYPE svg SYSTEM "http://evil.example/x.dtd">'), "could be read"),
    "billion laughs": (svg("&a9;", before=LAUGHS), "could be read"),
    "script": (svg(f"<script>alert(1)</script>{CIRCLE}"), "script, which"),
    "script elsewhere": (svg(f'<script xlink:href="https://evil.example/x.js"/>{CIRCLE}'), "script, which"),
    "foreignObject": (svg('<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"/></foreignObject>'), "foreignObj"),
    "javascript link": (svg(f'<a href="javascript:alert(1)">{CIRCLE}</a>'), "a, which"),
    "animated link": (svg(f'<animate attributeName="href" to="javascript:alert(1)"/>{CIRCLE}'), "animate, which"),
    "set": (svg('<set attributeName="onload" to="alert(1)"/>'), "set, which"),
    "text": (svg("<text y='50'>A</text>"), "text, which"),
    "css import": (svg(f"<style>@import 'https://evil.example/x.css';</style>{CIRCLE}"), "outside"),
    "css url": (svg(f"<style>circle{{fill:url( 'https://evil.example/x')}}</style>{CIRCLE}"), "outside"),
    "style url": (svg('<rect style="fill:url(//evil.example/x)" width="9" height="9"/>'), "outside"),
    "attribute url": (svg('<rect fill="url(file:///etc/passwd#a)" width="9" height="9"/>'), "outside"),
    "use of another": (svg('<use href="https://evil.example/x.svg#a"/>'), "outside"),
    "image of another": (svg('<image xlink:href="http://169.254.169.254/latest" width="9" height="9"/>'), "outside"),
    "image of a file": (svg('<image href="/etc/passwd" width="9" height="9"/>'), "outside"),
    "feImage": (svg(f'<filter id="f"><feImage href="https://evil.example/"/></filter>{CIRCLE}'), "outside"),
    "data: html": (svg(f'<image href="{data(b"<script>", "text/html")}" width="9" height="9"/>'), "outside"),
    "data: svg": (svg(f'<image href="{data(OWN, "image/svg+xml")}" width="9" height="9"/>'), "outside"),
    "deep": (svg("<g>" * 60 + CIRCLE + "</g>" * 60), "too many details"),
    "many": (svg("<g/>" * 10_001 + CIRCLE), "too many details"),
    "a billion uses": (
        svg(f"<defs><circle id='u0' r='9'/>{USES}</defs><use href='#u12'/>"),
        "nothing to be seen|more time",
    ),
    "no picture": (b"hello", "could be read"),
    "html": (b"<html xmlns='http://www.w3.org/1999/xhtml'><script/></html>", "could be read"),
    "no namespace": (b"<svg><circle r='9'/></svg>", "could be read"),
    "nothing on it": (svg("<g/>"), "nothing to be seen"),
    "large": (svg(CIRCLE + " " * 200_000), "200 kB"),
    "png that is cut off": (png(9, 9)[:40], "nothing to be seen"),
    "png without a head": (b"\x89PNG\r\n\x1a\n", "4096 pixels"),
    "png of a billion pixels": (png(9, 9, said=30_000), "4096 pixels"),
}
# What is drawn, without what it carries.
HARMLESS = {
    "plain": OWN,
    "onload": svg(CIRCLE, 'onload="alert(1)"'),
    "handlers": svg('<circle cx="50" cy="50" r="40" onclick="alert(1)" onmouseover="alert(2)"/>'),
    "huge": svg(CIRCLE, 'width="1e9" height="1e9"'),
    "instruction": svg(CIRCLE, before='<?xml-stylesheet href="https://evil.example/x.css"?>'),
    "notes of editors": svg(f'<i:pgf xmlns:i="urn:i"><i:x href="#"/></i:pgf><metadata>x</metadata>{CIRCLE}'),
    "html beside": svg(f'<h:script xmlns:h="http://www.w3.org/1999/xhtml">alert(1)</h:script>{CIRCLE}'),
    "own gradient": svg(
        '<linearGradient id="g"><stop stop-color="red"/></linearGradient><rect width="99" height="99" fill="url(#g)"/>'
    ),
    "styled": svg(f"<style>circle{{stroke:#000}}</style>{CIRCLE}"),
    "png within": svg(f'<image href="{data(png(4, 4), "image/png")}" width="99" height="99"/>'),
    "png": png(40, 20),
    "png with a script behind it": png(9, 9) + b"<script>alert(1)</script>",
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_hostile_picture_is_refused_and_it_is_said_why(name: str):
    content, words = REFUSED[name]
    with pytest.raises(pixels.NotDrawn, match=words):
        await pixels.drawn(content)


@pytest.mark.parametrize("name", HARMLESS)
async def test_of_a_picture_only_its_pixels_are_kept(name: str):
    found = await pixels.drawn(HARMLESS[name])
    kinds, at = [], 8
    while at < len(found):
        (length,) = struct.unpack_from(">I", found, at)
        kinds.append(found[at + 4 : at + 8])
        at += 12 + length
    assert {*kinds} <= {b"IHDR", b"IDAT", b"IEND", b"PLTE", b"tRNS", b"sRGB", b"gAMA", b"pHYs"}
    assert struct.unpack_from(">II", found, 16) == (512, 512)
    assert await pixels.drawn(found) == found, "what was looked at is what is used"


async def test_a_picture_with_much_on_it_is_drawn_smaller():
    found = await pixels.drawn(
        png(400, 400, [bytes((x * x * 7 + y * y * 13 + x * y) % 251 for x in range(400)) for y in range(400)])
    )
    assert struct.unpack_from(">I", found, 16)[0] < 512
    assert len(found) <= pixels.MOST_KEPT


async def test_a_picture_that_takes_for_ever_is_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bounded, "CPU_S", 1)
    monkeypatch.setattr(bounded, "CODE", "while True: pass")
    with pytest.raises(pixels.NotDrawn, match="more time or memory"):
        await pixels.drawn(OWN)


@pytest.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path_factory.mktemp("keys")) as started:
        named = OrganisationRegistered(kind=OrganisationKind.institution, name="Колледж", region="north")
        await started.publish(event(named, "uni", by="operator:operator"))
        await publish_scheme(started, "futures")
        await started.applied()
        yield started


def by(stack: Running, **more: str) -> dict[str, str]:
    return stack.token("uni", "institution") | more


async def put(stack: Running, content: bytes, kind: str = "image/svg+xml", of: str = COMPETENCY) -> Any:
    return await stack.client.put(f"/badges/{of}", content=content, headers=by(stack, **{"Content-Type": kind}))


async def test_an_institutions_own_picture_takes_the_drawn_ones_place_until_it_is_taken_back(stack: Running):
    id = await certificate_of(stack, "pictured")
    before = {form: await credential(stack, id, form) for form in issuing.FORMS}
    drawn = await stack.client.get(f"/badges/{COMPETENCY}", headers=by(stack))
    assert drawn.headers["content-type"] == "image/svg+xml"
    assert (await put(stack, OWN)).status_code == 204
    own = await stack.client.get(f"/badges/{COMPETENCY}", headers=by(stack))
    assert (own.headers["content-type"], own.content) == ("image/png", await pixels.drawn(OWN))
    assert "sandbox" in own.headers["content-security-policy"]
    after = {form: await credential(stack, id, form) for form in issuing.FORMS}
    assert {form for form in before if before[form] != after[form]} == {"badge.png", "badge.svg", "certificate.pdf"}
    assert unbake_png(after["badge.png"]) == unbake_svg(after["badge.svg"]) == before["credential.json"].decode()
    page = await stack.client.get(f"/certificates/{id}", headers={"Accept": "text/html"})
    assert picture.data_uri(own.content) in page.text
    assert (await stack.client.delete(f"/badges/{COMPETENCY}", headers=by(stack))).status_code == 204
    assert {form: await credential(stack, id, form) for form in issuing.FORMS} == before


async def test_a_picture_that_does_not_do_is_answered_with_why(stack: Running):
    wrong = await put(stack, REFUSED["script"][0])
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "body")
    assert "script" in wrong.json()["errors"][0]["detail"]
    assert (await put(stack, b"x", "text/html")).status_code == 415
    assert (await put(stack, OWN, of="greencomp:1.1")).status_code == 404
    other = await stack.client.put(f"/badges/{COMPETENCY}", content=OWN, headers=stack.token("plant", "enterprise"))
    assert other.status_code == 403
    assert await own_pictures.find(stack.service, "uni", COMPETENCY) is None


async def test_pictures_are_backed_up_and_come_back(stack: Running):
    await own_pictures.keep(stack.service, "uni", "x:1", b"\x89PNG\0\xff")
    assert own_pictures.PICTURES in KEPT["certification"]
    home = stack.service.store.home
    lines = await mongo.dumped(home, [own_pictures.PICTURES])
    await own_pictures.forget(stack.service, "uni", "x:1")
    assert await mongo.restored(home, json.loads(json.dumps(lines))) == len(lines)
    assert await own_pictures.find(stack.service, "uni", "x:1") == b"\x89PNG\0\xff"


@pytest.mark.parametrize("page", BADGE_PAGES)
async def test_only_staff_of_institutions_open_the_pages(stack: Running, page: str):
    method, path = page.split(" ")
    path = BADGE_PAGES[page].at or path
    people = (
        *(("uni", "admin", "institution", True), ("uni", "staff", "institution", True)),
        *(("uni", "mentor", "institution", False), ("plant", "admin", "enterprise", False)),
        *(("operator", "operator", "operator", False), ("operator", "coordinator", "operator", False)),
    )
    for organisation, role, kind, is_open in people:
        who = await signed_in(stack, organisation, role, kind)
        answer = await (who.get(path) if method == "GET" else who.post(path))
        assert (answer.status_code == 403) != is_open, f"{kind} {role}: {answer.status_code}"
        await close(who)
    nobody = visitor(stack)
    answer = await (nobody.get(path) if method == "GET" else nobody.post(path))
    assert answer.status_code == (303 if method == "GET" else 401)
    await close(nobody)


@within(240)
@pytest.mark.parametrize(("language", "size"), [("ru", PHONE), ("en", DESK)], ids=["ru-phone", "en-desk"])
async def test_a_picture_is_looked_at_used_and_taken_back_in_a_browser(
    stack: Running, browser: Browser, tmp_path: Path, language: str, size: dict[str, Any]
):
    who = await signed_in(stack, "uni", "staff", "institution")
    file, wrong = tmp_path / "own.svg", tmp_path / "wrong.svg"
    file.write_bytes(
        svg(
            '<circle cx="50" cy="50" r="46" fill="#0a5"/><path d="M30 52l14 14 28-32" stroke="#fff" '
            'stroke-width="9" fill="none"/>'
        )
    )
    wrong.write_bytes(REFUSED["text"][0])
    async with on_a_socket(stack) as url:
        context = await browser.new_context(viewport=size, locale=language)
        await context.add_cookies([{"name": COOKIE, "value": who.client.cookies[COOKIE], "url": url}])
        page = await context.new_page()
        await page.goto(f"{url}/badges?lang={language}")
        await accessible(page)
        await shot(page, f"badges-{language}")
        await page.locator(".badges a").first.click()
        await accessible(page)
        await shot(page, f"badge-drawn-{language}")
        await page.locator("#file").set_input_files(wrong)
        await page.locator("form:has(#file) button").click()
        await expect(page.locator("#file-wrong")).to_be_visible()
        await accessible(page)
        await page.locator("#file").set_input_files(file)
        await page.locator("form:has(#file) button").click()
        await accessible(page)
        await shot(page, f"badge-preview-{language}")
        assert await own_pictures.find(stack.service, "uni", COMPETENCY) is None
        await page.locator("form:has([name=pixels]) button").click()
        await expect(page.locator(".notice")).to_be_visible()
        await accessible(page)
        await shot(page, f"badge-own-{language}")
        assert await own_pictures.find(stack.service, "uni", COMPETENCY) == await pixels.drawn(file.read_bytes())
        await page.locator("button[name=drawn]").click()
        await expect(page.locator("#now")).to_have_text({"ru": "Нарисовано за вас", "en": "Drawn for you"}[language])
        assert await own_pictures.find(stack.service, "uni", COMPETENCY) is None
        await context.close()
    await close(who)
