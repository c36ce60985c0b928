"""Pages of the labour market: demand for everybody, and the operator's table of skills."""

import time
from datetime import date
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import Depends, Query
from fastapi.responses import HTMLResponse, Response
from pydantic import TypeAdapter, ValidationError

from services.feedback import market_reads as reads
from services.feedback.market import Skill as OpenSkill
from services.feedback.market_api import NO_REGION, SkillMapping, Status, demand_rows, mapped_by, misfit, skills_by
from services.feedback.requests import today
from services.feedback.suggestions import Suggestion, suggest
from shared.contract.events import CompetencyId, Data, Event, Skill
from shared.http.auth import Role
from shared.http.routing import Router
from shared.http.visits import AnyVisit, MemberVisit, SignedInOffline, demand_role
from shared.pages.languages import N_
from shared.pages.paging import pager

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
SHOWN_ROWS = 50
SHOWN_SKILLS = 15
WAIT_S = 10
LATER, NONE, OTHER = "", "none", "other"  # what may be chosen of a skill besides a competency
_SKILL: TypeAdapter[str] = TypeAdapter(Skill)
_COMPETENCY: TypeAdapter[str] = TypeAdapter(CompetencyId)

Number = Annotated[int, Query(ge=1, le=100_000, alias="page")]
Text100 = Annotated[str, Query(max_length=100)]


@router.get("/market")
async def market_page(
    visit: AnyVisit, competency: Text100 = "", region: Text100 = "", on: Text100 = "", number: Number = 1
) -> Response:
    """Demand per competency and region, for everybody."""
    visit.form.values = {"competency": [competency], "region": [region], "on": [on]}
    day = _day(on)
    if on and day is None:
        visit.form.errors = {"on": visit.word(N_("This is no day: 2026-06-15."))}
    elif day is not None and day > today():
        visit.form.errors = {"on": visit.word(N_("has not come yet"))}
        day = None
    rows, covered, applied = await demand_rows(visit.service, competency or None, region or None, day)
    known = await reads.known(visit.service)
    part = pager(number, SHOWN_ROWS, len(rows), competency=competency, region=region, on=on)
    demanded = sorted({row.competency for row in rows} | {of for of, _ in applied.market.demanded})
    regions = {*applied.market.coverage, *(row.region for row in rows)}
    return visit.show(
        "services/feedback/pages/market.html",
        422 if visit.form.errors else 200,
        rows=part.of(rows),
        part=part,
        covered=covered,
        sources=sorted(applied.market.sources.items()),
        zone=ZoneInfo(visit.service.settings.time_zone),
        as_of=applied.as_of,
        names={id: known.name(id, visit.language) for id in demanded},
        regions=[(each or NO_REGION, each or visit.word(N_("no region known"))) for each in sorted(regions, key=str)],
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


async def _by_operator(visit: SignedInOffline) -> MemberVisit:
    demand_role(visit, (Role.operator,))
    return visit


ByOperator = Annotated[MemberVisit, Depends(_by_operator)]


@router.get("/market/mapping")
async def mapping_page(visit: ByOperator, status: Status = "unmapped", q: Text100 = "", number: Number = 1) -> Response:
    """Skills of open vacancies, most frequent first, with choices for each."""
    return await _show(visit, status, q.strip(), number)


@router.post("/market/mapping")
async def map_skills(visit: ByOperator, status: Status = "unmapped", q: Text100 = "", number: Number = 1) -> Response:
    """Do what was chosen of each skill; what is wrong stays, with what was typed."""
    form = visit.form
    if not form.is_meant:
        return await _show(visit, status, q.strip(), number, 200 if form.is_draft else 403)
    events = [event for id in form.all("skill") if (event := _decided(visit, id))]
    if not events and not form.errors:
        form.errors = {"": visit.word(N_("Choose something for at least one skill."))}
    if events:
        is_applied = await _publish(visit, events)
        late = "" if is_applied else f" ({visit.word(N_('accepted, it will show in a moment'))})"
        visit.notice = f"{visit.word(N_('Mapped'))}: {len(events)}{late}"
        for event in events:
            form.values.pop(f"as:{event.subject}", None)
    return await _show(visit, status, q.strip(), number, 422 if form.errors else 200)


async def _publish(visit: MemberVisit, events: list[Event[Data]]) -> bool:
    """Publish decisions together and wait for them; False: not all were applied in time."""
    ends_at = time.monotonic() + WAIT_S
    addresses = await visit.service.publish(*events)
    return all([await visit.service.applied_within(one, max(0, ends_at - time.monotonic())) for one in addresses])


def _decided(visit: MemberVisit, id: str) -> Event[Data] | None:
    """The event by which a skill is mapped as was chosen; None: later, or the choice will not do."""
    form, name = visit.form, f"as:{id}"
    chosen = form[name]
    if chosen == LATER:
        return None
    competency = {NONE: None, OTHER: form[f"other:{id}"]}.get(chosen, chosen)
    try:
        skill = _SKILL.validate_python(form[f"text:{id}"])
        body = SkillMapping(skill=skill, competency=competency and _COMPETENCY.validate_python(competency))
    except ValidationError:
        body = None
    if body is None or (chosen == OTHER and not competency):
        words = N_("Name the competency as framework:item, or choose one that is similar.")
        form.errors[f"other:{id}"] = visit.word(words)
    elif wrong := misfit(id, body, visit.frameworks):
        form.errors[f"other:{id}"] = wrong[1].into(visit.language)
    else:
        return mapped_by(visit.member.caller, body)
    return None


async def _show(visit: MemberVisit, status: Status, q: str, number: int, code: int = 200) -> Response:
    listed = await skills_by(visit.service, status, q)
    known = await reads.known(visit.service)
    part = pager(number, SHOWN_SKILLS, len(listed.skills), status=status, q=q)
    market = (await reads.market_of(visit.service)).market
    return visit.show(
        "services/feedback/pages/mapping.html",
        code,
        items=[_item(visit, skill, listed.decided.get(skill.id, {}), known) for skill in part.of(listed.skills)],
        part=part,
        wanted=status,
        q=q,
        covered=market.total(),
        options=[(id, known.name(id, visit.language)) for id in known.competencies],
    )


def _item(visit: MemberVisit, skill: OpenSkill, decided: dict[str, Any], known: reads.Known) -> dict[str, Any]:
    """A skill as it is shown: what was decided, and what may be chosen: (value, words, why it is suggested).

    Of what was typed and is no competency, what is similar to it may be chosen, too.
    """
    typed = visit.form[f"other:{skill.id}"] if f"other:{skill.id}" in visit.form.errors else ""
    found = {one.competency: one for text in (typed, skill.skill) for one in suggest(text, known.labels)}
    choices = [(id, known.name(id, visit.language), _why(visit, one)) for id, one in found.items()]
    now = decided.get("competency")
    return {
        **skill._asdict(),
        "decided": decided,
        "name": now and known.name(now, visit.language),
        "choices": [choice for choice in choices if choice[0] != now],
    }


_GROUNDS = {
    "spelling": N_("the same name"),
    "alternative": N_("another name of it: {}"),
    "stems": N_("the same words: {}"),
    "alike": N_("similar: {}"),
}


def _why(visit: MemberVisit, one: Suggestion) -> str:
    return visit.word(_GROUNDS[one.ground]).format(one.label)
