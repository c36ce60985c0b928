"""Whatever is wrong with what is sent: a 4xx that names the field, nothing on the log, and a record of the refusal."""

import base64
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from services.partners.gateway.ingress import http
from shared.contract.events import TOPICS, Publisher
from shared.http import service
from shared.http.auth import Caller, Signer, ensure_keys
from tests.partners.conftest import as_, enrolled
from tests.stack import Running

STRUCTURED, BATCH, BINARY = "application/cloudevents+json", "application/cloudevents-batch+json", "application/json"


def sent(**changes: Any) -> bytes:
    return json.dumps(enrolled(**changes)).encode()


def in_the_future() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).isoformat()


LEARNED = {"programme": "mechanics"}
INTERNSHIP = {"enterprise": "plant", "programme": "mechanics", "hours": -1, "outcome": "passed"}
ASSESSMENT = {"competency": "greencomp:1.1", "method": "exam", "score": 1.01}
COMPLETED, RECORDED = "praktika.internship.completed.v1", "praktika.assessment.recorded.v1"
PROPOSED, SCOPE = "praktika.agreement.proposed.v1", {"scope": "internships", "valid_from": "2026-01-01"}
STRANGERS = {"parties": ["plant", "works"], **SCOPE}

REFUSED = {
    "no JSON": (400, "body", STRUCTURED, b"{'id': 1}"),
    "nothing": (400, "body", STRUCTURED, b""),
    "no UTF-8": (400, "body", STRUCTURED, b'{"id": "\xc0\xa0"}'),
    "half a character": (400, "body", STRUCTURED, sent(id="x").replace(b'"x"', b'"\\ud800"')),
    "NaN": (400, "body", STRUCTURED, sent(data={"programme": 1}).replace(b"1}", b"NaN}")),
    "NUL byte": (400, "body", STRUCTURED, sent(id="x").replace(b'"x"', b'"\x00"')),
    "deep nesting": (400, "body", STRUCTURED, b"[" * 100_000 + b"]" * 100_000),
    "deep nesting in the data": (
        400,
        "body",
        STRUCTURED,
        sent().replace(b'"mechanics"', b'{"a":' * 999 + b"1" + b"}" * 999),
    ),
    "another content type": (415, "content-type", "text/csv", sent()),
    "an event as plain JSON": (415, "content-type", BINARY, sent()),
    "another charset": (415, "content-type", f"{STRUCTURED}; charset=utf-16", json.dumps(enrolled()).encode("utf-16")),
    "a number": (400, "specversion", STRUCTURED, b"17"),
    "a list as one event": (400, "specversion", STRUCTURED, b"[" + sent() + b"]"),
    "no CloudEvent": (400, "specversion", STRUCTURED, b'{"programme": "mechanics"}'),
    "an event as a batch": (400, "body", BATCH, sent()),
    "old envelope": (422, "specversion", STRUCTURED, sent(specversion="0.3")),
    "no id": (422, "id", STRUCTURED, sent(id=None)),
    "id of 201 characters": (422, "id", STRUCTURED, sent(id="i" * 201)),
    "no subject": (422, "subject", STRUCTURED, sent(subject=None)),
    "subject with a space": (422, "subject", STRUCTURED, sent(subject="a b")),
    "no data": (422, "data", STRUCTURED, sent(data=None)),
    "binary data": (422, "data_base64", STRUCTURED, sent(data_base64="AAAA")),
    "a misspelt attribute": (422, "partitionKey", STRUCTURED, sent(partitionKey="l")),
    "a misspelt optional attribute": (422, "traceparents", STRUCTURED, sent(traceparents="00-1")),
    "no extension attribute": (422, "trace_id", STRUCTURED, sent(trace_id="1")),
    "an extension attribute that is a list": (422, "colours", STRUCTURED, sent(colours=["red"])),
    "no type": (422, "type", STRUCTURED, sent(type=None)),
    "unknown type": (422, "type", STRUCTURED, sent(type="praktika.learner.enroled.v1")),
    "type that is a list": (422, "type", STRUCTURED, sent(type=["praktika.learner.enrolled.v1"])),
    "no time": (422, "time", STRUCTURED, sent(time=None)),
    "naive time": (422, "time", STRUCTURED, sent(time="2026-03-02T12:00:00")),
    "time in seconds": (422, "time", STRUCTURED, sent(time="1700000000")),
    "time in the future": (422, "time", STRUCTURED, sent(time=in_the_future())),
    "foreign source": (403, "source", STRUCTURED, sent(source="/organisations/college")),
    "a service's source": (403, "source", STRUCTURED, sent(source="/services/certification")),
    "another's kind": (403, "sourcekind", STRUCTURED, sent(sourcekind="operator")),
    "a type of others": (403, "type", STRUCTURED, sent(type="praktika.organisation.reinstated.v1", data={})),
    "another's key": (422, "partitionkey", STRUCTURED, sent(partitionkey="another")),
    "no learner": (422, "partitionkey", STRUCTURED, sent(type=COMPLETED, data=INTERNSHIP)),
    "number too small": (422, "data.hours", STRUCTURED, sent(type=COMPLETED, partitionkey="l", data=INTERNSHIP)),
    "number too large": (422, "data.score", STRUCTURED, sent(type=RECORDED, partitionkey="l", data=ASSESSMENT)),
    "unknown field": (422, "data.name", STRUCTURED, sent(data=LEARNED | {"name": "x"})),
    "escaped NUL": (422, "data.programme", STRUCTURED, sent(data={"programme": "a\x00b"})),
    "NUL in an attribute": (422, "traceparent", STRUCTURED, sent(traceparent="a\x00b")),
    "a stranger's agreement": (422, "data.parties", STRUCTURED, sent(type=PROPOSED, data=STRANGERS)),
    "2 MB": (413, "body", STRUCTURED, sent(id="x" * 2_000_000)),
    "20 MB": (413, "body", STRUCTURED, b" " * 20_000_000),
    "10,001 events": (413, "body", BATCH, b"[" + b",".join([sent()] * 10_001) + b"]"),
}


