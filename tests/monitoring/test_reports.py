"""Reports, kept and shown again, their files, single charts, and the catalogue of open data."""

import csv
import hashlib
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pyoxigraph
import pytest
import pytest_asyncio
from defusedxml import ElementTree
from httpx import Response
from openpyxl import load_workbook
from PIL import Image
from playwright.async_api import Browser
from pypdf import PdfReader

from deploy.praktika.backup import KEPT
from services.monitoring import reports
from services.monitoring.app import core, router
from services.monitoring.indicators import INDICATORS
from services.monitoring.pages.prints import period_of
from shared.contract.events import OrganisationKind, OrganisationRegistered, OrganisationSuspended, Publisher
from shared.files import bounded
from shared.http.auth import Caller, Signer
from shared.http.spreadsheets import XLSX
from shared.pages.languages import LANGUAGES
from tests.browser import DESK, PHONE, accessible, shot, visited, within
from tests.making import event
from tests.pages import REPORT_PAGES
from tests.people import close, signed_in, visitor
from tests.stack import Running, on_a_socket, running

from .test_api import cohort, everything

RATE, OF_UNI = "employment_rate_18m", {"scope": "institution", "scope_id": "uni"}
CHOSEN = [RATE, "employment_rate", "workplace_hours_per_learner", "planned_workplace_share"]


@pytest_asyncio.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path_factory.mktemp("keys")) as one:
        await one.publish(*everything(), *cohort("welding", 5, 4, "2023-06-01"))
        await one.applied()
        yield one


async def ask(stack: Running, path: str, **params: Any) -> dict[str, Any]:
    answer = await stack.client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def keep(stack: Running, by: str = "plant", kind: str = "enterprise", **wanted: Any) -> Response:
    return await stack.client.post("/reports", json=wanted, headers=stack.token(by, kind))


# figures


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"b": [1, 0.5, None, True], "a": 'é"\n'}, '{"a":"é\\"\\n","b":[1,0.5,null,true]}'),
        ([100.0, 1e-7, 0.00001, -0.0000015, 1e21, 1 / 3], "[100,1e-7,0.00001,-0.0000015,1e+21,0.3333333333333333]"),
    ],
)
def test_figures_are_written_as_rfc_8785_says(content: Any, text: str):
    assert reports.canonical(content) == text


@pytest.mark.parametrize(
    ("row", "by", "said"),
    [
        ({"period": "2024-03"}, "cohort", "2024-03"),
        ({"period": "2024", "from": "2024-01", "to": "2024-12"}, "cohort", "2024"),
        ({"period": "2024", "from": "2024-01", "to": "2024-05"}, "period", "2024-01 – 2024-05"),
        ({"period": "2024", "from": "2024-04", "to": "2024-12"}, "stock", "2024"),
        ({"period": "2024", "from": "2024-01", "to": "2024-05"}, "stock", "2024-05"),
    ],
)
def test_a_year_that_is_not_whole_is_shown_with_its_months(row: dict[str, str], by: str, said: str):
    assert period_of(row, by) == said


@pytest.mark.parametrize("by", ["year", "month"])
async def test_a_reports_figures_are_those_of_the_api(stack: Running, by: str):
    found = await ask(stack, "/report", format="json", by=by, indicators=CHOSEN, **OF_UNI)
    assert [item["indicator"] for item in found["figures"]["items"]] == [id for id in INDICATORS if id in CHOSEN]
    for item in found["figures"]["items"]:
        path = f"/indicators/{item['indicator']}"
        said = await ask(stack, path, **OF_UNI)
        assert {name: item[name] for name in said if name != "applied_until"} == {
            name: value for name, value in said.items() if name != "applied_until"
        }
        if by == "month":
            assert item["rows"] == (await ask(stack, f"{path}/series", **OF_UNI))["points"][-reports.MOST_ROWS :]
            continue
        assert item["rows"] or item["status"] == "not_enough_data"
        for row in item["rows"]:
            window = await ask(stack, path, **OF_UNI, **{"from": row["from"], "to": row["to"]})
            assert {name: row[name] for name in reports.SAID} == {name: window[name] for name in reports.SAID}
    (rate,) = [item for item in found["figures"]["items"] if item["indicator"] == RATE]
    assert by == "month" or [row["period"] for row in rate["rows"]] == ["2023", "2024"]


