"""How measures are named and counted: by months and weeks, hours as whole numbers."""

from collections.abc import Iterable, Iterator

from shared.processing import facts
from shared.processing.facts import Fact
from shared.processing.mongo import Counter

WEEKS = 260  # the last week of a histogram holds all that is later, too
Added = Iterable[tuple[Counter, int]]


def month_of(moment: Fact | str) -> str:
    """The month (YYYY-MM) of a fact, or of a day or time as text."""
    return (moment if isinstance(moment, str) else moment["time"])[:7]


def week_of(days: int) -> str:
    """The week (w000 to w260) of a histogram that so many days fall into."""
    return f"w{min(max(days, 0) // 7, WEEKS):03d}"


def hundredths(hours: float) -> int:
    """Hundredths of an hour: whole, so that sums are exact."""
    return round(hours * 100)


def hours_as(prefix: str, in_hundredths: int) -> Iterator[tuple[str, int]]:
    """Hours as measures: whole quarters, which is all that was counted once, and the hundredths that are left over."""
    quarters, rest = divmod(in_hundredths, 25)
    yield f"{prefix}_quarter_hours", quarters
    if rest:
        yield f"{prefix}_hundredth_hours", rest


def in_order(found: Iterable[Fact]) -> list[Fact]:
    """Facts from the oldest to the newest."""
    return sorted(found, key=facts.age)
