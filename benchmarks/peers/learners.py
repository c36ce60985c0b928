"""The rules of the job as a good user would write them, for the Python systems that build everything themselves.

A learner's document keeps the graduation and of each job what was said last. What a learner adds to the counters is
worked out before and after a batch; the difference goes to one document per programme and month.
"""

from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter

Document = dict[str, Any]


class Graduated(BaseModel):
    programme: str
    graduated_on: date


class Employment(BaseModel):
    status: Literal["employed", "self_employed", "studying", "seeking", "other"]
    since: date | None = None
    contract: Literal["permanent", "fixed_term", "agency", "apprenticeship", "other"] | None = None
    full_time: bool | None = None
    related_to_field: bool | None = None


class CloudEvent(BaseModel):
    specversion: Literal["1.0"]
    id: str
    source: str
    subject: str
    time: AwareDatetime
    partitionkey: str


class LearnerGraduated(CloudEvent):
    type: Literal["praktika.learner.graduated.v1"]
    data: Graduated


class EmploymentRecorded(CloudEvent):
    type: Literal["praktika.employment.recorded.v1"]
    data: Employment


Event = LearnerGraduated | EmploymentRecorded
_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])


def parse(value: bytes) -> Event:
    """The event, validated straight from its bytes: pydantic's own parser is faster than orjson and a second step."""
    return _EVENT.validate_json(value)


def apply(learner: Document, event: Event) -> None:
    """Take an event into a learner's document; of each graduation and job the newest counts."""
    if isinstance(event, LearnerGraduated):
        part, slot = learner["graduations"], event.data.programme
        fact = {"graduated_on": event.data.graduated_on.isoformat()}
    else:
        part, slot = learner["jobs"], event.subject
        fact = event.data.model_dump(mode="json", exclude_none=True)
    age = [event.time.isoformat(), event.id]
    if slot not in part or part[slot]["age"] < age:
        part[slot] = {**fact, "age": age}


def new(id: str) -> Document:
    return {"_id": id, "graduations": {}, "jobs": {}}


def measures(learner: Document) -> Iterator[tuple[str, str, str]]:
    """(programme, month, measure) for everything that a learner counts in."""
    jobs = list(learner["jobs"].values())
    for programme, graduation in learner["graduations"].items():
        day = date.fromisoformat(graduation["graduated_on"])
        for measure in _of_graduate(day, jobs):
            yield programme, graduation["graduated_on"][:7], measure


def _of_graduate(day: date, jobs: list[Document]) -> Iterator[str]:
    yield "graduates"
    if not jobs:
        return
    spells = [Spell.of(job) for job in jobs]
    if newest := _on(max(spell.recorded for spell in spells), spells):
        yield from _of_status(newest)
    for months in (6, 12, 18, 24, 30, 36):
        if then := _on(months_later(day, months).isoformat(), spells):
            yield f"after_{months}m_{then['status']}"
    graduated_on = day.isoformat()
    work = [spell for spell in spells if spell.works]
    if any(spell.begin < graduated_on < spell.end for spell in work):
        yield "employed_at_graduation"
    elif starts := [s.begin for s in work if "since" in s.job and s.begin >= graduated_on]:
        yield f"w{min((date.fromisoformat(min(starts)) - day).days // 7, 260):03d}"


def _of_status(newest: Document) -> Iterator[str]:
    yield f"status_{newest['status']}"
    if newest["status"] in IN_WORK:
        contract = "permanent" if newest["status"] == "self_employed" else newest.get("contract")
        if contract:
            yield "contract_stable" if contract == "permanent" else "contract_other"
        if "full_time" in newest:
            yield "hours_full" if newest["full_time"] else "hours_part"
        if "related_to_field" in newest:
            yield "work_related" if newest["related_to_field"] else "work_unrelated"


class Spell(NamedTuple):
    """A status from its first day until six months after it was recorded; days are texts."""

    begin: str
    end: str
    recorded: str
    works: bool
    job: Document

    @classmethod
    def of(cls, job: Document) -> "Spell":
        recorded = job["age"][0][:10]
        end = months_later(date.fromisoformat(recorded), 6).isoformat()
        return cls(job.get("since", recorded), end, recorded, job["status"] in IN_WORK, job)

    def is_replaced(self, others: list["Spell"]) -> bool:
        later = [o for o in others if (o.begin, o.job["age"]) > (self.begin, self.job["age"])]
        return any(not (self.works and other.works) or other.begin > self.recorded for other in later)


def _on(day: str, spells: list[Spell]) -> Document | None:
    """The main job of those held on a day (most hours, then longest), else the status that began last."""
    held = [spell for spell in spells if spell.begin <= day < spell.end]
    if len(held) < 2:
        return held[0].job if held else None
    standing = [spell for spell in held if not spell.is_replaced(held)]
    if work := [spell for spell in standing if spell.works]:
        return min(work, key=lambda s: (HOURS[s.job.get("full_time")], s.begin, s.job["age"])).job
    return max(standing, key=lambda s: (s.begin, s.job["age"])).job


IN_WORK = ("employed", "self_employed")
HOURS = {True: -40, False: -20, None: 0}


def months_later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def fold(known: dict[str, Document], events: Iterable[Event]) -> tuple[list[Document], list[Document]]:
    """Take a batch into the learners' documents (`known` holds those that exist).

    Returns:
        The changed learners, and for each counter document its id, programme, month and what to add per measure.
    """
    by_learner: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_learner[event.partitionkey].append(event)
    added: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    changed = []
    for id, told in by_learner.items():
        learner = known.get(id) or new(id)
        before = list(measures(learner))
        for event in told:
            apply(learner, event)
        for sign, counted in ((1, measures(learner)), (-1, before)):
            for programme, month, measure in counted:
                added[programme, month][measure] += sign
        changed.append(learner)
    counters = [
        {
            "_id": f"{programme}|{month}",
            "programme": programme,
            "month": month,
            "add": {f"measures.{measure}": number for measure, number in numbers.items() if number},
        }
        for (programme, month), numbers in added.items()
    ]
    return changed, [counter for counter in counters if counter["add"]]
