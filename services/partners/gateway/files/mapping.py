"""What a row means: columns as fields of an event, mistakes in the words of the table; `cells.py` reads cells."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from hashlib import sha256
from html import unescape
from typing import Any, NamedTuple

from pydantic_core import to_json

from services.partners.gateway.contract.messages import SUBJECTS
from services.partners.gateway.contract.rules import (
    Schema,
    in_one,
    kinds_of_text,
    meaning_of,
    meant,
    resolved,
    rules_of,
    without_null,
)
from shared.contract import events
from shared.contract.events import DATA
from shared.files.cells import Unread
from shared.files.tables import EVENT, Row, Why
from shared.http.problems import Problem
from shared.pages.languages import LANGUAGES, Language, in_language, translated

from .cells import Field, value_of

MISTAKES_TOLD = 10  # of each kind, about columns: looking for similar names takes long
REMEMBERED = 100_000  # rows whose keys are compared
ATTRIBUTES = ("subject", "partitionkey", "time", "id")
# Further names of columns, as tables of institutions and enterprises have them.
NAMES = {
    "обучающийся": "learner",
    "студент": "learner",
    **dict.fromkeys(("время", "дата", "date", "окончание", "завершение", "дата_окончания", "ended"), "time"),
    **dict.fromkeys(("номер", "number", "no", "id"), "subject"),
}


class Mistake(NamedTuple):
    """What is wrong in a row: in which column (empty: none in particular), for which field, and what to do."""

    column: str
    field: str
    detail: str
    advice: str = ""

    def __str__(self) -> str:
        field = f" ({self.field})" if self.field not in ("", self.column) else ""
        place = f"{self.column}{field}: " if self.column else f"{self.field}: " if self.field else ""
        return f"{place}{self.detail}{_in_brackets(self.advice)}"


class Mistakes(Exception):
    """A row is no event, or the columns make none."""

    def __init__(self, mistakes: list[Mistake], status: int = 422) -> None:
        self.mistakes, self.status = mistakes, status
        super().__init__("; ".join(map(str, mistakes)))


@dataclass(frozen=True)
class Plan:
    """What the columns of a table mean.

    Attributes:
        columns: field by column.
        constants: value by field, for all rows.
        key: columns that tell rows apart; none: subject, learner and time do.
        offset: of times that name none.
    """

    type: str
    columns: Mapping[str, str]
    constants: Mapping[str, Any]
    key: Sequence[str]
    offset: timezone | None
    language: Language = "en"

    def column_of(self, path: str) -> tuple[str, str]:
        """The column that a path in an event came from (or nothing) and the field's name."""
        whole = path.removeprefix("data.").removesuffix(".[key]")
        plain = re.sub(r"\.\d+(?=\.|$)", "", whole)
        by_field = {field: column for column, field in self.columns.items()}
        known = [field for field in (whole, plain, plain.partition(".")[0]) if field in by_field]
        return (by_field[known[0]], known[0]) if known else ("", plain)


# the fields of a type


@cache
def fields_of(type_: str) -> dict[str, Field]:
    """What a column may be mapped to; `<name>.*` has any names in the place of the star."""
    learner = DATA[type_].key == "learner"
    text: Schema = {"type": "string"}
    fields = {"subject": Field(text, True), "time": Field({"type": "string", "format": "date-time"}, True)}
    if learner:
        fields["partitionkey"] = Field(text, True)
    fields["id"] = Field(text, False)
    root = events.data_schema(type_)
    for name, schema in root["properties"].items():
        fields |= _fields(name, _resolved(schema, root), root, name in root.get("required", ()))
    return fields


def _fields(name: str, schema: Schema, root: Schema, required: bool) -> dict[str, Field]:
    if values := schema.get("patternProperties"):
        return {f"{name}.*": Field(_resolved(next(iter(values.values())), root), False)}
    if schema.get("type") != "array":
        return {name: Field(schema, required)}
    item = _resolved(schema["items"], root)
    if "properties" not in item:
        return {name: Field(item, required, list=True)}
    parts = item["properties"].items()
    return {f"{name}.{part}": Field(_resolved(inner, root), False, list=True) for part, inner in parts}


