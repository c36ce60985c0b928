"""Alerts for people: the public list with its evidence, taking note of one, and the rules that somebody has set."""

from collections.abc import Mapping
from dataclasses import asdict
from secrets import token_hex
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlencode

from fastapi import Depends, Header, Query
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import TypeAdapter, ValidationError

from services.monitoring import counters
from services.monitoring.alert_api import LONGEST_NOTE, acknowledging, removal, setting
from services.monitoring.alert_reads import (
    STATES,
    WHENS,
    Doc,
    Filters,
    Status,
    all_alerts,
    find_alert,
    is_concerned,
    notes_on,
    sheet,
)
from services.monitoring.alerts import RULES, own_scopes
from services.monitoring.indicators import INDICATORS, Scope
from services.monitoring.tables import WORDS
from shared.contract.events import Data, Event, Id, IndicatorRuleSet, Publisher, wording_of
from shared.http.auth import Member
from shared.http.lists import Pages
from shared.http.parameters import query
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import EntityId
from shared.http.sessions import signed_in
from shared.http.spreadsheets import TABLES, one_file, table_file
from shared.http.visits import STAFF, AnyVisit, MemberVisit, SignedInOffline, Visit, demand_active, demand_role
from shared.pages.languages import N_, Text, in_language
from shared.pages.paging import pager

from .parts import ALL, indicators_by_group
from .ranking import FIRST

router = Router(tags=["alerts"])
pages: dict[str, Any] = {"include_in_schema": False, "response_class": HTMLResponse}
FOLDER = "services/monitoring/pages/"
SHOWN = 50
WAIT_S = 10
_PAGE: dict[str, Any] = {"text/html": {"schema": {"type": "string"}}}
Short = Annotated[str, Query(max_length=100)]
Filtered = Annotated[Filters, query(Filters)]
FIELDS = ("id", "indicator", "scope", "scope_id", "when", "threshold", "least_n")
_ID: TypeAdapter[str] = TypeAdapter(Id)
SCOPES: tuple[Scope, ...] = get_args(Scope)
DONE = {
    "acknowledged": N_("The alert is acknowledged"),
    "noted": N_("The note is saved"),
    "set": N_("The rule is set: it is looked at within seconds"),
    "removed": N_("The rule is removed; its alerts stay"),
}


def _acts(member: Member | None) -> bool:
    """Is it somebody who takes note of alerts and sets rules?"""
    return member is not None and member.role in STAFF and member.kind in (Publisher.institution, Publisher.operator)


async def _by_staff(visit: SignedInOffline) -> MemberVisit:
    """The visit of the operator's or an institution's staff."""
    demand_role(visit, STAFF)
    if not _acts(visit.member):
        raise Problem(403, Text("this page is for institutions and the operator"))
    await demand_active(visit)
    return visit


ByStaff = Annotated[MemberVisit, Depends(_by_staff)]


def _notice(visit: Visit, done: str, later: str) -> None:
    if done in DONE:
        late = f" ({visit.word(N_('accepted, it will show in a moment'))})" if later else ""
        visit.notice = visit.word(DONE[done]) + late


# the list


@router.get("/alerts", response_model=None, responses={200: {"content": {**TABLES, **_PAGE}}})
async def list_alerts(  # noqa: PLR0913, PLR0917
    visit: AnyVisit,
    wanted: Filtered,
    paging: Pages,
    format: Literal["json", "csv", "xlsx"] | None = None,
    accept: Annotated[str, Header()] = "",
    number: Annotated[int, Query(ge=1, le=100_000, alias="page", include_in_schema=False)] = 1,
) -> Response:
    """Which indicators crossed a threshold or fell, the newest first, with the evidence; `next` is a page's `after`.

    `status` is `open` until the operator or the institution that it is about has acknowledged the alert.
    """
    alerts = wanted.of(await all_alerts(visit.service))
    if format in ("csv", "xlsx"):
        async with one_file(visit.service):
            return await table_file("alerts", format, visit.language, sheet(alerts, visit.language))
    if format is None and "text/html" in accept:
        return await _list_page(visit, wanted, alerts, number)
    ids = [alert["id"] for alert in alerts]
    if paging.after and paging.after not in ids:
        raise Problem(422, "the request does not fit", [("after", "must be `next` of the page before")])
    first = ids.index(paging.after) + 1 if paging.after else 0
    items = alerts[first : first + paging.limit]
    following = items[-1]["id"] if first + paging.limit < len(alerts) else None
    return JSONResponse({"items": items, "next": following}, headers={"Vary": "Accept"})


