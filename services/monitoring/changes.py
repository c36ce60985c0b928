"""What changed of a figure since a day, whether that is more than chance, and what it means in words. Pure."""

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from shared.pages.languages import LANGUAGES, N_, Language, translated
from shared.pages.pages import number

from .comparing import between, is_complete
from .indicators import INDICATORS, Indicator, Scope
from .published import Figure, Recorded, is_step


class What(StrEnum):
    """What happened to a figure."""

    changed = "changed"
    shown = "shown"  # it was hidden, or there was none
    hidden = "hidden"
    gone = "gone"


class Verdict(StrEnum):
    """Does a value differ by more than chance?"""

    clear = "clear"
    unclear = "unclear"
    complete = "complete"  # every case is counted: there is no chance in it
    untold = "untold"
    redefined = "redefined"


class Change(NamedTuple):
    """A figure that changed.

    Attributes:
        interval: of the difference of two shares, 95 %.
    """

    of: Indicator
    scope: Scope
    scope_id: str | None
    before: Recorded
    now: Recorded
    what: What
    verdict: Verdict | None
    interval: tuple[float, float] | None

    @property
    def difference(self) -> float | None:
        before, now = self.before.value, self.now.value
        return None if before is None or now is None else now - before

    @property
    def more_cases(self) -> int | None:
        """How many cases came (or went)."""
        before, now = self.before.n, self.now.n
        return now - before if isinstance(before, int) and isinstance(now, int) else None


def changes(figures: Iterable[Figure], redefined: Collection[str], least: int) -> list[Change]:
    """Those of the figures that changed, by as many cases as may be told of.

    Args:
        redefined: indicators whose definition changed meanwhile.
        least: how many cases are shown at all.
    """
    known = (figure for figure in figures if figure.indicator in INDICATORS)  # an earlier version may have had others
    return [
        _change(each, redefined)
        for each in known
        if is_step(INDICATORS[each.indicator], [each.before], each.now, least)
    ]


def _change(figure: Figure, redefined: Collection[str]) -> Change:
    of, before, now = INDICATORS[figure.indicator], figure.before, figure.now
    about = of, figure.scope, figure.scope_id, before, now
    if now.status != "ok":
        return Change(*about, What.hidden if now.status == "suppressed" else What.gone, None, None)
    if before.status != "ok":
        return Change(*about, What.shown, None, None)
    if of.id in redefined:
        return Change(*about, What.changed, Verdict.redefined, None)
    if is_complete(of):
        return Change(*about, What.changed, Verdict.complete, None)
    found = between(of, *((each.numerator, each.denominator) for each in (now, before)))
    if found is None:
        return Change(*about, What.changed, Verdict.untold, None)
    low, high = found
    return Change(*about, What.changed, Verdict.unclear if low <= 0 <= high else Verdict.clear, found)


def in_order(found: Iterable[Change]) -> list[Change]:
    """What is clear comes first, then what is shown or hidden now; of what is alike the greater difference."""
    order = list(INDICATORS)

    def key(change: Change) -> tuple[int, float, int, str]:
        is_share = change.of.unit == "share"
        size = abs(change.difference or 0) if is_share else 0.0
        return _RANKS.get(change.verdict, 1), -size, order.index(change.of.id), change.scope_id or ""

    return sorted(found, key=key)


_RANKS = {Verdict.clear: 0, None: 1, Verdict.redefined: 1, Verdict.complete: 2, Verdict.untold: 2, Verdict.unclear: 3}


# in words

WHAT: dict[str, str] = {
    What.changed: N_("has changed"),
    What.shown: N_("now shown"),
    What.hidden: N_("now hidden"),
    What.gone: N_("no longer known"),
}
VERDICTS: dict[str, str] = {
    Verdict.clear: N_("a clear difference"),
    Verdict.unclear: N_("no clear difference: it may be chance"),
    Verdict.complete: N_("every case is counted, so it is no chance"),
    Verdict.untold: N_("whether it is more than chance is not worked out"),
    Verdict.redefined: N_("the definition has changed meanwhile, so the two cannot be compared"),
}
_MORE = N_("Cases: {more} more, {n} now.")
_FEWER = N_("Cases: {more} fewer, {n} now.")
_MORE_GRADUATES = N_("Graduates counted: {more} more, {n} now.")
_FEWER_GRADUATES = N_("Graduates counted: {more} fewer, {n} now.")
_ROSE = N_("It rose from {before} to {now}: {verdict}.")
_FELL = N_("It fell from {before} to {now}: {verdict}.")
_STAYED = N_("It is still {now}.")
_SHOWN = N_("It is shown now: {now}. Before, there were too few cases.")
_BEGUN = N_("It is known now: {now}. Before, there was nothing to work it out from.")
_HIDDEN = N_("It is no longer shown: too few cases are left.")
_FEW = N_("There are cases now, but too few to be shown.")
_GONE = N_("Nothing is left to work it out from.")


def in_words(change: Change, language: Language) -> str:
    """What a change means."""

    def say(text: str, **given: str) -> str:
        return translated(language, text).format(**given)

    of, before, now = change.of, change.before, change.now
    then, value = value_in(of, before.value, language), value_in(of, now.value, language)
    match change.what:
        case What.gone:
            return say(_GONE)
        case What.hidden:
            return say(_HIDDEN if before.status == "ok" else _FEW)
        case What.shown:
            return say(_SHOWN if before.status == "suppressed" else _BEGUN, now=value)
    said = []
    if change.more_cases and of.cases != of.numerator:  # else the value is the number of cases
        are_graduates = of.by == "cohort" and "expected" not in of.denominator  # these are all who were enrolled
        texts = (_MORE_GRADUATES, _FEWER_GRADUATES) if are_graduates else (_MORE, _FEWER)
        more = number(abs(change.more_cases), language)
        said.append(say(texts[change.more_cases < 0], more=more, n=number(_whole(now.n), language)))
    if then == value:
        said.append(say(_STAYED, now=value))
    else:
        verdict = say(VERDICTS[change.verdict or Verdict.untold])
        said.append(say(_ROSE if (change.difference or 0) > 0 else _FELL, before=then, now=value, verdict=verdict))
    return " ".join(said)


def _whole(n: int | str | None) -> int:
    return n if isinstance(n, int) else 0


def value_in(of: Indicator, value: float | None, language: Language) -> str:
    """A value as it is written in a sentence."""
    if value is None:
        return "–"
    if of.unit == "share":
        return f"{number(100 * value, language, 1)}\N{NO-BREAK SPACE}%"
    if of.unit == "days":
        return f"{number(round(value), language)} {translated(language, 'days')}"
    return number(round(value, 1), language)


def row(change: Change, name: str | None) -> dict[str, Any]:
    """A change as the API gives it."""
    before, now = change.before, change.now
    low, high = change.interval or (None, None)
    return {
        "indicator": change.of.id,
        "title": change.of.title.in_all(),
        "scope": change.scope,
        "scope_id": change.scope_id,
        "scope_name": name,
        "unit": change.of.unit,
        "change": change.what,
        "verdict": change.verdict,
        "before": before.value,
        "before_status": before.status,
        "before_numerator": before.numerator,
        "before_denominator": before.denominator,
        "before_n": before.n,
        "before_since": before.day or None,
        "value": now.value,
        "status": now.status,
        "numerator": now.numerator,
        "denominator": now.denominator,
        "n": now.n,
        "more_cases": change.more_cases,
        "difference": change.difference,
        "difference_from": low,
        "difference_to": high,
        "means": {language: in_words(change, language) for language in LANGUAGES},
    }
