"""The contract as it is served: a page for people, schemas and the AsyncAPI document for programs."""

import json
import re
from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from pydantic import TypeAdapter

from shared.contract import events
from shared.contract.events import DATA, TOPICS, Data
from shared.http.problems import Problem
from shared.http.service import Running
from shared.log.topics import PARTITIONS
from shared.settings import Settings

from . import asyncapi
from .examples import EXAMPLES
from .messages import FIELDS, PATTERNS, PHRASES, PUBLISHERS, RULES, TYPES, UI, VALUES

Language = Literal["en", "ru"]
Schema = dict[str, Any]
router = APIRouter(tags=["contract"])
STYLE = Path(__file__).parent / "page.css"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}


class SchemaResponse(JSONResponse):
    media_type = "application/schema+json"


# for programs


@router.get("/asyncapi.json")
async def read_asyncapi() -> Schema:
    """The AsyncAPI 3 document."""
    return _asyncapi()


_asyncapi = cache(asyncapi.document)
_event_schemas = cache(events.schemas)


@router.get("/schemas/{type}.json", response_class=SchemaResponse)
async def read_event_schema(type: str) -> Response:
    """JSON Schema of an event type: the whole event, as it is on the log."""
    return SchemaResponse(_event_schemas()[_known(type)])


@router.get("/schemas/{type}/data.json", response_class=SchemaResponse)
async def read_data_schema(type: str) -> Response:
    """JSON Schema of an event type's data: what its `dataschema` names."""
    return SchemaResponse(events.data_schema(_known(type)))


def _known(type_: str) -> str:
    if type_ not in DATA:
        raise Problem(404, f"there is no type {type_[:100]}")
    return type_


# for people


@router.get("/contract", response_class=HTMLResponse)
async def contract_page(
    service: Running,
    language: Annotated[Language | None, Query(description="Else what Accept-Language prefers.")] = None,
    accept_language: Annotated[str, Header()] = "",
) -> Response:
    """Every event with an example and its rules, in English or Russian."""
    chosen = language or preferred(accept_language)
    headers = {**HEADERS, "Content-Language": chosen, "Vary": "Accept-Language"}
    return HTMLResponse(page(chosen, service.settings), headers=headers)


@router.get("/contract/contract.css", include_in_schema=False)
async def contract_style() -> Response:
    return FileResponse(STYLE, media_type="text/css; charset=utf-8", headers=HEADERS)


def preferred(accept_language: str) -> Language:
    """Russian if it is wanted at least as much as English (RFC 9110, section 12.5.4)."""
    wanted = {"en": 0.0, "ru": 0.0}
    for tag, quality in re.findall(r"\b(en|ru)\b[^,;]*(?:;\s*q=([\d.]{1,5}))?", accept_language.lower()):
        wanted[tag] = max(wanted[tag], float(quality) if re.fullmatch(r"\d(\.\d*)?", quality) else 1.0)
    return "ru" if wanted["ru"] > 0 and wanted["ru"] >= wanted["en"] else "en"


def sent(type_: str) -> dict[str, Any]:
    """The example of a type as its publisher sends it; what only services publish, as it is on the log."""
    event, data = EXAMPLES[type_].model_dump(mode="json", exclude_none=True), DATA[type_]
    stamped = set() if data.by == events.SERVICE else {"sourcekind", "datacontenttype"}
    if stamped and data.topic != "learner":
        stamped.add("partitionkey")
    return {name: value for name, value in event.items() if name not in stamped}


def page(language: Language, settings: Settings) -> str:
    ui = UI[language]
    limits = {
        "event_kib": settings.event_max_bytes // 1024,
        "batch_events": settings.batch_max_events,
        "batch_mib": settings.batch_max_bytes // 1024**2,
    }
    rules = "".join(f"<li>{rule.format(**limits)}</li>" for rule in RULES[language])
    contents = "".join(
        f"<li><b>{topic}</b><span>{', '.join(map(_link, _types(topic)))}</span></li>" for topic in TOPICS
    )
    return f"""<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{ui["title"]} — Praktika</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="contract/contract.css">
</head>
<body>
<a class="skip" href="#contents">{ui["skip"]}</a>
<header><div class="bar"><strong>Praktika</strong>
<nav>{_languages(language)}</nav></div></header>
<main>
<h1>{ui["title"]}</h1>
<p>{ui["lead"]}</p>
<p>{
        ui["machines"]
    }: <a href="asyncapi.json">AsyncAPI</a>, <a href="openapi.json">OpenAPI</a>, <a href="docs">Swagger UI</a>.</p>
<section class="card"><h2>{ui["all"]}</h2><ul>{rules}</ul></section>
<section class="card"><h2>{ui["attributes"]}</h2>{_attributes(language)}</section>
<section class="card" id="contents"><h2>{ui["contents"]}</h2><ul class="contents">{contents}</ul></section>
{_topics(language)}
</main>
</body>
</html>
"""


