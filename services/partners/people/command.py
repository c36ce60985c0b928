"""praktika member: invite, list and remove members, and make new links, straight in the database of partners."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import typer

from services.partners.network.registry import OPERATOR
from shared.http.auth import Role
from shared.operator import console
from shared.operator.command import EXIT_CODES, application
from shared.operator.console import Failed, Json, Misused, say, show, show_json, show_table
from shared.processing import mongo
from shared.settings import Settings

from . import members
from .mail import send_link
from .member_pages import address_of
from .members import MEMBERS, Invited, Person, Wrong

app = application("The people who sign in: invite, list, remove them, make a new link.")
Organisation = Annotated[
    str, typer.Argument(metavar="ORGANISATION", help=f"Its id: river-plant; {OPERATOR}: who runs the network.")
]
Email = Annotated[str, typer.Argument(metavar="E-MAIL", help="By which the person signs in.")]
BY = "command line"
SHOWN = ("organisation", "email", "name", "role")


@app.command("invite", epilog=EXIT_CODES)
def invite(
    organisation: Organisation,
    email: Email,
    name: Annotated[str, typer.Option(metavar="TEXT", help="As colleagues shall see it.")] = "",
    role: Annotated[
        str | None,
        typer.Option(metavar="ROLE", help="admin (default), staff, mentor; of the operator's: operator, coordinator."),
    ] = None,
    json: Json = False,
) -> None:
    """Make a one-time link by which somebody becomes a member, and print it. It counts for seven days, once."""

    async def work(settings: Settings) -> int:
        async with _home(settings) as (home, db):
            entry = await db["organisations"].find_one({"_id": organisation, "name": {"$exists": True}})
            if organisation != OPERATOR and entry is None:
                raise Misused(f"{organisation} is not registered (yet): praktika organisations register")
            chosen = role or members.roles_in(organisation)[0].value
            try:
                invited = members.checked(organisation, email, name or email.partition("@")[0], chosen)
                link = address_of(settings, await members.invite(home, BY, invited))
            except Wrong as wrong:
                reasons = [f"{field}: {text.into('en')}" for field, text in wrong.errors.items()]
                raise Misused("; ".join(reasons)) from None
            await _show(settings, invited, entry["name"] if entry else OPERATOR, link, json)
        return console.OK

    console.run(work)


@app.command("link", epilog=EXIT_CODES)
def link(email: Email, json: Json = False) -> None:
    """Make a new link for a member who lost the password or the device, and print it."""

    async def work(settings: Settings) -> int:
        async with _home(settings) as (home, _):
            person = await _person(home, email)
            invited = Invited(
                person["organisation"], person["email"], person["name"], Role(person["role"]), person["_id"]
            )
            made = address_of(settings, await members.invite(home, BY, invited))
            await _show(settings, invited, person["organisation"], made, json)
        return console.OK

    console.run(work)


@app.command("list", epilog=EXIT_CODES)
def list_members(
    organisation: Annotated[str | None, typer.Argument(metavar="ORGANISATION", help="Only its own.")] = None,
    json: Json = False,
) -> None:
    """List members with their roles, by organisation and name."""

    async def work(settings: Settings) -> int:
        async with _home(settings) as (home, _):
            match = {"organisation": organisation} if organisation else {}
            people = await home[MEMBERS].find(match).sort([("organisation", 1), ("name", 1)]).to_list(None)
        shown = [{"id": person["_id"], **{field: person[field] for field in SHOWN}} for person in people]
        if json:
            show_json({"members": shown})
        else:
            show_table([field.upper() for field in SHOWN], [[person[field] for field in SHOWN] for person in shown])
            say(f"{len(shown)} members")
        return console.OK

    console.run(work)


@app.command("remove", epilog=EXIT_CODES)
def remove(email: Email, json: Json = False) -> None:
    """Remove a member: name and address are erased, sessions end. Also the last admin of an organisation."""

    async def work(settings: Settings) -> int:
        async with _home(settings) as (home, _):
            person = await _person(home, email)
            await members.remove_by_command(home, BY, person)
        if json:
            show_json({"removed": person["_id"]})
        say(f"{email} is no member any more")
        return console.OK

    console.run(work)


async def _person(home: mongo.Database, email: str) -> Person:
    person: Person | None = await home[MEMBERS].find_one({"address": email.casefold()})
    if person is None:
        raise Failed(f"{email} is no member")
    return person


async def _show(settings: Settings, invited: Invited, organisation: str, link: str, as_json: bool) -> None:
    sent = await send_link(settings, invited, organisation, link)
    if as_json:
        show_json({"link": link, "sent": sent, "role": invited.role.value})
        return
    show(link)
    say(f"sent to {invited.email}" if sent else f"hand it to {invited.email} by a way that you trust; it works once")


@asynccontextmanager
async def _home(settings: Settings) -> AsyncIterator[tuple[mongo.Database, mongo.Database]]:
    """Where members are kept, and the registry."""
    client = mongo.connect(settings)
    try:
        home = mongo.database(client, settings, "partners")
        yield home, await mongo.live(home)
    finally:
        client.close()
