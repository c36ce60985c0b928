"""Alert rules over HTTP, with what they have alerted of; and taking note of an alert."""

from datetime import UTC, datetime
from typing import Any, cast

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from shared.contract.events import (
    INSTITUTION_OR_OPERATOR,
    Data,
    Event,
    IndicatorAcknowledged,
    IndicatorRuleRemoved,
    IndicatorRuleSet,
)
from shared.contract.text import composed, hidden_in
from shared.http.auth import Caller
from shared.http.commands import Prefer, accept, event_by
from shared.http.lists import Pages, found, listed
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Active, EntityId, Running, Service, require
from shared.pages.languages import Text
from shared.processing.ownership import misnamed

from . import counters
from .alert_reads import NOTES, Doc, find_alert, is_concerned, notes_on
from .alerts import MOST_RULES, RULES, objection, own_scopes
from .answers import Asked, find_scope
from .indicators import Scope
from .states import alert_key

router = Router(tags=["alerts"])
LONGEST_NOTE = 2_000


@router.put("/alert-rules/{id}", status_code=202)
async def set_rule(
    service: Running, caller: Active, id: EntityId, body: IndicatorRuleSet, prefer: Prefer = None
) -> JSONResponse:
    """Have an alert when an indicator crosses a threshold, or falls: `indicator.alerted`, once per scope and window.

    By the operator for all; by an institution for itself (scope `institution`) and its programmes (scope `programme`,
    without `scope_id` all of them), under an id that begins with its own. Windows are whole years of cohorts and
    calendar quarters of everything else; the last one that has passed is looked at. Of an operator's rule the
    institution, enterprise, region or programme that is alerted of finds it in its feed, of an institution's rule it
    alone. Everybody can read rules and alerts.
    """
    event = await setting(service, caller, id, body)
    if event is None:
        return JSONResponse(await found(service.db, RULES, id))
    return await accept(service, event, prefer, lambda: found(service.db, RULES, id))


async def setting(service: Service, caller: Caller, id: str, body: IndicatorRuleSet) -> Event[Data] | None:
    """The event by which a rule is set; None: it is in force as it is.

    Raises:
        Problem: what speaks against it.
    """
    require(caller, *INSTITUTION_OR_OPERATOR)
    if wrong := objection(body):
        raise Problem(422, wrong[1], [wrong])
    if body.scope_id:
        await _demand_known(service, body)
    if not caller.is_operator:
        await _demand_own_scope(service, caller, body)
    await service.current("indicator", id)
    known = await service.db[RULES].find_one({"_id": id})
    if known and known.get("status"):
        _demand_own(caller, known)
    elif not caller.is_operator and misnamed(id, caller.organisation):
        words = Text("must begin with your own id: {own}:{id}", {"own": caller.organisation, "id": id})
        raise Problem(422, words, [("id", words)])
    wanted = body.model_dump(mode="json")
    is_active = known is not None and known.get("status") == "active"
    if known and is_active and all(known[name] == value for name, value in wanted.items()):
        return None
    if not (is_active or caller.is_operator):
        await _demand_few(service, caller)
    return event_by(caller, body, id)


async def _demand_known(service: Service, body: IndicatorRuleSet) -> None:
    try:
        await find_scope(service, Asked(cast(Scope, body.scope), body.scope_id))
    except Problem as problem:
        raise Problem(422, problem.detail, [("scope_id", problem.detail)]) from None


async def _demand_own_scope(service: Service, caller: Caller, body: IndicatorRuleSet) -> None:
    own = own_scopes(caller.organisation, await counters.registry(service.db)).get(body.scope)
    if own is None:
        words = Text("an institution sets rules for itself and for its programmes")
        raise Problem(403, words, [("scope", words)])
    if body.scope_id not in (own if body.scope == "institution" else [None, *own]):
        words = Text("must be your own institution, or one of its programmes")
        raise Problem(403, words, [("scope_id", words)])


def _demand_own(caller: Caller, rule: Doc) -> None:
    owner = rule.get("organisation")
    if owner != (None if caller.is_operator else caller.organisation):
        given = {"id": rule["_id"], "owner": owner or Text("the operator")}
        raise Problem(403, Text("the rule {id} belongs to {owner}", given))


