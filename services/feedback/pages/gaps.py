"""The gap table for people: what is demanded, certified and rated, and what makes a row red."""

from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi.responses import HTMLResponse, Response

from services.feedback import market_reads as reads
from services.feedback.gap_api import COLUMNS, GROUNDS, Filtered, rules_in_words, shown
from services.feedback.gap_reads import gap_table
from services.feedback.gap_table import Column
from shared.http.routing import Router
from shared.http.visits import AnyVisit
from shared.pages.languages import N_
from shared.pages.paging import pager
from shared.pages.recommendations import OVERDUE

from .market import Number

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
SHOWN_ROWS = 50
ANSWERS = {
    "open": N_("not answered yet"),
    "revised": N_("revised"),
    "declined": N_("declined"),
    "planned": N_("planned"),
    "overdue": OVERDUE,
}
# Sorted the other way round first: most, worst or newest on top.
ASCENDING = {Column.programme, Column.competency, Column.region, Column.share, Column.coverage}


@router.get("/market/gaps")
async def gaps_page(visit: AnyVisit, wanted: Filtered, number: Number = 1) -> Response:
    table = await gap_table(visit.service)
    rows, least = wanted.of(table), visit.service.settings.suppress_below
    known = await reads.known(visit.service)
    filters = {name: getattr(wanted, name) or "" for name in ("by", "programme", "institution", "region", "competency")}
    filters |= {"red": "1" if wanted.red else ""}
    order = {"sort": str(wanted.sort), "descending": str(wanted.descending).lower()}
    part = pager(number, SHOWN_ROWS, len(rows), **filters, **order)
    visit.form.values = {name: [value] for name, value in filters.items()}
    return visit.show(
        "services/feedback/pages/gaps.html",
        rows=[shown(row, least) for row in part.of(rows)],
        part=part,
        wanted=wanted,
        heads={column: _head(visit, wanted, column, filters) for column in Column},
        says={name: visit.word(words) for name, (_, words) in COLUMNS.items() if words},
        grounds={ground: visit.word(name) for ground, (name, _) in GROUNDS.items()},
        answers={answer: visit.word(words) for answer, words in ANSWERS.items()},
        rules=rules_in_words(visit.service.settings, visit.language),
        names={id: known.name(id, visit.language) for id in table.competencies},
        regions=[(region, region) for region in sorted({row.region for row in table.regions if row.region})],
        institution=await _name(visit, wanted.institution),
        title=next((row.title for row in rows if row.programme == wanted.programme), wanted.programme),
        files="?" + urlencode([*((name, value) for name, value in filters.items() if value), *order.items()]),
        table=table,
        least=least,
        zone=ZoneInfo(visit.service.settings.time_zone),
    )


async def _name(visit: AnyVisit, organisation: str | None) -> str | None:
    found = await visit.service.by_id("organisations", [organisation], {"name": 1}) if organisation else {}
    return next((doc["name"] for doc in found.values() if doc.get("name")), organisation)


def _head(visit: AnyVisit, wanted: Filtered, column: Column, filters: dict[str, str]) -> dict[str, Any]:
    """A column's heading, the address that sorts by it, and how it is sorted now (for aria-sort)."""
    is_sorted = wanted.sort is column
    descending = not wanted.descending if is_sorted else column not in ASCENDING
    kept = [(name, value) for name, value in filters.items() if value]
    return {
        "words": visit.word(COLUMNS[column][0]),
        "href": "?" + urlencode([*kept, ("sort", column), ("descending", str(descending).lower())]),
        "sorted": ("descending" if wanted.descending else "ascending") if is_sorted else None,
    }
