"""The upload page: what it asks of the server, and the page itself in a real browser."""

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import pytest_asyncio
from openpyxl import Workbook, load_workbook
from playwright.async_api import Browser, Page, expect

from services.partners.app import core, router
from services.partners.gateway.contract.page import sent
from services.partners.gateway.files.mapping import ROWS, event_of, fields_of, plan
from services.partners.gateway.files.template import template
from services.partners.gateway.files.upload.words import WORDS
from services.partners.gateway.files.uploads import SCRIPT
from shared.contract.events import organisation_of
from shared.files.tables import sheet, table_of_sheet
from shared.pages.languages import LANGUAGES, Language
from tests.browser import shot, visited, within
from tests.partners.conftest import practise, register, secret_of
from tests.stack import Running, on_a_socket, running

TYPE = "praktika.internship.completed.v1"
HEAD = "Номер;Обучающийся;Дата;Часы;Результат\n"
MEANT = {
    "type": TYPE,
    "timezone": "+07:00",
    "map": ["Номер=subject", "Обучающийся=learner", "Дата=time", "Часы=hours", "Результат=outcome"],
    "set": ["enterprise=plant", "programme=welding"],
}


def line(number: int, hours: str = "8", outcome: str = "пройдена") -> str:
    return f"u-{number};l-{number};02.03.2026;{hours};{outcome}\n"


@pytest_asyncio.fixture(scope="module", autouse=True)
async def practice(partners: Running) -> None:
    await practise(partners)


async def columns(stack: Running, content: str | bytes, by: str = "plant", **query: Any) -> Any:
    kind = "enterprise" if by == "plant" else "institution"
    return await stack.client.post("/upload/columns", content=content, params=query, headers=stack.token(by, kind))


async def upload(stack: Running, content: str | bytes, **changes: Any) -> tuple[list[dict[str, Any]], str]:
    """The refused rows, and the report."""
    headers = stack.token("plant", "enterprise")
    answer = await stack.client.post("/upload/rows", content=content, params=MEANT | changes, headers=headers)
    assert answer.status_code == 200, answer.text
    first, *batches = map(json.loads, answer.text.splitlines())
    refused = [row for batch in batches for row in batch["refused"]]
    assert batches[-1]["done"] == first["rows"]
    assert batches[-1]["accepted"] == first["rows"] - len(refused)
    return refused, first["report"] + "".join(row["line"] for row in refused)


async def learners(stack: Running) -> dict[str, dict[str, Any]]:
    records = [json.loads(record.value or b"") for record in await stack.read("learner")]
    return {event["subject"]: event for event in records}


async def test_the_columns_of_a_file_are_shown_with_an_example_and_what_they_seem_to_be(partners: Running):
    answer = await columns(partners, (HEAD + line(1)).encode("cp1251"), type=TYPE)
    assert answer.json() == {
        "kind": "csv",
        "encoding": "cp1251",
        "rows": 1,
        "columns": [
            {"name": "Номер", "example": "u-1"},
            {"name": "Обучающийся", "example": "l-1"},
            {"name": "Дата", "example": "02.03.2026"},
            {"name": "Часы", "example": "8"},
            {"name": "Результат", "example": "пройдена"},
        ],
        "suggested": {
            "Номер": "subject",
            "Обучающийся": "learner",
            "Дата": "time",
            "Часы": "hours",
            "Результат": "outcome",
        },
    }
    answer = await columns(partners, "a;a\n1;2\n", type=TYPE, lang="ru")
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        "в строке 1 должны быть заголовки, а «a» там дважды: переименуйте один",
    )


