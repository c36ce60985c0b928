"""The contract as it is served: a page for people, schemas and the AsyncAPI document for programs."""

import json
from functools import cache
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from markupsafe import Markup

from shared.contract import events
from shared.contract.events import DATA, TOPICS, Data
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Running
from shared.log.topics import PARTITIONS
from shared.pages.chosen import Chosen
from shared.pages.languages import Language, Text, translated
from shared.pages.pages import page, render
from shared.settings import Settings

from .messages import PUBLISHERS
from .rules import Schema, in_one, meaning_of, phrase, resolved, rules_of, without_null

router = Router(tags=["contract"])
TEMPLATES = "services/partners/gateway/contract"


class SchemaResponse(JSONResponse):
    media_type = "application/schema+json"


# for programs


@router.get("/asyncapi.json")
async def read_asyncapi() -> Schema:
    """The AsyncAPI 3 document."""
    return _asyncapi()


@cache
def _asyncapi() -> Schema:
    from . import asyncapi  # with the examples it takes megabytes of memory

    return asyncapi.document()


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
        raise Problem(404, Text("there is no type {type}", {"type": type_[:100]}))
    return type_


# for people


@router.get("/contract", response_class=HTMLResponse)
async def contract_page(request: Request, service: Running, language: Chosen) -> Response:
    """Every event with an example and its rules, in English or Russian."""
    return page(
        request, "services/partners/gateway/contract/contract.html", language, **content(language, service.settings)
    )


def content(language: Language, settings: Settings) -> dict[str, Any]:
    """What the page shows."""
    return {
        "event_kib": settings.event_max_bytes // 1024,
        "batch_events": settings.batch_max_events,
        "batch_mib": settings.batch_max_bytes // 1024**2,
        "attributes": _attributes(language),
        "topics": _topics(language),
        "events": _events(language),
    }


@cache
def _events(language: Language) -> Markup:
    """The largest part of the page, which never changes."""
    return Markup(render(f"{TEMPLATES}/events.html", language, topics=_topics(language)))  # noqa: S704  # escaped there


@cache
def _topics(language: Language) -> list[dict[str, Any]]:
    return [
        {
            "name": topic,
            "partitions": PARTITIONS.get(topic, 3),
            "types": [_type(type_, data, language) for type_, data in DATA.items() if data.topic == topic],
        }
        for topic in TOPICS
    ]


def _type(type_: str, data: type[Data], language: Language) -> dict[str, Any]:
    schema = events.data_schema(type_)
    return {
        "type": type_,
        "short": data.short_type,
        "says": translated(language, data.__doc__ or ""),
        "publishers": [translated(language, PUBLISHERS[kind]) for kind in data.by],
        "by_service": data.by == events.SERVICE,
        "key": data.key,
        "key_may_lack": data.key not in ("subject", "learner") and not data.model_fields[data.key].is_required(),
        "fields": _fields(schema, data.__name__, language),
        "example": json.dumps(sent(type_), indent=2, ensure_ascii=False),
    }


def sent(type_: str) -> dict[str, Any]:
    """The example of a type as its publisher sends it; what only services publish, as it is on the log."""
    from .examples import EXAMPLES  # they take megabytes of memory

    event, data = EXAMPLES[type_].model_dump(mode="json", exclude_none=True), DATA[type_]
    stamped = set() if data.by == events.SERVICE else {"sourcekind", "datacontenttype"}
    if stamped and data.topic != "learner":
        stamped.add("partitionkey")
    return {name: value for name, value in event.items() if name not in stamped}


@cache
def _attributes(language: Language) -> list[dict[str, Any]]:
    schema = events.schemas()["praktika.learner.erased.v1"]
    schema["properties"]["type"] = {"type": "string"}
    schema["properties"]["data"] = {"type": "object"}
    return _fields(schema, "Event", language)


def _fields(schema: Schema, model: str, language: Language) -> list[dict[str, Any]]:
    """A table's rows: each field, and below one that holds objects those of their fields."""
    return [
        row
        for name, field in schema["properties"].items()
        for row in _rows([name], field, schema, model, language, schema.get("required", ()))
    ]


def _rows(  # noqa: PLR0913, PLR0917
    path: list[str], field: Schema, root: Schema, model: str, language: Language, required: list[str]
) -> list[dict[str, Any]]:
    whole = without_null(field)
    optional = [] if path[-1] in required else [phrase("optional", language)]
    row = {
        "path": path,
        "meaning": meaning_of(path[-1], whole, model, language),
        "rules": in_one([*rules_of(whole, root, language), *optional]),
    }
    part = resolved(whole.get("items", {}), root)
    inner = [
        each
        for name, inner_field in part.get("properties", {}).items()
        for each in _rows([*path, name], inner_field, root, part["title"], language, part["required"])
    ]
    return [row, *inner]
