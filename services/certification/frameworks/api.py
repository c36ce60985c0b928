"""Competency frameworks: what there is, for programs and for people, and how the operator imports them."""

import asyncio
import io
from collections import Counter
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import Depends, Header, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model

from shared.contract.events import OPERATOR, CompetencyId, FrameworkItemDefined, FrameworkPublished, wording_of
from shared.files import sheets
from shared.files.tables import XLSX, Table, Unreadable, table, table_of_sheet
from shared.http.auth import Role
from shared.http.commands import Prefer, accept
from shared.http.forms import Form, Upload
from shared.http.lists import Pages, Paging
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Authenticated, EntityId, Running, Service, require
from shared.http.visits import AnyVisit, MemberVisit, SignedInOffline, demand_role
from shared.pages.languages import LANGUAGES, N_, Text, in_language
from shared.pages.paging import pager
from shared.processing.frameworks import Framework, Frameworks, Item, said

from .files import AT_ONCE, KEPT, RESERVED, Items, Unfit, about_of, misnamed
from .importing import Outcome, define, publish

router = Router(tags=["frameworks"])
SHOWN = 50  # items on a page
MOST_AREAS = 100  # to be chosen from
Doc = dict[str, Any]


# what there is


def summary(framework: Framework) -> Doc:
    """A framework without its items."""
    now = framework.in_force
    return {
        "id": framework.id,
        "name": now["name"],
        "source": now.get("origin"),
        "licence": now.get("licence"),
        "version": now["version"],
        "published_at": now["published_at"] or None,
        "closed": bool(now.get("closed")),
        "items": now["items"],
        "sustainability": sum(item.since is not None for item in framework.current),
        "versions": [
            {"version": one["version"], "published_at": one["published_at"] or None} for one in framework.versions
        ],
    }


def shown(item: Item) -> Doc:
    return {
        "id": item.id,
        "name": item.name,
        "area": item.area,
        "broader": item.broader,
        "uri": item.uri,
        "version": item.version,
        "in_force": item.is_in_force,
        "sustainability": item.since is not None,
        "since": item.since or None,
    }


class Wanted(NamedTuple):
    """Which items are asked for: by words of the name or the id, what they are a part of, and whether they count."""

    q: str = ""
    area: str = ""
    broader: str = ""
    sustainability: bool = False
    former: bool = False


Text100 = Annotated[str, Query(max_length=100)]


async def _wanted(
    q: Annotated[str, Query(max_length=100, description="Words of the name, or the id")] = "",
    area: Text100 = "",
    broader: Annotated[str, Query(max_length=100, description="The id of what they are a part of")] = "",
    sustainability: Annotated[bool, Query(description="Only what counts as sustainability")] = False,
    former: Annotated[bool, Query(description="Also what the version in force does not have any more")] = False,
) -> Wanted:
    return Wanted(q, area, broader, sustainability, former)


Asked = Annotated[Wanted, Depends(_wanted)]


def found(framework: Framework, wanted: Wanted) -> list[Item]:
    """The items that are asked for, by name."""
    words = wanted.q.casefold().split()

    def fits(item: Item) -> bool:
        return (
            (item.is_in_force or wanted.former)
            and (item.since is not None or not wanted.sustainability)
            and (not wanted.area or wanted.area in item.area.values())
            and (not wanted.broader or wanted.broader in item.broader)
            and item.has(words)
        )

    return [item for item in framework.items.values() if fits(item)]


def _framework(frameworks: Frameworks, id: str) -> Framework:
    if id not in frameworks.all:
        raise Problem(404, Text("there is no framework {id}", {"id": id}))
    return frameworks.all[id]


_PAGE: dict[int | str, Doc] = {200: {"content": {"text/html": {"schema": {"type": "string"}}}}}
Accept = Annotated[str, Header()]


@router.get("/frameworks", response_model=None, responses=_PAGE)
async def list_frameworks(visit: AnyVisit, accept: Accept = "") -> Response:
    """The competency frameworks: those that are built in, and the versions in force of those that were imported."""
    frameworks = [summary(each) for each in visit.frameworks.all.values()]
    if "text/html" not in accept:
        return JSONResponse({"items": frameworks, "next": None}, headers={"Vary": "Accept"})
    return visit.show("services/certification/frameworks/frameworks.html", frameworks=frameworks, said=said)


# Pages of the import, before the framework that the next address names.


async def _by_operator(visit: SignedInOffline) -> MemberVisit:
    demand_role(visit, (Role.operator,))
    return visit


ByOperator = Annotated[MemberVisit, Depends(_by_operator)]


@router.get(f"/frameworks/{RESERVED}", include_in_schema=False, response_class=HTMLResponse)
async def import_page(visit: ByOperator) -> Response:
    """The form."""
    return _show_import(visit)


