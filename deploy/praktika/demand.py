"""praktika demand import: vacancies of a job portal become the demand of the network, over HTTP, as the operator."""

import asyncio
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import httpx
import typer

from services.partners.gateway.files.publish import AGAIN, Away, Ingress
from shared.contract.events import Data, VacancyClosed, VacancyObserved, derived_id, timestamp
from shared.http.problems import Problem
from shared.operator import console
from shared.operator.command import EXIT_CODES, application
from shared.operator.console import Failed, Json, Misused, moment, progress, say, show, show_json
from shared.settings import Settings

from .vacancy_files import (
    SEPARATOR,
    Pages,
    Reading,
    Row,
    Unfit,
    Unmapped,
    Unusable,
    Vacancy,
    files_in,
    reading,
    rows_in,
)

app = application("The labour market: import vacancies of job portals.")
BATCH = 500
LOOKED_UP = 250  # as feedback answers at once
SHOWN = 20  # refused rows
KEPT = 100  # of them in --json
WAIT_S = 60  # for feedback to show what was sent last
_PORTAL = re.compile("[A-Za-z0-9][A-Za-z0-9-]{0,29}")
COMPARED = tuple(VacancyObserved.model_fields)


@app.callback()
def main() -> None:
    """The labour market: import vacancies of job portals."""


@app.command("import", epilog=EXIT_CODES)
def import_(  # noqa: PLR0913, PLR0917
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV, XLSX, JSON of a portal's API, or a folder of such files.")
    ],
    portal: Annotated[str, typer.Option(metavar="NAME", help="Where the vacancies are from: hh. Keep it the same.")],
    map: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=FIELD",
            help="What a column is: id, title, area, skills, published, closed, enterprise. JSON's objects in objects "
            "are named by dots. Usual names in English and Russian need none.",
        ),
    ] = None,
    region: Annotated[
        list[str] | None, typer.Option(metavar="AREA=REGION", help="The network's region for an area: Москва=RU-MOW.")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="When the file was exported, if not when it was written: 2026-03-02T12:00."),
    ] = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="These are all of the portal: what is not among them is closed.")
    ] = False,
    separator: Annotated[str, typer.Option(metavar="CHARACTERS", help="What parts skills in a cell.")] = SEPARATOR,
    json: Json = False,
) -> None:
    """Import the vacancies of a job portal: new and changed ones are demand, closed ones no longer.

    Repeating is harmless. PRAKTIKA_PARTNERS_URL and PRAKTIKA_FEEDBACK_URL say where the network is,
    PRAKTIKA_CLIENT_SECRET is a secret of the operator's.
    """
    at = moment(on) if on else None

    async def work(settings: Settings) -> int:
        how = _reading(portal, map, region, separator)
        files = _files(file)
        async with market(settings) as network:
            imported = Import(how, network, at or _written(files), show=not json)
            try:
                await imported.run(files, complete=complete)
            except Unusable as error:
                raise Failed(str(error)) from None
            except Unmapped as error:
                raise Misused(str(error)) from None
            except Away as error:
                say(f"{error}\nThen: {AGAIN}.")
                return console.NO_ANSWER
        _report(imported, as_json=json)
        return console.DIFFERENT if imported.counts["refused"] or imported.warning else console.OK

    console.run(work, AGAIN)


def _reading(portal: str, map_: list[str] | None, region: list[str] | None, separator: str) -> Reading:
    if not _PORTAL.fullmatch(portal):
        raise Misused(f"--portal {portal}: take up to 30 Latin letters, digits and hyphens: hh")
    try:
        return reading(portal, _pairs(map_), _pairs(region), separator)
    except Unmapped as error:
        raise Misused(str(error)) from None


def _pairs(given: list[str] | None) -> dict[str, str]:
    pairs = {}
    for item in given or ():
        name, equals, value = item.rpartition("=")
        if not (name and equals and value):
            raise Misused(f"{item!r} is not of the form NAME=VALUE")
        pairs[name] = value
    return pairs


def _files(path: Path) -> list[Path]:
    if not (path.exists() and os.access(path, os.R_OK)):
        raise Misused(f"{path} cannot be read")
    if not (files := files_in(path)):
        raise Misused(f"there is no CSV, XLSX or JSON in {path}")
    return files


def _written(files: Iterable[Path]) -> datetime:
    """When the newest of the files was written: the same whenever they are imported."""
    newest = datetime.fromtimestamp(max(file.stat().st_mtime for file in files), UTC)
    return min(newest, datetime.now(UTC))