def _resolved(schema: Schema, root: Schema) -> Schema:
    return resolved(without_null(schema), root)


def _known(type_: str, field: str) -> str | None:
    """The name of a field by any of its names."""
    field = field.removeprefix("data.")
    if field == "learner" and DATA[type_].topic == "learner":
        return "partitionkey" if DATA[type_].key == "learner" else "subject"
    if field in fields_of(type_):
        return field
    parent, dot, key = field.partition(".")
    return field if dot and key != "*" and f"{parent}.*" in fields_of(type_) else None


def _field(type_: str, name: str) -> Field:
    fields = fields_of(type_)
    return fields.get(name) or fields[f"{name.partition('.')[0]}.*"]


def suggested(columns: Iterable[str], type_: str) -> dict[str, str]:
    """The columns whose names say what they are, in any language; of two for one field the first."""
    names = _names(type_)
    found: dict[str, str] = {}
    for column in columns:
        field = names.get(_plain(column)) or _known(type_, column)
        if field and field not in found.values():
            found[column] = field
    return found


@cache
def _names(type_: str) -> dict[str, str]:
    """What columns may be called, with their fields; what is said first wins."""
    names = {field.casefold(): field for field in fields_of(type_) if not field.endswith(".*")}
    said = [(heading, field) for language in LANGUAGES for field, heading in headings_of(type_, language).items()]
    for known, name in NAMES.items():
        # A number of a person's own is no pseudonym: only what names the learner is taken for one.
        if (own := _known(type_, name)) and (own != _learner(type_) or name == "learner"):
            said.append((known, own))
    first_words = [(_plain(heading).partition("_")[0], field) for heading, field in said]
    words = [word for word, _ in first_words]
    said += [(word, field) for word, field in first_words if words.count(word) == 1]
    for name, field in said:
        names.setdefault(_plain(name), field)
    return names


def _learner(type_: str) -> str | None:
    """The field that names the learner, where a type has one."""
    return _known(type_, "learner") if DATA[type_].topic == "learner" else None


def _plain(name: str) -> str:
    return re.sub(r"[\s_.:-]+", "_", name.strip().casefold())


@cache
def headings_of(type_: str, language: Language) -> dict[str, str]:
    """What to call the column of each field, so that it is recognised; fields with names of their own have none."""
    fields = [field for field in fields_of(type_) if not field.endswith(".*")]
    if language == "en":
        return {field: shown_name(field) for field in fields}
    short = {field: _short(type_, field, language) for field in fields}
    several = {heading for heading in short.values() if list(short.values()).count(heading) > 1}
    return {
        field: f"{heading} ({shown_name(field)})" if heading in several else heading for field, heading in short.items()
    }


def _short(type_: str, field: str, language: Language) -> str:
    """The beginning of what a field means; of a part of something, behind what it is a part of."""
    parent, dot, _ = field.partition(".")
    own = re.split(r"[.,:;]", meaning(type_, field, language))[0]
    if not dot:
        return own
    return f"{re.split(r'[.,:;]', _meant(DATA[type_].__name__, parent, language))[0]}: {own[:1].lower()}{own[1:]}"


def _meant(model: str, field: str, language: Language) -> str:
    """What a field means, as the catalogue says it."""
    name = {"partitionkey": "learner"}.get(field) or field.removesuffix(".*").rpartition(".")[2]
    return meant(name, model, language)


# What may come as a row: what organisations publish, but for what is built on a page, or has an import of its own.
_OTHERWISE = (events.QuestionnairePublished, events.FrameworkItemDefined, events.FrameworkPublished)
ROWS = [name for name, data in DATA.items() if data.by != events.SERVICE and data not in _OTHERWISE]


