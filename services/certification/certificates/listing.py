"""Certificates that were given: which ones are asked for, and how they are listed and written into files."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import Query

from services.certification.schemes.rules import REMINDED
from services.certification.validity import STATUS, Status, as_of_today, match, today
from shared.http.parameters import query
from shared.http.spreadsheets import MOST_ROWS
from shared.pages.languages import N_, Language, translated
from shared.processing.frameworks import Frameworks
from shared.processing.mongo import Database

Doc = dict[str, Any]
SOON = REMINDED.days
HEADINGS = {
    "certificate": N_("Certificate"),
    "learner": N_("Learner"),
    "competency": N_("Competency"),
    "title": N_("Title"),
    "level": N_("Level (EQF)"),
    "scheme": N_("Scheme"),
    "certified_on": N_("Certified on"),
    "valid_until": N_("Valid until"),
    "status": N_("State"),
    "revoked_on": N_("Revoked on"),
    "reason": N_("Reason"),
}


@dataclass
class Asked:
    """Which certificates are asked for."""

    competency: Annotated[str | None, Query(max_length=100)] = None
    scheme: Annotated[str | None, Query(max_length=100)] = None
    status: Status | None = None
    ending_within: Annotated[
        int | None, Query(ge=0, le=3_650, description="Days: only valid ones that end so soon")
    ] = None
    search: Annotated[str, Query(max_length=100, description="Part of the learner's id or the certificate's")] = ""

    def match(self, institution: str | None) -> Doc:
        """What certificates have, by the full names of their fields; whosever they are if *institution* is None."""
        named = {"institution": institution, "competency": self.competency, "scheme": self.scheme}
        wanted: list[Doc] = [{f"certificates.{name}": value} for name, value in named.items() if value is not None]
        wanted += [match(self.status)] if self.status else []
        if self.ending_within is not None:
            wanted.append(_ending(today(), today() + timedelta(days=self.ending_within)))
        if words := self.search.strip():
            sought = {"$regex": re.escape(words), "$options": "i"}
            wanted.append({"$or": [{"_id": sought}, {"certificates.id": sought}]})
        return {"$and": wanted} if wanted else {}


def _ending(first: date, last: date) -> Doc:
    between = {"certificates.valid_until": {"$gte": first.isoformat(), "$lte": last.isoformat()}}
    return {"$and": [{"certificates.status": "valid"}, between]}


Wanted = Annotated[Asked, query(Asked)]


async def listed(db: Database, match: Doc, by: str, first: int, limit: int) -> tuple[int, list[Doc]]:
    """How many certificates *match*, and *limit* of them from number *first* (of 0) on; each with its learner as `of`.

    Args:
        by: `certified_at` (the newest first) or `valid_until` (what ends first).
    """
    found: list[Doc] = [
        {"$match": {**match, "state.erased": {"$exists": False}}},
        {"$project": {"certificates": 1}},
        {"$unwind": "$certificates"},
        {"$match": match},
    ]
    order = {f"certificates.{by}": -1 if by == "certified_at" else 1, "certificates.id": 1}
    part: list[Doc] = [{"$sort": order}, {"$skip": first}, {"$limit": limit}]
    counted = [doc["n"] async for doc in db["learners"].aggregate([*found, {"$count": "n"}])]
    docs = db["learners"].aggregate([*found, *part], allowDiskUse=True)
    return (counted[0] if counted else 0), [as_of_today({"of": d["_id"], **d["certificates"]}) async for d in docs]


async def rows_of(db: Database, match: Doc, frameworks: Frameworks, language: Language) -> list[Doc]:
    """All that *match* as rows of a file, the newest first; one more than a file may have, if there are more."""
    _, items = await listed(db, match, "certified_at", 0, MOST_ROWS + 1)
    return [_row(each, frameworks, language) for each in items]


def _row(certificate: Doc, frameworks: Frameworks, language: Language) -> Doc:
    return {
        "certificate": certificate["id"],
        "learner": certificate["of"],
        "competency": certificate["competency"],
        "title": frameworks.name(certificate["competency"], language),
        "level": certificate["level"],
        "scheme": certificate["scheme"],
        "certified_on": certificate["certified_at"][:10],
        "valid_until": certificate.get("valid_until"),
        "status": translated(language, STATUS[certificate["status"]]),
        "revoked_on": (certificate["revoked_at"] or "")[:10] or None,
        "reason": certificate["reason"],
    }
