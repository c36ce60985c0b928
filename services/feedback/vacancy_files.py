"""Files of vacancies, read one by one: CSV and XLSX as people keep them, and the JSON of job portals' APIs."""

import codecs
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from shared.contract.events import Id, VacancyObserved, wording_of
from shared.contract.skills import normalised
from shared.contract.text import composed, hidden
from shared.files.cells import Unread, day_and_time, is_yes
from shared.files.tables import BLOCK, Table, Unreadable, Why, table
from shared.pages.languages import Text, enumerated

MOST_CHARACTERS = 64 * 2**20  # of one page of an API
LISTS = ("items", "objects", "results", "vacancies")  # what APIs call the list in a page
SEPARATOR = ";|\n"
# What columns are called, by field; of several that are there the first that says something counts.
GUESSED: dict[str, tuple[str, ...]] = {
    "id": ("id", "vacancy id", "number", "ид", "номер", "номер вакансии", "код"),
    "title": ("name", "title", "vacancy", "position", "название", "наименование", "вакансия", "должность", "профессия"),
    "area": ("area.name", "area", "region", "city", "регион", "город", "место"),
    "skills": ("key skills", "skills", "навыки", "ключевые навыки"),
    "published": ("published at", "published on", "published", "дата публикации", "опубликована", "опубликовано"),
    "closed": ("archived", "closed", "архив", "в архиве", "закрыта"),
    "enterprise": (),
}
NEEDED = ("id", "title", "skills")  # without skills what was known of them would be taken back
_ID: TypeAdapter[str] = TypeAdapter(Id)
_PORTAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,29}")


class Unfit(ValueError):
    """A row is no vacancy; the text says why."""


class Unmapped(ValueError):
    """The columns do not say what is needed; the text says what."""


class Row(NamedTuple):
    """A row of a file: where it is, and what is in it by column; JSON's objects within it are flat, by dots."""

    place: str
    cells: Mapping[str, Any]
    unfit: str = ""


class Vacancy(NamedTuple):
    """A vacancy as the file has it; *data* is None if it is closed."""

    id: str
    data: VacancyObserved | None


@dataclass
class Pages:
    """Which pages of an API's answers were there: of each search, told by how much it found."""

    seen: defaultdict[tuple[int, Any], set[int]] = field(default_factory=lambda: defaultdict(set))

    def note(self, page: Mapping[str, Any]) -> None:
        if isinstance(page.get("page"), int) and isinstance(page.get("pages"), int):
            self.seen[page["pages"], str(page.get("found"))].add(page["page"])

    @property
    def number(self) -> int:
        """How many there are."""
        return sum(pages for pages, _ in self.seen)

    @property
    def missing(self) -> int:
        """How many are not there."""
        return sum(max(0, pages - len(there)) for (pages, _), there in self.seen.items())


@dataclass(frozen=True)
class Reading:
    """How rows become vacancies.

    Attributes:
        columns: by field, what its column may be called.
        regions: the network's region by area, in any case of letters.
        separator: the characters that part skills in a cell.
    """

    portal: str
    columns: Mapping[str, tuple[str, ...]]
    regions: Mapping[str, str]
    separator: str = SEPARATOR

    def with_regions(self, remembered: Mapping[str, str]) -> "Reading":
        """The same, with further regions by area; what is given already stays."""
        further = {normalised(area): region for area, region in remembered.items()}
        return replace(self, regions={**further, **self.regions})

    def vacancy(self, row: Row) -> Vacancy:
        """The vacancy that a row is.

        Raises:
            Unfit: it is none.
        """
        if row.unfit:
            raise Unfit(row.unfit)
        id, cells = self.id_of(row), _by_name(row)
        if _read("closed", is_yes, self._value(cells, "closed")):
            return Vacancy(id, None)
        area = _text(self._value(cells, "area"))
        said = {
            "portal": self.portal,
            "title": _text(self._value(cells, "title")),
            "area": area,
            "region": self.regions.get(normalised(area)) if area else None,
            "skills": self._skills(self._value(cells, "skills")),
            "published_on": _read("published", lambda text: day_and_time(text)[0], self._value(cells, "published")),
            "enterprise": _text(self._value(cells, "enterprise")),
        }
        try:
            return Vacancy(id, VacancyObserved.model_validate({k: v for k, v in said.items() if v is not None}))
        except ValidationError as error:
            raise Unfit(enumerated([*map(_explained, error.errors(include_url=False))], "; ")) from None

    def id_of(self, row: Row) -> str:
        """The id of the vacancy that a row is: the portal and its number there.

        Raises:
            Unfit: it says none.
        """
        number = _text(self._value(_by_name(row), "id"))
        if number is None:
            raise Unfit(Text("id: is missing, and it is needed"))
        try:
            return _ID.validate_python(f"{self.portal}:{number}")
        except ValidationError as error:
            raise Unfit(_said_of("id", wording_of(error.errors(include_url=False)[0]))) from None

    def _value(self, cells: Mapping[str, Any], name: str) -> Any:
        return next((cells[column] for column in self.columns[name] if cells.get(column) not in (None, "", [])), None)

    def _skills(self, value: Any) -> list[str]:
        if isinstance(value, str):
            value = re.split(f"[{re.escape(self.separator)}]", value)
        names = [one.get("name") if isinstance(one, dict) else one for one in value or ()]
        return list(dict.fromkeys(filter(None, map(_text, names))))


