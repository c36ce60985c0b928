"""The report that somebody composes: chosen figures of one scope on a page, to print, to take along and to keep."""

import asyncio
import json
from typing import Annotated, Any, Literal, cast, get_args
from urllib.parse import urlencode

from fastapi import Query
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, Field

from services.monitoring import counters, reports
from services.monitoring.answers import Asked
from services.monitoring.indicators import Scope
from services.monitoring.reports import By, Json, Report, Wanted
from services.monitoring.tables import WORDS, file_name, xlsx_of
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import EntityId, refuse_sandbox
from shared.http.spreadsheets import BOM, XLSX, csv_of
from shared.http.visits import AnyVisit, MemberVisit, SignedInOffline, Visit, demand_active
from shared.pages.languages import LANGUAGES, N_, NAMES, Text

from . import prints
from .charts import DRAWN
from .parts import Text100, indicators_by_group, name_of, read_months, scope_name

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
TEMPLATE = "services/monitoring/pages/report.html"
MOST_CHOICES = 2_000  # of a scope's ids in the form; where there are more, one is typed
OWN_SHOWN = 20
Format = Literal["", "json", "csv", "xlsx", "pdf"]
BYS: dict[By, str] = {"year": N_("by year"), "month": N_("by month")}
DONE = {"kept": N_("The report is kept under this address."), "known": N_("This report was kept already.")}


class Fields(BaseModel):
    """The form, as the address has it: what is left open is empty."""

    scope: Text100 = "network"
    scope_id: Text100 = ""
    begin: Text100 = Field("", alias="from")
    end: Text100 = Field("", alias="to")
    by: Text100 = "year"
    indicators: list[Text100] = Field([], max_length=200)
    format: Format = ""


def _read(visit: Visit, fields: Fields) -> Wanted:
    """What is asked for; what does not do is left open, and said beside its field."""
    wrong: dict[str, Text] = {}
    scope = cast(Scope, fields.scope if fields.scope in get_args(Scope) else "network")
    begin, end = read_months(fields.begin, fields.end, wrong)
    asked = Asked(scope, fields.scope_id or None, begin, end)
    ticked = [indicator for indicator in reports.offered(asked) if indicator.id in fields.indicators]
    if len(ticked) > reports.MOST_INDICATORS:
        wrong["indicators"] = Text("a report has at most {most} indicators", {"most": reports.MOST_INDICATORS})
    visit.wrong(wrong)
    return Wanted(asked, "month" if fields.by == "month" else "year", ticked or reports.headlines(asked))


def query_of(figures: Json) -> str:
    """The query by which a report is asked for again; what nobody has chosen is left out."""
    asked = {name: figures[name] for name in ("scope", "scope_id", "from", "to", "by") if figures[name]}
    ids = [item["indicator"] for item in figures["items"]]
    usual = [each.id for each in reports.headlines(Asked(figures["scope"], figures["scope_id"]))]
    chosen = [("indicators", id) for id in ids] if ids != usual else []
    return urlencode([*asked.items(), *chosen])


# composed now


@router.get("/report")
async def report_page(visit: AnyVisit, fields: Annotated[Fields, Query()]) -> Response:
    return await (_file(visit, fields) if fields.format else _show(visit, fields))


async def _file(visit: Visit, fields: Fields) -> Response:
    wanted = _read(visit, fields)
    if visit.form.errors:
        raise Problem(422, Text("the request does not fit"), list(visit.form.errors.items()))
    figures = await reports.composed(visit.service, wanted)
    address = f"{visit.service.settings.public('monitoring')}/report?{query_of(figures)}"
    text = reports.canonical(figures)
    body = {"address": address, "sha256": reports.digest(text), "figures": json.loads(text)}
    return await as_file(visit, body, fields.format)


async def _show(visit: Visit, fields: Fields) -> Response:
    wanted = _read(visit, fields)
    asked, status = wanted.asked, 422 if visit.form.errors else 200
    figures = None
    if not visit.form.errors and (asked.scope == "network" or asked.scope_id):
        try:
            figures = await reports.composed(visit.service, wanted)
        except Problem as problem:
            if problem.status != 404:
                raise
            status = 404
            visit.wrong({"scope_id": Text("There is none of this name (yet).")})
    typed = fields.model_dump(by_alias=True, exclude={"indicators", "format"})
    ticked = fields.indicators if "indicators" in visit.form.errors else [each.id for each in wanted.indicators]
    visit.form.values = {**{name: [value] for name, value in typed.items()}, "indicators": ticked}
    member = getattr(visit.request.state, "member", None)
    own = await reports.newest(visit.service, member.organisation, OWN_SHOWN) if member else []
    return visit.show(
        TEMPLATE,
        status,
        **_words(visit, figures),
        kept=None,
        choices=await _choices(visit, asked.scope),
        scopes=[(each, visit.word(WORDS[each])) for each in get_args(Scope)],
        bys=[(each, visit.word(words)) for each, words in BYS.items()],
        groups=indicators_by_group(visit, [asked.scope]),
        asked=asked,
        most=reports.MOST_INDICATORS,
        query=query_of(figures) if figures else "",
        own=[(each, name_of(visit, each.figures)) for each in own],
    )