class Network:
    """Partners, which publishes, and feedback, which knows the vacancies."""

    def __init__(self, ingress: Ingress, feedback: httpx.AsyncClient) -> None:
        self.ingress, self._feedback = ingress, feedback

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        """What feedback answers.

        Raises:
            Failed: it refuses.
            Away: it does not answer.
        """

        async def ask() -> httpx.Response:
            token = {"Authorization": f"Bearer {await self.ingress.fresh_token()}"}
            return await self._feedback.get(path, params=params, headers=token)

        answer = await self.ingress.patiently(ask)
        body: dict[str, Any] = answer.json()
        if not answer.is_success:
            raise Failed(f"{self._feedback.base_url}{path} answers {answer.status_code}: {body.get('detail')}")
        return body

    async def everything(self, path: str, **params: Any) -> AsyncIterator[dict[str, Any]]:
        """All items of a list, page by page."""
        after: dict[str, str] = {}
        while True:
            page = await self.get(path, **params, **after)
            for item in page["items"]:
                yield item
            if page["next"] is None:
                return
            after = {"after": page["next"]}

    async def known(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        """The vacancies that feedback knows, by id."""
        parts = [ids[start : start + LOOKED_UP] for start in range(0, len(ids), LOOKED_UP)]
        found = await asyncio.gather(*map(self._known, parts))
        return {id: doc for part in found for id, doc in part.items()}

    async def _known(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        listed = self.everything("market/vacancies", ids=",".join(ids), limit=LOOKED_UP)
        return {doc["id"]: doc async for doc in listed}


@asynccontextmanager
async def market(settings: Settings) -> AsyncIterator[Network]:
    """The network that the environment names, as the operator."""
    urls = {name: os.environ.get(f"PRAKTIKA_{name.upper()}_URL", "") for name in ("partners", "feedback")}
    if missing := [name for name, url in urls.items() if not url]:
        raise Misused(f"set PRAKTIKA_{missing[0].upper()}_URL to the address of {missing[0]}")
    if not settings.client_secret.get_secret_value():
        raise Misused("set PRAKTIKA_CLIENT_SECRET to a secret of the operator's; `praktika operator` makes one")
    own = settings if settings.client_id else settings.model_copy(update={"client_id": "operator"})
    async with (
        httpx.AsyncClient(base_url=urls["partners"], timeout=60, trust_env=False) as partners,
        httpx.AsyncClient(base_url=urls["feedback"], timeout=60, trust_env=False) as feedback,
    ):
        yield Network(Ingress(partners, own), feedback)


class Change(NamedTuple):
    """What an import has to say of a vacancy, and what that is called in the counts."""

    place: str
    kind: str
    event: dict[str, Any]


@dataclass
class Import:
    """One import: what is in the files, compared with what is known, is published as far as it is different.

    Attributes:
        at: when the files were exported: the time of all events.
        seen: ids of the files; each counts once.
        warning: why nothing was closed although that was asked for.
    """

    how: Reading
    network: Network
    at: datetime
    show: bool
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[dict[str, str]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    warning: str = ""
    unmapped: int = 0
    _sent: list[str] = field(default_factory=list)
    _nameless: int = 0

    async def run(self, files: list[Path], *, complete: bool) -> None:
        pages = Pages()
        with progress("vacancies", None) as advance:
            rows = (row for file in files for row in rows_in(file, self.how, pages))
            while batch := list(islice(rows, BATCH)):
                await self._say([change async for change in self._changes(batch)])
                advance(len(batch))
        if complete:
            await self._close_others(pages)
        await self._applied()
        self.unmapped = (await self.network.get("market/skills", status="unmapped", limit=1))["total"]

    async def _changes(self, rows: list[Row]) -> AsyncIterator[Change]:
        found = [*self._vacancies(rows)]
        known = await self.network.known([vacancy.id for _, vacancy in found])
        for place, vacancy in found:
            kind = standing(vacancy, known.get(vacancy.id), timestamp(self.at))
            if kind == "unchanged":
                self.counts[kind] += 1
            else:
                data = vacancy.data or VacancyClosed(closed_on=self.at.date())
                yield Change(place, kind, event_of(vacancy.id, data, self.at))

    def _vacancies(self, rows: list[Row]) -> Iterator[tuple[str, Vacancy]]:
        """The vacancies that rows are, each id once; what is none is refused."""
        for row in rows:
            self.counts["read"] += 1
            try:
                vacancy = self.how.vacancy(row)
            except Unfit as error:
                self._refuse(row.place, str(error))
                self._note_id(row)
                continue
            if vacancy.id in self.seen:
                self.counts["repeated"] += 1
            else:
                self.seen.add(vacancy.id)
                yield row.place, vacancy

    def _note_id(self, row: Row) -> None:
        """A row that is refused is there, nevertheless: it must not be closed."""
        try:
            self.seen.add(self.how.id_of(row))
        except Unfit:
            self._nameless += 1

    async def _say(self, changes: list[Change]) -> None:
        if not changes:
            return
        problems = await self.network.ingress.judge([change.event for change in changes])
        accepted = []
        for change, problem in zip(changes, problems, strict=True):
            if problem:
                self._refuse(change.place, _reason(problem))
            else:
                self.counts[change.kind] += 1
                accepted.append(change.event["subject"])
        self._sent = accepted

    def _refuse(self, place: str, reason: str) -> None:
        self.counts["refused"] += 1
        if len(self.problems) < KEPT:
            self.problems.append({"place": place, "reason": reason})
        if self.show and self.counts["refused"] <= SHOWN + 1:
            show(f"{place}: {reason}" if self.counts["refused"] <= SHOWN else "…")

    async def _close_others(self, pages: Pages) -> None:
        """Close what is open and not in the files, unless these are not all."""
        if pages.missing:
            self.warning = f"nothing was closed: {pages.missing} of {pages.number} pages are missing"
        elif self._nameless:
            self.warning = f"nothing was closed: {self._nameless} rows do not say which vacancy they are"
        else:
            await self._close([id async for id in self._others()])

    async def _others(self) -> AsyncIterator[str]:
        now = timestamp(self.at)
        async for doc in self.network.everything("market/vacancies", portal=self.how.portal, open=True, limit=1_000):
            if doc["id"] not in self.seen and doc["observed_at"] < now:
                yield doc["id"]

    async def _close(self, ids: list[str]) -> None:
        data = VacancyClosed(closed_on=self.at.date())
        for start in range(0, len(ids), BATCH):
            part = ids[start : start + BATCH]
            await self._say([Change(id, "closed", event_of(id, data, self.at)) for id in part])

    async def _applied(self) -> None:
        """Wait until feedback shows what was sent last; the log has it in any case."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not await self._is_applied():
                    await asyncio.sleep(0.2)
        except TimeoutError:
            say("feedback does not show all of it yet: it will in a moment")

    async def _is_applied(self) -> bool:
        known, at = await self.network.known(self._sent), timestamp(self.at)
        return all(
            at in (known.get(id, {}).get("observed_at"), known.get(id, {}).get("closed_at")) for id in self._sent
        )


def standing(vacancy: Vacancy, known: dict[str, Any] | None, at: str) -> str:
    """What a file of the time *at* says of a vacancy that is not known: new, changed, closed; else unchanged."""
    if known is not None and max(known.get("observed_at") or "", known.get("closed_at") or "") > at:
        return "unchanged"  # something newer is known
    if vacancy.data is None:
        return "closed" if known and known["open"] else "unchanged"
    if known is None or not known.get("observed_at"):
        return "new"
    said = vacancy.data.model_dump(mode="json")
    return "unchanged" if known["open"] and all(known[name] == said[name] for name in COMPARED) else "changed"


def event_of(id: str, data: Data, at: datetime) -> dict[str, Any]:
    """The event that says *data* of a vacancy: the same again for the same content and time."""
    content = data.model_dump_json(exclude_none=True)
    return {
        "specversion": "1.0",
        "id": derived_id(data.short_type, id, timestamp(at), content),
        "source": "/organisations/operator",
        "type": f"praktika.{data.short_type}.v1",
        "subject": id,
        "time": at.isoformat(),
        "data": data.model_dump(mode="json", exclude_none=True),
    }


def _reason(problem: Problem) -> str:
    return "; ".join(f"{field}: {detail}" for field, detail in problem.errors) or problem.detail


COUNTED = ("read", "new", "changed", "closed", "unchanged", "repeated", "refused")


def _report(imported: Import, *, as_json: bool) -> None:
    counts = {name: imported.counts[name] for name in COUNTED} | {"unmapped": imported.unmapped}
    if as_json:
        about = {"portal": imported.how.portal, "at": timestamp(imported.at), "warning": imported.warning or None}
        show_json({**about, **counts, "problems": imported.problems})
    else:
        show(", ".join(f"{count} {name}" for name, count in counts.items() if name != "unmapped"))
    if imported.warning:
        say(imported.warning)
    say(f"{imported.unmapped} skills of open vacancies are not mapped yet: /market/mapping of feedback")
