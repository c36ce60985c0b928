"""Growth: 10 thousand to 5.8 million learners with a published answer, one graduation and one status per person.

The people are those of `recent-grads.csv` (FiveThirtyEight, CC BY 4.0; American Community Survey 2010-2012): of
each of 173 majors so many employed and so many unemployed. They graduate in ten Junes, in an order that follows
from nothing but a fixed seed, and each is asked a year later, so that a tenth of all learners lies between the two
events of one. A smaller size takes the first so many people of the same order.
"""

import csv
import random
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.job import Counts, Message

YEARS = 10
FIRST_YEAR = 2013
EVERYBODY = 5_814_373


class Major(NamedTuple):
    programme: str
    employed: int
    unemployed: int
    published_rate: str


class People(NamedTuple):
    """The majors, and for each person `2 * major + (1 if employed)`."""

    majors: list[Major]
    persons: "array[int]"


def majors(file: Path) -> list[Major]:
    with file.open(newline="") as lines:
        return [
            Major(f"major-{row['Major_code']}", int(row["Employed"]), int(row["Unemployed"]), row["Unemployment_rate"])
            for row in csv.DictReader(lines)
        ]


def people(count: int, file: Path) -> People:
    found = majors(file)
    persons = array("H")
    for number, major in enumerate(found):
        persons.extend([2 * number + 1] * major.employed + [2 * number] * major.unemployed)
    random.Random(1).shuffle(persons)  # noqa: S311 (no secret)
    return People(found, persons[:count])


def log(them: People) -> Iterator[Message]:
    """Everybody's graduation and, a tenth of the log later, status."""
    count = len(them.persons)
    gap = max(1, count // YEARS)
    for number in range(count + gap):
        if number < count:
            yield _graduated(them, number)
        if number >= gap:
            yield _recorded(them, number - gap)


def records(count: int) -> int:
    return 2 * count


def _id(number: int) -> str:
    return f"{number * 2_654_435_761 % 2**32:08x}-{number}"


def _year(them: People, number: int) -> int:
    return FIRST_YEAR + number * YEARS // len(them.persons)


def _graduated(them: People, number: int) -> Message:
    id, year, programme = _id(number), _year(them, number), them.majors[them.persons[number] // 2].programme
    data = f'{{"programme":"{programme}","graduated_on":"{year}-06-15"}}'
    return _message(id, "learner.graduated", id, f"{year}-06-15", data)


def _recorded(them: People, number: int) -> Message:
    id, status = _id(number), "employed" if them.persons[number] % 2 else "seeking"
    return _message(id, "employment.recorded", "survey", f"{_year(them, number) + 1}-06-15", f'{{"status":"{status}"}}')


def _message(learner: str, type_: str, subject: str, day: str, data: str) -> Message:
    value = (
        f'{{"specversion":"1.0","id":"{learner}-{type_}","source":"/organisations/census",'
        f'"type":"praktika.{type_}.v1","subject":"{subject}","time":"{day}T12:00:00Z",'
        f'"partitionkey":"{learner}","sourcekind":"institution","datacontenttype":"application/json","data":{data}}}'
    )
    return Message(learner.encode(), value.encode())


def expected(them: People) -> Counts:
    """The counters that the rates are made of, by programme and month of graduation."""
    counts: Counts = {}
    for number, person in enumerate(them.persons):
        programme, month = them.majors[person // 2].programme, f"{_year(them, number)}-06"
        status = "employed" if person % 2 else "seeking"
        for measure in ("graduates", f"status_{status}", f"after_12m_{status}"):
            counts[programme, month, measure] = counts.get((programme, month, measure), 0) + 1
    return counts
