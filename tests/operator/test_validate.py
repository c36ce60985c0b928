"""praktika validate: what the ingress would say, without servers."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from typer.testing import CliRunner

from deploy.praktika.__main__ import application
from services.partners.gateway.contract.page import sent
from services.partners.gateway.files import validate
from services.partners.gateway.files.validate import SENDERS, Found, Stream, found_in, troubles
from services.partners.gateway.ingress.validation import check
from shared.contract import events
from shared.contract.events import DATA
from shared.http.auth import Caller
from shared.http.problems import Problem
from shared.settings import Settings
from shared.settings import settings as read_settings
from tests.operator.conftest import Done

EVENTS = [sent(type_) for type_, data in DATA.items() if data.by != events.SERVICE]
COMPLETED = sent("praktika.internship.completed.v1")


def run(*arguments: str, given: bytes = b"", **env: str) -> Done:
    read_settings.cache_clear()
    with capture_logs():
        result = CliRunner().invoke(application(), ["validate", *arguments], input=given, env=env)
    read_settings.cache_clear()
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def lines(*items: Any) -> bytes:
    return b"".join(json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in items)


def changed(**changes: Any) -> dict[str, Any]:
    """COMPLETED with changes to its data or, by a name that an attribute has, to the attribute; `...` removes."""
    own = {name: value for name, value in changes.items() if name in COMPLETED}
    data = {**COMPLETED["data"], **{name: value for name, value in changes.items() if name not in COMPLETED}}
    event = {**COMPLETED, "data": {name: value for name, value in data.items() if value is not ...}, **own}
    return {name: value for name, value in event.items() if value is not ...}


@pytest.mark.parametrize(
    "content",
    [
        lines(*EVENTS),
        lines(*EVENTS).replace(b"\n", b"\r\n\r\n"),
        lines(*EVENTS).rstrip(),
        json.dumps(EVENTS).encode(),
        json.dumps(EVENTS, indent=2).encode(),
        b"[]",
        b"\xef\xbb\xbf" + lines(*EVENTS),
        b"\xef\xbb\xbf" + json.dumps(EVENTS).encode(),
    ],
)
def test_what_the_ingress_takes_is_fine_in_every_layout(content: bytes, tmp_path: Path, unanswering: dict[str, str]):
    (tmp_path / "events").write_bytes(content)
    for done in (run(str(tmp_path / "events"), **unanswering), run("-", given=content, **unanswering)):
        assert done.out == ""
        assert (done.code, f"{content.count(b'specversion')} events checked" in done.err) == (
            int(content == b"[]"),
            True,
        )


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["type"])
def test_a_single_event_may_be_laid_out_for_reading(event: dict[str, Any], indent: int | None):
    (found,) = found_in(stream(json.dumps(event, indent=indent).encode()), "event.json", 10_000)
    assert not troubles(found, Settings())


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            changed(time="2026-06-15T09:00:00"),
            "time: must say its offset from UTC: 2026-06-15T09:00:00+07:00 (When it happened",
        ),
        (changed(time="2199-01-01T00:00:00Z"), "time: lies more than 300 s in the future"),
        (changed(hours=160.125), "data.hours: must have at most two decimals: 7.33 (Hours, to a hundredth: 7.33)"),
        (changed(outcome="good"), "data.outcome: must be 'passed' or 'failed'"),
        (changed(houres=1), "data.houres: is no field that is known here (is it hours?)"),
        (changed(competencies=["welding"]), "data.competencies.0: must be a framework and its item: greencomp:3.1"),
        (changed(enterprise=...), "data.enterprise: is missing, and it is needed (As registered by the operator)"),
        (changed(partitionkey=...), "partitionkey: must name the learner"),
        (
            changed(source="https://plant.example"),
            "source: must be /organisations/ and your id: /organisations/north-college",
        ),
        (changed(type="praktika.internship.complete.v1"), "is it praktika.internship.completed.v1?"),
        (
            {**sent("praktika.support.requested.v1"), "sourcekind": "enterprise"},
            "comes from institution; you are enterprise",
        ),
        ({**COMPLETED, "sourcekind": "service"}, "sourcekind: you are"),
        ({**COMPLETED, "dataschema": "/other"}, "dataschema: must end with /schemas/praktika.internship.completed.v1"),
        (sent("praktika.competency.certified.v1"), "type: only Praktika's own services publish this"),
        ({**sent("praktika.agreement.proposed.v1"), "source": "/organisations/x"}, "data.parties: must name you (x)"),
        ([COMPLETED], "a CloudEvent is an object"),
        (None, "a CloudEvent is an object"),
    ],
)
def test_a_problem_is_told_with_its_line_its_field_and_what_to_do(event: Any, told: str):
    done = run("-", given=lines(COMPLETED, event, COMPLETED))
    assert done.code == 1
    assert done.out.startswith("line 2: ")
    assert told in done.out
    assert "3 events checked; problems with 1" in done.err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", None),
        (b"\n \n", None),
        (lines(COMPLETED) + b"{\n" + lines(COMPLETED), "line 2: this is not JSON"),
        (b"{\n" + lines(COMPLETED), "line 1: this is not JSON"),
        (b"\xef\xbb\xbf[]", None),
        (lines(COMPLETED).replace(b"learner-17", b"\xff\xfe"), "line 1: this is not JSON"),
        (b"\n\n" + lines(changed(hours=float("nan"))), "line 3: this is not JSON"),
        (b"[" + lines(COMPLETED) + b",{]", "event 2: is not JSON or does not end"),
        (b"[" + lines(COMPLETED) + b",", "event 2: is not JSON or does not end"),
        (b"[" + lines(COMPLETED), "event 1: is not followed by a comma"),
        (b"[" + lines(COMPLETED) + b"]" + lines(COMPLETED), "the end: something follows the array"),
        (b"[" + b"[" * 100_000, "event 1: is not JSON or does not end"),
        (b'{\n"a": 1', "the event: this is not JSON"),
    ],
)
def test_what_is_no_file_of_events_is_told(content: bytes, told: str | None):
    done = run("-", given=content)
    assert done.code == 1
    assert told in done.out if told else done.out == "" and "there is no event" in done.err


def test_what_is_too_long_is_told_and_the_rest_is_checked():
    long = lines(changed(reason="x" * 3_000))
    done = run("-", given=long + lines(changed(hours=-1)), PRAKTIKA_BATCH_MAX_BYTES="2000")
    assert done.out.startswith("line 1: is longer than 2000 bytes\nline 2: data.hours")
    laid_out = json.dumps(changed(reason="x" * 3_000), indent=1).encode()
    assert "the event: is longer" in run("-", given=laid_out, PRAKTIKA_BATCH_MAX_BYTES="2000").out
    assert "data: the event has" in run("-", given=long, PRAKTIKA_EVENT_MAX_BYTES="1024").out


def test_programs_get_one_document(tmp_path: Path):
    for content in (lines(COMPLETED), lines(changed(hours=-1, outcome=1), COMPLETED), b""):
        done = run("--json", "-", given=content)
        document = json.loads(done.out)
        assert document["events"] == content.count(b"\n")
        assert document["refused"] == len({problem["where"] for problem in document["problems"]})
        assert done.code == (content != lines(COMPLETED))
    assert run("--json", str(tmp_path / "missing")).code == 2
    assert run(str(tmp_path)).code == 2


def test_what_a_file_says_reaches_no_terminal_raw():
    for options in ([], ["--json"]):
        done = run(*options, "-", given=lines({**COMPLETED, "\x1b[2J\x7f": 1, "type": "praktika.\x1b]0;x\x07.v1"}))
        assert all(c.isprintable() or c == "\n" for c in done.out + done.err)


# the ingress' verdict


@given(st.data())
def test_a_file_is_fine_exactly_if_somebody_could_publish_it(draw: st.DataObject):
    event = json.loads(json.dumps(draw.draw(st.sampled_from([sent(type_) for type_ in DATA]))))
    place = draw.draw(st.sampled_from([event, event["data"]]))
    field = draw.draw(st.sampled_from([*place, "sourcekind", "partitionkey", "dataschema", "surprise"]))
    place[field] = draw.draw(
        st.sampled_from([None, 1, -1, 0.3, True, "", "x", "enterprise", "/organisations/y", [], {}])
    )
    if draw.draw(st.booleans()):
        del place[field]
    (told,) = [troubles(Found("", json.dumps(event).encode()), Settings())]
    sender = str(event.get("source")).rpartition("/")[2]
    assert bool(told) == (not any(accepted(event, Caller(sender, kind)) for kind in SENDERS))


def accepted(event: Any, caller: Caller) -> bool:
    try:
        check(event, caller, Settings())
    except Problem:
        return False
    return True


# reading


def stream(content: bytes) -> Stream:
    return Stream(io.BytesIO(content), lambda _: None)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.lists(st.dictionaries(st.text(), VALUES, max_size=3) | st.text(), max_size=6),
    st.integers(1, 30),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_an_array_is_taken_apart_wherever_a_block_ends(items: list[Any], block: int, indent: int | None, escaped: bool):
    content = json.dumps(items, indent=indent, ensure_ascii=escaped).encode(errors="surrogatepass")
    with patch.object(validate, "BLOCK", block):
        found = list(found_in(stream(content), "x", 100_000))
    assert [json.loads(each.raw or b"") for each in found] == items
    assert [each.where for each in found] == [f"event {number}" for number in range(1, len(items) + 1)]


# Made when the test runs: every process of the tests imports this file, and writing the array takes a second.
@pytest.mark.parametrize(
    "write", [lambda: lines(*EVENTS) * 1_000, lambda: json.dumps(EVENTS * 1_000, indent=1).encode()]
)
def test_a_large_file_is_read_as_it_is_checked(write: Callable[[], bytes]):
    content = write()
    raw = io.BytesIO(content)
    shown: list[int] = []
    found = found_in(Stream(raw, shown.append), "x", 8 * 1024 * 1024)
    for _ in range(100):
        next(found)
    assert raw.tell() == sum(shown) < len(content) / 20
    assert sum(1 for _ in found) == len(EVENTS) * 1_000 - 100
    assert sum(shown) == len(content)
