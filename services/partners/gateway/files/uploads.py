"""The page on which people upload a file, and what it asks: rows, rules and the way in are those of all events."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timezone
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field
from pydantic_core import to_json

from services.partners.gateway.credentials import Active
from services.partners.gateway.ingress.http import IngressMemory, Memory, admitted, read_body, refuse_overdrawn
from services.partners.gateway.ingress.http_binding import Mode
from services.partners.gateway.ingress.validation import count_refused, rejection, validated
from services.partners.gateway.quotas import quotas_of
from shared.contract.events import DATA, PARTNERS_OR_OPERATOR
from shared.files.sheets import rows_of
from shared.files.tables import (
    EVENT,
    MOST_COLUMNS,
    XLSX,
    Record,
    Row,
    Table,
    Unreadable,
    Why,
    report_head,
    report_row,
    table,
    table_of_sheet,
)
from shared.http import spreadsheets
from shared.http.auth import Caller
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Running, Service
from shared.log.producer import NotPublished
from shared.pages.chosen import Chosen
from shared.pages.languages import Language, translated
from shared.pages.pages import page, static
from shared.processing import mongo
from shared.settings import Settings

from .cells import offset_of
from .mapping import (
    ROWS,
    Mistakes,
    Plan,
    events_of,
    explained,
    fields_of,
    meaning,
    plan,
    publishable,
    shown_name,
    suggested,
)
from .upload.words import words

router = Router(tags=["upload"])
BATCH = 500
EXAMPLE = 100  # characters of a cell
SCRIPT = Path(__file__).parent / "upload/upload.js"
FILE = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string"}}}}}
LINES: dict[int | str, dict[str, Any]] = {200: {"content": {"application/x-ndjson": {"schema": {"type": "object"}}}}}
WORKBOOK: dict[int | str, dict[str, Any]] = {200: {"content": {spreadsheets.XLSX: {"schema": {"type": "string"}}}}}
READING = asyncio.Semaphore(4)  # files at a time: each may take some hundred MB
Name = Annotated[str, Field(max_length=1_000)]


@router.get("/upload", response_class=HTMLResponse)
async def upload_page(request: Request, language: Chosen) -> Response:
    """Where people upload a file and see which rows are accepted, in English or Russian."""
    every = words()
    template = "services/partners/gateway/files/upload/upload.html"
    return page(request, template, language, scripts=True, words=every[language], all_words=every)


@router.get("/upload/upload.js", include_in_schema=False)
async def upload_script() -> Response:
    return static(SCRIPT)


@router.get("/upload/types", response_class=JSONResponse)
async def list_upload_types(language: Chosen) -> list[dict[str, Any]]:
    """The types that organisations publish, with the fields that a column may be mapped to."""
    return types_in(language)


@router.get("/upload/template", response_class=Response, responses=WORKBOOK)
async def read_template(type: str, language: Chosen) -> Response:
    """A workbook (XLSX) to fill in for a type: headings that are recognised, an example, drop-downs."""
    from .template import template  # megabytes of memory, for few requests

    try:
        content = await asyncio.to_thread(template, publishable(type), language)
    except Mistakes as error:
        raise Problem(404, str(error)) from None
    name = f"{DATA[type].short_type}-{language}.xlsx"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-cache"}
    return Response(content, headers=headers, media_type=spreadsheets.XLSX)


@cache
def types_in(language: Language) -> list[dict[str, Any]]:
    return [
        {
            "type": type_,
            "title": _title(type_, language),
            "by": [each for each in DATA[type_].by if each in PARTNERS_OR_OPERATOR],
            "fields": [
                {"name": shown_name(name), "title": meaning(type_, name, language), "required": each.required}
                for name, each in fields_of(type_).items()
            ],
        }
        for type_ in ROWS
    ]


def _title(type_: str, language: Language) -> str:
    return translated(language, DATA[type_].__doc__ or "").partition("\n")[0]


@asynccontextmanager
async def reading(service: Service, organisation: str) -> AsyncIterator[None]:
    """Read a file: of each organisation one at a time, so that nobody's files hold up all others'.

    Raises:
        Problem: 429, one of the organisation's is being read.
    """
    busy: set[str] = service.shared.setdefault("reading", set())
    if organisation in busy:
        detail = f"a file of {organisation} is being read; send the next one when it is done"
        raise Problem(429, detail, headers={"Retry-After": "5"})
    busy.add(organisation)
    try:
        async with READING:
            yield
    finally:
        busy.discard(organisation)


class Asked(BaseModel):
    """What is said of a file beside it."""

    type: str | None = Field(None, max_length=100, description="Of the events; not needed if the lines are events.")
    encoding: Literal["utf-8", "cp1251", "utf-16", "koi8-r", "cp866"] | None = Field(
        None, description="Of text; else told by it."
    )
    language: Language = Field("en", alias="lang")


class Meant(Asked):
    """What is said of its rows, too."""

    map: list[Name] = Field([], max_length=MOST_COLUMNS, description="COLUMN=field; other columns are not used.")
    set: list[Name] = Field([], max_length=MOST_COLUMNS, description="FIELD=value, the same for all rows.")
    key: list[Name] = Field([], max_length=MOST_COLUMNS, description="Columns that tell rows apart.")
    timezone: str | None = Field(None, max_length=10, description="Of times without one: +07:00.")
    dry_run: bool = Field(False, description="Only check; publish nothing.")


@router.post("/upload/columns", openapi_extra=FILE)
async def read_columns(
    request: Request, service: Running, caller: Active, asked: Annotated[Asked, Query()]
) -> dict[str, Any]:
    """The columns of a file (CSV, XLSX, JSON lines), its first row, and what the columns seem to mean."""
    refuse_overdrawn(service, caller)
    return await look_into(await read_body(request), service, caller, asked)


async def look_into(body: bytes, service: Service, caller: Caller, asked: Asked) -> dict[str, Any]:
    """What `POST /upload/columns` answers of a file.

    Raises:
        Problem: it cannot be read.
    """
    async with reading(service, caller.organisation):
        rows = await _sheet(body, asked, service.settings)
        found = await asyncio.to_thread(_table, body, rows, asked, service.settings)
        first = await asyncio.to_thread(lambda: next(found.read()))
    return {
        "kind": found.kind,
        "encoding": found.encoding,
        "rows": found.rows,
        "columns": [{"name": column, "example": _example(first.cells.get(column, ""))} for column in found.columns],
        "suggested": suggested_names(found, asked.type),
    }


def suggested_names(found: Table, type_: str | None) -> dict[str, str]:
    return {c: shown_name(f) for c, f in suggested(found.columns, publishable(type_)).items()} if type_ else {}


def _example(cell: Any) -> str:
    return (cell if isinstance(cell, str) else to_json(cell).decode())[:EXAMPLE]


@router.post("/upload/rows", response_class=StreamingResponse, responses=LINES, openapi_extra=FILE)
async def upload_rows(
    request: Request,
    service: Running,
    caller: Active,
    memory: IngressMemory,
    meant: Annotated[Meant, Query()],
) -> StreamingResponse:
    """Publish the rows of a file as events; the same row is the same event, so repeating is harmless.

    The answer comes in lines of JSON: first how many `rows` there are and the head of a report (CSV), then after each
    batch how many are `done` and `accepted`, and the `refused` rows, each with its `mistakes` and its `line` of the
    report. If Kafka is away half-way, the last line has the `problem`: send the file again.
    """
    refuse_overdrawn(service, caller)
    body = None
    try:
        body = await read_body(request)
        answers = await published(body, service, caller, memory, meant)
    except Problem as problem:
        if not meant.dry_run:
            await service.publish_records([rejection(caller, request.headers, body, problem)])
            count_refused(problem.status)
        raise
    return StreamingResponse(_lines(answers), media_type="application/x-ndjson")


async def published(
    body: bytes, service: Service, caller: Caller, memory: Memory, meant: Meant
) -> AsyncIterator[dict[str, Any]]:
    """Publish the rows of a file, or only check them; what `POST /upload/rows` answers, line by line.

    Raises:
        Problem: it cannot be read, or its columns make no event.
    """
    async with reading(service, caller.organisation):
        rows = await _sheet(body, meant, service.settings)
        found, taken = await asyncio.to_thread(_taken, body, rows, meant, caller.organisation, service.settings)
    quotas_of(service).charge(caller.organisation, found.rows - 1, len(body))
    return _Upload(found, taken[0], service, caller, memory, meant.dry_run).answers(taken[1])


async def _lines(answers: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    async for answer in answers:
        yield to_json(answer) + b"\n"


Rows = list[tuple[int, Record]] | None


async def _sheet(body: bytes, asked: Asked, settings: Settings) -> Rows:
    """The rows of an XLSX file; None: it is none."""
    try:
        return await rows_of(body, settings) if body.startswith(XLSX) else None
    except Unreadable as error:
        raise Problem(422, error.why.text(asked.language), [("body", error.why.text(asked.language))]) from None


def _table(body: bytes, rows: Rows, asked: Asked, settings: Settings) -> Table:
    try:
        if rows is not None:
            return table_of_sheet(rows, settings.upload_max_rows)
        return table(io.BytesIO(body), asked.encoding, settings.upload_max_rows)
    except Unreadable as error:
        raise Problem(422, error.why.text(asked.language), [("body", error.why.text(asked.language))]) from None


Taken = list[tuple[Row, dict[str, Any] | Mistakes]]


def _taken(
    body: bytes, rows: Rows, meant: Meant, organisation: str, settings: Settings
) -> tuple[Table, tuple[Plan | None, Taken]]:
    """The table, what its columns mean, and its rows as events, still to be judged."""
    found = _table(body, rows, meant, settings)
    try:
        planned = planned_by(found.columns, meant)
    except Mistakes as error:
        errors = [(mistake.column or mistake.field, mistake.detail) for mistake in error.mistakes]
        raise Problem(422, "the columns make no event", errors) from None
    return found, (planned, list(events_of(found.read(), planned, organisation)))


def planned_by(columns: list[str], meant: Meant) -> Plan | None:
    """What the columns mean; None: each line is an event.

    Raises:
        Mistakes: they make none.
    """
    if columns == [EVENT] and not meant.type:
        return None
    mapped = _pairs(meant.map)
    return plan(
        columns,
        publishable(meant.type),
        {column: mapped.get(column, "") for column in [*columns, *mapped]},  # a person has looked at the columns
        constants=_pairs(meant.set, first=True),
        key=meant.key,
        offset=_offset(meant),
        language=meant.language,
    )


def _pairs(given: list[str], *, first: bool = False) -> dict[str, str]:
    """What stands before and behind the equals sign; a column's name may hold some."""
    parts = (item.partition("=") if first else item.rpartition("=") for item in given)
    return {name: value for name, _, value in parts if name}


