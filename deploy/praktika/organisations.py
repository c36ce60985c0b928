"""praktika organisations, praktika credentials: who is in the network, and by which secrets they prove it.

Over HTTP, as the operator, so that all of it is on the trail.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import typer

from shared.operator import console
from shared.operator.command import EXIT_CODES, application
from shared.operator.console import Failed, Json, Misused, say, show_fields, show_json, show_table
from shared.settings import Settings

app = application("The organisations of the network: list, register, suspend, reinstate.")
credentials = application("The credentials of organisations: list, make, rotate, withdraw.")

APPLIED = {"Prefer": "wait=20"}
CREDENTIAL_FIELDS = ("credential", "name", "scope", "created_at", "last_used_at", "expires_at")

Organisation = Annotated[str, typer.Argument(metavar="ORGANISATION", help="Its id: river-plant.")]
Credential = Annotated[
    str, typer.Argument(metavar="CREDENTIAL", help="Its id, as `praktika credentials list` shows it.")
]
Name = Annotated[str, typer.Option(metavar="TEXT", help="For whom or what it is.")]
Scope = Annotated[str | None, typer.Option(metavar="send|read", help="It may only send events, or only read.")]
Days = Annotated[int | None, typer.Option(metavar="DAYS", help="It expires after so many; else never.")]
Api = Callable[..., Awaitable[Any]]


@app.command("list", epilog=EXIT_CODES)
def list_organisations(json: Json = False) -> None:
    """List the organisations with their kind, region and status."""

    async def work(settings: Settings) -> int:
        async with api(settings) as ask:
            found = await everything(ask, "organisations")
        if json:
            show_json({"organisations": found})
        else:
            columns = ("id", "kind", "region", "status", "name")
            show_table(["ID", "KIND", "REGION", "STATUS", "NAME"], [[one.get(c) for c in columns] for one in found])
            say(f"{len(found)} organisations")
        return console.OK

    console.run(work)


@app.command("register", epilog=EXIT_CODES)
def register(  # noqa: PLR0913, PLR0917
    id: Organisation,
    kind: Annotated[str, typer.Option(metavar="KIND", help="institution, enterprise or research_centre.")],
    name: Annotated[str, typer.Option(metavar="TEXT", help="As people shall read it.")],
    region: Annotated[str, typer.Option(metavar="CODE", help="Such as RU-KEM.")],
    sector: Annotated[str | None, typer.Option(metavar="CODE", help="Of the economy: NACE C25.")] = None,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="It tries out: its events reach no indicator.")] = False,
    json: Json = False,
) -> None:
    """Admit an organisation, or change its entry. The same again changes nothing."""
    entry: dict[str, Any] = {"kind": kind, "name": name, "region": region}
    entry |= ({"sector": sector} if sector else {}) | ({"sandbox": True} if sandbox else {})
    _change(json, "PUT", f"organisations/{id}", f"{id} is registered", json_body=entry)


@app.command("suspend", epilog=EXIT_CODES)
def suspend(
    id: Organisation,
    because: Annotated[str, typer.Option(metavar="TEXT", help="The reason, which the organisation reads.")],
    json: Json = False,
) -> None:
    """Suspend an organisation: it gets no token, and nothing of it is accepted until it is reinstated."""
    _change(json, "POST", f"organisations/{id}/suspension", f"{id} is suspended", json_body={"reason": because})


@app.command("reinstate", epilog=EXIT_CODES)
def reinstate(id: Organisation, json: Json = False) -> None:
    """End a suspension."""
    _change(json, "POST", f"organisations/{id}/reinstatement", f"{id} is reinstated")


@credentials.command("list", epilog=EXIT_CODES)
def list_credentials(id: Organisation, json: Json = False) -> None:
    """List an organisation's credentials, oldest first, without their secrets; when each was used last, to the hour."""

    async def work(settings: Settings) -> int:
        async with api(settings) as ask:
            found = (await ask("GET", f"organisations/{id}/credentials"))["items"]
        if json:
            show_json({"credentials": found})
        else:
            rows = [[one.get(field) for field in CREDENTIAL_FIELDS] for one in found]
            show_table(["CREDENTIAL", "NAME", "SCOPE", "CREATED", "LAST USED", "EXPIRES"], rows)
            say(f"{len(found)} credentials")
        return console.OK

    console.run(work)


