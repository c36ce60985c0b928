"""praktika pseudonymise: learners' real numbers or names become pseudonyms, offline, by the institution's secret."""

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from shared.contract.text import composed
from shared.files.tables import ENCODINGS, Row, Table, Unreadable, report_line, table
from shared.http.spreadsheets import BOM
from shared.operator import console
from shared.operator.console import Failed, Json, Misused, say, show_json
from shared.settings import Settings

LETTERS = 16  # of base32: 80 bits, so that no two learners of a country meet


def command(  # noqa: PLR0913, PLR0917
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or XLSX (its first sheet), with headings.")],
    column: Annotated[str, typer.Option(metavar="COLUMN", help="The column with the real numbers or names.")],
    organisation: Annotated[str, typer.Option(metavar="ID", help="Your organisation: pseudonyms begin with it.")],
    secret: Annotated[
        Path, typer.Option(metavar="FILE", help="Your secret; made if it is not there. Keep it, and give it to nobody.")
    ] = Path("pseudonyms.key"),
    encoding: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"Of text: {', '.join(ENCODINGS)}; else told by the content.")
    ] = None,
    json: Json = False,
) -> None:
    """Replace a column of real numbers or names by pseudonyms, without any server.

    The same value and the same secret give the same pseudonym. FILE.pseudonyms.csv is to be published;
    FILE.pseudonyms.table.csv says who is who and stays with you. Repeating is harmless.
    """

    async def work(_: Settings) -> int:
        key = _key(secret)
        try:
            with file.open("rb") as stream:
                found = table(stream, encoding)
                if column not in found.columns:
                    raise Misused(f"there is no column {column}; there are: {', '.join(found.columns)}")
                known = _written(found, column, organisation, key, file)
        except (OSError, Unreadable) as error:
            raise Misused(f"{file}: {error}") from None
        if json:
            show_json({"rows": found.rows, "learners": len(known), "file": str(_beside(file, "csv"))})
        else:
            say(f"{found.rows} rows of {len(known)} learners are in {_beside(file, 'csv')}, to be published")
            say(f"who is who is in {_beside(file, 'table.csv')}: it stays with you")
        return console.OK

    console.run(work)


def pseudonym(value: str, organisation: str, key: bytes) -> str:
    """The pseudonym of a number or name: however it is spaced and composed, and in whatever case."""
    read = " ".join(composed(value).casefold().split())
    digest = hmac.digest(key, read.encode(), hashlib.sha256)
    return f"{organisation}:{base64.b32encode(digest).decode().lower()[:LETTERS]}"


def _key(file: Path) -> bytes:
    try:
        if not file.exists():
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
                made.write(secrets.token_hex(32))
            say(f"{file} is your new secret: back it up, for without it the same learners get other pseudonyms")
        key = bytes.fromhex(file.read_text().strip())
    except (OSError, ValueError) as error:
        raise Failed(f"{file} cannot be read as a secret: {error}") from None
    if len(key) < 16:
        raise Failed(f"{file} is too short for a secret: 32 hexadecimal digits at least")
    return key


def _written(found: Table, column: str, organisation: str, key: bytes, file: Path) -> dict[str, str]:
    """Write both files; give the pseudonyms by the value that each stands for."""
    known: dict[str, str] = {}
    lines = [report_line(found.columns, found.delimiter)]
    for row in found.read():
        value = _value(row, column)
        known.setdefault(value, pseudonym(value, organisation, key))
        cells = {**row.cells, column: known[value]}
        lines.append(report_line([cells.get(name) for name in found.columns], found.delimiter))
    _write(_beside(file, "csv"), lines)
    who = [report_line(pair, found.delimiter) for pair in [(column, "pseudonym"), *known.items()]]
    _write(_beside(file, "table.csv"), who)
    return known


def _value(row: Row, column: str) -> str:
    value = row.cells.get(column)
    if column in row.unfit or not isinstance(value, str) or not value.strip():
        raise Misused(f"row {row.number}: {column} is empty or no text; nothing was written")
    return value


def _beside(file: Path, ending: str) -> Path:
    return file.with_name(f"{file.name}.pseudonyms.{ending}")


def _write(file: Path, lines: list[str]) -> None:
    """Replace a file at once, readable by its owner only."""
    draft = file.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as made:
        made.write((BOM + "".join(lines)).encode())
    draft.rename(file)
