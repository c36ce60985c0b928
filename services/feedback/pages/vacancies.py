"""The page on which the operator imports a file of vacancies, as `praktika demand import` does from without."""

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

from fastapi.responses import HTMLResponse, Response

from services.feedback.imports import KNOWN, Change, Doc, Import, event_id
from services.feedback.market_reads import regions_of_areas
from services.feedback.vacancy_files import (
    GUESSED,
    SEPARATOR,
    Pages,
    Reading,
    Row,
    Unmapped,
    misread,
    reading,
    rows_in,
    rows_of,
)
from shared.contract.events import EARLIEST, compose
from shared.files import sheets
from shared.files.tables import XLSX, Unreadable, table_of_sheet
from shared.http.auth import Caller
from shared.http.forms import Form, Upload
from shared.http.routing import Router
from shared.http.service import Service
from shared.http.visits import MemberVisit
from shared.pages.languages import N_, Text, in_language

from .market import ByOperator

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
AREAS = 20  # without a region, that are named


class Within:
    """The network from within: what this service knows, and its own way to the log, in the operator's name."""

    def __init__(self, service: Service, caller: Caller) -> None:
        self._service, self._caller = service, caller

    async def regions(self, portal: str) -> dict[str, str]:
        return await regions_of_areas(self._service.db, portal)

    async def known(self, ids: Sequence[str]) -> dict[str, Doc]:
        docs = self._service.db["vacancies"].find({"_id": {"$in": [*ids]}}, KNOWN)
        return {doc["_id"]: doc async for doc in docs}

    async def open_of(self, portal: str) -> AsyncIterator[Doc]:
        found = self._service.db["vacancies"].find({"portal": portal, "open": True}, {"observed_at": 1})
        async for doc in found:
            yield {"id": doc["_id"], "observed_at": doc["observed_at"]}

    async def publish(self, changes: Sequence[Change], at: datetime) -> list[str | None]:
        events = [
            compose(
                change.data,
                source=self._caller.source,
                kind=self._caller.kind,
                id=event_id(change, at),
                subject=change.id,
                key=change.id,
                time=at,
                member=self._caller.member or None,
            )
            for change in changes
        ]
        await self._service.publish(*events)
        return [None] * len(changes)


@router.get("/market/import")
async def import_page(visit: ByOperator) -> Response:
    """The form."""
    return _show(visit)


@router.post("/market/import")
async def import_file(visit: ByOperator) -> Response:
    """Import the file at once and show what became of it; what is wrong with the form stands beside its fields."""
    form = visit.form
    if not form.is_meant:
        return _show(visit, 200 if form.is_draft else 403)
    how, at = _asked(visit)
    file = form.file or Upload("", b"")
    if not file.content:
        form.add_error("file", visit.word(N_("choose a file with something in it")))
    if at is None or form.errors:
        return _show(visit, 422)
    lock: asyncio.Lock = visit.service.shared.setdefault("import", asyncio.Lock())
    async with lock:  # one file in memory is enough
        done = await _imported(visit, file, how, at)
    return _show(visit, 422 if form.errors else 200, done)


def _show(visit: MemberVisit, status: int = 200, done: Import | None = None) -> Response:
    settings = visit.service.settings
    return visit.show(
        "services/feedback/pages/import.html",
        status,
        done=done,
        areas=done.areas.most_common(AREAS) if done else [],
        warning=done and done.warning and in_language(done.warning, visit.language),
        problems=done.problems if done else [],
        fields=", ".join(GUESSED),
        most_mb=settings.batch_max_bytes // 2**20,
        most_rows=settings.upload_max_rows,
    )


def _asked(visit: MemberVisit) -> tuple[Reading, datetime | None]:
    """How the file is to be read, and when it was exported; what will not do stands on the form."""
    form = visit.form
    columns, regions = _pairs(visit, "columns"), _pairs(visit, "regions")
    for name, why in misread(form["portal"], columns, regions).items():
        form.add_error({"map": "columns", "region": "regions"}.get(name, name), why.into(visit.language))
    return reading(form["portal"], columns, regions, form["separator"] or SEPARATOR), _moment(visit)


def _pairs(visit: MemberVisit, name: str) -> dict[str, str]:
    """What stands before and behind the equals sign, line by line."""
    pairs = {}
    for line in filter(None, map(str.strip, visit.form[name].splitlines())):
        left, equals, right = (part.strip() for part in line.rpartition("="))
        if left and equals and right:
            pairs[left] = right
        else:
            words = Text("“{line}” is not of the form NAME=VALUE", {"line": line[:100]})
            visit.form.add_error(name, words.into(visit.language))
    return pairs


def _moment(visit: MemberVisit) -> datetime | None:
    now, typed = datetime.now(UTC), visit.form["at"]
    if not typed:
        return now
    try:
        at = datetime.fromisoformat(typed)
        at = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(visit.service.settings.time_zone))
    except ValueError:
        visit.form.add_error("at", visit.word(N_("is no time: 2026-06-15T09:00")))
        return None
    if not EARLIEST <= at <= now:
        words = N_("has not come yet") if at > now else N_("is too long ago")
        visit.form.add_error("at", visit.word(words))
        return None
    return at


async def _imported(visit: MemberVisit, file: Upload, how: Reading, at: datetime) -> Import | None:
    """Do it; None: the file cannot be read, which then stands on the form."""
    service, pages = visit.service, Pages()
    try:
        rows = await _rows(service, file, how, pages)
    except Unmapped as error:
        visit.form.add_error("columns", in_language(error.args[0], visit.language))
        return None
    except Unreadable as error:
        visit.form.add_error("file", error.why.text(visit.language))
        return None
    if len(rows) > service.settings.upload_max_rows:
        words = Text("has more than {n} rows: use the command praktika demand import", _most(service))
        visit.form.add_error("file", words.into(visit.language))
        return None
    await service.current("demand")
    done = Import(how, Within(service, visit.member.caller), at)
    await done.run(rows, pages, complete=bool(visit.form["complete"]))
    visit.form = Form()
    return done


def _most(service: Service) -> dict[str, object]:
    return {"n": service.settings.upload_max_rows}


async def _rows(service: Service, file: Upload, how: Reading, pages: Pages) -> list[Row]:
    """The rows of a file; that of a spreadsheet is unpacked in a process of its own."""
    name, most = file.name[-100:], service.settings.upload_max_rows
    if file.content.startswith(XLSX):
        found = table_of_sheet(await sheets.rows_of(file.content, service.settings), most)
        return list(rows_of(found, name, how))
    content = io.BytesIO(file.content)
    return await asyncio.to_thread(lambda: list(islice(rows_in(content, name, how, pages), most + 1)))
