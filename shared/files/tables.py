"""Files as rows: CSV as spreadsheets write it, XLSX, and JSON lines; and the CSV in which refused rows go back.

What a row means is said by who reads it. A file may be hostile: everything is bounded.
"""

import codecs
import csv
import io
import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import zip_longest
from typing import IO, Any, NamedTuple
from zipfile import BadZipFile, ZipFile

import jiter

from shared.contract.text import Message, is_formula
from shared.pages.languages import Language, in_language

from .words import MISTAKES

MOST_ROWS = 1_048_576  # of a spreadsheet, as are the others
MOST_CHARACTERS = 32_767
MOST_COLUMNS = 200
MOST_VALUES = 100_000  # in a line of JSON: each takes memory once parsed
LINE = 2**20  # characters
BLOCK = 64 * 1024
PARTS = 1_000  # files in an XLSX file
INFLATED = 512 * 2**20  # bytes of them
XLSX = b"PK"  # how a ZIP file begins
EVENT = "event"  # the column of a line that is an event already
ENCODINGS = ("utf-8", "cp1251", "utf-16", "koi8-r", "cp866")
REFUSED = ("refused: row", "refused: status", "refused: column", "refused: reason")

warnings.filterwarnings("ignore", module="openpyxl")  # what it cannot keep (charts, …) is not wanted


class Why(NamedTuple):
    """What is wrong and what to do: the name of a text in `words.py` and what is filled in."""

    code: str
    given: tuple[object, ...] = ()

    @property
    def words(self) -> Message:
        return Message(MISTAKES[self.code], self.given)

    def text(self, language: Language = "en") -> str:
        return in_language(self.words, language)


class Unreadable(Exception):
    """The file is no table."""

    def __init__(self, code: str, *given: object) -> None:
        self.why = Why(code, given)
        super().__init__(self.why.text())


class Row(NamedTuple):
    """A row that is not empty.

    Attributes:
        number: as a spreadsheet counts them; of JSON lines, the line.
        cells: by column; text, or what JSON holds. What is empty is absent.
        unfit: by column (empty: the whole row), why a cell says nothing.
    """

    number: int
    cells: dict[str, Any]
    unfit: dict[str, Why]


Record = Sequence[str | Why]
Records = Iterator[tuple[int, Record]]


@dataclass(frozen=True)
class Table:
    """A file whose every row was read once: it can be read as a whole.

    Attributes:
        delimiter: of CSV; of other files, what a spreadsheet that speaks the headings' language expects in CSV.
        read: its rows, from the first on.
    """

    kind: str
    columns: list[str]
    rows: int
    encoding: str
    delimiter: str
    read: Callable[[], Iterator[Row]]


def table_of_sheet(records: Sequence[tuple[int, Record]], rows: int) -> Table:
    """The table that a spreadsheet's rows are, which were read before."""
    return _surveyed("xlsx", "", "", lambda: _tabular(iter(records)), rows)


def table(stream: IO[bytes], encoding: str | None = None, rows: int = MOST_ROWS, inflated: int = INFLATED) -> Table:
    """What is in a file, told by its content.

    Args:
        encoding: of text; else UTF-8 or, if it is not that, cp1251.
        rows: most rows below the headings.
        inflated: most bytes of an unpacked XLSX file.
    Raises:
        Unreadable: it is no table, or has too much.
    """
    stream.seek(0)
    head = stream.read(BLOCK)
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise Unreadable("old_excel")
    if head.startswith(XLSX):
        return _surveyed("xlsx", "", "", lambda: _tabular(sheet(stream, inflated)), rows)
    encoding = _encoding(stream) if encoding is None else "utf-8-sig" if encoding == "utf-8" else encoding
    if head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"):
        return _surveyed("jsonl", encoding, "", lambda: _objects(_lines(stream, encoding)), rows)
    delimiter = _delimiter(stream, encoding)
    return _surveyed("csv", encoding, delimiter, lambda: _tabular(_records(stream, encoding, delimiter)), rows)


def _surveyed(
    kind: str, encoding: str, delimiter: str, rows: Callable[[], Iterator[Row | list[str]]], most: int
) -> Table:
    """The table after its first reading. Headings come before the rows; objects tell theirs one by one."""
    columns: dict[str, None] = {}
    count = 0
    for item in rows():
        columns.update(dict.fromkeys(item.cells if isinstance(item, Row) else item))
        count += isinstance(item, Row)
        if count > most:
            raise Unreadable("rows", most)
        if len(columns) > MOST_COLUMNS:
            raise Unreadable("columns", MOST_COLUMNS)
    if not count:
        raise Unreadable("no_rows" if columns else "nothing")
    delimiter = delimiter or ("," if "".join(columns).isascii() else ";")
    shown = encoding.removesuffix("-sig")
    return Table(kind, list(columns), count, shown, delimiter, lambda: (r for r in rows() if isinstance(r, Row)))


def _tabular(records: Records) -> Iterator[Row | list[str]]:
    """The headings, then the rows."""
    columns: list[str] = []
    for number, record in records:
        if number > MOST_ROWS:  # empty ones count: a file may begin with a billion of them
            raise Unreadable("rows", MOST_ROWS)
        if not any(record):
            continue
        if columns:
            yield _row(number, record, columns)
        else:
            columns = _headings(number, record)
            yield columns


def _headings(number: int, record: Record) -> list[str]:
    titles = ["" if isinstance(title, Why) else " ".join(title.split())[:200] for title in record]
    while titles and not titles[-1]:
        titles.pop()
    columns = [title or f"column {place}" for place, title in enumerate(titles, 1)]
    twice = [column for column, count in Counter(columns).items() if count > 1]
    if twice:
        raise Unreadable("heading_twice", number, twice[0])
    return columns


