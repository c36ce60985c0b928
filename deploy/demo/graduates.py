"""Real graduates as events: 16,031 people who finished a programme in Nice in 2012-2016 and were asked later.

Source: data/graduates-2012-2016.csv.gz, Université Nice Sophia Antipolis 2017, MIT (data/LICENSE). What the file does
not say is left out of the events.
"""

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path

from .network import Json, event

FILE = Path(__file__).parent / "data" / "graduates-2012-2016.csv.gz"
UNIVERSITY = "nice-sophia-antipolis"
NO_CODE = "not-recorded"  # 290 rows name no programme
Row = dict[str, str]

_LEVELS = {"Master": 7, "Licence Pro": 6}
_STATUS = {"En emploi": "employed", "En recherche d'emploi": "seeking", "Ne recherche pas d'emploi": "other"}
_CONTRACTS = {
    "CDI": "permanent",
    "Fonctionnaire": "permanent",
    "CDD": "fixed_term",
    "Vacataire": "fixed_term",
    "Contrat spécifique au doctorat": "fixed_term",
    "Intérimaire": "agency",
    "Contrat d'apprentissage": "apprenticeship",
    "Contrat de professionnalisation": "apprenticeship",
}


def rows() -> list[Row]:
    with gzip.open(FILE, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def programme_of(row: Row) -> str:
    return f"{UNIVERSITY}:{row['code_diplome'] or NO_CODE}"


def programme_events(graduates: list[Row]) -> Iterator[Json]:
    for programme, row in {programme_of(row): row for row in reversed(graduates)}.items():
        code = row["code_diplome"]
        title = f"{row['libdip1']} {code} ({row['libdom'].capitalize()})" if code else "Programme not recorded"
        data = {"title": title, "version": "2012-2016", "level": _LEVELS[row["libdip1"]]}
        yield event("programme.published", UNIVERSITY, programme, "2011-09-01T00:00:00Z", data)


def learner_events(row: Row) -> Iterator[Json]:
    """Enrolment, graduation on 1 June, and the status on 1 December of the next two years where it is known."""
    learner, year = f"{UNIVERSITY}:{row['row']}", int(row["annee"])
    programme = programme_of(row)

    def said(type_: str, time: str, subject: str, data: Json) -> Json:
        id = f"{subject}-{type_}"
        return event(type_, UNIVERSITY, subject, f"{time}T00:00:00Z", data, id=id, partitionkey=learner)

    yield said("learner.enrolled", f"{year - 1}-09-01", learner, {"programme": programme, "cohort": f"{year}-06"})
    graduation = {"programme": programme, "graduated_on": f"{year}-06-01"}
    yield said("learner.graduated", f"{year}-06-01", learner, graduation)
    for months, after in (("18", 1), ("30", 2)):
        status = row[f"situationProN{months}"]
        if status:
            data = employment(row, months)
            yield said("employment.recorded", f"{year + after}-12-01", f"{learner}-{months}m", data)


def batches(people: list[Row], most: int) -> list[list[Json]]:
    """The events of all learners in batches of about *most*, each learner's in one: they refer to the enrolment."""
    found: list[list[Json]] = [[]]
    for row in people:
        if len(found[-1]) > most - 4:
            found.append([])
        found[-1] += learner_events(row)
    return found


def employment(row: Row, months: str) -> Json:
    """What the survey says *months* after graduation."""
    status = _STATUS[row[f"situationProN{months}"]]
    if status != "employed":
        return {"status": status}
    contract, stable, full_time = (row[f"{name}N{months}"] for name in ("statutEmploi", "emploiStable", "emploiPlein"))
    data: Json = {"status": status}
    if contract.startswith("Prof. libérale"):
        data["status"] = "self_employed"
    elif stable:
        data["contract"] = _CONTRACTS.get(contract, "other")
    if full_time:
        data["full_time"] = full_time == "True"
    return data