def publishable(type_: str | None) -> str:
    """The type, if organisations may publish it in rows.

    Raises:
        Mistakes: there is none, or it is the services'.
    """
    if not type_:
        raise _misfit("no_type")
    if type_ not in ROWS:
        raise _misfit("type", type_[:100], _is_it(type_, ROWS))
    return type_


def plan(  # noqa: PLR0913
    columns: Sequence[str],
    type_: str,
    mapped: Mapping[str, str],
    *,
    constants: Mapping[str, str],
    key: Sequence[str] = (),
    offset: timezone | None = None,
    language: Language = "en",
) -> Plan:
    """What the columns mean, as *mapped* (field by column; nothing: not used) and, for the others, as their names say.

    Raises:
        Mistakes: they make no event.
    """
    wrong: list[Mistake] = []
    for column in [column for column in [*mapped, *key] if column not in columns][:MISTAKES_TOLD]:
        wrong.append(_mistake(column, "", Why("no_column", (column, _is_it(column, columns, language))), language))
    named = {column: field for column, field in mapped.items() if column in columns and field}
    for field in [field for field in (*named.values(), *constants) if _known(type_, field) is None][:MISTAKES_TOLD]:
        others = list(fields_of(type_))
        is_it = _is_it(field, others, language) or f": {', '.join(others)}"
        wrong.append(_mistake("", field, Why("no_field", (field, is_it)), language))
    chosen = {column: known for column, name in named.items() if (known := _known(type_, name))}
    fixed = {known: text for name, text in constants.items() if (known := _known(type_, name))}
    taken = {*chosen.values(), *fixed}
    for column, field in suggested([c for c in columns if c not in mapped], type_).items():
        if field not in taken:
            chosen[column] = field
    wrong += _twice(chosen, fixed, language) + _missing(type_, {*chosen.values(), *fixed}, language)
    values: dict[str, Any] = {}
    for field, text in fixed.items():
        try:
            values[field] = value_of(text, _field(type_, field), offset)
        except Unread as error:
            wrong.append(_mistake("", field, error.why, language))
    if wrong:
        raise Mistakes(wrong)
    in_order = {column: chosen[column] for column in columns if column in chosen}
    return Plan(type_, in_order, values, key, offset, language)


def _twice(chosen: Mapping[str, str], fixed: Iterable[str], language: Language) -> list[Mistake]:
    sources = [*((field, column) for column, field in chosen.items()), *((field, field) for field in fixed)]
    first: dict[str, str] = {}
    wrong = []
    for field, source in sources:
        if first.setdefault(field, source) != source:
            wrong.append(_mistake(source, field, Why("field_twice", (field, first[field], source)), language))
    return wrong


def _missing(type_: str, given: set[str], language: Language) -> list[Mistake]:
    return [
        _mistake(
            "",
            name,
            Why("field_missing", (shown_name(name), _in_brackets(_explanation(type_, name, language)))),
            language,
        )
        for name, field in fields_of(type_).items()
        if field.required and name not in given
    ]


def shown_name(field: str) -> str:
    return "learner" if field == "partitionkey" else field


def meaning(type_: str, field: str, language: Language) -> str:
    """What a field means, in words; its name where that says it."""
    if field == "subject":
        return translated(language, SUBJECTS[DATA[type_].short_type.partition(".")[0]])
    if field == "partitionkey" and language == "en":
        return "The learner's pseudonym, given by the institution; never a name"
    schema = _schemas()[type_]["properties"][field] if field in ATTRIBUTES else _field(type_, field).schema
    if language == "en":
        wording = meaning_of(field, schema, DATA[type_].__name__, language)
    else:
        wording = _meant(DATA[type_].__name__, field, language)
    return re.sub(r" \(RFC 3339.*\)", "", wording).rstrip(".") or field.replace("_", " ").replace(".", ": ").rstrip(
        "*: "
    )


def _explanation(type_: str, field: str, language: Language) -> str:
    """What a field means, unless its name says that."""
    wording = meaning(type_, field, language)
    return "" if wording == field else wording


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""


