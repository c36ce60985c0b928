"""The contract: what is taken, what is refused, and what may change."""

import copy
import json
from typing import Any

import pytest

from deploy.contract import breaking_changes, committed
from shared import events
from shared.events import ContractError, Data, parse, schemas, serialise

EMPLOYED = "praktika.employment.recorded.v1"
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/organisations/uni",
    "type": EMPLOYED,
    "subject": "job-1",
    "time": "2026-01-01T00:00:00+03:00",
    "partitionkey": "l1",
    "sourcekind": "institution",
    "data": {"status": "employed"},
}


def raw(**changes: Any) -> bytes:
    return json.dumps({k: v for k, v in (EVENT | changes).items() if v is not ...}).encode()


def fields(raw_event: bytes, tolerant: bool = False) -> list[str]:
    with pytest.raises(ContractError) as refused:
        parse(raw_event, tolerant=tolerant)
    return [field for field, _ in refused.value.errors]


def test_the_committed_schemas_are_todays():
    problems = breaking_changes(committed(), schemas())
    assert not problems, "this change breaks who reads or sends v1; add a .v2 type instead: " + "; ".join(problems)
    assert committed() == json.loads(json.dumps(schemas())), "run `make contract` and commit what it writes"


def test_an_event_survives_the_wire():
    event = parse(raw())
    assert parse(serialise(event)) == event


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"time": "2026-01-01T00:00:00"}, "time"),
        ({"time": 1767225600}, "time"),
        ({"time": ...}, "time"),
        ({"id": "a\x00b"}, "id"),
        ({"id": ""}, "id"),
        ({"source": "https://elsewhere.example"}, "source"),
        ({"subject": "a/b"}, "subject"),
        ({"type": "praktika.unheard.of.v1"}, "type"),
        ({"type": ...}, "type"),
        ({"specversion": "0.3"}, "specversion"),
        ({"surprise": 1}, "surprise"),
        ({"data": {"status": "employed", "salary": 1}}, "data.salary"),
        ({"data": {"status": "rich"}}, "data.status"),
        ({"data": {"status": "employed", "full_time": "yes"}}, "data.full_time"),
        ({"data": None}, "data"),
        (
            {
                "type": "praktika.demand.reported.v1",
                "data": {"competency": "a:b", "places": 1, "horizon": "2027-01-01", "research": "x"},
            },
            "partitionkey",
        ),
    ],
)
def test_what_does_not_fit_is_refused_naming_the_field(changes: dict[str, Any], field: str):
    assert field in fields(raw(**changes))


@pytest.mark.parametrize("text", [b"", b"{", b"null", b"[]", b"\xff", b'{"a":' * 100_000, b"[" * 100_000])
def test_what_is_no_event_is_refused_as_a_whole(text: bytes):
    assert fields(text) == [""]


def test_a_newer_producers_field_is_ignored_inside_and_refused_at_the_ingress():
    newer = raw(data={"status": "employed", "remote": True}, priority=1)
    assert parse(newer, tolerant=True) == parse(raw())
    assert set(fields(newer)) == {"priority", "data.remote"}


def test_every_type_has_a_topic_a_publisher_and_a_documented_meaning():
    for type_, data in events.DATA.items():
        assert data.topic in events.TOPICS
        assert data.by, type_
        assert data.__doc__, type_


def changed(change: str, value: Any) -> list[str]:
    """What breaks if the schema of one type is changed at a dotted path (`...` removes it)."""
    old = {EMPLOYED: schemas()[EMPLOYED]}
    new = copy.deepcopy(old)
    *path, last = change.split("/")
    place = new[EMPLOYED]
    for step in path:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return breaking_changes(old, new)


@pytest.mark.parametrize(
    ("change", "value", "told"),
    [
        ("$defs/EmploymentRecorded/properties/since", ..., "data.since is gone"),
        ("$defs/EmploymentRecorded/required", ["status", "since"], "data.since is required now"),
        ("$defs/EmploymentStatus/enum", ["employed"], "data.status: enum was"),
        ("$defs/EmploymentStatus/enum", ["employed", "self_employed", "studying", "seeking", "other", "army"], "enum"),
        ("properties/id/maxLength", 900, "id: maxLength was 200, is 900"),
        ("properties/dataschema", {"type": "string", "maxLength": 500}, "dataschema"),
        ("properties/subject/maxLength", 3, "maxLength"),
        ("properties/subject/type", "integer", "type"),
        ("properties/subject/pattern", "^x$", "pattern"),
        ("$defs/EmploymentRecorded/properties/full_time", {"type": "null"}, "data.full_time"),
    ],
)
def test_a_breaking_change_is_told_with_type_and_field(change: str, value: Any, told: str):
    (problem, *_) = changed(change, value)
    assert problem.startswith(EMPLOYED)
    assert told in problem


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("$defs/EmploymentRecorded/properties/remote", {"type": "boolean"}),
        ("description", "other words"),
    ],
)
def test_an_additive_change_breaks_nobody(change: str, value: Any):
    assert changed(change, value) == []


def test_a_type_that_is_gone_is_told():
    assert breaking_changes(schemas(), {}) == sorted(f"{type_}: the type is gone" for type_ in schemas())


def test_derived_events_are_the_same_to_the_byte():
    event = parse(raw())
    data: Data = event.data
    twice = [
        events.derive("feedback", data, id=events.derived_id("x", "y"), subject="s", key="l1", time=event.time)
        for _ in range(2)
    ]
    assert serialise(twice[0]) == serialise(twice[1])
    assert events.derived_id("x", "y") != events.derived_id("xy")
