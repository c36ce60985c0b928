"""A certificate, read from the database."""

from typing import Any

from services.certification.credentials.badge import METHODS
from services.certification.recognition import reads as recognition_reads
from services.certification.validity import STATUS, as_of_today
from shared.http.problems import Problem
from shared.http.service import Service
from shared.pages.languages import LANGUAGES, Text
from shared.processing import mongo

LABELS: dict[str, Any] = {"methods": METHODS, "statuses": STATUS}  # what `parts.html` calls them
_WITHIN = ("number", "collected_at", "hidden")


async def find_learner(db: mongo.Database, certificate: str) -> dict[str, Any]:
    doc = await db["learners"].find_one({"certificates.id": certificate})
    if doc is None:
        raise Problem(404, Text("there is no certificate {certificate} (yet)", {"certificate": certificate}))
    return doc


async def find_certificate(db: mongo.Database, id: str) -> dict[str, Any]:
    return certificate_in(await find_learner(db, id), id)


def certificate_in(learner: dict[str, Any], id: str) -> dict[str, Any]:
    """A certificate of its learner's document, with the status of today."""
    return next(as_of_today(certificate) for certificate in learner["certificates"] if certificate["id"] == id)


async def with_names(service: Service, certificate: dict[str, Any]) -> dict[str, Any]:
    """The certificate with the names of its competency and organisations (their ids, while they are not known).

    Without the ids of assessments: their makers may have built them from what names a learner; and without what the
    learner has done with it. With who recognises it today, and where the endorsement of each is.
    """
    recognised = await recognition_reads.of_certificate(service, certificate)
    frameworks = await service.frameworks()
    ids = [certificate["institution"], *(e["assessor"] for e in certificate["evidence"])]
    names = {
        doc["_id"]: doc.get("name", doc["_id"])
        async for doc in service.db["organisations"].find({"_id": {"$in": ids}}, {"name": 1})
    }
    return {
        **{name: value for name, value in certificate.items() if name not in _WITHIN},
        "competency_name": {ln: frameworks.name(certificate["competency"], ln) for ln in LANGUAGES},
        "institution_name": names.get(certificate["institution"], certificate["institution"]),
        "evidence": [
            {"method": e["method"], "assessor": e["assessor"], "assessor_name": names.get(e["assessor"], e["assessor"])}
            for e in certificate["evidence"]
        ],
        "recognised_by": [
            {
                "enterprise": each.enterprise,
                "name": each.name,
                "since": each.since,
                "endorsement": recognition_reads.address(service, each, certificate["scheme"]),
            }
            for each in recognised
        ],
    }