def _words(visit: Visit, figures: Json | None, now: list[Json] | None = None) -> dict[str, Any]:
    """What the page says of figures, in the visitor's language."""
    if figures is None:
        return {"cover": None, "sections": [], "drawn": DRAWN}
    return {
        "cover": prints.cover(figures, name_of(visit, figures), visit.language),
        "sections": prints.sections(figures, visit.language, now or ()),
        "drawn": DRAWN,
        "files_by_language": [(code, NAMES[code]) for code in LANGUAGES],
        "words": {key: visit.word(words) for key, words in prints.WORDS_OF_PRINT.items()},
    }


async def _choices(visit: Visit, scope: Scope) -> list[tuple[str, str]] | None:
    """Which ones there are of a scope; None: too many to choose from a list."""
    if scope == "network":
        return []
    db = visit.service.db
    registry = await counters.registry(db)
    ids = registry.ids(scope) or await counters.counted_ids(db, scope)
    named = [(id, scope_name(visit, scope, id, registry.name(scope, id))) for id in ids[: MOST_CHOICES + 1]]
    if len(named) > MOST_CHOICES:
        return None
    return [("", visit.word(N_("choose one"))), *sorted(named, key=lambda each: each[1].casefold())]


@router.post("/report")
async def keep_report(visit: SignedInOffline) -> Response:
    """Keep the report that the page shows, with its figures of this moment."""
    await _demand_keeper(visit)
    form = visit.form
    given = {name: form[name] for name in ("scope", "scope_id", "from", "to", "by")}
    fields = Fields.model_validate({**given, "indicators": form.all("indicators")})
    if not form.is_meant:
        return await _show(visit, fields)
    wanted = _read(visit, fields)
    if form.errors:
        return await _show(visit, fields)
    report, is_new = await reports.keep(
        visit.service, await reports.composed(visit.service, wanted), visit.member.organisation
    )
    return visit.go(f"reports/{report.id}?done={'kept' if is_new else 'known'}")


async def _demand_keeper(visit: MemberVisit) -> None:
    await demand_active(visit)
    refuse_sandbox(visit.member.caller)


# kept


def show_kept(visit: Visit, report: Report, now: Json | None, done: str) -> Response:
    """A report as it was kept, with today's figures beside its own."""
    visit.notice = visit.word(DONE.get(done, ""))
    member = getattr(visit.request.state, "member", None)
    return visit.show(
        TEMPLATE,
        **_words(visit, report.figures, reports.beside(report.figures, now)),
        kept=report,
        now=now,
        address=address_of(visit, report),
        query=query_of(report.figures),
        may_remove=bool(member and (member.is_operator or member.organisation == report.by)),
    )


def address_of(visit: Visit, report: Report) -> str:
    return f"{visit.service.settings.public('monitoring')}/reports/{report.id}"


@router.post("/reports/{id}/removal")
async def remove_report(visit: SignedInOffline, id: EntityId) -> Response:
    """Remove a report of the member's organisation, once that is confirmed; the operator any."""
    await _demand_keeper(visit)
    if not visit.form.is_meant or visit.form["sure"] != "yes":
        return visit.go(f"../{id}")
    await reports.forget(visit.service, id, None if visit.member.is_operator else visit.member.organisation)
    return visit.go("../../report")


# files


async def as_file(visit: Visit, body: Json, format: Format, now: list[Json] | None = None) -> Response:
    """A report as JSON (*body*), CSV, XLSX or PDF.

    Args:
        now: what `reports.beside` says, of a report that is kept.
    """
    figures, address, sha256 = body["figures"], body["address"], body["sha256"]
    headers = {"Cache-Control": "no-cache", "Vary": "Accept, Accept-Language, Cookie"}
    if format == "json":
        return JSONResponse(body, headers=headers)
    name = file_name(f"report-{figures['scope']}", figures["scope_id"], format)
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    if format == "pdf":
        kept_as = sha256 if now is not None else ""
        made = await prints.pdf(figures, name_of(visit, figures), visit.language, address, kept_as)
        return Response(made, headers=headers, media_type="application/pdf")
    rows = reports.rows_of(figures, now)
    if format == "csv":
        return Response(BOM + csv_of(rows), headers=headers, media_type="text/csv; charset=utf-8")
    more = [(N_("SHA-256 of the figures"), sha256)]
    content = await asyncio.to_thread(xlsx_of, rows, visit.language, address, more)
    return Response(content, headers=headers, media_type=XLSX)