def _by_name(row: Row) -> dict[str, Any]:
    return {normalised(name): value for name, value in row.cells.items()}


def misread(portal: str, map_: Mapping[str, str], regions: Mapping[str, str]) -> dict[str, Text]:
    """What is wrong with how a file is to be read, by what says it: the portal, the map of columns, the regions."""
    wrong: dict[str, Text] = {}
    if not _PORTAL.fullmatch(portal):
        wrong["portal"] = Text("take up to 30 Latin letters, digits and hyphens: hh")
    if unknown := sorted(set(map_.values()) - GUESSED.keys()):
        there = {"field": unknown[0], "fields": ", ".join(GUESSED)}
        wrong["map"] = Text("there is no field {field}; there are {fields}", there)
    for area, region in regions.items():
        try:
            _ID.validate_python(region)
        except ValidationError:
            about = {"area": area[:100], "region": region[:100]}
            wrong["region"] = Text(
                "{area}: “{region}” cannot be a region's id: up to 100 Latin letters, digits and . _ : ~ -, as "
                "organisations are registered with, for example RU-KEM",
                about,
            )
    return wrong


def reading(portal: str, map_: Mapping[str, str], regions: Mapping[str, str], separator: str) -> Reading:
    """How rows are read: by the columns that are given, else by what columns are usually called."""
    columns = dict(GUESSED)
    for name in set(map_.values()):
        columns[name] = tuple(normalised(column) for column, of in map_.items() if of == name)
    return Reading(portal, columns, {normalised(area): region for area, region in regions.items()}, separator)


def files_in(path: Path) -> list[Path]:
    """The files to read: the one, or those of a folder in the order of their names."""
    there = path.iterdir() if path.is_dir() else [path]
    return sorted(one for one in there if one.is_file() and not one.name.startswith("."))


def rows_in(stream: IO[bytes], name: str, how: Reading, pages: Pages) -> Iterator[Row]:
    """The rows of a file; never more than a page or a row of it is held.

    Raises:
        Unreadable: it is no table and no JSON.
        Unmapped: its columns do not say which vacancy a row is.
    """
    try:
        if is_json(stream):
            yield from _objects(stream, name, how, pages)
        else:
            yield from rows_of(table(stream), name, how)
    except UnicodeDecodeError as error:
        raise Unreadable("json", error.reason) from None


def is_json(stream: IO[bytes]) -> bool:
    """Is it JSON, by how it begins? It stands at its beginning afterwards."""
    stream.seek(0)
    head = stream.read(BLOCK).removeprefix(codecs.BOM_UTF8).lstrip()
    stream.seek(0)
    return head[:1] in (b"[", b"{")


def rows_of(found: Table, name: str, how: Reading) -> Iterator[Row]:
    """The rows of a table.

    Raises:
        Unmapped: its columns do not say which vacancy a row is.
    """
    _demand_columns(found.columns, how, [*NEEDED, *(name for name in GUESSED if how.columns[name] != GUESSED[name])])
    for row in found.read():
        wrong = [_said_of(column, why.words) for column, why in row.unfit.items()]
        unfit = enumerated(wrong, "; ") if wrong else ""
        yield Row(Text("{file}, row {number}", {"file": name, "number": row.number}), row.cells, unfit)


