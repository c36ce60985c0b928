"""Cells as people write them: days, times of a day, yes and no."""

import re
from datetime import date

from .tables import Why

_YES, _NO = ("true", "yes", "1", "да", "истина", "x", "+"), ("false", "no", "0", "нет", "ложь", "-")
ISO_DAY = r"(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)"
_DAY = rf"(?:{ISO_DAY}|(?P<d2>\d{{1,2}})\.(?P<m2>\d{{1,2}})\.(?P<y2>\d{{4}}))"
_CLOCK = r"(?P<h>\d{1,2}):(?P<min>\d\d)(?::(?P<s>\d\d)(?:\.\d{1,9})?)?"
_OFFSET = r"Z|[+-]\d\d:?\d\d"
_WHEN = re.compile(rf"{_DAY}(?:[T ]+{_CLOCK}\s*(?P<offset>{_OFFSET})?)?", re.IGNORECASE)


class Unread(ValueError):
    """A cell cannot be read as what it should say."""

    def __init__(self, code: str, *given: object) -> None:
        self.why = Why(code, given)
        super().__init__(self.why.text())


def is_yes(text: str) -> bool:
    """Does a cell say yes?

    Raises:
        Unread: it says neither yes nor no.
    """
    said = text.strip().casefold()
    if said not in (*_YES, *_NO):
        raise Unread("boolean", text[:100])
    return said in _YES


def day_and_time(text: str, code: str = "day") -> tuple[date, re.Match[str]]:
    """The day that a cell says, and by their names the parts of the time and the offset behind it, if there are any.

    Raises:
        Unread: it says none; `code` is the word for what it should be.
    """
    found = _WHEN.fullmatch(text.strip())
    try:
        if found:
            year, month, day = (int(found[name] or found[f"{name}2"]) for name in ("y", "m", "d"))
            return date(year, month, day), found
    except ValueError:
        pass
    raise Unread(code, text[:100])
