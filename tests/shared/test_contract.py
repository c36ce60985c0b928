"""The contract: what is taken, what is refused, and what may change."""

import copy
import importlib
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from deploy import contract, effects, indicators
from deploy.contract import breaking_changes, committed, committed_schemas, documents
from services.partners.gateway.contract.examples import EXAMPLES
from shared.contract import events
from shared.contract.events import DATA, ContractError, Data, parse, schemas, serialise

SCHEMAS, todays = schemas(), cache(documents)  # made once: each takes a tenth of a second, or half of one
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


def test_no_change_breaks_who_reads_or_sends_what_is_committed():
    problems = breaking_changes(committed_schemas(), SCHEMAS)
    assert not problems, "this change breaks who reads or sends v1; add a .v2 type instead: " + "; ".join(problems)


def test_make_contract_writes_nothing_that_breaks_a_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(contract, "FOLDER", tmp_path)
    contract.main()
    assert committed() == documents()
    path = tmp_path / f"schemas/{EMPLOYED}.json"
    before = path.read_text().replace('"maxLength": 200', '"maxLength": 300', 1)
    path.write_text(before)
    with pytest.raises(SystemExit, match=f"{EMPLOYED}: id: maxLength was 300, is 200\nNothing was written"):
        contract.main()
    assert path.read_text() == before


def test_the_committed_documents_are_todays():
    today, before = todays(), committed()
    stale = [path for path in sorted(today.keys() | before.keys()) if today.get(path) != before.get(path)]
    assert not stale, "run `make contract` and commit what it writes"
    for document in (indicators, effects):
        assert document.PATH.read_text() == document.document(), "run `make contract`"


# What is on the log so that people are told or rules judge by it; every other type changes a figure.
WITHOUT_FIGURE = {
    "credential.withdrawn",
    "programme.revision_planned",
    "learner.shared",
    "internship.started",
    "application.submitted",
    "application.withdrawn",
    "support.requested",
    "assessment.recorded",
    "assessment.annulled",
    "opportunity.posted",
    "scheme.published",
    "framework.item_defined",
    "framework.published",
    "vacancy.closed",
    "skill.mapped",
    "indicator.rule_set",
    "indicator.rule_removed",
    "indicator.alerted",
    "indicator.acknowledged",
    "event.refused",
    "followup.opened",
    "certificate.issued",
    "certificate.expiring",
    "issuer.declared",
    "certificate.collected",
    "certificate.hidden",
    "certificate.shown",
    "learner.erasure_requested",
    "feedback.reminded",
    "feedback.expired",
    "questionnaire.published",
}


def test_every_event_changes_a_figure_or_is_told_or_judged_by():
    assert {data.short_type for data in DATA.values() if not effects.indicators_of(data.short_type)} == WITHOUT_FIGURE


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
    old = {EMPLOYED: SCHEMAS[EMPLOYED]}
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


@pytest.mark.parametrize(
    ("change", "told"),
    [(lambda rated: rated["^x$"].update(maximum=9), "maximum was 5, is 9"), (dict.clear, "names were ^x$, are ")],
)
def test_a_breaking_change_of_what_is_named_freely_is_told(change: Callable[[Any], None], told: str):
    rated: dict[str, Any] = {"patternProperties": {"^x$": {"type": "integer", "maximum": 5}}}
    old = {"t": {"properties": {"ratings": rated}}}
    new = copy.deepcopy(old)
    change(new["t"]["properties"]["ratings"]["patternProperties"])
    (problem,) = breaking_changes(old, new)
    assert told in problem


def test_a_type_that_is_gone_is_told():
    assert breaking_changes(SCHEMAS, {}) == sorted(f"{type_}: the type is gone" for type_ in SCHEMAS)


def test_an_address_of_the_schema_may_be_given_and_no_other():
    own = f"/schemas/{EMPLOYED}/data.json"
    for address in (own, f"https://partners.example/praktika{own}"):
        assert parse(raw(dataschema=address)).dataschema == address
    other = raw(dataschema="https://partners.example/schemas/praktika.learner.enrolled.v1/data.json")
    assert fields(other) == ["dataschema"]
    assert parse(other, tolerant=True)


