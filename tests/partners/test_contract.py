"""The contract as partners serves it: a page on which every example is true, and schemas at their addresses."""

import json
import re
from html import unescape
from typing import Any

import pytest

from services.partners.gateway.contract.examples import EXAMPLES
from services.partners.gateway.contract.messages import OWN_FIELDS, PHRASES
from services.partners.gateway.contract.page import TEMPLATES, content, sent
from services.partners.gateway.ingress.validation import check
from shared.contract import events
from shared.contract.events import DATA, organisation_of, parse
from shared.http.auth import Caller
from shared.pages.chosen import preferred
from shared.pages.languages import LANGUAGES, Language
from shared.pages.pages import render
from shared.settings import Settings
from tests.shared.test_contract import validating
from tests.stack import Running

CYRILLIC = re.compile("[а-яё]", re.IGNORECASE)


def page(language: Language, settings: Settings) -> str:
    layout = {"root": "./", "languages": [], "me": None, "here": ("partners", "contract"), "to": lambda _, path: path}
    return render(f"{TEMPLATES}/contract.html", language, **layout, **content(language, settings))


def examples(html: str) -> dict[str, Any]:
    """The events that a page shows."""
    shown = [json.loads(unescape(text)) for text in re.findall(r"<pre[^>]*>(.*?)</pre>", html, re.DOTALL)]
    return {event["type"]: event for event in shown}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_type_is_shown_with_an_example_that_is_accepted(language: Language):
    shown = examples(page(language, Settings()))
    assert shown.keys() == DATA.keys()
    for type_, event in shown.items():
        if DATA[type_].by == events.SERVICE:
            assert parse(json.dumps(event).encode()) == EXAMPLES[type_]
        else:
            sender = Caller(organisation_of(event["source"]), EXAMPLES[type_].sourcekind)
            assert check(event, sender, Settings()) == EXAMPLES[type_]


@pytest.mark.parametrize("type_", [type_ for type_, data in DATA.items() if events.Publisher.enterprise in data.by])
def test_a_research_centre_takes_part_like_an_enterprise(type_: str):
    by_plant = EXAMPLES[type_].sourcekind == events.Publisher.enterprise
    lab = Caller("lab", events.Publisher.research_centre)
    published = {**sent(type_), "source": lab.source} | (
        {} if by_plant else {"partitionkey": EXAMPLES[type_].partitionkey}
    )
    published["data"] = {k: ["lab", "river-plant"] if k == "parties" else v for k, v in published["data"].items()}
    published["data"].pop("participants_of", None)
    assert check(published, lab, Settings()).sourcekind == lab.kind


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_of_every_type_is_shown(language: Language):
    html = page(language, Settings())
    for type_, data in DATA.items():
        article = html.partition(f'<article class="card" id="{type_}">')[2].partition("</article>")[0]
        assert re.findall(r'<th scope="row"><code>(\w+)</code>', article) == list(data.model_fields)


def test_rules_are_told_with_ranges_and_units():
    for language, told in (
        (
            "en",
            [
                "number; from 0 to 10\u202f000; at most two decimals: 7.33",
                "whole number; from 1 to 8",
                "a list of up to 200",
            ],
        ),
        (
            "ru",
            [
                "число; от 0 до 10\u202f000; не больше двух знаков после запятой: 7,33",
                "<code>passed</code> (пройдена)",
                "список, от 2 до 50",
            ],
        ),
    ):
        html = page(language, Settings())
        assert not [rule for rule in told if rule not in html]


def test_each_language_is_its_own():
    english, russian = (
        re.sub(r"<pre.*?</pre>", "", page(language, Settings()), flags=re.DOTALL) for language in ("en", "ru")
    )
    assert not CYRILLIC.search(english.replace("Русский", ""))
    meanings = re.findall(r"</th><td>(.*?)</td>", russian)
    assert meanings
    assert not [meaning for meaning in meanings if not CYRILLIC.search(meaning)]


def test_no_words_are_left_over():
    for field in OWN_FIELDS:
        model, _, name = field.rpartition(".")
        assert name in getattr(events, model).model_fields, field
    shown = page("en", Settings())
    assert not [key for key, phrase in PHRASES.items() if phrase.partition("{")[0] not in shown]


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("ru", "ru"),
        ("ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7", "ru"),
        ("en-GB,en;q=0.9,ru;q=0.8", "en"),
        ("eo-XX,ru;q=0.5,en;q=0.1", "ru"),
        ("eo, ia;q=0.5", "en"),
        ("ru;q=0", "en"),
        ("ru;q=...,x;;,", "ru"),
    ],
)
def test_the_language_is_what_the_browser_prefers(header: str, language: str):
    assert preferred(header) == language


async def test_the_page_is_served_in_the_language_wanted_and_runs_no_scripts(partners: Running):
    get = partners.client.get
    for options, language in (
        ({"headers": {"Accept-Language": "ru"}}, "ru"),
        ({"headers": {"Accept-Language": "ru"}, "params": {"lang": "en"}}, "en"),
        ({}, "en"),
    ):
        answer = await get("/contract", **options)
        assert (answer.status_code, answer.headers["content-language"]) == (200, language)
        assert "script-src" not in answer.headers["content-security-policy"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "<script" not in answer.text
    assert (await get("/contract", params={"lang": "de"})).status_code == 422


async def test_every_link_of_the_page_leads_somewhere(partners: Running):
    html = (await partners.client.get("/contract")).text
    links = set(re.findall(r'href="([^"]+)"', html))
    for link in sorted(links):
        if link.startswith("#"):
            assert f'id="{link[1:]}"' in html
        elif not link.startswith(("data:", "http:")):  # what another service has is its own
            answer = await partners.client.get(f"/contract{link}" if link.startswith("?") else f"/{link}")
            assert answer.status_code == 200, link


async def test_the_schema_of_the_data_is_at_the_address_in_dataschema(partners: Running):
    validator = validating().Draft202012Validator
    for type_ in DATA:
        schema = (await partners.client.get(events.dataschema_of(type_))).json()
        validator(schema).validate(sent(type_)["data"])
        assert not validator(schema).is_valid({"surprise": 1})
        whole = (await partners.client.get(f"/schemas/{type_}.json")).json()
        validator(whole).validate(EXAMPLES[type_].model_dump(mode="json", exclude_none=True))
    assert (await partners.client.get(events.dataschema_of("praktika.unheard.of.v1"))).status_code == 404
    assert (await partners.client.get("/asyncapi.json")).json()["asyncapi"] == "3.0.0"
