"""Answers that a process works out once for all who ask the same, until its service has applied something new."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any, NamedTuple

from shared.processing import mongo
from shared.processing.mongo import Answer, CoalescedRead, Database


class Applied(NamedTuple):
    """How far events are applied: the position of each partition, and until when everything published is."""

    positions: frozenset[tuple[str, int]]
    until: str | None


async def applied(db: Database) -> Applied:
    """To be asked before what is applied is read: that can only be newer."""
    positions = await mongo.positions(db)
    complete_until_ms = min((position.complete_until_ms for position in positions.values()), default=0)
    until = (
        datetime.fromtimestamp(complete_until_ms / 1000, UTC).isoformat(timespec="milliseconds")
        if complete_until_ms
        else None
    )
    return Applied(frozenset((label, position.next_offset) for label, position in positions.items()), until)


@dataclass
class _Kept:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    answer: Any = None
    applied: Applied | None = None
    read_at: float = 0
    took_s: float = 0

    def will_do(self, for_s: float) -> bool:
        """Is it younger than so many seconds?"""
        return self.applied is not None and monotonic() - self.read_at < for_s


class RecentAnswers:
    """Answers by question; the one that was asked for longest ago goes first.

    What is answered from must not change without a position moving: in partners and monitoring that is everything in
    the database in use.

    Args:
        topic: the only one whose events matter to the answers; none: all do.
        rest: for so many times as long as an answer took it will do, though events have been applied since.
        at_once_s: an answer that took no longer is not rested from.
    """

    def __init__(self, most: int = 100, topic: str | None = None, rest: float = 0, at_once_s: float = 0) -> None:
        self._most, self._topic, self._rest, self._at_once_s = most, topic, rest, at_once_s
        self._kept: dict[Hashable, _Kept] = {}
        self._applied: dict[str, CoalescedRead[Applied]] = {}

    async def answer(
        self, db: Database, question: Hashable, within_s: float, work: Callable[[], Awaitable[Answer]]
    ) -> tuple[Answer, str | None]:
        """The answer to *question*, and the time until which it contains every event.

        Args:
            within_s: so long an answer will do though events have been applied since.
        """
        kept = self._kept.pop((db.name, question), None) or _Kept()
        self._kept[db.name, question] = kept
        if len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]
        if not kept.will_do(max(within_s, self._rest_s(kept))):
            asked_at, now = monotonic(), await self._now(db)
            async with kept.lock:
                if kept.applied is None or now.positions != kept.applied.positions:
                    if kept.will_do(self._rest_s(kept)):  # somebody else has just worked it out
                        return kept.answer, kept.applied.until if kept.applied else None
                    began = monotonic()
                    kept.answer = await work()
                    kept.took_s = monotonic() - began
                kept.applied, kept.read_at = now, max(asked_at, monotonic() - kept.took_s)
        return kept.answer, kept.applied.until if kept.applied else None

    def _rest_s(self, kept: _Kept) -> float:
        return self._rest * kept.took_s if kept.took_s > self._at_once_s else 0

    async def is_current(self, db: Database, question: Hashable) -> bool:
        """Has nothing that matters been applied since the last answer to *question*?"""
        kept = self._kept.get((db.name, question))
        return kept is None or kept.applied is None or kept.applied.positions == (await self._now(db)).positions

    async def _now(self, db: Database) -> Applied:
        now = await self._applied.setdefault(db.name, CoalescedRead(lambda: applied(db)))()
        if self._topic is None:
            return now
        return Applied(frozenset(each for each in now.positions if each[0].startswith(f"{self._topic}-")), now.until)
