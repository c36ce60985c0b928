"""The learners' links as their institution passes them on: a list, a file, and a page. A link is on no log.

The feed says that there is a certificate (`competency.certified`) and that it was collected; who sends links asks here.
"""

from typing import Annotated, Any, Literal

from fastapi import Query
from fastapi.responses import HTMLResponse, JSONResponse, Response

from services.certification.certificates.reads import find_certificate
from services.certification.credentials.links import links, revoke
from services.certification.validity import as_of_today, is_valid, match
from shared.contract.events import INSTITUTION
from shared.http.auth import Caller
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Authenticated, Running, Service, refuse_sandbox
from shared.http.spreadsheets import TABLES, Sheet, one_file, table_file
from shared.http.visits import STAFF, MemberVisit, SignedInOffline, demand_active, demand_role
from shared.pages.chosen import Chosen
from shared.pages.languages import LANGUAGES, N_, Language, translated
from shared.pages.paging import pager
from shared.processing import mongo

router = Router(tags=["credentials"])
Row = dict[str, Any]
State = Literal["open", "collected", "expired", "revoked"]
HEADINGS = {
    "certificate": N_("Certificate"),
    "learner": N_("Learner"),
    "competency": N_("Competency"),
    "name_en": N_("Name in English"),
    "name_ru": N_("Name in Russian"),
    "certified_on": N_("Certified on"),
    "state": N_("State"),
    "link": N_("Link"),
    "until": N_("The link works until"),
}
STATES = {
    "open": N_("not collected yet"),
    "collected": N_("collected"),
    "expired": N_("ended"),
    "revoked": N_("revoked"),
}
PER_PAGE = 50
LINKS_AT_ONCE = 50_000


def _of(caller: Caller, state: State | None) -> Row:
    """What certificates have: those of the caller, in this state."""
    own: Row = {"certificates.institution": caller.organisation}
    if state in ("expired", "revoked"):
        return {"$and": [own, match(state)]}
    if state is None:
        return own
    return {"$and": [own, match("valid"), {"certificates.collected_at": {"$exists": state == "collected"}}]}


