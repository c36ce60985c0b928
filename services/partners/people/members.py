"""Members: the people of organisations who sign in, and the invitations by which they come in.

Personal data: they are kept in the service's home, beside the credentials, and never reach the log. What a member does
is on the log as the organisation's, with the member's opaque id.
"""

import re
import secrets
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from services.partners.network.registry import OPERATOR
from shared.contract.text import composed, hidden
from shared.http.auth import Role
from shared.pages.languages import Text
from shared.processing import mongo

MEMBERS, INVITATIONS, SESSIONS, JOURNAL = "members", "invitations", "sessions", "people_journal"
LOCKS = "people_locks"  # one document for each organisation: see `_alone`
INVITED_DAYS = 7
JOURNAL_DAYS = 400
_ADDRESS = re.compile(r"[^@\s<>(),;:\"\[\]\\]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f<>]")

Person = dict[str, Any]


class Wrong(Exception):
    """Something typed does not do; nothing was changed.

    Args:
        errors: words by field; `_` says what is wrong with the whole.
    Attributes:
        errors: the same; under the name "" what is wrong with the whole.
    """

    def __init__(self, **errors: Text) -> None:
        self.errors = {name.strip("_"): text for name, text in errors.items()}
        super().__init__(str(errors))


class Gone(Exception):
    """The link has expired, was used or replaced, or never was; which of them is not said."""


def roles_in(organisation: str) -> tuple[Role, ...]:
    """The roles that an organisation's members may have, the most powerful first."""
    return (Role.operator, Role.coordinator) if organisation == OPERATOR else (Role.admin, Role.staff, Role.mentor)


def is_chief(role: Role) -> bool:
    """May the role invite and remove others?"""
    return role in (Role.admin, Role.operator)


class Invited(NamedTuple):
    """Whom an invitation is for.

    Attributes:
        member: who is known already and shall set a new password or passkey; empty: somebody new.
    """

    organisation: str
    email: str
    name: str
    role: Role
    member: str = ""


def checked(organisation: str, email: str, name: str, role: str) -> Invited:
    """What was typed, in its final form.

    Raises:
        Wrong: a field does not do.
    """
    email, name = composed(email.strip()), composed(" ".join(name.split()))
    wrong: dict[str, Text] = {}
    if len(email) > 254 or not _ADDRESS.fullmatch(email):
        wrong["email"] = Text("is no e-mail address: anna@college.example")
    if not 1 <= len(name) <= 100 or _CONTROL.search(name) or hidden(name):
        wrong["name"] = Text("must have 1 to 100 characters, without < and >")
    if role not in roles_in(organisation):
        wrong["role"] = Text("choose one")
    if wrong:
        raise Wrong(**wrong)
    return Invited(organisation, email, name, Role(role))


async def invite(home: mongo.Database, by: str, invited: Invited) -> str:
    """Make the token of a one-time link, which counts for `INVITED_DAYS`; an earlier one for the same person ends.

    Args:
        by: the member who invites, or a word for the command line.
    Raises:
        Wrong: there is such a member.
    """
    await _ensure_indexes(home)
    address = invited.email.casefold()
    known = await home[MEMBERS].find_one({"address": address}, {"user": 1})
    if known is not None and known["_id"] != invited.member:
        raise Wrong(email=Text("is a member of the network already; who has lost access gets a new link from an admin"))
    await home[INVITATIONS].delete_many({"address": address})
    token, now = secrets.token_urlsafe(32), datetime.now(UTC)
    user = known["user"] if known else secrets.token_hex(16)
    await home[INVITATIONS].create_index("ends_at", expireAfterSeconds=0)
    await home[INVITATIONS].insert_one(
        {
            "_id": _digest(token),
            "address": address,
            **invited._asdict(),
            "role": invited.role.value,
            "user": user,
            "by": by,
            "at": now,
            "ends_at": now + timedelta(days=INVITED_DAYS),
        }
    )
    await note(home, invited.organisation, by, "link_made" if invited.member else "invited", address)
    return token


async def _ensure_indexes(home: mongo.Database) -> None:
    await home[MEMBERS].create_index("address", unique=True)
    await home[MEMBERS].create_index([("organisation", 1), ("name", 1)])


async def invitation(home: mongo.Database, token: str) -> Person:
    """What a link was made for.

    Raises:
        Gone: it counts no more.
    """
    kept = await home[INVITATIONS].find_one({"_id": _digest(token), "ends_at": {"$gt": datetime.now(UTC)}})
    if kept is None:
        raise Gone
    return kept


async def withdraw(home: mongo.Database, by: str, organisation: str, id: str) -> None:
    """End an invitation of an organisation; the address is forgotten."""
    kept = await home[INVITATIONS].find_one_and_delete({"_id": id, "organisation": organisation})
    if kept is not None:
        await home[JOURNAL].update_many({"about": kept["address"]}, {"$set": {"about": ""}})
        await note(home, organisation, by, "withdrawn")


async def accept(home: mongo.Database, token: str, name: str, proof: Person) -> Person:
    """Use a link up: the person becomes a member, or has another password or passkey from now on.

    Args:
        proof: `password` (its hash) or `passkeys` (one).
    Raises:
        Gone: it counts no more; of several at once one is let in.
    """
    kept = await home[INVITATIONS].find_one_and_delete({"_id": _digest(token), "ends_at": {"$gt": datetime.now(UTC)}})
    if kept is None:
        raise Gone
    if not kept["member"]:
        invited = Invited(kept["organisation"], kept["email"], name, Role(kept["role"]))
        return await add(home, invited, "joined", {"user": kept["user"], **proof})
    changed = {"name": name, "password": None, "passkeys": [], **proof}
    person = await home[MEMBERS].find_one_and_update({"_id": kept["member"]}, {"$set": changed}, return_document=True)
    if person is None:
        raise Gone
    await home[SESSIONS].delete_many({"member": person["_id"]})
    await note(home, kept["organisation"], person["_id"], "renewed", person["_id"])
    return person


