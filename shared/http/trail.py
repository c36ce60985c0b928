"""Who did what, from where, and how it ended: an append-only topic `audit`, without what was sent or answered.

Noted are commands, what was refused or throttled, and who read about learners. The same again within a second is
counted, so that nobody floods the trail; events themselves are in the log.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from prometheus_client import Counter as Metric
from pydantic_core import from_json, to_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.log.producer import NotPublished, Producer, Record

TOPIC = "audit"
EVERY_S = 1.0
MOST = 10_000  # different entries that wait for Kafka
LOST = Metric("praktika_trail_lost_total", "Entries of the trail that were lost, because too many waited.")
ABOUT_LEARNERS = ("/learners", "/internships", "/requests", "/certificates", "/feed", "/rejections")


class Entry(NamedTuple):
    """What is said of one action.

    Attributes:
        actor: an organisation, `operator/<name>`, or empty: nobody who is known.
        action: the method and the route's template.
        subject: what the route names, for example a learner.
        outcome: the status of the answer.
    """

    actor: str
    address: str
    action: str
    subject: str
    outcome: int


class Trail:
    """What a process has to note, until Kafka has it."""

    def __init__(self, service: str, producer: Producer) -> None:
        self._service, self._producer = service, producer
        self._waiting = Counter[Entry]()

    def note(self, entry: Entry) -> None:
        if entry in self._waiting or len(self._waiting) < MOST:
            self._waiting[entry] += 1
        else:
            LOST.inc()

    async def keep(self) -> None:
        """Publish what was noted, for as long as the process runs."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.flush()

    async def flush(self) -> None:
        """Publish what was noted; what Kafka does not take now is tried again."""
        waiting, self._waiting = self._waiting, Counter()
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        records = [
            Record(
                TOPIC,
                entry.actor or "-",
                to_json({"at": at, "service": self._service, **entry._asdict(), "times": times}),
            )
            for entry, times in waiting.items()
        ]
        try:
            await self._producer.publish(records)
        except NotPublished:
            for entry, times in waiting.items():
                self._waiting[entry] += times


class AuditMiddleware:
    """Notes requests on the trail, by what the application found out about them."""

    def __init__(self, app: ASGIApp, trail: Callable[[], Trail | None]) -> None:
        self.app, self._trail = app, trail

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            trail = self._trail()
            if trail is not None and (entry := _entry(scope, status)):
                trail.note(entry)


def _entry(scope: Scope, status: int) -> Entry | None:
    """What is worth noting: every command but accepted events, every refusal, and reading about learners."""
    path = getattr(scope.get("route"), "path", "")
    is_read = scope["method"] in ("GET", "HEAD")
    about_learners = is_read and path.startswith(ABOUT_LEARNERS)
    commanded = not is_read and path not in ("/events", "/token")
    if not path or not (commanded or about_learners or status in (401, 403, 429)):
        return None
    # What a one-time link ends with opens it: it stands nowhere.
    subject = "/".join(str(value) for name, value in scope.get("path_params", {}).items() if name != "token")[:200]
    address = scope["client"][0] if scope.get("client") else ""
    return Entry(scope.get("state", {}).get("actor", ""), address, f"{scope['method']} {path}", subject, status)


def entry_in(value: bytes | None) -> dict[str, Any] | None:
    """What a record of the topic says; None if it is none of ours."""
    try:
        content = from_json(value or b"")
        return {name: content[name] for name in ("at", "service", *Entry._fields, "times")}
    except (ValueError, KeyError, TypeError):
        return None