def _is_it(given: str, known: Iterable[str], language: Language = "en") -> str:
    similar = difflib.get_close_matches(given[:100], [name[:100] for name in known], n=1)
    return Why("is_it", (similar[0],)).text(language) if similar else ""


def _mistake(column: str, field: str, why: Why, language: Language) -> Mistake:
    return Mistake(column, shown_name(field), why.text(language))


def _misfit(code: str, *given: object) -> Mistakes:
    return Mistakes([Mistake("", "type", Why(code, given).text())])


# a row as an event


def events_of(
    rows: Iterable[Row], planned: Plan | None, organisation: str
) -> Iterator[tuple[Row, dict[str, Any] | Mistakes]]:
    """Each row as the event that it is, still to be judged, or what is wrong with it.

    Of two rows that have one key and say different things the second is refused here, where the first is still known.
    """
    first: dict[tuple[str, str], tuple[int, bytes]] = {}
    for row in rows:
        try:
            event = event_of(row, planned, organisation)
        except Mistakes as mistakes:
            yield row, mistakes
            continue
        reference = row.number, sha256(to_json(event)).digest()
        key = str(event.get("source")), event["id"] if isinstance(event.get("id"), str) else f"\n{row.number}"
        known = first.setdefault(key, reference) if len(first) < REMEMBERED else reference
        if known[1] == reference[1]:
            yield row, event
        else:
            yield row, Mistakes([_mistake("", "", Why("key_twice", (known[0],)), _language(planned))], 409)


def _language(planned: Plan | None) -> Language:
    return planned.language if planned else "en"


def event_of(row: Row, planned: Plan | None, organisation: str) -> dict[str, Any]:
    """The event that a row is, still to be judged.

    The same row gives the same event: its id follows from the organisation, the type and the row's key.
    Raises:
        Mistakes: cells that cannot be read.
    """
    if row.unfit:
        fields = planned.columns if planned else {}
        raise Mistakes([_mistake(c, fields.get(c, ""), why, _language(planned)) for c, why in row.unfit.items()])
    if isinstance(given := row.cells.get(EVENT), dict):
        return given
    if planned is None:
        raise _misfit("no_type")
    values, wrong = dict(planned.constants), []
    for column, field in planned.columns.items():
        try:
            if column in row.cells:
                values[field] = value_of(row.cells[column], _field(planned.type, field), planned.offset)
        except Unread as error:
            wrong.append(_mistake(column, field, error.why, planned.language))
    event: dict[str, Any] = {"specversion": "1.0", "source": f"/organisations/{organisation}", "type": planned.type}
    event |= {name: values.pop(name) for name in ATTRIBUTES if name in values}
    try:
        event["data"] = _nested(values, planned.type)
    except Unread as error:
        wrong.append(_mistake("", "", error.why, planned.language))
    if "id" not in event:
        wrong += [_mistake(c, "", Why("key_empty"), planned.language) for c in planned.key if c not in row.cells]
    if wrong:
        raise Mistakes(wrong)
    return {"id": _id(row, planned, organisation, event), **event}


def _id(row: Row, planned: Plan, organisation: str, event: Mapping[str, Any]) -> str:
    if planned.key:
        key = [str(row.cells[column]) for column in planned.key]
    else:
        moment = event.get("time")
        at = events.timestamp(datetime.fromisoformat(moment)) if moment else ""
        key = [event.get("subject", ""), event.get("partitionkey", ""), at]
    return events.derived_id("row", organisation, planned.type, *key)


def _nested(values: Mapping[str, Any], type_: str) -> dict[str, Any]:
    """Values by dotted names as data."""
    data: dict[str, Any] = {}
    for name, value in values.items():
        parent, dot, part = name.partition(".")
        if not dot:
            data[name] = value
        elif _field(type_, name).list:
            items = data.setdefault(parent, [{} for _ in value])
            if len(items) != len(value):
                raise Unread("lists", ", ".join(each for each in values if each.startswith(f"{parent}.")))
            for item, each in zip(items, value, strict=True):
                item[part] = each
        else:
            data.setdefault(parent, {})[part] = value
    return data


