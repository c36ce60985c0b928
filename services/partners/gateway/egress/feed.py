"""An organisation's feed: what concerns it, read page by page, waited for, or streamed as Server-Sent Events.

A cursor is a number: how much of the feed lies before. It is the offset of what follows on `egress.<organisation>`.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from prometheus_client import Gauge
from pydantic_core import from_json, to_json
from starlette.types import Receive, Scope, Send

from services.partners.gateway.credentials import Active
from shared.contract.events import PARTNERS
from shared.http.auth import Caller, Unauthorised, expires_at
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Running, Service, barred
from shared.log.consumer import ConsumerRecord
from shared.log.producer import NotPublished
from shared.log.reads import Ends, Log
from shared.log.topics import topic_of
from shared.processing.mongo import DatabaseError

LONGEST_WAIT_S = 30
ALIVE_EVERY_S = 15
LOOK_S = 1.0  # so often is looked whether a stream should end
PAGE_BYTES = 1_000_000  # a page has no more, but for one event that is larger

PAGE = {
    "type": "object",
    "required": ["items", "next"],
    "properties": {"items": {"type": "array", "items": {"type": "object"}}, "next": {"type": "string"}},
}
READERS = Gauge("praktika_feed_readers", "Streams and reads of a feed that are open.")
router = Router(tags=["feed"])
Cursor = Annotated[int | None, Query(ge=0, le=2**62, description="`next` of the page before; left out: the oldest.")]


class Feed:
    """One organisation's feed; an organisation that has no topic yet has an empty feed.

    Everything raises `NotPublished` if Kafka does not answer.
    """

    def __init__(self, log: Log, organisation: str) -> None:
        self._log, self._topic = log, topic_of("egress", organisation)

    async def span(self) -> Ends:
        return await self._log.span(self._topic, 0) or Ends(0, 0)

    async def read(self, cursor: int, most: int, wait_s: float = 0) -> list[ConsumerRecord]:
        """Up to so many records from a cursor on, as soon as there are any."""
        if wait_s and not await self._log.wait(self._topic, 0, cursor, wait_s):
            return []
        return await self._log.records(self._topic, 0, cursor, most, PAGE_BYTES)


def next_cursor(records: list[ConsumerRecord], before: int) -> int:
    """The cursor after *records*."""
    return records[-1].offset + 1 if records else before


def begun(span: Ends, after: int | None) -> int:
    """Where to begin.

    Raises:
        Problem: what followed on this cursor is not kept any more, or never was.
    """
    if after is None:
        return span.oldest
    if not span.oldest <= after <= span.end:
        lost = "is not kept any more" if after < span.oldest else "has not happened: the feed was made anew"
        detail = f"what followed on {after} {lost}; go on with after={span.oldest}"
        raise Problem(410, detail, [("after", detail)], more={"oldest": str(span.oldest)})
    return after


class Readers:
    """How many readers each organisation has in this process."""

    def __init__(self, most: int) -> None:
        self._most, self._open = most, Counter[str]()

    @contextmanager
    def one_more(self, organisation: str) -> Iterator[None]:
        if self._open[organisation] >= self._most:
            detail = f"{organisation} reads its feed {self._most} times at once already; close one"
            raise Problem(429, detail, headers={"Retry-After": "5"})
        self._open[organisation] += 1
        READERS.inc()
        try:
            yield
        finally:
            self._open[organisation] -= 1
            READERS.dec()


# A coroutine, though it waits for nothing: FastAPI runs plain functions in threads, where this would race.
async def _readers(request: Request, service: Running) -> Readers:
    state = request.app.state
    if not hasattr(state, "readers"):
        state.readers = Readers(service.settings.feed_readers)
    readers: Readers = state.readers
    return readers


async def _reader(caller: Active) -> Caller:
    """An organisation, of the sandbox, too."""
    if caller.kind not in PARTNERS:
        raise Problem(403, f"only organisations have a feed; you are {caller.kind}")
    return caller


Reader = Annotated[Caller, Depends(_reader)]
Allowed = Annotated[Readers, Depends(_readers)]


def _is_ending(request: Request) -> bool:
    """Is the server waiting for us to come to an end?"""
    server = getattr(request.app.state, "server", None)
    return server is not None and bool(server.should_exit)


@router.get("/feed", response_class=JSONResponse, responses={200: {"content": {"application/json": {"schema": PAGE}}}})
async def read_feed(  # noqa: PLR0913, PLR0917
    request: Request,
    service: Running,
    caller: Reader,
    readers: Allowed,
    after: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    wait: Annotated[int, Query(ge=0, le=LONGEST_WAIT_S, description="Seconds to wait if there is nothing.")] = 0,
) -> Response:
    """What concerns the calling organisation, its own events too, in order: CloudEvents, and `next`, to go on after.

    Events are kept for 90 days; a cursor older than that is answered 410 with the `oldest`. An event may come again,
    under its id.
    """
    until = time.monotonic() + wait
    with readers.one_more(caller.organisation):
        feed = Feed(service.log, caller.organisation)
        span = await feed.span()
        start = begun(span, after)
        records = await feed.read(start, limit) if start < span.end else []
        while not records and (left := until - time.monotonic()) > 0 and not _is_ending(request):
            records = await feed.read(start, limit, min(left, LOOK_S))
    page = {"items": [_event_in(record) for record in records], "next": str(next_cursor(records, start))}
    return Response(to_json(page, inf_nan_mode="null"), media_type="application/json")


def _event_in(record: ConsumerRecord) -> Any:
    return from_json(record.value or b"null")


class _Stream(StreamingResponse):
    """Lets go of what it holds, come what may: who hangs up at once leaves the generator unstarted."""

    def __init__(self, held: AsyncExitStack, content: AsyncIterator[bytes]) -> None:
        # X-Accel-Buffering: a proxy (nginx) must not hold back what is to be seen at once.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(content, media_type="text/event-stream", headers=headers)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            await super().__call__(scope, receive, send)


@router.get(
    "/feed/stream",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def stream_feed(  # noqa: PLR0913, PLR0917
    request: Request,
    service: Running,
    caller: Reader,
    readers: Allowed,
    after: Cursor = None,
    last_event_id: Annotated[
        str | None, Header(pattern=r"^[0-9]{1,18}$", description="As `after`; counts more.")
    ] = None,
) -> Response:
    """The same as Server-Sent Events, as they happen: `id` is the cursor, `data` the CloudEvent.

    The stream ends with the token; connect anew with a new one and the last `id` in `Last-Event-ID`.
    """
    until = expires_at(request.headers["authorization"])
    async with AsyncExitStack() as held:
        held.enter_context(readers.one_more(caller.organisation))
        feed = Feed(service.log, caller.organisation)
        start = begun(await feed.span(), after if last_event_id is None else int(last_event_id))

        async def goes_on() -> bool:
            is_over = time.time() >= until or _is_ending(request)
            return not is_over and not await _is_barred(service, caller)

        return _Stream(held.pop_all(), _streamed(feed, start, goes_on))


async def _is_barred(service: Service, caller: Caller) -> bool:
    try:
        return await barred(service, caller) is not None
    except Unauthorised:
        return True


async def is_suspended(service: Service, organisation: str) -> bool:
    found = await service.by_id("organisations", [organisation], {"status": 1})
    return bool(found.get(organisation, {}).get("status") == "suspended")


async def _streamed(feed: Feed, cursor: int, goes_on: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
    yield b"retry: 3000\n\n"
    sent_at = time.monotonic()
    with suppress(NotPublished, DatabaseError):  # ends the stream; who connects anew is told
        while await goes_on():
            if records := await feed.read(cursor, 100, LOOK_S):
                sent_at, cursor = time.monotonic(), next_cursor(records, cursor)
                yield b"".join(map(_message, records))  # at once: of who has hung up is heard between two pieces
            if time.monotonic() - sent_at > ALIVE_EVERY_S:
                sent_at = time.monotonic()
                yield b": nothing new\n\n"


def _message(record: ConsumerRecord) -> bytes:
    return b"id: %d\ndata: %s\n\n" % (record.offset + 1, to_json(_event_in(record), inf_nan_mode="null"))
