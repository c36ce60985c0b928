"""The labour market: which vacancies are open, what their skills are mapped to, what is demanded: pure rules."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any, NamedTuple

from shared.contract.events import EventClass, SkillMapped, VacancyClosed, VacancyObserved
from shared.contract.skills import skill_id
from shared.processing import facts
from shared.processing.facts import State

COLLECTIONS: dict[EventClass, str] = {
    VacancyObserved: "vacancies",
    VacancyClosed: "vacancies",
    SkillMapped: "skills",
}
INDEXES: dict[str, list[tuple[str, ...]]] = {
    "vacancies": [("portal", "_id"), ("demands", "_id"), ("open", "region")],
    "skills": [("status",)],
}
OF_A_VACANCY = ("portal", "title", "area", "region", "skills", "published_on", "enterprise")


def vacancy_view(state: State) -> dict[str, Any]:
    """A vacancy as it was observed last; it is open unless it was closed later than that.

    `demands` are the ids of an open vacancy's skills; `since` is the first day on which it is known to have been open.
    """
    observed, closed = facts.last(state, "vacancy.observed"), facts.last(state, "vacancy.closed")
    if observed is None:
        return {"open": False}
    is_open = facts.newest(observed, closed) is observed
    data = observed["data"]
    return {
        **{name: data.get(name) for name in OF_A_VACANCY},
        "skills": data.get("skills", []),
        "digest": digest(data),
        "open": is_open,
        "demands": sorted(set(map(skill_id, data.get("skills", [])))) if is_open else [],
        "since": min(data.get("published_on") or observed["time"][:10], observed["time"][:10]),
        "observed_at": observed["time"],
        "closed_at": closed["time"] if closed else None,
        "closed_on": closed["data"]["closed_on"] if closed and not is_open else None,
    }


def digest(data: Mapping[str, Any]) -> str:
    """By which what is said of a vacancy is compared: the fields that it has."""
    said = {name: value for name, value in data.items() if value not in (None, [])}
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def skill_view(state: State) -> dict[str, Any]:
    """What a skill was mapped to last, by whom and when."""
    mapped = facts.last(state, "skill.mapped")
    if mapped is None:
        return {}
    competency = mapped["data"].get("competency")
    return {
        "skill": mapped["data"]["skill"],
        "competency": competency,
        "status": "mapped" if competency else "none",
        "decided_by": mapped["data"].get("decided_by"),
        "decided_at": mapped["time"],
    }


VIEWS: dict[str, Callable[[State], dict[str, Any]]] = {"vacancies": vacancy_view, "skills": skill_view}


Of = tuple[str, str | None]  # a competency, and a region (None: the network knows none for the area)


@dataclass
class History:
    """What vacancies have demanded over time, by what is known of each now; added up one by one.

    Attributes:
        mapping: competency by skill id; None: none of ours.
        changes: by competency and region, how the number of open vacancies changed, by day.
        open: distinct vacancies that are open now, by competency and region.
        since: by region, the first day on which a vacancy was observed: what was open before is known only in part.
    """

    mapping: Mapping[str, str | None]
    changes: defaultdict[Of, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    open: Counter[Of] = field(default_factory=Counter)
    since: dict[str | None, str] = field(default_factory=dict)

    def add(self, vacancy: Mapping[str, Any]) -> None:
        """Take in a vacancy, open or closed: `region`, `skills`, `since`, `observed_at`, `open` and `closed_on`."""
        region, begin, end = vacancy["region"], vacancy["since"], vacancy["closed_on"]
        observed = vacancy["observed_at"][:10]
        self.since[region] = min(observed, self.since.get(region, observed))
        for competency in {self.mapping.get(skill_id(written)) for written in vacancy["skills"]}:
            if competency is None:
                continue
            of = competency, region
            self.changes[of][begin] += 1
            if end is not None:
                self.changes[of][max(begin, end)] -= 1
            if vacancy["open"]:
                self.open[of] += 1

    def on(self, of: Of, day: str) -> int | None:
        """How many demanded it on a day; None: the region's vacancies of that day are not known, or it has no skill."""
        if not self.is_known(of, day):
            return None
        return sum(change for changed, change in self.changes.get(of, {}).items() if changed <= day)

    def is_known(self, of: Of, day: str) -> bool:
        """Were the region's vacancies known on a day already, and is a skill mapped to the competency?"""
        competency, region = of
        return competency in self.mapped and region in self.since and self.since[region] <= day

    @cached_property
    def mapped(self) -> frozenset[str]:
        return frozenset(filter(None, self.mapping.values()))

    def until(self, of: Of) -> str | None:
        """When the last vacancy that demanded it was closed, if none is open; None: none ever was."""
        return max(self.changes.get(of, ()), default=None)


