"""Who has not answered: of the feedback that was asked for, how much is due and answered, by organisation."""

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from services.monitoring import counters
from services.monitoring.answers import Asked, compared
from services.monitoring.indicators import INDICATORS, Scope
from services.monitoring.ranking import Filters, left_over
from services.monitoring.tables import WORDS
from shared.http.auth import Member
from shared.http.routing import Router
from shared.http.sessions import signed_in
from shared.http.spreadsheets import Share, Sheet, table_file
from shared.http.visits import STAFF, AnyVisit, Visit
from shared.pages.languages import N_
from shared.pages.paging import pager

from .parts import PAGE_AND_TABLES, Text100, for_people, options

router = Router(tags=["feedback"])
RATE = INDICATORS["feedback_response_rate"]
SHOWN_ROWS = 50
SCOPES: tuple[Scope, ...] = ("enterprise", "institution", "programme")
OF = {"enterprise": N_("Enterprises"), "institution": N_("Institutions"), "programme": N_("Programmes")}


class Fields(BaseModel):
    """Who is asked for, as the address has it: what is left open is empty."""

    scope: Literal["enterprise", "institution", "programme"] = "enterprise"
    region: Text100 = ""
    institution: Text100 = Field("", description="Of programmes.")
    page: int = Field(1, ge=1, le=100_000, description="Of the page for people.")
    format: Literal["json", "csv", "xlsx"] | None = None


@router.get("/unanswered", response_model=None, responses=PAGE_AND_TABLES)
async def who_has_not_answered(visit: AnyVisit, fields: Annotated[Fields, Query()]) -> Response:
    """Feedback that is due and was not answered, by enterprise, institution or programme: the most first.

    It is `feedback_response_rate` in numbers, with its small groups hidden: an enterprise's own requests; of an
    institution and a programme all that were asked about it, whoever was to answer.
    """
    registry = await counters.registry(visit.service.db)
    items, network, until = await compared(visit.service, RATE, Asked(fields.scope))
    filters = Filters(fields.region or None, fields.institution or None if fields.scope == "programme" else None)
    found = filters.of(items, fields.scope, registry)
    rows = sorted((_row(each) for each in found if each["status"] == "ok"), key=_most_first)
    if for_people(visit, fields.format):
        chosen = fields.model_dump(exclude={"page", "format"})
        visit.form.values = {name: [value] for name, value in chosen.items()}
        part = pager(fields.page, SHOWN_ROWS, len(rows), **chosen)
        hidden, without = left_over(found)
        return visit.show(
            "services/monitoring/pages/unanswered.html",
            scope=fields.scope,
            rows=part.of(rows),
            part=part,
            network=_row(network) if network["status"] == "ok" else None,
            heading=visit.word(WORDS[fields.scope]),
            scopes=[(scope, visit.word(OF[scope])) for scope in SCOPES],
            regions=options(visit, registry, "region"),
            institutions=options(visit, registry, "institution"),
            hidden=hidden,
            without=without,
            own=_own_list(visit),
            of=RATE,
            until=until,
            files=f"unanswered?{urlencode({name: value for name, value in chosen.items() if value})}",
        )
    if fields.format in ("csv", "xlsx"):
        flat = [{**row, "rate": Share(row["rate"])} if fields.format == "xlsx" else row for row in rows]
        sheet = Sheet(N_("Who has not answered"), _HEADINGS, flat)
        name = f"unanswered-{fields.scope}"
        return await table_file(name, fields.format, visit.language, sheet, instead="filter by region")
    body = {"scope": fields.scope, "items": rows, "applied_until": until}
    return JSONResponse(body, headers={"Vary": "Accept, Accept-Language", "Cache-Control": "no-cache"})


_HEADINGS = {
    "scope_id": N_("Of which (identifier)"),
    "scope_name": N_("Of which"),
    "due": N_("Requests due"),
    "answered": N_("of which answered"),
    "unanswered": N_("Not answered"),
    "rate": N_("Share that is answered"),
}


def _row(item: dict[str, Any]) -> dict[str, Any]:
    due, answered = item["denominator"], item["numerator"]
    return {
        "scope_id": item.get("scope_id"),
        "scope_name": item.get("scope_name"),
        "due": due,
        "answered": answered,
        "unanswered": due - answered,
        "rate": item["value"],
    }


def _most_first(row: dict[str, Any]) -> tuple[int, float, str]:
    return -row["unanswered"], row["rate"], row["scope_id"]


def _own_list(visit: Visit) -> str | None:
    """The page of feedback on which who is signed in finds their own open requests."""
    member: Member | None = signed_in(visit.request)
    if member is None:
        return None
    if member.role in STAFF:
        return "asked"
    return "answers" if member.role == "mentor" and member.caller.kind != "institution" else None
