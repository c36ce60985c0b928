"""Bodies of requests: how large, how slow, and no member of JSON twice."""

import asyncio

import fastapi
import jiter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http import hardening
from shared.pages.languages import Text

COMMAND_BYTES = 256 * 1024  # of a body: FastAPI reads a command's before it asks who is calling
LARGE_BODIES = (
    "/events",
    "/upload",
    "/market/import",
    "/verify",
    "/frameworks/import",
    "/badges",
)  # beginnings of paths that take batches and files, and ask first


class BodyTooLarge(fastapi.HTTPException):
    """The body is beyond the limit. (Of all that reading a body raises, FastAPI lets only its own exception pass.)"""


class BodyLimit:
    """Refuses a request body that is too large with 413, unread if its length was announced, and ends a slow one.

    Args:
        large: bytes allowed for `LARGE_BODIES`; for others `COMMAND_BYTES` are.
    """

    def __init__(self, app: ASGIApp, large: int) -> None:
        self.app, self.large = app, large

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        is_command = not scope["path"].startswith(LARGE_BODIES)
        limit = min(self.large, COMMAND_BYTES) if is_command else self.large
        seen, whole, body = 0, False, bytearray()
        announced = Headers(scope=scope).get("content-length", "")
        too_large = announced.isdecimal() and (len(announced) > 18 or int(announced) > limit)
        ends_at = asyncio.get_running_loop().time() + hardening.BODY_S

        async def counted() -> Message:
            nonlocal seen, whole
            if whole:
                return await receive()  # whatever comes after the body: the end of the connection
            if not too_large:
                try:
                    async with asyncio.timeout_at(ends_at):
                        message = await receive()
                except TimeoutError:
                    return {"type": "http.disconnect"}
                whole = not message.get("more_body")
                seen += len(message.get("body", b""))
            if too_large or seen > limit:
                raise BodyTooLarge(413, Text("the body is larger than {limit} bytes", {"limit": limit}))
            if is_command:
                body.extend(message.get("body", b""))
                if whole:
                    _refuse_twice(bytes(body))
            return message

        await self.app(scope, counted, send)


def _refuse_twice(body: bytes) -> None:
    """Refuse JSON with a member that is given twice: readers differ in which of the two they take."""
    try:
        jiter.from_json(body, catch_duplicate_keys=True)
    except ValueError as error:
        if "duplicate key" in str(error):
            raise fastapi.HTTPException(400, str(error)) from None