async def test_without_a_choice_a_report_has_the_headlines_of_its_scope(stack: Running):
    for scope in (
        {},
        OF_UNI,
        {"scope": "enterprise", "scope_id": "plant"},
        {"scope": "competency", "scope_id": "esco:cnc"},
    ):
        items = (await ask(stack, "/report", format="json", **scope))["figures"]["items"]
        assert 0 < len(items) <= reports.HEADLINES_SHOWN
        assert all(scope.get("scope", "network") in INDICATORS[item["indicator"]].scopes for item in items)


# kept


async def test_a_kept_report_is_shown_again_as_it_was_with_todays_figures_beside(stack: Running):
    answer = await keep(stack, indicators=CHOSEN, **OF_UNI)
    assert answer.status_code == 201, answer.text
    address = answer.headers["Location"]
    before = await ask(stack, address)
    text = json.dumps(before["figures"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    assert (before["sha256"], address) == (sha256, f"/reports/{sha256[:32]}")
    assert all(each["change"] in (0, None) for each in before["today"]["items"])
    _, is_new = await reports.keep(stack.service, before["figures"], "uni")
    assert not is_new

    await stack.publish(*cohort("welding", 0, 20, "2022-06-01"))
    await stack.applied()
    after = await ask(stack, address)
    assert (after["figures"], after["sha256"], after["kept_by"]) == (before["figures"], sha256, "plant")
    of = [item["indicator"] for item in after["figures"]["items"]].index(RATE)
    kept, now = after["figures"]["items"][of], after["today"]["items"][of]
    assert now["n"] == kept["n"] + 20
    assert now["change"] == pytest.approx(now["value"] - kept["value"])
    assert now["value"] == (await ask(stack, f"/indicators/{RATE}", **OF_UNI))["value"]
    assert [row["period"] for row in now["rows"]] == [row["period"] for row in kept["rows"]]
    page = await stack.client.get(address, params={"lang": "en"}, headers={"Accept": "text/html"})
    assert f"{100 * kept['value']:.1f}" in page.text
    assert f"{100 * now['value']:.1f}" in page.text
    assert f"−{-100 * now['change']:.1f} percentage points" in page.text

    file = await stack.client.get(address, params={"format": "csv"})
    table = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))
    (whole,) = [row for row in table if row["indicator"] == RATE and not row["year"]]
    assert (float(whole["value"]), float(whole["value_today"])) == (kept["value"], now["value"])
    assert whole["applied_until"] == before["figures"]["as_of"]


def test_reports_outlive_a_rebuild_and_are_backed_up():
    assert reports.COLLECTION not in core.indexes
    assert reports.COLLECTION in KEPT["monitoring"]


async def test_what_is_defined_otherwise_hardly_changed_or_gone_is_said(stack: Running):
    figures = (await ask(stack, "/report", format="json", indicators=[RATE], **OF_UNI))["figures"]
    (item,) = figures["items"]
    changed = {**figures, "items": [{**item, "definition": {"en": "other", "ru": "другое"}}]}
    (beside,) = reports.beside(changed, await reports.today(stack.service, changed))
    assert beside["redefined"] is True
    close = {**figures, "items": [{**item, "n": item["n"] - 2, "denominator": item["denominator"] - 2}]}
    (beside,) = reports.beside(close, await reports.today(stack.service, close))
    assert (beside["little_changed"], beside["value"], beside["n"], beside["change"]) == (True, None, None, None)
    gone = {**figures, "scope_id": "nowhere"}
    report, _ = await reports.keep(stack.service, gone, "plant")
    answer = await ask(stack, f"/reports/{report.id}")
    assert answer["today"]["items"][0]["value"] is None
    page = await stack.client.get(f"/reports/{report.id}", params={"lang": "en"}, headers={"Accept": "text/html"})
    assert "There is none of this name any more." in page.text


