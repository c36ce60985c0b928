"""Reports that are kept: made, shown again beside today's figures, and removed, over HTTP."""

from typing import Annotated, Any, Literal

from fastapi import Header, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from services.monitoring import reports
from services.monitoring.answers import Asked
from services.monitoring.indicators import Scope
from services.monitoring.reports import By, Json, Report, Wanted
from shared.contract.events import Month
from shared.http.routing import Router
from shared.http.service import Active, EntityId, Running, refuse_sandbox
from shared.http.spreadsheets import TABLES
from shared.http.visits import AnyVisit, Visit

from . import report as page

router = Router(tags=["reports"])
_HTML: dict[str, Any] = {"text/html": {"schema": {"type": "string"}}, "application/pdf": {}}


class ReportOf(BaseModel):
    """What a report is of; without `indicators` it has the headlines of its scope."""

    model_config = ConfigDict(extra="forbid")

    scope: Scope = "network"
    scope_id: str | None = Field(None, max_length=100, description="Needed unless the scope is the network.")
    begin: Month | None = Field(None, alias="from")
    end: Month | None = Field(None, alias="to")
    by: By = Field("year", description="What a row of its tables is.")
    indicators: list[Annotated[str, Field(max_length=100)]] = Field(
        [], max_length=200, description=f"At most {reports.MOST_INDICATORS} of those that are offered for the scope."
    )

    def wanted(self) -> Wanted:
        asked = Asked(self.scope, self.scope_id, self.begin, self.end)
        return Wanted(asked, self.by, reports.chosen(self.indicators, asked))


@router.post("/reports", status_code=201, responses={200: {"description": "They are kept already."}})
async def keep_report(service: Running, caller: Active, body: ReportOf) -> JSONResponse:
    """Keep the figures of a report as they are now, under an address of their own. By any organisation.

    The address holds the beginning of the SHA-256 of `figures` as canonical JSON (RFC 8785); 200 if they are kept
    already. 409 once an organisation keeps 200 reports, or the network 10,000: remove one.
    """
    refuse_sandbox(caller)
    figures = await reports.composed(service, body.wanted())
    report, is_new = await reports.keep(service, figures, caller.organisation)
    address = f"/reports/{report.id}"
    said = {"id": report.id, "sha256": report.sha256, "as_of": report.figures["as_of"]}
    return JSONResponse({**said, "address": address}, 201 if is_new else 200, {"Location": address})


@router.get("/reports/{id}", response_model=None, responses={200: {"content": {**_HTML, **TABLES}}})
async def read_report(
    visit: AnyVisit,
    id: EntityId,
    format: Literal["json", "csv", "xlsx", "pdf"] | None = None,
    done: Annotated[str, Query(max_length=10, include_in_schema=False)] = "",
    accept: Annotated[str, Header()] = "",
) -> Response:
    """A report as it was kept, with the SHA-256 of its figures, and today's figures beside them.

    `today.items` has each figure as it is now, by how much it changed, and whether it is defined otherwise today
    (`redefined`); `little_changed`: too few cases have changed to tell. The PDF has the kept figures only.
    """
    report = await reports.find(visit.service, id)
    now = await reports.today(visit.service, report.figures)
    if format is None and "text/html" in accept:
        return page.show_kept(visit, report, now, done)
    beside = reports.beside(report.figures, now)
    body = _body(visit, report, now, beside)
    return await page.as_file(visit, body, format or "json", beside)


def _body(visit: Visit, report: Report, now: Json | None, beside: list[Json]) -> Json:
    return {
        "id": report.id,
        "address": page.address_of(visit, report),
        "sha256": report.sha256,
        "kept_at": report.at.isoformat(timespec="seconds"),
        "kept_by": report.by,
        "figures": report.figures,
        "today": {"as_of": now and now["as_of"], "items": beside},
    }


@router.delete("/reports/{id}", status_code=204)
async def remove_report(service: Running, caller: Active, id: EntityId) -> Response:
    """Remove a report. By the organisation that keeps it, or the operator."""
    refuse_sandbox(caller)
    await reports.forget(service, id, None if caller.is_operator else caller.organisation)
    return Response(status_code=204)
