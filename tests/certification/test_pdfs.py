"""The certificate as a PDF for print, and the credential that is attached to it."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import typst
from pypdf import PdfReader, PdfWriter

from services.certification.credentials import attached, badge, issuing, keys
from services.certification.credentials.badge import Assessed
from services.certification.credentials.baking import NotBaked
from shared.files import bounded
from shared.settings import Settings
from tests.certification.test_independent import CERTIFICATE, PUBLIC
from tests.certification.vc import checked

HOSTILE = [
    '#read("/etc/passwd")',
    '#import "@preview/cetz:0.3.4"',
    "[a] *b* _c_ $d$ `e` @f <g> // h /* i",
    '"], "level": 8, "x": ["',
    "\\u{41} \\ #[] #{panic()}",
    "é́́ ñ̃",
]


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> keys.Keyring:
    settings = Settings(keys_dir=tmp_path_factory.mktemp("keys"))
    keys.ensure(settings)
    return keys.keyring(settings)


def issued(ring: keys.Keyring, language: Any = "ru", **changes: Any) -> issuing.Issued:
    of = CERTIFICATE._replace(**changes)
    return issuing.Issued(of, badge.credential(of, PUBLIC, ring, language), ring)


def pdf(ring: keys.Keyring, language: Any = "ru", **changes: Any) -> bytes:
    return issuing.in_form(issued(ring, language, **changes), "certificate.pdf", "EdDSA")


def text(content: bytes) -> str:
    """What stands on the only page, with single spaces; a break within a long word is no space."""
    (page,) = PdfReader(BytesIO(content)).pages
    return " ".join(page.extract_text().replace("\u200b\n", "").replace("\u200b", "").split())


@pytest.mark.parametrize("language", ["ru", "en"])
def test_a_page_says_in_both_languages_what_the_certificate_is_for(ring: keys.Keyring, language: str):
    name = "Северный колледж “A”"
    found = text(pdf(ring, language, name=name))
    texts = [
        "Грамотность в вопросах будущего",
        "Futures literacy",
        "Кто оценивал",
        "Assessed by",
        "экзамен",
        "exam",
        "5",
    ]
    texts += ["15 июня 2026", "15 June 2026", "14.06.2026", "Северный колледж", name, "greencomp:3.1", "GreenComp"]
    texts += ["north-college:futures", "https://praktika.example/certificates/", "c-1", "praktika.example/verify"]
    assert [each for each in texts if each not in found] == []
    assert found.index("Futures literacy") > found.index("Грамотность") or language == "en"


def test_a_pdf_is_for_archives_and_screen_readers_and_has_its_title_and_its_day(ring: keys.Keyring):
    content = pdf(ring, name="Колледж")
    found = PdfReader(BytesIO(content))
    said = bytes(found.xmp_metadata.stream.get_data()) if found.xmp_metadata else b""
    assert b"<pdfaid:part>3</pdfaid:part>" in said
    assert b"<pdfuaid:part>1</pdfuaid:part>" in said
    assert found.metadata is not None
    assert found.metadata.title == "Грамотность в вопросах будущего"
    assert found.metadata.creation_date_raw == "D:20260615000000Z"


def test_a_holders_name_and_the_last_day_are_printed_where_there_are_any(ring: keys.Keyring):
    of = issued(ring, valid_until="2027-03-09")
    held = of._replace(document=badge.for_holder(of.document, badge.Holder(name="Анна [Ярцева] #1", did="")))
    said = text(issuing.in_form(held, "certificate.pdf", "EdDSA"))
    assert "Анна [Ярцева] #1" in said
    assert "09.03.2027" in said
    assert "Действует до" not in text(pdf(ring))


def test_the_same_credential_gives_the_same_bytes(ring: keys.Keyring):
    assert pdf(ring) == pdf(ring) != pdf(ring, id="c-2")


async def test_the_credential_is_attached_as_it_is_and_is_found_by_whoever_checks_the_file(ring: keys.Keyring):
    content = pdf(ring)
    taken = await attached.credential_in(content)
    assert taken == issuing.in_form(issued(ring), "credential.json", "EdDSA")
    document = json.loads(taken)
    verdict = await checked(content)
    assert verdict.credential == document


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_name_is_printed_as_it_is_whatever_it_looks_like(ring: keys.Keyring, hostile: str):
    evidence = (Assessed("exam", "x", hostile, "2026-06-14"),)
    title = {"en": hostile, "ru": f"Я {hostile}"}
    found = text(pdf(ring, name=hostile, title=title, framework={"en": hostile}, evidence=evidence))
    assert found.count(" ".join(hostile.split())) == 5


@pytest.mark.parametrize("hostile", ["👩🏽‍🏭 漢字 عربي שלום", "A\u202eB", "\ufffd\u0007", "한" * 200])
def test_signs_that_the_font_does_not_have_leave_a_pdf_with_one_page(ring: keys.Keyring, hostile: str):
    assert "Грамотность" in text(pdf(ring, name=hostile, framework={"en": hostile}))


@pytest.mark.parametrize("letters", ["Ы" * 500, "W" * 500, "длинное слово " * 35, "a-" * 250])
def test_whatever_is_long_is_set_smaller_on_the_same_page(ring: keys.Keyring, letters: str):
    evidence = tuple(Assessed("exam", "x", letters, "2026-06-14") for _ in range(50))
    found = text(pdf(ring, name=letters, title={"en": letters, "ru": letters}, evidence=evidence, scheme="s" * 100))
    assert found.replace(" ", "").count(letters.replace(" ", "")) >= 2


def test_the_page_may_read_nothing_outside_its_folder(tmp_path: Path):
    page = tmp_path / "page.typ"
    for asked in ('#read("/../../etc/passwd")', '#read("../../../etc/passwd")'):
        page.write_text(asked)
        with pytest.raises(typst.TypstError):
            typst.compile(page, root=tmp_path)


def with_attachments(*contents: bytes) -> bytes:
    writer, written = PdfWriter(), BytesIO()
    writer.add_blank_page(100, 100)
    for content in contents:
        writer.add_attachment(attached.NAME, content)
    writer.write(written)
    return written.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"%PDF-", "cannot be read"),
        (b"%PDF-1.7\n" + b"0 0 obj<<" * 5_000, "cannot be read"),
        (with_attachments(), "no credential attached"),
        (with_attachments(b"{}", b"[]"), "more than one"),
        (with_attachments(b"{" * 1_000_001), "cannot be read"),
    ],
)
async def test_of_a_pdf_without_a_credential_it_is_said_why_nothing_can_be_checked(content: bytes, said: str):
    with pytest.raises(NotBaked, match=said):
        await attached.credential_in(content)
    verdict = await checked(content)
    assert verdict.result == "invalid"
    assert said in verdict.checks[0].reason


async def test_a_pdf_that_takes_for_ever_is_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bounded, "CPU_S", 1)
    monkeypatch.setattr(bounded, "CODE", "while True: pass")
    with pytest.raises(NotBaked, match="cannot be read"):
        await attached.credential_in(b"%PDF-1.7")
