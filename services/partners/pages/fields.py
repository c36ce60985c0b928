"""An action's form: which fields it shows, what can be chosen, and how what was typed becomes an event.

A form is a row of a table: it is read, and its mistakes are told, as those of a file are.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from secrets import token_hex
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from services.partners.gateway.contract.rules import Schema
from services.partners.gateway.files.mapping import (
    Mistake,
    Mistakes,
    Plan,
    event_of,
    explained,
    fields_of,
    headings_of,
    meaning,
    shown_name,
)
from shared.contract.events import HOSTS, Publisher
from shared.files.tables import Row
from shared.http.forms import Form
from shared.http.problems import Problem
from shared.http.visits import MemberVisit, Visit
from shared.pages.languages import N_, Language, Text, translated
from shared.processing import mongo

from .actions import Action

MOST_OPTIONS = 300
MOST_TICKS = 20  # what is longer is typed
MOST_FOUND = 10  # competencies by words
MOST_ITEMS = 60  # of a framework, to be offered as a whole
Options = list[tuple[str, str]]
YES_OR_NO = [("true", N_("yes")), ("false", N_("no"))]
LEVELS = [(str(level), str(level)) for level in range(1, 9)]
# Words of fields that the contract names for programs; in other languages the catalogue has them.
LABELS = {
    "subject": N_("Id"),
    "sandbox": N_("Sandbox"),
    "partitionkey": N_("Learner (pseudonym)"),
    "time": N_("Day"),
    "competencies.competency": N_("Competencies, with their level"),
    "joint_partners.organisation": N_("Partners that offer it together with you"),
    "parties": N_("Parties besides you"),
    "organisations": N_("Who took part besides you"),
    "competencies.*": N_("Competencies"),
    "score": N_("Score in per cent"),
    "assessor": N_("Assessor"),
}
IN_PER_CENT = ("score",)  # that the contract has from 0 to 1


class FormField(NamedTuple):
    """A field as it is shown.

    Attributes:
        widget: how: text, area, day, month, number, choice, several, ticks, levels, ratings, given.
        options: what can be chosen, as (value, words); of an open choice, what is proposed.
    """

    name: str
    label: str
    hint: str
    widget: str
    required: bool
    options: Options


async def form_fields(visit: MemberVisit, action: Action, given: Mapping[str, str]) -> list[FormField]:
    return [await _field(visit, action, name, given) for name in action.fields]


async def _field(visit: MemberVisit, action: Action, name: str, given: Mapping[str, str]) -> FormField:
    field = fields_of(action.full_type)[name]
    options = await _options(visit, action, name, field.schema, given)
    widget = "given" if name in given else _widget(name, field.schema, options, is_list=field.list)
    if (action.event, name) == ("employment.recorded", "enterprise"):
        widget = "open"  # where somebody works need not be of the network
    if widget == "levels" or (widget == "ticks" and name == "competencies"):
        options = [*options, *_added(visit, name, options)]
    label, hint = _words(action.full_type, name, visit.language)
    return FormField(name, label, hint, widget, field.required, options)


def _added(visit: Visit, field: str, options: Options) -> Options:
    """Competencies that were added by hand to those that are proposed; of words, those that have them in their name."""
    form = visit.form
    named = [name.removeprefix("level:") for name in form.values if name.startswith("level:") and form[name]]
    named += form.all("other" if field.endswith("competency") else field)
    found = [id for each in named for id in ([each] if ":" in each else visit.frameworks.search(each, MOST_FOUND))]
    known = {id for id, _ in options}
    return [(id, competency(visit, id)) for id in dict.fromkeys(found) if id not in known]


def _words(type_: str, name: str, language: Language) -> tuple[str, str]:
    """What to call a field, and what else to say of it."""
    said = meaning(type_, name, language)
    if name in LABELS:
        hint = said if name in ("subject", "sandbox", "assessor") else ""
        return translated(language, LABELS[name]), hint
    if language == "en":
        label = shown_name(name).replace("_", " ").capitalize()
        return label, "" if said.casefold() == label.casefold() else said
    label = headings_of(type_, language)[name]
    return label, said.removeprefix(label).lstrip(" .,:;")  # the label is how it begins


def _widget(name: str, schema: Schema, options: Options, *, is_list: bool) -> str:  # noqa: PLR0911
    if name in ("competencies.competency", "competencies.*"):
        return "levels" if name.endswith("competency") else "ratings"
    if is_list:
        return "ticks" if name == "competencies" or 0 < len(options) <= MOST_TICKS else "several"
    if (schema.get("minimum"), schema.get("maximum")) == (1, 5):
        return "rating"
    if options:
        return "choice" if len(options) < MOST_OPTIONS and name != "competency" else "open"
    if schema.get("format") in ("date", "date-time"):
        return "day"
    if "19|20|21" in schema.get("pattern", ""):
        return "month"
    if schema.get("type") in ("integer", "number"):
        return "number"
    return "area" if schema.get("maxLength", 0) >= 500 and name not in ("title", "name", "scope") else "text"


async def _options(visit: MemberVisit, action: Action, name: str, schema: Schema, given: Mapping[str, str]) -> Options:
    language = visit.language
    if "enum" in schema:
        return [(value, translated(language, value, "value")) for value in schema["enum"]]
    if schema.get("type") == "boolean":
        return [(value, translated(language, words)) for value, words in YES_OR_NO]
    if name in ("level", "study_level"):
        return LEVELS
    own = visit.member.organisation
    if name.startswith("competenc"):
        question = ("competencies", given.get("request"), own, language, visit.frameworks.reading)
        return await visit.service.recent(question, lambda: competencies(visit, given))
    if name in REFERENCES:
        return await visit.service.recent(("references", name, own), lambda: _references(visit, name))
    return []


# Fields that name something of the registry: its collection, and what it is called by. In others anything is typed.
REFERENCES = {
    **dict.fromkeys(("parties", "organisations", "joint_partners.organisation"), ("organisations", "name")),
    **dict.fromkeys(("enterprise", "institution"), ("organisations", "name")),
    **dict.fromkeys(("programme", "programmes"), ("programmes", "title")),
    "agreement": ("agreements", "scope"),
    "opportunity": ("opportunities", "title"),
}


async def _references(visit: MemberVisit, name: str) -> Options:
    """What of the registry may be named in a field."""
    own, (collection, words) = visit.member.organisation, REFERENCES[name]
    match: dict[str, Any] = {words: {"$exists": True}}
    if kinds := {"enterprise": list(HOSTS), "institution": [Publisher.institution]}.get(name):
        match["kind"] = {"$in": kinds}
    elif collection == "organisations":
        match["_id"] = {"$ne": own}
    elif collection == "programmes" and visit.member.kind not in HOSTS:
        match["$or"] = [{"institution": own}, {"joint_partners.organisation": own}]
    elif collection == "agreements":
        match |= {"parties": own, "status": "signed"}
    elif collection == "opportunities":
        match["status"] = "open"
    return await _named(visit.service.db, collection, match, words)


async def _named(db: mongo.Database, collection: str, match: Mapping[str, Any], words: str) -> Options:
    found = db[collection].find(match, {words: 1}).sort(words, 1).limit(MOST_OPTIONS)
    return [(doc["_id"], f"{doc.get(words, doc['_id'])} · {doc['_id']}") async for doc in found]


async def competencies(visit: MemberVisit, given: Mapping[str, str]) -> Options:
    """Competencies of small frameworks, and those that programmes name; of a request only its own.

    Others are typed: by id, or by words of their names.
    """
    if request := given.get("request"):
        own = {"_id": request, "respondent": visit.member.organisation}
        doc = await visit.service.db["requests"].find_one(own, {"competencies": 1}) or {}
        known = doc.get("competencies") or []
    else:
        named = visit.service.db["programmes"].aggregate(
            [
                {"$unwind": "$competencies"},
                {"$group": {"_id": "$competencies.competency"}},
                {"$sort": {"_id": 1}},
                {"$limit": MOST_OPTIONS},
            ]
        )
        known = list(dict.fromkeys([*visit.frameworks.offered(MOST_ITEMS), *[doc["_id"] async for doc in named]]))
    return [(id, competency(visit, id)) for id in known]


def competency(visit: Visit, id: str) -> str:
    """A competency's name, with its id."""
    name = visit.frameworks.name(id, visit.language)
    return id if name == id else f"{name} · {id}"


