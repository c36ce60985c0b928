"""The mentor's sheets: what is asked of the own organisation, several of them answered at once, signed in."""

from typing import Annotated

from fastapi import Depends
from fastapi.responses import HTMLResponse, Response

from services.feedback import sheet
from services.feedback.answering import Sheet, say, sheets
from services.feedback.requests import today
from shared.contract.events import HOSTS
from shared.http.auth import Role
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.visits import MemberVisit, SignedInOffline, demand_active, demand_role
from shared.log.producer import NotPublished
from shared.pages.languages import N_, Text

from .answer import about

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
SHOWN = 20  # at once


async def _by_host(visit: SignedInOffline) -> MemberVisit:
    """The visit of somebody of an organisation at which people are trained."""
    demand_role(visit, (Role.admin, Role.staff, Role.mentor))
    if visit.member.kind not in HOSTS:
        raise Problem(403, Text("this page is for those at whom people are trained"))
    await demand_active(visit)
    return visit


ByHost = Annotated[MemberVisit, Depends(_by_host)]


@router.get("/answers")
async def answers_page(visit: ByHost, done: int = 0) -> Response:
    if done:
        visit.notice = visit.word(N_("Answered")) + f": {done}"
    return _show(visit, *await _open(visit))


async def _open(visit: MemberVisit) -> tuple[list[Sheet], int]:
    """What is to be answered, the most urgent first; and how many there are."""
    mine = {"respondent": visit.member.organisation, "status": "open", "due": {"$gte": today().isoformat()}}
    collection = visit.service.db["requests"]
    found = collection.find(mine, {"state": 0}).sort([("due", 1), ("_id", 1)]).limit(SHOWN)
    return await sheets(visit.service, [doc async for doc in found]), await collection.count_documents(mine)


def _show(visit: MemberVisit, items: list[Sheet], total: int, status: int = 200) -> Response:
    shown = [
        {
            "id": one.request["_id"],
            "learner": one.request["learner"],
            "about": about(visit, one),
            "due": one.request["due"],
            "groups": sheet.asked(one.questionnaire, one.request, visit.language, _prefix(one), visit.frameworks.name),
            "wrong": any(name.startswith(_prefix(one)) for name in visit.form.errors),
        }
        for one in items
    ]
    return visit.show("services/feedback/pages/answers.html", status, items=shown, total=total)


def _prefix(one: Sheet) -> str:
    return f"{one.request['_id']}:"


@router.post("/answers")
async def answer_several(visit: ByHost) -> Response:
    """Send the sheets in which something was typed; what does not do stays with what is wrong."""
    form, (items, total) = visit.form, await _open(visit)
    if not form.is_meant:
        return _show(visit, items, total, 200 if form.is_draft else 403)
    touched = [one for one in items if any(name.startswith(_prefix(one)) and form.all(name) for name in form.values)]
    if not touched:
        visit.wrong({"": Text(N_("Rate at least one."))})
        return _show(visit, items, total, 422)
    done = [one for one in touched if await _answer(visit, one)]
    if not form.errors:
        return visit.go(f"/answers?done={len(done)}")
    if done:
        visit.notice = f"{visit.word(N_('Answered'))}: {len(done)}"
    return _show(visit, [one for one in items if one not in done], total - len(done), 422)


async def _answer(visit: MemberVisit, one: Sheet) -> bool:
    given = sheet.read(visit.form, one.questionnaire, one.request, today(), _prefix(one))
    errors = given.errors
    if not errors:
        try:
            await say(visit.service, one, given, visit.member.caller)
        except NotPublished:
            errors = {"": Text(N_("It could not be sent just now: send it again in a minute."))}
    visit.form.errors |= {name: text.into(visit.language) for name, text in errors.items()}
    return not errors
