"""What is wrong with a value, in words for who must mend it, with an example; instead of the validator's own."""

import re
from collections.abc import Mapping
from typing import Any

from .text import Message

_DAY, _MOMENT = "2026-06-15", "2026-06-15T09:00:00+07:00"
_WHOLE, _NUMBER = "must be a whole number: 4", "must be a number: 7.5"
_OBJECT = 'must be an object: {{"name": "value"}}'
_WORDS = {
    "missing": "is missing, and it is needed",
    "extra_forbidden": "is no field that is known here",
    "json_invalid": "is not JSON: {error}",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must have at most two decimals: 7.33",
    "string_type": 'must be a text in quotation marks: "welding"',
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_unicode": "must be UTF-8",
    "too_short": "must hold at least {min_length}",
    "too_long": "must hold at most {max_length}",
    "finite_number": _NUMBER,
    "timezone_aware": f"must say its offset from UTC: {_MOMENT}",
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false, without quotation marks"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), _WHOLE),
    **dict.fromkeys(("float_type", "float_parsing"), _NUMBER),
    **dict.fromkeys(("list_type", "set_type", "tuple_type"), 'must be a list: ["first", "second"]'),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type", "mapping_type"), _OBJECT),
    **dict.fromkeys(("date_type", "date_parsing", "date_from_datetime_parsing"), f"must be a day: {_DAY}"),
    **dict.fromkeys(
        ("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "datetime_object_invalid"),
        f"must be a moment with its offset from UTC: {_MOMENT}",
    ),
    **dict.fromkeys(("union_tag_invalid", "union_tag_not_found"), "names no type that is known"),
}


FOREIGN = "“{letter}” is no Latin letter; {must}"
BRACED, SPACED = "leave out the braces; {must}", "has a space; {must}"
OR = "{others} or {last}"
LONGEST = 500  # characters


def texts() -> list[str]:
    """What may be said, as messages, to be translated."""
    return [*dict.fromkeys(_WORDS.values()), FOREIGN, BRACED, SPACED, OR]


def wording(error: Mapping[str, Any], kinds: Mapping[str, str]) -> Message:
    """What an error of pydantic's says to who must mend the value, at most 500 characters.

    Args:
        error: one of `ValidationError.errors()`.
        kinds: what a text must be, by the pattern that it must match.
    """
    given = {name: f"{value:g}" if isinstance(value, float) else value for name, value in error.get("ctx", {}).items()}
    if error["type"] == "string_pattern_mismatch":
        kind = kinds.get(given["pattern"])
        must = Message(kind) if kind else Message("must be as {pattern}", given)
        return _unfit(str(error.get("input", "")), must)
    if "expected" in given:  # 'passed' or 'failed'
        others, _, last = str(given["expected"]).rpartition(" or ")
        given["expected"] = Message(OR, {"others": others, "last": last}) if others else last
    words = _WORDS.get(error["type"])
    said = Message(words, given) if words else _told(given["error"] if error["type"] == "value_error" else error["msg"])
    return said if len(said) <= LONGEST else _told(said)


def _told(words: object) -> Message:
    """What is in English only."""
    return Message("{words}", {"words": str(words)[:LONGEST]})


_BRACES = re.compile(r"\{[0-9A-Fa-f-]{32,36}\}")


def _unfit(text: str, must: Message) -> Message:
    """What a text must be, behind what of it is most likely to be wrong: a GUID's braces, a letter, a space."""
    if _BRACES.fullmatch(text):
        return Message(BRACED, {"must": must})
    foreign = next((letter for letter in text if letter.isalpha() and not letter.isascii()), None)
    if foreign:
        return Message(FOREIGN, {"letter": foreign, "must": must})
    return Message(SPACED, {"must": must}) if re.search(r"\s", text) else must
