"""Kinds of routes, and the router of all services.

FastAPI asks each route in turn whether a request is for it, and an application has a hundred: ours say no quickly.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from copy import copy
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.http.parameters import known_parameters
from shared.http.problems import REFUSALS
from shared.http.sessions import signed_in

MICROCACHE_S, MICROCACHED = 0.5, 30  # so long an answer is sent to strangers as it is; so many of a route are kept


class Route(APIRoute):
    """A route that looks first at how a path begins."""

    def __init__(self, path: str, *args: Any, **settings: Any) -> None:
        super().__init__(path, *args, **settings)
        self._beginning = path.partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if not scope.get("root_path") and not scope["path"].startswith(self._beginning):
            return Match.NONE, {}
        return super().matches(scope)


@dataclass
class _Cached:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    answer: Response | None = None
    made_at: float = 0


class MicrocachedRoute(Route):
    """A public answer, which strangers are sent alike: it is worked out for them at most twice a second.

    Members, and whoever brings a token, get their own. An error is not kept.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        make, kept = super().get_route_handler(), dict[Any, _Cached]()

        async def answer(request: Request) -> Response:
            headers = request.headers
            if signed_in(request) or "authorization" in headers:
                return await make(request)
            # What the answer depends on, as its `Vary` says.
            asked = (str(request.url), *(headers.get(name) for name in ("accept", "accept-language", "cookie")))
            cached = kept.pop(asked, None) or _Cached()
            kept[asked] = cached
            if len(kept) > MICROCACHED:
                del kept[next(iter(kept))]  # the one that was asked for longest ago
            async with cached.lock:
                if cached.answer is None or monotonic() - cached.made_at > MICROCACHE_S:
                    cached.answer, cached.made_at = await make(request), monotonic()
            own = copy(cached.answer)
            own.raw_headers = [*cached.answer.raw_headers]  # compression and ETag write into them
            return own

        return answer


class DirectRoute(Route):
    """A route whose endpoint takes the request and nothing else: finding arguments takes FastAPI longer than most do.

    What its document shall say of them, the route's `dependencies` and `openapi_extra` say.
    """

    def __init__(self, path: str, *args: Any, **settings: Any) -> None:
        super().__init__(path, *args, **settings)
        self.app = _asgi(self.endpoint)


def _asgi(endpoint: Callable[[Request], Awaitable[Response]]) -> ASGIApp:
    """What `starlette.routing.request_response` gives, without handlers of errors: those of the application do."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await endpoint(Request(scope, receive, send))
        await response(scope, receive, send)

    return app


class Router(APIRouter):
    """A router of such routes, with what all have in common.

    An application takes the routes as they are: of a router that it includes FastAPI would look for the route twice.
    """

    def __init__(
        self,
        *,
        responses: dict[int | str, dict[str, Any]] | None = None,
        route_class: type[Route] = Route,
        **settings: Any,
    ) -> None:
        super().__init__(
            route_class=route_class,
            dependencies=[Depends(known_parameters)],
            responses={**REFUSALS, **(responses or {})},
            generate_unique_id_function=_operation_id,
            **settings,
        )


def _operation_id(route: APIRoute) -> str:
    return route.name
