"""People and questionnaires over HTTP: invitations to pass on, response rates, comments, and what is asked."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from shared.contract.events import OPERATOR, FeedbackRole, Question, QuestionKind, QuestionnairePublished
from shared.http.auth import Caller
from shared.http.commands import Prefer, accept, event_by
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Authenticated, EntityId, Running, Service, require
from shared.http.spreadsheets import TABLES, Sheet, table_file
from shared.http.visits import STAFF, SignedInOffline, demand_active, demand_role
from shared.pages.chosen import Chosen
from shared.pages.languages import N_, Language, Text

from .answering import say, sheets
from .invitations import Doc, invitations, mine, of_own, of_whom
from .links import links, revoke
from .questionnaires import Questionnaire, in_use, mistakes
from .rates import BY, comments, response_rates
from .requests import today
from .sheet import read, typed

router = Router(tags=["feedback"])
Role = Annotated[FeedbackRole, Path()]
Status = Literal["open", "answered", "expired"]
LINKS_AT_ONCE = 50_000
HEADINGS = {
    "request": N_("Request"),
    "role": N_("Asked as"),
    "learner": N_("Learner"),
    "programme": N_("Programme"),
    "months": N_("Months after graduation"),
    "enterprise": N_("Enterprise"),
    "due": N_("Due"),
    "status": N_("State"),
    "reminders": N_("Reminders"),
    "link": N_("Link"),
}


@router.get("/invitations", responses={200: {"content": TABLES}})
async def list_invitations(  # noqa: PLR0913, PLR0917
    service: Running,
    caller: Authenticated,
    language: Chosen,
    status: Status = "open",
    programme: str | None = None,
    after: Annotated[str | None, Query(max_length=100, description="The last request that is known.")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
    format: Literal["json", "csv", "xlsx"] = "json",
) -> Response:
    """Requests to pass on, with the one-time link that answers each: an institution's learners and graduates, or what
    an enterprise is asked itself.

    The link is for one person. Praktika knows no address: your system, or you, send it. In order of the requests' ids.
    """
    found = await _found(service, caller, status, programme, after, limit)
    if format == "json":
        is_full = len(found) == limit
        return JSONResponse({"items": found, "next": found[-1]["request"] if is_full and found else None})
    return await _file(found, format, language)


async def _found(  # noqa: PLR0913, PLR0917
    service: Service, caller: Caller, status: Status, programme: str | None, after: str | None, limit: int
) -> list[Doc]:
    if caller.is_operator:
        raise Problem(403, Text("links are for those who pass them on; the operator has none"))
    match: Doc = {"status": status, "$and": [mine(caller)]}
    match |= {"programme": programme} if programme else {}
    match |= {"_id": {"$gt": after}} if after else {}
    found = service.db["requests"].find(match, {"state": 0, "answers": 0}).sort("_id").limit(limit)
    return await invitations(service, caller, [doc async for doc in found])


async def _file(rows: list[Doc], format: str, language: Language) -> Response:
    return await table_file("links", format, language, Sheet(N_("Links"), HEADINGS, rows), most=LINKS_AT_ONCE)


@router.get("/asked/links.{format}", include_in_schema=False)
async def links_file(visit: SignedInOffline, format: Literal["csv", "xlsx"], programme: str | None = None) -> Response:
    """The links as a file, for somebody who is signed in."""
    demand_role(visit, STAFF)
    await demand_active(visit)
    found = await _found(visit.service, visit.member.caller, "open", programme, None, LINKS_AT_ONCE)
    return await _file(found, format, visit.language)


@router.post("/requests/{id}/link")
async def renew_link(service: Running, caller: Authenticated, id: EntityId) -> dict[str, Any]:
    """A new one-time link for a request, by whoever passes it on; the one before leads nowhere from now on."""
    request = await of_own(service, caller, id)
    if request is None:
        raise Problem(404, f"there is no request {id} of yours (yet)")
    if request["status"] != "open":
        raise Problem(409, f"this request is {request['status']}: there is no link to it any more")
    await revoke(service, id)
    return {"request": id, "link": (await links(service, [id]))[id]}


class AnswersBody(BaseModel):
    """An answer, by the questions' names: a rating or number, the name of what was chosen (or several), text; of
    competencies a rating by competency; of employment its parts."""

    model_config = ConfigDict(extra="forbid")

    answers: dict[str, JsonValue] = Field(max_length=50)


@router.post("/requests/{id}/answers", status_code=202)
async def answer_request(service: Running, caller: Authenticated, id: EntityId, body: AnswersBody) -> dict[str, Any]:
    """Answer a request as its questionnaire asks, by whoever is asked or passes it on: for surveys made elsewhere.

    What is sent again replaces what was said; the same again changes nothing. The free text stays in this service.
    """
    request = await of_own(service, caller, id)
    if request is None:
        raise Problem(404, f"there is no request {id} of yours (yet)")
    (opened,) = await sheets(service, [request])
    if request["status"] not in ("open", "answered", "expired"):
        raise Problem(409, f"this request is {request['status']}")
    form, unknown = typed(opened.questionnaire, opened.request, body.answers)
    given = read(form, opened.questionnaire, opened.request, today())
    if errors := unknown | given.errors:
        raise Problem(422, "the answer does not fit its questionnaire", sorted(errors.items()))
    texts = {question.id for question in opened.questionnaire.questions if question.kind is QuestionKind.text}
    if not texts & body.answers.keys():
        given.text = opened.kept.get("text", "")  # a file without it takes nothing back
    if opened.is_said(given):
        return {"request": id, "status": "unchanged"}
    await say(service, opened, given, caller)
    return {"request": id, "status": "answered"}


@router.get("/response-rates")
async def read_response_rates(
    service: Running,
    caller: Authenticated,
    by: Annotated[str, Query(max_length=100, description=f"With commas: {', '.join(BY)}.")] = "programme",
    programme: str | None = None,
    enterprise: str | None = None,
) -> dict[str, Any]:
    """Of the requests that are due, how many are answered: the caller's own, for the operator all.

    `months` is how long after graduation, null after an internship; `questionnaire` is the version that was in use when
    somebody was asked. Groups under five are hidden.
    """
    named = {name: value for name, value in (("programme", programme), ("enterprise", enterprise)) if value}
    match = {"$and": [named, await of_whom(service.db, caller)]}
    fields = tuple(dict.fromkeys(by.split(",")))
    if unknown := [name for name in fields if name not in BY]:
        raise Problem(422, "the request does not fit", [("by", f"“{unknown[0]}” is none of {', '.join(BY)}")])
    items = await response_rates(service.db, match, fields, service.settings.suppress_below)
    return {"items": items, "next": None}


@router.get("/programmes/{id}/comments")
async def read_comments(service: Running, caller: Authenticated, id: EntityId) -> dict[str, Any]:
    """What was written of a programme, for its institution, in no fixed order, nobody named.

    Of a role from five people on, once their requests are due.
    """
    programme = await service.db["programmes"].find_one({"_id": id}, {"institution": 1})
    if programme is None or programme.get("institution") != caller.organisation:
        raise Problem(404, f"there is no programme {id} of yours (yet)")
    least = service.settings.suppress_below
    found = await comments(service.db, service.store.home, id, least)
    if not found:
        return {"status": "suppressed", "items": [], "detail": f"fewer than {least} of a role have written something"}
    return {"status": "ok", "items": found}


# questionnaires


class QuestionnaireBody(BaseModel):
    """What is to be asked."""

    model_config = ConfigDict(extra="forbid")

    questions: list[Question] = Field(min_length=1, max_length=30)


def _shown(questionnaire: Questionnaire) -> dict[str, Any]:
    questions = [question.model_dump(mode="json", exclude_none=True) for question in questionnaire.questions]
    return {"role": questionnaire.role, "version": questionnaire.version, "questions": questions}


@router.get("/questionnaires")
async def list_questionnaires(service: Running) -> dict[str, Any]:
    """What is asked today, by role."""
    return {"items": [_shown(await in_use(service.db, role)) for role in FeedbackRole], "next": None}


@router.get("/questionnaires/{role}")
async def read_questionnaire(service: Running, role: Role) -> dict[str, Any]:
    """What is asked today of those who answer in a role; version 1 comes with the product."""
    return _shown(await in_use(service.db, role))


@router.put("/questionnaires/{role}", status_code=202)
async def publish_questionnaire(
    service: Running, caller: Authenticated, role: Role, body: QuestionnaireBody, prefer: Prefer = None
) -> JSONResponse:
    """Publish the next version of what a role is asked, by the operator. What was answered keeps its version."""
    return await publish(service, caller, role, body.questions, prefer)


async def publish(
    service: Service, caller: Caller, role: FeedbackRole, questions: list[Question], prefer: str | None
) -> JSONResponse:
    """See `publish_questionnaire`.

    Raises:
        Problem: it is not for the caller, or 422: what is wrong, by field.
    """
    require(caller, *OPERATOR)
    if wrong := mistakes(role, questions):
        raise Problem(422, "the questionnaire does not fit", list(wrong))
    await service.current("feedback", role)
    known = await in_use(service.db, role)
    if list(known.questions) == questions:
        return JSONResponse(_shown(known))
    event = event_by(caller, QuestionnairePublished(version=known.version + 1, questions=questions), role)

    async def applied() -> dict[str, Any]:
        return _shown(await in_use(service.db, role))

    return await accept(service, event, prefer, applied)
