"""Who may command: an organisation that is not suspended."""

from typing import Annotated

from fastapi import Depends

from shared.http.auth import Caller
from shared.http.problems import Problem
from shared.http.service import Authenticated, Running, barred


async def _active(service: Running, caller: Authenticated) -> Caller:
    """The caller, unless it is suspended (its token may be older than that)."""
    if why := await barred(service, caller):
        raise Problem(403, why)
    return caller


Active = Annotated[Caller, Depends(_active)]