async def test_rows_are_accepted_or_told_what_to_mend(partners: Running):
    before = await partners.count("rejected")
    content = HEAD + line(1) + line(2, hours="viel") + line(3, hours="8,125") + line(4)
    checked, report = await upload(partners, content, dry_run=True)
    assert await partners.count("rejected") == before
    assert "u-1" not in await learners(partners)
    refused, same = await upload(partners, content)
    assert (refused, report) == (checked, same)
    assert [(row["row"], row["mistakes"][0]["column"], row["mistakes"][0]["detail"]) for row in refused] == [
        (3, "Часы", "“viel” is no number"),
        (4, "Часы", "must have at most two decimals: 7.33"),
    ]
    assert [row["refused: row"] for row in csv.DictReader(io.StringIO(report[1:]), delimiter=";")] == ["3", "4"]
    events = await learners(partners)
    assert {"u-1", "u-4"} <= events.keys()
    assert not {"u-2", "u-3"} & events.keys()
    assert events["u-1"]["source"] == "/organisations/plant"
    rejected = [json.loads(record.value or b"") for record in await partners.read("rejected")][before:]
    assert {entry["organisation"] for entry in rejected} == {"plant"}
    assert sorted(entry["problem"]["detail"] for entry in rejected) == [
        "row 3 is no event",
        "the event does not fit the contract",
    ]
    assert (await upload(partners, HEAD + line(1)))[0] == []
    (conflict,) = (await upload(partners, HEAD + line(1, hours="4"), lang="ru"))[0]
    assert conflict["status"] == 409
    assert "более позднее время" in conflict["mistakes"][0]["detail"]


async def test_a_spreadsheet_of_many_rows_comes_in_batches(partners: Running):
    book = Workbook()
    assert book.active is not None
    book.active.append(["Номер", "Обучающийся", "Дата", "Часы", "Результат"])
    for number in range(1_001):
        book.active.append([f"x-{number}", f"l-{number}", "2026-03-02", 8.0, "passed"])
    stream = io.BytesIO()
    book.save(stream)
    assert (await upload(partners, stream.getvalue()))[0] == []
    assert sum(subject.startswith("x-") for subject in await learners(partners)) == 1_001


async def test_lines_that_are_events_are_taken_as_they_are(partners: Running):
    await upload(partners, HEAD + line(50))
    event = {name: value for name, value in (await learners(partners))["u-50"].items() if name != "sourcekind"}
    other = {**event, "source": "/organisations/works", "subject": "u-51"}
    content = f"{json.dumps({**event, 'id': 'x', 'subject': 'u-52'})}\n{json.dumps(other)}\n"
    headers = partners.token("plant", "enterprise")
    answer = await partners.client.post("/upload/rows", content=content, headers=headers)
    last = json.loads(answer.text.splitlines()[-1])
    assert [(row["row"], row["status"]) for row in last["refused"]] == [(2, 403)]
    assert "u-52" in await learners(partners)


@pytest.mark.parametrize(
    ("content", "changes", "status", "told"),
    [
        (HEAD + line(1), {"type": None}, 422, "name the type of the events"),
        (HEAD + line(1), {"set": []}, 422, "no column says what enterprise is"),
        (HEAD + line(1), {"timezone": "Tomsk"}, 422, "no offset from UTC"),
        (HEAD + line(1), {"encoding": "zip"}, 422, "must be "),
        (HEAD + line(1), {"map": ["x=hours"] * 300}, 422, "at most 200"),
        (HEAD + line(1), {"lang": "de"}, 422, "must be "),
        (b"", {}, 422, "nothing in the file"),
        (b"PK\x03\x04", {}, 422, "no XLSX file"),
        (b"x" * (8 * 2**20 + 1), {}, 413, "larger than"),
        ("a\n" + "1\n" * 10_001, {}, 422, "more than 10000 rows"),
    ],
)
async def test_what_cannot_be_taken_as_a_whole_is_told(
    partners: Running, content: str | bytes, changes: dict[str, Any], status: int, told: str
):
    headers = partners.token("plant", "enterprise")
    params = {name: value for name, value in (MEANT | changes).items() if value is not None}
    answer = await partners.client.post("/upload/rows", content=content, params=params, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert told in answer.text


async def test_a_stranger_a_suspended_organisation_and_who_sends_too_much_get_nothing(
    kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory
):
    keys = tmp_path_factory.mktemp("keys")
    few = {"quota_events_per_s": 0.01, "quota_burst_events": 5}
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=keys, **few) as stack:
        for path in ("/upload/columns", "/upload/rows"):
            assert (await stack.client.post(path, content=HEAD + line(1))).status_code == 401
        await register(stack, "uni", "institution")
        await register(stack, "plant", "enterprise")
        await practise(stack)
        await upload(stack, HEAD + "".join(line(n) for n in range(9)))
        answer = await columns(stack, HEAD + line(1))
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) > 0
        suspension = {"reason": "lost"}
        headers = {**stack.token("operator", "operator"), "Prefer": "wait=20"}
        await stack.client.post("/organisations/plant/suspension", json=suspension, headers=headers)
        assert (await columns(stack, HEAD + line(1))).status_code == 403