# before anything is typed


def proposed(visit: MemberVisit, action: Action, given: Mapping[str, str]) -> Form:
    """The form as it is opened: what the page before gave, and what is likely."""
    values = dict(given)
    if "subject" not in values and action.is_new:
        values["subject"] = f"{visit.member.organisation}:{token_hex(4)}"
    if visit.member.kind in HOSTS and "enterprise" in action.fields:
        values.setdefault("enterprise", visit.member.organisation)
    today = datetime.now(zone(visit)).date().isoformat()
    for name in {"time", "valid_from", "graduated_on", "left_on", "ended_on"} & {*action.fields}:
        values.setdefault(name, today)
    return Form.filled(**values)


def zone(visit: Visit) -> ZoneInfo:
    return ZoneInfo(visit.service.settings.time_zone)


# what was typed, as an event


def item_of(visit: MemberVisit, action: Action) -> tuple[dict[str, Any], Plan]:
    """The event that the form says, still to be judged, and where its fields came from.

    Raises:
        Mistakes: something cannot be read.
    """
    cells = _from_per_cent(_cells(visit.form, action), visit.language)
    fields = fields_of(action.full_type)
    columns = {name: name for name in cells if name in fields or name.partition(".")[0] + ".*" in fields}
    if action.event == "agreement.proposed":
        cells["parties"] = [visit.member.organisation, *cells.get("parties", [])]
    now = datetime.now(zone(visit))
    today = now.date().isoformat()
    day = cells.setdefault("time", today)
    if day == today:  # the moment itself: noon, which a day alone stands for, may not have come yet
        cells["time"] = now.isoformat(timespec="milliseconds")
    planned = Plan(action.full_type, {**columns, "time": "time"}, {}, (), _offset(zone(visit), day), visit.language)
    return event_of(Row(0, cells, {}), planned, visit.member.organisation), planned


