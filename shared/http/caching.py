"""Sends less: 304 where the client has the content already (ETag), compression, and answers straight from memory."""

from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEAST_BYTES = 1_000  # below that compression saves nothing


def etag_of(content: bytes) -> str:
    return f'W/"{blake2b(content, digest_size=12).hexdigest()}"'


class Prepared(NamedTuple):
    """An answer that is kept in memory as it is sent.

    Attributes:
        path: the template of its route, for metrics.
        headers: without what only content has.
    """

    path: str
    content: bytes
    etag: bytes
    headers: list[tuple[bytes, bytes]]
    of_content: list[tuple[bytes, bytes]]


def prepared(path: str, content: bytes, media_type: str, headers: dict[str, str]) -> Prepared:
    """What is answered with *content* wherever it is asked for."""
    etag, of_content = etag_of(content), {"content-type": media_type, "content-length": str(len(content))}
    kept, with_content = (
        [(name.lower().encode(), value.encode()) for name, value in each.items()]
        for each in ({**headers, "etag": etag}, of_content)
    )
    return Prepared(path, content, etag.encode(), kept, with_content)


class FromMemory:
    """Answers what is prepared, with nothing of what other requests go through from here on."""

    def __init__(self, app: ASGIApp, find: Callable[[str], Prepared | None]) -> None:
        self.app, self._find = app, find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_get = scope["type"] == "http" and scope["method"] == "GET" and not scope["query_string"]
        found = self._find(scope["path"]) if is_get else None
        if found is None:
            return await self.app(scope, receive, send)
        scope["route"] = found
        is_known = any(name == b"if-none-match" and found.etag in value for name, value in scope["headers"])
        headers = [*found.headers] if is_known else [*found.headers, *found.of_content]
        await send({"type": "http.response.start", "status": 304 if is_known else 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if is_known else found.content})


class ConditionalGet:
    """Gives answers that may be kept (`Cache-Control: … no-cache`) a weak ETag; 304 where the client has that content.

    RFC 9110, section 13. An answer that comes in parts (of no known length) passes as it is.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            return await self.app(scope, receive, send)
        start: Message | None = None

        async def conditional(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _may_be_kept(message):
                start = message
                return
            if start is not None:
                started, start = start, None
                etag = etag_of(message["body"])
                headers = MutableHeaders(scope=started)
                headers["ETag"] = etag
                if etag in Headers(scope=scope).get("if-none-match", ""):
                    del headers["Content-Length"], headers["Content-Type"]
                    started["status"], message = 304, {"type": "http.response.body"}
                await send(started)
            await send(message)

        await self.app(scope, receive, conditional)


def _may_be_kept(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    may = "no-cache" in headers.get("cache-control", "")
    return start["status"] == 200 and may and "content-length" in headers


class Compression:
    """Compresses what is asked for with GET; answers to commands are small, or tell of progress and must not wait."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.compressed = app, GZipMiddleware(app, minimum_size=LEAST_BYTES, compresslevel=5)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = scope["type"] == "http" and scope["method"] == "GET"
        await (self.compressed if wanted else self.app)(scope, receive, send)
