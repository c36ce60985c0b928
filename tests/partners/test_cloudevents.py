"""CloudEvents 1.0.2 over HTTP: the public conformance cases, the forms that one event may have, and what is none."""

import gzip
import json
import tracemalloc
import zlib
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers

from services.partners.gateway.ingress.http_binding import Mode, decoded, inflated, mode_of, plain
from services.partners.gateway.ingress.validation import check
from shared.contract.events import Event, Publisher, parse, serialise
from shared.http.auth import Caller
from shared.http.problems import Problem
from shared.settings import Settings
from tests.making import examples
from tests.partners import conformance
from tests.partners.conftest import as_, enrolled
from tests.stack import Running

UNI = Caller("uni", Publisher.institution)
SETTINGS = Settings()
published = pytest.mark.skipif(
    not conformance.FOLDER.exists(), reason=f"the public conformance cases are not at {conformance.FOLDER}"
)


def received(headers: Any, body: bytes) -> Any:
    """What comes out of a request: an item, or the items of a batch."""
    read = headers if isinstance(headers, Headers) else Headers(headers)
    mode = mode_of(read)
    most = SETTINGS.batch_max_bytes if mode == Mode.batch else SETTINGS.event_max_bytes
    return decoded(mode, read, inflated(read, body, most), SETTINGS)


def refusal(headers: Any, body: bytes) -> tuple[int, str]:
    """The status and the field of the problem that a request is."""
    with pytest.raises(Problem) as refused:
        check(received(headers, body), UNI, SETTINGS)
    return refused.value.status, refused.value.errors[0][0]


def structured(case: conformance.Case) -> bytes:
    """An event as a JSON object; its data as JSON if that is what it is."""
    is_json = "json" in case.attributes.get("datacontenttype", "json")
    return json.dumps({**case.attributes, "data": json.loads(case.data) if is_json else case.data}).encode()


def binary(case: conformance.Case) -> dict[str, str]:
    """An event's attributes as headers, percent-encoded as the binding says."""
    safe = "".join(map(chr, range(0x21, 0x7F))).replace('"', "").replace("%", "")
    attributes = {f"ce-{k}": quote(v, safe) for k, v in case.attributes.items() if k != "datacontenttype"}
    return {"content-type": case.attributes.get("datacontenttype", "application/json"), **attributes}


# the public cases


@published
@pytest.mark.parametrize("number", range(4))
def test_http_request_of_the_conformance_suite_is_understood(number: int):
    messages = conformance.http_messages()
    assert len(messages) == 4
    message = messages[number]
    item = received(message.headers, message.body.encode())
    assert item.pop("data") == json.loads(message.data)
    assert item == message.attributes


V1 = (
    [*conformance.events("v1.yaml"), *conformance.events("v1.0/v1_minimum.yaml")] if conformance.FOLDER.exists() else []
)
JSON = [case for case in V1 if "json" in case.attributes.get("datacontenttype", "json")]


@published
def test_conformance_suite_is_read_whole():
    assert (len(V1), len(JSON)) == (8, 5)
    assert JSON[0].attributes["comexampleextension2"] == '{"othervalue": 5}'
    assert [json.loads(case.data) for case in JSON[2:]] == ["Hello, 🌎!", {"msg": "Hello, 🌎!"}, ["Hello", "🌎!"]]


@pytest.mark.parametrize("case", [case for case in V1 if case.mode != "binary"])
def test_structured_event_of_the_conformance_suite_is_understood_alone_and_in_a_batch(case: conformance.Case):
    content = structured(case)
    item = received({"content-type": "application/cloudevents+json"}, content)
    assert item == json.loads(content)
    assert received({"content-type": "application/cloudevents-batch+json"}, b"[" + content + b"]") == [item]


@pytest.mark.parametrize("case", [case for case in JSON if case.mode != "structured"])
def test_binary_event_of_the_conformance_suite_is_understood(case: conformance.Case):
    item = received(binary(case), case.data.encode())
    assert item.pop("data") == json.loads(case.data)
    assert item == {"datacontenttype": "application/json", **case.attributes}