async def test_the_page_and_its_parts_are_served_with_a_strict_policy(partners: Running):
    for path in ("/upload", "/upload/upload.js", "/static/praktika.css"):
        answer = await partners.client.get(path)
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
    assert (await partners.client.get("/upload/upload.html")).status_code == 404
    html = (await partners.client.get("/upload")).text
    assert not re.search(r"\son\w+=|\sstyle=|<script(?! (?:src=\"upload/|type=\"application/json\"))", html)
    assert not re.search(r"(src|action)=\"https?://", html)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", SCRIPT.read_text())


def test_the_page_and_its_script_use_the_words_that_there_are():
    used = {
        *re.findall(r"word\(\"(\w+)\"", SCRIPT.read_text()),
        *re.findall(r"data-(?:text|label)=\"(\w+)\"", SCRIPT.with_suffix(".html").read_text()),
    }
    assert used <= WORDS.keys()


SENT = ROWS


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("type_", SENT)
def test_a_template_is_a_file_that_is_understood_and_says_what_the_example_does(type_: str, language: Language):
    content = template(type_, language)
    rows, explanation = load_workbook(io.BytesIO(content)).worksheets
    assert rows.freeze_panes == "A2"
    assert [row[0] for row in explanation.iter_rows(min_row=2, values_only=True)] == [cell.value for cell in rows[1]]
    offered = {validation.formula1 for validation in rows.data_validations.dataValidation}
    choices = [field for field in fields_of(type_).values() if {"enum"} & field.schema.keys() and not field.list]
    assert bool(offered) >= bool(choices)

    found = table_of_sheet(list(sheet(io.BytesIO(content), len(content) * 100)), 1_000)
    (row,) = found.read()
    meant = plan(found.columns, type_, {}, constants={}, language=language)
    example = sent(type_)
    made = event_of(row, meant, organisation_of(example["source"]))
    starred = {field.partition(".")[0] for field in fields_of(type_) if field.endswith(".*")}
    empty = {name for name, value in example["data"].items() if value == []}
    wanted = {name: value for name, value in example["data"].items() if name not in starred | empty}
    assert made["data"] == wanted
    assert (made["subject"], made["time"]) == (example["subject"], example["time"])


async def test_a_template_is_downloaded_by_its_type(partners: Running):
    answer = await partners.client.get("/upload/template", params={"type": TYPE, "lang": "ru"})
    assert answer.headers["content-disposition"] == 'attachment; filename="internship.completed-ru.xlsx"'
    assert answer.content[:2] == b"PK"
    wrong = await partners.client.get("/upload/template", params={"type": "praktika.internship.complete.v1"})
    assert (wrong.status_code, "is it praktika.internship.completed.v1?" in wrong.text) == (404, True)


@pytest.mark.parametrize("language", ["en", "ru"])
async def test_every_field_of_every_type_is_offered_with_its_meaning(partners: Running, language: str):
    types = (await partners.client.get("/upload/types", params={"lang": language})).json()
    assert {entry["type"] for entry in types} == {*ROWS}
    for entry in types:
        assert all(field["title"] for field in entry["fields"])
        assert entry["title"]


# in a browser


@pytest_asyncio.fixture(scope="module")
async def address(partners: Running) -> AsyncIterator[str]:
    async with on_a_socket(partners) as url:
        yield url


async def opened(browser: Browser, address: str, **context: Any) -> tuple[Page, list[str]]:
    page, said = await visited(browser, f"{address}/upload", timezone_id="Asia/Tomsk", **context)
    assert not said
    return page, said


