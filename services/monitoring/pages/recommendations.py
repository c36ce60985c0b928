"""Which recommended revisions are open: of which programme, why, and for how long."""

from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from services.monitoring import counters
from services.monitoring.counters import Registry
from services.monitoring.recommendations import EVIDENCE, Recommendation, programmes
from shared.http.routing import Router
from shared.http.spreadsheets import Sheet, table_file
from shared.http.visits import AnyVisit, Visit
from shared.pages.languages import N_
from shared.pages.paging import pager
from shared.pages.recommendations import GROUNDS, OVERDUE

from .parts import PAGE_AND_TABLES, Text100, for_people, options

router = Router(tags=["recommendations"])
SHOWN_ROWS, AT_ONCE = 50, 1_000
WANTED = {"open": N_("without an answer"), "answered": N_("answered"), "all": N_("all")}
STATUS = {
    "open": N_("not answered yet"),
    "planned": N_("planned until"),
    "announced": N_("a new version is announced, and not published yet"),
    "revised": N_("taken up in a new version"),
    "declined": N_("declined"),
}


class Fields(BaseModel):
    """Which are asked for, as the address has it: what is left open is empty."""

    status: Literal["open", "answered", "all"] = "open"
    region: Text100 = ""
    institution: Text100 = ""
    programme: Text100 = ""
    page: int = Field(1, ge=1, le=100_000, description="Of the page for people 50 rows, of JSON 1,000.")
    format: Literal["json", "csv", "xlsx"] | None = None


@router.get("/recommendations", response_model=None, responses=PAGE_AND_TABLES)
async def list_recommendations(visit: AnyVisit, fields: Annotated[Fields, Query()]) -> Response:
    """Recommended revisions, those that are open for longest first: a page for browsers, JSON for programs.

    One that is planned, or whose new version is announced only, is open: as `revision_answer_rate` counts it. The
    numbers are those that the recommendation was based on.
    """
    registry, today = await counters.registry(visit.service.db), counters.today()
    known = (await programmes(visit.service)).recommendations
    meant = [each for each in known if _is_meant(each, fields, registry)]
    found = [each for each in meant if fields.status in ("all", "open" if each.is_open else "answered")]
    if for_people(visit, fields.format):
        return _page(visit, fields, registry, meant, found)
    rows = [_row(visit, each, registry, today) for each in found]
    if fields.format in ("csv", "xlsx"):
        words = {"status": STATUS, "ground": GROUNDS}
        flat = [
            {name: visit.word(words[name][content]) if name in words else content for name, content in each.items()}
            for each in rows
        ]
        sheet = Sheet(N_("Recommendations"), _HEADINGS, flat)
        return await table_file("recommendations", fields.format, visit.language, sheet, instead="filter by region")
    begin = (fields.page - 1) * AT_ONCE
    body = {"items": rows[begin : begin + AT_ONCE], "total": len(rows), "open": sum(each.is_open for each in meant)}
    return JSONResponse(body, headers={"Vary": "Accept, Accept-Language", "Cache-Control": "no-cache"})


def _is_meant(each: Recommendation, fields: Fields, registry: Registry) -> bool:
    return (
        fields.region in ("", _region(each, registry))
        and fields.institution in ("", each.institution)
        and fields.programme in ("", each.programme)
    )


def _region(each: Recommendation, registry: Registry) -> str | None:
    region: str | None = registry.organisations.get(each.institution or "", {}).get("region")
    return region


_HEADINGS = {
    "programme": N_("Programme (identifier)"),
    "title": N_("Programme"),
    "institution": N_("Institution (identifier)"),
    "institution_name": N_("Institution"),
    "region": N_("Region"),
    "competency": N_("Competency (identifier)"),
    "competency_name": N_("Competency"),
    "ground": N_("Why"),
    "window": N_("Quarter"),
    "recommended_on": N_("Recommended on"),
    "status": N_("What became of it"),
    "planned_until": N_("Planned until"),
    "answered_on": N_("Answered on"),
    "days": N_("Days open"),
    "ratings": N_("Ratings"),
    "satisfied": N_("of which 4 or 5"),
    "threshold": N_("Recommended below (share)"),
    "ratings_before": N_("Ratings of the quarter before"),
    "satisfied_before": N_("of which 4 or 5 before"),
    "employers": N_("Employers that wish it"),
    "places": N_("Places demanded"),
    "vacancies": N_("Open vacancies"),
    "demanded_until": N_("Demanded last on"),
}


def _row(visit: Visit, each: Recommendation, registry: Registry, today: date) -> dict[str, Any]:
    return {
        "programme": each.programme,
        "title": registry.name("programme", each.programme),
        "institution": each.institution,
        "institution_name": registry.name("institution", each.institution),
        "region": _region(each, registry),
        "competency": each.competency,
        "competency_name": visit.frameworks.name(each.competency, visit.language),
        "ground": each.ground,
        "window": each.window,
        "recommended_on": each.recommended_at[:10],
        "status": each.status,
        "planned_until": each.until,
        "answered_on": each.answered_at and each.answered_at[:10],
        "days": each.days(today),
        **{name: each.evidence.get(name) for name in EVIDENCE},
    }


def _page(
    visit: Visit, fields: Fields, registry: Registry, meant: list[Recommendation], found: list[Recommendation]
) -> Response:
    chosen = fields.model_dump(exclude={"page", "format"})
    visit.form.values = {name: [value] for name, value in chosen.items()}
    part, today = pager(fields.page, SHOWN_ROWS, len(found), **chosen), counters.today()
    rows = [(each, _row(visit, each, registry, today)) for each in part.of(found)]
    return visit.show(
        "services/monitoring/pages/recommendations.html",
        rows=rows,
        part=part,
        today=today,
        statuses=[(status, visit.word(words)) for status, words in WANTED.items()],
        regions=options(visit, registry, "region"),
        institutions=options(visit, registry, "institution"),
        grounds={ground: visit.word(words) for ground, words in GROUNDS.items()},
        says={status: visit.word(words) for status, words in STATUS.items()},
        overdue=visit.word(OVERDUE),
        open=sum(each.is_open for each in meant),
        late=sum(each.is_overdue(today) for each in meant),
        answered=sum(not each.is_open for each in meant),
        files=f"recommendations?{urlencode({name: value for name, value in chosen.items() if value})}",
    )
