"""Routers whose routes are passed over quickly: FastAPI asks each route in turn, and an application has a hundred."""

from typing import Any

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from starlette.routing import Match, request_response
from starlette.types import Scope

from shared.http.parameters import known_parameters
from shared.http.problems import REFUSALS


class Route(APIRoute):
    """A route that looks first at how a path begins."""

    def __init__(self, path: str, *args: Any, **settings: Any) -> None:
        super().__init__(path, *args, **settings)
        self._beginning = path.partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if not scope.get("root_path") and not scope["path"].startswith(self._beginning):
            return Match.NONE, {}
        return super().matches(scope)


class DirectRoute(Route):
    """A route whose endpoint takes the request and nothing else: finding arguments takes FastAPI longer than most do.

    What its document shall say of them, the route's `dependencies` and `openapi_extra` say.
    """

    def __init__(self, path: str, *args: Any, **settings: Any) -> None:
        super().__init__(path, *args, **settings)
        self.app = request_response(self.endpoint)


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