async def log_in(page: Page, secret: str) -> None:
    await page.locator("#client-id").fill("plant")
    await page.locator("#client-secret").fill(secret)
    await page.keyboard.press("Enter")
    await expect(page.locator("#who")).to_have_text("plant")


async def choose(page: Page, file: Path, columns: int) -> None:
    """Choose a file and say what its columns are; what is the same for all rows is still to be given."""
    await page.locator("#file").set_input_files(file)
    await page.locator("#look button").click()
    await expect(page.locator(".columns tbody tr")).to_have_count(columns)
    await page.get_by_label("Номер", exact=True).first.select_option("subject")
    await expect(page.locator("#constants input")).to_have_count(2)


LAST_TIME = {"en-GB": "Chosen as last time.", "ru-RU": "Выбрано как в прошлый раз."}


async def publish_as_last_time(page: Page, file: Path, locale: str) -> None:
    """The same file again: what was chosen is chosen already, and nothing secret was kept for that."""
    await choose(page, file, columns=6)
    await expect(page.locator("#read-as")).to_contain_text(LAST_TIME[locale])
    assert await page.locator("#constants input").last.input_value() == "welding"
    assert "praktika_" not in await page.evaluate("JSON.stringify(localStorage)")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.locator("#check").click()
    await page.locator("#publish").click()
    await expect(page.locator("#summary")).to_have_text(SUMMARY[locale])


HOSTILE = "<img src=x onerror=alert(1)>"
SUMMARY = {"en-GB": "1 of 3 rows accepted, 2 refused.", "ru-RU": "Принято строк: 1 из 3, отклонено: 2."}

MENDED = {"en-GB": "2 of 2 rows accepted, 0 refused.", "ru-RU": "Принято строк: 2 из 2, отклонено: 0."}


@within(180)
@pytest.mark.parametrize("looks", [("en-GB", 1280), ("ru-RU", 1280), ("ru-RU", 390), ("en-GB", 390)], ids=str)
async def test_a_clerk_uploads_a_file_mends_it_and_uploads_the_rest(
    partners: Running, browser: Browser, address: str, tmp_path: Path, looks: tuple[str, int]
):
    locale, width = looks
    run, file = f"{locale}-{width}", tmp_path / "practice.csv"
    page, cloudevent = await opened(browser, address, locale=locale, viewport={"width": width, "height": 800})
    await log_in(page, await secret_of("plant", partners))
    assert await page.locator("#client-secret").input_value() == ""
    assert await page.evaluate("localStorage.length + sessionStorage.length") == 0
    await page.locator("#type").select_option(TYPE)
    assert await page.locator("#timezone").input_value() == "+07:00"
    await shot(page, f"{run}-1-file")

    good = line(1).replace("u-1;", f"u-{run};")
    file.write_text(HEAD.replace("\n", f";{HOSTILE}\n") + good + line(2, hours="viel") + line(3, outcome=HOSTILE))
    await choose(page, file, columns=6)
    await expect(page.locator(".columns tbody th").last).to_have_text(HOSTILE)
    await page.locator("#constants input").first.fill("plant")
    await page.locator("#check").click()
    await expect(page.locator("#columns-trouble")).to_contain_text("programme")
    await shot(page, f"{run}-2-columns")
    await page.locator("#constants input").last.fill("welding")
    await page.locator("#check").click()
    await expect(page.locator(".refused tbody tr")).to_have_count(2)
    assert f"u-{run}" not in await learners(partners)
    await shot(page, f"{run}-3-checked")
    await page.locator("#publish").click()
    await expect(page.locator("#summary")).to_have_text(SUMMARY[locale])
    assert f"u-{run}" in await learners(partners)
    await expect(page.locator(".refused tbody tr").first).to_contain_text("Часы")
    await expect(page.locator(".refused tbody tr").last).to_contain_text(HOSTILE)
    await shot(page, f"{run}-4-published")

    await choose(page, file, columns=6)
    await expect(page.locator("#read-as")).to_contain_text(
        {"en-GB": "as last time", "ru-RU": "как в прошлый раз"}[locale]
    )
    assert await page.locator("#constants input").last.input_value() == "welding"
    assert "praktika_" not in await page.evaluate("JSON.stringify(localStorage)")
    await page.locator("#check").click()
    await page.locator("#publish").click()
    await expect(page.locator("#summary")).to_have_text(SUMMARY[locale])

    async with page.expect_download() as download:
        await page.locator("#report").click()
    await (await download.value).save_as(tmp_path / "refused.csv")
    text, mended = (tmp_path / "refused.csv").read_text("utf-8-sig"), tmp_path / "mended.csv"
    mended.write_text(text.replace("viel", "8").replace(f";{HOSTILE};", ";failed;").replace("u-", f"m-{run}-"))
    await choose(page, mended, columns=10)
    await page.locator("#constants input").first.fill("plant")
    await page.locator("#constants input").last.fill("welding")
    await page.locator("#check").click()
    await page.locator("#publish").click()
    await expect(page.locator("#summary")).to_have_text(MENDED[locale])
    await expect(page.locator("#refused")).to_be_hidden()
    assert {f"m-{run}-2", f"m-{run}-3"} <= (await learners(partners)).keys()
    assert [text for text in cloudevent if not text.startswith("Failed to load resource")] == []
    await page.context.close()


