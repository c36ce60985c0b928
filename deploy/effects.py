"""Writes docs/events.md: who reads each event, whom it is sent to, which figures it changes. Part of `make contract`.

All of it follows from the code. A type's services are those whose rules take its example in; the figures are those
whose measures change when the example is added to all others.
"""

from collections.abc import Iterable
from datetime import timedelta
from functools import cache
from importlib import import_module
from itertools import product
from pathlib import Path

from services.monitoring import lookups, states
from services.monitoring.indicators import CATALOGUE, Indicator
from services.monitoring.learners import AT_WORK
from services.partners.gateway.contract.examples import EXAMPLES
from services.partners.gateway.contract.messages import PUBLISHERS
from services.partners.gateway.egress import audience
from shared.contract.events import DATA, Data, Event
from shared.log.topics import SERVICES
from shared.processing import facts
from shared.processing.mongo import Counts, Key
from shared.processing.ownership import Refused

PATH = Path(__file__).parents[1] / "docs/events.md"
# What ends what others say.
FOR_GOOD = ("annulled", "erased")
LAST = ("withdrawn", "cancelled", "ended", "closed", "revoked", "refused", "suspended", "left", "declined")
# What the examples do not show, because they are about different entities, or a figure is looked up and not counted.
LOOKED_UP = {
    "organisation.suspended": ("partners", "partners_active"),
    "organisation.reinstated": ("partners", "partners_active"),
    "programme.revised": ("revisions_answered",),
    "demand.reported": ("demand_lack", "demand_surplus"),
    "recognition.granted": ("certificates_recognised",),
    "recognition.withdrawn": ("certificates_recognised",),
    "demand.annulled": ("demand_lack", "demand_surplus"),
}
TOLD = {
    "_subject": "the organisation itself",
    "_enterprise": "the enterprise that it names",
    "_institutions": "the learner's institutions",
    "_named_parties": "the parties",
    "_parties": "the parties",
    "_named_partners": "the partners that it names",
    "_institution": "the programme's institution",
    "_partners": "the programme's institution and partners",
    "_participants": "who took part",
    "_certifiers": "who issued the scheme and who assessed",
    "_respondent": "the enterprise that is asked",
    "_issuer": "who issued the scheme",
    "_consented": "the institution that may enrol, too",
    "_publisher": "the organisation that it is about",
    "_scope": "the institution or enterprise that it is about",
    "_region": "the institutions of its region",
    "_alerted": "the institution whose rule it is; by a rule of the operator: the institution or enterprise that it is "
    "about, the programme's institution and partners, the institutions of its region",
    "_concerned": "whom the event concerned that is taken back",
}
INTRO = """<!-- Written by `make contract` from the code (deploy/effects.py): do not edit. -->

# What follows from an event

For each type: who says it, which services keep it, who else finds it in the feed, and which indicators its example on
the contract's page changes ([indicators.md](indicators.md)).

| type | said by | kept by | sent to | changes |
|---|---|---|---|---|
"""


def document() -> str:
    return INTRO + "".join(f"| {' | '.join(_row(type_))} |\n" for type_ in DATA)


def _row(type_: str) -> tuple[str, ...]:
    data, event = DATA[type_], EXAMPLES[type_]
    told = dict.fromkeys(TOLD[rule.__name__] for rule in audience.RULES[data])
    changed = indicators_of(data.short_type)
    kept = [service for service in SERVICES if _is_kept(service, event)]
    effect = ", ".join(f"`{id}`" for id in changed) or _other_effect(kept)
    return f"`{data.short_type}`", _publishers(data), ", ".join(kept) or "-", ", ".join(told) or "nobody else", effect


def _publishers(data: type[Data]) -> str:
    return ", ".join(PUBLISHERS[kind] for kind in data.by)


def _is_kept(service: str, event: Event[Data]) -> bool:
    core = import_module(f"services.{service}.app").core
    return event.data.topic in core.topics and core.route(facts.from_event(event)) is not None


def _other_effect(kept: list[str]) -> str:
    """What follows besides figures: by rule a service that keeps it shows it, or judges by it."""
    by_rule = [service for service in kept if service != "monitoring"]
    return f"no figure; rules and views of {' and '.join(by_rule)}" if by_rule else "no figure; it is told"


@cache
def indicators_of(short_type: str) -> list[str]:
    """The indicators whose measures the type's example changes, said with all others or a day later."""
    example = next(event for event in EXAMPLES.values() if event.data.short_type == short_type)
    later = example.model_copy(update={"time": example.time + timedelta(days=1)})
    changed = {*LOOKED_UP.get(short_type, ())}
    for but_for, said in product(("", "learner.graduated"), (example, later)):
        others = _before(short_type, but_for)
        with_it, without = _counted([*others, said]), _counted(others)
        changed |= {_named(*c) for c in with_it.keys() | without.keys() if with_it.get(c) != without.get(c)}
    return [one.id for one in CATALOGUE if changed & _made_of(one) or _in_histogram(one.histogram, changed)]


def _named(kind: str, _: str, __: str, measure: str) -> str:
    """A measure by name; what is counted for groups only is another."""
    return f"{measure} by group" if kind == "programme_group" else measure


COUNTED_FOR = {
    "occupation_known": lookups.OCCUPATIONS,
    "hosts_active": ("hosted",),
    "hours_hosted": tuple(lookups.HOURS),
    "graduates_planned": ("graduates", "planned_hours"),
    "work_region_known": (AT_WORK,),
    "vacancies_of_year": ("vacancies", "graduates"),
}


def _made_of(one: Indicator) -> set[str]:
    """The measures that are counted for those that an indicator names."""
    behind = (counted for measure in one.measures for counted in COUNTED_FOR.get(measure, ()))
    return {*one.measures, *behind, *(f"{measure} by group" for measure in one.measures if one.splits)}


def _in_histogram(histogram: str | None, changed: Iterable[str]) -> bool:
    return any(measure.partition("/")[0] == histogram for measure in changed)


def _before(short_type: str, but_for: str = "") -> list[Event[Data]]:
    """What was said before, but for what ends something else; of the type's own subject everything but annulments."""
    subject, verb = _parts(short_type)

    def counts(type_: str) -> bool:
        about, what = _parts(type_)
        ends_it = what in LAST and not (about == subject and verb == "annulled")
        return type_ not in (short_type, but_for) and what not in FOR_GOOD and not ends_it

    return [event for event in EXAMPLES.values() if counts(event.data.short_type)]


def _parts(short_type: str) -> tuple[str, str]:
    """What a type is about, and the last word of what happened: programme, declined."""
    subject, _, happened = short_type.partition(".")
    return subject, happened.rpartition("_")[2]


def _counted(events: Iterable[Event[Data]]) -> Counts:
    known: dict[Key, facts.State] = {}
    for event in events:
        one = facts.from_event(event)
        if event.data.topic in states.COLLECTIONS and (key := states.route(one)):
            try:
                known[key] = facts.apply(known.get(key, facts.empty()), one)
            except Refused:
                continue
    counts: Counts = {}
    for key, state in known.items():
        for counter, count in states.contributions(key, state).items():
            counts[counter] = counts.get(counter, 0) + count
    return {counter: count for counter, count in counts.items() if count}


if __name__ == "__main__":
    PATH.write_text(document())
