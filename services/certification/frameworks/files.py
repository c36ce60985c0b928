"""Files of competency frameworks as items: ESCO's own CSV files, and tables of one's own. Pure but for the reading."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from shared.contract import frameworks as built_in
from shared.contract.events import FrameworkId, FrameworkItemDefined, Id, wording_of
from shared.files.cells import Unread, is_yes
from shared.files.tables import Row, Table
from shared.pages.languages import LANGUAGES, Text

ESCO = "esco"
ESCO_NAME = {
    "en": "ESCO, European Skills, Competences, Qualifications and Occupations",
    "ru": "ESCO, европейская классификация навыков, компетенций, квалификаций и профессий",
}
ESCO_ABOUT = {"origin": "https://esco.ec.europa.eu", "licence": "© European Union; reuse with attribution"}
_URI = re.compile(r"https?://data\.europa\.eu/esco/(skill|isced-f)/([A-Za-z0-9._-]{1,56})")
_SEVERAL = re.compile(r"\s*[|\n]\s*")
# What columns hold, by their headings in small letters; `*` stands for the language that the file is in.
COLUMNS = {
    **dict.fromkeys(("id", "concepturi", "ид", "код"), "id"),
    **dict.fromkeys(("name", "preferredlabel", "название"), "name.*"),
    **dict.fromkeys(("alternative", "altlabels", "synonyms", "синонимы"), "alternative.*"),
    **dict.fromkeys(("area", "broaderconceptpt", "область"), "area.*"),
    **dict.fromkeys(("broader", "broaderconcepturi", "broaderuri", "шире"), "broader"),
    **dict.fromkeys(("sustainability", "устойчивое_развитие"), "sustainability"),
    "uri": "uri",
    "status": "status",
    **{f"{name}_{ln}": f"{name}.{ln}" for name in ("name", "alternative", "area") for ln in LANGUAGES},
}
KEPT_OF_BEFORE = {"name": "name", "origin": "source", "licence": "licence"}  # as a framework is shown
AT_ONCE = 1_000  # items in a request
RESERVED = "import"  # what the address of the import has in place of a framework's id
KEPT = 100  # refused rows that are told
Item = dict[str, Any]


class Unfit(ValueError):
    """A file, or a row of it, will not do: the column (empty: all of it), and why."""

    def __init__(self, column: str, why: str) -> None:
        self.column, self.why = column, why
        super().__init__(f"{column}: {why}" if column else why)


class Refused(NamedTuple):
    """A row that is no item: its number as a spreadsheet counts, the column, and why."""

    file: str
    row: int
    column: str
    why: str


@dataclass
class Items:
    """The items of a version, gathered from files one after the other; what comes later adds to what is there.

    Attributes:
        of: by id, as `framework.item_defined` says them.
        places: by id, the file and the row that has it first.
        foreign: rows about competencies that the first file does not have.
        left_out: rows that are no longer valid by ESCO's own word.
    """

    framework: str
    of: dict[str, Item] = field(default_factory=dict)
    places: dict[str, tuple[str, int]] = field(default_factory=dict)
    read: int = 0
    foreign: int = 0
    left_out: int = 0
    repeated: int = 0
    number_refused: int = 0
    refused: list[Refused] = field(default_factory=list)
    is_esco: bool = False

    def take(self, table: Table, file: str, language: str = "en") -> None:
        """Take every row as an item; to one that is there already from another file it adds.

        Raises:
            Unfit: the table has no column of ids or of names.
        """
        columns = self._columns(table, language, ("id", "name"))
        places: dict[str, int] = {}
        for row, said in self._rows(table, columns, file):
            self.read += 1
            if said.pop("status", "released") != "released":
                self.left_out += 1
                continue
            try:
                id, item = self._item(said)
            except Unfit as error:
                self._refuse(file, row, _column(error.column, columns), error.why)
                continue
            if id in places:
                self.repeated += 1
                if _merged(self.of[id], item) != self.of[id]:
                    self._refuse(
                        file,
                        row,
                        _column("id", columns),
                        Text("row {row} says something else of it", {"row": places[id]}),
                    )
                continue
            places[id] = row
            self.places.setdefault(id, (file, row))
            self.of[id] = _merged(self.of.get(id, {}), item)

    def name(self, table: Table, file: str, language: str) -> None:
        """Add the names, alternative labels and areas of another language to the items that are there."""
        columns = self._columns(table, language, ("id", "name"))
        for row, said in self._rows(table, columns, file):
            added: Item = {name: said[name] for name in ("name", "alternative", "area") if name in said}
            self._add(file, row, said, columns, added)

    def relate(self, table: Table, file: str) -> None:
        """Add what each item is a part of: ESCO's broaderRelationsSkillPillar, a pair a row."""
        columns = self._columns(table, "en", ("id", "broader"))
        for row, said in self._rows(table, columns, file):
            self._add(file, row, said, columns, {"broader": said.get("broader", [])})

    def mark(self, table: Table, file: str) -> None:
        """Mark the items that the table lists as sustainability competencies: ESCO's greenSkillsCollection."""
        columns = self._columns(table, "en", ("id",))
        for row, said in self._rows(table, columns, file):
            self._add(file, row, said, columns, {"sustainability": True})

    def demand_broader(self) -> None:
        """Refuse the items that are a part of something which is in none of the files.

        Not of ESCO's: its collections are skills without the groups that they are in.
        """
        if self.is_esco:
            return
        for id, item in [*self.of.items()]:
            missing = [parent for parent in item.get("broader", ()) if parent not in self.of]
            if missing:
                del self.of[id]
                file, row = self.places[id]
                self._refuse(file, row, "broader", Text("{id} is not in the file", {"id": missing[0]}))

    def _add(self, file: str, row: int, said: Item, columns: Mapping[str, str], added: Item) -> None:
        try:
            id = self._id(said.get("id", ""))
            if id not in self.of:
                self.foreign += 1
                return
            self.of[id] = self._checked(id, _merged(self.of[id], added))
        except Unfit as error:
            self._refuse(file, row, _column(error.column, columns), error.why)

    def _columns(self, table: Table, language: str, needed: Iterable[str]) -> dict[str, str]:
        """What each column that is known holds."""
        known = {heading: COLUMNS.get(heading.strip().lower().replace(" ", "_"), "") for heading in table.columns}
        columns = {heading: what.replace("*", language) for heading, what in known.items() if what}
        for name in needed:
            if not any(what.partition(".")[0] == name for what in columns.values()):
                raise Unfit(
                    name,
                    Text("there is no such column; there are {columns}", {"columns": ", ".join(table.columns)[:500]}),
                )
        return columns

    def _rows(self, table: Table, columns: Mapping[str, str], file: str) -> Iterator[tuple[int, Item]]:
        for row in table.read():
            try:
                said = self._said(row, columns)
            except Unfit as error:
                self.read += 1
                self._refuse(file, row.number, error.column, error.why)
            else:
                yield row.number, said

    def _said(self, row: Row, columns: Mapping[str, str]) -> Item:
        """What a row says, by the fields of an item."""
        for column, why in row.unfit.items():
            if not column or column in columns:
                raise Unfit(column, why.words)
        said: Item = {}
        for heading, what in columns.items():
            if heading not in row.cells:
                continue
            if not isinstance(text := row.cells[heading], str):
                raise Unfit(heading, Text("must be one text"))
            name, _, language = what.partition(".")
            value = self._value(name, heading, text)
            if language:
                said.setdefault(name, {})[language] = value
            elif value is not None:
                said[name] = value
        return said

    def _value(self, name: str, heading: str, text: str) -> Any:
        """What a cell says of a field; None: nothing."""
        several = [*dict.fromkeys(filter(None, _SEVERAL.split(text)))]
        match name:
            case "name":
                return " ".join(text.split())
            case "area":
                return several[0] if several else text
            case "alternative":
                return several
            case "broader":
                return [self._id(each) for each in several]
            case "sustainability":
                try:
                    return is_yes(text) or None
                except Unread as error:
                    raise Unfit(heading, error.why.words) from None
        return text

    def _item(self, said: Item) -> tuple[str, Item]:
        if not said.get("id"):
            raise Unfit("id", Text("is empty, and it is needed"))
        if not said.get("name"):
            raise Unfit("name", Text("is empty, and it is needed"))
        given = said.pop("id")
        if _URI.fullmatch(given):
            said.setdefault("uri", given)
        id = self._id(given)
        return id, self._checked(id, said)

    def _checked(self, id: str, item: Item) -> Item:
        """The item as the contract has it, if it fits.

        Raises:
            Unfit: it does not.
        """
        said = {"framework": self.framework, "version": "1", **item}
        try:
            data = FrameworkItemDefined.model_validate(said).model_dump(mode="json", exclude_defaults=True)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise Unfit(".".join(map(str, first["loc"])), wording_of(first)) from None
        return {name: value for name, value in data.items() if name not in ("framework", "version")}

    def _id(self, given: str) -> str:
        """A competency's id: of ESCO's addresses the last part; of one's own with the framework's id before it."""
        if uri := _URI.fullmatch(given):
            self.is_esco = True
            given = uri[2] if uri[1] == "skill" else f"{uri[1]}.{uri[2]}"
        id = given if ":" in given else f"{self.framework}:{given}"
        if not id.startswith(f"{self.framework}:"):
            wanted = {"framework": self.framework, "item": id.partition(":")[2]}
            raise Unfit("id", Text("must be an item of the framework: {framework}:{item}", wanted))
        if not _ID.fullmatch(id):
            raise Unfit("id", Text("must be up to 64 Latin letters, digits and . _ - with a letter or a digit first"))
        return id

    def _refuse(self, file: str, row: int, column: str, why: str) -> None:
        self.number_refused += 1
        if len(self.refused) < KEPT:
            self.refused.append(Refused(file, row, column, why))


