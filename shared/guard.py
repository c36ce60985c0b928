"""What every answer says to browsers, and how long a slow client is waited for."""

import asyncio
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 20  # for the head of a request: its line and its headers
BODY_S = 120
HEAD_BYTES = 16 * 1024

# For whatever does not say otherwise: nothing on it may load, be framed, or be guessed to be something else.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class SafeHeaders:
    """Adds `HEADERS` to every answer that lacks them; what was asked for with a credential is stored nowhere."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        private = any(name in (b"authorization", b"cookie") for name, _ in scope["headers"])

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if private:
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, guarded)


class Impatient(H11Protocol):
    """Closes a connection on which the head of a request does not come to its end in time."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait(lost=True)
        super().connection_lost(exc)

    def _wait(self, *, lost: bool = False) -> None:
        waiting = not lost and (self.cycle is None or self.cycle.response_complete)
        if waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(HEAD_S, self.transport.close)
        elif not waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None
