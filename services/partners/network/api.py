"""What the registry answers and the commands that it takes: each checks the registry and becomes an event."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Query
from fastapi.responses import JSONResponse

from services.partners.gateway.credentials import Active
from shared.contract.events import (
    INSTITUTION,
    PARTNERS,
    ActivityKind,
    AgreementEnded,
    AgreementProposed,
    AgreementRefused,
    AgreementSigned,
    Data,
    OpportunityKind,
    OrganisationKind,
    OrganisationRegistered,
    OrganisationReinstated,
    OrganisationSuspended,
    ProgrammePublished,
    ProgrammeRevised,
    ProgrammeRevisionDeclined,
    Publisher,
)
from shared.http.auth import Caller
from shared.http.commands import Prefer, accept, event_by
from shared.http.lists import Pages, Paging, found, listed
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Authenticated, EntityId, Running, Service, require
from shared.pages.languages import N_, Text
from shared.processing import mongo
from shared.processing.mongo import Key
from shared.processing.ownership import misnamed

from .registry import OPERATOR, TOPICS, View, foreign, is_said, misfits, part, settled, unread

router = Router()

# An entity is shown once the event that introduces it is there; this field comes with that event.
INTRODUCED_BY = {
    "organisations": "name",
    "agreements": "proposer",
    "programmes": "title",
    "activities": "organiser",
    "opportunities": "title",
    "learners": "readers",
}
ALL_SIGNED = N_("{id} is signed by all and is refused no more; end it instead")
HAS_ENDED = N_("{id} has ended and is refused no more")
ANY_CASE = {"locale": "en", "strength": 2}
Filter = Annotated[str | None, Query(max_length=100)]


async def entries(service: Service, collection: str, match: View, paging: Paging) -> View:
    return await listed(service.db, collection, {INTRODUCED_BY[collection]: {"$exists": True}} | match, paging)


async def entry(service: Service, collection: str, id: str) -> View:
    shown = await found(service.db, collection, id)
    if INTRODUCED_BY[collection] not in shown:
        raise Problem(404, f"there is no {id} in {collection} (yet)")
    return shown


async def entry_if_any(service: Service, collection: str, id: str) -> View:
    """What is shown of an entity; nothing if there is none."""
    try:
        return await entry(service, collection, id)
    except Problem:
        return {}


async def known(service: Service, collection: str, id: str) -> View:
    """What a command judges by: the entry with everything that has been said about it, or nothing if there is none."""
    await service.current(TOPICS[collection], id)
    return await entry_if_any(service, collection, id)


async def known_entry(service: Service, collection: str, id: str) -> View:
    """The same of an entry that must be there."""
    await service.current(TOPICS[collection], id)
    return await entry(service, collection, id)


def read(service: Service, collection: str, id: str) -> Callable[[], Awaitable[View]]:
    return lambda: entry(service, collection, id)


# organisations


@router.get("/organisations", tags=["organisations"])
async def list_organisations(
    service: Running,
    paging: Pages,
    kind: OrganisationKind | None = None,
    region: Filter = None,
    status: Literal["registered", "suspended"] | None = None,
) -> View:
    """The organisations of the network, by id."""
    return await entries(service, "organisations", {"kind": kind, "region": region, "status": status}, paging)


@router.get("/organisations/{id}", tags=["organisations"])
async def read_organisation(service: Running, id: EntityId) -> View:
    """One organisation; `since` says when its status began."""
    return await entry(service, "organisations", id)


@router.put("/organisations/{id}", tags=["organisations"], status_code=202)
async def register_organisation(
    service: Running, caller: Authenticated, id: EntityId, body: OrganisationRegistered, prefer: Prefer = None
) -> JSONResponse:
    """Admit an organisation, or change its entry."""
    require(caller, Publisher.operator)
    shown = await known(service, "organisations", id)
    if not shown and (alike := await _alike(service, id)):
        given = {"id": id, "alike": alike}
        errors = [("id", Text("there is {alike} already", given))]
        raise Problem(409, Text("{id} differs from {alike} only by case", given), errors)
    return await _say(service, caller, body, ("organisations", id), prefer, shown if is_said(shown, body) else None)


async def _alike(service: Service, id: str) -> str | None:
    """A registered organisation whose id is the same but for case."""
    found = await service.db["organisations"].find_one({"_id": id, "name": {"$exists": True}}, collation=ANY_CASE)
    return str(found["_id"]) if found and found["_id"] != id else None


@router.post("/organisations/{id}/suspension", tags=["organisations"], status_code=202)
async def suspend_organisation(
    service: Running, caller: Authenticated, id: EntityId, body: OrganisationSuspended, prefer: Prefer = None
) -> JSONResponse:
    """Suspend an organisation: it gets no token and nothing of it is accepted until it is reinstated."""
    require(caller, Publisher.operator)
    shown = await known_entry(service, "organisations", id)
    done = shown if shown["status"] == "suspended" else None
    return await _say(service, caller, body, ("organisations", id), prefer, done)


@router.post("/organisations/{id}/reinstatement", tags=["organisations"], status_code=202)
async def reinstate_organisation(
    service: Running, caller: Authenticated, id: EntityId, prefer: Prefer = None
) -> JSONResponse:
    """End a suspension."""
    require(caller, Publisher.operator)
    shown = await known_entry(service, "organisations", id)
    done = shown if shown["status"] == "registered" else None
    return await _say(service, caller, OrganisationReinstated(), ("organisations", id), prefer, done)


def _refuse_stranger(caller: Caller, collection: str, id: str, shown: View) -> None:
    if why := foreign(Key(collection, id), shown, caller.organisation):
        raise Problem(403, why)


def _refuse_name(service: Service, caller: Caller, id: str, shown: View) -> None:
    """Of something new the id begins with the caller's."""
    may = bool(shown) or caller.sandbox or service.settings.free_ids
    if not may and misnamed(id, caller.organisation):
        wrong = Text("must begin with your own id: {own}:{id}", {"own": caller.organisation, "id": id})
        raise Problem(422, wrong, [("id", wrong)])


