"""Lists as files: CSV and XLSX with headings in the reader's language."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi.responses import Response
from openpyxl import Workbook

from shared.http.problems import Problem
from shared.http.spreadsheets import BOM, XLSX, add_sheet, csv_of, saved
from shared.pages.languages import Language, translated

MOST_ROWS = 20_000


async def file_of(  # noqa: PLR0913, PLR0917
    rows: list[dict[str, Any]], headings: Mapping[str, str], title: str, name: str, format: str, language: Language
) -> Response:
    """A file of *rows*, made in a thread.

    Raises:
        Problem: they are too many.
    """
    if len(rows) > MOST_ROWS:
        detail = f"a file has at most {MOST_ROWS} rows: take JSON, page by page"
        raise Problem(422, detail, [("format", detail)])
    return await asyncio.to_thread(_made, rows, headings, title, name, format, language)


def _made(  # noqa: PLR0913, PLR0917
    rows: list[dict[str, Any]], headings: Mapping[str, str], title: str, name: str, format: str, language: Language
) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.{format}"', "Cache-Control": "no-store"}
    if format == "csv":
        text = BOM + (csv_of(rows) or ",".join(headings) + "\r\n")
        return Response(text, headers=headers, media_type="text/csv; charset=utf-8")
    book = Workbook(write_only=True)
    words = {column: translated(language, heading) for column, heading in headings.items()}
    add_sheet(book, translated(language, title), rows, words)
    return Response(saved(book), headers=headers, media_type=XLSX)