@pytest.mark.parametrize("case", [case for case in V1 if case not in JSON])
def test_data_that_is_no_json_is_not_in_the_contract(case: conformance.Case):
    assert refusal(binary(case), case.data.encode()) == (415, "content-type")
    event = enrolled(datacontenttype=case.attributes["datacontenttype"])
    assert refusal({"content-type": Mode.structured}, json.dumps(event).encode()) == (422, "datacontenttype")


@published
@pytest.mark.parametrize("path", ["v03.yaml", "v0.3/v03_minimum.yaml"])
def test_older_version_of_the_conformance_suite_is_refused(path: str):
    for case in conformance.events(path):
        event = enrolled(specversion=case.attributes["specversion"])
        assert refusal({"content-type": Mode.structured}, json.dumps(event).encode()) == (422, "specversion")


# one event has several forms


def test_same_event_is_read_from_every_form():
    sent = enrolled(traceparent="t")
    expected = check(sent, UNI, SETTINGS)
    data = sent.pop("data")
    in_base64 = b64encode(json.dumps(data).encode()).decode()
    for form in (
        {"data": data, "datacontenttype": "application/json"},
        {"data": data, "datacontenttype": "Application/JSON; charset=UTF-8"},
        {"data": data, "dataschema": None, "sourcekind": None, "partitionkey": None, "colour": None},
        {"data_base64": in_base64},
        {"data_base64": in_base64, "data": None},
    ):
        assert check(sent | form, UNI, SETTINGS) == expected
    headers = {"content-type": "application/json;charset=utf-8"} | {f"CE-{k.title()}": v for k, v in sent.items()}
    assert check(received(headers, json.dumps(data).encode()), UNI, SETTINGS) == expected


ADDED = {"knativearrivaltime": "2026-03-02T12:00:00Z", "pubsubname": "p", "topic": "t", "traceid": "00-1", "sampled": 1}


def test_what_intermediaries_add_is_dropped():
    sent = enrolled()
    assert check(sent | ADDED, UNI, SETTINGS) == check(sent, UNI, SETTINGS)
    data, attributes = sent["data"], {name: value for name, value in (sent | ADDED).items() if name != "data"}
    headers = {"content-type": "application/json"} | {f"ce-{name}": str(value) for name, value in attributes.items()}
    assert check(received(headers, json.dumps(data).encode()), UNI, SETTINGS) == check(sent, UNI, SETTINGS)


def test_a_misspelt_attribute_gets_a_hint():
    with pytest.raises(Problem) as refused:
        check(enrolled(partitionKey="l"), UNI, SETTINGS)
    assert refused.value.errors == [("partitionKey", "is not known; is it partitionkey?")]


@pytest.mark.parametrize("mode", Mode)
def test_a_byte_order_mark_is_no_part_of_the_json(mode: Mode):
    sent, mark = enrolled(), b"\xef\xbb\xbf"
    headers = {"content-type": mode.value}
    content: Any = {Mode.structured: sent, Mode.batch: [sent], Mode.binary: sent["data"]}[mode]
    if mode == Mode.binary:
        headers |= {f"ce-{name}": str(value) for name, value in sent.items() if name != "data"}
    read = received(headers, mark + json.dumps(content).encode())
    assert check(read[0] if mode == Mode.batch else read, UNI, SETTINGS) == check(sent, UNI, SETTINGS)
    in_base64 = b64encode(mark + json.dumps(sent.pop("data")).encode()).decode()
    assert check(sent | {"data_base64": in_base64}, UNI, SETTINGS).data.programme == "mechanics"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (b"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        (b"%41%2541", "A%41"),
        (b'"a \\"b\\" \\\\ c%20d"', 'a "b" \\ c d'),
        (b'""', ""),
        (b'a "b"', 'a "b"'),
    ],
)
def test_header_value_is_unquoted_and_decoded_once(value: bytes, read: str):
    assert received(raw(("ce-id", value)), b"{}")["id"] == read


