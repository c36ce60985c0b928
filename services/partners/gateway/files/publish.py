"""praktika publish: a file's rows as events, over HTTP, from wherever the organisation's clerk or developer sits."""

import asyncio
import gzip
import json as jsons
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from hashlib import file_digest, sha256
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from pydantic_core import to_json

from shared.files.tables import ENCODINGS, EVENT, Row, Table, Unreadable, report_head, report_row, table
from shared.http.problems import Problem
from shared.http.spreadsheets import BOM
from shared.operator import console
from shared.operator.console import Failed, Json, Misused, progress, say, show, show_json
from shared.settings import Settings

from .cells import offset_of
from .mapping import Mistakes, Plan, events_of, explained, plan, publishable, shown_name
from .validate import checked

BATCH = 500
BATCH_BYTES = 4 * 2**20
PATIENCE_S = 120  # for a server that is away
LONGEST_WAIT_S = 600
RENEW_S = 60  # before a token ends
SHOWN = 20  # refused rows; the report has all
Judge = Callable[[list[dict[str, Any]]], Awaitable[list[Problem | None]]]
Taken = tuple[Row, dict[str, Any] | Mistakes]

UTF8 = "UTF-8 or cp1251, told by the content"
AGAIN = "repeat the command; it goes on where it was"


class Away(Exception):
    """The server does not answer."""


def command(  # noqa: PLR0913, PLR0917
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="CSV, XLSX (its first sheet), or JSON lines (events, or rows as objects)."),
    ],
    type: Annotated[
        str | None, typer.Option(metavar="TYPE", help="Of the events, for example praktika.internship.completed.v1.")
    ] = None,
    map: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=FIELD",
            help="What a column is: subject, learner, time, id, or a field of the data. Columns that are called like "
            "a field (in English or Russian) need none; `COLUMN=` leaves one out.",
        ),
    ] = None,
    set: Annotated[list[str] | None, typer.Option(metavar="FIELD=VALUE", help="The same value for all rows.")] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="COLUMN,...", help="What tells rows apart; else subject, learner and time do."),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(metavar="OFFSET", help="Of times without one, for example +07:00. A day without a time is noon."),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"Of text: {', '.join(ENCODINGS)}; else {UTF8}.")
    ] = None,
    url: Annotated[str, typer.Option(metavar="URL", help="Of partners.")] = "http://127.0.0.1:8101",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, offline; publish nothing.")] = False,
    json: Json = False,
) -> None:
    """Publish the rows of a file as events.

    PRAKTIKA_CLIENT_ID and PRAKTIKA_CLIENT_SECRET hold the organisation's credential. Repeating is harmless: the same
    row is the same event. Refused rows are in FILE.refused.csv, ready to be mended and published.
    """
    asked = _Asked(file, type, pairs(map, "COLUMN=FIELD", last=True), pairs(set), _keys(key), timezone, encoding, url)

    async def work(settings: Settings) -> int:
        return await _publish(asked, settings, dry_run, json)

    console.run(work, AGAIN)


@dataclass(frozen=True)
class _Asked:
    file: Path
    type: str | None
    map: dict[str, str]
    set: dict[str, str]
    key: list[str]
    timezone: str | None
    encoding: str | None
    url: str


def pairs(given: list[str] | None, form: str = "FIELD=VALUE", *, last: bool = False) -> dict[str, str]:
    """What stands before and behind the equals sign (of several the last: a column's name may hold some).

    Args:
        form: what is to be given, for who gives something else.
    """
    pairs = {}
    for item in given or []:
        name, equals, value = item.rpartition("=") if last else item.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"{item!r} is not of the form {form}")
        pairs[name] = value
    return pairs


def _keys(given: str | None) -> list[str]:
    return [column.strip() for column in (given or "").split(",") if column.strip()]


