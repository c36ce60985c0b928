"""What organisations write to their own topics over Kafka is accepted or refused as over HTTP."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from services.partners.app import core, router
from services.partners.gateway.ingress import kafka as ingress
from services.partners.gateway.ingress.kafka import ingress_over_kafka
from shared.contract.events import parse
from shared.log.topics import connection, ensure_ingress, organisation_of, topic_name, topic_of
from tests.partners.conftest import MECHANICS, ORGANISATIONS, as_, enrolled, ingress_topics, register
from tests.stack import Running, running, until

STRUCTURED = [("content-type", b"application/cloudevents+json")]
Headers = Sequence[tuple[str, bytes | None]]


@pytest_asyncio.fixture(scope="module")
async def door(kafka: str, mongodb: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The service with the ingress over Kafka, and the topics of the organisations."""
    keys = tmp_path_factory.mktemp("keys")
    async with running(
        core,
        router,
        kafka=kafka,
        mongodb=mongodb,
        keys_dir=keys,
        work=[ingress_over_kafka],
        namespace=await ingress_topics(kafka, ORGANISATIONS),
        event_max_bytes=4096,
        registry_checks="owners",
    ) as stack:
        for id, kind in ORGANISATIONS.items():
            await register(stack, id, kind)
        yield stack


@pytest_asyncio.fixture(scope="module")
async def producer(door: Running) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(**connection(door.settings), acks="all") as producer:
        yield producer


class Way:
    """The topic of an organisation."""

    def __init__(self, stack: Running, producer: AIOKafkaProducer, organisation: str) -> None:
        self.stack, self.organisation = stack, organisation
        self._producer = producer
        self.topic = topic_name(stack.settings.namespace, topic_of("ingress", organisation))

    async def send(
        self, value: dict[str, Any] | bytes | None, headers: Headers = STRUCTURED, key: bytes | None = None
    ) -> None:
        raw = json.dumps(value).encode() if isinstance(value, dict) else value
        # The client wants a key or a value.
        await self._producer.send_and_wait(
            self.topic, raw, key=b"" if raw is key is None else key, headers=list(headers), partition=0
        )

    async def accepted(self, *ids: str) -> list[Any]:
        """The learners' events under these ids, once all are there."""

        async def found() -> list[Any]:
            on_topic = [e for r in await self.stack.read("learner") if (e := parse(r.value)).id in ids]
            return on_topic if {e.id for e in on_topic} == {*ids} else []

        return await until(found)

    async def refused(self, number: int) -> list[dict[str, Any]]:
        """What has been refused since there were *number* rejections of the organisation, once there is something."""

        async def more() -> list[dict[str, Any]]:
            return (await self.rejections())[number:]

        return await until(more)

    async def rejections(self) -> list[dict[str, Any]]:
        found = [json.loads(r.value) for r in await self.stack.read("rejected")]
        return [rejection for rejection in found if rejection["organisation"] == self.organisation]


@pytest.fixture
def uni(door: Running, producer: AIOKafkaProducer) -> Way:
    return Way(door, producer, "uni")


def binary(event: dict[str, Any]) -> tuple[bytes, list[tuple[str, bytes]]]:
    """A value and headers that say the same as *event*."""
    attributes = {f"ce_{name}": str(value).encode() for name, value in event.items() if name != "data"}
    return json.dumps(event["data"]).encode(), [*attributes.items(), ("content-type", b"application/json")]


async def test_structured_event_is_on_its_topic(uni: Way):
    event = enrolled(partitionkey="learner-1", subject="learner-1")
    await uni.send(event, key=b"learner-1")
    (found,) = await uni.accepted(event["id"])
    assert (found.source, found.partitionkey, found.sourcekind) == ("/organisations/uni", "learner-1", "institution")


async def test_binary_event_is_the_same_event(uni: Way):
    event = enrolled(subject="learner-2", partitionkey="learner-2")
    await uni.send(*binary(event))
    (found,) = await uni.accepted(event["id"])
    assert (found.subject, found.data.programme) == ("learner-2", "mechanics")