def _offset(meant: Meant) -> timezone | None:
    try:
        return offset_of(meant.timezone) if meant.timezone else None
    except ValueError:
        why = Why("no_offset", (meant.timezone,)).text(meant.language)
        raise Problem(422, why, [("timezone", why)]) from None


@dataclass
class _Upload:
    """The rows of one file on their way."""

    table: Table
    plan: Plan | None
    service: Service
    caller: Caller
    memory: Memory
    dry_run: bool

    async def answers(self, taken: Taken) -> AsyncIterator[dict[str, Any]]:
        yield {"rows": self.table.rows, "report": spreadsheets.BOM + report_head(self.table)}
        rows, done, accepted = iter(taken), 0, 0
        try:
            while batch := list(islice(rows, BATCH)):
                refused = await self._batch(batch)
                done, accepted = done + len(batch), accepted + len(batch) - len(refused)
                yield {"done": done, "accepted": accepted, "refused": refused}
        except Problem as problem:
            yield {"problem": problem.body()}
        except (NotPublished, mongo.DatabaseError):
            detail = "Kafka or MongoDB does not answer; some rows may have been taken: send the file again"
            yield {"problem": Problem(503, detail).body()}

    async def _batch(self, batch: Taken) -> list[dict[str, Any]]:
        sent = [event for _, event in batch if not isinstance(event, Mistakes)]
        outcomes = iter(await self._judged(sent))
        if not self.dry_run:
            await self._record([(row, wrong) for row, wrong in batch if isinstance(wrong, Mistakes)])
        refused = []
        for row, event in batch:
            wrong = event if isinstance(event, Mistakes) else None
            if wrong is None and isinstance(problem := next(outcomes), Problem):
                wrong = Mistakes(explained(problem, event, self.plan), problem.status)
            if wrong:
                refused.append(self._refused(row, wrong))
        return refused

    async def _judged(self, sent: list[dict[str, Any]]) -> list[Any]:
        if self.dry_run:
            return (await validated(sent, self.service, self.caller, self.memory.recent))[0]
        return await admitted(sent, {"content-type": Mode.structured}, self.service, self.caller, self.memory.recent)

    async def _record(self, unread: list[tuple[Row, Mistakes]]) -> None:
        """Tell `rejected` of the rows that are no events."""
        records = []
        for row, wrong in unread:
            errors = [(mistake.column or mistake.field, mistake.detail) for mistake in wrong.mistakes]
            problem = Problem(wrong.status, f"row {row.number} is no event", errors, more={"row": row.number})
            records.append(rejection(self.caller, {"content-type": Mode.binary}, to_json(row.cells), problem))
            count_refused(wrong.status)
        await self.service.publish_records(records)

    def _refused(self, row: Row, wrong: Mistakes) -> dict[str, Any]:
        columns = ", ".join(dict.fromkeys(mistake.column for mistake in wrong.mistakes if mistake.column))
        line = report_row(self.table, row, wrong.status, columns, "; ".join(map(str, wrong.mistakes)))
        mistakes = [mistake._asdict() for mistake in wrong.mistakes]
        return {"row": row.number, "status": wrong.status, "mistakes": mistakes, "line": line}
