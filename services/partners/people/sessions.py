"""Sessions: they begin with a sign-in, are looked at on each page of partners, and end at once."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe
from typing import Any

from fastapi import Request

from services.partners.network.registry import OPERATOR
from shared.contract.events import Publisher
from shared.http.auth import KEPT_S, SESSION_S, Member, Role, Signer
from shared.http.service import Service
from shared.http.sessions import keep_session
from shared.pages.languages import Text
from shared.processing import mongo

from .members import MEMBERS, SESSIONS, Person, Wrong, note

SPENT = "spent"
RENEWED_AFTER_S = 300  # of a token's 900: whoever goes on working never sees it expire


async def start(request: Request, service: Service, person: Person, way: str) -> Member:
    """Begin a session, in place of one that the browser has.

    Args:
        way: how the person has proved who it is: password, passkey, oidc, link.
    Raises:
        Wrong: the organisation is suspended.
    """
    home, now = service.store.home, datetime.now(UTC)
    organisation = await demand_active(service, person["organisation"])
    if (old := request.state.session) is not None:
        await home[SESSIONS].delete_one({"_id": old.session})
    id, until = token_urlsafe(24), now + timedelta(seconds=SESSION_S)
    await home[SESSIONS].create_index("until", expireAfterSeconds=0)
    await home[SESSIONS].create_index("member")
    began = {
        "_id": id,
        "member": person["_id"],
        "organisation": person["organisation"],
        "began_at": now,
        "until": until,
        "way": way,
        "address": request.client.host if request.client else "",
        "browser": request.headers.get("user-agent", "")[:200],
    }
    await home[SESSIONS].insert_one(began)
    await home[MEMBERS].update_one({"_id": person["_id"]}, {"$set": {"seen_at": now}})
    await note(home, person["organisation"], person["_id"], "signed_in", person["_id"], way)
    member = _member(person, organisation, id, int(until.timestamp()))
    keep_session(request, service.settings, Signer(service.settings).session_token(member))
    return member


def _member(person: Person, organisation: dict[str, Any], session: str, until: int) -> Member:
    return Member(
        id=person["_id"],
        organisation=person["organisation"],
        kind=organisation["kind"],
        role=Role(person["role"]),
        name=person["name"],
        session=session,
        issued_at=0,
        expires_at=until,
        until=until,
        sandbox=organisation["sandbox"],
    )


async def demand_active(service: Service, organisation: str) -> dict[str, Any]:
    """The `kind` of an organisation, and whether it is a `sandbox`.

    Raises:
        Wrong: it is suspended, or unknown: nobody acts for it.
    """
    if organisation == OPERATOR:
        return {"kind": Publisher.operator, "sandbox": False}
    fields = {"status": 1, "reason": 1, "name": 1, "kind": 1, "sandbox": 1}
    entry = (await service.by_id("organisations", [organisation], fields)).get(organisation, {})
    if entry.get("status") == "suspended":
        given = {"organisation": entry.get("name", organisation), "reason": entry["reason"]}
        raise Wrong(_=Text("{organisation} is suspended: {reason}", given))
    if "kind" not in entry:
        raise Wrong(_=Text("your organisation is not registered (yet)"))
    return {"kind": Publisher(entry["kind"]), "sandbox": bool(entry.get("sandbox"))}


async def current(request: Request, service: Service) -> Member | None:
    """Who is signed in, by what is known now; the token in the cookie is renewed when it is getting old.

    A session that has ended, or whose member is gone or suspended, ends in the browser, too.
    """
    kept: Member | None = request.state.session
    if kept is None:
        return None
    try:
        session, person, organisation = await asyncio.gather(
            service.at_home(SESSIONS, kept.session),
            service.at_home(MEMBERS, kept.id),
            demand_active(service, kept.organisation),
        )
    except Wrong:
        await service.store.home[SESSIONS].delete_many({"member": kept.id})
        session = person = None
    if session is None or person is None or session["until"].replace(tzinfo=UTC) <= datetime.now(UTC):
        request.state.member = request.state.session = None
        keep_session(request, service.settings, "")
        return None
    member = _member(person, organisation, kept.session, kept.until)
    is_changed = (member.role, member.name) != (kept.role, kept.name)
    if is_changed or time.time() - kept.issued_at > RENEWED_AFTER_S:
        keep_session(request, service.settings, Signer(service.settings).session_token(member))
    request.state.member, request.state.actor = member, member.caller.actor
    return member


async def end(request: Request, service: Service) -> None:
    """Sign out."""
    if kept := request.state.session:
        await service.store.home[SESSIONS].delete_one({"_id": kept.session})
        await note(service.store.home, kept.organisation, kept.id, "signed_out", kept.id)
    keep_session(request, service.settings, "")
    request.state.member = request.state.session = None


async def spend(home: mongo.Database, id: str) -> bool:
    """Use up what counts once; False: it was used already."""
    await home[SPENT].create_index("at", expireAfterSeconds=2 * KEPT_S)
    done = await home[SPENT].update_one({"_id": id}, {"$setOnInsert": {"at": datetime.now(UTC)}}, upsert=True)
    return done.upserted_id is not None