def about_of(items: Items, version: str, before: Mapping[str, Any] | None, given: Item) -> Item:
    """What is said of a version, of which these are all items: what is given, else what was said of the one before.

    Args:
        before: the framework as it is shown now, if there is one.
    """
    about: Item = {"name": ESCO_NAME, **ESCO_ABOUT} if items.is_esco and items.framework == ESCO else {}
    if before:
        about = {name: before[shown] for name, shown in KEPT_OF_BEFORE.items() if before[shown]}
    about = _merged(about, {name: value for name, value in given.items() if value})
    return {"name": {"en": items.framework}, **about, "version": version, "items": len(items.of)}


_FRAMEWORK_ID: TypeAdapter[str] = TypeAdapter(FrameworkId)
_VERSION: TypeAdapter[str] = TypeAdapter(Id)
TAKEN = (*built_in.FRAMEWORKS, RESERVED)


def misnamed(framework: str, version: str) -> dict[str, str]:
    """What is wrong with the names of a framework and its version, by field."""
    wrong: dict[str, str] = {}
    for what, adapter, name in (("framework", _FRAMEWORK_ID, framework), ("version", _VERSION, version)):
        try:
            adapter.validate_python(name)
        except ValidationError as error:
            wrong[what] = wording_of(error.errors(include_url=False)[0])
    if framework in TAKEN:
        wrong["framework"] = Text("{framework} is built in, or reserved", {"framework": framework})
    return wrong


_ID = re.compile(r"[a-z][a-z0-9-]{0,29}:[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _merged(item: Item, added: Item) -> Item:
    """An item with what is added: texts by language, lists without repetition."""
    merged = dict(item)
    for name, value in added.items():
        if isinstance(value, dict):
            merged[name] = {**merged.get(name, {}), **value}
        elif isinstance(value, list):
            merged[name] = list(dict.fromkeys([*merged.get(name, ()), *value]))
        else:
            merged[name] = value
    return merged


def _column(path: str, columns: Mapping[str, str]) -> str:
    """The heading of the column that holds a field; the field itself where there is none."""
    parts = path.split(".")
    wanted = {".".join(parts[:length]) for length in (1, 2)}
    holding = (heading for heading, what in columns.items() if what in wanted or what.partition(".")[0] == path)
    return next(holding, path)
