"""Schemes over HTTP: published, listed, read, and who is one step from a certificate."""

from collections.abc import Iterable
from typing import Annotated, Literal

from fastapi import Header, Query
from fastapi.responses import JSONResponse, Response

from shared.contract.events import INSTITUTION, Data, Event, SchemePublished
from shared.http.auth import Caller
from shared.http.commands import Prefer, accept, event_by
from shared.http.lists import Pages, found
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Active, Authenticated, EntityId, Running, Service, require
from shared.http.spreadsheets import MOST_ROWS, TABLES, Sheet, one_file, table_file
from shared.http.visits import AnyVisit
from shared.pages.chosen import Chosen
from shared.pages.languages import LANGUAGES, N_, Language, Text
from shared.processing.ownership import misnamed

from . import catalogue as page
from .reads import (
    LOOKED_AT,
    Doc,
    Wanted,
    catalogue,
    find_scheme,
    fitting,
    given_at_least,
    near,
    scheme_of,
    with_institutions,
)
from .rules import Scheme, Step, versions
from .words import step_in_words

router = Router(tags=["schemes"])


@router.put("/schemes/{id}", status_code=202)
async def publish_scheme(
    service: Running, caller: Active, id: EntityId, body: SchemePublished, prefer: Prefer = None
) -> JSONResponse:
    """Publish the rule by which the calling institution certifies its learners, or replace it.

    Learners who meet it already are certified too; certificates given under an earlier version stay.
    """
    event = await publication(service, caller, id, body)
    if event is None:
        return JSONResponse(await found(service.db, "schemes", id))
    return await accept(service, event, prefer, lambda: found(service.db, "schemes", id))


async def publication(service: Service, caller: Caller, id: str, body: SchemePublished) -> Event[Data] | None:
    """The event by which a scheme is published; None: it is in force as it is.

    Raises:
        Problem: what speaks against it.
    """
    require(caller, *INSTITUTION)
    if not (await service.frameworks()).is_known(body.competency):
        words = Text("{competency} is not in its framework", {"competency": body.competency})
        raise Problem(422, "the request does not fit", [("competency", words)])
    asked = [each.method for each in body.by_method or ()]
    if other := {*asked} - {*body.methods}:
        raise Problem(422, "the request does not fit", [("by_method", f"{min(other)} is not among the methods")])
    if len(asked) > len({*asked}):
        raise Problem(422, "the request does not fit", [("by_method", "names a method twice")])
    await service.current("scheme", id)
    known = await service.db["schemes"].find_one({"_id": id})
    if known is not None and known["institution"] != caller.organisation:
        raise Problem(403, Text("the scheme {id} belongs to {owner}", {"id": id, "owner": known["institution"]}))
    if known is None and not service.settings.free_ids and misnamed(id, caller.organisation):
        words = Text("must begin with your own id: {own}:{id}", {"own": caller.organisation, "id": id})
        raise Problem(422, words, [("id", words)])
    wanted = {**body.model_dump(mode="json"), "institution": caller.organisation}
    if known is not None and all(known.get(field) == value for field, value in wanted.items()):
        return None
    return event_by(caller, body, id)


_PAGE: dict[int | str, Doc] = {200: {"content": {"text/html": {"schema": {"type": "string"}}}}}
Text100 = Annotated[str | None, Query(max_length=100)]
Accept = Annotated[str, Header()]


@router.get("/schemes", response_model=None, responses=_PAGE)
async def list_schemes(  # noqa: PLR0913, PLR0917
    visit: AnyVisit,
    paging: Pages,
    q: Annotated[str, Query(max_length=100, description="Words of the competency or the institution")] = "",
    competency: Text100 = None,
    institution: Text100 = None,
    region: Annotated[str | None, Query(max_length=100, description="That of the institution")] = None,
    accept: Accept = "",
    number: Annotated[int, Query(ge=1, le=100_000, alias="page", include_in_schema=False)] = 1,
) -> Response:
    """What can be certified where: all schemes, by id, with their institution's name and region."""
    wanted = Wanted(q.strip(), competency or "", institution or "", region or "")
    schemes = await catalogue(visit.service)
    if "text/html" in accept:
        return page.show_list(visit, schemes, wanted, number)
    items = [each for each in fitting(schemes, wanted, visit.frameworks) if each["id"] > (paging.after or "")]
    part = [_named(each, visit) for each in items[: paging.limit]]
    next_after = part[-1]["id"] if len(items) > paging.limit else None
    return JSONResponse({"items": part, "next": next_after}, headers={"Vary": "Accept"})


