"""The pages of what an organisation was refused: to look through, mend in place and send again.

The list and what was sent are those of `GET /rejections`. What needs nothing more done is put aside, in the list alone.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import HTMLResponse, Response

from services.partners.gateway.egress.forwarding import REJECTIONS
from services.partners.gateway.egress.rejections import (
    Position,
    list_rejections,
    mine,
    note_aside,
    note_resubmission,
    record_of,
    text_of,
)
from services.partners.gateway.files.mapping import Plan, explained
from services.partners.gateway.ingress.http import IngressMemory, refuse_overdrawn
from services.partners.gateway.ingress.http_binding import Mode, read_json
from services.partners.people.visits import ByStaff
from shared.contract.events import DATA
from shared.http.lists import Paging
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.visits import MemberVisit
from shared.pages.languages import N_, Text

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
FOLDER = "services/partners/pages/"
HOME = "/work/rejections"
PER_PAGE = 50
RECENT = timedelta(days=30)  # what is older waits for nobody


def reason(visit: MemberVisit, rejection: dict[str, Any]) -> str:
    """Why something was refused, in the visitor's language."""
    if "row" in rejection:
        return Text("row {row} of a file is no event", rejection).into(visit.language)
    return visit.word(rejection["detail"])


def open_rejections(organisation: str) -> dict[str, Any]:
    """What of the rejections is still to be looked at, as a query."""
    since = datetime.now(UTC) - RECENT
    match = {"organisation": organisation, "at": {"$gt": since}, "resubmitted": None, "aside": None}
    return {**match, "row": {"$ne": True}}  # rows of files are mended there, and their upload says so


@router.get(HOME)
async def rejections_page(
    visit: ByStaff,
    after: Annotated[str | None, Query(max_length=100)] = None,
    done: Annotated[str, Query(max_length=1)] = "",
) -> Response:
    visit.notice = visit.word(N_("It was accepted.")) if done else ""
    service, own = visit.service, visit.member.organisation

    async def read() -> tuple[dict[str, Any], int]:
        found = await list_rejections(service, visit.member.caller, Paging(after, PER_PAGE))
        return found, await service.store.home[REJECTIONS].count_documents(open_rejections(own))

    found, number = await service.coalesced(("rejections", own, after), read)
    return visit.show(
        FOLDER + "rejections.html",
        items=[{**each, "detail": reason(visit, each)} for each in found["items"]],
        following=found["next"],
        waiting=number,
    )


@router.post(HOME)
async def put_aside(visit: ByStaff) -> Response:
    """Nothing more is to be done about any of them so far."""
    if visit.form.is_draft:
        return visit.go(HOME)
    if not visit.form.is_meant:
        raise Problem(403, Text("this form comes from elsewhere; nothing was done"))
    match = open_rejections(visit.member.organisation)
    await note_aside(visit.service, match, visit.member.id)
    return visit.go(HOME)


@router.get(HOME + "/{position}")
async def rejection_page(visit: ByStaff, position: Position) -> Response:
    record = await _record(visit, position)
    visit.form.values["text"] = [_editable(record)]
    return await _show(visit, record)


async def _record(visit: MemberVisit, position: str) -> dict[str, Any]:
    """What is kept of something that the own organisation was refused."""
    doc = await mine(visit.service, visit.member.caller, position)
    return {**await record_of(visit.service, position), **{name: doc.get(name) for name in ("resubmitted", "aside")}}


async def _show(visit: MemberVisit, record: dict[str, Any], status: int = 200) -> Response:
    cells, item = _cells(record), _item(record)
    return visit.show(
        FOLDER + "rejection.html",
        status,
        rejection=record,
        reason=reason(visit, record),
        wrong=explained(Problem.of(record), item, _plan(visit, item)),
        cells=cells,
        is_whole=cells is not None or record["size"] == len(_text(record).encode()),
    )


def _plan(visit: MemberVisit, item: Any) -> Plan | None:
    """By which what is wrong with an event is said in the visitor's language."""
    type_ = item.get("type") if isinstance(item, dict) else None
    return Plan(type_, {}, {}, (), None, visit.language) if type_ in DATA else None


def _text(record: dict[str, Any]) -> str:
    return text_of(record["original"]) or ""


def _json(text: str) -> Any:
    """What a text says as JSON; None: it is none."""
    try:
        return read_json(text.encode())
    except Problem:
        return None


def _cells(record: dict[str, Any]) -> dict[str, Any] | None:
    """The cells of a row of a file, which is mended there; None: it was an event."""
    found = _json(_text(record)) if record["content_type"] == Mode.binary and not record["attributes"] else None
    if not isinstance(found, dict):
        return None
    return {column: str(cell).encode(errors="replace").decode() for column, cell in found.items()}


def _item(record: dict[str, Any]) -> Any:
    """What was sent, as far as it is an event."""
    found = _json(_text(record))
    if record["attributes"]:
        attributes = {name.lower().removeprefix("ce-"): value for name, value in record["attributes"].items()}
        return {**attributes, "data": _text(record) if found is None else found}
    return found


def _editable(record: dict[str, Any]) -> str:
    """What was sent, as JSON that people can read; what is none, as it came."""
    item = _item(record)
    text = _text(record) if item is None else json.dumps(item, ensure_ascii=False, indent=2)
    return text.encode(errors="replace").decode()


@router.post(HOME + "/{position}")
async def send_again(visit: ByStaff, position: Position, memory: IngressMemory) -> Response:
    """Send the mended event; or put the rejection `aside`."""
    form, service = visit.form, visit.service
    record = await _record(visit, position)
    if not form.is_meant:
        return await _show(visit, record, 200 if form.is_draft else 403)
    if form["do"] == "aside":
        await note_aside(service, {"_id": position}, visit.member.id)
        return visit.go(HOME)
    text, caller = form.raw("text"), visit.member.caller
    item = _json(text)
    if item is None:
        visit.wrong({"text": Text("this is not JSON") if text.strip() else Text("is empty")})
        return await _show(visit, record, 422)
    try:
        refuse_overdrawn(service, caller)
        published = await memory.singles.publish(item, service, caller)
        if isinstance(published, Problem):  # a try is no further rejection
            raise published
    except Problem as problem:
        found = explained(problem, item, _plan(visit, item))
        words = [f"{each.field}: {each.detail}" if each.field else each.detail for each in found]
        form.errors = {"text": "\n".join(words)}
        return await _show(visit, record, 422)
    event, address = published
    await note_resubmission(service, caller, position, event.id, address)
    return visit.go(f"{HOME}?done=1")