def _offset(zone: ZoneInfo, day: str) -> timezone:
    """How far a zone is from UTC on a day; of what is no day, today: its mistake is told when it is read."""
    try:
        at = datetime.fromisoformat(day)
    except ValueError:
        at = datetime.now(zone)
    return timezone(at.replace(tzinfo=zone).utcoffset() or timedelta(0))


def _cells(form: Form, action: Action) -> dict[str, Any]:
    """What was typed, by field; what is empty is absent."""
    cells: dict[str, Any] = {}
    for name in ("subject", *action.fields):
        values = form.all(name)
        if values:
            cells[name] = values if fields_of(action.full_type)[name].list else values[0]
    for name in form.values:
        if name.startswith("competencies.") and name not in cells and form[name]:
            cells[name] = form[name]
    chosen = {
        name.removeprefix("level:"): form[name] for name in form.values if name.startswith("level:") and form[name]
    }
    if chosen:
        cells |= {"competencies.competency": list(chosen), "competencies.level": list(chosen.values())}
    return cells


def _from_per_cent(cells: dict[str, Any], language: Language) -> dict[str, Any]:
    """The cells with what people say in per cent as the contract has it; what is no number is left to be told.

    Raises:
        Mistakes: it is out of bounds, or said from 0 to 1.
    """
    for name in {*IN_PER_CENT} & {*cells}:
        try:
            number = float(cells[name].replace(",", "."))
        except ValueError:
            continue
        if not (number == 0 or 1 <= number <= 100):
            raise Mistakes([Mistake(name, name, translated(language, N_("in per cent, from 0 to 100: 85")))])
        cells[name] = repr(number / 100)
    return cells


async def with_kinds(visit: MemberVisit, item: dict[str, Any]) -> dict[str, Any]:
    """The kinds of partners that a programme names: the registry knows them."""
    partners = item["data"].get("joint_partners", [])
    ids = [each["organisation"] for each in partners]
    known = visit.service.db["organisations"].find({"_id": {"$in": ids}}, {"kind": 1})
    kinds = {doc["_id"]: doc.get("kind") async for doc in known}
    for each in partners:
        each["kind"] = kinds.get(each["organisation"]) or "enterprise"  # who is not registered is refused for that
    return item


def add_mistakes(
    form: Form, mistakes: Mistakes | Problem, item: Any, planned: Plan | None, fields: Iterable[str]
) -> None:
    """Say what is wrong beside the form's fields; what belongs to none is said of the whole."""
    found = mistakes.mistakes if isinstance(mistakes, Mistakes) else explained(mistakes, item, planned)
    shown = {*fields}
    for mistake in found:
        name = mistake.column or {"learner": "partitionkey", "id": "subject"}.get(mistake.field, mistake.field)
        name = name if name in shown else next((each for each in shown if each.partition(".")[0] == name), "")
        detail = mistake.detail if name else f"{mistake.field}: {mistake.detail}" if mistake.field else mistake.detail
        form.add_error(name, detail)


UNSURE = Text("tick this, if it is meant")
