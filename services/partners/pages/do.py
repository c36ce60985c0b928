"""The page of an action: the form, and what happens when it is sent."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Query
from fastapi.responses import HTMLResponse, JSONResponse, Response

from services.partners.gateway.files.mapping import Mistakes
from services.partners.gateway.ingress.http import IngressMemory, Memory, refuse_overdrawn
from services.partners.gateway.ingress.validation import check
from services.partners.network import api
from services.partners.people.visits import SignedIn
from shared.contract.events import Event
from shared.http.parameters import query
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.visits import MemberVisit
from shared.pages.languages import Text

from .actions import ACTIONS, Action
from .fields import UNSURE, add_mistakes, form_fields, item_of, proposed, with_kinds
from .lists import lists_of

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
TEMPLATE = "services/partners/pages/action.html"
WAIT_S = 10
Short = Annotated[str, Query(max_length=120)]


@dataclass
class Given:
    """What the page that leads to a form has said already."""

    subject: Short = ""
    learner: Short = ""
    programme: Short = ""
    enterprise: Short = ""
    agreement: Short = ""
    competency: Short = ""
    method: Short = ""
    recommendation: Short = ""
    request: Short = ""
    role: Short = ""
    internship: Short = ""
    opportunity: Short = ""

    def values(self) -> dict[str, str]:
        named = {"partitionkey" if name == "learner" else name: value for name, value in asdict(self).items()}
        return {name: value for name, value in named.items() if value}


Known = Annotated[Given, query(Given)]

# What the registry's commands check beyond the ingress; of everything else the ingress is the command.
COMMANDS: dict[str, Callable[..., Awaitable[JSONResponse]]] = {
    "register": api.register_organisation,
    "edit": api.register_organisation,
    "suspend": api.suspend_organisation,
    "reinstate": api.reinstate_organisation,
    "propose": api.propose_agreement,
    "sign": api.sign_agreement,
    "refuse": api.refuse_agreement,
    "end": api.end_agreement,
    "publish": api.publish_programme,
    "revise": api.revise_programme,
    "decline": api.decline_revision,
}


async def _action(visit: SignedIn, name: str) -> Action:
    action = ACTIONS.get(name)
    if action is None:
        raise Problem(404, Text("there is no such form"))
    if not action.is_open_to(visit.member):
        raise Problem(403, Text("this form is not for your role, or not for your organisation"))
    return action


Opened = Annotated[Action, Depends(_action)]


@router.get("/work/do/{name}")
async def form_page(visit: SignedIn, action: Opened, name: str, given: Known) -> Response:
    known = given.values()
    visit.form = proposed(visit, action, known)
    if read := ENTRIES.get(name):
        visit.form.values |= await read(visit, known.get("subject", ""))
    return await _show(visit, action, name, known)


async def _organisation(visit: MemberVisit, id: str) -> dict[str, list[str]]:
    """An organisation's entry, to be changed."""
    doc = await visit.service.db["organisations"].find_one({"_id": id, "name": {"$exists": True}}) or {}
    fields = ("kind", "name", "region", "sector")
    sandbox = {"sandbox": ["true"]} if doc.get("sandbox") else {}
    return {name: [doc[name]] for name in fields if doc.get(name)} | sandbox


async def _newest(visit: MemberVisit, id: str) -> dict[str, list[str]]:
    """A programme's newest version, to be changed."""
    doc = await visit.service.db["programmes"].find_one({"_id": id, "institution": visit.member.organisation})
    if doc is None or "title" not in doc:
        return {}
    fields = ("title", "level", "hours_theory", "hours_workplace")
    plain = {name: [f"{doc[name]:g}" if name != "title" else doc[name]] for name in fields if doc.get(name) is not None}
    levels = {f"level:{item['competency']}": [str(item["level"])] for item in doc["competencies"]}
    return {**plain, **levels, "joint_partners.organisation": [p["organisation"] for p in doc["joint_partners"]]}


