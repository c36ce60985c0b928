"""What a learner adds to the counters: a pure function of the facts. Of a graduate under the month of graduation."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from shared.contract.events import LearnerDescribed, organisation_of
from shared.processing import employment, facts
from shared.processing.employment import IN_WORK, STATUSES, Spell, day_after
from shared.processing.facts import Fact, State

from .measures import Added, hours_as, hundredths, month_of, week_of


class Placed(NamedTuple):
    """A learner's internships: those that were completed, and the enterprises that hired their intern."""

    completed: Mapping[str, Fact]
    hired_at: set[str]


def learner(_: str, state: State) -> Added:
    """What a learner adds, and some of it once more for each group that the learner is said to belong to."""
    groups = groups_of(state)
    return _grouped(_counted(state), groups) if groups else _counted(state)


def _grouped(counted: Added, groups: list[str]) -> Added:
    for counter, count in counted:
        yield counter, count
        kind, programme, month, measure = counter
        if kind == "programme" and measure in OF_GROUPS:
            for group in groups:
                yield ("programme_group", f"{programme} {group}", month, measure), count


def groups_of(state: State) -> list[str]:
    """The groups that a learner belongs to, like `sex=female` and `rural=not_rural`; of what is not known none."""
    if LearnerDescribed.short_type not in state["facts"]:
        return []
    described = facts.last(state, LearnerDescribed.short_type)
    said = described["data"] if described else {}
    return [f"{split}={groups[said[split]]}" for split, groups in SPLITS.items() if split in said]


# By what learners are split into groups: what may be said of it, and how the groups are called.
SPLITS: Mapping[str, Mapping[Any, str]] = {
    "sex": {"female": "female", "male": "male"},
    "disability": {True: "with_disability", False: "without_disability"},
    "rural": {True: "rural", False: "not_rural"},
    "first_in_family": {True: "first_in_family", False: "not_first_in_family"},
}
# What is counted for groups. An indicator that is made of nothing else is offered for them: see `Indicator.splits`.
OF_GROUPS = frozenset(
    {
        *("learners", "expected", "expected_graduated", "graduates", "graduates_month_at_workplace"),
        *(f"after_{months}m_{status}" for months in (12, 18) for status in STATUSES),
    }
)


def _counted(state: State) -> Added:
    """What a learner adds: practice, work, certificates, studies and support, and the graduate's measures."""
    told = state["facts"]
    spells = employment.spells_of(state)
    placed = Placed({}, set())
    if not INTERNSHIPS.isdisjoint(told):
        internships = _internships(state)
        completed = {id: end for id, end in internships.items() if _completed(end)}
        placed = Placed(completed, employment.hired_at(spells, _placements_begun(state, completed)))
        yield from _placements(internships.values(), placed)
    if spells:
        yield from _hires(spells)
    for short_type, part in PARTS.items():
        if short_type in told:
            yield from part(state)
    for programme, graduation in told.get("learner.graduated", {}).items():
        yield from _graduation(state, programme, graduation["data"]["graduated_on"], spells, placed)


AT_WORK = "graduates_at_work"


def _graduation(state: State, programme: str, graduated_on: str, spells: list[Spell], placed: Placed) -> Added:
    """What a graduate of *programme* adds, under the month of graduation."""
    month, measures = graduated_on[:7], _graduate(state, programme, spells, placed)
    if own_spells := employment.of_graduate(spells, graduated_on):
        newest = employment.at(own_spells, employment.last_seen(state, graduated_on))
        measures += _employment(own_spells, newest, graduated_on)
        if newest and newest.in_work and newest.employer:
            yield ("enterprise", newest.employer, month, AT_WORK), 1
            yield ("programme_enterprise", f"{programme} {newest.employer}", month, AT_WORK), 1
    for measure in measures:
        yield ("programme", programme, month, measure), 1
    own = [fact for fact in placed.completed.values() if fact["data"]["programme"] == programme]
    for measure, count in hours_as("graduate", _hours(own)) if own else ():
        yield ("programme", programme, month, measure), count


def _studies(state: State) -> Added:
    """Who is enrolled; and of those who were expected to graduate in a month who did, at any time, and who left."""
    graduated, left = facts.facts(state, "learner.graduated"), facts.facts(state, "learner.left")
    for programme, enrolled in state["facts"].get("learner.enrolled", {}).items():
        end, how = None, ""
        if programme in graduated:
            end, how = graduated[programme]["data"]["graduated_on"], "graduated"
        elif programme in left and facts.newest(enrolled, left[programme]) is left[programme]:
            end, how = left[programme]["data"]["left_on"], "left"
        begin = month_of(enrolled)
        yield ("programme", programme, begin, "learners"), 1
        if end:
            yield ("programme", programme, max(begin, month_of(end)), "learners"), -1
        if cohort := enrolled["data"].get("cohort"):
            yield ("programme", programme, cohort, "expected"), 1
            if end:
                yield ("programme", programme, cohort, f"expected_{how}"), 1