async def test_byte_order_mark_and_what_intermediaries_add_get_no_further(uni: Way):
    event = enrolled(subject="learner-8", partitionkey="learner-8")
    await uni.send(b"\xef\xbb\xbf" + json.dumps(event | {"knativearrivaltime": "2026-03-02T12:00:00Z"}).encode())
    await uni.accepted(event["id"])
    values = [record.value for record in await uni.stack.read("learner")]
    assert not any(b"knative" in value or value.startswith(b"\xef") for value in values)


async def test_key_of_the_record_is_the_partitionkey(uni: Way):
    event = enrolled(subject="learner-7")
    await uni.send(event, key=b"learner-7")
    (found,) = await uni.accepted(event["id"])
    assert found.partitionkey == "learner-7"


@pytest.mark.parametrize("compression", [None, "gzip", "snappy", "lz4", "zstd"])
async def test_every_compression_is_understood(door: Running, compression: str | None):
    events = [enrolled() for _ in range(20)]
    async with AIOKafkaProducer(**connection(door.settings), compression_type=compression) as producer:
        way = Way(door, producer, "uni")
        await asyncio.gather(*(way.send(event) for event in events))
    await way.accepted(*(event["id"] for event in events))


def bad(**changes: Any) -> bytes:
    return json.dumps(enrolled(**changes)).encode()


BINARY = binary(enrolled())[1]
WRONG: dict[str, tuple[bytes | None, Headers, bytes | None, int, str]] = {
    "no value": (None, STRUCTURED, None, 400, "value"),
    "a tombstone": (None, STRUCTURED, b"learner-1", 400, "value"),
    "an empty value": (b"", STRUCTURED, None, 400, "body"),
    "no JSON": (b"{", STRUCTURED, None, 400, "body"),
    "no UTF-8": (b'{"specversion": "1.0\xff"}', STRUCTURED, None, 400, "body"),
    "overlong UTF-8": (bad(subject="x").replace(b'"x"', b'"\xc0\xaf"'), STRUCTURED, None, 400, "body"),
    "a batch": (b"[" + bad() + b"]", STRUCTURED, None, 400, "specversion"),
    "too many bytes": (bad(subject="x" * 5000), STRUCTURED, None, 413, "data"),
    "no headers": (bad(), [], None, 415, "content-type"),
    "the batch mode": (bad(), [("content-type", b"application/cloudevents-batch+json")], None, 415, "content-type"),
    "a content type without a value": (bad(), [("content-type", None)], None, 415, "content-type"),
    "two content types": (bad(), STRUCTURED * 2, None, 415, "content-type"),
    "another charset": (
        bad(), [("content-type", b"application/cloudevents+json; charset=utf-16")], None, 415, "content-type",
    ),
    "JSON without attributes": (bad(), [("content-type", b"application/json")], None, 415, "content-type"),
    "an attribute twice": (b"{}", [*BINARY, ("ce_id", b"again")], None, 400, "id"),
    "an attribute without a value": (b"{}", [*BINARY, ("ce_more", None)], None, 400, "more"),
    "an attribute in Latin-1": (b"{}", [*BINARY, ("ce_more", b"\xe4")], None, 400, "more"),
    "an attribute in capitals": (b"{}", [*BINARY, ("CE_more", b"x")], None, 400, "CE_more"),
    "data among the attributes": (b"{}", [*BINARY, ("ce_data", b"x")], None, 400, "ce_data"),
    "another key": (bad(partitionkey="learner-1"), STRUCTURED, b"learner-2", 422, "key"),
    "a key in Latin-1": (bad(partitionkey="learner-1"), STRUCTURED, b"\xe4", 422, "key"),
    "no learner": (bad(type="praktika.employment.recorded.v1", data={}), STRUCTURED, None, 422, "partitionkey"),
    "no time": (bad(time=None), STRUCTURED, None, 422, "time"),
    "an unknown type": (bad(type="praktika.learner.enroled.v1"), STRUCTURED, None, 422, "type"),
    "another's source": (bad(source="/organisations/college"), STRUCTURED, None, 403, "source"),
    "another's type": (bad(type="praktika.scheme.published.v1", data={}), STRUCTURED, None, 422, "data"),
}  # fmt: skip


