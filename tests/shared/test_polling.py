"""What a worker takes at once, and how long its event loop lets everything else wait."""

import asyncio
import time
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from shared.log.consumer import POLL_MS, TOP_UP_MS, Consumer
from shared.observability.metrics import MeasuredLoop
from shared.settings import Settings

HERE = TopicPartition("learner", 0)


class Fetched:
    """Gives out what was fetched, a list for each poll, and remembers how long it was asked to wait."""

    def __init__(self, *polls: list[int] | KafkaError) -> None:
        self._polls, self.waits_ms = list(polls), list[int]()

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[int]]:
        self.waits_ms.append(timeout_ms)
        polled = self._polls.pop(0)
        if isinstance(polled, KafkaError):
            raise polled
        assert len(polled) <= max_records
        return {HERE: polled} if polled else {}


async def taken(fetched: Any, most: int = 10) -> tuple[Any, ...]:
    consumer = Consumer(Settings(consume_max_records=most), "monitoring", ["learner"], None, None)  # type: ignore[arg-type]
    return await consumer._poll(fetched)


async def test_what_came_since_the_last_fetch_is_taken_too():
    fetched = Fetched([1, 2], [3, 4, 5])
    assert await taken(fetched) == (1, 2, 3, 4, 5)
    assert fetched.waits_ms == [0, TOP_UP_MS]


async def test_what_comes_after_a_silence_is_taken_at_once():
    fetched = Fetched([], [1])
    assert await taken(fetched) == (1,)
    assert fetched.waits_ms == [0, POLL_MS]


async def test_a_full_batch_waits_for_nothing():
    fetched = Fetched([1, 2, 3])
    assert await taken(fetched, most=3) == (1, 2, 3)
    assert fetched.waits_ms == [0]


async def test_records_in_hand_are_not_lost_by_an_error_behind_them():
    assert await taken(Fetched([1, 2], KafkaError())) == (1, 2)


def test_the_longest_turn_of_the_loop_is_told_once():
    async def slow() -> tuple[float, float]:
        await asyncio.sleep(0)
        time.sleep(0.05)  # noqa: ASYNC251 (what is measured)
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MeasuredLoop)
        return loop.longest_pause_s(), loop.longest_pause_s()

    with asyncio.Runner(loop_factory=MeasuredLoop) as runner:
        longest_s, again_s = runner.run(slow())
    assert longest_s >= 0.05
    assert again_s == 0
