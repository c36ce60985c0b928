"""How the operator's commands print and end: results on standard output, progress and advice on standard error."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from re import fullmatch
from typing import Annotated, Any

import typer
from aiokafka.errors import KafkaError
from pydantic import ValidationError
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from shared.contract.events import wording_of
from shared.log.producer import NotPublished
from shared.processing.mongo import DatabaseError
from shared.settings import Settings, settings

OK, DIFFERENT, USAGE, NO_ANSWER, STOPPED = 0, 1, 2, 3, 130
WIDE = 1_000  # where no terminal cuts lines, nothing is cut
LEAST_LAST = 30  # columns of a terminal that the last column of a table has at least

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, for programs.")]
out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)


class Failed(Exception):
    """The command cannot do what is asked; the text says why and what to do."""


class Misused(Failed):
    """What is asked makes no sense."""


def run(work: Callable[[Settings], Coroutine[Any, Any, int]], to_go_on: str = "repeat the command") -> None:
    """Do a command's work and end with the exit code that it gives.

    Args:
        to_go_on: what to do after Ctrl-C or when a server was away; nothing is lost by either.
    """
    raise typer.Exit(_outcome(work, to_go_on))


def _outcome(work: Callable[[Settings], Coroutine[Any, Any, int]], to_go_on: str) -> int:
    try:
        own = settings()
    except ValidationError as error:
        for wrong in error.errors(include_url=False):
            field = str(wrong["loc"][0])
            name = field if field.isupper() else f"PRAKTIKA_{field.upper()}"
            say(f"the environment does not fit: {name} {wording_of(wrong)}")
        return USAGE
    try:
        return asyncio.run(work(own))
    except Failed as error:
        say(str(error))
        return USAGE if isinstance(error, Misused) else DIFFERENT
    except (NotPublished, KafkaError) as error:
        say(f"{error}\nIs Kafka there, at {own.kafka_bootstrap_servers} (KAFKA_BOOTSTRAP_SERVERS)? Then: {to_go_on}.")
    except DatabaseError as error:
        say(f"MongoDB does not answer: {type(error).__name__}: {error}"[:300])
        say(f"Is it there, at {servers_of(own.mongodb_uri)} (MONGODB_URI)? Then: {to_go_on}.")
    except KeyboardInterrupt:
        say(f"Stopped; nothing is lost. To go on: {to_go_on}.")
        return STOPPED
    return NO_ANSWER


def servers_of(uri: str) -> str:
    """The hosts in a MongoDB URI, without the password that may stand before them."""
    return uri.partition("://")[2].rpartition("@")[2].partition("/")[0]


def cleaned(value: object) -> str:
    """*value* as text that does nothing to a terminal: what is not printable is spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in str(value))


def say(text: str) -> None:
    """Tell the operator something that is no result. Lines are kept, everything else unprintable is spelled out."""
    err.print("\n".join(map(cleaned, text.split("\n"))), soft_wrap=True)


def show(text: str) -> None:
    """Print a line of a result."""
    out.print(cleaned(text), soft_wrap=True)


def show_fields(document: Mapping[str, object]) -> None:
    """Print a result of named parts, one a line."""
    for field, value in document.items():
        show(f"{field}: {value}")


def show_json(document: object) -> None:
    """Print the result for programs, in ASCII, so that nothing in it reaches a terminal raw."""
    sys.stdout.write(json.dumps(document, indent=1).replace("\x7f", "\\u007f") + "\n")


def show_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print *rows* under *headings*. On a terminal the last column takes what room is left and wraps; no other does."""
    cells = [["" if cell is None else cleaned(cell) for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold")
    widths = [max(cell_len(row[number]) for row in [headings, *cells]) for number in range(len(headings))]
    for heading, width in zip(headings[:-1], widths, strict=False):
        table.add_column(heading, no_wrap=True, min_width=width)
    table.add_column(headings[-1], overflow="fold")
    for row in cells:
        table.add_row(*row)
    least = sum(widths[:-1]) + 2 * (len(widths) - 1) + min(LEAST_LAST, widths[-1])
    options = out.options.update(width=max(out.width, least) if out.is_terminal else WIDE)
    for line in out.render_lines(table, options, pad=False):
        out.print("".join(segment.text for segment in line).rstrip(), soft_wrap=True)


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show on standard error, if that is a terminal, how far the work is; gives what is called to advance."""
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(title, total=total)

        def advance(count: int) -> None:
            bar.advance(task, count)

        yield advance


def moment(text: str) -> datetime:
    """A moment given as ISO 8601 (UTC unless it has an offset) or as an age: 45m, 36h, 7d.

    Raises:
        typer.BadParameter: it is neither.
    """
    try:
        if age := fullmatch(r"(\d{1,6})([mhd])", text):
            unit = {"m": "minutes", "h": "hours", "d": "days"}[age[2]]
            return datetime.now(UTC) - timedelta(**{unit: int(age[1])})
        given = datetime.fromisoformat(text)
        return given if given.tzinfo else given.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no time: 2026-03-02T12:00, 2026-03-02, or an age like 45m, 36h, 7d"
        ) from None


def time_of(ms: int) -> str:
    """Milliseconds since 1970 as people and programs read them."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return str(ms)
