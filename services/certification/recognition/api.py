"""Recognition over HTTP and on pages: who recognises what, and how many graduates an enterprise's recognitions meet."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import Header, Query
from fastapi.responses import JSONResponse, Response

from services.certification.credentials import issuing
from services.certification.validity import today
from shared.contract.events import HOSTS
from shared.http.auth import Role
from shared.http.lists import Pages
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Authenticated, Running, Service
from shared.http.spreadsheets import MOST_ROWS, TABLES, Sheet, one_file, table_file
from shared.http.visits import AnyVisit, SignedInOffline, demand_active, demand_role
from shared.pages.languages import LANGUAGES, N_, Language, Text
from shared.pages.paging import pager
from shared.processing import mongo
from shared.processing.frameworks import Frameworks
from shared.statistics import smallest

from . import reads
from .reads import Recognition

router = Router(tags=["recognition"])
SHOWN = 50  # recognitions on a page
HEADINGS = {
    "competency": N_("Competency"),
    "competency_name": N_("Name"),
    "enterprise": N_("Recognised by"),
    "enterprise_name": N_("Name of who recognises"),
    "since": N_("Since"),
}
Words = Annotated[str, Query(max_length=100, description="Words of a competency's or an enterprise's name, or an id.")]
Doc = dict[str, Any]


# who recognises what


@router.get(
    "/recognitions",
    response_model=None,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}, **TABLES}}},
)
async def list_recognitions(  # noqa: PLR0913, PLR0917
    visit: AnyVisit,
    paging: Pages,
    competency: Annotated[str | None, Query(max_length=100)] = None,
    enterprise: Annotated[str | None, Query(max_length=100)] = None,
    q: Words = "",
    number: Annotated[int, Query(ge=1, le=100_000, alias="page", description="Of the page for people.")] = 1,
    format: Literal["json", "csv", "xlsx"] = "json",
    accept: Annotated[str, Header()] = "",
) -> Response:
    """Who recognises which competency since when: a page for browsers, JSON for programs.

    A recognition that was withdrawn is not there, nor that of an enterprise that is suspended. `since` may be to come.
    What is recognised of single certificates, these say themselves. CSV and XLSX have all of the filter.
    """
    service, known = visit.service, visit.frameworks
    wanted = {"competency": competency or None, "enterprise": enterprise or None}
    match = {name: value for name, value in wanted.items() if value is not None}
    all_of_it = await reads.recognitions(service, **match)
    words = q.casefold().split()
    those = [each for each in all_of_it if each.certificate is None and _has(each, known, words)]
    if format != "json":
        return await _file(service, those, known, visit.language, format)
    if "text/html" in accept:
        filters = {"competency": competency or "", "enterprise": enterprise or "", "q": q}
        part = pager(number, SHOWN, len(those), **filters)
        return visit.show(
            "services/certification/recognition/recognitions.html",
            recognitions=those[max(part.first - 1, 0) : part.last],
            named=known.name,
            part=part,
            asked=filters,
            public=service.settings.public("certification"),
        )
    begin = next((n for n, each in enumerate(those) if each.id > paging.after), len(those)) if paging.after else 0
    items = those[begin : begin + paging.limit]
    after = items[-1].id if len(those) > begin + paging.limit else None
    return JSONResponse({"items": [_shown(each, known) for each in items], "next": after}, headers={"Vary": "Accept"})


def _has(one: Recognition, known: Frameworks, words: Sequence[str]) -> bool:
    names = [known.name(one.competency, language) for language in LANGUAGES] if words else ()
    text = " ".join((one.competency, one.enterprise, one.name, *names)).casefold()
    return all(word in text for word in words)


def _shown(one: Recognition, known: Frameworks) -> Doc:
    return {
        "id": one.id,
        "competency": one.competency,
        "competency_name": {language: known.name(one.competency, language) for language in LANGUAGES},
        "enterprise": one.enterprise,
        "enterprise_name": one.name,
        "since": one.since,
    }


async def _file(
    service: Service, those: list[Recognition], known: Frameworks, language: Language, format: str
) -> Response:
    async with one_file(service):
        rows = []
        for shown in (_shown(each, known) for each in those[: MOST_ROWS + 1]):
            name = known.name(shown["competency"], language)
            rows.append({column: shown[column] for column in HEADINGS} | {"competency_name": name})
        return await table_file("recognitions", format, language, Sheet(N_("Recognition"), HEADINGS, rows))


# how many graduates an enterprise's recognitions are about


@router.get("/recognitions/graduates")
async def count_graduates(service: Running, caller: Authenticated) -> Doc:
    """Of each competency that the calling enterprise recognises: how many graduates have a valid certificate in it.

    Numbers, never people. Null is hidden: a group under five, and the next smallest, so that it does not follow from
    the sum. A graduate with certificates of two institutions counts at both.
    """
    counted = await graduates_of(service, caller.organisation)
    return {"items": counted, "next": None}


async def graduates_of(service: Service, enterprise: str) -> list[Doc]:
    """The competencies that an enterprise recognises, each with its graduates by institution.

    Raises:
        Problem: an earlier version made the database, in which graduations are not kept.
    """
    if await mongo.generation(service.db) < service.core.generation:
        raise Problem(503, Text("graduates are counted once the operator has rebuilt the service certification"))
    own = await reads.recognitions(service, enterprise=enterprise)
    competencies = tuple(each.competency for each in own if each.certificate is None and each.has_begun)
    question = ("graduates", today(), *competencies)
    counts = await service.recent(question, lambda: reads.graduates(service, competencies))
    names = await issuing.names(service.db, {institution for some in counts.values() for institution in some})
    known, least = await service.frameworks(), service.settings.suppress_below
    return [
        {
            "competency": competency,
            "competency_name": {language: known.name(competency, language) for language in LANGUAGES},
            **_counted(counts.get(competency, {}), names, least),
        }
        for competency in competencies
    ]


def _counted(graduates: dict[str, int], names: dict[str, str], least: int) -> Doc:
    """Sum and groups as they are shown."""
    hidden, together = smallest(graduates, least), sum(graduates.values())
    return {
        "graduates": None if 0 < together < least else together,
        "institutions": [
            {"institution": id, "name": names[id], "graduates": None if id in hidden else graduates[id]}
            for id in sorted(graduates)
        ],
    }


@router.get("/recognitions/mine", include_in_schema=False)
async def graduates_page(visit: SignedInOffline) -> Response:
    """The same for the enterprise's people."""
    demand_role(visit, (Role.admin, Role.staff, Role.mentor))
    if visit.member.caller.kind not in HOSTS:
        raise Problem(403, f"only {', '.join(HOSTS)} may do this; you are {visit.member.caller.kind}")
    await demand_active(visit)
    items = await graduates_of(visit.service, visit.member.organisation)
    return visit.show(
        "services/certification/recognition/graduates.html", items=items, least=visit.service.settings.suppress_below
    )
