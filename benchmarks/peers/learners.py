"""The rules of the job as a good user would write them, for the Python systems that build everything themselves.

A learner's document keeps the graduation and of each job what was said last. What a learner adds to the counters is
worked out before and after a batch; the difference goes to one document per programme and month.
"""

from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Annotated, Any, Literal

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
    newest = max(jobs, key=lambda job: job["age"])
    yield f"status_{newest['status']}"
    if newest["status"] in ("employed", "self_employed"):
        contract = "permanent" if newest["status"] == "self_employed" else newest.get("contract")
        if contract:
            yield "contract_stable" if contract == "permanent" else "contract_other"
        if "full_time" in newest:
            yield "hours_full" if newest["full_time"] else "hours_part"
        if "related_to_field" in newest:
            yield "work_related" if newest["related_to_field"] else "work_unrelated"
    for months in (6, 12, 18, 30):
        status = _status_on(months_later(day, months), jobs)
        if status:
            yield f"after_{months}m_{status}"
    starts = [job["since"] for job in jobs if job["status"] in ("employed", "self_employed") and "since" in job]
    if starts:
        days = max(0, (date.fromisoformat(min(starts)) - day).days)
        yield f"w{min(days // 7, 260):03d}"


def _status_on(day: date, jobs: list[Document]) -> str | None:
    """The status that began last of those in force: from its first day until six months after it was recorded."""
    held = []
    for job in jobs:
        recorded = job["age"][0][:10]
        begin = job.get("since", recorded)
        if begin <= day.isoformat() and day < months_later(date.fromisoformat(recorded), 6):
            held.append((begin, job["age"], job["status"]))
    return max(held)[2] if held else None


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
