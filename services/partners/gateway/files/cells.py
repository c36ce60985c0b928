"""A cell as a field's value: dates, times, numbers, choices as people write them."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any, NamedTuple

from services.partners.gateway.contract.rules import Schema
from shared.files.cells import ISO_DAY, Unread, day_and_time, is_yes
from shared.files.tables import Why
from shared.pages.languages import LANGUAGES, Language, translated

NOON = time(12)


class Field(NamedTuple):
    """How a cell becomes a field's value.

    Attributes:
        list: the cell holds several, parted by semicolons.
    """

    schema: Schema
    required: bool
    list: bool = False


def value_of(cell: Any, field: Field, offset: timezone | None) -> Any:
    if field.list:
        parts = cell.split(";") if isinstance(cell, str) else cell if isinstance(cell, list) else [cell]
        return [_scalar(part, field.schema, offset) for part in parts if not isinstance(part, str) or part.strip()]
    return _scalar(cell, field.schema, offset)


def _scalar(cell: Any, schema: Schema, offset: timezone | None) -> Any:
    if isinstance(cell, list | dict):
        raise Unread("one_value")
    text = (str(cell).lower() if isinstance(cell, bool) else str(cell)).strip()
    if "enum" in schema:
        return _choice(text, schema["enum"])
    if schema.get("format") == "date-time":
        return _moment(text, offset).isoformat()
    kind = "month" if schema.get("pattern") == _MONTH else schema.get("format") or schema.get("type")
    return _READERS[kind](text) if kind in _READERS else text


_MONTH = r"^(19|20|21)\d\d-(0[1-9]|1[0-2])$"
_RFC3339 = re.compile(rf"{ISO_DAY}T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_NUMBER = re.compile(r"[+-]?\d{1,30}(?:[.,]\d{1,30})?(?:[eE][+-]?\d{1,2})?")
_SPACES = str.maketrans("", "", " \u00a0\u202f")


def _choice(text: str, choices: list[str]) -> str:
    """One of the contract's words, or its Russian one as the contract's page shows it."""
    wanted = text.casefold()
    for choice in choices:
        if wanted in (choice, choice.replace("_", " "), *(_said(choice, each).casefold() for each in LANGUAGES)):
            return choice
    russian_too = ", ".join(f"{_said(choice, 'ru')} ({choice})" for choice in choices)
    raise Unread("choice", text[:100], ", ".join(choices), russian_too)


def _said(choice: str, language: Language) -> str:
    return translated(language, choice, "value")


def _number(text: str, code: str = "number") -> float:
    plain = text.translate(_SPACES)
    if not _NUMBER.fullmatch(plain):
        raise Unread(code, text[:100])
    return float(plain.replace(",", "."))


def _integer(text: str) -> int:
    number = _number(text, "integer")
    if not number.is_integer() or abs(number) >= 10**15:
        raise Unread("integer", text[:100])
    return int(number)


def _day(text: str) -> date:
    """A day; a spreadsheet may have made midnight of it."""
    day, found = day_and_time(text)
    if found["h"] and (int(found["h"]), int(found["min"]), int(found["s"] or 0)) != (0, 0, 0):
        raise Unread("day", text[:100])
    return day


def _month(text: str) -> str:
    """A month; a spreadsheet may have made its first day of it."""
    if found := re.fullmatch(r"(\d{4})-(\d\d)|(\d{1,2})\.(\d{4})", text):
        return f"{found[1] or found[4]}-{int(found[2] or found[3]):02}"
    return f"{day_and_time(text, 'month')[0]:%Y-%m}"


def _moment(text: str, offset: timezone | None) -> datetime:
    """A time; of a day alone its noon."""
    day, found = day_and_time(text, "time")
    try:
        if _RFC3339.fullmatch(text.upper()):
            return datetime.fromisoformat(text.upper())
        clock = time(int(found["h"]), int(found["min"]), int(found["s"] or 0)) if found["h"] else NOON
        own = offset_of(found["offset"]) if found["offset"] else offset
    except ValueError:
        raise Unread("time", text[:100]) from None
    if own is None:
        raise Unread("offset", text[:100])
    return datetime.combine(day, clock, own)


_READERS: dict[Any, Callable[[str], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": is_yes,
    "date": lambda text: _day(text).isoformat(),
    "month": _month,
}


def offset_of(text: str) -> timezone:
    """The offset from UTC that `+07:00` or `Z` is.

    Raises:
        ValueError: it is none.
    """
    if text.upper() in ("Z", "UTC"):
        return UTC
    found = re.fullmatch(r"([+-])(\d{1,2}):?(\d\d)?", text)
    if not found or int(found[2]) > 14 or int(found[3] or 0) > 59:
        raise ValueError(Why("no_offset", (text[:100],)).text())
    size = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
    return timezone(size if found[1] == "+" else -size)
