"""The pages on which an organisation's admin (for all organisations the operator) looks after its members."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Path, Query
from fastapi.responses import HTMLResponse, Response

from shared.http.auth import Role
from shared.http.forms import Form
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Service
from shared.http.visits import MemberVisit
from shared.pages.languages import Text
from shared.settings import Settings

from . import members
from .mail import send_link
from .members import INVITATIONS, MEMBERS, Invited, Person, Wrong
from .sign_in import FOLDER
from .visits import ByChief, name_of
from .words import DETAILS, JOURNAL, ROLES

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
PER_PAGE = 50
Organisation = Annotated[str, Query(max_length=100)]
MemberId = Annotated[str, Path(pattern=r"^m-[0-9a-f]{16}$")]


async def _whose(visit: ByChief, organisation: Organisation = "") -> str:
    """Whose members are meant: one's own organisation's; the operator may name another.

    Raises:
        Problem: 404, it is another's, or there is none.
    """
    own = visit.member.organisation
    if organisation in ("", own):
        return own
    known = {"_id": organisation, "name": {"$exists": True}}
    if not visit.member.is_operator or await visit.service.db["organisations"].find_one(known, {"_id": 1}) is None:
        raise Problem(404, Text("there is no such organisation (or it is not yours)"))
    return organisation


Whose = Annotated[str, Depends(_whose)]


@router.get("/members")
async def members_page(
    visit: ByChief,
    whose: Whose,
    search: Annotated[str, Query(max_length=100)] = "",
    after: Annotated[str, Query(max_length=300)] = "",
) -> Response:
    first, second, *_ = members.roles_in(whose)
    visit.form = Form.filled(role=(second if whose == visit.member.organisation else first).value)
    return await _list(visit, whose, search=search, after=after)


@router.post("/members")
async def invite(visit: ByChief, whose: Whose) -> Response:
    """Invite somebody: the link is shown once, and sent if there is a mail server. Or `withdraw` an invitation."""
    form = visit.form
    if not form.is_meant:
        return await _list(visit, whose, 403)
    if form["withdraw"]:
        await members.withdraw(visit.service.store.home, visit.member.id, whose, form["withdraw"])
        return visit.go("/members" + of(visit, whose))
    try:
        invited = members.checked(whose, form["email"], form["name"], form["role"])
        made = await link_for(visit.service, visit.member.id, invited)
    except Wrong as wrong:
        visit.wrong(wrong.errors)
        return await _list(visit, whose, 422)
    visit.form = Form.filled(role=form["role"])
    return await _list(visit, whose, made=made)


async def link_for(service: Service, by: str, invited: Invited) -> dict[str, Any]:
    """A one-time link, and whether it was sent."""
    link = address_of(service.settings, await members.invite(service.store.home, by, invited))
    organisation = await name_of(service, invited.organisation)
    return {"invited": invited, "link": link, "sent": await send_link(service.settings, invited, organisation, link)}


def address_of(settings: Settings, token: str) -> str:
    """The address of a one-time link."""
    return f"{settings.public('partners')}/invitation?token={token}"


async def _list(  # noqa: PLR0913
    visit: MemberVisit, whose: str, status: int = 200, *, search: str = "", after: str = "", made: Any = None
) -> Response:
    home, match = visit.service.store.home, _matching(whose, search)
    name, _, id = after.rpartition("/")
    beyond = {"$or": [{"name": {"$gt": name}}, {"name": name, "_id": {"$gt": id}}]} if after else {}

    async def read() -> tuple[list[Person], int, list[Person]]:
        of, invitations = home[MEMBERS], home[INVITATIONS].find({"organisation": whose, "member": ""})
        return await asyncio.gather(
            of.find({"$and": [match, beyond]}).sort([("name", 1), ("_id", 1)]).to_list(PER_PAGE + 1),
            of.count_documents(match),
            invitations.sort("at", -1).to_list(200),
        )

    docs, total, invited = await visit.service.coalesced(("members", whose, search, after), read)
    last = docs[PER_PAGE - 1] if len(docs) > PER_PAGE else None
    return visit.show(
        FOLDER + "members.html",
        status,
        whose=whose,
        organisation=await name_of(visit.service, whose, visit.language),
        people=docs[:PER_PAGE],
        total=total,
        following=f"{last['name']}/{last['_id']}" if last else None,
        search=search,
        after=after,
        invited=invited,
        roles=_roles(visit, whose),
        short={role.value: visit.word(words).partition(":")[0] for role, words in ROLES.items()},
        made=made,
        once=made is not None,
    )


def _matching(whose: str, search: str) -> Person:
    if not search:
        return {"organisation": whose}
    name = {"$regex": re.escape(search), "$options": "i"}
    return {"organisation": whose, "$or": [{"name": name}, {"address": {"$regex": re.escape(search.casefold())}}]}


def _roles(visit: MemberVisit, organisation: str) -> list[tuple[str, str]]:
    return [(role.value, visit.word(ROLES[role])) for role in members.roles_in(organisation)]


@router.get("/members/{id}")
async def member_page(visit: ByChief, whose: Whose, id: MemberId) -> Response:
    return await _one(visit, whose, id)


async def _one(visit: MemberVisit, whose: str, id: str, status: int = 200, made: Any = None) -> Response:
    person = await _person(visit, whose, id)
    if not visit.form.errors:
        visit.form = Form.filled(role=person["role"])
    organisation, roles = await name_of(visit.service, whose, visit.language), _roles(visit, whose)
    template = FOLDER + "member.html"
    about: dict[str, Any] = {"person": person, "whose": whose, "organisation": organisation, "roles": roles}
    return visit.show(template, status, once=made is not None, made=made, **about)


async def _person(visit: MemberVisit, whose: str, id: str) -> Person:
    person: Person | None = await visit.service.store.home[MEMBERS].find_one({"_id": id, "organisation": whose})
    if person is None:
        raise Problem(404, Text("there is no such member (any more)"))
    return person


@router.post("/members/{id}")
async def change_member(visit: ByChief, whose: Whose, id: MemberId) -> Response:
    """What the button says: another `role`, a new `link`, or `remove` (once it is confirmed)."""
    if not visit.form.is_meant:
        return await _one(visit, whose, id, 403)
    person = await _person(visit, whose, id)
    try:
        if visit.form["do"] == "link":
            invited = Invited(whose, person["email"], person["name"], Role(person["role"]), id)
            return await _one(visit, whose, id, made=await link_for(visit.service, visit.member.id, invited))
        if visit.form["do"] == "remove":
            await _remove(visit, whose, id)
            return visit.go("/members" + of(visit, whose))
        await _change_role(visit, whose, id)
    except Wrong as wrong:
        visit.wrong(wrong.errors)
        return await _one(visit, whose, id, 422)
    return visit.go(f"/members/{id}{of(visit, whose)}")


async def _remove(visit: MemberVisit, whose: str, id: str) -> None:
    if visit.form["sure"] != "yes":
        raise Wrong(sure=Text("tick this, if it is meant"))
    await members.remove(visit.service.store.home, visit.member.id, whose, id)


async def _change_role(visit: MemberVisit, whose: str, id: str) -> None:
    role = visit.form["role"]
    if role not in members.roles_in(whose):
        raise Wrong(role=Text("choose one"))
    await members.change_role(visit.service.store.home, visit.member.id, whose, id, Role(role))


def of(visit: MemberVisit, whose: str) -> str:
    return "" if whose == visit.member.organisation else f"?organisation={whose}"


@router.get("/people-log")
async def journal_page(visit: ByChief, organisation: Organisation = "", before: datetime | None = None) -> Response:
    """Who came in, and who let whom in: of one's own organisation; for the operator of all, or of one."""
    of_all = visit.member.is_operator and not organisation
    whose = None if of_all else await _whose(visit, organisation)
    before = before.astimezone(UTC) if before else None
    entries = await members.journal(visit.service.store.home, whose, before, PER_PAGE + 1)
    return visit.show(
        FOLDER + "journal.html",
        entries=entries[:PER_PAGE],
        older=entries[PER_PAGE - 1]["at"].isoformat() + "Z" if len(entries) > PER_PAGE else None,
        whose=whose,
        what={key: visit.word(words) for key, words in {**JOURNAL, **DETAILS}.items()},
    )