async def _say(  # noqa: PLR0913, PLR0917
    service: Service, caller: Caller, data: Data, about: tuple[str, str], prefer: str | None, done: View | None
) -> JSONResponse:
    """Publish a command's event about (collection, id), unless it is *done*: then answer with that state."""
    collection, id = about
    if done is not None:
        return JSONResponse(done)
    event = event_by(caller, data, id)
    if wrong := misfits(event):
        raise Problem(422, wrong[0][1], [(field.removeprefix("data."), detail) for field, detail in wrong])
    return await accept(service, event, prefer, read(service, collection, id))


# agreements


@router.get("/agreements", tags=["agreements"])
async def list_agreements(
    service: Running,
    paging: Pages,
    party: Filter = None,
    programme: Filter = None,
    status: Literal["proposed", "signed", "refused", "ended"] | None = None,
) -> View:
    """Agreements, by id."""
    return await entries(service, "agreements", {"parties": party, "programmes": programme, "status": status}, paging)


@router.get("/agreements/{id}", tags=["agreements"])
async def read_agreement(service: Running, id: EntityId) -> View:
    """One agreement, with each party's newest answer."""
    return await entry(service, "agreements", id)


@router.put("/agreements/{id}", tags=["agreements"], status_code=202)
async def propose_agreement(
    service: Running, caller: Active, id: EntityId, body: AgreementProposed, prefer: Prefer = None
) -> JSONResponse:
    """Propose an agreement and thereby sign it.

    A party may propose it anew with other content until all have signed; answers to the earlier content then no
    longer count. What is signed or ended stays as it is: propose another one.
    """
    require(caller, *PARTNERS)
    shown = await known(service, "agreements", id)
    _refuse_stranger(caller, "agreements", id, shown)
    _refuse_name(service, caller, id, shown)
    if is_said(shown, body):
        return JSONResponse(shown)
    if why := settled(id, shown):
        raise Problem(409, why)
    await service.current("organisation")
    entered = service.db["organisations"].find({"_id": {"$in": body.parties}, "name": {"$exists": True}}, {"_id": 1})
    entered_ids = {doc["_id"] async for doc in entered}
    unknown = [
        (f"parties.{i}", Text("{party} is not registered", {"party": party}))
        for i, party in enumerate(body.parties)
        if party not in entered_ids
    ]
    if unknown:
        raise Problem(422, Text("every party must be registered"), unknown)
    return await _say(service, caller, body, ("agreements", id), prefer, None)


@router.post("/agreements/{id}/signature", tags=["agreements"], status_code=202)
async def sign_agreement(service: Running, caller: Active, id: EntityId, prefer: Prefer = None) -> JSONResponse:
    """Sign. Who has refused may still sign; what has ended is signed no more."""
    shown, answer = await _agreement(service, caller, id)
    if answer == "signed":
        return JSONResponse(shown)
    if shown["status"] == "ended":
        raise Problem(409, Text("{id} has ended and is signed no more; propose another agreement", {"id": id}))
    return await _say(service, caller, AgreementSigned(), ("agreements", id), prefer, None)


