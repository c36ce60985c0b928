"""The labour market over HTTP: demand by competency and region, skills and what they are mapped to, vacancies."""

from datetime import date
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import Path, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from shared.contract.events import OPERATOR, CompetencyId, Data, Event, Skill, SkillMapped
from shared.contract.skills import normalised, skill_id
from shared.http.auth import Caller
from shared.http.commands import Prefer, accept, event_by
from shared.http.lists import Pages, found, listed
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Authenticated, Running, Service, require
from shared.pages.languages import Text
from shared.processing.frameworks import Frameworks

from . import market_reads as reads
from .imports import KNOWN
from .market import Coverage, Market
from .market import Skill as OpenSkill
from .requests import today
from .suggestions import suggest

router = Router(tags=["market"])
SkillId = Annotated[str, Path(pattern=r"^skill:[0-9a-f]{24}$")]
Status = Literal["unmapped", "mapped", "none"]
LOOKED_UP = 250  # vacancies by id, at once
NO_REGION = "-"  # in addresses, for vacancies of which the network knows no region; no id is this


class SkillMapping(BaseModel):
    """Which competency a skill is; null: none of the network's."""

    model_config = ConfigDict(extra="forbid")

    skill: Skill
    competency: CompetencyId | None = Field(description="null: none of the network's competencies.")


class Row(NamedTuple):
    """Demand of a competency in a region: distinct open vacancies, and places that reports name."""

    competency: str
    region: str | None
    vacancies: int
    places: int
    coverage: Coverage


def rows(market: Market, places: dict[tuple[str, str | None], int]) -> list[Row]:
    """Most demanded first; where reports alone speak of a demand, vacancies are 0."""
    found = [
        Row(*of, market.demanded[of], places.get(of, 0), market.coverage.get(of[1], Coverage()))
        for of in {*market.demanded, *(of for of, count in places.items() if count)}
    ]
    return sorted(found, key=lambda row: (-row.vacancies, -row.places, row.competency, row.region or ""))


async def demand_rows(
    service: Service, competency: str | None, region: str | None, on: date | None
) -> tuple[list[Row], Coverage, reads.Applied]:
    """The rows for a competency and a region (`NO_REGION`: none is known; None: all), their regions' coverage, all."""
    applied = await reads.market_of(service, on.isoformat() if on else None)
    wanted = None if region == NO_REGION else region
    shown = rows(applied.market, await reads.places(service.db, (on or today()).isoformat()))
    shown = [row for row in shown if competency in (None, row.competency) and (not region or row.region == wanted)]
    return shown, applied.market.total([wanted] if region else None), applied


@router.get("/market/demand")
async def market_demand(
    service: Running,
    competency: Annotated[str | None, Query(max_length=100)] = None,
    region: Annotated[str | None, Query(max_length=100, description="- for those of which none is known")] = None,
    on: Annotated[date | None, Query(description="A day; else now")] = None,
) -> dict[str, Any]:
    """Demand per competency and region: distinct open vacancies whose skills are mapped to it, and places in reports.

    A vacancy with several skills of one competency counts once. `coverage` says how much of the region's vacancies the
    figure could be made from: the rest have no skills, or skills that nobody has mapped yet. On a day in the past
    vacancies count by what is known of them now.
    """
    shown, covered, applied = await demand_rows(service, competency, region, on)
    return {
        "items": [{**row._asdict(), "coverage": row.coverage.shown()} for row in shown],
        "coverage": covered.shown(),
        "sources": {portal: vars(source) for portal, source in sorted(applied.market.sources.items())},
        "as_of": applied.as_of,
        "next": None,
    }


class Listed(NamedTuple):
    """Skills, with what somebody has decided about each (empty: nothing yet)."""

    skills: list[OpenSkill]
    decided: dict[str, dict[str, Any]]


async def skills_by(service: Service, status: Status, search: str) -> Listed:
    """The skills of open vacancies with a status, most frequent first; *search* is in their spelling."""
    applied, wanted = await reads.market_of(service), normalised(search)
    mapping = applied.market.mapping

    def fits(one: OpenSkill) -> bool:
        now = "unmapped" if one.id not in mapping else "none" if mapping[one.id] is None else "mapped"
        return now == status and (not wanted or wanted in normalised(one.skill))

    shown = [one for one in applied.market.skills if fits(one)]
    docs = service.db["skills"].find({"status": status}, {"state": 0, "partition": 0}) if status != "unmapped" else None
    return Listed(shown, {doc["_id"]: doc async for doc in docs} if docs else {})


@router.get("/market/skills")
async def market_skills(
    service: Running,
    caller: Authenticated,
    paging: Pages,
    status: Status = "unmapped",
    q: Annotated[str, Query(max_length=100, description="Part of the skill")] = "",
) -> dict[str, Any]:
    """The skills of open vacancies, most frequent first, with what they are mapped to or suggestions of it."""
    shown, decided = await skills_by(service, status, q)
    start = _behind(shown, paging.after)
    part = shown[start : start + paging.limit]
    known = await reads.known(service)
    items = [{**one._asdict(), "status": status, **_decision(decided.get(one.id, {}))} for one in part]
    if status == "unmapped":
        for item in items:
            item["suggestions"] = [one._asdict() for one in suggest(item["skill"], known.labels)]
    more = start + len(part) < len(shown)
    return {"items": items, "total": len(shown), "next": f"{part[-1].vacancies}/{part[-1].id}" if more else None}


