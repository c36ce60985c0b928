"""Sends each webhook its organisation's feed, in order, one event at a time.

A process serves a webhook while it holds its lease, and all in turn. What fails is set aside and tried again for three
days, while the following go on; an address that does not answer at all is called ever more rarely, and disabled in the
end.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NamedTuple
from uuid import uuid4

import httpx
from prometheus_client import Counter as Metric
from pydantic_core import from_json

from shared.contract import events
from shared.http.addresses import NotAllowed, client
from shared.http.service import Service
from shared.log.consumer import ConsumerRecord
from shared.log.producer import NotPublished
from shared.observability import logs
from shared.processing import mongo

from .feed import Feed, is_suspended
from .forwarding import KEPT
from .hooks import FAILURES, WEBHOOKS
from .webhooks import call_webhook

LEASE_S = 60
TURN_S = 60.0  # a webhook is served for so long, then the one that waits longest
LOOK_S = 1.0
TRIED_S = 3 * 86_400
LONGEST_RETRY_S, LONGEST_PAUSE_S, LONGEST_OBEYED_S = 6 * 3600, 300, 3600

Outcome = Literal["delivered", "failed", "throttled", "gone"]
DELIVERIES = Metric("praktika_webhook_deliveries_total", "Deliveries tried, by how they ended.", ["outcome"])
for _outcome in ("delivered", "failed", "throttled", "gone"):
    DELIVERIES.labels(_outcome)
DISABLED = Metric("praktika_webhooks_disabled_total", "Webhooks disabled because their address failed for too long.")
log = logs.get(__name__)


class Tried(NamedTuple):
    """How an attempt ended: why not, and how long the address wants to be left alone."""

    outcome: Outcome
    reason: str = ""
    wait_s: float = 0


async def deliver(service: Service) -> None:
    """Serve the webhooks that nobody serves, for as long as nothing goes wrong."""
    home, me = service.store.home, str(uuid4())
    await home[FAILURES].create_index([("webhook", 1), ("cursor", 1)], unique=True)
    await home[FAILURES].create_index([("webhook", 1), ("next_at", 1)])
    await home[FAILURES].create_index("expires", expireAfterSeconds=0)
    serving: dict[str, asyncio.Task[None]] = {}
    try:
        while True:
            serving = {id: task for id, task in serving.items() if not task.done()}
            while len(serving) < service.settings.webhooks_served and (hook := await _claim(home, me, serving)):
                serving[hook["_id"]] = asyncio.create_task(_serve(hook, me, service))
            await asyncio.sleep(LOOK_S)
    finally:
        for task in serving.values():
            task.cancel()
        await asyncio.gather(*serving.values(), return_exceptions=True)
        await home[WEBHOOKS].update_many({"lease.by": me}, {"$set": {"lease.until": 0}})


async def _claim(home: mongo.Database, me: str, serving: Mapping[str, object]) -> dict[str, Any] | None:
    now = time.time()
    due = {"lease.until": {"$lt": now}, "not_before": {"$not": {"$gt": now}}}
    free = {"status": "active", **due, "_id": {"$nin": list(serving)}}
    longest_unserved = [("lease.until", 1)]
    return await home[WEBHOOKS].find_one_and_update(free, {"$set": {"lease": _lease(me)}}, sort=longest_unserved)


def _lease(me: str) -> dict[str, Any]:
    return {"by": me, "until": time.time() + LEASE_S}


async def _serve(hook: dict[str, Any], me: str, service: Service) -> None:
    try:
        feed = Feed(service.log, hook["organisation"])
        span = await feed.span()
        cursor = min(max(hook["cursor"], span.oldest), span.end)
        async with client() as http:
            await _Delivery(hook["_id"], hook["organisation"], me, service, feed, http, cursor).run()
    except (NotPublished, mongo.DatabaseError, TimeoutError) as error:
        log.warning("webhook_interrupted", webhook=hook["_id"], reason=type(error).__name__)
    except Exception:
        log.exception("webhook_interrupted", webhook=hook["_id"])


@dataclass
class _Delivery:
    """One webhook while this process serves it."""

    id: str
    organisation: str
    me: str
    service: Service
    feed: Feed
    http: httpx.AsyncClient
    cursor: int
    waiting: ConsumerRecord | None = None  # the next of the feed, read but not tried to its end

    @property
    def home(self) -> mongo.Database:
        return self.service.store.home

    async def run(self) -> None:
        until = time.monotonic() + TURN_S
        while time.monotonic() < until and (hook := await self._renewed()):
            if await is_suspended(self.service, self.organisation):
                await asyncio.sleep(5)
            elif (left := hook["not_before"] - time.time()) > 0:
                await asyncio.sleep(min(left, LOOK_S))
            elif due := await self._due():
                await self._again(hook, due)
            elif self.waiting:
                await self._deliver(hook, self.waiting)
            else:
                for record in await self.feed.read(self.cursor, 1, 2 * LOOK_S):
                    self.waiting, self.cursor = record, record.offset + 1
        freed = {"$set": {"lease.until": time.time() - LOOK_S}}
        await self.home[WEBHOOKS].update_one({"_id": self.id, "lease.by": self.me}, freed)

    async def _renewed(self) -> dict[str, Any] | None:
        """The webhook as it is now, if it is still there, wanted and ours."""
        ours = {"_id": self.id, "status": "active", "lease.by": self.me}
        return await self.home[WEBHOOKS].find_one_and_update(ours, {"$set": {"lease": _lease(self.me)}})

    async def _due(self) -> dict[str, Any] | None:
        match = {"webhook": self.id, "next_at": {"$ne": None, "$lte": time.time()}}
        return await self.home[FAILURES].find_one(match, sort=[("next_at", 1)])

    async def _deliver(self, hook: dict[str, Any], record: ConsumerRecord) -> None:
        tried = await _post(hook, record, self.http, self.service)
        if tried.outcome == "failed":
            await self._set_aside(record, tried)
        is_over = tried.outcome in ("delivered", "failed")
        await self._note(hook, tried, {"cursor": record.offset + 1} if is_over else {})
        self.waiting = None if is_over else record

    async def _again(self, hook: dict[str, Any], due: dict[str, Any]) -> None:
        """Try once more what failed before."""
        mine = {"_id": due["_id"]}
        span, cursor = await self.feed.span(), due["cursor"]
        if not span.oldest <= cursor < span.end:
            given_up = {"next_at": None, "reason": "the feed does not hold it any more"}
            await self.home[FAILURES].update_one(mine, {"$set": given_up})
            return
        records = await self.feed.read(cursor, 1)
        if not records:
            raise TimeoutError
        tried = await _post(hook, records[0], self.http, self.service)
        if tried.outcome == "delivered":
            await self.home[FAILURES].delete_one(mine)
        elif tried.outcome == "failed":
            change = self._failed(due["attempts"] + 1, due["first_at"], tried)
            await self.home[FAILURES].update_one(mine, {"$set": change})
        await self._note(hook, tried, {})

    async def _set_aside(self, record: ConsumerRecord, tried: Tried) -> None:
        event, now = from_json(record.value or b""), time.time()
        about = {name: event[name] for name in ("id", "source", "type", "subject", "time")}
        expires = datetime.fromtimestamp(record.timestamp / 1000, UTC) + KEPT + timedelta(days=1)
        doc = {"organisation": self.organisation, "event": about, "first_at": now, "expires": expires}
        match = {"webhook": self.id, "cursor": record.offset}
        change = {"$set": self._failed(1, now, tried), "$setOnInsert": doc}
        await self.home[FAILURES].update_one(match, change, upsert=True)

    def _failed(self, attempts: int, first_at: float, tried: Tried) -> dict[str, Any]:
        """What is kept of a failed delivery: it is tried again, ever more rarely, for three days."""
        now = time.time()
        pause = max(tried.wait_s, _pause(self.service.settings.webhook_retry_s, attempts, LONGEST_RETRY_S))
        next_at = now + pause if now + pause < first_at + TRIED_S else None
        return {"attempts": attempts, "last_at": now, "next_at": next_at, "reason": tried.reason}

    async def _note(self, hook: dict[str, Any], tried: Tried, moved: dict[str, Any]) -> None:
        """Keep how an attempt ended, and when the next one may be."""
        DELIVERIES.labels(tried.outcome).inc()
        now, moment = time.time(), datetime.now(UTC).isoformat(timespec="seconds")
        if tried.outcome == "delivered":
            rest = {"failures": 0, "failing_since": None}
            change = {"delivered_at": moment, "not_before": now + (60 / hook["rate"] if hook["rate"] else 0), **rest}
        else:
            change = self._unwell(hook, tried, now) | {"failed_at": moment, "reason": tried.reason}
            log.info("not_delivered", webhook=self.id, reason=tried.reason)
        await self.home[WEBHOOKS].update_one({"_id": self.id, "lease.by": self.me}, {"$set": change | moved})

    def _unwell(self, hook: dict[str, Any], tried: Tried, now: float) -> dict[str, Any]:
        """What is kept of an address that does not take what it is sent: when it is called again, if it is."""
        settings, failures, since = self.service.settings, hook.get("failures", 0) + 1, hook.get("failing_since") or now
        pause = max(tried.wait_s, _pause(settings.webhook_retry_s, failures, LONGEST_PAUSE_S))
        change = {"not_before": now + pause, "failures": failures, "failing_since": since}
        if tried.outcome == "gone":
            change["status"] = "gone"
        elif now - since > settings.webhook_disabled_after_s:
            DISABLED.inc()
            log.warning("webhook_disabled", webhook=self.id, organisation=self.organisation)
            change["status"] = "disabled"
        return change


def _pause(first_s: float, failures: int, longest_s: float) -> float:
    """How long to wait after so many failures: twice as long each time, of which a part is chance."""
    longest = min(longest_s, first_s * 2.0 ** min(failures - 1, 40))
    return random.uniform(longest / 2, longest)  # noqa: S311


async def _post(hook: dict[str, Any], record: ConsumerRecord, http: httpx.AsyncClient, service: Service) -> Tried:
    """Deliver one event; nothing of the answer's body is kept."""
    body = record.value or b""
    event = from_json(body)
    id = events.derived_id("webhook", event["source"], event["id"])  # a header has no room for any text
    try:
        answer = await call_webhook(http, hook, service.settings, id, body)
    except NotAllowed as error:
        return Tried("failed", f"the address {error}")
    except (httpx.HTTPError, TimeoutError) as error:
        return Tried("failed", f"no answer: {type(error).__name__}")
    reason, wait_s = f"answered {answer.status}", _retry_after_s(answer.headers.get("retry-after", ""))
    if answer.status == 410:
        return Tried("gone", reason)
    if answer.status == 429:
        return Tried("throttled", reason, wait_s)
    if 200 <= answer.status < 300:
        return Tried("delivered")
    return Tried("failed", reason, wait_s)


def _retry_after_s(text: str) -> float:
    """Seconds in a `Retry-After` header, of at most an hour; 0 if there is none that can be understood."""
    try:
        if text.isascii() and text.isdigit():
            seconds = float(text)
        else:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return 0
    return min(max(seconds, 0), LONGEST_OBEYED_S)