async def _list_page(visit: Visit, wanted: Filters, alerts: list[Doc], number: int) -> Response:
    registry, everything = await counters.registry(visit.service.db), await all_alerts(visit.service)
    all, of_any = visit.word(ALL), {name: {alert[name] for alert in everything} for name in _FILTERED}
    visit.form.values = {name: [str(value)] for name, value in asdict(wanted).items()}
    filters = {name: str(value) for name, value in asdict(wanted).items() if value}
    part = pager(number, SHOWN, len(alerts), **filters)
    return visit.show(
        FOLDER + "alerts.html",
        alerts=part.of(alerts),
        part=part,
        statuses=[(str(each), visit.word(STATES.get(each, ALL))) for each in Status],
        regions=_options({id: id for id in of_any["region"]}, all),
        institutions=_options({id: registry.name("institution", id) for id in of_any["institution"]}, all),
        indicators=_options({id: INDICATORS[id].title.into(visit.language) for id in of_any["indicator"]}, all),
        acts=_acts(signed_in(visit.request)),
        files=urlencode(filters),
        **_words(visit),
    )


_FILTERED = ("region", "institution", "indicator")


def _options(named: Mapping[Any, str | None], all: str) -> list[tuple[str, str]]:
    known = [(id, name or id) for id, name in named.items() if id]
    return [("", all), *sorted(known, key=lambda one: one[1].casefold())]


def _words(visit: Visit) -> dict[str, Any]:
    return {
        "of": INDICATORS,
        "states": {status: visit.word(words) for status, words in STATES.items()},
        "scope_words": {scope: visit.word(words) for scope, words in WORDS.items()},
    }


# rules


@router.get("/alerts/rules", **pages)
async def rules_page(visit: ByStaff, id: Short = "", done: Short = "", later: Short = "") -> Response:
    """The own rules, and the form that sets one: empty, or one of them as it is."""
    _notice(visit, done, later)
    rules = await _own_rules(visit)
    known = next((rule for rule in rules if rule["id"] == id), None)
    if id and known is None:
        raise Problem(404, Text("there is no rule {id} of yours", {"id": id}))
    own = "" if visit.member.is_operator else f"{visit.member.organisation}:"
    visit.form.values = {name: [value] for name, value in _typed(known, f"{own}rule-{token_hex(3)}").items()}
    return await _show_rules(visit, rules, id)


def _typed(rule: Doc | None, new_id: str) -> dict[str, str]:
    """A rule as the form has it."""
    if rule is None:
        return {"id": new_id, "indicator": FIRST, "scope": "programme", "when": "below", "least_n": "30"}
    threshold = 100 * rule["threshold"] if INDICATORS[rule["indicator"]].unit == "share" else rule["threshold"]
    return {name: str(rule[name] or "") for name in FIELDS} | {"threshold": f"{threshold:.6f}".rstrip("0").rstrip(".")}


async def _own_rules(visit: MemberVisit) -> list[Doc]:
    """The rules in force of whoever is signed in, by id, each with how many of its alerts are open."""
    owner = None if visit.member.is_operator else visit.member.organisation
    open_alerts = [alert["rule"] for alert in Filters().of(await all_alerts(visit.service))]
    match = {"status": "active", "organisation": owner, "indicator": {"$in": list(INDICATORS)}}
    docs = visit.service.db[RULES].find(match, {"state": 0}).sort("_id")
    registry = await counters.registry(visit.service.db)
    return [
        {
            **doc,
            "id": doc["_id"],
            "scope_name": doc["scope_id"] and registry.name(doc["scope"], doc["scope_id"]),
            "open": open_alerts.count(doc["_id"]),
        }
        async for doc in docs
    ]


async def _show_rules(visit: MemberVisit, rules: list[Doc], id: str, status: int = 200) -> Response:
    registry, member = await counters.registry(visit.service.db), visit.member
    own = None if member.is_operator else own_scopes(member.organisation, registry)
    named = {id: registry.name("programme", id) for id in own["programme"]} if own else {}
    scopes = [scope for scope in SCOPES if own is None or scope in own]
    return visit.show(
        FOLDER + "rules.html",
        status,
        rules=rules,
        id=id,
        indicators=indicators_by_group(visit, scopes),
        scopes=[(scope, visit.word(WORDS[scope])) for scope in scopes],
        programmes=None if own is None else _options(named, visit.word(N_("all of your programmes"))),
        whens=[(when, visit.word(words)) for when, words in WHENS.items()],
        **_words(visit),
    )


