"""How many wrong secrets the token endpoint and the sign-in take, in this process.

Organisations' secrets cannot be guessed; what is limited is the work that trying makes. Nobody is locked out by others:
failures count against the address that they come from, and whoever has proved a secret before may come from anywhere at
any time. Of members, whose passwords can be guessed, failures from everywhere count together in the end.
"""

import math
from collections import OrderedDict
from collections.abc import Hashable
from hashlib import sha256

from shared.http.hardening import network
from shared.http.ratelimit import Quota

REMEMBERED = 10_000  # addresses, client ids at addresses, and secrets that were right
SHARED_BY = 10  # client ids may fail from one address as often as one of them may


class LoginLimits:
    """What has failed and what was right, lately.

    Args:
        burst: failures of one client id from one address at once.
        per_min: the same in the long run.
        everywhere: limit a client over all addresses, too, to `SHARED_BY` times as much.
    """

    def __init__(self, burst: int, per_min: float, *, everywhere: bool = False) -> None:
        self._everywhere = everywhere
        self._of_client = Quota(per_min / 60, burst, REMEMBERED)
        self._of_address = Quota(SHARED_BY * per_min / 60, SHARED_BY * burst, REMEMBERED)
        self._proved: OrderedDict[bytes, None] = OrderedDict()

    def wait_s(self, client: str, secret: str, address: str) -> int:
        """How long until this may be tried; 0: now."""
        if _proof(client, secret) in self._proved:
            return 0
        return math.ceil(max(quota.wait_s(who) for quota, who in self._counted(client, address)))

    def failed(self, client: str, secret: str, address: str) -> None:
        self._proved.pop(_proof(client, secret), None)
        for quota, who in self._counted(client, address):
            if not quota.wait_s(who):  # many at once run up no debt: the wait stays short
                quota.charge(who, 1)

    def _counted(self, client: str, address: str) -> list[tuple[Quota, Hashable]]:
        """Where an attempt counts: of a client at an address, of the address, perhaps of the client anywhere."""
        client, address = client[:100], network(address)
        counted: list[tuple[Quota, Hashable]] = [(self._of_client, (client, address)), (self._of_address, address)]
        return counted + [(self._of_address, (client, "anywhere"))] * self._everywhere

    def succeeded(self, client: str, secret: str) -> None:
        self._proved[_proof(client, secret)] = None
        self._proved.move_to_end(_proof(client, secret))
        if len(self._proved) > REMEMBERED:
            self._proved.popitem(last=False)


def _proof(client: str, secret: str) -> bytes:
    return sha256(f"{client}\n{secret}".encode()).digest()
