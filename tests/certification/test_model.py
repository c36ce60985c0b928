"""1EdTech's data model, from the file of which its JSON Schema is made, run as a JSON Schema against what we issue.

The schema itself is in no package, and its text is 1EdTech's; so each run makes one of the facts of the model: members,
how many, of which kind, which values.
"""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from importlib import import_module
from typing import Any

import pytest

from services.certification.credentials import badge, form, issuing, keys
from tests.certification.test_canonical import DATA, needs_data, specification
from tests.certification.test_independent import CERTIFICATE, PUBLIC
from tests.certification.test_pdfs import ring

__all__ = ["ring"]
MODEL = DATA / "openbadges-spec/ob_v3p0/common_credentials.lines"
_CLASS = re.compile(r"    Class (\w+) (\w+) false \[([^\]]*)\]")
_PROPERTY = re.compile(r"        Property (@?[\w:-]+) (\w+) (\d)(?:\.\.([\d*]+))?( array-compacted)?")
_CONSTRAINT = re.compile(r"            Constraint (contains|equals|items) (.+)")
_STRINGS = {
    **{name: {"pattern": r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$"} for name in ("URI", "URL")},
    "DateTimeZ": {"pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"},
    "DateTime": {"pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"},
    "CompactJws": {"pattern": r"^[a-zA-Z0-9_-]+\.[a-zA-Z0-9_-]*\.[a-zA-Z0-9_-]+$"},
    **{
        name: {} for name in ("String", "Markdown", "IRI", "LanguageCode", "IdentityHash", "IdentifierTypeEnum", "Date")
    },
}
_OTHERS: dict[str, dict[str, Any]] = {"Float": {"type": "number"}, "Boolean": {"type": "boolean"}, "Map": {}}


@cache
def definitions() -> dict[str, Any]:
    """Each class of the model as a JSON Schema."""
    made: dict[str, Any] = {name: {"type": "string", **more} for name, more in _STRINGS.items()} | _OTHERS
    kind, current, last = "", dict[str, Any](), dict[str, Any]()
    for line in MODEL.read_text().splitlines():
        if found := _CLASS.match(line):
            name, kind, bases = found[1], found[2], re.findall(r"\w+", found[3])
            current = made.setdefault(name, {}) if kind != "DerivedType" else {}
            if kind == "Unordered":
                current |= {"type": "object", "properties": {}, "required": []}
                current["allOf"] = [{"$ref": f"#/$defs/{base}"} for base in bases] or [{}]
            elif kind == "EmbeddedSelection":
                current["anyOf"] = [{"$ref": f"#/$defs/{base}"} for base in bases]
            elif kind.startswith("Enum"):
                current |= {"type": "string", "anyOf": [{"enum": []}]}
                current["anyOf"] += [{"pattern": "^ext:[A-Za-z0-9._-]+$"}] if kind == "EnumExt" else []
        elif line[:5].strip():
            kind = ""  # what is included of other models
        elif (found := _PROPERTY.match(line)) and kind.startswith("Enum"):
            current["anyOf"][0]["enum"].append(found[1])
        elif found and kind == "Unordered":
            name, of, least, most, compacted = found.groups()
            last = current["properties"][name] = _property({"$ref": f"#/$defs/{of}"}, int(least), most, compacted)
            current["required"] += [name] if least != "0" else []
        elif (found := _CONSTRAINT.match(line)) and kind == "Unordered":
            last.setdefault("allOf", []).append(_constraint(found[1], found[2]))
    included = {each.removeprefix("#/$defs/") for each in re.findall(r"#/\$defs/\w+", json.dumps(made))} - made.keys()
    return made | {name: {} for name in included}  # of models beside this one


def _property(of: dict[str, Any], least: int, most: str | None, compacted: str | None) -> dict[str, Any]:
    if most != "*":
        return {"allOf": [of]}
    many = {"type": "array", "items": of, "minItems": least}
    return {"anyOf": [of, many]} if compacted else many


def _constraint(kind: str, given: str) -> dict[str, Any]:
    values = [each.strip() for each in given.strip("[]").split(",")] if given[0] == "[" else [given]
    if kind == "equals":
        return {"const": given}
    if kind == "items":
        patterns = [each.strip("/") if each[0] == "/" else f"^{re.escape(each)}$" for each in values]
        return {"items": [{"type": "string", "pattern": each} for each in patterns], "additionalItems": {}}
    wanted = {"enum": values}
    return {"if": {"type": "array"}, "then": {"contains": wanted}, "else": wanted}


@cache
def validator(of: str) -> Any:
    kind = import_module("jsonschema").Draft201909Validator  # takes seconds, of each process that collects tests
    schema = {"$ref": f"#/$defs/{of}", "$defs": definitions()}
    kind.check_schema(schema)
    return kind(schema)


def wrong(document: dict[str, Any], of: str = "AchievementCredential") -> list[str]:
    return [f"{error.json_path}: {error.message[:200]}" for error in validator(of).iter_errors(document)]


KINDS: dict[str, dict[str, Any]] = {
    "with an address in its framework": {},
    "of a framework without addresses": {"target": None, "framework": None},
    "without assessments": {"evidence": ()},
    "with names in one language": {"title": {"ru": "Сварка"}},
    "of a high level": {"level": 8},
}


@needs_data
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["en", "ru"])
def test_what_we_issue_is_valid_by_1edtechs_model(ring: keys.Keyring, kind: str, language: Any):
    of = CERTIFICATE._replace(**KINDS[kind])
    issued = issuing.Issued(of, badge.credential(of, PUBLIC, ring, language), ring)
    assert wrong(issuing.signed(issued)) == []
    assert wrong(issued.document) == []  # what is in the JWT


@needs_data
@pytest.mark.parametrize("name", specification())
def test_the_specifications_examples_are_valid_by_it_so_the_model_is_read_as_it_is_meant(name: str):
    example = specification()[name]
    is_endorsement = "EndorsementCredential" in example["type"]
    assert wrong(example, "EndorsementCredential" if is_endorsement else "AchievementCredential") == []


# What is judged where it is used (proofs, status, contexts), and what the model takes from others.
ELSEWHERE = {"proof", "credentialSchema", "credentialStatus", "refreshService", "@context"}
INCLUDED = {"otherIdentifier", "address", "phone", "email", "dateOfBirth"}


def changed(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Where a document has an object with something in it, and the member that can be left out, or be a wrong one."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield (*path, name), value
            yield from changed(value, (*path, name))
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from changed(value, (*path, number))


def without(document: dict[str, Any], path: tuple[Any, ...], *instead: Any) -> dict[str, Any]:
    made = deepcopy(document)
    at: Any = made
    for step in path[:-1]:
        at = at[step]
    del at[path[-1]]
    if instead:
        at[path[-1]] = instead[0]
    return made


@needs_data
def test_we_refuse_what_the_model_refuses_wherever_it_is_in_the_complete_example():
    complete = specification()["fullOpenBadge"]
    tried, differ = 0, list[str]()
    for path, value in changed(complete):
        if (ELSEWHERE | INCLUDED) & {*path}:
            continue
        for made in (without(complete, path), without(complete, path, 7), without(complete, path, {})):
            by_model, by_us = wrong(made), [str(each) for each in form.mistakes(form.plain(made))]
            tried += bool(by_model)
            if bool(by_model) != bool(by_us):
                differ.append(f"{path} {value!r:.40}: {by_model[:1]} {by_us[:1]}")
    assert tried > 300
    assert differ == [], "\n".join(differ)