async def test_what_does_not_fit_is_refused_with_reason_and_original(uni: Way):
    before = len(await uni.rejections())
    for value, headers, key, _, _ in WRONG.values():
        await uni.send(value, headers, key)
    event = enrolled()
    await uni.send(event, key=event["subject"].encode())
    await uni.accepted(event["id"])  # the rest goes on
    found = (await uni.rejections())[before:]
    assert len(found) == len(WRONG)
    for (what, (value, _, _, status, field)), rejection in zip(WRONG.items(), found, strict=True):
        problem = rejection["problem"]
        assert (what, problem["status"]) == (what, status)
        assert field in {error["field"].partition(".")[0] for error in problem["errors"]}, what
        # Of what is too long, not all is kept in memory.
        assert rejection["original"] == (None if value is None else base64.b64encode(value[:4097]).decode()), what


async def test_rejection_tells_the_attributes(uni: Way):
    before = len(await uni.rejections())
    await uni.send(b"{}", [*BINARY, ("ce_more", b"x"), ("private", b"y")])
    (rejection,) = await uni.refused(before)
    assert rejection["content_type"] == "application/json"
    assert rejection["attributes"]["ce-more"] == "x"
    assert "private" not in json.dumps(rejection["attributes"])


async def test_same_event_again_is_accepted_and_another_under_its_id_is_a_conflict(uni: Way):
    before = len(await uni.rejections())
    event = enrolled(subject="learner-3", partitionkey="learner-3")
    for sent in (event, event, event | {"data": {"programme": "another"}}):
        await uni.send(sent)
    (rejection,) = await uni.refused(before)
    assert rejection["problem"]["status"] == 409
    assert len(await uni.accepted(event["id"])) == 2


async def test_order_is_kept(uni: Way):
    events = [enrolled(subject="learner-4", partitionkey="learner-4") for _ in range(300)]
    await asyncio.gather(*map(uni.send, events))
    ids = [event["id"] for event in events]
    assert [event.id for event in await uni.accepted(*ids)] == ids


async def test_nothing_is_lost_when_it_ends_at_any_moment(kafka: str, mongodb: str, tmp_path: Path):
    async with running(core, router, kafka=kafka, mongodb=mongodb, keys_dir=tmp_path) as stack:
        await register(stack, "uni", "institution")
        await stack.publish(MECHANICS)
        await ensure_ingress(stack.settings, "uni")
        events = [enrolled() for _ in range(3_000)]
        async with AIOKafkaProducer(**connection(stack.settings), linger_ms=5) as producer:
            uni = Way(stack, producer, "uni")
            sending = asyncio.gather(*map(uni.send, events))
            while (before := await stack.count("learner")) < len(events) / 2:
                async with ended(ingress_over_kafka(stack.service)):
                    await until(partial(more_than, stack, before))
            async with ended(ingress_over_kafka(stack.service)):
                await sending
                await uni.accepted(*(event["id"] for event in events))
        assert await stack.count("rejected") == 0


