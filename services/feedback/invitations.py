"""What an organisation's system needs to pass invitations on: request, pseudonym, link, due. No address is known."""

from typing import Any

from shared.contract.events import FeedbackRole, Publisher
from shared.http.auth import Caller
from shared.http.service import Service
from shared.processing.mongo import Database

from .links import links

Doc = dict[str, Any]
PASSED_ON = [FeedbackRole.learner, FeedbackRole.graduate, FeedbackRole.mentor]
FIELDS = ("request", "role", "learner", "programme", "months", "enterprise", "due", "status", "reminders", "link")


def mine(caller: Caller) -> Doc:
    """The requests that an organisation answers itself or passes on; the operator passes none on, and sees all."""
    if caller.is_operator:
        return {}
    if caller.kind is not Publisher.institution:
        return {"respondent": caller.organisation}
    return {"role": {"$in": PASSED_ON}, "institution": caller.organisation}


async def of_whom(db: Database, caller: Caller) -> Doc:
    """The requests of whose answers the caller may know the rate: an institution's are those of its programmes."""
    if caller.kind is not Publisher.institution:
        return mine(caller)
    own = [doc["_id"] async for doc in db["programmes"].find({"institution": caller.organisation}, {"_id": 1})]
    return {"programme": {"$in": own}}


async def of_own(service: Service, caller: Caller, id: str) -> Doc | None:
    """A request that the caller may give links for."""
    if caller.is_operator:
        return None
    found: Doc | None = await service.db["requests"].find_one({"$and": [{"_id": id}, mine(caller)]})
    return found


async def invitations(service: Service, caller: Caller, requests: list[Doc]) -> list[Doc]:
    """What is to be passed on of requests; a link only to what is open, and not for the operator."""
    is_passed_on = not caller.is_operator
    found = await links(service, [doc["_id"] for doc in requests if doc["status"] == "open" and is_passed_on])
    return [
        {
            **{name: doc.get(name) for name in FIELDS},
            "request": doc["_id"],
            "reminders": doc.get("reminders", 0),
            "link": found.get(doc["_id"]),
        }
        for doc in requests
    ]
