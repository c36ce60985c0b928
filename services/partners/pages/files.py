"""The pages on which members upload a file, say what its columns mean, and see how far it is.

`gateway/files/jobs.py` works on it, whatever the browser does. Rows, rules and the way in are those of
`POST /upload/rows`.
"""

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path as File
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Path
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import ValidationError

from services.partners.gateway.files import jobs
from services.partners.gateway.files.cells import offset_of
from services.partners.gateway.files.jobs import FILES, UPLOADS, Job, report_of
from services.partners.gateway.files.mapping import Mistakes, fields_of, headings_of, meaning, shown_name
from services.partners.gateway.files.uploads import Asked, Meant, look_into, planned_by, types_in
from services.partners.gateway.ingress.http import refuse_overdrawn
from services.partners.gateway.quotas import quotas_of
from services.partners.people.visits import ByStaff
from shared.files.tables import ENCODINGS, EVENT
from shared.http.forms import Form, Upload
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.visits import MemberVisit
from shared.pages.languages import N_, Text
from shared.pages.pages import static

from .fields import zone

FOLDER = "services/partners/pages/"
HOME = "/uploads"  # below /upload, where bodies may be large
MOST_BYTES = 15 * 2**20  # a document has 16 MB
MOST_KEPT = 20  # files of an organisation
LISTED = 50
STATES = {
    "new": N_("columns to be chosen"),
    "waiting": N_("is being read"),
    "running": N_("is being read"),
    "checked": N_("checked, not published yet"),
    "published": N_("published"),
    "failed": N_("stopped"),
}
router = Router(include_in_schema=False, default_response_class=HTMLResponse)
JobId = Annotated[str, Path(pattern=r"^u-[0-9a-f]{16}$")]


@router.get(HOME)
async def uploads_page(visit: ByStaff) -> Response:
    visit.form = Form.filled(timezone=_offset(visit))
    return await _list(visit)


def _offset(visit: MemberVisit) -> str:
    """The network's offset from UTC, today."""
    return datetime.now(zone(visit)).isoformat()[-6:]


async def _list(visit: MemberVisit, status: int = 200) -> Response:
    own, uploads = {"organisation": visit.member.organisation}, visit.service.store.home[UPLOADS]

    async def read() -> list[Job]:
        return await uploads.find(own).sort("at", -1).to_list(LISTED)

    known = await visit.service.coalesced(("uploads", visit.member.organisation), read)
    types = [(each["type"], re.split("[.;:,]", each["title"])[0]) for each in _types(visit)]
    titles = dict(types)
    return visit.show(
        FOLDER + "uploads.html",
        status,
        types=[("", visit.word(N_("choose …"))), *types, (EVENT, visit.word(N_("each line is an event already")))],
        encodings=[("", visit.word(N_("recognise"))), *((each, each) for each in ENCODINGS)],
        most_mb=_most_bytes(visit) // 2**20,
        jobs=[{**job, "title": titles.get(job["meant"].get("type"), ""), "said": _state(visit, job)} for job in known],
    )


def _types(visit: MemberVisit) -> list[dict[str, Any]]:
    return [each for each in types_in(visit.language) if visit.member.kind in each["by"]]


def _state(visit: MemberVisit, job: Job) -> str:
    return visit.word(STATES[job["state"]])


@router.post(HOME)
async def upload(visit: ByStaff) -> Response:
    """Take a file in and look which columns it has."""
    form, service, caller = visit.form, visit.service, visit.member.caller
    if not form.is_meant:
        return await _list(visit, 403)
    file = form.file or Upload("", b"")
    if wrong := await _unfit(visit, file):
        visit.wrong(wrong)
        return await _list(visit, 422)
    type_ = None if form["type"] == EVENT else form["type"]
    try:
        refuse_overdrawn(service, caller)
        asked = Asked.model_validate({"type": type_, "encoding": form["encoding"] or None, "lang": visit.language})
        quotas_of(service).charge(caller.organisation, 0, len(file.content))
        found = await look_into(file.content, service, caller, asked)
    except (ValidationError, Mistakes):
        visit.wrong({"type": Text("choose one")})
        return await _list(visit, 422)
    except Problem as problem:
        visit.refuse(problem, otherwise="file")
        return await _list(visit, problem.status)
    is_whole = [column["name"] for column in found["columns"]] == [EVENT]
    if not (is_whole if type_ is None else type_ and not is_whole):
        visit.wrong({"type": Text("choose what the rows are about; lines of JSON may be events already")})
        return await _list(visit, 422)
    return visit.go(f"{HOME}/{await _keep(visit, file, asked, found)}")


