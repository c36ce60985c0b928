"""What an institution's people see of its schemes and certificates: who is near one, what was given, what ends."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlencode

from fastapi import Depends, Query
from fastapi.responses import HTMLResponse, Response
from pydantic import ValidationError

from services.certification.certificates.api import Revocation, certificates_file, revocation
from services.certification.certificates.listing import SOON, Asked, listed
from services.certification.certificates.reads import LABELS, find_certificate, find_learner, with_names
from services.certification.schemes.api import nearly_file, own_scheme, shown
from services.certification.schemes.reads import catalogue, near
from services.certification.schemes.rules import Scheme
from services.certification.schemes.words import methods_in_words, validity
from services.certification.validity import STATUS, Status, today
from shared.contract.events import Publisher
from shared.http.auth import Role
from shared.http.parameters import query
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import EntityId
from shared.http.visits import STAFF, MemberVisit, SignedInOffline, demand_active, demand_role
from shared.pages.languages import N_, Text
from shared.pages.paging import pager
from shared.processing.mongo import Database

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
FOLDER = "services/certification/pages/"
SHOWN = 50
WAIT_S = 10
Doc = dict[str, Any]


async def _by_institution(visit: SignedInOffline) -> MemberVisit:
    """The visit of an institution's staff."""
    demand_role(visit, STAFF)
    if visit.member.kind is not Publisher.institution:
        raise Problem(403, "this page is for institutions, which publish schemes")
    await demand_active(visit)
    return visit


ByInstitution = Annotated[MemberVisit, Depends(_by_institution)]
Short = Annotated[str, Query(max_length=100)]
Format = Literal["csv", "xlsx"]
DONE = {"published": N_("The scheme is published"), "revoked": N_("The certificate is revoked")}


def _notice(visit: MemberVisit, done: str, later: str) -> None:
    if done in DONE:
        late = f" ({visit.word(N_('accepted, it will show in a moment'))})" if later else ""
        visit.notice = visit.word(DONE[done]) + late


async def _own_schemes(visit: MemberVisit) -> list[Doc]:
    """The institution's schemes with the names of their competencies, by these."""
    own = [each for each in await catalogue(visit.service) if each["institution"] == visit.member.organisation]
    named = [{**each, "name": visit.frameworks.name(each["competency"], visit.language)} for each in own]
    return sorted(named, key=lambda each: (each["name"].casefold(), each["id"]))


@router.get("/issuing")
async def issuing_page(visit: ByInstitution, done: Short = "", later: Short = "") -> Response:
    """The institution's schemes, with how many certificates each gave, and what can be done."""
    _notice(visit, done, later)
    own, service = visit.member.organisation, visit.service
    given = await service.recent(("given", own), lambda: _given(service.db, own))
    ending = Asked(ending_within=SOON).match(own)
    question = ("ending", own, repr(ending))
    number, _ = await service.recent(question, lambda: listed(service.db, ending, "valid_until", 0, 1))
    schemes = [
        {
            **each,
            "asked": methods_in_words(each, visit.language),
            "valid": validity(each.get("valid_months"), visit.language),
            "given": given.get(each["id"], 0),
        }
        for each in await _own_schemes(visit)
    ]
    return visit.show(
        FOLDER + "issuing.html",
        schemes=schemes,
        ending=number,
        soon=SOON,
        may_publish=visit.member.role is Role.admin,
    )


async def _given(db: Database, institution: str) -> dict[str, int]:
    """How many certificates each scheme of an institution gave."""
    own: Doc = {"certificates.institution": institution}
    stages: list[Doc] = [
        {"$match": own},
        {"$project": {"certificates": 1}},
        {"$unwind": "$certificates"},
        {"$match": own},
        {"$group": {"_id": "$certificates.scheme", "n": {"$sum": 1}}},
    ]
    return {doc["_id"]: doc["n"] async for doc in db["learners"].aggregate(stages)}


# one step from a certificate


@router.get("/issuing/nearly")
async def nearly_page(visit: ByInstitution, scheme: Short = "", after: Short = "") -> Response:
    """Who lacks one assessment of the next certificate by a scheme, and which."""
    schemes, service = await _own_schemes(visit), visit.service
    chosen = scheme or (schemes[0]["id"] if schemes else "")
    rule = await own_scheme(service, visit.member.caller, chosen) if chosen else None
    items, next_after = await _near(visit, rule, after) if rule else ([], None)
    return visit.show(
        FOLDER + "nearly.html",
        schemes=schemes,
        chosen=chosen,
        items=items,
        after=after,
        further="?" + urlencode({"scheme": chosen, "after": next_after}) if next_after else "",
        rule=rule,
    )


