"""`make contract`: writes the JSON Schema of every event type, and says what of a change would break a reader.

The committed files in `deploy/contract/schemas` are what enterprises build against. Additive changes (a new type, a new
optional field, other words) stay in v1. Anything else needs a new type (`.v2`): a narrower rule refuses what was sent
until now, and a wider one (a further value, a larger range) is refused by whoever still reads by the old.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.events import schemas

FOLDER = Path(__file__).parent / "contract" / "schemas"
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


def text(schema: Schema) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def committed() -> dict[str, Schema]:
    """The committed schemas by event type."""
    return {path.name.removesuffix(".json"): json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


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


def _compare_rules(old: Schema, new: Schema, name: str) -> Iterator[str]:
    for rule in _RULES:
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
    """Write the schemas; what would break a reader is printed, so that the change can be thought over."""
    new = schemas()
    for problem in breaking_changes(committed(), new):
        print(f"breaking: {problem}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.glob("*.json"):
        if path.name.removesuffix(".json") not in new:
            path.unlink()
    for type_, schema in new.items():
        (FOLDER / f"{type_}.json").write_text(text(schema))
    print(f"contract: {len(new)} schemas in {FOLDER.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()