async def refused(stack: Running, content: bytes, headers: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """The problem that answers *content*, and what came to `rejected`; nothing came to the canonical topics."""
    on_log, rejected = await stack.count(*TOPICS), await stack.count("rejected")
    response = await stack.client.post("/events", content=content, headers=headers)
    assert 400 <= response.status_code < 500, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == response.status_code
    assert await stack.count(*TOPICS) == on_log
    new = await stack.count("rejected") - rejected
    records = sorted(await stack.read("rejected"), key=lambda record: record.timestamp)
    return response.json(), [json.loads(record.value) for record in records[len(records) - new :]]


@pytest.mark.parametrize("case", REFUSED)
async def test_bad_event_is_refused_by_field_and_kept_in_rejected(partners: Running, case: str):
    status, field, content_type, content = REFUSED[case]
    headers = as_("uni", partners) | {"Content-Type": content_type}
    problem, (rejected,) = await refused(partners, content, headers)
    assert problem["status"] == status
    assert [error["field"] for error in problem["errors"]] == [field]
    assert rejected["organisation"] == "uni"
    assert rejected["problem"] == problem
    assert len(json.dumps(rejected)) < 100_000
    if len(content) < partners.settings.batch_max_bytes:
        assert content.startswith(base64.b64decode(rejected["original"]))
        assert rejected["size"] == len(content)


@pytest.mark.parametrize(
    ("header", "value", "field"),
    [
        ("ce-id", "%C0%A0", "id"),
        ("ce-id", "%ED%A0%80", "id"),
        ("ce-subject", "%00", "subject"),
        ("ce-time", "yesterday", "time"),
        ("ce-datascheme", "red", "datascheme"),
    ],
)
async def test_bad_binary_attribute_is_refused_by_name(partners: Running, header: str, value: str, field: str):
    event = enrolled()
    content = json.dumps(event.pop("data")).encode()
    attributes = {f"ce-{name}": given for name, given in event.items()} | {header: value, "Content-Type": BINARY}
    problem, (rejected,) = await refused(partners, content, as_("uni", partners) | attributes)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert rejected["attributes"][header] == value


async def test_attribute_given_twice_is_refused(partners: Running):
    headers = [*as_("uni", partners).items(), ("Content-Type", BINARY), ("ce-specversion", "1.0")]
    response = await partners.client.post("/events", content=b"{}", headers=[*headers, ("ce-id", "a"), ("ce-id", "b")])
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "id")


async def test_oversized_event_in_a_batch_is_refused_alone(partners: Running):
    events = [enrolled(), enrolled(id="x" * 300_000)]
    headers = as_("uni", partners) | {"Content-Type": BATCH}
    response = await partners.client.post("/events", json=events, headers=headers)
    assert [item["status"] for item in response.json()["items"]] == [202, 413]


async def test_unknown_type_is_answered_with_a_similar_one(partners: Running):
    problem, _ = await refused(
        partners, sent(type="praktika.learner.enroled.v1"), as_("uni", partners) | {"Content-Type": STRUCTURED}
    )
    assert problem["errors"][0]["detail"] == "there is no such type; is it praktika.learner.enrolled.v1?"