# files


async def test_a_pdf_says_the_same_numbers_in_each_language_with_address_and_digest(stack: Running):
    kept = (await keep(stack, indicators=CHOSEN, **OF_UNI)).json()
    figures = (await ask(stack, kept["address"]))["figures"]
    for language, words in zip(LANGUAGES, ("Indicator report", "Отчёт по показателям"), strict=True):
        answer = await stack.client.get(kept["address"], params={"format": "pdf", "lang": language})
        assert answer.headers["content-type"] == "application/pdf"
        pages = [page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages]
        text = " ".join(" ".join(pages).replace("\u200b", "").replace("\n", " ").replace("\xa0", " ").split())
        assert all(each in text for each in (words, "University", kept["id"], kept["sha256"]))
        for item in figures["items"]:
            assert item["title"][language] in text
            if item["unit"] == "share" and item["status"] == "ok":
                percent = f"{100 * item['value']:.1f} %"
                assert (percent.replace(".", ",") if language == "ru" else percent) in text
        again = await stack.client.get(kept["address"], params={"format": "pdf", "lang": language})
        assert again.content == answer.content


async def test_an_xlsx_is_typed_and_says_what_was_asked_as_of_when_and_its_digest(stack: Running):
    params: dict[str, Any] = {"format": "xlsx", "lang": "en", "from": "2023-01", "to": "2024-12"}
    answer = await stack.client.get("/report", params={**params, **OF_UNI, "indicators": [RATE]})
    assert answer.headers["content-type"] == XLSX
    book = load_workbook(io.BytesIO(answer.content))
    figures, definitions = book.worksheets
    head, *rows = figures.iter_rows()
    at = {cell.value: n for n, cell in enumerate(head)}
    assert [row[at["Year"]].value for row in rows] == [None, "2023", "2024"]
    for row in rows:
        assert isinstance(row[at["Value"]].value, float)
        assert row[at["Value"]].number_format == "0.0%"
        assert isinstance(row[at["Cases counted"]].value, int)
    assert (rows[0][at["From"]].value, rows[0][at["To"]].value) == ("2023-01", "2024-12")
    said = {row[0]: row[1] for row in definitions.iter_rows(values_only=True)}
    assert len(str(said["SHA-256 of the figures"])) == 64
    assert "scope_id=uni" in str(said["Address"])
    assert said["Events applied until"]
    assert "graduates employed" in str(said[INDICATORS[RATE].title])


async def test_a_filtered_list_says_by_what(stack: Running):
    path, params = f"/indicators/{RATE}/comparison", {"scope": "programme", "region": "east", "least": 3}
    assert (await ask(stack, path, **params))["filtered"] == "region=east; least=3"
    assert (await ask(stack, path, scope="programme"))["filtered"] is None
    text = (await stack.client.get(path, params={**params, "format": "csv"})).text
    assert {row["filtered"] for row in csv.DictReader(io.StringIO(text))} == {"region=east; least=3"}


# charts


