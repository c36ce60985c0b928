"""Workbooks (XLSX) as they are written. What imports this has openpyxl in memory: import it where one is written."""

import io
from collections.abc import Mapping
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

from shared.http.spreadsheets import Share

WIDEST = 60  # characters of a column
Named = tuple[str, list[dict[str, Any]], Mapping[str, str]]


def workbook(*sheets: Named) -> bytes:
    """Sheets of typed cells under one row of headings: each with its title, rows, and headings by column."""
    book = Workbook(write_only=True)
    for title, rows, headings in sheets:
        _add(book, title, rows, headings)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _add(book: Workbook, title: str, rows: list[dict[str, Any]], headings: Mapping[str, str]) -> None:
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    columns = list(rows[0] if rows else headings)
    for place, column in enumerate(columns, 1):
        longest = max(len(str(row[column])) for row in [*rows, {column: headings[column]}])
        sheet.column_dimensions[get_column_letter(place)].width = min(WIDEST, longest + 3)
    sheet.append([_cell(sheet, headings[column], bold=True) for column in columns])
    for row in rows:
        sheet.append([_cell(sheet, row[column]) for column in columns])


def _cell(sheet: Any, content: Any, *, bold: bool = False) -> Any:
    """A cell of the content's type; a text is never a formula, and never a number."""
    cell = WriteOnlyCell(sheet, content)
    if isinstance(content, Share):
        cell.number_format = "0.0%"
    elif isinstance(content, str):
        cell.data_type = "s"
        cell.alignment = Alignment(wrap_text=True, vertical="top")
    if bold:
        cell.font = Font(bold=True)
    return cell
