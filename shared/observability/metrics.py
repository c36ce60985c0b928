"""What every service tells Prometheus about itself; what the runner counts is in `shared/processing/runner.py`.

/metrics only shows what is in memory, so it answers at once even while Kafka and MongoDB are away: what has to be asked
for (readiness, ends of topics, disk) is asked for every few seconds by `observe` in `shared/http/health.py`.
"""

import asyncio
import platform
import selectors
import time
from functools import lru_cache

from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import __version__
from shared.settings import Settings

REQUESTS = Counter("praktika_http_requests_total", "Requests answered.", ["method", "route", "status"])
REQUEST_S = Histogram(
    "praktika_http_request_seconds",
    "From a request's arrival to the end of its answer.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
READY = Gauge("praktika_ready", "1 if the process can do its work, as /health/ready says; else 0.")
BUILD = Gauge("praktika_build_info", "Which Praktika this is; always 1.", ["role", "version", "python"])
KEY_AGE_S = Gauge("praktika_key_age_seconds", "Since when a signing key is in use, where this can be seen.", ["key"])
DEAD_LETTER_RECORDS = Gauge(
    "praktika_dead_letter_records", "Records on the service's dead-letter topic, settled or not.", ["topic"]
)
SETTING = Gauge("praktika_setting", "Every setting that is a number: bounds, quotas, ages.", ["name"])
DISK_BYTES = Gauge("praktika_mongodb_disk_bytes", "Size of the disk that MongoDB writes to.", ["database"])
DISK_USED_BYTES = Gauge("praktika_mongodb_disk_used_bytes", "What of it is used, by whomever.", ["database"])
LONGEST_PAUSE_S = Gauge(
    "praktika_loop_longest_pause_seconds",
    "The longest turn of the event loop in the last ten seconds: for so long nothing else in the process ran.",
)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def show_build(settings: Settings) -> None:
    """Say which Praktika this is, and by which bounds it goes."""
    BUILD.labels(settings.role, __version__, platform.python_version()).set(1)
    for name, value in settings:
        if isinstance(value, int | float):
            SETTING.labels(name).set(value)


class RequestMetrics:
    """Counts and times every request by its route's template: what a caller chooses freely is no label."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started, status = time.perf_counter(), "500"  # what the server answers if the application does not

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            method = scope["method"] if scope["method"] in METHODS else "other"
            route = getattr(scope.get("route"), "path", "none")
            requests, request_s = _labelled(method, route, status)
            requests.inc()
            request_s.observe(time.perf_counter() - started)


@lru_cache(maxsize=2_000)  # to look up labels takes longer than to count
def _labelled(method: str, route: str, status: str) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, route, status), REQUEST_S.labels(method, route)


class _Selector(selectors.DefaultSelector):
    """Notes the longest time between two looks for what has come: a turn of the event loop. Costs nothing when idle."""

    longest_s = 0.0
    _looked_at = float("inf")

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.longest_s = max(self.longest_s, time.perf_counter() - self._looked_at)
        found = super().select(timeout)
        self._looked_at = time.perf_counter()
        return found


class MeasuredLoop(asyncio.SelectorEventLoop):
    """The usual event loop, which knows how long its turns take."""

    def __init__(self) -> None:
        self._measured = _Selector()
        super().__init__(self._measured)

    def longest_pause_s(self) -> float:
        """The longest turn since this was asked last."""
        longest_s, self._measured.longest_s = self._measured.longest_s, 0.0
        return longest_s
