"""The pages on which an organisation's admin (for all organisations the operator) connects systems.

Credentials, users of Kafka, webhooks with what they were not delivered: the commands are those of the HTTP API.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi.responses import HTMLResponse, Response
from pydantic import ValidationError

from services.partners.gateway import credentials, kafka_credentials
from services.partners.gateway.credentials import Limits
from services.partners.gateway.egress import webhooks
from services.partners.gateway.egress.feed import Feed
from services.partners.gateway.egress.webhooks import Webhook
from services.partners.network.registry import OPERATOR
from services.partners.people import members
from services.partners.people.member_pages import Whose, of
from services.partners.people.visits import ByChief, name_of
from shared.contract.events import PARTNERS
from shared.http.forms import Form
from shared.http.lists import Paging
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.visits import MemberVisit
from shared.pages.languages import N_, Text, in_language

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
FOLDER = "services/partners/pages/"
HOME = "/work/integration"
SCOPES = {"": N_("send and read"), "send": N_("only send"), "read": N_("only read")}
LIFETIMES = {"": N_("until it is withdrawn"), "90": N_("90 days"), "365": N_("one year")}
HOOK_STATES = {
    "active": N_("active"),
    "gone": N_("ended: its address answered that it is gone"),
    "disabled": N_("ended: it failed for three days"),
}


@router.get(HOME)
async def integration_page(visit: ByChief, whose: Whose) -> Response:
    return await _show(visit, whose)


async def _show(
    visit: MemberVisit, whose: str, status: int = 200, made: Mapping[str, dict[str, Any]] | None = None
) -> Response:
    """The page; *made*: a `credential`, `user` or `hook` with its secret, which is shown this once."""
    service = visit.service
    is_own = whose == visit.member.organisation

    async def read() -> tuple[Any, ...]:
        has_kafka = service.settings.kafka_security != "PLAINTEXT"
        given, hooks = await asyncio.gather(
            credentials.all_of(service.store.home, whose),
            webhooks.list_webhooks(service, visit.member.caller, whose),
        )
        users = await kafka_credentials.all_of(service.settings, whose) if has_kafka else None
        return given, users, hooks["items"]

    given, users, hooks = await service.coalesced(("integration", whose, is_own), read)
    return visit.show(
        FOLDER + "integration.html",
        status,
        once=made is not None,
        whose=whose,
        of=of(visit, whose),
        organisation=await name_of(service, whose, visit.language),
        credentials=given,
        kafka=users,
        hooks=hooks,
        may_make=whose != OPERATOR,  # the operator's own: from the command line
        may_call=is_own and visit.member.kind in PARTNERS,
        scopes=_words(visit, SCOPES),
        lifetimes=_words(visit, LIFETIMES),
        states=_words(visit, HOOK_STATES),
        address=service.settings.public("partners"),
        made=made or {},
    )


def _words(visit: MemberVisit, texts: Mapping[str, str]) -> dict[str, str]:
    return {value: visit.word(text) for value, text in texts.items()}


@router.post(f"{HOME}/credentials")
async def change_credentials(visit: ByChief, whose: Whose) -> Response:
    """Make a credential, which is shown this once; or `withdraw` one."""
    return await _change(
        visit,
        whose,
        "credential",
        lambda: credentials.give(visit.service, whose, _limits(visit.form)),
        lambda id: credentials.withdraw(visit.service, whose, id, visit.member.id),
    )


@router.post(f"{HOME}/kafka-credentials")
async def change_kafka_credentials(visit: ByChief, whose: Whose) -> Response:
    """Make a user of Kafka, whose password is shown this once; or `withdraw` one."""
    return await _change(
        visit,
        whose,
        "user",
        lambda: kafka_credentials.give(visit.service, whose),
        lambda id: kafka_credentials.withdraw(visit.service.settings, whose, id),
    )


async def _change(
    visit: MemberVisit,
    whose: str,
    what: str,
    give: Callable[[], Awaitable[dict[str, Any]]],
    withdraw: Callable[[str], Awaitable[None]],
) -> Response:
    """Make or withdraw what lets a system in; the journal says who did."""
    home, form = visit.service.store.home, visit.form
    if not form.is_meant:
        return await _show(visit, whose, 403)
    try:
        if id := form["withdraw"]:
            await withdraw(id)
            await members.note(home, whose, visit.member.id, "credential_withdrawn", detail=id)
            return visit.go(HOME + of(visit, whose))
        made = await give()
    except Problem as problem:
        visit.refuse(problem)
        return await _show(visit, whose, problem.status)
    await members.note(home, whose, visit.member.id, "credential_made", detail=made["credential"])
    return await _show(visit, whose, made={what: made})


def _limits(form: Form) -> Limits:
    scope, days = form["scope"], form["days"]
    if scope not in SCOPES or days not in LIFETIMES or len(form["name"]) > 100:
        raise Problem(422, Text("choose one of what is offered, and a name of at most 100 characters"))
    return Limits.model_validate(
        {"name": form["name"], "scope": scope or None, "expires_in_days": int(days) if days else None}
    )


@router.post(f"{HOME}/webhooks")
async def make_webhook(visit: ByChief) -> Response:
    """Have the own feed sent to an address from now on; the secret is shown this once."""
    whose = visit.member.organisation
    if not visit.form.is_meant:
        return await _show(visit, whose, 403)
    try:
        _demand_feed(visit)
        wanted = Webhook(url=visit.form["url"], after=None)
        made = await webhooks.give(visit.service, visit.member.caller, wanted)
    except ValidationError:
        visit.wrong({"url": Text("has at most {n} characters", {"n": 2000})})
        return await _show(visit, whose, 422)
    except Problem as problem:
        visit.refuse(problem, ("url",))
        return await _show(visit, whose, problem.status)
    return await _show(visit, whose, made={"hook": made})


def _demand_feed(visit: MemberVisit) -> None:
    if visit.member.kind not in PARTNERS:
        raise Problem(403, Text("only organisations have a feed"))


# one webhook


@router.get(HOME + "/webhooks/{id}")
async def webhook_page(visit: ByChief, id: str) -> Response:
    return await _webhook(visit, id)


async def _webhook(visit: MemberVisit, id: str, status: int = 200, **said: Any) -> Response:
    service, caller = visit.service, visit.member.caller
    hook = await webhooks.read_webhook(service, caller, id)
    span = await Feed(service.log, hook["organisation"]).span()
    failures = await webhooks.list_failures(service, caller, id, Paging(None, 100))
    return visit.show(
        FOLDER + "webhook.html",
        status,
        once="secret" in said,
        hook=hook,
        of=of(visit, hook["organisation"]),
        waiting=max(0, span.end - int(hook["cursor"])),
        failures=failures["items"],
        has_more=failures["next"] is not None,
        is_own=hook["organisation"] == visit.member.organisation,
        state=visit.word(HOOK_STATES[hook["status"]]),
        **{"secret": "", "trial": None, **said},
    )


@router.post(HOME + "/webhooks/{id}")
async def change_webhook(visit: ByChief, id: str) -> Response:
    """What its button says: try it, deliver again what failed, activate it, change its secret, delete it."""
    form, service, caller = visit.form, visit.service, visit.member.caller
    if not form.is_meant:
        return await _webhook(visit, id, 403)
    hook = await webhooks.read_webhook(service, caller, id)
    try:
        if form["do"] == "delete":
            await webhooks.delete_webhook(service, caller, id)
            return visit.go(HOME + of(visit, hook["organisation"]))
        said = await _done(visit, id)
    except Problem as problem:
        visit.refuse(problem)
        return await _webhook(visit, id, problem.status)
    return await _webhook(visit, id, **said)


async def _done(visit: MemberVisit, id: str) -> dict[str, Any]:
    """Do what the button says, which only the organisation itself may; what is to be shown of it."""
    service, caller = visit.service, visit.member.caller
    if visit.form["do"]:
        _demand_feed(visit)
    match visit.form["do"]:
        case "test":
            trial = await webhooks.try_webhook(service, caller, id)
            return {"trial": {**trial, "said": in_language(trial["said"], visit.language)}}
        case "secret":
            return {"secret": await webhooks.renew(service, caller, id)}
        case "activate":
            await webhooks.activate_webhook(service, caller, id)
        case "redeliver":
            await _redeliver(visit, id)
    return {}


async def _redeliver(visit: MemberVisit, id: str) -> None:
    """Try again now what failed: one, or all that are named."""
    for failure in visit.form.all("failure"):
        if not (failure.isascii() and failure.isdigit() and len(failure) < 19):
            raise Problem(422, Text("choose what shall be delivered again"))
        await webhooks.redeliver(visit.service, visit.member.caller, id, int(failure))
