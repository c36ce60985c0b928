"""When feedback shows that a programme should be revised: plain numbers, pure rules."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from shared.contract.events import Data, Event, ProgrammeRevisionRecommended, derive, derived_id
from shared.processing import facts
from shared.processing.facts import State

LEAST_RATINGS = 5
SATISFIED_SHARE = 0.6
BY = ("id", "period")  # what `gaps` wants the counters `programme_competency` summed by


class Gap(NamedTuple):
    """Ratings of one of a programme's competencies in a window (calendar quarter, UTC)."""

    programme: str
    competency: str
    window: str
    ratings: int
    satisfied: int

    @property
    def is_open(self) -> bool:
        return self.ratings >= LEAST_RATINGS and self.satisfied < SATISFIED_SHARE * self.ratings


def window_of(month: str) -> str:
    """The quarter of a month: 2026-05 is in 2026Q2."""
    year, number = month.split("-")
    return f"{year}Q{(int(number) + 2) // 3}"


def gaps(sums: Mapping[tuple[str, ...], Mapping[str, int]]) -> list[Gap]:
    """Ratings by programme, competency and window, from the counters `programme_competency` summed by `BY`."""
    totals: dict[tuple[str, str, str], list[int]] = {}
    for (id, month), measures in sums.items():
        programme, competency = id.split(" ")
        total = totals.setdefault((programme, competency, window_of(month)), [0, 0])
        for measure, count in measures.items():
            total[0] += count
            total[1] += count if measure in ("rating_4", "rating_5") else 0
    return [Gap(*about, *total) for about, total in sorted(totals.items())]


def recommend(programme: str, state: State, known: Iterable[Gap], now: datetime) -> list[Event[Data]]:
    """Recommend a revision for each open gap in a competency of the programme, once per window."""
    published = facts.last(state, "programme.published")
    if published is None:
        return []
    declared = {c["competency"] for c in published["data"].get("competencies", [])}
    recommended = facts.facts(state, "programme.revision_recommended")
    return [
        _recommendation(gap, now)
        for gap in known
        if gap.programme == programme
        and gap.is_open
        and gap.competency in declared
        and recommendation_id(gap) not in recommended
    ]


def recommendation_id(gap: Gap) -> str:
    return derived_id("programme.revision_recommended", gap.programme, gap.competency, gap.window)


def _recommendation(gap: Gap, now: datetime) -> Event[Data]:
    id = recommendation_id(gap)
    data = ProgrammeRevisionRecommended(
        recommendation=id,
        competency=gap.competency,
        window=gap.window,
        ratings=gap.ratings,
        satisfied=gap.satisfied,
        threshold=SATISFIED_SHARE,
    )
    return derive("feedback", data, id=id, subject=gap.programme, key=gap.programme, time=now)
