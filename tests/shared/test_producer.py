"""What is published together is on the log where the answer says, in order, however much it is."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest_asyncio

from shared.log.producer import Producer, Record
from shared.log.reads import Log
from shared.log.topics import PARTITIONS, ensure_topics, partition_of
from shared.settings import Settings


@pytest_asyncio.fixture(scope="module")
async def at(kafka: str) -> AsyncIterator[tuple[Producer, Log]]:
    settings = Settings(kafka_bootstrap_servers=kafka, namespace=f"t{uuid4().hex[:12]}")
    await ensure_topics(settings)
    producer, log = Producer(settings), Log(settings)
    yield producer, log
    await log.close()
    await producer.close()


async def test_each_record_is_at_its_address_and_those_of_a_key_are_in_order(at: tuple[Producer, Log]):
    producer, log = at
    # A megabyte of one key is several batches of Kafka; a key's partition is the one that all clients choose.
    large = [Record("learner", "large", bytes([number]) * 100_000) for number in range(10)]
    small = [Record("learner", f"l-{n % 50}", f"{n}".encode(), [("n", b"1")]) for n in range(200)]
    records = [*large, Record("rejected", "uni", b"{}"), *small]
    addresses = await producer.publish(records)
    for record, address in zip(records, addresses, strict=True):
        assert address.partition == partition_of(record.key.encode(), PARTITIONS.get(record.topic, 3))
        found = await log.record(record.topic, *address)
        assert found is not None
        assert (found.key, found.value) == (record.key.encode(), record.value)
        assert list(found.headers) == list(record.headers)
    of_large = [address.offset for address in addresses[:10]]
    assert of_large == sorted(of_large)


async def test_one_alone_is_at_its_address_too(at: tuple[Producer, Log]):
    producer, log = at
    (address,) = await producer.publish([Record("learner", "alone", b"{}")])
    found = await log.record("learner", *address)
    assert found is not None
    assert found.key == b"alone"
    assert await producer.publish([]) == []
