"""Pages: every text is in every language, nothing from outside is markup, and addresses say what they lead to."""

import re
from collections.abc import AsyncIterator
from html import unescape

import pytest
from babel.messages.pofile import read_po

from deploy.messages import extracted, update
from services.certification.app import core, router
from shared.pages.languages import FOLDER, LANGUAGES, Language, Text, translated
from shared.pages.pages import ROOT, environment
from tests.stack import Running, running

TRANSLATED = [language for language in LANGUAGES if language != "en"]
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
NAMES = (
    "AsyncAPI",
    "OpenAPI",
    "OpenAPI 3.1",
    "openapi.json",
    "JSON Schema",
    "Praktika",
    "JSON",
    "CSV",
    "XLSX",
    "PDF",
    "PNG",
    "SVG",
)
FILLED_IN = re.compile(r"%\(\w+\)s|\{\w*\}")


# texts


def texts(language: str) -> dict[tuple[str | None, str], str]:
    with (FOLDER / f"{language}.po").open("rb") as file:
        return {
            (message.context, message.id): message.string for message in read_po(file, locale=language) if message.id
        }


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_that_is_translated_beforehand_reads_as_one_that_is_looked_up(language: Language):
    ids = sorted({str(message.id) for message in extracted() if message.id and not message.context})
    ids = [id for id in ids if not ('"' in id or "\\" in id or FILLED_IN.search(id))]
    template, end = environment(language).from_string, "\x00"
    beforehand = template(end.join(f'{{{{ _("{id}") }}}}' for id in ids)).render().split(end)
    looked_up = template("{{ _(id) }}")
    assert dict(zip(ids, beforehand, strict=True)) == {id: looked_up.render(id=id) for id in ids}


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_catalogue_has_every_text_and_no_other(language: str):
    wanted = {(message.context, message.id) for message in extracted() if message.id}
    assert wanted - texts(language).keys() == set(), "run make messages, and translate what is new"
    assert texts(language).keys() - wanted == set(), "run make messages"


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_is_translated_and_fills_in_what_the_english_one_does(language: str):
    for (context, english), said in texts(language).items():
        assert said, english
        if context is None and english != "{}":
            assert set(FILLED_IN.findall(said)) - {"{0}", "{1}", "{2}"} <= set(FILLED_IN.findall(english)), english


def test_the_catalogue_is_written_as_it_is():
    for language in TRANSLATED:
        assert update(language) == (FOLDER / f"{language}.po").read_text(), "run make messages"


def test_a_text_is_shown_in_the_language_asked_for():
    shown = Text("by month of graduation").in_all()
    assert (shown["en"], shown["ru"]) == ("by month of graduation", "по месяцу выпуска")
    assert translated("ru", "nobody has translated this") == "nobody has translated this"
    assert translated("ru", "") == ""


def test_templates_hold_no_text_that_is_not_marked():
    """A letter between tags stands inside of {{ }} or {% trans %}; only names, codes and formats may stand bare."""
    for path in [*ROOT.glob("shared/**/*.html"), *ROOT.glob("services/**/*.html")]:
        not_text = r"\{#.*?#\}|\{% trans.*?endtrans %\}|\{%.*?%\}|\{\{.*?\}\}|&[a-z]+;"
        text = re.sub(not_text, "", path.read_text(), flags=re.DOTALL)
        bare = re.findall(r">([^<]*[A-Za-z]{2}[^<]*)<", re.sub(r"<(code|option)\b.*?</\1>", "", text, flags=re.DOTALL))
        assert {word.strip(" \n.,:—()") for word in bare} <= {*NAMES}, path


# addresses


@pytest.fixture(scope="module")
async def stack(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    keys = tmp_path_factory.mktemp("keys")
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=keys) as running_stack:
        yield running_stack


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/docs", 200), ("/nowhere", 404), ("/certificates/x", 404)])
@pytest.mark.parametrize("language", LANGUAGES)
async def test_people_get_a_page_in_their_language(stack: Running, path: str, status: int, language: Language):
    for options in ({"params": {"lang": language}}, {"headers": {"Accept-Language": language}}):
        headers = BROWSER | options.get("headers", {})
        answer = await stack.client.get(path, params=options.get("params"), headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
        assert f'<html lang="{language}">' in answer.text
        assert "script-src" not in answer.headers["content-security-policy"]
        assert "(по-английски)" not in answer.text
    for link in re.findall(r'href="([^"#]+)"', answer.text):
        if not link.startswith(("data:", "http:")):  # what another service has is its own
            found = await stack.client.get(str(answer.url.join(unescape(link))), headers=BROWSER)
            assert found.status_code == (status if link.startswith("?") else 200), link


@pytest.mark.parametrize("accept", ["application/json", "*/*", ""])
async def test_programs_get_a_problem(stack: Running, accept: str):
    answer = await stack.client.get("/nowhere", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_what_stands_in_an_address_is_text_on_the_page_that_refuses_it(stack: Running):
    hostile = "<img src=x onerror=alert(1)>"
    for path in (f"/certificates/{hostile}", "/docs"):
        answer = await stack.client.get(path, params={hostile: hostile, "lang": hostile}, headers=BROWSER)
        assert answer.status_code in (404, 422)
        assert "<img" not in answer.text


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ({"language": "ru"}, "is it lang?"),
        ({"competncy": "x"}, "is it competency?"),
        ({"зачем": "x"}, "there are "),
        ({"competency": "x", "after": "y", "offset": "7"}, "there are "),
    ],
)
async def test_a_parameter_that_nobody_knows_is_refused_with_a_hint(stack: Running, query: dict[str, str], hint: str):
    path = "/docs" if "language" in query else "/schemes"
    answer = await stack.client.get(path, params=query)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] in query
    assert hint in error["detail"]


# what is sent


async def test_what_a_browser_has_already_is_not_sent_again(stack: Running):
    for path in ("/static/praktika.css", "/docs", "/"):
        first = await stack.client.get(path)
        again = await stack.client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        other = await stack.client.get(path, headers={"If-None-Match": 'W/"other"'})
        assert (other.status_code, other.content) == (200, first.content)
    assert "etag" not in (await stack.client.get("/health/live")).headers


async def test_long_answers_are_compressed(stack: Running):
    for path in ("/static/praktika.css", "/docs", "/openapi.json"):
        plain = await stack.client.get(path, headers={"Accept-Encoding": "identity"})
        packed = await stack.client.get(path, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert int(packed.headers["content-length"]) < len(plain.content) / 3
        assert packed.content == plain.content