def _row(number: int, record: Record, columns: list[str]) -> Row:
    cells: dict[str, Any] = {}
    unfit: dict[str, Why] = {}
    for column, content in zip_longest(columns, record, fillvalue=""):
        if isinstance(content, Why):
            unfit[column] = content
        elif text := content.strip():
            # An apostrophe before what looks like a formula says that it is text: we write it so, too.
            cells[column] = text[1:] if text[0] == "'" and is_formula(text[1:]) else text
            if len(text) > MOST_CHARACTERS:
                unfit[column] = Why("long_cell", (MOST_CHARACTERS,))
    if cells.pop("", None) or "" in unfit:
        unfit[""] = Why("more_cells")
    return Row(number, cells, unfit)


# text


def _encoding(stream: IO[bytes]) -> str:
    stream.seek(0)
    head = stream.read(4)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(head)
        while block := stream.read(BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1251"
    return "utf-8-sig"


def _lines(stream: IO[bytes], encoding: str) -> Iterator[str]:
    stream.seek(0)
    text = io.TextIOWrapper(stream, encoding, newline="")
    number = 0
    try:
        while line := text.readline(LINE):
            number += 1
            if len(line) == LINE:
                raise Unreadable("long_line", number, LINE)
            yield line
    except UnicodeError:
        raise Unreadable("encoding", encoding.removesuffix("-sig")) from None
    finally:
        with suppress(ValueError):  # closed meanwhile
            text.detach()


def _delimiter(stream: IO[bytes], encoding: str) -> str:
    """What parts the first line into most cells."""
    head = next((line for line in _lines(stream, encoding) if line.strip()), "")

    def cells(delimiter: str) -> int:
        try:
            return len(next(csv.reader([head], delimiter=delimiter)))
        except csv.Error:
            return 0

    return max((",", ";", "\t"), key=cells)


def _records(stream: IO[bytes], encoding: str, delimiter: str) -> Records:
    reader = csv.reader(_lines(stream, encoding), delimiter=delimiter, strict=True)
    try:
        yield from enumerate(reader, 1)
    except csv.Error as error:
        raise Unreadable("csv", reader.line_num, error) from None


# XLSX


def sheet(stream: IO[bytes], inflated: int) -> Records:
    """The first sheet: values as one would type them, of formulas what they gave when the file was saved."""
    _refuse_bomb(stream, inflated)
    from openpyxl import load_workbook  # megabytes of memory, for few files

    try:
        values, formulas = (
            load_workbook(stream, read_only=True, data_only=data_only, keep_links=False).worksheets[0]
            for data_only in (True, False)
        )
        for sheet in (values, formulas):
            sheet.reset_dimensions()  # what the file says of its size may be wrong
        for number, pair in enumerate(zip(values.iter_rows(), formulas.iter_rows(), strict=True), 1):
            yield number, [_shown(value, formula) for value, formula in zip(*pair, strict=True)]
    except Exception as error:  # the library raises whatever a broken file makes it run into
        raise Unreadable("xlsx", type(error).__name__) from None


def _refuse_bomb(stream: IO[bytes], inflated: int) -> None:
    """A part is never read beyond the size that the archive names for it."""
    try:
        parts = ZipFile(stream).infolist()
    except (BadZipFile, ValueError, NotImplementedError, OSError):
        raise Unreadable("xlsx", "ZIP") from None
    if len(parts) > PARTS or sum(part.file_size for part in parts) > inflated:
        raise Unreadable("bomb", inflated // 2**20)


def _shown(value: Any, formula: Any) -> str | Why:
    if value.data_type == "e":
        return Why("spreadsheet_error", (value.value,))
    if value.value is None and formula.data_type == "f":
        return Why("formula")
    return "" if value.value is None else _typed(value.value)


def _typed(value: object) -> str:
    """A value as one would type it; a number has at most 15 digits, as in a spreadsheet."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 10**15 else f"{value:.15g}"
        case datetime():
            seconds = (value + timedelta(milliseconds=500)).replace(microsecond=0)
            return seconds.date().isoformat() if seconds.time() == time() else seconds.isoformat()
    return str(value)


# JSON lines


def _objects(lines: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _object(number, line)


def _object(number: int, line: str) -> Row:
    raw = line.encode(errors="surrogatepass")
    if sum(map(raw.count, (b",", b"[", b"{"))) > MOST_VALUES:
        return Row(number, {}, {"": Why("json", (f"there are more than {MOST_VALUES} values in it",))})
    try:
        item = jiter.from_json(raw, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        return Row(number, {}, {"": Why("json", (str(error)[:200],))})
    if not isinstance(item, dict):
        return Row(number, {}, {"": Why("object")})
    if "specversion" in item:
        return Row(number, {EVENT: item}, {})
    filled = {name[:200]: value for name, value in item.items() if value not in (None, "")}
    return Row(number, {n: v if isinstance(v, str | list | dict) else _typed(v) for n, v in filled.items()}, {})


# what goes back


def report_head(table: Table) -> str:
    return report_line([column for column in table.columns if column not in REFUSED] + [*REFUSED], table.delimiter)


def report_row(table: Table, row: Row, status: int, column: str, reason: str) -> str:
    """A refused row as it came, with what is wrong; mended, the file can be sent as it is."""
    kept = [row.cells.get(name) for name in table.columns if name not in REFUSED]
    return report_line([*kept, row.number, status, column, reason], table.delimiter)


def report_line(cells: Sequence[object], delimiter: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerow([_harmless(cell) for cell in cells])
    return text.getvalue()


def _harmless(cell: object) -> str:
    """A text that a spreadsheet would take for a formula gets an apostrophe (OWASP, CSV injection)."""
    if cell is None:
        return ""
    text = cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)
    return f"'{text}" if is_formula(text) else text
