"""praktika frameworks: what competency frameworks there are, and the import of ESCO or of one's own."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic_core import to_json

from services.certification.frameworks.files import AT_ONCE, Items, Unfit, about_of, misnamed
from services.partners.gateway.files.publish import AGAIN, Away
from shared.files.tables import Table, Unreadable, table
from shared.operator import console
from shared.operator.command import EXIT_CODES, application
from shared.operator.console import Json, Misused, progress, say, show, show_json, show_table
from shared.settings import Settings

from .over_http import OverHttp, as_operator

app = application("Competency frameworks: list, import ESCO or your own.")
SHOWN = 20  # refused rows
BATCH_BYTES = 2 * 2**20
COUNTED = ("read", "new", "changed", "unchanged", "repeated", "left_out", "foreign", "refused")


@app.command("list", epilog=EXIT_CODES)
def list_(json: Json = False) -> None:
    """List the frameworks, with the version in force of each."""

    async def work(settings: Settings) -> int:
        async with as_operator(settings, "certification", OverHttp) as network:
            try:
                found = [each async for each in network.everything("frameworks")]
            except Away as error:
                return _away(error)
        if json:
            show_json(found)
            return console.OK
        columns = ("id", "version", "items", "sustainability", "published_at")
        rows = [[*(one[c] for c in columns), next(iter(one["name"].values()))] for one in found]
        show_table(["ID", "VERSION", "ITEMS", "SUSTAINABILITY", "IN FORCE SINCE", "NAME"], rows)
        return console.OK

    console.run(work, AGAIN)


@app.command("import", epilog=EXIT_CODES)
def import_(  # noqa: PLR0913, PLR0917
    file: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="ESCO's CSV of skills, skill groups or a collection; your CSV or XLSX."),
    ],
    version: Annotated[str, typer.Option(metavar="NAME", help="As its issuer calls it: 1.2.0.")],
    framework: Annotated[str, typer.Option(metavar="ID", help="What the ids of its competencies begin with: esco.")],
    ru: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same in Russian: names and labels by id.")
    ] = None,
    broader: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What is a part of what: ESCO's broaderRelationsSkillPillar.")
    ] = None,
    green: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What counts as sustainability, by id: ESCO's greenSkillsCollection."),
    ] = None,
    sustainability: Annotated[
        bool, typer.Option("--sustainability", help="Each competency of FILE counts as sustainability.")
    ] = False,
    closed: Annotated[
        bool, typer.Option("--closed", help="A competency that the framework does not have is refused.")
    ] = False,
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="What the framework is called, in English.")] = None,
    name_ru: Annotated[str | None, typer.Option(metavar="TEXT", help="The same in Russian.")] = None,
    origin: Annotated[str | None, typer.Option(metavar="TEXT", help="Who issued it, or its address.")] = None,
    licence: Annotated[str | None, typer.Option(metavar="TEXT", help="On which terms it may be used.")] = None,
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="Import the rest where rows are refused; else nothing is imported.")
    ] = False,
    json: Json = False,
) -> None:
    """Import a version of a framework, and put it in force once all of its items are there.

    Repeating is harmless: what is known as it is, is not said again. Stopped or killed, it goes on where it was when it
    is repeated. PRAKTIKA_PARTNERS_URL and PRAKTIKA_CERTIFICATION_URL say where the network is, PRAKTIKA_CLIENT_SECRET
    is a secret of the operator's.
    """

    said = {
        "name": {ln: words for ln, words in (("en", name), ("ru", name_ru)) if words},
        "origin": origin,
        "licence": licence,
        "sustainability": sustainability,
        "closed": closed,
    }

    if wrong := misnamed(framework, version):
        given = {"framework": framework, "version": version}
        raise typer.BadParameter("; ".join(f"--{name} {given[name]}: {why}" for name, why in wrong.items()))

    async def work(settings: Settings) -> int:
        items = _gathered(framework, file, ru, broader, green)
        done = Import(items, version, said)
        if items.of and (leave_out or not items.number_refused):
            async with as_operator(settings, "certification", OverHttp) as network:
                try:
                    await done.run(network)
                except Away as error:
                    return _away(error)
        done.report(as_json=json)
        return console.OK if done.in_force and not done.counts["refused"] else console.DIFFERENT

    console.run(work, AGAIN)


class Import:
    """One import.

    Attributes:
        said: what is said of the version, besides its items.
        in_force: the version is, by this import or since one before.
        is_refused: the network refused an item.
        problems: what was refused: of a file's row, or of an item.
    """

    def __init__(self, items: Items, version: str, said: dict[str, Any]) -> None:
        self.items, self.version, self.said, self.in_force, self.is_refused = items, version, said, False, False
        self.counts = Counter[str](refused=items.number_refused)
        self.counts.update({name: getattr(items, name) for name in ("read", "repeated", "left_out", "foreign")})
        self.problems = [one._asdict() for one in items.refused]

    async def run(self, network: OverHttp) -> None:
        """Define all items, some at a time, and put the version in force if none is refused."""
        framework, version = self.items.framework, self.version
        with progress("items", len(self.items.of)) as advance:
            for batch in _batches([{"id": id, **item} for id, item in self.items.of.items()]):
                answer = await network.done("POST", f"frameworks/import/{framework}/{version}", body=batch)
                self.counts.update(new=answer["new"], changed=answer["changed"], unchanged=answer["same"])
                for one in answer["refused"]:
                    self._refuse(batch[one["item"]]["id"], one["errors"])
                advance(len(batch))
        before = await _before(network, framework)
        self.in_force = not self.is_refused or (before is not None and before["version"] == version)
        if not self.is_refused:
            about = about_of(self.items, version, before, self.said)
            await network.done("PUT", f"frameworks/{framework}", body=about)

    def _refuse(self, id: str, errors: list[dict[str, str]]) -> None:
        self.counts["refused"] += 1
        self.is_refused = True
        why = "; ".join(f"{error['field']}: {error['detail']}" for error in errors)
        self.problems.append({"file": "", "row": None, "column": id, "why": why})

    def report(self, *, as_json: bool) -> None:
        about = {"framework": self.items.framework, "version": self.version, "items": len(self.items.of)}
        counts = {name: self.counts[name] for name in COUNTED}
        if as_json:
            show_json({**about, "in_force": self.in_force, **counts, "problems": self.problems})
            return
        for one in self.problems[:SHOWN]:
            place = f"{one['file']}, row {one['row']}: " if one["row"] else ""
            show(f"{place}{one['column']}: {one['why']}")
        if len(self.problems) > SHOWN:
            show("…")
        show(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()))
        named = "{framework} {version}".format(**about)
        if self.in_force and not self.is_refused:
            number = about["items"]
            show(f"{named} is in force, with {number} item{'s' * (number != 1)}")
        elif self.in_force:
            say(f"{named} is in force as it was: mend what was refused and repeat")
        elif self.is_refused:
            say(f"{named} was not put in force: mend what was refused and repeat")
        else:
            say("nothing was imported: mend what was refused and repeat, or --leave-out")


async def _before(network: OverHttp, framework: str) -> dict[str, Any] | None:
    """The framework as it is in force."""
    listed = network.everything("frameworks")
    return next((each for each in [one async for one in listed] if each["id"] == framework), None)


def _away(error: Away) -> int:
    say(f"{error}\nThen: {AGAIN}.")
    return console.NO_ANSWER


def _gathered(framework: str, files: list[Path], ru: Path | None, broader: Path | None, green: Path | None) -> Items:
    """The items that the files have together."""
    items = Items(framework)
    takes: list[tuple[Path | None, Callable[[Table, str], None]]] = [
        *((file, items.take) for file in files),
        (ru, lambda found, where: items.name(found, where, "ru")),
        (broader, items.relate),
        (green, items.mark),
    ]
    for path, take in takes:
        if path is not None:
            with _table(path) as found:
                try:
                    take(found, path.name)
                except Unfit as error:
                    raise Misused(f"{path}: {error}") from None
    items.demand_broader()
    return items


@contextmanager
def _table(path: Path) -> Iterator[Table]:
    try:
        with path.open("rb") as stream:
            yield table(stream)
    except OSError as error:
        raise Misused(f"{path} cannot be read: {error.strerror}") from None
    except Unreadable as error:
        raise Misused(f"{path}: {error}") from None


def _batches(items: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for item in items:
        length = len(to_json(item))
        if batch and (len(batch) == AT_ONCE or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += length
    if batch:
        yield batch
