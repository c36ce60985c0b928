"""praktika demand import: vacancies of a job portal become the demand of the network, over HTTP, as the operator."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from services.feedback.imports import Change, Doc, Import, event_id
from services.feedback.vacancy_files import (
    SEPARATOR,
    Pages,
    Reading,
    Row,
    Unmapped,
    files_in,
    misread,
    reading,
    rows_in,
)
from services.partners.gateway.files.publish import AGAIN, Away, pairs
from shared.contract.events import timestamp
from shared.files.tables import Unreadable
from shared.http.problems import Problem
from shared.operator import console
from shared.operator.command import EXIT_CODES, application
from shared.operator.console import Failed, Json, Misused, moment, progress, say, show, show_json
from shared.settings import Settings

from .over_http import OverHttp, as_operator

app = application("The labour market: import vacancies of job portals.")
LOOKED_UP = 250  # vacancies, as feedback answers at once
SHOWN = 20  # refused rows


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
    if at and at > datetime.now(UTC):
        raise typer.BadParameter("this moment has not come yet", param_hint="--on")
    fields, regions = pairs(map, "COLUMN=FIELD", last=True), pairs(region, "AREA=REGION", last=True)
    if nowhere := [area for area, of in regions.items() if not of]:
        raise typer.BadParameter(f"which region is {nowhere[0]}? AREA=REGION")

    async def work(settings: Settings) -> int:
        how = _reading(portal, fields, regions, separator)
        files = _files(file)
        async with market(settings) as network:
            imported = Import(how, network, at or _written(files), _refused(shown=not json))
            try:
                await _import(imported, files, complete=complete)
            except Unmapped as error:
                raise Misused(f"{error} (--map)") from None
            except Away as error:
                say(f"{error}\nThen: {AGAIN}.")
                return console.NO_ANSWER
            unmapped = (await network.get("market/skills", status="unmapped", limit=1))["total"]
        _report(imported, unmapped, as_json=json)
        return console.DIFFERENT if imported.counts["refused"] or imported.warning else console.OK

    console.run(work, AGAIN)


async def _import(imported: Import, files: list[Path], *, complete: bool) -> None:
    pages = Pages()
    with progress("vacancies", None) as advance:
        await imported.run(_rows(files, imported.how, pages), pages, complete=complete, advance=advance)


def _rows(files: list[Path], how: Reading, pages: Pages) -> Iterator[Row]:
    for file in files:
        with file.open("rb") as stream:
            try:
                yield from rows_in(stream, file.name, how, pages)
            except Unreadable as error:
                raise Failed(f"{file.name}: {error}") from None


def _refused(*, shown: bool) -> Callable[[str, str], None]:
    """What shows the first refused rows."""
    count = 0

    def tell(place: str, reason: str) -> None:
        nonlocal count
        count += 1
        if shown and count <= SHOWN + 1:
            show(f"{place}: {reason}" if count <= SHOWN else "…")

    return tell


def _reading(portal: str, fields: dict[str, str], regions: dict[str, str], separator: str) -> Reading:
    if wrong := misread(portal, fields, regions):
        raise Misused("\n".join(f"--{name}: {why}" for name, why in wrong.items()))
    return reading(portal, fields, regions, separator)


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


class Market(OverHttp):
    """Feedback, which knows the vacancies, and partners, which publishes."""

    async def regions(self, portal: str) -> dict[str, str]:
        """The region that each area of a portal was given last."""
        return {doc["area"]: doc["region"] for doc in (await self.get("market/areas", portal=portal))["items"]}

    async def known(self, ids: Sequence[str]) -> dict[str, Doc]:
        """The vacancies that feedback knows, by id."""
        parts = [ids[start : start + LOOKED_UP] for start in range(0, len(ids), LOOKED_UP)]
        found = await asyncio.gather(*map(self._known, parts))
        return {id: doc for part in found for id, doc in part.items()}

    async def _known(self, ids: Sequence[str]) -> dict[str, Doc]:
        listed = self.everything("market/observations", ids=",".join(ids), limit=LOOKED_UP)
        return {doc["id"]: doc async for doc in listed}

    def open_of(self, portal: str) -> AsyncIterator[Doc]:
        """The open vacancies of a portal, page by page."""
        return self.everything("market/observations", portal=portal, open=True, limit=1_000)

    async def publish(self, changes: Sequence[Change], at: datetime) -> list[str | None]:
        """Publish changes through the ingress; of each why it was refused, if it was."""
        problems = await self.ingress.judge([event_of(change, at) for change in changes])
        return [_reason(problem) if problem else None for problem in problems]


@asynccontextmanager
async def market(settings: Settings) -> AsyncIterator[Market]:
    """The network that the environment names, as the operator."""
    async with as_operator(settings, "feedback", Market) as network:
        yield network


def event_of(change: Change, at: datetime) -> dict[str, Any]:
    """The event that says a change, as the operator sends it."""
    return {
        "specversion": "1.0",
        "id": event_id(change, at),
        "source": "/organisations/operator",
        "type": f"praktika.{change.data.short_type}.v1",
        "subject": change.id,
        "time": at.isoformat(),
        "data": change.data.model_dump(mode="json", exclude_none=True),
    }


def _reason(problem: Problem) -> str:
    return "; ".join(f"{field}: {detail}" for field, detail in problem.errors) or problem.detail


COUNTED = ("read", "new", "changed", "closed", "unchanged", "repeated", "refused")


def _report(imported: Import, unmapped: int, *, as_json: bool) -> None:
    counts = {name: imported.counts[name] for name in COUNTED}
    if as_json:
        about = {"portal": imported.how.portal, "at": timestamp(imported.at), "warning": imported.warning}
        show_json({**about, **counts, "unmapped": unmapped, "areas": imported.areas, "problems": imported.problems})
    else:
        show(", ".join(f"{count} {name}" for name, count in counts.items()))
    if imported.areas:
        named = ", ".join(f"{area} ({n})" for area, n in imported.areas.most_common(SHOWN))
        say(f"areas without a region: {named}")
        later = f"{datetime.now(UTC):%FT%R}"
        say(f"import them again with --region AREA=REGION (it is remembered) and a later --on: {later}")
    if imported.unused:
        say(f"--region names areas that are not in the file: {', '.join(sorted(imported.unused))}")
    if imported.warning:
        say(imported.warning)
    if not imported.is_shown:
        say("feedback does not show all of it yet: it will in a moment")
    say(f"{unmapped} skills of open vacancies are not mapped yet: see /market/mapping of feedback")
