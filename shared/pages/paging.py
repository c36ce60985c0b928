"""Which part of a long list a page shows."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar
from urllib.parse import urlencode

Row = TypeVar("Row")


class Pager(NamedTuple):
    """Which part of a list a page shows, and the addresses of the parts before and behind it."""

    first: int
    last: int
    total: int
    before: str | None
    behind: str | None

    def of(self, rows: Sequence[Row]) -> Sequence[Row]:
        """The rows of this part."""
        return rows[max(0, self.first - 1) : self.last]


def pager(number: int, size: int, total: int, **filters: str) -> Pager:
    number = min(number, max(1, -(-total // size)))
    kept = [(name, value) for name, value in filters.items() if value]

    def to(page: int) -> str:
        return "?" + urlencode([*kept, ("page", str(page))])

    last = min(total, number * size)
    before, behind = to(number - 1) if number > 1 else None, to(number + 1) if last < total else None
    return Pager((number - 1) * size + 1 if total else 0, last, total, before, behind)
