"""The page on which members look after their own passkeys, password and sessions."""

from fastapi.responses import HTMLResponse, Response

from shared.http.routing import Router
from shared.http.visits import MemberVisit
from shared.pages.languages import Text

from . import passkeys, passwords
from .members import MEMBERS, SESSIONS, Person, Wrong, note
from .sign_in import FOLDER, member_by_password
from .visits import SignedIn, name_of
from .words import ROLES

router = Router(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/account")
async def account_page(visit: SignedIn) -> Response:
    return await _page(visit)


async def _page(visit: MemberVisit, status: int = 200) -> Response:
    member, service, person = visit.member, visit.service, await _person(visit)
    question = passkeys.registration(service.settings, person["user"], person["email"], member.name, person["passkeys"])
    return visit.show(
        FOLDER + "account.html",
        status,
        scripts=True,
        person=person,
        organisation=await name_of(service, member.organisation, visit.language),
        sessions=await service.store.home[SESSIONS].find({"member": member.id}).sort("began_at", -1).to_list(50),
        question=question,
        role=visit.word(ROLES[member.role]),
        shortest=passwords.SHORTEST,
    )


async def _person(visit: MemberVisit) -> Person:
    person: Person | None = await visit.service.store.home[MEMBERS].find_one({"_id": visit.member.id})
    if person is None:
        raise Wrong(_=Text("you were removed a moment ago"))
    return person


@router.post("/account/password")
async def change_password(visit: SignedIn) -> Response:
    """Set another password; who has one proves it before, for the screen may have been left alone."""
    form, member, home = visit.form, visit.member, visit.service.store.home
    if not form.is_meant:
        return await _page(visit, 403)
    try:
        person, password = await _person(visit), form.raw("password")
        if person["password"]:
            await _demand_old_password(visit, person)
        passwords.demand_hard(password, member.name, person["email"], member.organisation)
    except Wrong as wrong:
        visit.wrong(wrong.errors)
        return await _page(visit, 422)
    await home[MEMBERS].update_one({"_id": member.id}, {"$set": {"password": await passwords.hashed(password)}})
    await home[SESSIONS].delete_many({"member": member.id, "_id": {"$ne": member.session}})
    await note(home, member.organisation, member.id, "password_changed", member.id)
    return visit.go("/account")


async def _demand_old_password(visit: MemberVisit, person: Person) -> None:
    try:
        await member_by_password(visit, person["address"], visit.form.raw("old_password"))
    except Wrong as wrong:
        errors = {"old_password" if name == "password" else "_": text for name, text in wrong.errors.items()}
        raise Wrong(**errors) from None


@router.post("/account/passkeys")
async def change_passkeys(visit: SignedIn) -> Response:
    """Add a passkey, or remove the one that `remove` names."""
    if not visit.form.is_meant:
        return await _page(visit, 403)
    try:
        await (_remove_passkey(visit) if visit.form["remove"] else _add_passkey(visit))
    except Wrong as wrong:
        visit.wrong(wrong.errors)
        return await _page(visit, 422)
    return visit.go("/account")


async def _add_passkey(visit: MemberVisit) -> None:
    service, form, member = visit.service, visit.form, visit.member
    home = service.store.home
    if len((await _person(visit))["passkeys"]) >= passkeys.MOST:
        raise Wrong(passkey=Text("remove one first"))
    key = await passkeys.new_passkey(home, service.settings, service.verifier, form["challenge"], form["passkey"])
    await home[MEMBERS].update_one({"_id": member.id}, {"$push": {"passkeys": key}})
    await note(home, member.organisation, member.id, "passkey_added", member.id)


async def _remove_passkey(visit: MemberVisit) -> None:
    """Remove a passkey, unless it is all that the member can sign in with."""
    home, member = visit.service.store.home, visit.member
    others = {"$or": [{"password": {"$ne": None}}, {"passkeys.1": {"$exists": True}}]}
    removed = await home[MEMBERS].update_one(
        {"_id": member.id, **others}, {"$pull": {"passkeys": {"id": visit.form["remove"]}}}
    )
    if not removed.matched_count:
        raise Wrong(passkey=Text("it is the only way in that you have: set a password or add another passkey first"))
    await note(home, member.organisation, member.id, "passkey_removed", member.id)


@router.post("/account/sessions")
async def end_session(visit: SignedIn) -> Response:
    """End one of one's own sessions."""
    home, member = visit.service.store.home, visit.member
    if not visit.form.is_meant:
        return await _page(visit, 403)
    ended = await home[SESSIONS].delete_one({"_id": visit.form["session"], "member": member.id})
    if ended.deleted_count:
        await note(home, member.organisation, member.id, "session_ended", member.id)
    return visit.go("/account")
