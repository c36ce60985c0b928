"""Right requests to the ingress, with bytes and headers changed at random: each is accepted whole or refused whole.

The same ones each time; more and other ones by `FUZZ_CASES` (a hundredth of their number) and `FUZZ_SEED`.
"""

import asyncio
import base64
import gzip
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx

from services.partners.gateway.contract.examples import EXAMPLES
from shared.contract.events import DATA, TOPICS, EventRefused, parse
from shared.processing.refusals import NOT_APPLIED
from tests.partners.conftest import ORGANISATIONS, as_, enrolled
from tests.stack import Running

CASES = 100 * int(os.environ.get("FUZZ_CASES", "10"))
AT_ONCE = 20
SEED = int(os.environ.get("FUZZ_SEED", "1"))
STRUCTURED, BATCH, BINARY = "application/cloudevents+json", "application/cloudevents-batch+json", "application/json"
PIECES = [
    *(
        b"",
        b"\x00",
        b"\xff",
        b"\xc0\xa0",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"\xf4\x90\x80\x80",
        b'"',
        b"\\",
        b"{",
        b"[[",
    ),
    *(b"\\u0000", b"\\ud800", b"null", b"NaN", b"1e999", b"-0", b"%", b"%00", b"%C0%A0", b"'", b"a" * 300, b"9" * 400),
    *(
        b'"data":',
        b'"id":1,',
        b'"time":"0000-00-00T00:00:00Z"',
        b"praktika.",
        b"/organisations/uni",
        b"$where",
        b"\r\n",
    ),
]


class Sent(NamedTuple):
    """A request: headers as bytes, because nobody keeps a sender from sending others."""

    headers: list[tuple[bytes, bytes]]
    body: bytes


def right(chance: random.Random) -> Sent:
    """A request by which uni says something, in one of the three modes."""
    mode, events = chance.choice((STRUCTURED, BINARY, BATCH)), [event(chance) for _ in range(chance.randint(1, 4))]
    headers = {"content-type": mode}
    if mode == BINARY:
        attributes = {name: value for name, value in events[0].items() if name != "data"}
        headers |= {f"ce-{name}": value for name, value in attributes.items()}
        body = json.dumps(events[0]["data"]).encode()
    else:
        body = json.dumps(events if mode == BATCH else events[0]).encode()
    return Sent([(name.encode(), value.encode()) for name, value in headers.items()], body)


def event(chance: random.Random) -> dict[str, Any]:
    """An event of a type of an institution's, as its example has it."""
    type_ = chance.choice([type_ for type_, data in DATA.items() if "institution" in data.by])
    example = EXAMPLES[type_].model_dump(mode="json", exclude_none=True)
    example |= {"id": f"e-{chance.random()}", "source": "/organisations/uni", "time": "2026-03-02T12:00:00Z"}
    example |= {"partitionkey": f"k-{chance.random()}"} if DATA[type_].topic == "learner" else {}
    example.pop("sourcekind", None)
    return example if chance.random() < 0.7 else enrolled(id=f"e-{chance.random()}")


def bytes_changed(raw: bytes, chance: random.Random) -> bytes:
    """A piece is put in, taken out, doubled or replaced, or a bit is turned."""
    at, to = sorted(chance.randint(0, len(raw)) for _ in range(2))
    to = min(to, at + chance.choice((1, 2, 8, 200)))
    way = chance.randrange(6)
    if way == 0:
        return raw[:at] + chance.choice(PIECES) + raw[at:]
    if way == 1:
        return raw[:at] + raw[to:]
    if way == 2:
        return raw[:to] + raw[at:]
    if way == 3:
        return raw[:at] + chance.choice(PIECES) + raw[to:]
    if way == 4:
        return raw[:at] + bytes([raw[at] ^ (1 << chance.randrange(8))]) + raw[at + 1 :] if at < len(raw) else raw[:at]
    return raw[:at]


def body_changed(sent: Sent, chance: random.Random) -> Sent:
    return sent._replace(body=bytes_changed(sent.body, chance))


def value_changed(sent: Sent, chance: random.Random) -> Sent:
    """One value anywhere in the JSON becomes another; the rest stays what it was."""
    try:
        content = json.loads(sent.body)
    except (ValueError, RecursionError):
        return sent
    places: list[tuple[Any, Any]] = []

    def walk(place: Any) -> None:
        for key in place if isinstance(place, dict) else range(len(place)) if isinstance(place, list) else ():
            places.append((place, key))
            walk(place[key])

    walk(content)
    if places:
        place, key = chance.choice(places)
        if isinstance(place, dict) and chance.random() < 0.3:
            place[chance.choice(("x" * 30, "data_base64", "sourcekind", "dataschema", "partitionkey", "$set", ""))] = (
                key
            )
        place[key] = chance.choice(
            (None, True, -1, 1e308, 2**70, "", "x" * 5000, [], {}, [[1]], "a\u0000", "2026-13-01", place)
        )
        try:
            return sent._replace(body=json.dumps(content).encode())
        except ValueError:  # contains itself
            return sent
    return sent


