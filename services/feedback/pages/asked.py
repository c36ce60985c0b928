"""What an organisation has asked, or is to pass on: who has not answered, the links to send, rates, and comments."""

from typing import Annotated, Any, Literal

from fastapi import Query
from fastapi.responses import HTMLResponse, Response

from services.feedback.invitations import invitations, mine, of_own, of_whom
from services.feedback.links import revoke
from services.feedback.rates import comments, response_rates
from services.feedback.requests import today
from shared.contract.events import HOSTS, Publisher
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.visits import STAFF, MemberVisit, SignedInOffline, demand_active, demand_role
from shared.pages.languages import N_, Text

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
PER_PAGE = 50
Status = Literal["open", "answered", "expired"]
STATUS = {"open": N_("to be answered"), "answered": N_("answered"), "expired": N_("not answered")}
ROLES = {
    "enterprise": N_("enterprise"),
    "learner": N_("learner"),
    "graduate": N_("graduate"),
    "mentor": N_("mentor"),
}
Page = Annotated[int, Query(ge=1, le=10_000)]


@router.get("/asked")
async def asked_page(visit: SignedInOffline, status: Status = "open", programme: str = "", page: Page = 1) -> Response:
    demand_role(visit, STAFF)
    await demand_active(visit)
    return await _show(visit, status, programme, page)


async def _show(visit: MemberVisit, status: Status, programme: str, page: int) -> Response:
    service, caller = visit.service, visit.member.caller
    of, rated = mine(caller), await of_whom(service.db, caller)
    named = {"programme": programme} if programme else {}
    match = {"$and": [of, named], "status": status}
    total = await service.db["requests"].count_documents(match)
    found = service.db["requests"].find(match, {"state": 0}).sort([("due", 1), ("_id", 1)])
    docs = [doc async for doc in found.skip((page - 1) * PER_PAGE).limit(PER_PAGE)]
    items = await invitations(service, caller, docs)
    least = service.settings.suppress_below
    rates = await response_rates(service.db, {"$and": [rated, named]}, ("programme", "role", "months"), least)
    titles = await service.by_id("programmes", {row["programme"] for row in (*items, *rates)}, {"title": 1})
    written = list[dict[str, str]]()
    is_own = caller.kind is Publisher.institution and programme in rated["programme"]["$in"]
    if is_own:
        written = await comments(service.db, service.store.home, programme, least)
    return visit.show(
        "services/feedback/pages/asked.html",
        once=True,
        items=items,
        total=total,
        chosen=status,
        statuses=[(value, visit.word(words)) for value, words in STATUS.items()],
        roles={role: visit.word(words) for role, words in ROLES.items()},
        programme=programme,
        page=page,
        pages=-(-total // PER_PAGE),
        rates=rates,
        names={id: doc["title"] for id, doc in titles.items() if "title" in doc},
        comments=written,
        is_own=is_own,
        least=least,
        is_host=caller.kind in HOSTS,
        today=today().isoformat(),
    )


@router.post("/asked")
async def renew_link(visit: SignedInOffline, status: Status = "open", programme: str = "", page: Page = 1) -> Response:
    """Make a new link for a request; the one before leads nowhere from now on."""
    demand_role(visit, STAFF)
    await demand_active(visit)
    request: dict[str, Any] | None = None
    if visit.form.is_meant:
        request = await of_own(visit.service, visit.member.caller, visit.form["request"])
        if request is None:
            raise Problem(404, Text("there is no such request"))
        if request["status"] != "open":
            raise Problem(409, Text("this request is answered or over: there is no link to it any more"))
        await revoke(visit.service, request["_id"])
        visit.notice = visit.word(N_("There is a new link; the one before leads nowhere now."))
    answer = await _show(visit, status, programme, page)
    answer.status_code = 200 if request else 403
    return answer