def _most_bytes(visit: MemberVisit) -> int:
    return min(MOST_BYTES, visit.service.settings.batch_max_bytes)


async def _unfit(visit: MemberVisit, file: Upload) -> dict[str, Text]:
    """What is wrong with what was sent, before anybody looks into the file."""
    if not file.content:
        return {"file": Text("choose a file with something in it")}
    if len(file.content) > (most := _most_bytes(visit)):
        return {"file": Text("has more than {n} MB; split it", {"n": most // 2**20})}
    try:
        offset_of(visit.form["timezone"])
    except ValueError:
        return {"timezone": Text("is no offset from UTC: +07:00")}
    kept = {"organisation": visit.member.organisation}
    if await visit.service.store.home[FILES].count_documents(kept, limit=MOST_KEPT) >= MOST_KEPT:
        return {"file": Text("{n} files are kept already, each for a day; forget some first", {"n": MOST_KEPT})}
    return {}


async def _keep(visit: MemberVisit, file: Upload, asked: Asked, found: Mapping[str, Any]) -> str:
    """Keep a file with what is known of it; what was said of a like one before is said of this one, too."""
    home = visit.service.store.home
    columns = [column["name"] for column in found["columns"]]
    alike = {"organisation": visit.member.organisation, "columns": columns, "meant.type": asked.type}
    before = await home[UPLOADS].find_one({**alike, "state": "published"}, sort=[("at", -1)])
    mapped = [f"{column}={field}" for column, field in found["suggested"].items()]
    job: Job = {
        "_id": f"u-{secrets.token_hex(8)}",
        **{"organisation": visit.member.organisation, "kind": visit.member.kind.value},
        **{"sandbox": visit.member.sandbox, "member": visit.member.id, "at": datetime.now(UTC)},
        "name": file.name[-200:],
        **{"form": found["kind"], "encoding": found["encoding"], "rows": found["rows"], "columns": columns},
        "meant": {
            "type": asked.type,
            "encoding": asked.encoding,
            "timezone": visit.form["timezone"],
            **{name: before["meant"][name] for name in ("map", "set", "key") if before},
            **({} if before else {"map": mapped, "set": [], "key": []}),
        },
    }
    examples = {column["name"]: column["example"] for column in found["columns"]}
    await jobs.keep(home, job, file.content, examples)
    return str(job["_id"])


# one upload


async def _job(visit: MemberVisit, id: str) -> Job:
    job = await visit.service.store.home[UPLOADS].find_one({"_id": id, "organisation": visit.member.organisation})
    if job is None:
        raise Problem(404, Text("there is no such upload (any more)"))
    return job


@router.get(HOME + "/pages/uploads.js")
async def script() -> Response:
    return static(File(__file__).parent / "uploads.js")


@router.get(HOME + "/{id}")
async def upload_page(visit: ByStaff, id: JobId) -> Response:
    job = await _job(visit, id)
    visit.form = _form(job)
    return await _show(visit, job)


def _form(job: Job) -> Form:
    """What was said of the columns, as it stands in the form."""
    meant, columns = job["meant"], job["columns"]
    values = {f"map:{columns.index(c)}": [f] for c, _, f in (m.rpartition("=") for m in meant["map"]) if c in columns}
    values |= {f"set:{f}": [v] for f, _, v in (each.partition("=") for each in meant["set"])}
    return Form(values | {"key": meant["key"], "timezone": [meant["timezone"]]})


async def _show(visit: MemberVisit, job: Job, status: int = 200) -> Response:
    files = visit.service.store.home[FILES]
    file = await files.find_one({"_id": job["_id"]}, {"content": 0}) or {}
    result = await files.find_one({"_id": report_of(job["_id"])}, {"report": 0}) or {}
    type_, columns = job["meant"]["type"], job["columns"]
    is_whole = columns == [EVENT] and not type_
    fields = [] if is_whole else _fields(visit, type_)
    mapped = {visit.form[f"map:{place}"] for place in range(len(columns))}
    return visit.show(
        FOLDER + "upload.html",
        status,
        scripts=True,
        job=job,
        state=_state(visit, job),
        problem=visit.word(job["problem"] or ""),
        title=next((each["title"] for each in _types(visit) if each["type"] == type_), ""),
        is_running=job["state"] in ("waiting", "running"),
        is_kept=bool(file),
        is_whole=is_whole,
        columns=[(c, file.get("examples", {}).get(c, ""), _options(fields, c)) for c in columns],
        missing=[(name, words) for name, words, is_needed in fields if is_needed and name not in mapped],
        mistakes=result.get("mistakes", []),
    )


def _fields(visit: MemberVisit, type_: str) -> list[tuple[str, str, bool]]:
    """What a column may say: (name, words, is it needed)."""
    words = headings_of(type_, visit.language)
    return [
        (shown_name(name), words.get(name) or meaning(type_, name, visit.language), field.required)
        for name, field in fields_of(type_).items()
    ]


def _options(fields: list[tuple[str, str, bool]], column: str) -> list[tuple[str, str]]:
    """The fields for a column's choice; one of which the name is to be completed takes the column's."""
    named = [(name.replace("*", column) if name.endswith(".*") else name, words, need) for name, words, need in fields]
    return [
        (name, f"{'* ' if need else ''}{words}" + (f" ({name})" if words != name else ""))
        for name, words, need in named
    ]


@router.get(HOME + "/{id}/progress")
async def progress(visit: ByStaff, id: JobId) -> Response:
    """For the page's script: how far it is."""
    job = await _job(visit, id)
    return JSONResponse({name: job[name] for name in ("state", "rows", "done", "accepted", "refused")})


@router.get(HOME + "/{id}/refused.csv")
async def report(visit: ByStaff, id: JobId) -> Response:
    """The refused rows with their reasons, to be mended and uploaded."""
    job = await _job(visit, id)
    file = await visit.service.store.home[FILES].find_one({"_id": report_of(id)}, {"report": 1})
    if file is None or not file["report"]:
        raise Problem(404, Text("there is no such report (any more)"))
    name = quote(f"{job['name']}.refused.csv")
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
    return Response(file["report"].encode(), headers=headers, media_type="text/csv; charset=utf-8")


@router.post(HOME + "/{id}")
async def go_on(visit: ByStaff, id: JobId) -> Response:
    """Check the file, or publish it, with what the form says of its columns; or only show the form anew."""
    form, job = visit.form, await _job(visit, id)
    if not form.is_meant:
        return await _show(visit, job, 200 if form.is_draft else 403)
    if form["do"] == "forget":
        await jobs.forget(visit.service.store.home, id)
        return visit.go(HOME)
    try:
        refuse_overdrawn(visit.service, visit.member.caller)
        meant = _meant(visit, job)
        planned_by(job["columns"], meant)
    except Mistakes as wrong:
        _tell(visit, job, wrong)
        return await _show(visit, job, 422)
    except Problem as problem:
        visit.refuse(problem, otherwise="timezone")
        return await _show(visit, job, 422)
    except ValidationError:
        visit.wrong({"": Text("this is too long")})
        return await _show(visit, job, 422)
    said = {name: getattr(meant, name) for name in ("map", "set", "key", "timezone")}
    meaning = {"meant": {**job["meant"], **said}, "language": visit.language}
    await jobs.begin(visit.service, id, dry_run=meant.dry_run, **meaning)
    return visit.go(f"{HOME}/{id}")


def _meant(visit: MemberVisit, job: Job) -> Meant:
    """What the form says of the columns."""
    form, columns = visit.form, job["columns"]
    constants = {name.removeprefix("set:"): form[name] for name in form.values if name.startswith("set:")}
    mapped = {column: form[f"map:{place}"] for place, column in enumerate(columns)}
    return Meant.model_validate(
        {
            **{name: job["meant"][name] for name in ("type", "encoding")},
            "lang": visit.language,
            "map": [f"{column}={field}" for column, field in mapped.items() if field],
            "set": [f"{field}={v}" for field, v in constants.items() if v and field not in mapped.values()],
            "key": [column for column in form.all("key") if column in columns],
            "timezone": form["timezone"] or job["meant"]["timezone"],
            "dry_run": form["do"] != "publish",
        }
    )


def _tell(visit: MemberVisit, job: Job, wrong: Mistakes) -> None:
    """Say beside the columns and fields what does not do."""
    for mistake in wrong.mistakes:
        known = mistake.column in job["columns"]
        name = f"map:{job['columns'].index(mistake.column)}" if known else f"set:{mistake.field}"
        name = name if known or name in visit.form.values else ""
        visit.form.add_error(name, mistake.detail)