def raw(*headers: tuple[str, bytes]) -> Headers:
    always = [("content-type", b"application/json"), ("ce-specversion", b"1.0")]
    return Headers(raw=[(name.encode(), value) for name, value in (*always, *headers)])


@pytest.mark.parametrize(
    "value",
    [b"%C0%A0", b"%ED%A0%80", b"%F5%80%80%80", b"%E2%82", b"caf\xc3\xa9", b"caf\xe9", b"100%", b"%2", b"%zz", b"a\tb"],
)
def test_header_value_that_could_be_read_in_two_ways_is_refused(value: bytes):
    assert refusal(raw(("ce-id", value)), b"{}") == (400, "id")


@pytest.mark.parametrize("name", ["ce-", "ce-data", "ce-data_base64", "ce-datacontenttype", "ce-a-b"])
def test_header_of_no_attribute_is_refused(name: str):
    assert refusal(raw((name, b"x")), b"{}") == (400, name)


@pytest.mark.parametrize("given", ["e30", "not base64", "e30=e30=", "", 17, "é", b64encode(b"{'a': 1}").decode()])
def test_data_that_is_not_json_in_base64_is_refused(given: Any):
    sent = enrolled(data=None) | {"data_base64": given}
    assert refusal({"content-type": Mode.structured}, json.dumps(sent).encode()) == (422, "data_base64")


def test_missing_time_is_not_invented():
    for form in ({}, {"time": None}):
        event = {name: value for name, value in enrolled().items() if name != "time"} | form
        assert refusal({"content-type": Mode.structured}, json.dumps(event).encode()) == (422, "time")


# gzip

GZIPPED = {"content-type": Mode.structured.value, "content-encoding": "gzip"}
CONTENT = json.dumps(enrolled()).encode()


async def test_gzipped_events_are_accepted(partners: Running):
    for coding in ("gzip", "GZIP", "x-gzip", "identity"):
        headers = as_("uni", partners) | GZIPPED | {"content-encoding": coding}
        content = json.dumps(enrolled()).encode()
        body = content if coding == "identity" else gzip.compress(content)
        response = await partners.client.post("/events", content=body, headers=headers)
        assert response.status_code == 202, response.text
    batch = as_("uni", partners) | GZIPPED | {"content-type": Mode.batch}
    body = gzip.compress(json.dumps([enrolled() for _ in range(100)]).encode())
    response = await partners.client.post("/events", content=body, headers=batch)
    assert (response.status_code, response.json()["accepted"]) == (202, 100)


@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "gzip, gzip", "gzip,", "*"])
async def test_unknown_content_coding_is_refused(partners: Running, coding: str):
    headers = as_("uni", partners) | GZIPPED | {"content-encoding": coding}
    response = await partners.client.post("/events", content=CONTENT, headers=headers)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (415, "content-encoding")
    assert response.headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x1f",
        CONTENT,
        zlib.compress(CONTENT),
        gzip.compress(CONTENT)[:-1],
        gzip.compress(CONTENT)[:-9] + b"\x00" * 9,
        gzip.compress(CONTENT) + b"\x00",
        gzip.compress(CONTENT) * 2,
        gzip.compress(b"") * 400_000,
    ],
)
def test_what_is_no_gzip_of_one_member_is_refused(body: bytes):
    assert refusal(GZIPPED, body) == (400, "body")


@pytest.mark.parametrize("mode", Mode)
def test_body_is_not_inflated_beyond_the_limit(mode: Mode):
    most = SETTINGS.batch_max_bytes if mode == Mode.batch else SETTINGS.event_max_bytes
    bomb = gzip.compress(b" " * 100_000_000, 1)
    headers = GZIPPED | {"content-type": mode, "ce-specversion": "1.0"}
    tracemalloc.start()
    try:
        assert refusal(headers, bomb) == (413, "body")
        assert tracemalloc.get_traced_memory()[1] < 3 * most + len(bomb)
    finally:
        tracemalloc.stop()
    full = b"[" + b" " * (most - 2) + b"]"
    received(headers, gzip.compress(full))
    assert refusal(headers, gzip.compress(full + b" ")) == (413, "body")