async def _publish(asked: _Asked, settings: Settings, dry_run: bool, as_json: bool) -> int:
    if not settings.client_id:
        raise Misused("set PRAKTIKA_CLIENT_ID to your organisation's id, and PRAKTIKA_CLIENT_SECRET to its secret")
    if not (asked.file.is_file() and os.access(asked.file, os.R_OK)):
        raise Misused(f"{asked.file} cannot be read")
    with asked.file.open("rb") as stream:
        try:
            found = table(stream, _encoding(asked.encoding))
            planned = _planned(found, asked)
        except Unreadable as error:
            raise Failed(f"{asked.file}: {error}") from None
        except Mistakes as error:
            columns = ", ".join(found.columns)
            raise Misused("\n".join([*map(str, error.mistakes), f"The columns are: {columns}"])) from None
        _say_plan(found, planned)
        judges = _offline(settings) if dry_run else _online(asked.url, settings)
        try:
            async with judges as judge:
                journal = Journal(asked.file, _digest(stream, asked, settings), dry_run)
                await _send(found, planned, judge, journal, settings.client_id, show=not as_json)
            return _end(found, planned, journal, dry_run, as_json)
        except Away as error:
            say(f"{error}\nIs Praktika there, at {asked.url} (--url)? Then: {AGAIN}.")
            return console.NO_ANSWER
        except OSError as error:
            raise Failed(f"what is done of the file is noted beside it, and that failed: {error}") from None


def _encoding(given: str | None) -> str | None:
    if given and given.lower() not in ENCODINGS:
        raise Misused(f"--encoding {given}: must be one of {', '.join(ENCODINGS)}")
    return given and given.lower()


def _planned(found: Table, asked: _Asked) -> Plan | None:
    """None: the file's lines are events already."""
    if found.columns == [EVENT] and not asked.type:
        return None
    try:
        offset = offset_of(asked.timezone) if asked.timezone else None
    except ValueError as error:
        raise Misused(f"--timezone: {error}") from None
    type_ = publishable(asked.type)
    return plan(found.columns, type_, asked.map, constants=asked.set, key=asked.key, offset=offset)


def _say_plan(found: Table, planned: Plan | None) -> None:
    read = f"read as {found.encoding}; if letters look wrong, name another with --encoding"
    say(f"{found.rows} rows ({found.kind}{f', {read}' if found.encoding not in ('', 'utf-8') else ''})")
    if planned:
        used = [f"{c} → {shown_name(f)}" if c != f else c for c, f in planned.columns.items()]
        unused = ", ".join(c for c in found.columns if c not in planned.columns)
        say(f"columns: {', '.join(used)}{f'; not used: {unused}' if unused else ''}")


def _digest(stream: Any, asked: _Asked, settings: Settings) -> str:
    """Of the file and all that decides what is sent where."""
    stream.seek(0)
    content = file_digest(stream, "sha256").hexdigest()
    return sha256(jsons.dumps([content, {**asdict(asked), "file": ""}, settings.client_id]).encode()).hexdigest()


async def _send(  # noqa: PLR0913
    found: Table, planned: Plan | None, judge: Judge, journal: "Journal", organisation: str, *, show: bool
) -> None:
    rows = islice(found.read(), journal.rows, None)
    with progress("rows", found.rows) as advance:
        advance(journal.rows)
        for batch in _batches(events_of(rows, planned, organisation)):
            events = [event for _, event in batch if not isinstance(event, Mistakes)]
            problems = iter(await judge(events) if events else [])
            refused = []
            for row, event in batch:
                wrong = event if isinstance(event, Mistakes) else None
                if wrong is None and (problem := next(problems)):
                    wrong = Mistakes(explained(problem, event, planned), problem.status)
                if wrong:
                    refused.append((row, wrong))
                    _show_refused(journal, len(refused), row, wrong, show)
            journal.add(found, len(batch), refused)
            advance(len(batch))