@router.post("/alerts/rules", **pages)
async def change_rules(visit: ByStaff, id: Short = "") -> Response:
    """Set a rule, or remove one."""
    form, member = visit.form, visit.member
    if id:
        form.values["id"] = [id]
    rules = await _own_rules(visit)
    if not form.is_meant:
        return await _show_rules(visit, rules, id, 200 if form.is_draft else 403)
    if form["remove"]:
        event = await removal(visit.service, member.caller, form["remove"])
        return await _done(visit, event, "/alerts/rules?done=removed")
    body = _read(visit)
    if body is None:
        return await _show_rules(visit, rules, id, 422)
    try:
        event = await setting(visit.service, member.caller, form["id"], body)
    except Problem as problem:
        visit.refuse(problem, FIELDS)
        return await _show_rules(visit, rules, id, problem.status)
    return await _done(visit, event, "/alerts/rules?done=set")


async def _done(visit: MemberVisit, event: Event[Data] | None, address: str) -> Response:
    """Publish what was decided, wait until it is applied, and go on."""
    if event is None:
        return visit.go(address)
    (at,) = await visit.service.publish(event)
    is_applied = await visit.service.applied_within(at, WAIT_S)
    return visit.go(address + ("" if is_applied else "&later=1"))


def _read(visit: MemberVisit) -> IndicatorRuleSet | None:
    """The rule that the form says; None: something is wrong, which then stands beside its field."""
    form, member = visit.form, visit.member
    try:
        _ID.validate_python(form["id"])
    except ValidationError:
        form.add_error("id", visit.word(N_("takes Latin letters, digits and . _ : ~ - only")))
    of = INDICATORS.get(form["indicator"])
    own = member.organisation if form["scope"] == "institution" and not member.is_operator else None
    said: Doc = {
        "indicator": form["indicator"],
        "scope": form["scope"],
        "scope_id": own or form["scope_id"] or None,
        "when": form["when"],
        "threshold": _number(visit, "threshold"),
        "least_n": form["least_n"] or "30",
    }
    if said["threshold"] is not None and of is not None and of.unit == "share":
        said["threshold"] = round(said["threshold"] / 100, 9)
    try:
        body = IndicatorRuleSet.model_validate(said)
    except ValidationError as error:
        for one in error.errors():
            name = str(one["loc"][0])
            if name not in form.errors:
                form.add_error(name, in_language(wording_of(one), visit.language))
        return None
    return None if form.errors else body


def _number(visit: MemberVisit, name: str) -> float | None:
    typed = visit.form[name]
    try:
        return float(typed.replace(",", ".").replace(" ", ""))
    except ValueError:
        visit.form.add_error(name, visit.word(N_("must be a number: 60, or 12.5")))
        return None


# one alert


@router.get("/alerts/{id}", response_model=None, responses={200: {"content": _PAGE}})
async def read_alert(
    visit: AnyVisit, id: EntityId, accept: Annotated[str, Header()] = "", done: Short = "", later: Short = ""
) -> Response:
    """One alert with its evidence, and who has taken note of it."""
    alert = await find_alert(visit.service, id)
    if "text/html" in accept:
        _notice(visit, done, later)
        return await _show_alert(visit, alert)
    return JSONResponse(alert, headers={"Vary": "Accept"})


async def _show_alert(visit: Visit, alert: Doc, status: int = 200) -> Response:
    member = signed_in(visit.request)
    may = member is not None and _acts(member) and is_concerned(alert, member.caller)
    notes = await notes_on(visit.service, alert, member.caller) if may and member else []
    own = next((each for each in notes if member and each["organisation"] == member.organisation), None)
    if not visit.form.values:
        visit.form.values = {"note": [own["note"] if own else ""]}
    return visit.show(
        FOLDER + "alert.html",
        status,
        alert=alert,
        may=may,
        notes=[each for each in notes if each is not own],
        is_ours=any(member and one["by"] == member.organisation for one in alert["acknowledged"]),
        longest=LONGEST_NOTE,
        **_words(visit),
    )


@router.post("/alerts/{id}", **pages)
async def acknowledge(visit: ByStaff, id: EntityId) -> Response:
    """Take note of an alert; a note that is emptied is erased."""
    form, service = visit.form, visit.service
    alert = await find_alert(service, id)
    if not form.is_meant:
        return await _show_alert(visit, alert, 200 if form.is_draft else 403)
    if len(form["note"]) > LONGEST_NOTE:
        form.add_error("note", visit.word(N_("takes up to 2,000 characters")))
        return await _show_alert(visit, alert, 422)
    try:
        event = await acknowledging(service, visit.member.caller, id, form["note"])
    except Problem as problem:
        if problem.status != 422:
            raise
        visit.refuse(problem, ("note",))
        return await _show_alert(visit, alert, 422)
    return await _done(visit, event, f"/alerts/{id}?done={'noted' if event is None else 'acknowledged'}")