def _support(state: State) -> Added:
    """Cases of support on the way to a job, in the month in which they were closed, for who closed them."""
    for closed in state["facts"].get("support.closed", {}).values():
        whose, outcome = organisation_of(closed["source"]), closed["data"]["outcome"]
        yield ("organisation", whose, month_of(closed), "support_closed"), 1
        if outcome in HELPED:
            yield ("organisation", whose, month_of(closed), "support_helped"), 1


def _applications(state: State) -> Added:
    """Applications that an enterprise has decided on, in the month of its decision; none that was withdrawn since."""
    accepted, declined, withdrawn = (
        facts.facts(state, f"application.{verb}") for verb in ("accepted", "declined", "withdrawn")
    )
    for id, submitted in facts.facts(state, "application.submitted").items():
        enterprise = submitted["data"]["enterprise"]
        decisions = {"accepted": accepted.get(f"{enterprise}/{id}"), "declined": declined.get(f"{enterprise}/{id}")}
        last = facts.newest(submitted, withdrawn.get(id), *decisions.values())
        for decision, fact in decisions.items():
            if fact is not None and fact is last:
                yield ("enterprise", enterprise, month_of(fact), f"applications_{decision}"), 1


HELPED = ("hired", "internship", "training")


def _hires(spells: list[Spell]) -> Added:
    """Who began to work at an enterprise, and whether they were there 12 months later, where that is known."""
    jobs: dict[str, list[Spell]] = {}
    for spell in spells:
        if spell.in_work and spell.employer and spell.is_begin_known:
            jobs.setdefault(spell.employer, []).append(spell)
    for employer, held in jobs.items():
        first = min(held, key=lambda job: job.begin)
        then = employment.months_after(first.begin, RETAINED_MONTHS)
        is_there = any(job.begin <= then < job.end for job in held)
        if is_there or all(job.is_ended for job in held):
            yield ("enterprise", employer, month_of(first.begin), "hires_known"), 1
            if is_there:
                yield ("enterprise", employer, month_of(first.begin), "hires_retained"), 1


INTERNSHIPS = frozenset({"internship.completed", "internship.cancelled"})
MONTH_AT_WORKPLACE_HOURS = 140  # four weeks of 35 hours
RETAINED_MONTHS = 12


def _placements(internships: Iterable[Fact], placed: Placed) -> Added:
    for internship in internships:
        how = internship["data"].get("outcome", "cancelled")
        for kind in ("programme", "enterprise"):
            yield (kind, internship["data"][kind], month_of(internship), f"internships_{how}"), 1
    for internship in placed.completed.values():
        both = f"{internship['data']['programme']} {internship['data']['enterprise']}"
        yield ("programme_enterprise", both, month_of(internship), "hosted"), 1
    for kind in ("programme", "enterprise"):
        yield from _workplace_hours(kind, placed)


def _placements_begun(state: State, completed: Mapping[str, Fact]) -> dict[str, str]:
    """The enterprises of completed internships, with the first day of the first; its end where that is not known."""
    started = facts.facts(state, "internship.started")
    begun: dict[str, str] = {}
    for id, fact in completed.items():
        enterprise, day = fact["data"]["enterprise"], started.get(id, fact)["time"][:10]
        begun[enterprise] = min(day, begun.get(enterprise, day))
    return begun


def _internships(state: State) -> dict[str, Fact]:
    """The end of each internship that ended: the newest of completed and cancelled."""
    completed, cancelled = facts.facts(state, "internship.completed"), facts.facts(state, "internship.cancelled")
    ends = {id: facts.newest(completed.get(id), cancelled.get(id)) for id in sorted({*completed, *cancelled})}
    return {id: end for id, end in ends.items() if end is not None}


def _completed(end: Fact) -> bool:
    return "hours" in end["data"]


def _workplace_hours(kind: str, placed: Placed) -> Added:
    """A learner's hours count, like the learner, in the month of the first completed internship there.

    Validated are those that the enterprise itself has reported.
    """
    by_id: dict[str, list[Fact]] = {}
    for fact in placed.completed.values():
        by_id.setdefault(fact["data"][kind], []).append(fact)
    for id, internships in by_id.items():
        month = min(map(month_of, internships))
        yield (kind, id, month, "interns"), 1
        if kind == "enterprise" and id in placed.hired_at:
            yield (kind, id, month, "interns_hired"), 1
        validated = [fact for fact in internships if organisation_of(fact["source"]) == fact["data"]["enterprise"]]
        for prefix, some in (("intern", internships), ("validated", validated)):
            for measure, count in hours_as(prefix, _hours(some)):
                yield (kind, id, month, measure), count


