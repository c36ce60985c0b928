"""Sends less: 304 where the client has the content already (ETag), and compression."""

from hashlib import blake2b

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEAST_BYTES = 1_000  # below that compression saves nothing


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
                etag = f'W/"{blake2b(message["body"], digest_size=12).hexdigest()}"'
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