@router.post("/agreements/{id}/refusal", tags=["agreements"], status_code=202)
async def refuse_agreement(
    service: Running, caller: Active, id: EntityId, body: AgreementRefused, prefer: Prefer = None
) -> JSONResponse:
    """Refuse, or withdraw one's signature or proposal, until all have signed."""
    shown, answer = await _agreement(service, caller, id)
    if answer == "refused":
        return JSONResponse(shown)
    if shown["status"] in ("signed", "ended"):
        why = ALL_SIGNED if shown["status"] == "signed" else HAS_ENDED
        raise Problem(409, Text(why, {"id": id}))
    return await _say(service, caller, body, ("agreements", id), prefer, None)


@router.post("/agreements/{id}/end", tags=["agreements"], status_code=202)
async def end_agreement(
    service: Running, caller: Active, id: EntityId, body: AgreementEnded, prefer: Prefer = None
) -> JSONResponse:
    """End an agreement that all have signed, for all."""
    shown, _ = await _agreement(service, caller, id)
    if shown["status"] == "ended":
        return JSONResponse(shown)
    if shown["status"] != "signed":
        raise Problem(409, Text("{id} is not signed by all; refuse it instead", {"id": id}))
    return await _say(service, caller, body, ("agreements", id), prefer, None)


async def _agreement(service: Service, caller: Caller, id: str) -> tuple[View, str | None]:
    """An agreement that the caller is a party of, and what it has answered."""
    shown = await known_entry(service, "agreements", id)
    _refuse_stranger(caller, "agreements", id, shown)
    return shown, {a["party"]: a["answer"] for a in shown["answers"]}.get(caller.organisation)


# programmes


@router.get("/programmes", tags=["programmes"])
async def list_programmes(
    service: Running,
    paging: Pages,
    institution: Filter = None,
    competency: Filter = None,
    recommendation: Annotated[
        Literal["open", "revised", "declined"] | None, Query(description="Has a recommendation of this status.")
    ] = None,
) -> View:
    """Programmes in their newest version, by id."""
    match = {
        "institution": institution,
        "competencies.competency": competency,
        "recommendations.status": recommendation,
    }
    return await entries(service, "programmes", match, paging)


@router.get("/programmes/{id}", tags=["programmes"])
async def read_programme(service: Running, id: EntityId) -> View:
    """One programme, with the revisions recommended and their answers."""
    return await entry(service, "programmes", id)


@router.put("/programmes/{id}", tags=["programmes"], status_code=202)
async def publish_programme(
    service: Running, caller: Active, id: EntityId, body: ProgrammePublished, prefer: Prefer = None
) -> JSONResponse:
    """Offer a programme, or a new version of it."""
    require(caller, *INSTITUTION)
    shown = await known(service, "programmes", id)
    _refuse_stranger(caller, "programmes", id, shown)
    _refuse_name(service, caller, id, shown)
    return await _say(service, caller, body, ("programmes", id), prefer, shown if is_said(shown, body) else None)


@router.post("/programmes/{id}/revision", tags=["programmes"], status_code=202)
async def revise_programme(
    service: Running, caller: Active, id: EntityId, body: ProgrammeRevised, prefer: Prefer = None
) -> JSONResponse:
    """Answer a recommendation: this version takes it up. A later answer replaces an earlier one."""
    return await _answer(service, caller, id, body, prefer)


@router.post("/programmes/{id}/revision-refusal", tags=["programmes"], status_code=202)
async def decline_revision(
    service: Running, caller: Active, id: EntityId, body: ProgrammeRevisionDeclined, prefer: Prefer = None
) -> JSONResponse:
    """Answer a recommendation: it is not taken up, for this reason. A later answer replaces an earlier one."""
    return await _answer(service, caller, id, body, prefer)


async def _answer(
    service: Service, caller: Caller, id: str, body: ProgrammeRevised | ProgrammeRevisionDeclined, prefer: str | None
) -> JSONResponse:
    require(caller, *INSTITUTION)
    shown = await known_entry(service, "programmes", id)
    _refuse_stranger(caller, "programmes", id, shown)
    asked = next((r for r in shown["recommendations"] if r["recommendation"] == body.recommendation), None)
    if asked is None:
        raise Problem(404, f"{id} has no recommendation {body.recommendation} (yet)", [("recommendation", "unknown")])
    return await _say(service, caller, body, ("programmes", id), prefer, shown if is_said(asked, body) else None)