# the documents against their official schemas

ASYNCAPI = Path(__file__).parent / "data/asyncapi-3.0.0.json"


@cache
def validating() -> Any:
    """jsonschema, which takes two seconds to import: every process of the tests imports this file, one runs it."""
    return importlib.import_module("jsonschema")


def asyncapi() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(todays()["asyncapi.json"])
    return document


def test_the_asyncapi_document_is_one():
    validator = validating().Draft7Validator(json.loads(ASYNCAPI.read_text()))
    assert not [error.message for error in validator.iter_errors(asyncapi())]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document["operations"]["publish"].update(action="shout"),
        lambda document: document["channels"]["learner"].update(topic="praktika.learner"),
        lambda document: document["channels"]["learner"]["bindings"]["kafka"].update(partitions="many"),
        lambda document: document["components"]["messages"][EMPLOYED].update(payload="anything"),
    ],
)
def test_a_spoilt_asyncapi_document_is_none(spoil: Callable[[dict[str, Any]], None]):
    document = asyncapi()
    spoil(document)
    assert not validating().Draft7Validator(json.loads(ASYNCAPI.read_text())).is_valid(document)


def test_every_reference_in_the_asyncapi_document_leads_somewhere():
    document = asyncapi()

    def follow(place: Any) -> None:
        if isinstance(place, dict) and isinstance(place.get("$ref"), str):
            target: Any = document
            for step in place["$ref"].removeprefix("#/").split("/"):
                target = target[step]
        for inner in place.values() if isinstance(place, dict) else place if isinstance(place, list) else ():
            follow(inner)

    follow(document)


def test_the_asyncapi_document_has_every_type_with_an_example_of_its_own():
    document = asyncapi()
    messages = document["components"]["messages"]
    assert messages.keys() == events.DATA.keys()
    for type_, message in messages.items():
        schema = {**message["payload"], "components": document["components"]}
        assert re.fullmatch(r"[A-Za-z0-9._-]+", type_), "the specification, Components Object"
        (example,) = message["examples"]
        validating().Draft202012Validator(schema).validate(example["payload"])
        assert parse(json.dumps(example["payload"]).encode()) == EXAMPLES[type_]
        assert type_ in document["channels"][events.DATA[type_].topic]["messages"]


@pytest.mark.parametrize("service", ["partners", "feedback", "certification", "monitoring"])
def test_the_openapi_documents_are_such(service: str):
    validator = importlib.import_module("openapi_spec_validator").OpenAPIV31SpecValidator
    document = json.loads(todays()[f"openapi/{service}.json"])
    assert document["openapi"].startswith("3.1.")
    assert not [error.message for error in validator(document).iter_errors()]
    del document["paths"]["/metrics"]["get"]["responses"]
    document["paths"]["/metrics"]["get"]["parameters"] = [{"name": "x", "in": "nowhere"}]
    assert list(validator(document).iter_errors())


@pytest.mark.parametrize("type_", events.DATA)
def test_the_json_schemas_are_such_and_take_the_example(type_: str):
    example = json.loads(serialise(EXAMPLES[type_]))
    for schema, value in ((SCHEMAS[type_], example), (events.data_schema(type_), example["data"])):
        validator = validating().Draft202012Validator
        validator.check_schema(schema)
        validator(schema).validate(value)
        assert not validator(schema).is_valid({**value, "surprise": 1})


def test_derived_events_are_the_same_to_the_byte():
    event = parse(raw())
    data: Data = event.data
    twice = [
        events.derive("feedback", data, id=events.derived_id("x", "y"), subject="s", key="l1", time=event.time)
        for _ in range(2)
    ]
    assert serialise(twice[0]) == serialise(twice[1])
    assert events.derived_id("x", "y") != events.derived_id("xy")