async def test_gzip_bomb_is_refused_and_kept_as_it_came(partners: Running):
    rejected = await partners.count("rejected")
    headers = as_("uni", partners) | GZIPPED
    response = await partners.client.post("/events", content=gzip.compress(b" " * 10_000_000), headers=headers)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (413, "body")
    assert await partners.count("rejected") == rejected + 1


# limits


def test_event_may_be_as_large_as_the_limit_whatever_is_filled_in():
    event = enrolled(traceparent="")
    room = SETTINGS.event_max_bytes - len(json.dumps(event, separators=(",", ":")))
    for more, status in ((0, (422, "traceparent")), (1, (413, "data"))):
        with pytest.raises(Problem) as refused:
            check(event | {"traceparent": "x" * (room + more)}, UNI, SETTINGS)
        assert (refused.value.status, refused.value.errors[0][0]) == status


def test_batch_may_have_as_many_events_as_the_limit():
    headers = {"content-type": Mode.batch}
    assert len(received(headers, b"[" + b",".join([b"{}"] * SETTINGS.batch_max_events) + b"]")) == 1_000
    assert refusal(headers, b"[" + b",".join([b"{}"] * (SETTINGS.batch_max_events + 1)) + b"]") == (413, "body")
    assert received(headers, b"[]") == []


# whatever is sent

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from([*enrolled(), "partitionkey", "sourcekind", "datacontenttype", "traceparent"])
CHANGES = st.dictionaries(NAMES, ANYTHING, max_size=2) | st.dictionaries(st.text(), ANYTHING, max_size=2)
IN_BASE64 = ANYTHING | st.binary().map(lambda data: b64encode(data).decode())
EVENTS = CHANGES.map(lambda changes: enrolled() | changes) | st.builds(
    lambda changes, data: enrolled(data=None) | changes | {"data_base64": data}, CHANGES, IN_BASE64
)
CONTENTS = (
    st.binary()
    | EVENTS.map(lambda event: json.dumps(event).encode())
    | st.lists(EVENTS | ANYTHING, max_size=3).map(lambda items: json.dumps(items).encode())
)
BODIES = (  # with their coding
    CONTENTS.map(lambda body: (b"", body))
    | CONTENTS.map(lambda body: (b"gzip", gzip.compress(body)))
    | st.tuples(st.just(b"gzip") | st.binary(max_size=5), CONTENTS)
)
MEDIA = st.sampled_from(Mode).map(lambda mode: mode.value.encode())
TYPES = MEDIA | MEDIA.map(lambda media: media + b'; Charset="UTF-8"') | st.binary(max_size=40)
ATTRIBUTES = st.lists(
    st.tuples(
        st.sampled_from([f"ce-{name}".encode() for name in enrolled()]) | st.binary().map(b"ce-".__add__), st.binary()
    ),
    max_size=4,
)


@settings(max_examples=examples(1_500), deadline=None)
@given(TYPES, BODIES, ATTRIBUTES)
def test_whatever_is_sent_becomes_an_event_or_a_problem(
    content_type: bytes, coded: tuple[bytes, bytes], attributes: list[tuple[bytes, bytes]]
):
    coding, body = coded
    about = [(b"content-type", content_type), (b"content-encoding", coding), (b"ce-specversion", b"1.0")]
    try:
        items = received(Headers(raw=[*about, *attributes]), body)
    except Problem as problem:
        assert_is_a_problem(problem)
        return
    for item in items if isinstance(items, list) else [items]:
        try:
            event = check(item, UNI, SETTINGS)
        except Problem as problem:
            assert_is_a_problem(problem)
        else:
            assert isinstance(event, Event)
            assert parse(serialise(event)) == event


def assert_is_a_problem(problem: Problem) -> None:
    assert problem.status in (400, 403, 413, 415, 422)
    assert problem.errors
    json.dumps(problem.body(), ensure_ascii=False).encode()


def test_plain_leaves_what_was_given():
    item = {"a": None, "data_base64": "e30="}
    assert plain(item) == {"data": {}}
    assert item == {"a": None, "data_base64": "e30="}
