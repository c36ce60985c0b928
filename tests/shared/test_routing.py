"""Routes that are passed over by how a path begins match what FastAPI's own do; a crowd is shown one page."""

import asyncio
from itertools import product
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from starlette.types import Scope

from shared.http.caching import LEAST_BYTES, Compression, ConditionalGet
from shared.http.routing import PublicPage, Route
from tests.stack import until

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


async def test_a_crowd_of_strangers_is_shown_one_page_and_a_member_another():
    made: list[str] = []

    async def show(request: Request) -> HTMLResponse:
        made.append(request.headers.get("accept-language", ""))
        await asyncio.sleep(0)
        return HTMLResponse(f"{f'page {len(made)}':{LEAST_BYTES}}", headers={"Cache-Control": "no-cache"})

    app = FastAPI(routes=[PublicPage("/page", show)])
    app.add_middleware(ConditionalGet)
    app.add_middleware(Compression)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        crowd = await asyncio.gather(*(client.get("/page") for _ in range(20)))
        assert {each.text.strip() for each in crowd} == {"page 1"}
        assert len({each.headers["etag"] for each in crowd}) == 1
        plain = await client.get("/page", headers={"Accept-Encoding": "identity"})
        assert (plain.text, "content-encoding" in plain.headers) == (crowd[0].text, False)
        others = (("/page", {"Accept-Language": "ru"}), ("/page?other=1", {}), ("/page", {"Authorization": "Bearer x"}))
        for number, (address, headers) in enumerate(others, 2):
            assert (await client.get(address, headers=headers)).text.strip() == f"page {number}"
        await until(lambda: _is_new(client))


async def _is_new(client: httpx.AsyncClient) -> bool:
    return (await client.get("/page")).text.strip() == "page 5"


async def test_a_page_that_could_not_be_made_is_not_kept():
    attempts = iter((True, False))

    async def show() -> HTMLResponse:
        if next(attempts):
            raise HTTPException(503)
        return HTMLResponse("page")

    app = FastAPI(routes=[PublicPage("/page", show)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/page")).status_code == 503
        assert (await client.get("/page")).status_code == 200