@asynccontextmanager
async def ended(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do some work, and end it with the block, wherever it is."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def more_than(stack: Running, number: int) -> bool:
    return await stack.count("learner") > number


async def test_header_with_a_name_that_is_no_text_stops_nobody(door: Running, uni: Way):
    """Clients in C send any bytes as a header's name; aiokafka cannot read on in such a batch."""
    before = len(await uni.rejections())
    event, last = enrolled(), enrolled()
    async with AIOKafkaProducer(**connection(door.settings)) as producer:
        batch = producer.create_batch()
        for value, name in ((json.dumps(event).encode(), "content-type"), (bad(), "BADNAME"), (bad(), "content-type")):
            batch.append(key=None, value=value, timestamp=None, headers=[(name, STRUCTURED[0][1])])
        batch.close()
        raw = bytearray(batch._build().replace(b"BADNAME", b"BAD\xff\xfeME"))
        raw[17:21] = calc_crc32c(raw[21:]).to_bytes(4)
        batch._buffer = raw
        await (await producer.send_batch(batch, uni.topic, partition=0))
    await uni.send(last)
    await uni.accepted(event["id"], last["id"])
    (rejection,) = await uni.refused(before)
    assert rejection["original"] is None
    assert "to the end of its batch" in rejection["problem"]["errors"][0]["detail"]


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
async def test_batch_that_inflates_without_bound_is_refused_unread(door: Running, uni: Way, compression: str):
    before, event = len(await uni.rejections()), enrolled()
    async with AIOKafkaProducer(
        **connection(door.settings), compression_type=compression, max_request_size=32 * 1024 * 1024
    ) as producer:
        await Way(door, producer, "uni").send(bytes(17 * 1024 * 1024))
    await uni.send(event)
    await uni.accepted(event["id"])
    (rejection,) = await uni.refused(before)
    assert "to more than 8388608 bytes" in rejection["problem"]["errors"][0]["detail"]


async def test_new_organisation_is_heard_without_a_restart(door: Running, producer: AIOKafkaProducer):
    id = f"new_college:{uuid4().hex[:6]}"
    await ensure_ingress(door.settings, id)
    way = Way(door, producer, id)
    event = enrolled(source=f"/organisations/{id}")
    await way.send(event)
    (rejection,) = await way.refused(0)
    assert rejection["problem"]["detail"] == "the sender is unknown"
    await register(door, id, "institution")
    await way.send(event)
    await way.accepted(event["id"])


async def test_suspended_organisation_is_refused_until_it_is_reinstated(door: Running, producer: AIOKafkaProducer):
    college = Way(door, producer, "college")
    operator, event = as_("operator", door), enrolled(source="/organisations/college")
    await door.client.post("/organisations/college/suspension", json={"reason": "closed"}, headers=operator)
    await college.send(event)
    (rejection,) = await college.refused(0)
    assert (rejection["problem"]["status"], "closed" in rejection["problem"]["detail"]) == (403, True)
    await door.client.post("/organisations/college/reinstatement", headers=operator)
    await college.send(event)
    await college.accepted(event["id"])


def test_topic_tells_its_organisation():
    for organisation in ("uni", "a.b-c", "x_41", "a:b~c_d"):
        assert organisation_of(topic_of("ingress", organisation)) == organisation


async def test_who_has_nothing_to_read_keeps_its_place_in_the_group(
    kafka: str, mongodb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A consumer that is not asked for anything for `max_poll_interval_ms` leaves its group for good."""
    often = partial(ingress.raw_consumer, max_poll_interval_ms=1_000)
    monkeypatch.setattr(ingress, "raw_consumer", often)
    given = {"keys_dir": tmp_path, "work": [ingress_over_kafka], "registry_checks": "owners"}
    async with running(core, router, kafka=kafka, mongodb=mongodb, **given) as stack:
        await register(stack, "uni", "institution")
        idle_since = time.monotonic()

        async def idle_for_long() -> bool:  # three times as long, with nothing assigned
            return time.monotonic() - idle_since > 3

        await until(idle_for_long)
        await ensure_ingress(stack.settings, "uni")
        async with AIOKafkaProducer(**connection(stack.settings), acks="all") as producer:
            event = enrolled()
            way = Way(stack, producer, "uni")
            await way.send(event)
            assert [e.id for e in await way.accepted(event["id"])] == [event["id"]]
        ready = await stack.client.get("/health/ready")
        assert (ready.status_code, ingress.MEMBER._value.get()) == (200, 1)