async def add(home: mongo.Database, invited: Invited, what: str, proof: Person) -> Person:
    """Make somebody a member.

    Args:
        what: the word for the journal: how that came.
        proof: as of `accept`.
    """
    await _ensure_indexes(home)
    id = new_id()
    person = {
        "_id": id,
        "organisation": invited.organisation,
        "email": invited.email,
        "address": invited.email.casefold(),
        "name": invited.name,
        "role": invited.role.value,
        "user": secrets.token_hex(16),  # by which devices tell passkeys apart; nothing else knows it
        "password": None,
        "passkeys": [],
        "joined_at": datetime.now(UTC),
        "seen_at": None,
        **proof,
    }
    await home[MEMBERS].insert_one(person)
    await note(home, invited.organisation, id, what, id)
    return person


def new_id() -> str:
    """An id that says nothing of whom it is for."""
    return f"m-{secrets.token_hex(8)}"


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


async def change_role(home: mongo.Database, actor: str, organisation: str, id: str, role: Role) -> None:
    """Give a member another role.

    Raises:
        Wrong: nobody would be left who may invite others, or the actor may no more.
    """

    async def change(session: Any) -> None:
        await _alone(home, organisation, session)
        await _demand_chief(home, actor, organisation, session)
        if not is_chief(role):
            await _demand_other_chief(home, organisation, id, session)
        await home[MEMBERS].update_one(
            {"_id": id, "organisation": organisation}, {"$set": {"role": role.value}}, session=session
        )

    await mongo.transact(home, change)
    await note(home, organisation, actor, "role_changed", id, role.value)


async def remove(home: mongo.Database, actor: str, organisation: str, id: str) -> None:
    """Remove a member, with all that is known of the person; sessions end.

    Raises:
        Wrong: nobody would be left who may invite others, or the actor may no more.
    """

    async def change(session: Any) -> None:
        await _alone(home, organisation, session)
        await _demand_chief(home, actor, organisation, session)
        await _demand_other_chief(home, organisation, id, session)
        person = await home[MEMBERS].find_one({"_id": id, "organisation": organisation}, session=session)
        if person:
            await _erase(home, person, session)

    await mongo.transact(home, change)
    await note(home, organisation, actor, "removed", id)


async def remove_by_command(home: mongo.Database, actor: str, person: Person) -> None:
    """The same without a look at who would be left: whoever has the servers may do it."""
    await mongo.transact(home, lambda session: _erase(home, person, session))
    await note(home, person["organisation"], actor, "removed", person["_id"])


async def _erase(home: mongo.Database, person: Person, session: Any) -> None:
    id, address = person["_id"], person["address"]
    await home[MEMBERS].delete_one({"_id": id}, session=session)
    await home[SESSIONS].delete_many({"member": id}, session=session)
    await home[INVITATIONS].delete_many({"address": address}, session=session)
    await home[JOURNAL].update_many({"about": address}, {"$set": {"about": id}}, session=session)


async def _alone(home: mongo.Database, organisation: str, session: Any) -> None:
    """Let no other change of an organisation's members come between: both would write this, and one begins anew."""
    await home[LOCKS].update_one({"_id": organisation}, {"$inc": {"changes": 1}}, upsert=True, session=session)


async def _demand_chief(home: mongo.Database, actor: str, organisation: str, session: Any) -> None:
    """The actor may still do this: another may have removed him a moment ago."""
    person = await home[MEMBERS].find_one({"_id": actor}, session=session)
    if person is None or not is_chief(Role(person["role"])) or person["organisation"] not in (organisation, OPERATOR):
        raise Wrong(_=Text("you may not do this any more"))


async def _demand_other_chief(home: mongo.Database, organisation: str, id: str, session: Any) -> None:
    chief = roles_in(organisation)[0].value
    person = await home[MEMBERS].find_one({"_id": id, "organisation": organisation}, session=session)
    if person is None or person["role"] != chief:
        return
    others = {"organisation": organisation, "role": chief, "_id": {"$ne": id}}
    if await home[MEMBERS].find_one(others, session=session) is None:
        raise Wrong(_=Text("this is the last one who may invite others: give somebody else that role first"))


# the journal: who came in, who let whom in; read by admins and the operator


async def note(  # noqa: PLR0913, PLR0917
    home: mongo.Database, organisation: str, actor: str, what: str, about: str = "", detail: str = ""
) -> None:
    """Write down what happened to an organisation's members.

    Args:
        actor, about: ids of members; of who is no member yet, the e-mail address.
    """
    await home[JOURNAL].create_index("at", expireAfterSeconds=JOURNAL_DAYS * 86_400)
    entry = {"at": datetime.now(UTC), "organisation": organisation, "actor": actor, "what": what}
    await home[JOURNAL].insert_one({**entry, "about": about, "detail": detail})


async def journal(home: mongo.Database, organisation: str | None, before: datetime | None, limit: int) -> list[Person]:
    """The newest entries of an organisation (None: of all), with the names of the members who are still there."""
    match: Person = {} if organisation is None else {"organisation": organisation}
    if before:
        match["at"] = {"$lt": before}
    entries = await home[JOURNAL].find(match).sort("at", -1).to_list(limit)
    ids = {entry[field] for entry in entries for field in ("actor", "about")}
    names = {doc["_id"]: doc["name"] async for doc in home[MEMBERS].find({"_id": {"$in": sorted(ids)}}, {"name": 1})}
    return [
        {**entry, **{field: names.get(entry[field], entry[field]) for field in ("actor", "about")}} for entry in entries
    ]
