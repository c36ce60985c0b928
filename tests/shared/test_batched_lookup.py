"""Looking up for many at once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from shared.processing import mongo
from shared.processing.mongo import BatchedLookup, Database
from shared.settings import Settings


@pytest.fixture
async def db(mongodb: str) -> AsyncIterator[Database]:
    client = mongo.connect(Settings(mongodb_uri=mongodb))
    name = f"finder{uuid4().hex}"
    yield client[name]
    await client.drop_database(name)
    client.close()


class Counting(BatchedLookup):
    """Counts its finds."""

    finds = 0

    async def _find(self, db: Database) -> dict[str, dict[str, Any]]:
        self.finds += 1
        return await super()._find(db)


async def test_a_crowd_is_served_by_one_find_and_each_gets_its_own(db: Database):
    await db["things"].insert_many([{"_id": str(n), "n": n, "secret": 1} for n in range(100)])
    finder = Counting("things", {"n": 1})
    found = await asyncio.gather(*(finder.find(db, [str(n), "none"]) for n in range(100)))
    assert found == [{str(n): {"_id": str(n), "n": n}} for n in range(100)]
    assert finder.finds == 1


async def test_who_asks_while_a_find_is_under_way_gets_what_is_there_when_asking(db: Database):
    await db["things"].insert_one({"_id": "a", "n": 0})
    finder = BatchedLookup("things", {"n": 1})

    async def changed(n: int) -> None:
        await db["things"].update_one({"_id": "a"}, {"$max": {"n": n}})
        found = await finder.find(db, ["a"])
        assert found["a"]["n"] >= n

    await asyncio.gather(*map(changed, range(200)))


async def test_a_find_that_fails_fails_for_those_who_asked_and_not_for_the_next(db: Database):
    await db["things"].insert_one({"_id": "a", "n": 0})
    finder = BatchedLookup("things", {"n": {"$nothing": 1}})
    for failed in await asyncio.gather(*(finder.find(db, ["a"]) for _ in range(3)), return_exceptions=True):
        assert isinstance(failed, mongo.DatabaseError)
    finder._fields = {"n": 1}
    assert await finder.find(db, ["a"]) == {"a": {"_id": "a", "n": 0}}


async def test_who_hangs_up_takes_nothing_from_the_others(db: Database):
    await db["things"].insert_one({"_id": "a", "n": 0})
    finder = BatchedLookup("things", {"n": 1})
    one, other = asyncio.create_task(finder.find(db, ["a"])), asyncio.create_task(finder.find(db, ["a"]))
    await asyncio.sleep(0)
    one.cancel()
    assert await other == {"a": {"_id": "a", "n": 0}}
