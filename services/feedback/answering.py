"""An answer becomes events; what must not be on the log stays in the service's home, and goes with the request."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import uuid4

from pydantic_core import to_json

from shared.contract.events import (
    Data,
    EmploymentRecorded,
    Event,
    FeedbackRole,
    FeedbackSubmitted,
    Publisher,
    compose,
    derived_id,
)
from shared.http.auth import Caller
from shared.http.service import Service, refuse_sandbox
from shared.processing import mongo

from .questionnaires import Questionnaire, in_use
from .requests import today
from .sheet import Answer, asked

ANSWERS = "answers"  # in the home: drafts, free text, and what a link's answer said besides
FORGET_EVERY_S = 5
AT_ONCE = 1_000
MOST_DRAFTS, MOST_TYPED = 5, 2_000  # of a request, of a field
WAIT_S = 10.0
OVER = {"status": {"$in": ["unknown", "withdrawn"]}}  # erased requests are unknown
Doc = dict[str, Any]


class Sheet(NamedTuple):
    """What one request asks, of whom and about what.

    Attributes:
        request: as this service shows it, with the competencies that are asked about.
        names: of the organisations and the programme that it names, by id.
        kept: what is kept of it in the home.
    """

    request: Doc
    questionnaire: Questionnaire
    names: Mapping[str, str]
    kept: Doc

    @property
    def is_open(self) -> bool:
        """Can it be answered, or corrected, today?"""
        return self.request["status"] in ("open", "answered") and self.request["due"] >= today().isoformat()

    @property
    def said(self) -> Doc:
        """What was answered so far, as `FeedbackSubmitted` has it."""
        answers = self.request["answers"]
        return {name: value for name, value in answers[0]["ratings"].items() if value} if answers else {}

    def is_said(self, answer: Answer) -> bool:
        """Is this what was answered already?"""
        kept = (self.kept.get("text", ""), self.kept.get("employment"))
        return (answer.said, answer.text, answer.employment) == (self.said, *kept)


async def sheets(service: Service, requests: list[Doc]) -> list[Sheet]:
    """The sheets of requests, in their order."""
    db = service.db
    roles = {FeedbackRole(doc["role"]) for doc in requests}
    known = {role: await in_use(db, role) for role in roles}
    programmes = await service.by_id(
        "programmes", {doc["programme"] for doc in requests}, {"title": 1, "competencies": 1}
    )
    named = {doc[field] for doc in requests for field in ("institution", "enterprise") if doc.get(field)}
    organisations = await service.by_id("organisations", named, {"name": 1})
    names = {id: doc["name"] for id, doc in organisations.items() if doc.get("name")}
    names |= {id: doc["title"] for id, doc in programmes.items() if "title" in doc}
    found = service.store.home[ANSWERS].find({"_id": {"$in": [doc["_id"] for doc in requests]}})
    kept = {doc["_id"]: doc async for doc in found}
    return [
        Sheet(
            {
                **doc,
                "competencies": doc.get("competencies") or programmes.get(doc["programme"], {}).get("competencies", []),
            },
            known[FeedbackRole(doc["role"])],
            names,
            kept.get(doc["_id"], {}),
        )
        for doc in requests
    ]


def mark_of(secret: str) -> str:
    """By which what a browser has typed is found again; the browser has the secret."""
    return sha256(secret.encode()).hexdigest()[:32]


async def keep_draft(service: Service, sheet: Sheet, values: Mapping[str, list[str]], mark: str) -> bool:
    """Keep what a browser has typed so far; False: too many others have typed something here."""
    drafts = sheet.kept.get("draft", {})
    if mark not in drafts and len(drafts) >= MOST_DRAFTS:
        return False
    names = {one.name for _, group in asked(sheet.questionnaire, sheet.request, "en") for one in group}
    typed = {name: [value[:MOST_TYPED] for value in values[name]] for name in values if name in names}
    # Names of fields have dots, which paths in a document do not: a list of pairs it is.
    await _keep(service, sheet, {f"draft.{mark}": sorted(typed.items())})
    return True


def draft_of(sheet: Sheet, mark: str) -> dict[str, list[str]] | None:
    """What a browser has typed and not sent yet; None: nothing."""
    typed = sheet.kept.get("draft", {}).get(mark)
    return None if typed is None else {name: list(values) for name, values in typed}


async def _keep(service: Service, sheet: Sheet, kept: Doc, *gone: str) -> None:
    request, home = sheet.request, service.store.home[ANSWERS]
    about = {name: request.get(name) for name in ("programme", "institution", "role", "respondent")}
    change: Doc = {"$set": {**about, **kept, "at": datetime.now(UTC)}}
    change |= {"$unset": dict.fromkeys(gone, "")} if gone else {}
    await home.update_one({"_id": request["_id"]}, change, upsert=True)
    if await service.db["requests"].find_one({"_id": request["_id"], **OVER}, {"_id": 1}):
        await home.delete_one({"_id": request["_id"]})  # it was erased or withdrawn meanwhile


def by_link(sheet: Sheet) -> Caller:
    """As whom an answer by a one-time link counts: whom the request asks, or who passes the answer on."""
    request = sheet.request
    passes_on = request["respondent"] if request["role"] == FeedbackRole.enterprise else request["institution"]
    return Caller(passes_on, Publisher.service)


async def say(service: Service, sheet: Sheet, answer: Answer, caller: Caller, mark: str | None = None) -> bool:
    """Publish an answer; is it applied already?

    Args:
        caller: in whose name: see `by_link`.
        mark: of the browser that sent it, to which alone it is shown again.
    Raises:
        NotPublished: Kafka does not answer; nothing is lost but the click.
    """
    published = [_submitted(sheet, answer, caller)]
    if answer.employment is not None:
        published.append(_employment(sheet, answer.employment, caller))
    addresses = await service.publish(*published)
    kept: Doc = {"text": answer.text, "employment": answer.employment, "said_by": mark, "kind": caller.kind}
    await _keep(service, sheet, kept, *([f"draft.{mark}"] if mark else ()))
    return await service.applied_within(addresses[0], WAIT_S)


def _submitted(sheet: Sheet, answer: Answer, caller: Caller) -> Event[Data]:
    request = sheet.request
    about = {name: request[name] for name in ("role", "programme", "internship", "enterprise") if request.get(name)}
    data = FeedbackSubmitted(request=request["_id"], **about, **answer.said)
    return _event(data, request["_id"], request["_id"], caller)


def _employment(sheet: Sheet, said: Doc, caller: Caller) -> Event[Data]:
    """What a graduate is doing, in the name of the institution; a correction replaces what was said before."""
    request = sheet.request
    id = derived_id("employment.recorded", request["_id"])
    return _event(EmploymentRecorded.model_validate_json(to_json(said)), id, request["learner"], caller)


def _event(data: Data, subject: str, key: str, caller: Caller) -> Event[Data]:
    refuse_sandbox(caller)
    return compose(
        data,
        source=caller.source,
        kind=caller.kind,
        id=str(uuid4()),
        subject=subject,
        key=key,
        time=datetime.now(UTC),
        member=caller.member or None,
    )


async def forget_answers(service: Service) -> None:
    """Delete what is kept of requests that were erased or withdrawn, and drafts that nobody can send any more.

    It looks again once something was said about requests, or another day began.
    """
    home = service.store.home[ANSWERS]
    await home.create_index("programme")
    await home.create_index("draft", sparse=True)
    seen: object = None
    while True:
        positions = await mongo.positions(service.db)
        now = [(label, at.next_offset) for label, at in sorted(positions.items()) if label.startswith("feedback-")]
        if (service.db.name, now, today()) != seen:
            await _forget(service)
            seen = service.db.name, now, today()
        await asyncio.sleep(FORGET_EVERY_S)


async def _forget(service: Service) -> None:
    home, requests = service.store.home[ANSWERS], service.db["requests"]
    async for ids in _in_parts(requests.find(OVER, {"_id": 1})):
        await home.delete_many({"_id": {"$in": ids}})
    async for ids in _in_parts(home.find({"draft": {"$exists": True}}, {"_id": 1})):
        past = [{"status": "expired"}, {"due": {"$lt": today().isoformat()}}]
        over = requests.find({"_id": {"$in": ids}, "$or": past}, {"_id": 1})
        if late := [doc["_id"] async for doc in over]:
            await home.update_many({"_id": {"$in": late}}, {"$unset": {"draft": ""}})


async def _in_parts(found: AsyncIterator[Doc]) -> AsyncIterator[list[str]]:
    ids: list[str] = []
    async for doc in found:
        ids.append(doc["_id"])
        if len(ids) == AT_ONCE:
            yield ids
            ids = []
    if ids:
        yield ids
