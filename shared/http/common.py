"""The routes that every service has: health, metrics, the event at an address, the reference of the API."""

from typing import Annotated

from fastapi import Path, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from shared.contract import events
from shared.http import apidocs
from shared.http.health import hindrances
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Address, Authenticated, Running
from shared.pages.chosen import Chosen
from shared.pages.pages import STYLE, page, static

common = Router()


@common.get("/health/live", tags=["operation"])
async def live(service: Running) -> dict[str, str]:
    """Is the process worth keeping?"""
    return {"status": "live"}


@common.get("/health/ready", tags=["operation"], responses={503: {"description": "Not ready; the answer says why."}})
async def ready(service: Running) -> JSONResponse:
    """Can the service do its work now? If not, the reason."""
    reasons = await hindrances(service)
    return JSONResponse({"status": "not ready" if reasons else "ready", "reasons": reasons}, 503 if reasons else 200)


@common.get("/metrics", tags=["operation"], response_class=PlainTextResponse)
async def show_metrics() -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@common.get("/events/{topic}/{partition}/{offset}", tags=["events"])
async def read_event(
    service: Running,
    caller: Authenticated,
    topic: str,
    partition: Annotated[int, Path(ge=0, le=10_000)],
    offset: Annotated[int, Path(ge=0, le=2**62)],
) -> JSONResponse:
    """The event at an address, for who published it and the operator; `applied`: has this service taken it in?"""
    address = Address(topic, partition, offset)
    record = await service.log.record(topic, partition, offset) if topic in (*events.TOPICS, events.SANDBOX) else None
    try:
        event = events.parse(record.value or b"", tolerant=True) if record else None
    except events.ContractError:
        event = None
    if event is None or not (caller.is_operator or event.source == caller.source):
        raise Problem(404, f"there is no event of yours at {address}")
    applied = await service.applied(address)
    return JSONResponse({"event": event.model_dump(mode="json", exclude_none=True), "applied": applied})


@common.get("/docs", include_in_schema=False)
async def show_docs(request: Request, language: Chosen) -> Response:
    """What this service answers, for people."""
    document = request.app.openapi()
    title, sections = document["info"]["title"], apidocs.sections(document)
    return page(request, "shared/http/apidocs.html", language, title=title, sections=sections)


@common.get("/static/{name}", include_in_schema=False)
async def static_file(name: str) -> Response:
    """The style sheet of all pages."""
    if name != STYLE.name:
        raise Problem(404, f"there is no {name[:100]}")
    return static(STYLE)


home = Router()


@home.get("/", include_in_schema=False)
async def start_page(request: Request, service: Running, language: Chosen) -> Response:
    """Where to go from here, for people; what a service shows at its root itself comes first."""
    return page(request, "shared/pages/home.html", language, service=service.core.name)
