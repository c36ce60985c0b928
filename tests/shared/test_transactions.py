"""A transaction is whole or nothing, also when who writes is cancelled."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pymongo.synchronous.client_session import ClientSession

from shared.processing import mongo
from shared.processing.facts import empty
from shared.processing.mongo import Key, Store, WriteSet
from shared.settings import Settings


async def test_who_is_cancelled_while_the_driver_begins_writes_nothing(
    mongodb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = Settings(mongodb_uri=mongodb, keys_dir=tmp_path, namespace=f"t{uuid4().hex[:12]}")
    client = mongo.connect(settings)
    store = Store(mongo.database(client, settings, "monitoring"))
    await mongo.ensure_indexes(store.db, {"learners": []})
    labels = [f"learner-{number}" for number in range(12)]
    await store.positions(labels)
    begun, cancelled, apply = threading.Event(), threading.Event(), ClientSession._apply_to

    def slowly(self: ClientSession, *arguments: Any) -> None:
        if not begun.is_set():
            begun.set()
            cancelled.wait(10)
            deadline = time.monotonic() + 0.1  # the interpreter is with other threads meanwhile
            while self.in_transaction and time.monotonic() < deadline:
                pass
        apply(self, *arguments)

    def batch(label: str) -> WriteSet:
        return WriteSet(positions={label: (0, 3, 1)}, states={Key("learners", label): (label, empty(), {})})

    monkeypatch.setattr(ClientSession, "_apply_to", slowly)
    try:
        for label in labels:
            begun.clear()
            cancelled.clear()
            writing = asyncio.create_task(store.write(batch(label)))
            await asyncio.to_thread(begun.wait, 10)
            writing.cancel()
            cancelled.set()
            with pytest.raises(asyncio.CancelledError):
                await writing
        begun.set()
        await asyncio.sleep(0.3)  # for a thread that was left to itself
        assert {at.next_offset for at in (await mongo.positions(store.db)).values()} == {0}
        await store.write(batch(labels[0]))
        assert await store.db["learners"].count_documents({}) == 1
    finally:
        await client.drop_database(store.db.name)
        client.close()
