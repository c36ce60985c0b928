"""Reads the sheet of an XLSX file in a process of its own: a few kilobytes may take minutes and gigabytes to read.

The process reads a file from stdin and writes a line of JSON for each row.
"""

import io
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import bounded
from .tables import Record, Unreadable, Why, sheet

if TYPE_CHECKING:
    from shared.settings import Settings

WRITTEN = 32 * 2**20  # bytes of rows


async def rows_of(body: bytes, settings: "Settings") -> list[tuple[int, Record]]:
    """The rows of an XLSX file's first sheet.

    Raises:
        Unreadable: it is no such file, or reading it takes too long or too much memory.
    """
    ran = await bounded.run(
        __name__,
        str(settings.upload_max_rows),
        body=body,
        memory_bytes=settings.upload_memory_bytes,
        cpu_s=settings.upload_cpu_s,
    )
    lines = ran.written.split(b"\n")[:-1]
    if ran.broken or not lines or lines[-1] != b"true":
        reason = json.loads(lines[-1]) if lines and lines[-1].startswith(b"{") else None
        if reason:
            raise Unreadable(reason["code"], *reason["given"])
        raise Unreadable("heavy", settings.upload_cpu_s, settings.upload_memory_bytes // 2**20)
    return [_read(json.loads(line.decode(errors="surrogatepass"))) for line in lines[:-1]]


def _read(line: list[Any]) -> tuple[int, Record]:
    number, cells = line
    return number, [cell if isinstance(cell, str) else Why(cell[0], tuple(cell[1])) for cell in cells]


def _write(rows: Iterator[tuple[int, Record]], most_rows: int) -> Iterator[str]:
    """A line for each row, and then `true`; or at the end why it could not be read on."""
    size = 0
    try:
        for count, row in enumerate(rows):
            line = json.dumps(row, ensure_ascii=False)
            size += len(line.encode(errors="surrogatepass"))
            if count > most_rows or size > WRITTEN:
                yield _why("rows", most_rows) if count > most_rows else _why("bomb", WRITTEN // 2**20)
                return
            yield line
        yield "true"
    except Unreadable as error:
        yield _why(error.why.code, *error.why.given)


def _why(code: str, *given: object) -> str:
    return json.dumps({"code": code, "given": given})


def main(most_rows: int) -> None:
    body = io.BytesIO(sys.stdin.buffer.read())
    for line in _write(sheet(body, WRITTEN), most_rows):
        sys.stdout.buffer.write(line.encode(errors="surrogatepass") + b"\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
