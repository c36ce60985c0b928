"""Text as people see it: what looks alike is alike, nothing is hidden in it, and no spreadsheet runs it."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Self

_BREAKS = "\u2028\u2029"
_FORMULAS = ("=", "+", "-", "@", "|", "%")


def hidden(text: str) -> str | None:
    """The first character that nobody sees (a bidirectional control, of no width, a break of lines), by its name."""
    if text.isascii():
        return None
    for letter in text:
        if unicodedata.category(letter) == "Cf" or letter in _BREAKS:
            return unicodedata.name(letter, f"U+{ord(letter):04X}")
    return None


def composed(text: str) -> str:
    """*text* in Unicode's form NFC."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def hidden_in(value: Any, field: str = "") -> tuple[str, str] | None:
    """Where within parsed JSON there is a character that nobody sees, and what is wrong with it."""
    if isinstance(value, str):
        name = hidden(value)
        return (field, Message("has a character that cannot be seen: {name}", {"name": name})) if name else None
    parts: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        parts = [*value.items()]
    elif isinstance(value, list):
        parts = [*enumerate(value)]
    for name, part in parts:
        about = f"{field}.{name}" if field else str(name)
        if found := (hidden_in(name, about) if isinstance(name, str) else None) or hidden_in(part, about):
            return found
    return None


def is_formula(text: str) -> bool:
    """Would a spreadsheet take it for a formula (OWASP, CSV injection)? Full-width signs count as the plain ones."""
    begin = unicodedata.normalize("NFKC", text.lstrip()[:1])
    return begin in _FORMULAS or text[:1] in ("\t", "\r", "\n")


class Message(str):
    """A text for people: used as a string it is in English, and what it is made of can be said in another language.

    Attributes:
        message: in English, with `{name}` or `{}` where something is filled in.
        given: what is filled in, by name or in order; a message in it is told in the same language.
    """

    __slots__ = ("given", "message")
    message: str
    given: Mapping[str, object] | Sequence[object]

    def __new__(cls, message: str, given: Mapping[str, object] | Sequence[object] | None = None) -> Self:
        given = given or {}
        made = super().__new__(cls, filled(message, given))
        made.message, made.given = message, given
        return made


def filled(message: str, given: Mapping[str, object] | Sequence[object]) -> str:
    return message.format(**given) if isinstance(given, Mapping) else message.format(*given)
