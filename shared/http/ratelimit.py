"""A token bucket for each of many, in one process."""

import time
from collections import OrderedDict
from collections.abc import Hashable


class Quota:
    """Whoever is not overdrawn may send, and is charged once it is known how many events that were.

    So no request is refused half-way and none is too large to be ever accepted; what is overdrawn is waited for.

    Args:
        per_s: events a second in the long run.
        burst: events at once after a pause.
        most: whom to remember, at most; who was charged longest ago is forgotten.
    """

    def __init__(self, per_s: float, burst: float, most: int = 100_000) -> None:
        self._per_s, self._burst, self._most = per_s, burst, most
        # By organisation: events, and when it was so many; charged longest ago first.
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def wait_s(self, organisation: Hashable, now: float | None = None) -> float:
        """How long until it may send one event; 0: now."""
        return max(0.0, (1 - self._at(organisation, now)[0]) / self._per_s)

    def charge(self, organisation: Hashable, events: int, now: float | None = None) -> None:
        left, at = self._at(organisation, now)
        self._left[organisation] = left - events, at
        self._left.move_to_end(organisation)
        if len(self._left) > self._most:
            self._left.popitem(last=False)

    def _at(self, organisation: Hashable, now: float | None) -> tuple[float, float]:
        now = time.monotonic() if now is None else now
        left, at = self._left.get(organisation, (self._burst, now))
        return min(self._burst, left + (now - at) * self._per_s), now