@within(180)
async def test_the_page_says_what_went_wrong_and_changes_its_language(
    partners: Running, browser: Browser, address: str, tmp_path: Path
):
    page, _ = await opened(browser, address, locale="de-DE")
    await expect(page.locator("h1")).to_have_text("Upload a file of events")
    await page.locator("#client-id").fill("plant")
    await page.locator("#client-secret").fill("wrong")
    await page.keyboard.press("Enter")
    await expect(page.locator("#login-trouble")).to_have_text("client_id or client_secret is wrong.")
    await log_in(page, await secret_of("plant", partners))
    file = tmp_path / "broken.xlsx"
    file.write_bytes(b"PK\x03\x04")
    await page.locator("#file").set_input_files(file)
    await page.locator("#type").select_option(TYPE)
    await page.locator("nav [hreflang=ru]").click()
    await expect(page.locator("h1")).to_have_text("Загрузить файл событий")
    await expect(page.locator("#type-title")).to_contain_text("Стажировка завершена")
    await page.locator("#look button").click()
    await expect(page.locator("#file-trouble")).to_contain_text("такой файл XLSX не читается")
    await page.evaluate("state.token = 'x.' + state.token.split('.')[1] + '.x'")
    await page.locator("#look button").click()
    await expect(page.locator("#login-trouble")).to_have_text("Пропуск истёк: войдите снова и продолжайте.")
    await expect(page.locator("#client-secret")).to_be_focused()
    await page.reload()
    await expect(page.locator("h1")).to_have_text("Загрузить файл событий")
    await page.context.close()


SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>'
)


def hostile_sheet() -> bytes:
    """An XLSX file of some 30 KB whose sheet has four million rows without a cell."""
    book = io.BytesIO()
    Workbook().save(book)
    made = io.BytesIO()
    with ZipFile(book) as old, ZipFile(made, "w", ZIP_DEFLATED) as new:
        for part in old.namelist():
            is_sheet = part == "xl/worksheets/sheet1.xml"
            new.writestr(part, SHEET.format("<row/>" * 4_000_000) if is_sheet else old.read(part))
    return made.getvalue()


async def test_a_sheet_that_takes_too_long_is_given_up_and_disturbs_nobody(
    partners: Running, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(partners.service.settings, "upload_cpu_s", 2)
    body = await asyncio.to_thread(hostile_sheet)
    assert len(body) < 100_000
    uploading = asyncio.create_task(columns(partners, body))
    answered = 0
    while not uploading.done():
        assert (await partners.client.get("/health/live")).status_code == 200
        answered += 1
        await asyncio.sleep(0.01)
    answer = await uploading
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body")
    assert "more than 2 s or 512 MiB" in answer.json()["detail"]
    assert answered > 10