# activities, opportunities


@router.get("/activities", tags=["activities"])
async def list_activities(
    service: Running,
    paging: Pages,
    kind: ActivityKind | None = None,
    organisation: Filter = None,
    competency: Filter = None,
) -> View:
    """Activities held, by id; `organisation`: its organiser or another that took part."""
    match = {"kind": kind, "organisations": organisation, "competencies": competency}
    return await entries(service, "activities", match, paging)


@router.get("/activities/{id}", tags=["activities"])
async def read_activity(service: Running, id: EntityId) -> View:
    """One activity."""
    return await entry(service, "activities", id)


@router.get("/opportunities", tags=["opportunities"])
async def list_opportunities(
    service: Running,
    paging: Pages,
    kind: OpportunityKind | None = None,
    enterprise: Filter = None,
    status: Literal["open", "expired", "closed"] | None = None,
) -> View:
    """Internships and vacancies offered, by id; `expired`: its last day has passed, and it was not closed."""
    today = datetime.now(UTC).date().isoformat()
    match: View = {"kind": kind, "enterprise": enterprise, "status": "open" if status == "expired" else status}
    if status == "open":
        match["$or"] = [{"closes_on": None}, {"closes_on": {"$gte": today}}]
    elif status == "expired":
        match["closes_on"] = {"$lt": today}
    shown = await entries(service, "opportunities", match, paging)
    return shown | {"items": [_as_of(offer, today) for offer in shown["items"]]}


def _as_of(offer: View, today: str) -> View:
    has_passed = offer["status"] == "open" and (offer["closes_on"] or today) < today
    return offer | {"status": "expired"} if has_passed else offer


@router.get("/opportunities/{id}", tags=["opportunities"])
async def read_opportunity(service: Running, id: EntityId) -> View:
    """One opportunity."""
    return _as_of(await entry(service, "opportunities", id), datetime.now(UTC).date().isoformat())


# learners: for the institutions that enrolled them and the operator; for others what concerns them


def _reader(caller: Caller) -> str:
    return OPERATOR if caller.is_operator else caller.organisation


@router.get("/learners", tags=["learners"])
async def list_learners(service: Running, caller: Authenticated, paging: Pages, programme: Filter = None) -> View:
    """The learners whom the calling organisation has to do with (the operator: all), by id.

    Who is not an institution of the learner sees internships and jobs of its own, and does not learn the programmes.
    """
    reader = _reader(caller)
    match: View = {"readers": reader}
    if programme is not None:
        match |= {"programmes.id": programme} | ({} if caller.is_operator else {"institutions": reader})
    page = await entries(service, "learners", match, paging)
    return {**page, "items": [part(item, reader) for item in page["items"]]}


@router.get("/learners/{id}", tags=["learners"])
async def read_learner(service: Running, caller: Authenticated, id: EntityId) -> View:
    """One learner: programmes, internships, employment (newest first), support cases; or the caller's part of it."""
    shown, reader = await entry(service, "learners", id), _reader(caller)
    if reader not in shown["readers"]:
        raise Problem(404, f"there is no {id} in learners (yet)")
    return part(shown, reader)


@router.get("/internships", tags=["learners"])
async def list_internships(  # noqa: PLR0913, PLR0917
    service: Running,
    caller: Authenticated,
    paging: Pages,
    enterprise: Filter = None,
    programme: Filter = None,
    status: Literal["started", "completed", "cancelled"] | None = None,
    implausible: Annotated[bool, Query(description="Only those that cannot have been so, to be mended.")] = False,
) -> View:
    """Internships that the caller may read, by id; `of` is the learner.

    `implausible` says why one cannot have been as it was reported: it ended before it began, or had more than 24 hours
    a day. It counts as it was reported; the institution mends it by a later event about the same internship.
    """
    wanted = {"enterprise": enterprise, "programme": programme, "status": status, "readers": _reader(caller)}
    match: View = {f"internships.{field}": value for field, value in wanted.items() if value}
    match |= {"readers": _reader(caller)} | ({"internships.implausible": {"$gt": ""}} if implausible else {})
    page = await mongo.page_within(service.db, "learners", "internships", match, paging.after, paging.limit)
    return {"items": [unread(item) for item in page.items], "next": page.next_after}