def _batches(taken: Iterator[Taken]) -> Iterator[list[Taken]]:
    batch: list[Taken] = []
    size = 0
    for row, event in taken:
        length = 0 if isinstance(event, Mistakes) else len(to_json(event))
        if len(batch) == BATCH or (batch and size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((row, event))
        size += length
    if batch:
        yield batch


def _show_refused(journal: "Journal", more: int, row: Row, wrong: Mistakes, shown: bool) -> None:
    if shown and journal.refused + more <= SHOWN:
        for mistake in wrong.mistakes:
            show(f"row {row.number}: {mistake}")
    elif shown and journal.refused + more == SHOWN + 1:
        show("…")


def _end(found: Table, planned: Plan | None, journal: "Journal", dry_run: bool, as_json: bool) -> int:
    report = journal.finish()
    if as_json:
        show_json(
            {
                "dry_run": dry_run,
                "rows": found.rows,
                "accepted": journal.accepted,
                "refused": journal.refused,
                "report": report and str(report),
                "columns": dict(planned.columns) if planned else {},
                "problems": journal.problems,
            }
        )
    would = "would be " if dry_run else ""
    refused = f"; {journal.refused} {would}refused, see {report}" if report else ""
    say(f"{journal.accepted} of {found.rows} rows {would}accepted{refused}")
    return console.DIFFERENT if report else console.OK


# beside the file


class Journal:
    """What is done of a file, kept beside it after each batch, and the report of refused rows so far.

    It only saves time: whatever is sent again is a duplicate. With another file or other options it begins anew.
    """

    def __init__(self, file: Path, digest: str, dry_run: bool) -> None:
        self._report = file.with_name(f"{file.name}.refused.csv")
        self._draft = file.with_name(f"{file.name}.refused.csv.part")
        self._state = None if dry_run else file.with_name(f"{file.name}.praktika.json")
        self._digest = digest
        self.rows = self.accepted = self.refused = size = 0
        self.problems: list[dict[str, Any]] = []
        try:
            kept = jsons.loads(self._state.read_bytes()) if self._state else {}
            if kept.get("digest") == digest and self._draft.stat().st_size >= int(kept["report_bytes"]):
                self.rows, self.accepted, self.refused = (int(kept[n]) for n in ("rows", "accepted", "refused"))
                size = int(kept["report_bytes"])
                say(f"going on behind the first {self.rows} rows, which were sent before")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass  # nothing was kept, or nothing that can be used
        with self._draft.open("ab") as draft:
            draft.truncate(size)

    def add(self, found: Table, rows: int, refused: list[tuple[Row, Mistakes]]) -> None:
        with self._draft.open("ab") as draft:
            if not draft.tell():
                draft.write((BOM + report_head(found)).encode())
            for row, wrong in refused:
                draft.write(_reported(found, row, wrong).encode())
                self._keep(row, wrong)
            draft.flush()
            os.fsync(draft.fileno())
            size = draft.tell()
        self.rows += rows
        self.refused += len(refused)
        self.accepted += rows - len(refused)
        if self._state:
            kept = {"digest": self._digest, "rows": self.rows, "accepted": self.accepted, "refused": self.refused}
            draft_state = self._state.with_suffix(".new")
            draft_state.write_text(jsons.dumps({**kept, "report_bytes": size}))
            draft_state.replace(self._state)

    def _keep(self, row: Row, wrong: Mistakes) -> None:
        for mistake in wrong.mistakes:
            if len(self.problems) < 100:
                self.problems.append({"row": row.number, "status": wrong.status, **mistake._asdict()})

    def finish(self) -> Path | None:
        """Put the report in its place; None: no row was refused, and there is none."""
        if self.refused:
            self._draft.replace(self._report)
        else:
            self._draft.unlink()
            self._report.unlink(missing_ok=True)
        if self._state:
            self._state.unlink(missing_ok=True)
        return self._report if self.refused else None


def _reported(found: Table, row: Row, wrong: Mistakes) -> str:
    columns = dict.fromkeys(mistake.column for mistake in wrong.mistakes if mistake.column)
    reasons = "; ".join(map(str, wrong.mistakes))
    return report_row(found, row, wrong.status, ", ".join(columns), reasons)


# what the ingress says


@asynccontextmanager
async def _offline(settings: Settings) -> AsyncIterator[Judge]:
    async def judge(events: list[dict[str, Any]]) -> list[Problem | None]:
        return [_problem_of(event, settings) for event in events]

    yield judge


def _problem_of(event: dict[str, Any], settings: Settings) -> Problem | None:
    try:
        checked(event, settings)
    except Problem as problem:
        return problem
    return None


@asynccontextmanager
async def _online(url: str, settings: Settings) -> AsyncIterator[Judge]:
    if not settings.client_secret.get_secret_value():
        raise Misused("set PRAKTIKA_CLIENT_SECRET to your organisation's secret")
    try:
        client = httpx.AsyncClient(base_url=url, timeout=60)
    except (httpx.InvalidURL, ValueError):
        raise Misused(f"--url {url} is no address") from None
    async with client:
        yield Ingress(client, settings).judge


class Ingress:
    """`POST /events` of a running Praktika, with a token that is kept fresh."""

    def __init__(self, client: httpx.AsyncClient, settings: Settings) -> None:
        self._client, self._settings = client, settings
        self._token, self._until = "", 0.0
        self._known = False

    async def judge(self, events: list[dict[str, Any]]) -> list[Problem | None]:
        """Publish events; of each what is wrong with it, if anything."""
        response = await self._post([to_json(event) for event in events])
        if response.status_code == 413 and len(events) > 1:  # the operator may have set lower limits
            middle = len(events) // 2
            return [*await self.judge(events[:middle]), *await self.judge(events[middle:])]
        answer = _content(response)
        if response.status_code in (202, 207, 422) and len(answer.get("items", ())) == len(events):
            return [_answered(item) for item in answer["items"]]
        if response.status_code == 413:
            return [Problem(413, str(answer.get("detail", "the event is too large")))]
        raise Failed(f"{self._client.base_url} answers {response.status_code}: {answer.get('detail', 'no reason')}")

    async def _post(self, events: list[bytes]) -> httpx.Response:
        body = gzip.compress(b"[" + b",".join(events) + b"]", 6, mtime=0)
        headers = {"Content-Type": "application/cloudevents-batch+json", "Content-Encoding": "gzip"}

        async def post() -> httpx.Response:
            token = {"Authorization": f"Bearer {await self.fresh_token()}"}
            return await self._client.post("events", content=body, headers=headers | token)

        response = await self.patiently(post)
        if response.status_code == 401:  # ended early, for example by a new signing key
            self._until = 0
            response = await self.patiently(post)
        return response

    async def fresh_token(self) -> str:
        if time.monotonic() > self._until:
            own = self._settings
            form = {
                "grant_type": "client_credentials",
                "client_id": own.client_id,
                "client_secret": own.client_secret.get_secret_value(),
            }
            response = await self.patiently(lambda: self._client.post("token", data=form))
            answer = _content(response)
            if response.status_code != 200 or "access_token" not in answer:
                reason = answer.get("error_description") or answer.get("detail") or f"status {response.status_code}"
                raise Failed(f"no token for {own.client_id}: {reason}")
            self._token = str(answer["access_token"])
            self._until = time.monotonic() + max(1, int(answer.get("expires_in", 0)) - RENEW_S)
        return self._token

    async def patiently(self, ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """Ask until there is an answer: who is to wait waits, and a server that was there may be away for a while."""
        deadline, pause = time.monotonic() + PATIENCE_S, 0.25
        while True:
            try:
                response = await ask()
                self._known = True
                if response.status_code not in (429, 502, 503, 504):
                    return response
                trouble, wait = f"status {response.status_code}", _retry_after(response) or pause
            except httpx.TransportError as error:
                trouble, wait = f"{type(error).__name__}: {error}"[:300], pause
            if trouble == "status 429":
                deadline += wait
            if not self._known or time.monotonic() + wait > deadline:
                raise Away(f"{self._client.base_url} does not answer: {trouble}")
            if wait > 5:
                say(f"{trouble}: waiting {wait:.0f} s")
            await asyncio.sleep(wait * random.uniform(1, 1.1))  # noqa: S311
            pause = min(20, pause * 2)


def _retry_after(response: httpx.Response) -> float:
    given = response.headers.get("retry-after", "")
    return min(LONGEST_WAIT_S, int(given)) if given.isdecimal() and len(given) < 9 else 0


def _content(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else {}


def _answered(item: dict[str, Any]) -> Problem | None:
    if item["status"] == 202:
        return None
    return Problem.of({**item.get("problem", {}), "status": item["status"]})