async def _near(visit: MemberVisit, rule: Scheme, after: str) -> tuple[list[Doc], str | None]:
    db = visit.service.db
    question = ("near", rule, after, today().isoformat())
    found = await visit.service.recent(question, lambda: near(db, rule, after, SHOWN))
    return shown(found.items, rule, visit.language), found.next_after


@router.get("/issuing/nearly.{format}")
async def nearly_as_file(visit: ByInstitution, format: Format, scheme: Short) -> Response:
    rule = await own_scheme(visit.service, visit.member.caller, scheme)
    return await nearly_file(visit.service, rule, format, visit.language)


# certificates that were given


@dataclass
class Filter:
    """What the address of the list says; what is not known there is passed over."""

    status: Short = ""
    competency: Short = ""
    scheme: Short = ""
    search: Short = ""

    def asked(self) -> Asked:
        return Asked(
            competency=self.competency or None,
            scheme=self.scheme or None,
            status=cast(Status, self.status) if self.status in STATUS else None,
            ending_within=SOON if self.status == "ending" else None,
            search=self.search,
        )


Filtered = Annotated[Filter, query(Filter)]


@router.get("/issuing/certificates")
async def certificates_page(
    visit: ByInstitution,
    wanted: Filtered,
    number: Annotated[int, Query(ge=1, le=100_000, alias="page")] = 1,
    done: Short = "",
    later: Short = "",
) -> Response:
    """The certificates that the institution gave, the newest first; of those that end soon what ends first."""
    _notice(visit, done, later)
    match = wanted.asked().match(visit.member.organisation)
    by = "valid_until" if wanted.status == "ending" else "certified_at"
    first = (number - 1) * SHOWN
    question = ("certificates", repr(match), by, number)
    total, items = await visit.service.recent(question, lambda: listed(visit.service.db, match, by, first, SHOWN))
    schemes = await _own_schemes(visit)
    visit.form.values = {name: [value] for name, value in asdict(wanted).items()}
    said = {value: visit.word(words) for value, words in STATUS.items()}
    filters = {name: value for name, value in asdict(wanted).items() if value}
    return visit.show(
        FOLDER + "certificates.html",
        items=[{**each, "name": visit.frameworks.name(each["competency"], visit.language)} for each in items],
        part=pager(number, SHOWN, total, **filters),
        is_filtered=bool(filters),
        statuses=[*said.items(), ("ending", Text("Ends within {n} days", {"n": SOON}).into(visit.language))],
        said=said,
        competencies=list({each["competency"]: each["name"] for each in schemes}.items()),
        scheme=wanted.scheme,
        files="?" + urlencode(filters) if filters else "",
    )


@router.get("/issuing/certificates.{format}")
async def certificates_as_file(visit: ByInstitution, format: Format, wanted: Filtered) -> Response:
    match = wanted.asked().match(visit.member.organisation)
    return await certificates_file(visit.service, match, format, visit.language)


@router.get("/issuing/certificates/{id}")
async def certificate_page(visit: ByInstitution, id: EntityId) -> Response:
    """A certificate of the institution, and the form by which it is revoked."""
    return await _show(visit, id)


async def _show(visit: MemberVisit, id: str, status: int = 200) -> Response:
    service = visit.service
    certificate = await find_certificate(service.db, id)
    if certificate["institution"] != visit.member.organisation:
        raise Problem(404, f"there is no certificate {id} of yours")
    learner = await find_learner(service.db, id)
    return visit.show(
        FOLDER + "revocation.html",
        status,
        certificate=await with_names(service, certificate),
        **LABELS,
        learner=learner["_id"],
        reason={"name": "reason", "label": visit.word(N_("Reason")), "required": True, "hint": visit.word(REASON)},
    )


REASON = N_("Everybody who looks the certificate up reads it: name no person.")


@router.post("/issuing/certificates/{id}")
async def revoke_certificate(visit: ByInstitution, id: EntityId) -> Response:
    """Revoke it for good, with a reason, once that is confirmed."""
    form, service, caller = visit.form, visit.service, visit.member.caller
    if not form.is_meant:
        return await _show(visit, id, 200 if form.is_draft else 403)
    try:
        body = Revocation(reason=form["reason"])
    except ValidationError:
        words = N_("takes up to 500 characters") if form["reason"] else N_("is empty, and it is needed")
        form.add_error("reason", visit.word(words))
        return await _show(visit, id, 422)
    if form["sure"] != "yes":
        form.add_error("sure", visit.word(N_("tick this, if it is meant")))
        return await _show(visit, id, 422)
    certificate = await find_certificate(service.db, id)
    if certificate["institution"] != caller.organisation:
        raise Problem(404, f"there is no certificate {id} of yours")
    event = await revocation(service, caller, id, body)
    (address,) = await service.publish(event) if event else (None,)
    is_applied = address is None or await service.applied_within(address, WAIT_S)
    return visit.go("/issuing/certificates?done=revoked" + ("" if is_applied else "&later=1"))