def _languages(chosen: Language) -> str:
    names = {"en": "English", "ru": "Русский"}
    return "".join(
        f'<span aria-current="true">{name}</span>'
        if language == chosen
        else f'<a href="?language={language}" lang="{language}" hreflang="{language}">{name}</a>'
        for language, name in names.items()
    )


def _types(topic: str) -> list[str]:
    return [type_ for type_, data in DATA.items() if data.topic == topic]


def _link(type_: str) -> str:
    return f'<a href="#{type_}">{DATA[type_].short_type}</a>'


@cache
def _topics(language: Language) -> str:
    return "".join(_topic(topic, language) for topic in TOPICS)


def _topic(topic: str, language: Language) -> str:
    ui = UI[language]
    partitions = ui["partitions"].format(PARTITIONS.get(topic, 3))
    return (
        f"<section><h2>{ui['topic']} <code>praktika.{topic}</code> <small>{partitions}</small></h2>"
        f"{''.join(_article(type_, language) for type_ in _types(topic))}</section>"
    )


def _article(type_: str, language: Language) -> str:
    data, ui = DATA[type_], UI[language]
    schema = events.data_schema(type_)
    fields = schema["properties"]
    example = escape(json.dumps(sent(type_), indent=2, ensure_ascii=False), quote=False)
    shown = ui["example"] if data.by == events.SERVICE else ui["sent"]
    by = ", ".join(PUBLISHERS[language][kind] for kind in data.by)
    return f"""<article class="card" id="{type_}">
<h3><a href="#{type_}">{type_}</a></h3>
<p class="says">{_says(data, language)}</p>
<dl><div><dt>{ui["by"]}</dt><dd>{by}</dd></div><div><dt>{ui["key"]}</dt><dd>{_key(data, ui)}</dd></div>
<div><dt>{ui["schemas_of"]}</dt><dd><a href="schemas/{type_}.json">{ui["whole"]}</a>,
<a href="schemas/{type_}/data.json">{ui["data"]}</a></dd></div></dl>
<div class="sides"><div>{
        _table(fields, schema, data.__name__, language)
        if fields
        else f"<p>{ui['nothing'].format('<code>{}</code>')}</p>"
    }</div>
<figure><figcaption>{shown}</figcaption><pre tabindex="0">{example}</pre></figure></div>
</article>"""


def _says(data: type[Data], language: Language) -> str:
    return escape(TYPES[data.short_type] if language == "ru" else (data.__doc__ or ""), quote=False)


def _key(data: type[Data], ui: dict[str, str]) -> str:
    if data.key in ("subject", "learner"):
        return ui[f"key_{data.key}"]
    optional = not data.model_fields[data.key].is_required()
    return ui["key_field"].format(data.key) + (ui["else_subject"] if optional else "")


def _attributes(language: Language) -> str:
    schema = events.schemas()["praktika.learner.erased.v1"]
    schema["properties"]["type"] = {"type": "string"}
    schema["properties"]["data"] = {"type": "object"}
    return _table(schema["properties"], schema, "Event", language)


def _table(fields: Schema, root: Schema, model: str, language: Language) -> str:
    ui, required = UI[language], root.get("required", ())
    rows = "".join(_rows(name, field, root, model, language, name in required) for name, field in fields.items())
    heads = "".join(f'<th scope="col">{ui[head]}</th>' for head in ("field", "meaning", "rule"))
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _rows(  # noqa: PLR0913, PLR0917
    name: str, field: Schema, root: Schema, model: str, language: Language, required: bool
) -> str:
    """A field's row and, if it holds objects, those of their fields."""
    choices = [choice for choice in field.get("anyOf", [field]) if choice != {"type": "null"}]
    whole = {**choices[0], **{key: value for key, value in field.items() if key != "anyOf"}}
    rules = [*rules_of(whole, root, language), *([] if required else [_phrase("optional", language)])]
    meaning = meaning_of(name, whole, model, language)
    row = (
        f'<tr><th scope="row"><code>{name}</code></th><td>{escape(meaning, quote=False)}</td>'
        f"<td>{'; '.join(rules)}</td></tr>"
    )
    part = _resolved(whole.get("items", {}), root)
    if "properties" not in part:
        return row
    inner = part["properties"].items()
    return row + "".join(
        _rows(f"{name}[].<wbr>{inner_name}", inner_field, root, part["title"], language, inner_name in part["required"])
        for inner_name, inner_field in inner
    )