@router.post(f"/frameworks/{RESERVED}", include_in_schema=False, response_class=HTMLResponse)
async def import_file(visit: ByOperator) -> Response:
    """Import a file at once and show what became of it; what is wrong with the form stands beside its fields."""
    form = visit.form
    if not form.is_meant:
        return _show_import(visit, 200 if form.is_draft else 403)
    done = await _imported(visit, form.file or Upload("", b""))
    return _show_import(visit, 422 if form.errors else 200, done)


def _show_import(visit: MemberVisit, status: int = 200, done: Doc | None = None) -> Response:
    settings = visit.service.settings
    return visit.show(
        "services/certification/frameworks/import.html",
        status,
        done=done,
        most_mb=settings.batch_max_bytes // 2**20,
        most_rows=settings.upload_max_rows,
    )


async def _imported(visit: MemberVisit, file: Upload) -> Doc | None:
    """Define what the file has and put it in force; None: something is wrong, which then stands on the form."""
    form, items = visit.form, Items(visit.form["framework"])
    if not file.content:
        form.add_error("file", visit.word(N_("choose a file with something in it")))
    empty = N_("is empty, and it is needed")
    for name, why in misnamed(form["framework"], form["version"]).items():
        form.add_error(name, in_language(why, visit.language) if form[name] else visit.word(empty))
    if form.errors:
        return None
    try:
        items.take(await _table(visit.service, file), file.name[-100:], visit.language)
    except Unreadable as error:
        form.add_error("file", error.why.text(visit.language))
        return None
    except Unfit as error:
        form.add_error("file", f"{error.column}: {in_language(error.why, visit.language)}")
        return None
    items.demand_broader()
    refused = [(one.row, one.column, in_language(one.why, visit.language)) for one in items.refused]
    done: Doc = {"read": items.read, "refused": items.number_refused, "rows": refused, "is_shown": False}
    if items.number_refused or not items.of:
        return {**done, "counts": Counter()}
    try:
        return {**done, **await _put_in_force(visit, items)}
    except Problem as problem:
        visit.refuse(problem, ("version", "name_en"), "framework")
        return None


async def _put_in_force(visit: MemberVisit, items: Items) -> Doc:
    """Define the items and publish the version.

    Raises:
        Problem: something is wrong with it.
    """
    service, caller, form = visit.service, visit.member.caller, visit.form
    outcome = await defined(
        service, caller, items.framework, form["version"], [{"id": id, **of} for id, of in items.of.items()]
    )
    if outcome.refused:
        ids = [*items.of]
        rows = [
            (items.places[ids[one["item"]]][1], error["field"], in_language(error["detail"], visit.language))
            for one in outcome.refused[:KEPT]
            for error in one["errors"]
        ]
        return {"counts": outcome.counts, "refused": len(outcome.refused), "rows": rows}
    before = (await service.frameworks(0)).imported.get(items.framework)
    data = _described(form, items, summary(before) if before else None)
    event = await publish(service, caller, items.framework, data)
    (address,) = await service.publish(event) if event else (None,)
    is_shown = address is None or await service.applied_within(address, 10)
    visit.form = Form()
    return {"counts": outcome.counts, "framework": items.framework, "is_shown": is_shown}


def _described(form: Form, items: Items, before: Doc | None) -> FrameworkPublished:
    names = {language: form[f"name_{language}"] for language in LANGUAGES if form[f"name_{language}"]}
    given = {name: form[name] for name in ("origin", "licence")} | {"name": names}
    ticked = {name: True for name in ("sustainability", "closed") if form[name]}
    return body_of(about_of(items, form["version"], before, given) | ticked)


def body_of(said: Doc) -> FrameworkPublished:
    """The publication that somebody describes.

    Raises:
        Problem: it does not fit.
    """
    try:
        return FrameworkPublished.model_validate(said)
    except ValidationError as error:
        wrong = [(".".join(map(str, one["loc"])), wording_of(one)) for one in error.errors(include_url=False)]
        raise Problem(422, Text("the request does not fit"), wrong) from None


async def defined(service: Service, caller: Any, framework: str, version: str, items: list[Doc]) -> Outcome:
    """Define items, so many at once; the first refusal ends it."""
    total = Outcome()
    for start in range(0, len(items), AT_ONCE):
        outcome = await define(service, caller, framework, version, items[start : start + AT_ONCE])
        total.counts += outcome.counts
        total.refused += [{**one, "item": start + one["item"]} for one in outcome.refused]
        if total.refused:
            break
    return total


async def _table(service: Service, file: Upload) -> Table:
    """The file's table; that of a spreadsheet is unpacked in a process of its own."""
    most = service.settings.upload_max_rows
    if file.content.startswith(XLSX):
        return table_of_sheet(await sheets.rows_of(file.content, service.settings), most)
    return await asyncio.to_thread(table, io.BytesIO(file.content), rows=most)


