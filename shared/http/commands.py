"""Commands: a request becomes an event, and is answered with its address or with the applied state."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Header
from fastapi.responses import JSONResponse

from shared.contract import events
from shared.contract.events import Data, Event
from shared.contract.text import composed, hidden_in
from shared.http.auth import Caller
from shared.http.problems import TEXT, Problem
from shared.http.service import Service, refuse_sandbox


def event_by(caller: Caller, data: Data, subject: str, key: str | None = None) -> Event[Data]:
    """The event by which *caller* says *data* about an entity now; its key is the subject unless it is given."""
    refuse_sandbox(caller)
    content = data.model_dump(mode="json")
    if wrong := hidden_in(content):
        raise Problem(422, wrong[1], [wrong])
    return events.compose(
        type(data).model_validate_json(composed(data.model_dump_json())),
        source=caller.source,
        kind=caller.kind,
        id=str(uuid4()),
        subject=subject,
        key=key or subject,
        time=datetime.now(UTC),
        member=caller.member or None,
    )


async def accept(
    service: Service,
    event: Event[Data],
    prefer: str | None,
    read: Callable[[], Awaitable[dict[str, Any]]],
) -> JSONResponse:
    """Publish a command's event; answer 202 with its address or, as `Prefer: wait=<seconds>` asks, the applied state.

    It is stamped with what counts as sustainability now.

    Args:
        prefer: the request's `Prefer` header (RFC 7240); at most 30 seconds are waited.
    """
    (address,) = await service.publish((await service.frameworks()).stamped(event))
    headers = {"Location": str(address)}
    wanted = re.search(r"\bwait=(\d{1,4})\b", prefer or "")
    if wanted and await service.applied_within(address, min(30, int(wanted[1]))):
        return JSONResponse(await read(), 200, headers | {"Preference-Applied": wanted[0]})
    return JSONResponse({"id": event.id, "type": event.type, "event": str(address)}, 202, headers)


Prefer = Annotated[str | None, Header(description="wait=<seconds> answers with the applied state (RFC 7240)")]
ACCEPTED_BODY = {
    "type": "object",
    "required": ["id", "type", "event"],
    "properties": {**dict.fromkeys(("id", "type"), TEXT), "event": {**TEXT, "description": "Its address."}},
}