async def test_a_chart_is_a_picture_that_other_pages_may_show_and_keep(stack: Running):
    path, params = f"/charts/{RATE}.svg", {"lang": "en", "by": "year", **OF_UNI}
    answer = await stack.client.get(path, params=params)
    root = ElementTree.fromstring(answer.content)
    text = " ".join(root.itertext())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert all(each in text for each in (INDICATORS[RATE].title, "University", "EQAVET 5", "As of", f"/figures/{RATE}"))
    assert "frame-ancestors *" in answer.headers["content-security-policy"]
    again = await stack.client.get(path, params=params, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    drawn = await stack.client.get(path.replace("svg", "png"), params=params | {"lang": "ru"})
    image = Image.open(io.BytesIO(drawn.content))
    assert image.format == "PNG"
    assert image.width >= 1000
    empty = await stack.client.get("/charts/median_days_to_revision.svg")
    assert ElementTree.fromstring(empty.content) is not None
    for wrong, status in (("/charts/nothing.svg", 404), (f"/charts/{RATE}.svg?scope=sector&scope_id=C25", 422)):
        assert (await stack.client.get(wrong)).status_code == status
    figure = await stack.client.get(f"/figures/{RATE}", params=OF_UNI)
    assert f"charts/{RATE}.png?" in figure.text


async def test_too_many_documents_at_once_are_refused_for_a_while(stack: Running, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bounded, "MOST_WAITING", 0)
    answer = await stack.client.get("/report", params={"format": "pdf"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


# open data


async def test_the_catalogue_of_open_data_is_dcat_and_leads_to_each_indicator(stack: Running):
    answer = await stack.client.get("/catalogue")
    assert answer.headers["content-type"] == "application/ld+json"
    quads = list(pyoxigraph.parse(answer.content, pyoxigraph.RdfFormat.JSON_LD))

    def iris(name: str) -> pyoxigraph.NamedNode:
        spaces = {"dcat": "http://www.w3.org/ns/dcat#", "dct": "http://purl.org/dc/terms/"}
        space, _, local = name.partition(":")
        return pyoxigraph.NamedNode(spaces[space] + local)

    def objects(subject: Any, predicate: str) -> list[Any]:
        return [quad.object for quad in quads if quad.subject == subject and quad.predicate == iris(predicate)]

    (catalogue,) = {quad.subject for quad in quads if quad.object == iris("dcat:Catalog")}
    datasets = objects(catalogue, "dcat:dataset")
    assert len(datasets) == len(INDICATORS)
    assert objects(catalogue, "dct:publisher")
    for dataset in datasets:
        for text in ("dct:title", "dct:description"):
            assert {each.language for each in objects(dataset, text)} == {*LANGUAGES}
        assert objects(dataset, "dcat:distribution")
    distributions = objects(datasets[0], "dcat:distribution")
    public = stack.settings.public("monitoring")
    for each in distributions:
        (address,), (media_type,) = objects(each, "dcat:accessURL"), objects(each, "dcat:mediaType")
        found = await stack.client.get(address.value.removeprefix(public))
        assert found.status_code == 200
        assert media_type.value.endswith(found.headers["content-type"].partition(";")[0])


# who may, and what not


async def test_what_does_not_fit_is_refused(stack: Running, monkeypatch: pytest.MonkeyPatch):
    many = [id for id, one in INDICATORS.items() if "institution" in one.scopes][: reports.MOST_INDICATORS + 1]
    for wanted, status, field in (
        ({**OF_UNI, "indicators": many}, 422, "indicators"),
        ({**OF_UNI, "indicators": ["nothing"]}, 422, "indicators"),
        ({**OF_UNI, "indicators": ["conversion_rate"]}, 422, "indicators"),
        ({"scope": "institution"}, 422, "scope_id"),
        ({"scope": "institution", "scope_id": "nowhere"}, 404, None),
        ({"from": "2024-05", "to": "2024-01"}, 422, "to"),
        ({"surprise": 1}, 422, "surprise"),
    ):
        answer = await keep(stack, **wanted)
        assert (answer.status_code, answer.json().get("errors", [{"field": None}])[0]["field"]) == (status, field)
    assert (await stack.client.post("/reports", json={})).status_code == 401
    sandbox = Signer(stack.settings).token(Caller("plant", Publisher.enterprise, sandbox=True))
    answer = await stack.client.post("/reports", json={}, headers={"Authorization": f"Bearer {sandbox}"})
    assert answer.status_code == 403
    assert (await stack.client.get("/reports/nothing")).status_code == 404
    page = await stack.client.get("/report", params={**OF_UNI, "indicators": many, "lang": "en"})
    assert (page.status_code, "a report has at most" in page.text) == (422, True)
    for params, status in (
        ({"scope": "institution", "scope_id": "nowhere"}, 404),
        ({"scope": "institution"}, 200),
        ({"from": "May"}, 422),
    ):
        assert (await stack.client.get("/report", params=params)).status_code == status
    monkeypatch.setattr(reports, "MOST_OF_ONE", 0)
    answer = await keep(stack, "college", "institution", indicators=[RATE])
    assert (answer.status_code, "remove one" in answer.json()["detail"]) == (409, True)


async def test_only_who_keeps_a_report_or_the_operator_removes_it(stack: Running):
    for by, kind in (("college", "institution"), ("operator", "operator")):
        path = (await keep(stack, "college", "institution", indicators=["members"])).headers["Location"]
        other = await stack.client.delete(path, headers=stack.token("plant", "enterprise"))
        assert other.status_code == 403
        gone = await stack.client.delete(path, headers=stack.token(by, kind))
        assert (gone.status_code, (await stack.client.get(path)).status_code) == (204, 404)


async def test_who_is_suspended_keeps_and_removes_no_report(stack: Running):
    await stack.publish(
        event(
            OrganisationRegistered(kind=OrganisationKind.enterprise, name="Mill", region="east"),
            "mill",
            by="operator:region",
        )
    )
    await stack.applied()
    kept = await keep(stack, "mill", indicators=["members"])
    assert kept.status_code in (200, 201), kept.text
    await stack.publish(event(OrganisationSuspended(reason="late"), "mill", by="operator:region"))
    await stack.applied()
    refused = await keep(stack, "mill", indicators=[RATE])
    removed = await stack.client.delete(kept.headers["Location"], headers=stack.token("mill", "enterprise"))
    for answer in (refused, removed):
        assert (answer.status_code, "suspended" in answer.json()["detail"]) == (403, True)


async def test_who_is_signed_in_keeps_and_removes_a_report_on_its_page_and_nobody_else(stack: Running):
    asked = {"scope": "institution", "scope_id": "uni", "by": "year", "indicators": [RATE]}
    member, stranger = await signed_in(stack, "plant", "staff", "enterprise"), visitor(stack)
    other = await signed_in(stack, "college", "staff", "institution")
    homes = stack.service.store.home[reports.COLLECTION]
    before = await homes.count_documents({})
    for page in REPORT_PAGES:
        path = page.removeprefix("POST ").format(id="x")
        assert (await stranger.post(path, **asked)).status_code == 401
    assert (await member.client.post("/report", data={**asked, "csrf": "wrong"})).status_code == 200
    assert await homes.count_documents({}) == before
    kept = await member.post("/report", **asked)
    assert kept.status_code == 303
    address = "/" + kept.headers["location"].partition("?")[0]
    shown = await member.get(address, done="kept", lang="en")
    assert "The report is kept under this address." in shown.text
    assert address.removeprefix("/") in (await member.get("/report")).text
    assert "Remove this report" not in (await other.get(address, lang="en")).text
    assert (await other.post(f"{address}/removal", sure="yes")).status_code == 403
    assert (await member.post(f"{address}/removal")).headers["location"].startswith("../")
    assert (await member.get(address)).status_code == 200
    assert (await member.post(f"{address}/removal", sure="yes")).status_code == 303
    assert (await member.get(address)).status_code == 404
    for each in (member, stranger, other):
        await close(each)


@within(120)
@pytest.mark.parametrize(("locale", "size"), [("ru", PHONE), ("en", DESK)], ids=["ru-phone", "en-desk"])
async def test_a_report_reads_well_without_javascript(browser: Browser, stack: Running, locale: str, size: Any):
    kept = (await keep(stack, indicators=CHOSEN, **OF_UNI)).json()["address"]
    async with on_a_socket(stack) as url:
        for name, path in (("composed", "/report?scope=institution&scope_id=uni"), ("kept", kept)):
            page, said = await visited(browser, url + path, locale=locale, viewport=size)
            await accessible(page)
            await shot(page, f"report-{name}-{locale}-{size['width']}")
            await page.emulate_media(media="print")
            assert not await page.locator("form.search").is_visible()
            assert await page.locator("h1").is_visible()
            assert said == []
            await page.context.close()