@router.get("/certificates/links", responses={200: {"content": TABLES}})
async def list_links(  # noqa: PLR0913, PLR0917
    service: Running,
    caller: Authenticated,
    language: Chosen,
    state: State | None = None,
    after: Annotated[str | None, Query(max_length=250, description="The `next` of the part before.")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
    format: Literal["json", "csv", "xlsx"] = "json",
) -> Response:
    """The institution's certificates, each with the link at which its learner collects it for 90 days from now on.

    Each link is for one person. Praktika knows no address: your system, or you, send it. In order of their ids; one
    that was revoked or has ended has no link. `state`: open (not collected yet), collected, expired, revoked; left out:
    all. CSV and XLSX have all
    behind `after`, up to 50,000.
    """
    refuse_sandbox(caller)
    if caller.is_operator:
        raise Problem(403, "links are for those who pass them on; the operator has none")
    if format != "json":
        return await _file(service, _of(caller, state), after, format, language)
    found = await mongo.page_within(service.db, "learners", "certificates", _of(caller, state), after, limit)
    rows = await _rows(service, found.items)
    return JSONResponse({"items": rows, "next": found.next_after}, headers={"Cache-Control": "no-store"})


async def _rows(service: Service, certificates: list[Row]) -> list[Row]:
    known = await service.frameworks()
    found, end = await links(service, [each["id"] for each in certificates if is_valid(each)])
    return [
        {
            "certificate": each["id"],
            "learner": each["of"],
            "competency": each["competency"],
            **{f"name_{language}": known.name(each["competency"], language) for language in LANGUAGES},
            "certified_on": each["certified_at"][:10],
            "state": _state(each),
            "link": found.get(each["id"]),
            "until": end.date().isoformat() if each["id"] in found else None,
        }
        for each in certificates
    ]


def _state(certificate: Row) -> State:
    status: State = as_of_today(certificate)["status"]
    if status in ("expired", "revoked"):
        return status
    return "collected" if "collected_at" in certificate else "open"


async def _file(service: Service, match: Row, after: str | None, format: str, language: Language) -> Response:
    async with one_file(service):
        rows, is_all = list[Row](), False
        while not is_all and len(rows) <= LINKS_AT_ONCE:
            found = await mongo.page_within(service.db, "learners", "certificates", match, after, 1_000)
            rows += await _rows(service, found.items)
            after, is_all = found.next_after, found.next_after is None
        if format == "xlsx":
            rows = [row | {"state": translated(language, STATES[row["state"]])} for row in rows]
        sheet = Sheet(N_("Links"), HEADINGS, rows)
        return await table_file("links", format, language, sheet, most=LINKS_AT_ONCE)


async def _demand_institution(visit: MemberVisit) -> None:
    """Refuse whoever does not act for an institution."""
    demand_role(visit, STAFF)
    if visit.member.kind not in INSTITUTION:
        raise Problem(403, "this page is for institutions")
    await demand_active(visit)


Page = Annotated[int, Query(ge=1, le=10_000)]


@router.get("/links", include_in_schema=False, response_class=HTMLResponse)
async def links_page(visit: SignedInOffline, state: State = "open", page: Page = 1) -> Response:
    """What was certified, who has collected it, and the links of those who have not."""
    await _demand_institution(visit)
    return await _show(visit, state, page)


async def _show(visit: MemberVisit, state: State, page: int) -> Response:
    service, caller = visit.service, visit.member.caller
    stages: list[Row] = [{"$match": _of(caller, state)}, {"$unwind": "$certificates"}, {"$match": _of(caller, state)}]
    counted = await service.db["learners"].aggregate([*stages, {"$count": "n"}]).to_list(1)
    part = pager(page, PER_PAGE, counted[0]["n"] if counted else 0, state=state)
    order = {"$sort": {"certificates.certified_at": -1, "certificates.id": 1}}
    merged = {"$replaceWith": {"$mergeObjects": ["$certificates", {"of": "$_id"}]}}
    cut = [{"$skip": max(part.first - 1, 0)}, {"$limit": PER_PAGE}]
    certificates = await service.db["learners"].aggregate([*stages, order, *cut, merged]).to_list(PER_PAGE)
    return visit.show(
        "services/certification/learners/links.html",
        once=True,
        items=await _rows(service, certificates),
        part=part,
        chosen=state,
        page=page,
        states=[(value, visit.word(words)) for value, words in STATES.items()],
        erasures=await _erasures(service, caller.organisation),
    )


async def _erasures(service: Service, institution: str) -> list[tuple[str, str]]:
    """The institution's learners who ask to be erased, and since when; the oldest first."""
    match = {"erasure_requested.institution": institution}
    found = service.db["learners"].find(match, {"erasure_requested": 1})
    asked = [(e["at"], doc["_id"]) async for doc in found for e in doc["erasure_requested"]]
    return [(learner, at) for at, learner in sorted(asked)]


@router.post("/links", include_in_schema=False, response_class=HTMLResponse)
async def withdraw_links(visit: SignedInOffline, state: State = "open", page: Page = 1) -> Response:
    """Let the links of a certificate that there are lead nowhere; the page has another one."""
    await _demand_institution(visit)
    if visit.form.is_meant:
        refuse_sandbox(visit.member.caller)
        certificate = await find_certificate(visit.service.db, visit.form["certificate"])
        if certificate["institution"] != visit.member.organisation:
            raise Problem(404, "there is no such certificate of yours")
        await revoke(visit.service, certificate["id"])
        visit.notice = visit.word(N_("There is a new link; the one before leads nowhere now."))
    answered = await _show(visit, state, page)
    answered.status_code = 200 if visit.form.is_meant else 403
    return answered


@router.get("/links/links.{format}", include_in_schema=False)
async def links_file(visit: SignedInOffline, format: Literal["csv", "xlsx"], state: State = "open") -> Response:
    """The links as a file, for somebody who is signed in."""
    await _demand_institution(visit)
    return await _file(visit.service, _of(visit.member.caller, state), None, format, visit.language)