def _named(scheme: Doc, visit: AnyVisit) -> Doc:
    names = {language: visit.frameworks.name(scheme["competency"], language) for language in LANGUAGES}
    return {**scheme, "competency_name": names}


@router.get("/schemes/{id}", response_model=None, responses=_PAGE)
async def read_scheme(visit: AnyVisit, id: EntityId, accept: Accept = "") -> Response:
    """One scheme, with its versions, the newest first (of each day the last), and how many certificates it gave.

    `given_at_least` is 5, 10, 20, 50 and so on; null: fewer than five.
    """
    db = visit.service.db
    doc = await find_scheme(db, id)
    (scheme,) = await with_institutions(db, [doc])
    more = {"versions": versions(doc["state"]), "given_at_least": await given_at_least(db, id)}
    whole = _named(scheme, visit) | more
    if "text/html" in accept:
        return page.show_one(visit, whole)
    return JSONResponse(whole, headers={"Vary": "Accept"})


# who is one step from a certificate

HEADINGS = {
    "learner": N_("Learner"),
    "lacking": N_("What is lacking"),
    "method": N_("Method"),
    "least_score": N_("Least score"),
    "by_enterprise": N_("By an enterprise"),
    "renews": N_("Renews the certificate that ends on"),
}


@router.get("/schemes/{id}/nearly", response_model=None, responses={200: {"content": TABLES}})
async def list_nearly(  # noqa: PLR0913, PLR0917
    service: Running,
    caller: Authenticated,
    id: EntityId,
    language: Chosen,
    after: Annotated[str, Query(max_length=100, description="`next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    format: Literal["json", "csv", "xlsx"] = "json",
) -> Response:
    """Learners who lack exactly one assessment of the next certificate by a scheme, by id, and which.

    For the scheme's institution. Who has never been assessed in the competency is not among them; who failed in the
    last assessment is. `method` null: any of the scheme's. `renews`: the last day of the certificate that would be
    renewed. CSV and XLSX have all of them.
    """
    scheme = await own_scheme(service, caller, id)
    if format != "json":
        return await nearly_file(service, scheme, format, language)
    part = await near(service.db, scheme, after, limit)
    return JSONResponse({"items": shown(part.items, scheme, language), "next": part.next_after})


async def own_scheme(service: Service, caller: Caller, id: str) -> Scheme:
    """A scheme, for its institution and the operator.

    Raises:
        Problem: there is none, or it is another's.
    """
    scheme = scheme_of(await find_scheme(service.db, id))
    if not caller.is_operator and caller.organisation != scheme.institution:
        raise Problem(403, f"the scheme {id} belongs to {scheme.institution}")
    return scheme


def shown(items: Iterable[tuple[str, Step]], scheme: Scheme, language: Language) -> list[Doc]:
    """Learners with what they lack, for programs and in words."""
    return [
        {
            "learner": learner,
            "lacking": step_in_words(step, scheme, language),
            "method": step.lack.method,
            "least_score": scheme.score(step.lack.method) if step.lack.method else None,
            "by_enterprise": step.by_enterprise,
            "renews": step.renews,
        }
        for learner, step in items
    ]


async def nearly_file(service: Service, scheme: Scheme, format: str, language: Language) -> Response:
    """All of them as a file; how many there may be, `MOST_ROWS` says."""
    async with one_file(service):
        items, after = list[tuple[str, Step]](), ""
        while len(items) <= MOST_ROWS:
            part = await near(service.db, scheme, after, LOOKED_AT)
            items += part.items
            if part.next_after is None:
                break
            after = part.next_after
        sheet = Sheet(N_("One step from a certificate"), HEADINGS, shown(items, scheme, language))
        return await table_file("nearly", format, language, sheet)