def _behind(shown: list[OpenSkill], after: str | None) -> int:
    """Where the list goes on after a place in it, whether or not the skill of that place is still there."""
    if after is None:
        return 0
    count, _, id = after.partition("/")
    if not count.isdecimal() or len(count) > 9:
        raise Problem(422, "this is no place in the list", [("after", "as `next` of the page before")])
    return sum((-one.vacancies, one.id) <= (-int(count), id) for one in shown)


def _decision(doc: dict[str, Any]) -> dict[str, Any]:
    return {name: doc[name] for name in ("competency", "decided_by", "decided_at") if name in doc}


@router.put("/market/skills/{id}", status_code=202)
async def map_skill(
    service: Running, caller: Authenticated, id: SkillId, body: SkillMapping, prefer: Prefer = None
) -> JSONResponse:
    """Say which competency a skill is, or that it is none of the network's; the newest word counts. By the operator."""
    require(caller, *OPERATOR)
    if wrong := misfit(id, body, await service.frameworks()):
        raise Problem(422, wrong[1], [wrong])
    await service.current("demand", id)
    known = await service.db["skills"].find_one({"_id": id})
    if known and "status" in known and known["competency"] == body.competency:
        return JSONResponse(await found(service.db, "skills", id))
    return await accept(service, mapped_by(caller, body), prefer, lambda: found(service.db, "skills", id))


def misfit(id: str, body: SkillMapping, frameworks: Frameworks) -> tuple[str, Text] | None:
    """What is wrong with a mapping: the field, and what."""
    if id != skill_id(body.skill):
        return "skill", Text("is another skill than {id}", {"id": id})
    if body.competency and not frameworks.is_known(body.competency):
        return "competency", Text("{competency} is not in its framework", {"competency": body.competency})
    return None


def mapped_by(caller: Caller, body: SkillMapping) -> Event[Data]:
    """The decision of whoever acts for the operator."""
    data = SkillMapped(skill=body.skill, competency=body.competency, decided_by=caller.member or None)
    return event_by(caller, data, skill_id(body.skill))


@router.get("/market/vacancies")
async def market_vacancies(  # noqa: PLR0913, PLR0917
    service: Running,
    caller: Authenticated,
    paging: Pages,
    portal: Annotated[str | None, Query(max_length=100)] = None,
    region: Annotated[str | None, Query(max_length=100)] = None,
    competency: Annotated[str | None, Query(max_length=100, description="Open ones that demand it")] = None,
    open: bool | None = None,
) -> dict[str, Any]:
    """Vacancies by id: the figures' evidence."""
    match: dict[str, Any] = {"portal": portal, "open": open}
    match["region"] = {"$in": [None]} if region == NO_REGION else region
    if competency is not None:
        mapping = await reads.mapping(service.db)
        match["demands"] = {"$in": [skill for skill, of in mapping.items() if of == competency]}
    return await listed(service.db, "vacancies", match, paging)


@router.get("/market/areas")
async def market_areas(
    service: Running, caller: Authenticated, portal: Annotated[str, Query(max_length=100)]
) -> dict[str, Any]:
    """The region that each area of a portal's vacancies was given last, which an import takes if none is given."""
    found = await reads.regions_of_areas(service.db, portal)
    return {"items": [{"area": area, "region": region} for area, region in sorted(found.items())], "next": None}


@router.get("/market/observations")
async def market_observations(  # noqa: PLR0913, PLR0917
    service: Running,
    caller: Authenticated,
    paging: Pages,
    portal: Annotated[str | None, Query(max_length=100)] = None,
    open: bool | None = None,
    ids: Annotated[str | None, Query(max_length=30_000, description=f"Up to {LOOKED_UP} ids, by comma")] = None,
) -> dict[str, Any]:
    """What an import needs of vacancies, by id: a digest of what was observed last, and when; open, or closed when."""
    match: dict[str, Any] = {"portal": portal, "open": open}
    match = {name: value for name, value in match.items() if value is not None}
    if ids is not None:
        match["$and"] = [{"_id": {"$in": _ids(ids.split(","))}}]
    if paging.after is not None:
        match["_id"] = {"$gt": paging.after}
    docs = await service.db["vacancies"].find(match, KNOWN).sort("_id").limit(paging.limit + 1).to_list(None)
    items = [{"id": doc.pop("_id"), **doc} for doc in docs[: paging.limit]]
    return {"items": items, "next": items[-1]["id"] if len(docs) > paging.limit else None}


def _ids(given: list[str]) -> list[str]:
    wanted = [id for id in given if id]
    if len(wanted) > LOOKED_UP:
        raise Problem(422, "these are too many", [("ids", f"at most {LOOKED_UP}")])
    return wanted