def _hours(internships: Iterable[Fact]) -> int:
    """In hundredths."""
    return sum(hundredths(fact["data"]["hours"]) for fact in internships)


def _certificates(state: State) -> Added:
    """Valid certificates by competency, and their holders: a learner with several of one competency is one.

    One that ends is no longer valid in the month of the day after its last. Holders also by institution and by
    programme.
    """
    revoked = facts.facts(state, "competency.revoked")
    programmes = sorted(state["facts"].get("learner.enrolled", {}))
    changes: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for id, fact in facts.facts(state, "competency.certified").items():
        competency, month = fact["data"]["competency"], month_of(fact)
        changed = [(month, 1)]
        ends = [month_of(revoked[id])] if id in revoked else []
        ends += [day_after(fact["data"]["valid_until"])[:7]] if "valid_until" in fact["data"] else []
        if ends:
            changed.append((max(month, min(ends)), -1))
        for whose in (
            ("competency", competency),
            ("institution_competency", f"{fact['data']['institution']} {competency}"),
            *(("programme_competency", f"{programme} {competency}") for programme in programmes),
        ):
            changes.setdefault(whose, []).extend(changed)
    for (kind, about), changed in changes.items():
        held = 0
        for month, change in sorted(changed, key=lambda item: (item[0], -item[1])):
            if kind == "competency":
                yield (kind, about, month, "certificates"), change
            if (held == 0) is not (held + change == 0):
                yield (kind, about, month, "holders"), change
            held += change


# What else a learner adds, by the facts without which it is nothing.
PARTS: dict[str, Callable[[State], Added]] = {
    "competency.certified": _certificates,
    "learner.enrolled": _studies,
    "support.closed": _support,
    "application.submitted": _applications,
}


def _graduate(state: State, programme: str, spells: list[Spell], placed: Placed) -> list[str]:
    """The measures in which a graduate of *programme* counts, but for those of work."""
    measures = ["graduates"]
    own = [fact for fact in placed.completed.values() if fact["data"]["programme"] == programme]
    if own:
        measures.append("graduates_interned")
        measures += ["graduates_hired_where_interned"] if placed.hired_at else []
        measures += ["graduates_month_at_workplace"] if _hours(own) >= MONTH_AT_WORKPLACE_HOURS * 100 else []
    held = state["facts"].get("competency.certified")
    if held:
        revoked = facts.facts(state, "competency.revoked")
        valid = [fact for id, fact in held.items() if id not in revoked]
        counted = any(facts.is_sustainability(fact, fact["data"]["competency"]) for fact in valid)
        measures += ["graduates_certified"] if valid else []
        measures += ["graduates_certified_sustainability"] if counted else []
        measures += ["graduates_competencies"] * len({fact["data"]["competency"] for fact in valid})
        measures += _since_certified(spells, min((fact["time"][:10] for fact in valid), default=None))
    return measures


def _since_certified(spells: list[Spell], certified_on: str | None) -> list[str]:
    """How long it took from the first certificate to the first work after it."""
    if certified_on is None:
        return []
    if employment.works_at(spells, certified_on):
        return ["employed_at_certificate"]
    days = employment.days_to_first_job(spells, certified_on)
    return [] if days is None else [f"certificate_weeks/{week_of(days)}"]


def _employment(spells: list[Spell], newest: Spell | None, graduated_on: str) -> list[str]:
    """The measures of what is known of a graduate's work: newest, at the horizons, and how long it took."""
    measures = _status(newest.data) if newest else []
    for prefix, day in employment.horizons(graduated_on):
        if then := employment.at(spells, day):
            measures.append(prefix + employment.status_of(then.data))
    if employment.works_at(spells, graduated_on):
        measures.append("employed_at_graduation")
    elif (days := employment.days_to_first_job(spells, graduated_on)) is not None:
        measures.append(f"employment_weeks/{week_of(days)}")
    return measures


def _status(data: dict[str, Any]) -> list[str]:
    """The measures of a graduate's newest status; what is unknown counts in no denominator."""
    measures = [f"status_{employment.status_of(data)}"]
    status = data["status"]
    if status not in IN_WORK:
        return measures
    contract = "permanent" if status == "self_employed" else data.get("contract")
    if contract:
        measures.append("contract_stable" if contract == "permanent" else "contract_other")
    if "full_time" in data:
        measures.append("hours_full" if data["full_time"] else "hours_part")
    if "related_to_field" in data:
        measures.append("work_related" if data["related_to_field"] else "work_unrelated")
    if "pay_band" in data:
        measures.append(f"pay_{data['pay_band']}")
    if "occupation" in data:
        measures.append(f"occupation_{data['occupation'].partition(':')[2][0]}")
    return measures
