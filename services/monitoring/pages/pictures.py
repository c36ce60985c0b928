"""An indicator over time as a picture for other pages."""

from dataclasses import astuple
from typing import Any, Literal
from urllib.parse import urlencode

from fastapi.responses import Response

from services.monitoring import counters, reports
from services.monitoring.answers import Question
from services.monitoring.api import OfIndicator
from services.monitoring.reports import By, Wanted
from shared.http.routing import Router
from shared.http.visits import AnyVisit, Visit
from shared.processing.recent import RecentAnswers, applied

from . import prints
from .parts import name_of

router = Router(tags=["reports"])
_PICTURES: dict[str, Any] = {"image/svg+xml": {}, "image/png": {}}

# A picture that is opened by itself may do nothing; any page may show it, also in a frame.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors *; sandbox"


@router.get("/charts/{indicator_id}.{form}", response_model=None, responses={200: {"content": _PICTURES}})
async def chart(
    visit: AnyVisit, indicator: OfIndicator, form: Literal["svg", "png"], asked: Question, by: By = "month"
) -> Response:
    """An indicator over time as a picture for other pages (`<img>`, of SVG also `<iframe>`): with title and source.

    It may be kept: it has an ETag.
    """
    service = visit.service
    question = (indicator.id, astuple(asked), by, form, visit.language, counters.today())
    recent: RecentAnswers = service.shared.setdefault("pictures", RecentAnswers(most=50))

    async def drawn() -> bytes:
        return await _drawn(visit, Wanted(asked, by, [indicator]), form)

    content, _ = await recent.answer(service.db, question, 1, drawn)
    headers = {
        "Content-Security-Policy": _POLICY,
        "Cache-Control": "public, no-cache",
        "Vary": "Accept-Language, Cookie",
    }
    return Response(content, headers=headers, media_type="image/png" if form == "png" else "image/svg+xml")


async def _drawn(visit: Visit, wanted: Wanted, form: str) -> bytes:
    service, asked = visit.service, wanted.asked
    until = (await applied(service.db)).until
    (item,) = await reports.with_rows(service, wanted)
    said = {"scope": asked.scope, "scope_id": asked.scope_id, "from": asked.begin, "to": asked.end}
    query = urlencode({name: value for name, value in said.items() if value and value != "network"})
    address = f"{service.settings.public('monitoring')}/figures/{item['indicator']}?{query}".rstrip("?")
    name = name_of(visit, item)
    svg = prints.picture(item, name, visit.language, address, until)
    return await prints.pixels(svg) if form == "png" else svg.encode()