@router.get("/frameworks/{id}", response_model=None, responses=_PAGE)
async def read_framework(  # noqa: PLR0913, PLR0917
    visit: AnyVisit,
    id: EntityId,
    asked: Asked,
    paging: Pages,
    accept: Accept = "",
    number: Annotated[int, Query(ge=1, le=100_000, alias="page", include_in_schema=False)] = 1,
) -> Response:
    """A framework with its competencies, by name. `since` says from when on an item counts as sustainability.

    Events that were accepted before that do not count: each carries what counted then (`sustainable`).
    """
    framework = _framework(visit.frameworks, id)
    items = found(framework, asked)
    if "text/html" in accept:
        return _show(visit, framework, asked, items, number)
    part, following = _part(items, paging)
    answer = {**summary(framework), "total": len(items), "competencies": [*map(shown, part)], "next": following}
    return JSONResponse(answer, headers={"Vary": "Accept"})


def _part(items: list[Item], paging: Paging) -> tuple[list[Item], str | None]:
    """A part of a list, and the id to go on after."""
    start = next((place for place, item in enumerate(items, 1) if item.id == paging.after), 0) if paging.after else 0
    if paging.after and not start:
        raise Problem(422, "this is no place in the list", [("after", "as `next` of the page before")])
    part = items[start : start + paging.limit]
    return part, part[-1].id if start + len(part) < len(items) else None


def _show(visit: AnyVisit, framework: Framework, asked: Wanted, items: list[Item], number: int) -> Response:
    filters = {name: "1" if value is True else str(value or "") for name, value in asked._asdict().items()}
    part = pager(number, SHOWN, len(items), **filters)
    current = framework.current
    narrower = Counter(parent for item in current for parent in item.broader)
    areas = sorted({area for item in current if (area := said(item.area, visit.language))})
    visit.form.values = {name: [value] for name, value in filters.items()}
    return visit.show(
        "services/certification/frameworks/framework.html",
        framework=summary(framework),
        items=part.of(items),
        part=part,
        asked=asked,
        areas=[(area, area) for area in areas] if 1 < len(areas) <= MOST_AREAS else [],
        narrower=narrower,
        said=said,
        named={
            id: visit.frameworks.name(id, visit.language)
            for id in {*narrower, asked.broader} - {""}
            if id in framework.items
        },
        address=lambda **changed: "?" + urlencode({n: v for n, v in {**filters, **changed}.items() if v}),
    )


# how it is imported

_FIELDS = {name: (field.annotation, field) for name, field in FrameworkItemDefined.model_fields.items()}
_FIELDS = {name: field for name, field in _FIELDS.items() if name not in ("framework", "version")}
FrameworkItem: type[BaseModel] = create_model(  # type: ignore[call-overload]
    "FrameworkItem", __config__=ConfigDict(extra="forbid"), id=(CompetencyId, ...), **_FIELDS
)


_LIST: TypeAdapter[list[Doc]] = TypeAdapter(list[dict[str, Any]])
_TAKES = {
    "type": "array",
    "maxItems": AT_ONCE,
    "items": FrameworkItem.model_json_schema(ref_template="#/components/schemas/{model}"),
}


@router.post(
    f"/frameworks/{RESERVED}/{{id}}/{{version}}",
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _TAKES}}}},
)
async def define_items(
    service: Running, caller: Authenticated, id: EntityId, version: EntityId, request: Request
) -> Doc:
    """Define up to 1,000 items of a version, which is not in force yet: what is known as it is, is not said again.

    Of a version that is in force how its items are called may be mended. By the operator.
    """
    require(caller, *OPERATOR)
    try:
        items = _LIST.validate_json(await request.body())
    except ValidationError as error:
        wrong = wording_of(error.errors(include_url=False)[0])
        raise Problem(422, "the request does not fit", [("body", wrong)]) from None
    if len(items) > AT_ONCE:
        raise Problem(413, "these are too many", [("body", f"at most {AT_ONCE} items")])
    return (await define(service, caller, id, version, items)).shown()


@router.put("/frameworks/{id}", status_code=202)
async def publish_framework(
    service: Running, caller: Authenticated, id: EntityId, body: FrameworkPublished, prefer: Prefer = None
) -> JSONResponse:
    """Put a version in force, of which all `items` were defined before. By the operator.

    Its sustainability competencies count in what is accepted from then on. 200 if it is in force already.
    """
    require(caller, *OPERATOR)
    event = await publish(service, caller, id, body)
    if event is None:
        return JSONResponse(await _read(service, id))
    return await accept(service, event, prefer, lambda: _read(service, id))


async def _read(service: Service, id: str) -> Doc:
    return summary(_framework(await service.frameworks(0), id))