@dataclass
class Coverage:
    """How much of the open vacancies the figures could be made from.

    Attributes:
        mapped: vacancies of which at least one skill is mapped to a competency.
        mentions: skills of vacancies, each once a vacancy: mapped to a competency, to none of ours, or undecided.
    """

    vacancies: int = 0
    with_skills: int = 0
    mapped: int = 0
    mentions: int = 0
    mentions_mapped: int = 0
    mentions_none: int = 0

    def add(self, skills: set[str], mapping: Mapping[str, str | None]) -> None:
        known = [mapping[skill] for skill in skills if skill in mapping]
        competencies = sum(one is not None for one in known)
        self.vacancies += 1
        self.with_skills += bool(skills)
        self.mapped += bool(competencies)
        self.mentions += len(skills)
        self.mentions_mapped += competencies
        self.mentions_none += len(known) - competencies

    def __add__(self, other: "Coverage") -> "Coverage":
        return Coverage(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    def shown(self) -> dict[str, Any]:
        """With the two shares; None where there is nothing to have a share of."""
        return {
            **vars(self),
            "vacancies_share": self.mapped / self.vacancies if self.vacancies else None,
            "mentions_share": self.mentions_mapped / self.mentions if self.mentions else None,
        }


@dataclass
class Source:
    """A portal: its open vacancies, and when the newest of them was observed."""

    vacancies: int = 0
    observed_at: str = ""


class Skill(NamedTuple):
    """A skill of open vacancies: its most frequent spelling, and in how many of them it is."""

    id: str
    skill: str
    vacancies: int


@dataclass
class Market:
    """What the open vacancies demand, added up one by one.

    Attributes:
        mapping: competency by skill id; None: none of ours. A skill that is not in it is undecided.
        demanded: distinct vacancies by competency and region (None: the network knows no region for the area).
    """

    mapping: Mapping[str, str | None]
    demanded: Counter[Of] = field(default_factory=Counter)
    coverage: defaultdict[str | None, Coverage] = field(default_factory=lambda: defaultdict(Coverage))
    sources: defaultdict[str, Source] = field(default_factory=lambda: defaultdict(Source))
    _vacancies: Counter[str] = field(default_factory=Counter)
    _written: Counter[str] = field(default_factory=Counter)

    def add(self, vacancy: Mapping[str, Any]) -> None:
        """Count a vacancy that is open: its `portal`, `region`, `skills` and `observed_at`."""
        region, written = vacancy["region"], vacancy["skills"]
        skills = set(map(skill_id, written))
        self.coverage[region].add(skills, self.mapping)
        source = self.sources[vacancy["portal"]]
        source.vacancies += 1
        source.observed_at = max(source.observed_at, vacancy["observed_at"])
        self._vacancies.update(skills)
        self._written.update(written)
        self.demanded.update((c, region) for c in {self.mapping.get(skill) for skill in skills} if c)

    def total(self, regions: Sequence[str | None] | None = None) -> Coverage:
        """The coverage of these regions, or of all."""
        wanted = self.coverage if regions is None else regions
        return sum((self.coverage[region] for region in wanted if region in self.coverage), Coverage())

    @cached_property
    def skills(self) -> list[Skill]:
        """The skills of open vacancies, most frequent first; to be asked for once all are added."""
        spelled: dict[str, str] = {}
        for written, _ in sorted(self._written.items(), key=lambda one: (one[1], one[0])):
            spelled[skill_id(written)] = written
        found = [Skill(id, spelled[id], count) for id, count in self._vacancies.items()]
        return sorted(found, key=lambda one: (-one.vacancies, one.id))
