"""Brings the catalogues up to date with the texts of code, templates and contract: `make messages`.

What is new is left untranslated, for somebody to fill in; what is no longer used goes.
"""

import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po
from pydantic import TypeAdapter

from services.partners.gateway.contract.messages import OWN_FIELDS, REGISTRY_RULES, TEXT_KINDS
from shared.contract import events, wording
from shared.pages.languages import FOLDER, LANGUAGES, Language

ROOT = Path(__file__).parents[1]
ROOMS = ("shared", "services")
KEYWORDS = {**DEFAULT_KEYWORDS, "N_": None, "Text": None, "Message": None}
METHODS = [("**.py", "python"), ("**.html", "jinja2")]
OPTIONS = {"**.html": {"trimmed": "true"}}
# No dates and no names: what has not changed is written as it was.
HEADER = """msgid ""
msgstr ""
"Project-Id-Version: Praktika\\n"
"Language: {language}\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""


@cache  # takes seconds
def extracted() -> Catalog:
    """Everything that is to be translated."""
    catalog = Catalog(project="Praktika", charset="utf-8")
    for room in ROOMS:
        found = extract_from_dir(ROOT / room, METHODS, OPTIONS, KEYWORDS)
        for path, _, message, comments, context in found:
            catalog.add(message, locations=[(f"{room}/{path}", 0)], auto_comments=comments, context=context)
    for message, context, comment in _of_the_contract():
        catalog.add(message, auto_comments=[comment] if comment else [], context=context)
    return catalog


def _of_the_contract() -> Iterator[tuple[str, str | None, str]]:
    """The texts of the models: (text, context, explanation for who translates it)."""
    for kind in TEXT_KINDS:
        yield TypeAdapter(getattr(events, kind)).json_schema()["description"], None, kind
    for words in (*wording.texts(), *events.KINDS_OF_TEXT.values()):
        yield words, None, "what is wrong with a value"
    for rule in REGISTRY_RULES:
        yield rule, "registry rule", "{0}: what the event refers to"
    for type_, data in events.DATA.items():
        yield data.__doc__ or "", None, data.short_type
        yield from _of_a_schema(events.data_schema(type_), data.__name__)
    for schema in events.schemas().values():
        yield from _of_a_schema(schema, "Event")


def _of_a_schema(schema: Any, model: str) -> Iterator[tuple[str, str | None, str]]:
    for name, part in schema.get("properties", {}).items():
        own = f"{model}.{name}"
        yield (own if own in OWN_FIELDS else name), "field", str(part.get("description", ""))
    for title, definition in schema.get("$defs", {}).items():
        yield from _of_a_schema(definition, title)
    for value in schema.get("enum", ()):
        yield value, "value", ""


def update(language: Language) -> str:
    """The catalogue's new content."""
    path = FOLDER / f"{language}.po"
    with path.open("rb") as file:
        catalog = read_po(file, locale=language)
    catalog.update(extracted(), no_fuzzy_matching=True)
    written = io.BytesIO()
    write_po(written, catalog, width=120, include_lineno=False, ignore_obsolete=True, omit_header=True)
    return HEADER.format(language=language) + written.getvalue().decode()


if __name__ == "__main__":
    for each in LANGUAGES:
        if each != "en":
            (FOLDER / f"{each}.po").write_text(update(each))
