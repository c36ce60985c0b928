"""A learner's employment in spells: from when until when each holds, and what follows for a graduate. Pure.

A spell begins on its first day (`since`; where that is unknown, on the day on which it was seen). What a register or
the employer says holds until it is ended; what a survey says holds for 6 months after it was seen, or until a survey
says something else. Days are texts, whose order is that of time.
"""

from calendar import monthrange
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from functools import lru_cache, reduce
from typing import Any, NamedTuple

from shared.contract.events import HOSTS, Basis, EmploymentDetail, EmploymentStatus, organisation_of
from shared.processing.facts import Fact, State, is_newer

STATUSES = (*EmploymentStatus, *EmploymentDetail)  # a detail counts in place of the status `other`
IN_WORK = ("employed", "self_employed")
HORIZONS_MONTHS = (6, 12, 18, 24, 30, 36)
SURVEY_HOLDS_MONTHS = 6
FULL_TIME_HOURS, PART_TIME_HOURS = 40, 20  # taken as usual hours where only this is known
FOR_EVER = "9999-12-31"


class Spell(NamedTuple):
    """A time in one status.

    Attributes:
        end: the first day on which it is no longer taken to hold.
        observed: the day on which it was seen.
        is_ended: its end was said.
    """

    begin: str
    end: str
    observed: str
    basis: str
    in_work: bool
    is_ended: bool
    fact: Fact

    @property
    def data(self) -> dict[str, Any]:
        return self.fact["data"]

    @property
    def is_begin_known(self) -> bool:
        return "since" in self.data

    @property
    def employer(self) -> str | None:
        """Where the work is, if that is known: an enterprise speaks of itself."""
        by_host = self.fact["kind"] in HOSTS
        named: str | None = self.data.get("enterprise")
        return named or (organisation_of(self.fact["source"]) if by_host else None)


def spells_of(state: State) -> list[Spell]:
    """All spells of a learner."""
    ends = state["facts"].get("employment.ended", {})
    return [_spell(fact, ends.get(slot)) for slot, fact in state["facts"].get("employment.recorded", {}).items()]


def _spell(fact: Fact, ended: Fact | None) -> Spell:
    data, observed = fact["data"], fact["time"][:10]
    basis = data.get("basis") or (Basis.survey if fact["kind"] == "institution" else Basis.employer)
    begin = data.get("since", observed)
    is_ended = ended is not None and ended["data"]["ended_on"] >= begin  # else it is the end of an earlier one
    if ended is not None and is_ended:
        end = day_after(ended["data"]["ended_on"])
    else:
        end = months_after(observed, SURVEY_HOLDS_MONTHS) if basis == Basis.survey else FOR_EVER
    return Spell(begin, end, observed, basis, data["status"] in IN_WORK, is_ended, fact)


def of_graduate(spells: Iterable[Spell], graduated_on: str) -> list[Spell]:
    """The spells that say something of a graduate: a survey from before the graduation was of a learner."""
    return [spell for spell in spells if spell.basis != Basis.survey or spell.observed >= graduated_on]


def last_seen(state: State, graduated_on: str) -> str:
    """The moment of the newest status: the day of the newest observation, not before the graduation."""
    seen = [fact["time"][:10] for t in _OBSERVATIONS for fact in state["facts"].get(t, {}).values()]
    return max([graduated_on, *seen])


_OBSERVATIONS = ("employment.recorded", "employment.ended")


def at(spells: Iterable[Spell], day: str) -> Spell | None:
    """The spell that says what somebody does on *day*: of several jobs the main one; None: it is not known.

    Who works counts as working, whatever else is said (ILO). The main job is the one with the most usual hours, then
    the longest (19th ICLS).
    """
    holding = [spell for spell in spells if spell.begin <= day < spell.end]
    if len(holding) < 2:
        return holding[0] if holding else None
    standing = [spell for spell in holding if not _is_over(spell, holding)]
    if work := [spell for spell in standing if spell.in_work]:
        return reduce(_main_job, work)
    return reduce(lambda one, other: other if _is_later(other, one) else one, standing)


def _is_over(spell: Spell, holding: Iterable[Spell]) -> bool:
    """Did a later survey say something else? A job that began before another was last seen is held beside it."""
    if spell.basis != Basis.survey:
        return False
    later = [other for other in holding if other.basis == Basis.survey and _is_later(other, spell)]
    return any(not (spell.in_work and other.in_work) or other.begin > spell.observed for other in later)


def _main_job(one: Spell, other: Spell) -> Spell:
    """Of two jobs the one with more hours, then the longer one; of what claims the same, any fixed choice."""
    hours, others = usual_hours(one.data), usual_hours(other.data)
    if hours != others:
        return one if hours > others else other
    return other if _is_later(one, other) else one


def _is_later(one: Spell, other: Spell) -> bool:
    """Did *one* begin later? Of two that began on one day the newer fact decides, so that order changes nothing."""
    return one.begin > other.begin if one.begin != other.begin else is_newer(one.fact, other.fact)


def usual_hours(data: Mapping[str, Any]) -> float:
    """A week's; 0 where nothing is known of them."""
    if "hours_per_week" in data:
        return float(data["hours_per_week"])
    if "full_time" not in data:
        return 0
    return FULL_TIME_HOURS if data["full_time"] else PART_TIME_HOURS


def status_of(data: Mapping[str, Any]) -> str:
    """The status as it is counted."""
    return str(data.get("detail") or data["status"])


def works_at(spells: Iterable[Spell], day: str) -> bool:
    """Is somebody in work already on the day of a graduation or a certificate, in a job that began earlier?"""
    return any(spell.in_work and spell.begin < day < spell.end for spell in spells)


def days_to_first_job(spells: Iterable[Spell], day: str) -> int | None:
    """Days from a graduation or a certificate to the first work after it whose first day is known."""
    begins = [spell.begin for spell in spells if spell.in_work and spell.is_begin_known]
    later = [begin for begin in begins if begin >= day]
    return (day_of(min(later)) - day_of(day)).days if later else None


def hired_at(spells: Iterable[Spell], placements: Mapping[str, str]) -> set[str]:
    """The enterprises that hired their intern: work there that began after the internship did.

    Args:
        placements: enterprises, each with the first day of an internship there.
    """
    jobs = [spell for spell in spells if spell.in_work]
    return {e for e, since in placements.items() if any(job.employer == e and job.begin > since for job in jobs)}


day_of = lru_cache(100_000)(date.fromisoformat)  # there are few days, and each comes again and again


def day_after(day: str) -> str:
    return (day_of(day) + timedelta(days=1)).isoformat()


@lru_cache(100_000)
def months_later(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day if it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


@lru_cache(100_000)
def months_after(day: str, months: int) -> str:
    return months_later(day_of(day), months).isoformat()


@lru_cache(100_000)
def horizons(graduated_on: str) -> list[tuple[str, str]]:
    """What measures at each horizon begin with, and its day."""
    return [(f"after_{months}m_", months_after(graduated_on, months)) for months in HORIZONS_MONTHS]
