"""praktika history: export, import."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer

from shared.log.raw import Reader, count, reader, writer
from shared.log.topics import SERVICES
from shared.operator import console, history
from shared.operator.command import EXIT_CODES, application
from shared.operator.console import Failed, Json, Misused, progress, say, show_json
from shared.operator.history import HELD, Unfit
from shared.settings import Settings

app = application("The whole log as one file of CloudEvents: backup, migration, and proof.")
STANDARD = "-"


@app.command("export", epilog=EXIT_CODES)
def export(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="Its end says how: .jsonl.zst or .jsonl.gz. -: standard output, as gzip."),
    ],
    json: Json = False,
) -> None:
    """Write every event, rejection and dead letter of now, while the network goes on.

    The file appears when it is complete. It holds no secrets, but all that is known of learners under their pseudonyms:
    keep it as safe as the network. Credentials and keys are not in it (see docs/operations.md).
    """
    if json and file == STANDARD:
        raise typer.BadParameter("--json and the file cannot both go to standard output")

    if file != STANDARD and not file.endswith((".zst", ".gz")):
        raise typer.BadParameter(f"{file}: the name must end with .zst or .gz")

    async def work(settings: Settings) -> int:
        records = await export_to(settings, file)
        if json:
            show_json({"file": file, "records": records})
        else:
            say(f"{records} records exported")
        return console.OK

    console.run(work)


async def export_to(settings: Settings, file: str) -> int:
    """Write the log of now to a file; return how many records it has."""
    async with reader(settings) as topics:
        spans = await topics.spans(HELD)
        if not spans:
            raise Failed(f"there are no topics of {settings.namespace}")
        with target(file) as into, progress("exporting", count(spans)) as advance:
            return await history.export(topics.read(spans, advance), spans, into)


@contextmanager
def target(file: str) -> Iterator[IO[bytes]]:
    """Where to write: a file appears under its name when all is written and safe on the disk."""
    if file == STANDARD:
        with history.opened_to_write(sys.stdout.buffer, file) as stream:
            yield stream
        return
    part = Path(file + ".part")
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as raw:
            with history.opened_to_write(raw, file) as stream:
                yield stream
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


@app.command("import", epilog=EXIT_CODES)
def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="As exported. -: standard input.")],
    json: Json = False,
) -> None:
    """Restore an export into an empty Kafka (set up, the services stopped): same records, same offsets.

    Stopped or failed, it is repeated and goes on where it was. A log that holds anything else is refused.
    """

    async def work(settings: Settings) -> int:
        done = await import_from(settings, file)
        if json:
            show_json(done._asdict())
        else:
            say(f"{done.written} records imported, {done.there} were there already")
        if done.moved:
            say(f"{done.moved} have another offset than they had: something of their partitions was not exported")
        return console.OK

    console.run(work, "repeat the command; it goes on where it was")


async def import_from(settings: Settings, file: str) -> history.Imported:
    """Restore an export; see `import_`."""
    try:
        records = _checked(file)
        async with reader(settings) as topics, writer(settings) as into:
            await _demand_silence(topics)
            with source(file) as lines, progress("importing", records) as advance:
                return await history.import_(lines, topics, into, settings.namespace, advance)
    except Unfit as error:
        raise Failed(str(error)) from None


def _checked(file: str) -> int | None:
    """Read the whole file once before anything is written; return how many records it has."""
    if file == STANDARD:
        return None
    with source(file) as lines, progress("checking the file", None) as advance:
        number = -1
        for line in history.lines(lines):
            if number < 0:
                history.began_of(line)
            number += 1
            advance(1)
        return number


@contextmanager
def source(file: str) -> Iterator[Iterator[bytes]]:
    """The lines of a file."""
    if file == STANDARD:
        yield history.opened_to_read(sys.stdin.buffer)  # type: ignore[arg-type]
        return
    if not os.access(file, os.R_OK):
        raise Misused(f"{file} cannot be read")
    with Path(file).open("rb") as raw:
        yield history.opened_to_read(raw)


async def _demand_silence(topics: Reader) -> None:
    """Services would conclude and publish in the midst of the import."""
    running = [service for service, members in (await topics.members(SERVICES)).items() if members]
    if running:
        raise Failed(f"stop the services first ({', '.join(running)} run), or wait 6 s if they were killed")