# what the ingress found wrong


def explained(problem: Problem, item: Any, planned: Plan | None) -> list[Mistake]:
    """The ingress' refusal of an event, in the words of the table that it came from."""
    more = problem.more or {}
    language = _language(planned)
    if planned and "rule" in more:
        return [_of_registry(problem, more["rule"], str(more.get("reference")), item, planned)]
    if "digests" in more:
        column = planned.column_of("id")[0] if planned else ""
        return [Mistake(column, "", Why("reused").text(language))]
    errors = problem.errors or [("", problem.detail)]
    return [_explained(path, detail, problem.status, item, planned) for path, detail in errors]


def _of_registry(problem: Problem, rule: str, reference: str, item: Any, planned: Plan) -> Mistake:
    """What an event refers to is not as the registry's rule wants it."""
    path = problem.errors[0][0] if problem.errors else ""
    holding = (n for n, value in item["data"].items() if reference == value or reference in _listed(value))
    column, field = planned.column_of(f"data.{next(holding, '')}" if path == "data" else path)
    said = translated(planned.language, rule, "registry rule")
    return Mistake(column, shown_name(field), problem.detail if said == rule else said.format(reference))


def _listed(value: Any) -> list[Any]:
    items = value if isinstance(value, list) else []
    return [part for item in items for part in (item.values() if isinstance(item, dict) else [item])]


def _explained(path: str, detail: str, status: int, item: Any, planned: Plan | None) -> Mistake:
    language = _language(planned)
    wording = in_language(detail, language)
    column, field = planned.column_of(path) if planned else ("", path)
    what = advice(item, path)
    if planned is None or path.endswith(".[key]"):
        return Mistake(column, field, wording, what)
    if path == "time" and "future" in detail:
        return Mistake(column, "time", Why("future", (detail,)).text(language))
    if not _is_there(item, path):
        why = Why("missing").text(language)
        return Mistake(column, shown_name(field), why, _explanation(planned.type, field, language) if column else what)
    if wording == detail and language != "en" and status == 422:  # kept in English: what was refused before
        rule = _rule(planned.type, field, language)
        wording = Why("rule", (detail, rule)).text(language) if rule else detail
    return Mistake(column, shown_name(field), wording, what if language == "en" and status == 422 else "")


def _is_there(item: Any, path: str) -> bool:
    if not path or isinstance(item, list) or (isinstance(item, dict) and path in item):
        return True
    name, _, rest = path.partition(".")
    return isinstance(item, dict) and name in item and _is_there(item[name], rest)


def _rule(type_: str, field: str, language: Language) -> str:
    """What the contract asks of a field, in words."""
    try:
        found = _field(type_, field)
    except KeyError:
        return ""
    rules = rules_of(found.schema, events.data_schema(type_), language) if found.schema.get("pattern", "-") else []
    return unescape(re.sub(r"<[^>]*>", "", in_one(rules)))


def advice(item: Any, field: str) -> str:
    """What the contract says of a field, or the field that may have been meant."""
    schema = _schemas().get(str(item.get("type"))) if isinstance(item, dict) else None
    if schema is None or not field:
        return ""
    place: Any = schema
    for name in field.split("."):
        fields = place.get("properties", {name: None})
        if name not in fields:
            similar = difflib.get_close_matches(name, fields, n=1)
            return f"is it {similar[0]}?" if similar else f"there are {', '.join(fields) or 'no fields'}"
        others: Any = next(iter(place.get("patternProperties", {}).values()), {})
        place = _resolved(place.get("items") or fields[name] or others, schema)
    says = str(place.get("description", ""))
    return "" if says in kinds_of_text().values() else says.rstrip(".")  # that is what the refusal says


_schemas = cache(events.schemas)
