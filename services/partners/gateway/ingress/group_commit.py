"""Group commit: single events that come while others of their sender are judged are judged next, together.

What they refer to is looked up once for all of them, and they go to Kafka as one batch.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any, NamedTuple

from shared.contract.events import Data, Event
from shared.http.auth import Caller
from shared.http.problems import Problem
from shared.http.service import Address, Service

from .deduplication import RecentEvents
from .validation import ACCEPTED, LATER, TRANSIENT, validated

Published = tuple[Event[Data], Address]


class _Request(NamedTuple):
    item: Any  # parsed JSON
    answer: asyncio.Future[Published | Problem]

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def succeed(self, outcome: Published | Problem) -> None:
        if not self.answer.done():  # else its client has gone
            self.answer.set_result(outcome)


class GroupCommit:
    """Publishes single events. A group has the size that its sender's load gives it; nobody waits for it to fill."""

    def __init__(self, recent: RecentEvents) -> None:
        self._recent = recent
        self._next: dict[Caller, list[_Request]] = {}  # of senders of whom a group is being judged
        self._tasks = set[asyncio.Task[None]]()

    async def publish(self, item: Any, service: Service, caller: Caller) -> Published | Problem:
        """Publish one event (parsed JSON); or what is wrong with it, of which nothing is noted."""
        request = _Request(item, asyncio.get_running_loop().create_future())
        if caller in self._next:
            self._next[caller].append(request)
        else:
            self._next[caller] = [request]
            self._start(self._judge_all(service, caller))
        return await request.answer

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _judge_all(self, service: Service, caller: Caller) -> None:
        """Judge one group after the other; each is published while the next is judged."""
        while group := self._next[caller]:
            self._next[caller] = []
            await self._judge(group, service, caller, waits=False)
        del self._next[caller]

    async def _judge(self, group: list[_Request], service: Service, caller: Caller, *, waits: bool) -> None:
        items = [request.item for request in group]
        try:
            checked, digests = await validated(items, service, caller, self._recent, waits=waits)
        except Exception as error:
            if len(group) == 1 or isinstance(error, (*TRANSIENT, Problem)):
                for request in group:
                    request.fail(error)
            else:  # a defect of ours, which one of them has met
                for request in group:
                    await self._judge([request], service, caller, waits=waits)
            return
        fitting: list[tuple[_Request, Event[Data]]] = []
        for request, event in zip(group, checked, strict=True):
            if event is LATER:  # the others do not wait with it
                self._start(self._judge([request], service, caller, waits=True))
            elif isinstance(event, Problem):
                request.succeed(event)
            else:
                fitting.append((request, event))
        if fitting:
            self._start(self._publish(fitting, digests, service, caller))

    async def _publish(
        self, fitting: list[tuple[_Request, Event[Data]]], digests: dict[str, str], service: Service, caller: Caller
    ) -> None:
        try:
            addresses = await service.publish(*(event for _, event in fitting))
        except Exception as error:
            for request, _ in fitting:
                request.fail(error)
            return
        self._recent.note(caller.source, digests)
        for topic, number in Counter(address.topic for address in addresses).items():
            ACCEPTED.labels(topic).inc(number)
        for (request, event), address in zip(fitting, addresses, strict=True):
            request.succeed((event, address))
