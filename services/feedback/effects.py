"""Did a revision help? The ratings of its competency before and after, by quarters large enough to be shown."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from shared.statistics import wilson

from .gaps import Gap, window_of

QUARTERS = 4  # so many on each side, of those in which there were enough ratings


class Period(NamedTuple):
    """Ratings of a competency over some quarters, with the 95 % interval (Wilson) of the share of 4 and 5."""

    quarters: list[str]
    ratings: int
    satisfied: int

    def shown(self) -> dict[str, Any]:
        if not self.ratings:
            return {"quarters": [], "ratings": 0, "satisfied": None, "share": None, "lower": None, "upper": None}
        lower, upper = wilson(self.satisfied, self.ratings)
        return {**self._asdict(), "share": self.satisfied / self.ratings, "lower": lower, "upper": upper}


def effects(recommendations: Iterable[Mapping[str, Any]], known: Iterable[Gap], least: int) -> list[dict[str, Any]]:
    """What became of the ratings for which a programme was revised.

    Quarters with fewer than *least* ratings are left out: they are hidden, and must not follow by subtraction. The
    quarter of the revision belongs to neither side.

    Returns:
        For each answer "revised": the competency, when, `before` and `after`, and a `verdict`: better, worse,
        no_clear_difference (the intervals overlap), too_early (nothing is rated since) or not_enough_data (before).
    """
    quarters = [gap for gap in known if gap.ratings >= least]
    return [_effect(one, quarters) for one in recommendations if one["status"] == "revised"]


def _effect(recommendation: Mapping[str, Any], quarters: list[Gap]) -> dict[str, Any]:
    revised = window_of(recommendation["answered_at"][:7])
    own = sorted(
        (gap for gap in quarters if gap.competency == recommendation["competency"]), key=lambda gap: gap.window
    )
    before = _period([gap for gap in own if gap.window < revised][-QUARTERS:])
    after = _period([gap for gap in own if gap.window > revised][:QUARTERS])
    return {
        "recommendation": recommendation["id"],
        "competency": recommendation["competency"],
        "version": recommendation["answer"]["version"],
        "revised_at": recommendation["answered_at"],
        "before": before.shown(),
        "after": after.shown(),
        "verdict": _verdict(before, after),
    }


def _period(gaps: list[Gap]) -> Period:
    return Period([gap.window for gap in gaps], sum(gap.ratings for gap in gaps), sum(gap.satisfied for gap in gaps))


def _verdict(before: Period, after: Period) -> str:
    if not before.ratings:
        return "not_enough_data"
    if not after.ratings:
        return "too_early"
    (least, most), (later_least, later_most) = (wilson(one.satisfied, one.ratings) for one in (before, after))
    if later_least > most:
        return "better"
    return "worse" if later_most < least else "no_clear_difference"
