"""Thousands of mutilated records over Kafka: nothing crashes, nothing that does not fit gets on a topic of ours."""

import asyncio
import base64
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from services.partners.app import core, router
from services.partners.gateway.contract.examples import EXAMPLES
from services.partners.gateway.ingress.kafka import ingress_over_kafka
from shared.contract.events import SANDBOX, TOPICS, EventRefused, parse
from shared.log.topics import connection, topic_name, topic_of
from shared.processing.refusals import NOT_APPLIED
from tests.partners.conftest import ingress_topics, register
from tests.stack import Running, running, until

RECORDS, SEED = 6_000, 20_260_302
PIECES = (
    b"",
    b"\x00",
    b"\xff",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b'"',
    b"{",
    b"[" * 600,
    b"null",
    b"1e999",
    b"\\ud800",
    b"9" * 400,
)
NAMES = (
    "content-type",
    "ce_specversion",
    "ce_id",
    "ce_type",
    "ce_source",
    "ce_time",
    "ce_subject",
    "ce_data",
    "CE_id",
    "",
)
MEDIA = (
    b"application/cloudevents+json",
    b"application/json",
    b"text/plain",
    b"application/cloudevents-batch+json",
    b"\xff",
)
ORGANISATIONS = {"north-college": "institution", "river-plant": "enterprise"}
VALID: list[dict[str, Any]] = [
    example.model_dump(mode="json", exclude_none=True, exclude={"sourcekind"})
    for example in EXAMPLES.values()
    if example.sourcekind in ORGANISATIONS.values()
]
Headers = list[tuple[str, bytes | None]]


class Sent(NamedTuple):
    value: bytes | None
    headers: Headers
    key: bytes | None
    organisation: str


def valid(random: random.Random) -> Sent:
    """An event that is accepted, in one of the two modes."""
    event = {**random.choice(VALID), "id": f"{random.getrandbits(64):x}"}
    organisation = event["source"].rpartition("/")[2]
    key = event["partitionkey"].encode() if random.random() < 0.5 else None
    if random.random() < 0.5:
        return Sent(json.dumps(event).encode(), [("content-type", MEDIA[0])], key, organisation)
    attributes: Headers = [(f"ce_{name}", str(value).encode()) for name, value in event.items() if name != "data"]
    return Sent(json.dumps(event["data"]).encode(), [*attributes, ("content-type", MEDIA[1])], key, organisation)


def mutilated(random: random.Random) -> Sent:
    value, headers, key, organisation = valid(random)
    headers = list(headers)
    for _ in range(random.choice((0, 1, 1, 1, 2, 5))):
        what = random.randrange(8)
        if what <= 3 and value:
            at = random.randrange(len(value))
            value = (
                value[:at] + bytes([random.randrange(256)]) + value[at + 1 :],
                value[:at] + random.choice(PIECES) + value[at:],
                value[:at],
                value[:at] + value[random.randrange(len(value)) :],
            )[what]
        elif what == 4:
            value = random.choice((None, b"", value))
        elif what == 5:
            key = random.choice((None, b"", b"\xff", b"k" * 1000, random.randbytes(8)))
        elif headers:
            at = random.randrange(len(headers))
            name, cloudevent = headers[at]
            changed = random.choice(
                (None, b"", random.randbytes(5), random.choice(MEDIA), (cloudevent or b"") + b"\xff")
            )
            headers[at : at + 1] = random.choice(
                ([], [(name, changed)], [(name, cloudevent), (name, cloudevent)], [(random.choice(NAMES), cloudevent)])
            )
    return Sent(value, headers, key, organisation)


async def test_no_mutilated_record_gets_in_and_none_is_lost(kafka: str, mongodb: str, tmp_path: Path):
    source = random.Random(SEED)  # noqa: S311
    sent = [mutilated(source) for _ in range(RECORDS)]
    given = {"keys_dir": tmp_path, "work": [ingress_over_kafka], "registry_checks": "owners"}
    namespace = await ingress_topics(kafka, ORGANISATIONS)
    async with running(core, router, kafka=kafka, mongodb=mongodb, namespace=namespace, **given) as stack:
        for organisation, kind in ORGANISATIONS.items():
            await register(stack, organisation, kind)
        ours = [topic for topic in TOPICS if topic != EventRefused.topic]
        before = await stack.count(*ours)
        await send(stack, sent)

        async def all_judged() -> bool:
            told = await stack.count(EventRefused.topic)  # accepted and not applied: each is a rejection, too
            return await stack.count(*ours) - before + await stack.count("rejected") - told >= RECORDS

        await until(all_judged, 60)
        rejected = [json.loads(record.value) for record in await stack.read("rejected")]
        rejections = [r for r in rejected if not r["problem"]["detail"].startswith(NOT_APPLIED)]
        on_topics = [parse(record.value) for topic in (*TOPICS, SANDBOX) for record in await stack.read(topic)]
    accepted = [event for event in on_topics if event.sourcekind in ORGANISATIONS.values()]
    assert len(accepted) + len(rejections) == RECORDS
    assert len(accepted) > RECORDS / 20
    assert len(rejections) > RECORDS / 2
    assert {rejection["problem"]["status"] for rejection in rejections} <= {400, 403, 409, 413, 415, 422}
    originals = Counter((r["organisation"], original(r)) for r in rejections)
    assert not originals - Counter((each.organisation, each.value) for each in sent)


def original(rejection: dict[str, Any]) -> bytes | None:
    return None if rejection["original"] is None else base64.b64decode(rejection["original"])


async def send(stack: Running, sent: list[Sent]) -> None:
    async with AIOKafkaProducer(**connection(stack.settings), linger_ms=5, compression_type="zstd") as producer:
        futures = []
        for value, headers, key, organisation in sent:
            topic = topic_name(stack.settings.namespace, topic_of("ingress", organisation))
            key = b"" if value is key is None else key  # noqa: PLW2901 (the client wants one of the two)
            futures.append(await producer.send(topic, value, key=key, headers=headers))
        await asyncio.gather(*futures)