@credentials.command("make", epilog=EXIT_CODES)
def make(id: Organisation, name: Name = "", scope: Scope = None, days: Days = None, json: Json = False) -> None:
    """Make a further credential and print it. The secret is shown this once: hand it over by a way that you trust."""

    async def work(settings: Settings) -> int:
        async with api(settings) as ask:
            _show_made(await _made(ask, id, {"name": name, "scope": scope, "expires_in_days": days}), json)
        return console.OK

    console.run(work)


@credentials.command("rotate", epilog=EXIT_CODES)
def rotate(
    id: Organisation,
    credential: Annotated[
        str | None, typer.Argument(metavar="CREDENTIAL", help="Which one; may be left out if there is one only.")
    ] = None,
    days: Days = None,
    json: Json = False,
) -> None:
    """Make a credential that replaces another and print it. The other is valid until you withdraw it."""

    async def work(settings: Settings) -> int:
        async with api(settings) as ask:
            held = (await ask("GET", f"organisations/{id}/credentials"))["items"]
            chosen = [one for one in held if credential in (None, one["credential"])]
            if len(chosen) != 1:
                ids = ", ".join(one["credential"] for one in held) or "none"
                raise Misused(f"which one? {id} has: {ids}")
            (old,) = chosen
            limits = {"name": old["name"] or "", "scope": old["scope"], "expires_in_days": days}
            _show_made(await _made(ask, id, limits), json)
        say(f"once the new one is in use: praktika credentials withdraw {id} {old['credential']}")
        return console.OK

    console.run(work)


@credentials.command("withdraw", epilog=EXIT_CODES)
def withdraw(
    id: Organisation,
    credential: Credential,
    webhooks: Annotated[bool, typer.Option("--webhooks", help="The organisation's webhooks go, too.")] = False,
    json: Json = False,
) -> None:
    """Withdraw a credential: no further tokens for it, and those that were given for it count no more, anywhere."""

    async def work(settings: Settings) -> int:
        async with api(settings) as ask:
            await ask("DELETE", f"organisations/{id}/credentials/{credential}", params={"webhooks": webhooks})
        if json:
            show_json({"withdrawn": credential})
        say(f"{credential} of {id} is withdrawn")
        return console.OK

    console.run(work)


def _change(as_json: bool, method: str, path: str, done: str, json_body: dict[str, Any] | None = None) -> None:
    async def work(settings: Settings) -> int:
        async with api(settings) as ask:
            answer = await ask(method, path, json=json_body, headers=APPLIED)
        if as_json:
            show_json(answer)
        say(done)
        return console.OK

    console.run(work)


async def _made(ask: Api, id: str, limits: dict[str, Any]) -> dict[str, str]:
    made: dict[str, str] = await ask("POST", f"organisations/{id}/credentials", json=limits)
    return made


def _show_made(made: dict[str, str], as_json: bool) -> None:
    if as_json:
        show_json(made)
    else:
        show_fields(made)


async def everything(ask: Api, path: str) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    items: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        page = await ask("GET", path, params={"limit": 200, **after})
        items += page["items"]
        if page["next"] is None:
            return items
        after = {"after": page["next"]}


@asynccontextmanager
async def api(settings: Settings) -> AsyncIterator[Api]:
    """What asks partners as the operator: method, path, and what httpx takes; gives the answer's JSON.

    Raises:
        Failed: it refuses, or does not answer; the text says why.
    """
    url, secret = os.environ.get("PRAKTIKA_PARTNERS_URL", ""), settings.client_secret.get_secret_value()
    if not url:
        raise Misused("set PRAKTIKA_PARTNERS_URL to the address of partners: http://127.0.0.1:8101")
    if not secret:
        raise Misused("set PRAKTIKA_CLIENT_SECRET to a secret of the operator's; `praktika operator` makes one")
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:

        async def ask(method: str, path: str, **request: Any) -> Any:
            try:
                answer = await client.request(method, path, **request)
            except httpx.TransportError as error:
                raise Failed(f"{url} does not answer: {type(error).__name__}. Is partners there?") from None
            if not answer.is_success:
                raise Failed(_refusal(answer))
            return answer.json() if answer.content else None

        form = {
            "grant_type": "client_credentials",
            "client_id": settings.client_id or "operator",
            "client_secret": secret,
        }
        token = await ask("POST", "token", data=form)
        client.headers["Authorization"] = f"Bearer {token['access_token']}"
        yield ask


def _refusal(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return f"status {answer.status_code}"
    reasons = [f"{error['field']}: {error['detail']}" for error in body.get("errors", ())]
    return "; ".join(reasons) or str(body.get("detail") or body.get("error_description") or answer.status_code)