def _demand_columns(columns: Iterable[str], how: Reading, needed: Iterable[str]) -> None:
    there = set(map(normalised, columns))
    for name in needed:
        if not there.isdisjoint(how.columns[name]):
            continue
        said = {"field": name, "columns": ", ".join(columns), "column": " / ".join(how.columns[name])}
        if how.columns[name] != GUESSED[name]:
            raise Unmapped(Text("there is no column {column} to be {field}. The columns are: {columns}", said))
        raise Unmapped(
            Text("no column says what {field} is: map one to it, COLUMN={field}. The columns are: {columns}", said)
        )


# JSON


def _objects(stream: IO[bytes], name: str, how: Reading, pages: Pages) -> Iterator[Row]:
    number = 0
    for value in _values(codecs.getreader("utf-8-sig")(stream).read):
        for one in _items(value, pages):
            number += 1
            is_object = isinstance(one, dict)
            cells = dict(_flat(one)) if is_object else {}
            if number == 1:
                _demand_columns(cells, how, NEEDED)
            place = Text("{file}, item {number}", {"file": name, "number": number})
            yield Row(place, cells, "" if is_object else Why("object").words)


def _items(value: Any, pages: Pages) -> Iterable[Any]:
    """The vacancies of a page, or the one that a value is."""
    if isinstance(value, dict):
        pages.note(value)
        return next((value[key] for key in LISTS if isinstance(value.get(key), list)), [value])
    return value if isinstance(value, list) else [value]


def _flat(item: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in item.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def _values(read: Callable[[int], str]) -> Iterator[Any]:
    """The values of a JSON text one by one: the members of the array that it is, or values in a row.

    Raises:
        Unreadable: it is no JSON, ends early, or one value is larger than `MOST_CHARACTERS`.
    """
    decoder, text, at = json.JSONDecoder(), read(BLOCK).lstrip(), 0
    if is_array := text.startswith("["):
        at = 1
    while True:
        at = _behind_gap(text, at)
        if is_array and text[at : at + 1] == "]":
            if text[at + 1 :].strip() or read(BLOCK).strip():
                raise Unreadable("json", "more comes behind the array")
            return
        reason = "it ends early"
        if at < len(text):
            try:
                value, at = _decoded(decoder, text, at)
                yield value
                continue
            except json.JSONDecodeError as error:
                reason = error.msg
        more = read(max(BLOCK, len(text) - at))
        if not more and at == len(text) and not is_array:
            return
        text, at = text[at:] + more, 0
        if not more or len(text) > MOST_CHARACTERS:
            raise Unreadable("json", reason)


def _decoded(decoder: json.JSONDecoder, text: str, at: int) -> tuple[Any, int]:
    """The value that begins at a place, and where it ends."""
    try:
        return decoder.raw_decode(text, at)
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise Unreadable("json", "it is nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise Unreadable("json", str(error)) from None


_GAP = re.compile(r"[\s,]*")


def _behind_gap(text: str, at: int) -> int:
    found = _GAP.match(text, at)
    return found.end() if found else at


# cells


def _text(value: Any) -> str | None:
    """A cell as text: composed, without characters that nobody sees, and with single spaces."""
    if value is None or isinstance(value, bool | list | dict):
        return None
    text = composed(str(value))
    seen = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text if hidden(c) is None)
    return " ".join(seen.split()) or None


def _read(field: str, read: Callable[[str], Any], value: Any) -> Any:
    """What a cell says of a field; None: nothing."""
    text = _text(str(value) if isinstance(value, bool | list | dict) else value)
    if text is None:
        return None
    try:
        return read(text)
    except Unread as error:
        raise Unfit(_said_of(field, error.why.words)) from None


def _explained(error: Any) -> Text:
    return _said_of(".".join(map(str, error["loc"])), wording_of(error))


_OF_FIELD = "{field}: {why}"  # in each language


def _said_of(field: str, why: str) -> Text:
    about = {"field": field, "why": why}
    return Text(_OF_FIELD, about) if field else Text("{why}", about)