async def _demand_few(service: Service, caller: Caller) -> None:
    own = {"organisation": caller.organisation, "status": "active"}
    if await service.db[RULES].count_documents(own, limit=MOST_RULES) >= MOST_RULES:
        raise Problem(409, Text("an institution has at most {most} rules; remove one", {"most": MOST_RULES}))


@router.delete("/alert-rules/{id}", status_code=202)
async def remove_rule(service: Running, caller: Active, id: EntityId, prefer: Prefer = None) -> JSONResponse:
    """Have no more alerts by a rule; those that were are kept. By whose rule it is; the operator may remove any."""
    event = await removal(service, caller, id)
    if event is None:
        return JSONResponse(await found(service.db, RULES, id))
    return await accept(service, event, prefer, lambda: found(service.db, RULES, id))


async def removal(service: Service, caller: Caller, id: str) -> Event[Data] | None:
    """The event by which a rule is removed; None: it is removed already."""
    await service.current("indicator", id)
    rule = await found(service.db, RULES, id)
    require(caller, *INSTITUTION_OR_OPERATOR)
    if not caller.is_operator:
        _demand_own(caller, {**rule, "_id": id})
    return None if rule["status"] == "removed" else event_by(caller, IndicatorRuleRemoved(), id)


@router.get("/alert-rules")
async def list_rules(service: Running, paging: Pages) -> dict[str, Any]:
    """The rules by id, each with its alerts, the newest first."""
    return await listed(service.db, RULES, {"status": {"$exists": True}}, paging)


@router.get("/alert-rules/{id}")
async def read_rule(service: Running, id: EntityId) -> dict[str, Any]:
    """One rule with its alerts, the newest first."""
    return await found(service.db, RULES, id)


# taking note


class Acknowledgement(BaseModel):
    """That somebody has taken note of an alert, with what they wrote about it."""

    model_config = ConfigDict(extra="forbid")

    note: str | None = Field(
        None,
        max_length=LONGEST_NOTE,
        description="For the own organisation and the operator, and on no log. Empty: erased; left out: as it was.",
    )


@router.put("/alerts/{id}/acknowledgement", status_code=202)
async def acknowledge_alert(
    service: Running, caller: Active, id: EntityId, body: Acknowledgement, prefer: Prefer = None
) -> JSONResponse:
    """Take note of an alert, which is open no more: by the operator, or by the institution that it is about.

    The event `indicator.acknowledged` says that it was done; the note stays here.
    """
    event = await acknowledging(service, caller, id, body.note)
    if event is None:
        return JSONResponse(await find_alert(service, id))
    return await accept(service, event, prefer, lambda: find_alert(service, id))


async def acknowledging(service: Service, caller: Caller, id: str, note: str | None) -> Event[Data] | None:
    """Keep the note; give the event by which an alert is acknowledged (None: it was, by this caller).

    Raises:
        Problem: what speaks against it.
    """
    alert = await find_alert(service, id)
    _demand_concerned(caller, alert)
    if wrong := hidden_in({"note": note}):
        raise Problem(422, wrong[1], [wrong])
    await service.current("indicator", alert["rule"])
    alert = await find_alert(service, id)
    if note is not None:
        await _keep(service, caller, alert, composed(note).strip())
    if any(one["by"] == caller.organisation for one in alert["acknowledged"]):
        return None
    about = {name: alert[name] for name in IndicatorAcknowledged.model_fields}
    return event_by(caller, IndicatorAcknowledged.model_validate(about), alert["rule"])


def _demand_concerned(caller: Caller, alert: Doc) -> None:
    require(caller, *INSTITUTION_OR_OPERATOR)
    if not is_concerned(alert, caller):
        raise Problem(403, Text("this alert is not about your institution"))


async def _keep(service: Service, caller: Caller, alert: Doc, note: str) -> None:
    key = alert_key(alert["rule"], alert)
    of = {"_id": f"{key}/{caller.organisation}"}
    if not note:
        await service.store.home[NOTES].delete_one(of)
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    kept = {"alert": key, "organisation": caller.organisation, "note": note, "written_at": now}
    await service.store.home[NOTES].update_one(of, {"$set": kept}, upsert=True)


@router.get("/alerts/{id}/notes")
async def list_notes(service: Running, caller: Active, id: EntityId) -> dict[str, Any]:
    """What was noted on an alert: the own institution's note; the operator sees all."""
    alert = await find_alert(service, id)
    _demand_concerned(caller, alert)
    return {"items": await notes_on(service, alert, caller)}
