"""What the contract's fields mean and what their values must be, in words; worked out from the models."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from markupsafe import Markup
from pydantic import TypeAdapter

from shared.contract import events
from shared.pages.languages import Language, translated

from .messages import OWN_FIELDS, PHRASES, TEXT_KINDS

Schema = dict[str, Any]


def meaning_of(name: str, field: Schema, model: str, language: Language) -> str:
    """What a field says; in English nothing where its name or its rule says it already."""
    if language != "en":
        return meant(name, model, language)
    described = str(field.get("description", ""))
    return (
        "" if field.get("pattern") in kinds_of_text() and described == kinds_of_text()[field["pattern"]] else described
    )


def meant(name: str, model: str, language: Language) -> str:
    """What the catalogue says of a field: of the model's own, or of any that has the name."""
    own = f"{model}.{name}"
    return translated(language, own if own in OWN_FIELDS else name, "field")


@cache
def kinds_of_text() -> dict[str, str]:
    """The models' kinds of text in words, by their pattern."""
    kinds = [TypeAdapter(getattr(events, name)).json_schema() for name in TEXT_KINDS]
    return {kind["pattern"]: kind["description"] for kind in kinds}


def rules_of(field: Schema, root: Schema, language: Language) -> list[Markup]:
    """What a field's value must be, as phrases; names and values in them are marked as code."""
    field = resolved(field, root)
    match field:
        case {"const": value}:
            rules = [phrase("const", language, _code(value))]
        case {"enum": values}:
            rules = [_joined(phrase("choice", language), _choices(values, language))]
        case {"type": "array"}:
            rules = _list_rules(field, root, language)
        case {"patternProperties": _}:
            rules = _pairs_rules(field, root, language)
        case {"type": "integer" | "number" as kind}:
            rules = [phrase(kind, language), *_range(field, language)]
        case {"type": "string"}:
            rules = _text_rules(field, language)
        case _:
            rules = [phrase(field["type"], language)]
    return rules


def phrase(name: str, language: Language, *given: object) -> Markup:
    return Markup(translated(language, PHRASES[name])).format(*given)  # noqa: S704  # ours; what is given is escaped


def in_one(rules: Iterable[Markup]) -> Markup:
    return Markup("; ").join(rules)


def _joined(*parts: Markup) -> Markup:
    return Markup(" ").join(parts)


def _code(value: object) -> Markup:
    return Markup("<code>{}</code>").format(value)


def _choices(values: Iterable[str], language: Language) -> Markup:
    return Markup(", ").join(_choice(value, language) for value in values)


def _choice(value: str, language: Language) -> Markup:
    said = translated(language, value, "value")
    return _code(value) if said == value else Markup("{} ({})").format(_code(value), said)


def _list_rules(field: Schema, root: Schema, language: Language) -> list[Markup]:
    least, most = field.get("minItems"), field["maxItems"]
    counted = phrase("list_from", language, least, most) if least else phrase("list", language, most)
    item = resolved(field["items"], root)
    if "properties" in item:
        return [counted]
    return [counted, _joined(phrase("each", language), in_one(rules_of(item, root, language)))]


def _pairs_rules(field: Schema, root: Schema, language: Language) -> list[Markup]:
    ((pattern, values),) = field["patternProperties"].items()
    names = {"type": "string", "pattern": pattern}
    return [
        phrase("pairs", language, field["maxProperties"]),
        _joined(phrase("key", language), in_one(rules_of(names, root, language))),
        _joined(phrase("entry", language), in_one(rules_of(values, root, language))),
    ]


def _text_rules(field: Schema, language: Language) -> list[Markup]:
    if "format" in field:
        return [phrase(field["format"], language)]
    if pattern := field.get("pattern"):
        if pattern in kinds_of_text():
            return [Markup("{}").format(translated(language, kinds_of_text()[pattern]).rstrip("."))]
        length = [phrase("length", language, field["maxLength"])] if "maxLength" in field else []
        return [*length, *([] if "x00" in pattern else [phrase("pattern", language, _code(pattern))])]
    return [phrase("string", language)]


def _range(field: Schema, language: Language) -> list[Markup]:
    least, most = field.get("minimum"), field.get("maximum")
    if least is not None and most is not None:
        phrases = [phrase("between", language, _number(least), _number(most))]
    elif least is not None:
        phrases = [phrase("least", language, _number(least))]
    else:
        phrases = []
    return [*phrases, *([phrase("decimals", language)] if field.get("x-decimals") == 2 else [])]


def _number(value: float) -> str:
    return f"{value:,.10g}".replace(",", "\u202f")


def without_null(schema: Mapping[str, Any]) -> Schema:
    """What a schema asks for of a value that is not null."""
    choices = [choice for choice in schema.get("anyOf", [schema]) if choice != {"type": "null"}]
    return {**choices[0], **{name: value for name, value in schema.items() if name != "anyOf"}}


def resolved(schema: Schema, root: Schema) -> Schema:
    """The schema with what it refers to in its place."""
    if "$ref" not in schema:
        return schema
    return {**root["$defs"][schema["$ref"].rpartition("/")[2]], **{k: v for k, v in schema.items() if k != "$ref"}}