def header_changed(sent: Sent, chance: random.Random) -> Sent:
    headers = list(sent.headers) or [(b"x", b"y")]
    at = chance.randrange(len(headers))
    name, value = headers[at]
    way = chance.randrange(5)
    if way == 0:
        del headers[at]
    elif way == 1:
        headers.append((name, value))
    elif way == 2:
        headers[at] = (name, fit(bytes_changed(value, chance)))
    elif way == 3:
        headers[at] = (chance.choice((b"ce-data", b"ce-", b"ce-X", b"ce-colour", b"content-encoding")), value)
    else:
        coding = chance.choice((b"gzip", b"br", b"identity", b"gzip, gzip", b"GZIP", b"\xff"))
        headers.append((b"content-encoding", coding))
    return sent._replace(headers=headers)


def fit(value: bytes) -> bytes:
    """What any server lets through of a header's value."""
    return value.translate(None, b"\x00\r\n").strip()


def zipped(sent: Sent, chance: random.Random) -> Sent:
    body = gzip.compress(sent.body, mtime=0)
    changed = bytes_changed(body, chance) if chance.random() < 0.5 else body
    return Sent([*sent.headers, (b"content-encoding", b"gzip")], changed)


CHANGES: list[Callable[[Sent, random.Random], Sent]] = [body_changed, *[value_changed] * 3, header_changed, zipped]


def changed(chance: random.Random) -> Sent:
    sent = right(chance)
    for _ in range(chance.choice((0, 1, 1, 1, 1, 2, 4))):
        sent = chance.choice(CHANGES)(sent, chance)
    return sent


async def test_every_changed_request_is_accepted_or_refused_and_nothing_wrong_gets_onto_the_log(partners: Running):
    chance = random.Random(SEED)  # noqa: S311
    assert ORGANISATIONS["uni"] == "institution"
    token = [(name.encode(), value.encode()) for name, value in as_("uni", partners).items() if name != "Prefer"]
    earlier = {(r.topic, r.partition, r.offset) for topic in TOPICS for r in await partners.read(topic)}
    refused_before, statuses = await partners.count("rejected"), Counter[int]()
    ours = [topic for topic in TOPICS if topic != EventRefused.topic]
    accepted = refused = 0

    async def told(sent: Sent) -> tuple[int, int]:
        answer = await partners.client.post("/events", content=sent.body, headers=[*token, *sent.headers])
        statuses[answer.status_code] += 1
        assert answer.status_code in (202, 207, 400, 403, 404, 409, 413, 415, 422), f"{sent} {answer.text}"
        return outcome(answer)

    for _ in range(CASES // AT_ONCE):
        for ok, not_ok in await asyncio.gather(*(told(changed(chance)) for _ in range(AT_ONCE))):
            accepted, refused = accepted + ok, refused + not_ok
    print(f"{CASES} requests, {dict(sorted(statuses.items()))}; {accepted} events accepted, {refused} refused")
    rejected = [json.loads(record.value) for record in await partners.read("rejected")]
    # What was accepted and is not applied is told there, too, whenever a service comes to it.
    at_once = [each for each in rejected if not each["problem"]["detail"].startswith(NOT_APPLIED)]
    assert len(at_once) == refused_before + refused
    for rejection in rejected:
        assert 400 <= rejection["problem"]["status"] < 500
        base64.b64decode(rejection["original"] or "", validate=True)
    on_log = [r for topic in ours for r in await partners.read(topic)]
    new = [r for r in on_log if (r.topic, r.partition, r.offset) not in earlier]
    assert len(new) == accepted
    for record in new:
        event = parse(record.value)
        assert (event.source, event.sourcekind) == ("/organisations/uni", "institution")
        assert record.key.decode() == event.partitionkey
    assert min(accepted, refused) > CASES / 10
    if CASES >= 1000:
        assert {202, 207, 400, 403, 415, 422} <= statuses.keys()


def outcome(answer: httpx.Response) -> tuple[int, int]:
    """How many events were accepted and how many refusals were told."""
    content = answer.json()
    if "items" in content:
        return content["accepted"], content["refused"]
    return (1, 0) if answer.status_code == 202 else (0, 1)