def forged(stack: Running, tmp_path: Path) -> str:
    """A token signed with somebody else's key, under the name of ours."""
    other = stack.settings.model_copy(update={"keys_dir": tmp_path})
    ensure_keys(other)
    kid = jwt.get_unverified_header(Signer(stack.settings).token(Caller("uni", Publisher.institution)))["kid"]
    claims = jwt.decode(Signer(other).token(Caller("uni", Publisher.institution)), options={"verify_signature": False})
    return jwt.encode(claims, Signer(other)._key, algorithm="EdDSA", headers={"kid": kid})


def expired(stack: Running, monkeypatch: pytest.MonkeyPatch) -> str:
    with monkeypatch.context() as patch:
        patch.setattr("shared.http.auth.time.time", lambda: time.monotonic() + 1_000_000)
        return Signer(stack.settings).token(Caller("uni", Publisher.institution))


@pytest.mark.parametrize("token", ["expired", "forged", "unsigned", "garbage", ""])
async def test_sender_without_a_valid_token_is_only_counted(
    partners: Running, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    claims = {"sub": "uni", "kind": "institution", "aud": "praktika", "iss": "praktika", "iat": 0, "exp": 2**40}
    tokens = {
        "expired": lambda: expired(partners, monkeypatch),
        "forged": lambda: forged(partners, tmp_path),
        "unsigned": lambda: jwt.encode(claims, None, algorithm="none"),
        "garbage": lambda: "\x7f.%00.é".encode().decode("latin-1"),
    }
    given = {"Authorization": f"Bearer {tokens[token]()}".encode("latin-1")} if token else {}
    counted = service.UNAUTHORISED._value.get()
    problem, rejected = await refused(partners, sent(), given | {"Content-Type": STRUCTURED.encode()})
    assert (problem["status"], rejected) == (401, [])
    assert service.UNAUTHORISED._value.get() == counted + 1


async def test_suspended_organisation_is_refused_until_it_is_reinstated(partners: Running):
    operator, works = as_("operator", partners), as_("works", partners)
    url, headers = "/organisations/works", works | {"Content-Type": STRUCTURED}
    event = sent(
        source=url,
        type="praktika.opportunity.posted.v1",
        data={"kind": "vacancy", "title": "Welder", "places": 2},
    )
    await partners.client.post(f"{url}/suspension", json={"reason": "left the cluster"}, headers=operator)
    problem, (rejected,) = await refused(partners, event, headers)
    assert (problem["status"], problem["errors"][0]["field"]) == (403, "source")
    assert "left the cluster" in problem["detail"]
    assert rejected["organisation"] == "works"
    proposal = {"parties": ["works", "uni"], **SCOPE}
    assert (await partners.client.put("/agreements/a-works", json=proposal, headers=works)).status_code == 403
    await partners.client.post(f"{url}/reinstatement", headers=operator)
    assert (await partners.client.post("/events", content=event, headers=headers)).status_code == 202


async def test_who_is_suspended_while_a_slow_body_comes_is_refused(partners: Running, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http, "SLOW_BODY_S", 0)
    operator, url = as_("operator", partners), "/organisations/college"
    event = sent(source=url)

    async def slowly() -> AsyncIterator[bytes]:
        yield event[:20]
        await partners.client.post(f"{url}/suspension", json={"reason": "left meanwhile"}, headers=operator)
        yield event[20:]

    headers = as_("college", partners) | {"Content-Type": STRUCTURED}
    answer = await partners.client.post("/events", content=slowly(), headers=headers)
    assert (answer.status_code, "left meanwhile" in answer.json()["detail"]) == (403, True), answer.text
    await partners.client.post(f"{url}/reinstatement", headers=operator)


COMMANDS = {
    "no JSON": (422, b"{", ""),
    "deep nesting": (400, b"[" * 100_000, ""),
    "20 MB": (413, b" " * 20_000_000, ""),
    "300 KB": (413, b" " * 300_000, ""),
    "unknown field": (422, b'{"kind": "enterprise", "name": "x", "region": "r", "colour": "red"}', "colour"),
    "missing field": (422, b'{"kind": "enterprise", "name": "x"}', "region"),
    "NUL": (422, b'{"kind": "enterprise", "name": "a\\u0000", "region": "r"}', "name"),
    "half a character": (422, b'{"kind": "enterprise", "name": "\\ud800", "region": "r"}', "name"),
}


@pytest.mark.parametrize("case", COMMANDS)
async def test_bad_command_is_refused_by_field(partners: Running, case: str):
    status, content, field = COMMANDS[case]
    on_log = await partners.count("organisation")
    headers = as_("operator", partners) | {"Content-Type": "application/json"}
    response = await partners.client.put("/organisations/new", content=content, headers=headers)
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert not field or response.json()["errors"][0]["field"] == field
    assert await partners.count("organisation") == on_log
