"""How much an organisation may send, by whatever way, and how much of it is worked on at once; in this process."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.http.problems import Problem
from shared.http.ratelimit import Quota
from shared.http.service import Service
from shared.settings import Settings

DAY_S = 86_400
WORKED_ON_WITHIN_S = 10.0


class Quotas:
    """An organisation's quotas of events and of bytes, over all its ways in; what names others counts for each."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._events = Quota(settings.quota_events_per_s, settings.quota_burst_events)
        self._bytes = Quota(settings.quota_bytes_per_s, settings.quota_burst_bytes)
        self._day = Quota(settings.quota_bytes_per_day / DAY_S, settings.quota_bytes_per_day)

    def wait_s(self, organisation: str) -> float:
        return max(quota.wait_s(organisation) for quota in (self._events, self._bytes, self._day))

    def charge(self, organisation: str, events: int, size: int) -> None:
        if events:
            self._events.charge(organisation, events)
        if size:
            self._bytes.charge(organisation, size)
            self._day.charge(organisation, size)

    def refuse_overdrawn(self, organisation: str) -> None:
        """Raise a `Problem` (429) that says which bound an organisation has met, and how long it lasts."""
        wait_s = math.ceil(self.wait_s(organisation))
        if not wait_s:
            return
        settings, bound = self._settings, ""
        if self._events.wait_s(organisation):
            bound = f"{settings.quota_events_per_s:g} events a second"
        elif self._bytes.wait_s(organisation):
            bound = f"{settings.quota_bytes_per_s:g} bytes a second"
        else:
            bound = f"{settings.quota_bytes_per_day} bytes a day"
        detail = f"{organisation} has sent more than its quota of {bound}; send the same again in {wait_s} s"
        raise Problem(429, detail, headers={"Retry-After": str(wait_s)})


class InFlight:
    """Bounds the requests and bytes that are worked on at once, for each organisation and for all; others wait in turn.

    What is no larger than one event does not wait for what others send; nor do an organisation's own requests wait for
    each other while together they are no larger: single events are worked on in groups, the larger the better.
    """

    def __init__(self, settings: Settings) -> None:
        self._most, self._most_of_one = settings.in_flight_bytes, settings.in_flight_bytes_of_one
        self._requests, self._small = settings.in_flight_requests_of_one, settings.event_max_bytes
        self._open, self._held, self._all = Counter[str](), Counter[str](), 0
        self._freed = asyncio.Event()  # set for all who wait; who waits next finds another one

    @asynccontextmanager
    async def hold(self, organisation: str, size: int) -> AsyncIterator[None]:
        """Work on so many bytes (more than may be at once: alone).

        Raises:
            Problem: 503, it was not our turn in time.
        """
        if not self._fits(organisation, size):
            await self._turn(organisation, size)
        self._open[organisation] += 1
        self._held[organisation] += size
        self._all += size
        try:
            yield
        finally:
            self._open[organisation] -= 1
            self._held[organisation] -= size
            self._all -= size
            if not self._open[organisation]:
                del self._open[organisation], self._held[organisation]
            self._freed.set()
            self._freed = asyncio.Event()

    async def _turn(self, organisation: str, size: int) -> None:
        try:
            async with asyncio.timeout(WORKED_ON_WITHIN_S):
                while not self._fits(organisation, size):
                    await self._freed.wait()
        except TimeoutError:
            own = f"{self._requests} requests and {self._most_of_one} bytes"
            detail = f"of {organisation} {own} are worked on at once, of all {self._most} bytes"
            raise Problem(503, f"{detail}; nothing was done: send it again", headers={"Retry-After": "5"}) from None

    def _fits(self, organisation: str, size: int) -> bool:
        opened, held = self._open[organisation], self._held[organisation] + size
        if opened and held > self._small and (opened >= self._requests or held > self._most_of_one):
            return False
        return size <= self._small or not self._all or self._all + size <= self._most


def quotas_of(service: Service) -> Quotas:
    """The quotas of a process, the same for all ways in."""
    if "quotas" not in service.shared:
        service.shared["quotas"] = Quotas(service.settings)
    quotas: Quotas = service.shared["quotas"]
    return quotas


def in_flight_of(service: Service) -> InFlight:
    if "in_flight" not in service.shared:
        service.shared["in_flight"] = InFlight(service.settings)
    in_flight: InFlight = service.shared["in_flight"]
    return in_flight
