"""What files are refused with, as texts to be translated."""

from shared.pages.languages import N_

# What is wrong with a file or a row of it, and what to do, filled in by position.
MISTAKES = {
    "old_excel": N_("this is a file of an old Excel, or locked by a password: save it as .xlsx without one"),
    "xlsx": N_("this is no XLSX file that can be read ({}): save it anew, or as CSV"),
    "bomb": N_("unpacked, the file has more than {} MiB: save only the table, or save it as CSV"),
    "heavy": N_("reading this XLSX file takes more than {} s or {} MiB: save it anew with less in it, or as CSV"),
    "rows": N_("there are more than {} rows: split the file"),
    "columns": N_("there are more than {} columns"),
    "nothing": N_("there is nothing in the file"),
    "no_rows": N_("there is nothing below the first row, which should hold the headings"),
    "heading_twice": N_("row {} should hold the headings, and “{}” is there twice: rename one"),
    "long_line": N_("line {} is longer than {} characters"),
    "encoding": N_("it is no XLSX file, and its text is not in {}: choose the encoding, or save it as CSV in UTF-8"),
    "csv": N_('line {}: {}; a quotation mark within a cell is doubled: "the ""North"" plant"'),
    "more_cells": N_("has more cells than there are headings"),
    "long_cell": N_("is longer than {} characters"),
    "spreadsheet_error": N_("holds the spreadsheet's error {}: mend it there"),
    "formula": N_("holds a formula that was never worked out: open the file in a spreadsheet and save it"),
    "json": N_("is not JSON: {}"),
    "object": N_("is no JSON object"),
    "no_type": N_("name the type of the events"),
    "type": N_("there is no type {} that you could publish{}"),
    "no_column": N_("there is no column “{}”{}"),
    "no_field": N_("there is no field {}{}"),
    "field_twice": N_("{} is to be both “{}” and “{}”"),
    "field_missing": N_("no column says what {} is{}: map one to it, or set it for all rows"),
    "is_it": N_("; is it {}?"),
    "key_empty": N_("is empty, and it is part of the row's key"),
    "key_twice": N_(
        "has the same key as row {}, and says something else: give the two different times, or another key"
    ),
    "choice": N_("“{}” is none of {}"),
    "integer": N_("“{}” is no whole number"),
    "number": N_("“{}” is no number"),
    "boolean": N_("“{}” is neither yes nor no"),
    "day": N_("“{}” is no day: 2026-03-02 or 02.03.2026"),
    "month": N_("“{}” is no month: 2026-06 or 06.2026"),
    "time": N_("“{}” is no time: 2026-03-02 09:00, 02.03.2026, or 2026-03-02T09:00:00+07:00"),
    "offset": N_("“{}” does not say in which time zone it is: give the offset from UTC, for example +07:00"),
    "no_offset": N_("“{}” is no offset from UTC: +07:00"),
    "one_value": N_("must be one value"),
    "lists": N_("{} must list equally many, parted by ;"),
    "missing": N_("is empty, and it is needed"),
    "rule": N_("{}"),
    "reused": N_(
        "this row was sent before with other content. A correction is a new event: give it a later time, or another key"
    ),
    "future": N_("{} (a day without a time counts as noon)"),
}
