"""What every answer says to browsers, and how long a slow client is waited for."""

import asyncio
import ipaddress
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

from prometheus_client import Counter as Metric
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from shared.http.ratelimit import Quota

REFUSED_STRANGERS = Metric("praktika_strangers_refused_total", "Requests without a credential answered with 429.")
HEAD_S = 20  # for the head of a request: its line and its headers
BODY_S = 120
HEAD_BYTES = 16 * 1024

# For whatever does not say otherwise: nothing on it may load, be framed, or be guessed to be something else.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_RAW = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
_CREDENTIALS = (b"authorization", b"cookie")
_NO_STORE = (b"cache-control", b"no-store")


class SecurityHeaders:
    """Adds `HEADERS` to every answer that lacks them; what was asked for with a credential is stored nowhere."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        private = any([name in _CREDENTIALS for name, _ in scope["headers"]])

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = dict(message["headers"])  # of a name that is given twice, the last
                further = [each for each in _RAW if each[0] not in headers]
                # Pages say themselves who may keep them: a browser, so that its back button keeps what was typed.
                if private and not headers.get(b"cache-control", b"").startswith((b"public", b"private")):
                    message["headers"] = [each for each in message["headers"] if each[0] != b"cache-control"]
                    further.append(_NO_STORE)
                message["headers"] = [*message["headers"], *further]
            await send(message)

        await self.app(scope, receive, guarded)


class AnonymousLimits:
    """Bounds what one address may ask without a credential: so much at once, and so often.

    What supervisors ask is free.

    Args:
        is_known: does an `Authorization` header prove who asks? Who cannot be known so soon is counted like strangers.
    """

    def __init__(self, app: ASGIApp, at_once: int, per_s: float, burst: int, is_known: Callable[[str], bool]) -> None:
        self.app, self._at_once, self._per_s, self._is_known = app, at_once, per_s, is_known
        self._quota = Quota(per_s, burst)
        self._open = Counter[str]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(("/health/", "/metrics")):
            return await self.app(scope, receive, send)
        if any(
            name == b"authorization" and self._is_known(value.decode("latin-1")) for name, value in scope["headers"]
        ):
            return await self.app(scope, receive, send)
        address = network(scope["client"][0]) if scope.get("client") else ""
        if refused := self._refusal(address):
            return await refused(scope, receive, send)
        self._quota.charge(address, 1)
        self._open[address] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._open[address] -= 1
            self._open += Counter()

    def _refusal(self, address: str) -> JSONResponse | None:
        wait_s = math.ceil(self._quota.wait_s(address))
        if not wait_s and self._open[address] < self._at_once:
            return None
        REFUSED_STRANGERS.inc()
        bound = f"{self._per_s:g} requests a second and {self._at_once} at once"
        detail = f"without a credential an address may ask {bound}; ask again in {max(1, wait_s)} s"
        body = {"type": "about:blank", "title": "Too Many Requests", "status": 429, "detail": detail}
        headers = {"Retry-After": str(max(1, wait_s))}
        return JSONResponse(body, 429, headers, media_type="application/problem+json")


def network(address: str) -> str:
    """What one customer has of addresses: one of IPv4, a /64 of IPv6."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(known, ipaddress.IPv4Address):
        return address
    return str(known.ipv4_mapped or ipaddress.ip_network((int(known) >> 64 << 64, 64)))


class SlowClientTimeout(H11Protocol):
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
