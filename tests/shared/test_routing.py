"""Routes that are passed over by how a path begins match what FastAPI's own do."""

from itertools import product
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.types import Scope

from shared.http.routing import Route

PATHS = ("/", "/things", "/things/{id}", "/things/{id}/parts", "/{name}")
ASKED = ("/", "/thing", "/things", "/things/", "/things/a", "/things/a/parts", "/things/a%2Fb", "/x", "/root/things/a")


async def endpoint() -> None:
    """Nothing."""


@pytest.mark.parametrize("root", ["", "/root"])
def test_a_quick_route_matches_what_a_plain_one_does(root: str):
    for path, asked, method in product(PATHS, ASKED, ("GET", "POST", "HEAD")):
        scope: Scope = {"type": "http", "method": method, "path": asked, "root_path": root}
        found: list[Any] = [kind(path, endpoint).matches(scope)[0] for kind in (Route, APIRoute)]
        assert found[0] == found[1], (path, asked, method)
