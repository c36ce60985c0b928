"""How many of those who were asked have answered, and what they wrote; what is not due yet is left out."""

from collections.abc import Sequence
from random import SystemRandom
from typing import Any

from shared.contract.events import Publisher
from shared.processing.mongo import Database

from .answering import ANSWERS
from .requests import today

BY = ("programme", "enterprise", "role", "months", "questionnaire")


async def response_rates(db: Database, match: dict[str, Any], by: Sequence[str], least: int) -> list[dict[str, Any]]:
    """Requests that are due and how many of them are answered, by what is asked for; small groups are hidden.

    Args:
        by: of `BY`; the questionnaire is the version that was in use when somebody was asked.
    """
    due = {**match, "due": {"$lt": today().isoformat()}, "status": {"$in": ["open", "answered", "expired"]}}
    fields: dict[str, Any] = {name: {"$ifNull": [f"${name}", None]} for name in by}
    if "questionnaire" in by:
        fields["questionnaire"] = await _version(db)
    answered = {"$sum": {"$cond": [{"$eq": ["$status", "answered"]}, 1, 0]}}
    stages = [
        {"$match": due},
        {"$group": {"_id": fields, "asked": {"$sum": 1}, "answered": answered}},
        {"$sort": {"_id": 1}},
    ]
    found = await db["requests"].aggregate(stages).to_list(None)
    return [_shown(doc["_id"], doc["asked"], doc["answered"], least) for doc in found]


def _shown(about: dict[str, Any], asked: int, answered: int, least: int) -> dict[str, Any]:
    if asked < least:
        return {**about, "status": "suppressed", "asked": f"<{least}", "answered": None, "rate": None}
    return {**about, "status": "ok", "asked": asked, "answered": answered, "rate": answered / asked}


async def _version(db: Database) -> dict[str, Any]:
    """The expression that tells which version was in use when a request was raised."""
    branches = []
    async for doc in db["questionnaires"].find({}, {"versions": 1}):
        for since, version in reversed(doc.get("versions", [])):
            is_of = [{"$eq": ["$role", doc["_id"]]}, {"$gte": ["$requested_at", since]}]
            branches.append({"case": {"$and": is_of}, "then": version})
    return {"$switch": {"branches": branches, "default": 1}} if branches else {"$literal": 1}


async def comments(db: Database, home: Database, programme: str, least: int) -> list[dict[str, str]]:
    """What was written of a programme, by role, in no fixed order and without a pseudonym.

    Of a role from *least* people on, and once their requests are due: who has just answered is not told by what has
    just appeared. What the institution has written itself, in its own name, is left out.
    """
    kept = {doc["_id"]: doc async for doc in home[ANSWERS].find({"programme": programme, "text": {"$gt": ""}})}
    match = {"_id": {"$in": [*kept]}, "status": "answered", "due": {"$lt": today().isoformat()}}
    by_role: dict[str, list[dict[str, Any]]] = {}
    async for doc in db["requests"].find(match, {"role": 1}):
        written = kept[doc["_id"]]
        if written.get("kind") != Publisher.institution:
            by_role.setdefault(doc["role"], []).append(written)
    shown = [
        {"role": role, "text": written["text"]}
        for role, all_ in by_role.items()
        if len({written.get("respondent") for written in all_}) >= least
        for written in all_
    ]
    SystemRandom().shuffle(shown)
    return shown
