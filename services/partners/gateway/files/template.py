"""A workbook to fill in, for each type: headings that are recognised, an example, drop-downs, explanations."""

import io
from functools import cache
from typing import Any

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation

from services.partners.gateway.contract.examples import EXAMPLES
from services.partners.gateway.contract.rules import in_one, rules_of
from shared.contract import events
from shared.pages.languages import N_, Language, translated

from .cells import Field
from .mapping import fields_of, headings_of, meaning, shown_name

ROWS = 1_000  # so many get drop-downs
WIDEST = 60
YES, NO = N_("yes"), N_("no")
ABOUT = (N_("Column"), N_("Field"), N_("Needed"), N_("Meaning"), N_("Rule"))


@cache
def template(type_: str, language: Language) -> bytes:
    """The workbook of a type."""
    headings = {field: heading for field, heading in headings_of(type_, language).items() if field != "id"}
    book = Workbook()
    sheet: Any = book.active
    sheet.title = translated(language, N_("Rows"))
    sheet.append(list(headings.values()))
    sheet.append([_example(type_, field, language) for field in headings])
    sheet.freeze_panes = "A2"
    for place, (field, heading) in enumerate(headings.items(), 1):
        letter = get_column_letter(place)
        sheet[f"{letter}1"].font = Font(bold=True)
        sheet.column_dimensions[letter].width = min(WIDEST, max(len(heading), 14) + 2)
        _offer(sheet, f"{letter}2:{letter}{ROWS}", fields_of(type_)[field], language)
    _explain(book.create_sheet(translated(language, N_("Explanation"))), type_, headings, language)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _offer(sheet: Any, cells: str, field: Field, language: Language) -> None:
    """Let the cells of a field with few values be chosen from a list, as far as a spreadsheet has room for it."""
    words = [_word(value, language) for value in field.schema.get("enum", ())]
    if field.schema.get("type") == "boolean":
        words = [translated(language, YES), translated(language, NO)]
    if words and not field.list and len(",".join(words)) < 250:
        offered = DataValidation(type="list", formula1=f'"{",".join(words)}"', allow_blank=True)
        offered.add(cells)
        sheet.add_data_validation(offered)


def _word(value: str, language: Language) -> str:
    return translated(language, value, "value")


def _explain(sheet: Any, type_: str, headings: dict[str, str], language: Language) -> None:
    sheet.append([translated(language, word) for word in ABOUT])
    root = events.data_schema(type_)
    for field, heading in headings.items():
        known = fields_of(type_)[field]
        rule = in_one(rules_of(known.schema, root, language)).striptags().replace("&lt;", "<")
        needed = translated(language, YES if known.required else NO)
        sheet.append([heading, shown_name(field), needed, meaning(type_, field, language), rule])
    for letter, width in zip("ABCDE", (36, 24, 12, WIDEST, WIDEST), strict=True):
        sheet.column_dimensions[letter].width = width
    for row in sheet.iter_rows():
        for cell in row:
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            cell.data_type = "s"
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    sheet.freeze_panes = "A2"


def _example(type_: str, field: str, language: Language) -> Any:
    """What the contract's example has in a field, as a cell; several values are parted by semicolons."""
    event = EXAMPLES[type_].model_dump(mode="json", exclude_none=True)
    if field in event:
        return event[field]
    name, _, part = field.partition(".")
    value = event["data"].get(name)
    if part:
        value = [item.get(part, "") for item in value or ()]
    if isinstance(value, list):
        return "; ".join(str(_shown(each, language)) for each in value) or None
    return _shown(value, language)


def _shown(value: Any, language: Language) -> Any:
    if isinstance(value, bool):
        return translated(language, YES if value else NO)
    return _word(value, language) if isinstance(value, str) else value
