"""Charts as lines and points to draw, worked out from what the API answers: pure, and the same without JavaScript."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import floor, log10
from typing import Any, NamedTuple

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 48, 20, 10, 26  # room for the axes
DRAWN = {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT}  # what templates draw with
NICE = (1, 2, 2.5, 5, 10)

Point = Mapping[str, Any]  # of a series, as the API gives it


class Mark(NamedTuple):
    """A value on the chart, with the ends of its interval if it has one."""

    period: str
    value: float
    x: float
    y: float
    low: float | None
    high: float | None


class Chart(NamedTuple):
    """What is drawn of a series.

    Attributes:
        runs: points that a line may join: nothing hidden or missing lies between them.
        ticks: of the axis of values: where, and which value.
        years: of the axis of months: where, and which year.
    """

    marks: list[Mark]
    runs: list[str]
    ticks: list[tuple[float, float]]
    years: list[tuple[float, str]]


def chart(
    points: Sequence[Point], *, is_share: bool, beside: Sequence[Sequence[Point]] = (), zoomed: bool = False
) -> Chart | None:
    """The chart of a series; None: nothing of it is shown.

    Args:
        beside: series that are drawn on the same axes.
        zoomed: for a small chart without an axis: from the least to the greatest end of an interval.
    """
    known = [point for point in points if point["status"] == "ok"]
    if not known:
        return None
    drawn = [point for some in (known, *beside) for point in some if point["status"] == "ok"]
    ends = [point[name] for point in drawn for name in ("value", "interval_to") if point[name] is not None]
    low, high = min(0.0, *ends), 1.0 if is_share else max(*ends, 1.0)
    step = _step(high - low)
    high = 1.0 if is_share else step * -(-high // step)
    if zoomed:
        ends += [point["interval_from"] for point in drawn if point["interval_from"] is not None]
        low, high = _zoomed(min(ends), max(ends), LEAST_SPAN if is_share else 0)
    months = [_month(point["period"]) for point in drawn]
    first, last = min(months), max(months)

    def x(month: int) -> float:
        whole = WIDTH - LEFT - RIGHT
        return round(LEFT + (whole / 2 if first == last else whole * (month - first) / (last - first)), 1)

    def y(value: float | None) -> float | None:
        return None if value is None else round(TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low), 1)

    marks = [
        Mark(
            point["period"],
            point["value"],
            x(_month(point["period"])),
            y(point["value"]) or 0.0,
            y(point["interval_from"]),
            y(point["interval_to"]),
        )
        for point in known
    ]
    values = [low + step * n for n in range(round((high - low) / step) + 1)]
    return Chart(marks, _runs(points, marks), [(y(value) or 0.0, value) for value in values], _years(first, last, x))


LEAST_SPAN = 0.1  # of shares: else a hundredth of a percentage point fills the height


def _zoomed(low: float, high: float, least: float) -> tuple[float, float]:
    """An axis from the least to the greatest, which is as long as *least* and longer than nothing."""
    missing = max(least, 0.0 if high > low else 2.0) - (high - low)
    if missing <= 0:
        return low, high
    return (low, high + missing) if least and low < missing / 2 else (low - missing / 2, high + missing / 2)


def _month(period: str) -> int:
    """Months as a number; a year is its January."""
    return int(period[:4]) * 12 + int(period[5:7] or 1) - 1


def _step(span: float) -> float:
    """A round step of which *span* has five at most."""
    size = 10.0 ** floor(log10(span / 5))
    return next(size * nice for nice in NICE if size * nice >= span / 5)


def _years(first: int, last: int, x: Callable[[int], float]) -> list[tuple[float, str]]:
    years = [month for month in range(first, last + 1) if month % 12 == 0]
    every = -(-len(years) // 10) or 1
    return [(x(month), str(month // 12)) for month in years[::every]] or [(x(first), f"{first // 12}")]


def _runs(points: Sequence[Point], marks: Sequence[Mark]) -> list[str]:
    """Paths through the marks that follow each other at the usual distance."""
    months = [_month(point["period"]) for point in points]
    steps = sorted(later - month for month, later in pairwise(months))
    usual = steps[(len(steps) - 1) // 2] if steps else 1
    by_period, runs, before = {mark.period: mark for mark in marks}, list[list[Mark]](), None
    for point in points:
        mark = by_period.get(point["period"])
        if mark and before and _month(mark.period) - _month(before.period) <= usual:
            runs[-1].append(mark)
        elif mark:
            runs.append([mark])
        before = mark
    return ["M" + "L".join(f"{mark.x} {mark.y}" for mark in run) for run in runs if len(run) > 1]


class Bar(NamedTuple):
    """An interval and its value, in per cent of the width."""

    value: float
    low: float
    high: float


def bar(item: Mapping[str, Any], greatest: float) -> Bar | None:
    """A row of a ranked list; None: there is nothing to draw.

    Args:
        greatest: what the whole width is.
    """
    if item["value"] is None or item["value"] < 0 or not greatest:
        return None
    low, high = item["interval_from"], item["interval_to"]
    ends = (item["value"] if end is None else end for end in (low, high))
    value, begin, end = (round(100 * min(1.0, each / greatest), 2) for each in (item["value"], *ends))
    return Bar(value, begin, end)


class Bin(NamedTuple):
    """A part of a distribution: so many values lie from *low* on, and below *high* (of the last up to it)."""

    low: float
    high: float
    n: int


BINS = 20


def distribution(values: Sequence[float], greatest: float) -> list[Bin]:
    """How many values lie where; none if they are too few to show a shape.

    Args:
        greatest: the end of the last part.
    """
    if len(values) < BINS or not greatest or min(values) < 0:
        return []
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, int(BINS * value / greatest))] += 1
    return [Bin(greatest * n / BINS, greatest * (n + 1) / BINS, count) for n, count in enumerate(counts)]
