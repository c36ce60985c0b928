"""The operator's alert rules over HTTP, with what they have alerted of."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from fastapi.responses import JSONResponse

from shared.contract.events import OPERATOR, Data, IndicatorRuleRemoved, IndicatorRuleSet, compose
from shared.http.auth import Caller
from shared.http.commands import Prefer, accept
from shared.http.lists import Pages, found, listed
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Authenticated, EntityId, Running, Service, require

from .alerts import RULES, objection

router = Router(tags=["alerts"])


@router.put("/alert-rules/{id}", status_code=202)
async def set_rule(
    service: Running, caller: Authenticated, id: EntityId, body: IndicatorRuleSet, prefer: Prefer = None
) -> JSONResponse:
    """Have an alert when an indicator crosses a threshold, or falls: `indicator.alerted`, once per scope and window.

    By the operator. Windows are whole years of cohorts and calendar quarters of everything else; the last one that has
    passed is looked at. An institution, enterprise, region or programme that is alerted of finds it in its feed.
    """
    require(caller, *OPERATOR)
    if wrong := objection(body):
        raise Problem(422, wrong[1], [wrong])
    await service.current("indicator", id)
    known = await service.db[RULES].find_one({"_id": id})
    wanted = body.model_dump(mode="json")
    if known and known.get("status") == "active" and all(known[name] == value for name, value in wanted.items()):
        return JSONResponse(await found(service.db, RULES, id))
    return await _say(service, caller, body, id, prefer)


@router.delete("/alert-rules/{id}", status_code=202)
async def remove_rule(service: Running, caller: Authenticated, id: EntityId, prefer: Prefer = None) -> JSONResponse:
    """Have no more alerts by a rule; those that were are kept. By the operator."""
    require(caller, *OPERATOR)
    await service.current("indicator", id)
    rule = await found(service.db, RULES, id)
    if rule["status"] == "removed":
        return JSONResponse(rule)
    return await _say(service, caller, IndicatorRuleRemoved(), id, prefer)


async def _say(service: Service, caller: Caller, data: Data, id: str, prefer: str | None) -> JSONResponse:
    event = compose(
        data, source=caller.source, kind=caller.kind, id=str(uuid4()), subject=id, key=id, time=datetime.now(UTC)
    )
    return await accept(service, event, prefer, lambda: found(service.db, RULES, id))


@router.get("/alert-rules")
async def list_rules(service: Running, paging: Pages) -> dict[str, Any]:
    """The rules by id, each with its alerts, the newest first."""
    return await listed(service.db, RULES, {"status": {"$exists": True}}, paging)


@router.get("/alert-rules/{id}")
async def read_rule(service: Running, id: EntityId) -> dict[str, Any]:
    """One rule with its alerts, the newest first."""
    return await found(service.db, RULES, id)
