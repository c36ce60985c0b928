"""How to take part, for everybody."""

from fastapi.responses import HTMLResponse, Response

from shared.http.routing import Router
from shared.http.visits import AnyVisit

router = Router(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/join")
async def join_page(visit: AnyVisit) -> Response:
    return visit.show("services/partners/pages/join.html")
