"""What spreadsheets read: CSV and XLSX, the mark by which they know UTF-8, and what they take for a formula."""

import csv
import io
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
BOM = "\ufeff"
# What routes answer with that give tables, for the OpenAPI document.
TABLES: dict[str, Any] = {"text/csv": {"schema": {"type": "string"}}, XLSX: {"schema": {"type": "string"}}}
WIDEST = 60  # characters of a column
_FORMULAS = ("=", "+", "-", "@", "|", "%")


def is_risky(text: str) -> bool:
    """Would a spreadsheet take it for a formula (OWASP, CSV injection)? Full-width signs count as the plain ones."""
    begin = unicodedata.normalize("NFKC", text.lstrip()[:1])
    return begin in _FORMULAS or text[:1] in ("\t", "\r", "\n")


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
    return f"'{content}" if isinstance(content, str) and is_risky(content) else content


def add_sheet(book: Workbook, title: str, rows: list[dict[str, Any]], headings: Mapping[str, str]) -> None:
    """A sheet of typed cells under one row of headings, by column."""
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    columns = list(rows[0]) if rows else []
    for place, column in enumerate(columns, 1):
        longest = max(len(str(row[column])) for row in [*rows, {column: headings[column]}])
        sheet.column_dimensions[get_column_letter(place)].width = min(WIDEST, longest + 3)
    sheet.append([_cell(sheet, headings[column], bold=True) for column in columns])
    for row in rows:
        sheet.append([_cell(sheet, row[column]) for column in columns])


def saved(book: Workbook) -> bytes:
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


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
