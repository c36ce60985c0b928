"""What spreadsheets read: CSV and XLSX, and the mark by which they know UTF-8."""

import asyncio
import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from fastapi.responses import Response

from shared.contract.text import is_formula
from shared.http.problems import Problem
from shared.http.service import Service
from shared.pages.languages import Language, translated

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
BOM = "\ufeff"
# What routes answer with that give tables, for the OpenAPI document.
TABLES: dict[str, Any] = {"text/csv": {"schema": {"type": "string"}}, XLSX: {"schema": {"type": "string"}}}
MOST_ROWS, INSTEAD = 20_000, "take JSON, page by page"


class Share(float):
    """A number that is shown in per cent."""


def csv_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """*rows* as CSV (RFC 4180); a text in two languages makes two columns."""
    flat = [dict(_cells(row)) for row in rows]
    text = io.StringIO()
    writer = csv.writer(text)
    if flat:
        writer.writerow(flat[0])
        writer.writerows([list(row.values()) for row in flat])
    return text.getvalue()


def _cells(row: Mapping[str, Any]) -> list[tuple[str, Any]]:
    cells: list[tuple[str, Any]] = []
    for name, content in row.items():
        if isinstance(content, dict):
            cells += [(f"{name}_{language}", _harmless(text)) for language, text in content.items()]
        else:
            cells.append((name, _harmless(_in_one(content) if isinstance(content, list) else content)))
    return cells


def _in_one(content: list[Any]) -> str:
    return " ".join(item if isinstance(item, str) else f"{item['reason']}={item['n'] or ''}" for item in content)


def _harmless(content: Any) -> Any:
    """A text that a spreadsheet would take for a formula gets an apostrophe (OWASP, CSV injection)."""
    return f"'{content}" if isinstance(content, str) and is_formula(content) else content


class Sheet(NamedTuple):
    """A list as it is written into a file.

    Attributes:
        title, headings: what it and its columns are called; marked texts (N_).
    """

    title: str
    headings: Mapping[str, str]
    rows: list[dict[str, Any]]


def one_file(service: Service) -> asyncio.Lock:
    """Held while the rows of a file are read and written: one in memory is enough."""
    lock: asyncio.Lock = service.shared.setdefault("one file", asyncio.Lock())
    return lock


async def table_file(
    name: str, format: str, language: Language, *sheets: Sheet, most: int = MOST_ROWS, instead: str = INSTEAD
) -> Response:
    """A download as CSV, of the first sheet with its columns' names, or as XLSX, with headings; made in a thread.

    Raises:
        Problem: the first sheet has more rows than *most*; *instead* says what to do.
    """
    if len(sheets[0].rows) > most:
        detail = f"a file has at most {most} rows: {instead}"
        raise Problem(422, detail, [("format", detail)])
    made = _csv_file if format == "csv" else _xlsx_file
    content, media_type = await asyncio.to_thread(made, sheets, language)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{format}"', "Cache-Control": "no-store"}
    return Response(content, headers=headers, media_type=media_type)


def _csv_file(sheets: tuple[Sheet, ...], _: Language) -> tuple[str, str]:
    of = sheets[0]
    return BOM + (csv_of(of.rows) or ",".join(of.headings) + "\r\n"), "text/csv; charset=utf-8"


def _xlsx_file(sheets: tuple[Sheet, ...], language: Language) -> tuple[bytes, str]:
    from shared.http.workbooks import workbook  # megabytes of memory, for few requests

    named = [
        (
            translated(language, of.title),
            of.rows,
            {column: translated(language, words) for column, words in of.headings.items()},
        )
        for of in sheets
    ]
    return workbook(*named), XLSX