# What a form that changes something begins with, if that is there.
ENTRIES: dict[str, Callable[[MemberVisit, str], Awaitable[dict[str, list[str]]]]] = {
    "edit": _organisation,
    "publish": _newest,
}


async def _show(visit: MemberVisit, action: Action, name: str, given: dict[str, str], status: int = 200) -> Response:
    return visit.show(
        TEMPLATE,
        status,
        action=action,
        name=name,
        title=visit.word(action.title),
        button=visit.word(action.button),
        hint=visit.word(action.hint),
        sure=visit.word(action.sure),
        fields=await form_fields(visit, action, given),
        given=given,
        query=urlencode({"learner" if key == "partitionkey" else key: value for key, value in given.items()}),
        back=_back(visit, action, given),
    )


def _back(visit: MemberVisit, action: Action, given: dict[str, str]) -> str:
    """The page that a form belongs to; home, where the member has no such list."""
    if action.at not in dict(lists_of(visit.member)):
        return "work"
    about = given.get("partitionkey") if action.at == "learners" else None
    about = about or ("" if action.is_new else given.get("subject", ""))
    return f"work/{action.at}/{about}" if about else f"work/{action.at}"


@router.post("/work/do/{name}")
async def do(visit: SignedIn, action: Opened, name: str, given: Known, memory: IngressMemory) -> Response:
    """Say it: publish the event and wait until it is applied; or show again what was typed, with what is wrong."""
    form, known = visit.form, given.values()
    form.values = {**{key: [value] for key, value in known.items()}, **form.values}
    if not form.is_meant:
        return await _show(visit, action, name, known, 200 if form.is_draft else 403)
    if action.sure and form["sure"] != "yes":
        visit.wrong({"sure": UNSURE})
        return await _show(visit, action, name, known, 422)
    is_applied = await attempt(visit, name, memory)
    if form.errors:
        return await _show(visit, action, name, known, 422)
    done = urlencode({"done": name} | ({} if is_applied else {"later": "1"}))
    return visit.go(f"/{_back(visit, action, known)}?{done}")


async def attempt(visit: MemberVisit, name: str, memory: Memory, wait_s: float = WAIT_S) -> bool:
    """Carry out what the visit's form says; is it applied in time? The form has what speaks against it."""
    action, item, planned = ACTIONS[name], dict[str, Any](), None
    try:
        item, planned = item_of(visit, action)
        return await _say(visit, name, await with_kinds(visit, item), memory, wait_s)
    except (Mistakes, Problem) as wrong:
        if isinstance(wrong, Problem) and wrong.status in (429, 503):
            visit.refuse(wrong)
        else:
            add_mistakes(visit.form, wrong, item, planned, ("subject", *action.fields))
        return False


async def _say(visit: MemberVisit, name: str, item: dict[str, Any], memory: Memory, wait_s: float) -> bool:
    """Carry an action out; is it applied already?

    Raises:
        Problem: what speaks against it.
    """
    service, caller = visit.service, visit.member.caller
    refuse_overdrawn(service, caller)
    if name in COMMANDS:
        return await _command(visit, name, check(item, caller, service.settings, await service.frameworks()))
    published = await memory.singles.publish(item, service, caller)
    if isinstance(published, Problem):
        raise published
    _, address = published
    # What this service does not read is done once it is on the log.
    return address.topic not in service.core.topics or await service.applied_within(address, wait_s)


async def _command(visit: MemberVisit, name: str, event: Event[Any]) -> bool:
    about = (visit.service, visit.member.caller, event.subject)
    body = (event.data,) if type(event.data).model_fields else ()
    try:
        answer = await COMMANDS[name](*about, *body, prefer=f"wait={WAIT_S}")
    except Problem as problem:
        fields = type(event.data).model_fields
        problem.errors = [(f"data.{f}" if f.partition(".")[0] in fields else f, d) for f, d in problem.errors]
        raise
    return answer.status_code == 200