def meaning_of(name: str, field: Schema, model: str, language: Language) -> str:
    """What a field says, unless its rule already does."""
    if language == "ru":
        last = name.rpartition("<wbr>")[2]
        return FIELDS.get(f"{model}.{last}") or FIELDS[last]
    described = str(field.get("description", ""))
    return "" if field.get("pattern") in _patterns() and described in _patterns()[field["pattern"]] else described


@cache
def _patterns() -> dict[str, tuple[str, str]]:
    """The models' kinds of text in words (English, Russian), by their pattern."""
    kinds = {name: TypeAdapter(getattr(events, name)).json_schema() for name in PATTERNS}
    return {kind["pattern"]: (kind["description"], PATTERNS[name]) for name, kind in kinds.items()}


def rules_of(field: Schema, root: Schema, language: Language) -> list[str]:
    """What a field's value must be, as phrases of HTML."""
    field = _resolved(field, root)
    match field:
        case {"const": value}:
            rules = [_phrase("const", language, _code(value))]
        case {"enum": values}:
            rules = [f"{_phrase('choice', language)} {_choices(values, language)}"]
        case {"type": "array"}:
            rules = _list_rules(field, root, language)
        case {"patternProperties": _}:
            rules = _pairs_rules(field, root, language)
        case {"type": "integer" | "number" as kind}:
            rules = [_phrase(kind, language), *_range(field, language)]
        case {"type": "string"}:
            rules = _text_rules(field, language)
        case _:
            rules = [_phrase(field["type"], language)]
    return rules


def _choices(values: Iterable[str], language: Language) -> str:
    if language == "en":
        return ", ".join(map(_code, values))
    return ", ".join(f"{_code(value)} ({VALUES[value]})" for value in values)


def _list_rules(field: Schema, root: Schema, language: Language) -> list[str]:
    least, most = field.get("minItems"), field["maxItems"]
    counted = _phrase("list_from", language, least, most) if least else _phrase("list", language, most)
    item = _resolved(field["items"], root)
    each = [] if "properties" in item else [f"{_phrase('each', language)} {'; '.join(rules_of(item, root, language))}"]
    return [counted, *each]


def _pairs_rules(field: Schema, root: Schema, language: Language) -> list[str]:
    ((pattern, values),) = field["patternProperties"].items()
    names = {"type": "string", "pattern": pattern}
    return [
        _phrase("pairs", language, field["maxProperties"]),
        f"{_phrase('key', language)} {'; '.join(rules_of(names, root, language))}",
        f"{_phrase('entry', language)} {'; '.join(rules_of(values, root, language))}",
    ]


def _text_rules(field: Schema, language: Language) -> list[str]:
    if "format" in field:
        return [_phrase(field["format"], language)]
    if pattern := field.get("pattern"):
        if pattern in _patterns():
            return [escape(_patterns()[pattern][language == "ru"].rstrip("."), quote=False)]
        length = [_phrase("length", language, field["maxLength"])] if "maxLength" in field else []
        return [*length, *([] if "x00" in pattern else [_phrase("pattern", language, _code(pattern))])]
    return [_phrase("string", language)]


def _range(field: Schema, language: Language) -> list[str]:
    least, most, step = field.get("minimum"), field.get("maximum"), field.get("multipleOf")
    if least is not None and most is not None:
        phrases = [_phrase("between", language, _number(least), _number(most))]
    elif least is not None:
        phrases = [_phrase("least", language, _number(least))]
    else:
        phrases = []
    return [*phrases, *([_phrase("step", language, _number(step))] if step else [])]


def _phrase(name: str, language: Language, *given: object) -> str:
    return PHRASES[name][language == "ru"].format(*given)


def _number(value: float) -> str:
    return f"{value:,.10g}".replace(",", "\u202f")


def _code(value: object) -> str:
    return f"<code>{escape(str(value), quote=False)}</code>"


def _resolved(schema: Schema, root: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    return {**root["$defs"][schema["$ref"].rpartition("/")[2]], **{k: v for k, v in schema.items() if k != "$ref"}}
