"""`make contract`: writes the contract's documents, unless a change would break who reads or sends by them.

The committed files in `deploy/contract` are what enterprises build against: the JSON Schema of every event type, the
AsyncAPI document, the OpenAPI documents of the services. Additive changes (a new type, a new optional field, other
words) stay in v1. Anything else needs a new type (`.v2`): a narrower rule refuses what was sent until now, and a wider
one (a further value, a larger range) is refused by whoever still reads by the old.
"""

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from deploy import effects, indicators
from services.partners.gateway.contract import asyncapi
from shared.contract.events import schemas
from shared.http.application import create_app
from shared.log.topics import SERVICES
from shared.settings import Settings

FOLDER = Path(__file__).parent / "contract"
Schema = dict[str, Any]

_RULES = (
    *(
        "type",
        "const",
        "pattern",
        "format",
        "multipleOf",
        "enum",
        "minimum",
        "exclusiveMinimum",
        "minLength",
        "minItems",
    ),
    *("minProperties", "maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"),
)


def documents() -> dict[str, str]:
    """Today's text of every file, by its path in the folder."""
    made = {
        "asyncapi.json": asyncapi.document(),
        **{f"openapi/{service}.json": _openapi(service) for service in SERVICES},
        **{f"schemas/{type_}.json": schema for type_, schema in schemas().items()},
    }
    return {path: json.dumps(made[path], indent=2, ensure_ascii=False, sort_keys=True) + "\n" for path in made}


def _openapi(service: str) -> Schema:
    app = import_module(f"services.{service}.app")
    return create_app(app.core, app.router, Settings(role="all")).openapi()


def committed() -> dict[str, str]:
    """The text of every committed file, by its path in the folder."""
    return {str(path.relative_to(FOLDER)): path.read_text() for path in sorted(FOLDER.rglob("*.json"))}


def committed_schemas() -> dict[str, Schema]:
    """The committed schemas by event type."""
    schemas = {path: text for path, text in committed().items() if path.startswith("schemas/")}
    return {Path(path).stem: json.loads(text) for path, text in schemas.items()}


def breaking_changes(old: dict[str, Schema], new: dict[str, Schema]) -> list[str]:
    """What makes events or readers of *old* fail under *new*, a sentence each with the type and the field."""
    gone = [f"{type_}: the type is gone" for type_ in old.keys() - new.keys()]
    changed = (
        f"{type_}: {change}"
        for type_ in old.keys() & new.keys()
        for change in _compare(old[type_], new[type_], old[type_], new[type_], "")
    )
    return sorted([*gone, *changed])


def _compare(old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str) -> Iterator[str]:
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    name = path or "the event"
    if "anyOf" in old or "anyOf" in new:
        yield from _compare_choices(old, new, old_root, new_root, path)
        return
    yield from _compare_rules(old, new, name)
    properties, now = old.get("properties", {}), new.get("properties", {})
    for field in properties.keys() - now.keys():
        yield f"{path}{field} is gone"
    for field in set(new.get("required", [])) - set(old.get("required", [])):
        yield f"{path}{field} is required now"
    for field in set(old.get("required", [])) - set(new.get("required", [])):
        yield f"{path}{field} is optional now: readers rely on it"
    for field in properties.keys() & now.keys():
        yield from _compare(properties[field], now[field], old_root, new_root, f"{path}{field}.")
    for inner in ("items", "additionalProperties"):
        if isinstance(old.get(inner), dict) and isinstance(new.get(inner), dict):
            yield from _compare(old[inner], new[inner], old_root, new_root, f"{path}{inner}.")
    named, named_now = old.get("patternProperties", {}), new.get("patternProperties", {})
    if named.keys() != named_now.keys():
        yield f"{path}names were {', '.join(named)}, are {', '.join(named_now)}"
    for pattern in named.keys() & named_now.keys():
        yield from _compare(named[pattern], named_now[pattern], old_root, new_root, f"{path}values.")


def _compare_rules(old: Schema, new: Schema, name: str) -> Iterator[str]:
    for rule in _RULES:
        if rule == "multipleOf" and rule not in new:
            continue  # a finer number is read as a coarser one was
        if old.get(rule) != new.get(rule):
            yield f"{name.rstrip('.')}: {rule} was {old.get(rule)!r}, is {new.get(rule)!r}"


def _compare_choices(old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str) -> Iterator[str]:
    """Each choice that was there must still be, and none may be new."""
    before, now = old.get("anyOf", [old]), new.get("anyOf", [new])
    for choice in before:
        if all(any(_compare(choice, other, old_root, new_root, path)) for other in now):
            yield f"{path.rstrip('.')}: {choice.get('type', 'a choice')} is gone or has other rules"
    if len(now) > len(before):
        yield f"{path.rstrip('.')}: may be something else now"


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        schema = {
            **root["$defs"][schema["$ref"].rpartition("/")[2]],
            **{k: v for k, v in schema.items() if k != "$ref"},
        }
    return schema


def main() -> None:
    """Write the documents, unless that would break a reader of those that are there."""
    if problems := breaking_changes(committed_schemas(), schemas()):
        sys.exit(
            "\n".join([*problems, "Nothing was written: this breaks readers or senders of v1; add a .v2 type instead."])
        )
    made = documents()
    for path in committed().keys() - made.keys():
        (FOLDER / path).unlink()
    for path, text in made.items():
        (FOLDER / path).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / path).write_text(text)
    for document in (indicators, effects):
        document.PATH.write_text(document.document())
    print(f"contract: {len(made)} documents in {FOLDER}, and docs/indicators.md, docs/events.md")


if __name__ == "__main__":
    main()
