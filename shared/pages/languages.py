"""The languages of pages and messages: English is what the code says, the others come from gettext catalogues."""

import io
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from shared.contract.text import Message, filled

Language = Literal["en", "ru"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
NAMES: dict[Language, str] = {"en": "English", "ru": "Русский"}
FOLDER = Path(__file__).parent / "locale"


@cache
def catalogue(language: Language) -> NullTranslations:
    """The translations into a language, read from its `.po` file; of English there are none."""
    if language == "en":
        return NullTranslations()
    compiled = io.BytesIO()
    with (FOLDER / f"{language}.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)


def translated(language: Language, text: str, context: str | None = None) -> str:
    """*text* in a language; as it is, where the catalogue does not have it."""
    if not text:
        return ""
    translations = catalogue(language)
    return str(translations.pgettext(context, text) if context else translations.gettext(text))


def N_(text: str) -> str:  # noqa: N802  # gettext's own name
    """Mark a text for the catalogues where it is written; it is translated where it is shown."""
    return text


class Text(Message):
    """A message that code of services says; written where it is said, it is in the catalogues."""

    __slots__ = ()
    given: Mapping[str, object]

    def into(self, language: Language) -> str:
        return in_language(self, language)

    def in_all(self) -> dict[Language, str]:
        return {language: self.into(language) for language in LANGUAGES}


def in_language(text: str, language: Language) -> str:
    """What the code says, in a language, where it is said in several."""
    if not isinstance(text, Message):
        return text

    def told(value: object) -> object:
        return in_language(value, language) if isinstance(value, str) else value

    given = text.given
    values = {n: told(v) for n, v in given.items()} if isinstance(given, Mapping) else [told(v) for v in given]
    return filled(translated(language, text.message), values)


_LIST = "{one}{between}{others}"


def enumerated(texts: Sequence[Text], between: str = ", ") -> Text:
    """Several texts as one, each in the reader's language."""
    first, *others = texts
    return Text(_LIST, {"one": first, "between": between, "others": enumerated(others, between)}) if others else first
