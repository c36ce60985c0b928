"""Reading an event the quick way gives what building it would give, for every type, and refuses the same."""

import json
import re
from collections.abc import Callable
from datetime import UTC, date
from functools import cache
from string import ascii_letters, digits
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.contract.events import DATA, ContractError, parse, parse_plain, schemas, serialise
from shared.processing import facts
from tests.making import examples

SCHEMAS = schemas()
ID = "[A-Za-z0-9][A-Za-z0-9._:~-]{0,99}"


def strategy(schema: dict[str, Any], defs: dict[str, Any]) -> st.SearchStrategy[Any]:  # noqa: PLR0911, PLR0912, C901
    """What fits a JSON Schema of ours, nearly always."""
    if "$ref" in schema:
        return strategy(defs[schema["$ref"].rpartition("/")[2]], defs)
    if "anyOf" in schema:
        return st.one_of([strategy(option, defs) for option in schema["anyOf"]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema.get("type")
    if kind == "null":
        return st.none()
    if kind == "boolean":
        return st.booleans()
    if kind == "integer":
        return st.integers(schema.get("minimum", 0), schema.get("maximum", 10**6))
    if kind == "number":
        steps = int((schema.get("maximum", 100) - schema.get("minimum", 0)) * 100)
        return st.integers(0, steps).map(lambda hundredths: hundredths / 100)
    if kind == "array":
        return st.lists(strategy(schema["items"], defs), min_size=schema.get("minItems", 0), max_size=3)
    if kind == "object" and "properties" not in schema:
        name = next(iter(schema.get("patternProperties", {".*": {}})))
        return st.dictionaries(st.from_regex(name, fullmatch=True), st.integers(1, 5), max_size=3)
    if kind == "object":
        required = {n: strategy(s, defs) for n, s in schema["properties"].items() if n in schema.get("required", ())}
        optional = {n: strategy(s, defs) for n, s in schema["properties"].items() if n not in required}
        return st.fixed_dictionaries(required, optional=optional)
    if schema.get("format") == "date":
        return st.dates(date(1950, 1, 1), date(2199, 12, 31)).map(str)
    if schema.get("format") == "date-time":
        zones = st.sampled_from([UTC]) | st.timezones()
        return st.datetimes(timezones=zones).map(lambda t: t.isoformat().replace("+00:00", "Z"))
    if "pattern" in schema:
        return matching(schema["pattern"], schema.get("maxLength", 100))
    return st.text(min_size=1, max_size=20)


@cache
def matching(pattern: str, most: int) -> st.SearchStrategy[str]:
    """What a pattern takes: of ids and free texts, which nearly all are, drawn at once and not letter by letter."""
    if pattern == f"^{ID}$":
        letters = ascii_letters + digits + "._:~-"
        return st.text(letters, min_size=1, max_size=100).filter(lambda text: text[0].isalnum())
    if re.fullmatch(r"\^\[\^[^]]+\]\+\$", pattern):
        excluded = [letter for letter in map(chr, range(128)) if not re.match(pattern, letter)]
        return st.text(st.characters(codec="utf-8", exclude_characters=excluded), min_size=1, max_size=most)
    return st.from_regex(pattern.replace("$", r"\Z"), fullmatch=pattern.endswith("$"))


@cache
def told(type_: str) -> st.SearchStrategy[Any]:
    """What fits the schema of an event, made once: a strategy made for each example lists all time zones each time."""
    return strategy(SCHEMAS[type_], SCHEMAS[type_].get("$defs", {}))


@pytest.mark.parametrize("type_", sorted(DATA))
@settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_reading_says_what_parsing_says(type_: str, data: st.DataObject):
    plain = data.draw(told(type_))
    assert_same(json.dumps(plain).encode())
    rule = DATA[type_].key
    if rule != "learner":
        plain["partitionkey"] = plain["data"].get(rule) or plain["subject"]
        assert_same(json.dumps(plain).encode())


def assert_same(raw: bytes) -> None:
    built, read = outcome(lambda: facts.from_event(parse(raw, tolerant=True))), outcome(lambda: facts.decode(raw))
    assert read == built
    if isinstance(built, facts.DecodedEvent):
        event = serialise(parse(raw, tolerant=True))
        assert parse_plain(event) is not None
        assert facts.decode(event) == built
    else:
        assert parse_plain(raw) is None


def outcome(reading: Callable[[], facts.DecodedEvent]) -> facts.DecodedEvent | list[tuple[str, str]]:
    """What is said, or the errors."""
    try:
        return reading()
    except ContractError as error:
        return error.errors


NO_YEAR_OF_UTC = ["0001-01-01T00:00:00+02:20", "9999-12-31T23:59:59-01:00"]


@pytest.mark.parametrize(
    "time",
    ["2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "1969-12-31T23:59:59Z", "2200-01-01T00:00:01Z", *NO_YEAR_OF_UTC],
)
def test_a_time_that_is_none_is_refused(time: str):
    raw = b'{"specversion":"1.0","id":"1","source":"/organisations/u","type":"praktika.learner.erased.v1","subject":"l"'
    raw += f',"time":"{time}","partitionkey":"l","sourcekind":"institution","data":{{}}}}'.encode()
    with pytest.raises(ContractError):
        facts.decode(raw)
