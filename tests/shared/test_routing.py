"""Routes that are passed over by how a path begins match what FastAPI's own do; a crowd is shown one page."""

import asyncio
from itertools import product
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from shared.http import routing
from shared.http.caching import LEAST_BYTES, Compression, ConditionalGet
from shared.http.routing import MICROCACHED, MicrocachedRoute, Route

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


async def test_a_crowd_of_strangers_is_shown_one_page_until_it_is_old(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(routing, "MICROCACHE_S", 60)
    made: list[str] = []

    async def show(request: Request) -> HTMLResponse:
        made.append(request.headers.get("accept-language", ""))
        await asyncio.sleep(0)
        return HTMLResponse(f"{f'page {len(made)}':{LEAST_BYTES}}", headers={"Cache-Control": "no-cache"})

    app = FastAPI(routes=[MicrocachedRoute("/page", show)])
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
        monkeypatch.setattr(routing, "MICROCACHE_S", 0)
        assert (await client.get("/page")).text.strip() == "page 5"


async def test_a_member_never_sees_what_a_stranger_was_shown_nor_the_other_way_round():
    async def show(request: Request) -> HTMLResponse:
        return HTMLResponse(getattr(request.state, "member", None) or "a stranger's")

    async def as_member(scope: Scope, receive: Receive, send: Send) -> None:
        name = dict(scope["headers"]).get(b"x-member")
        scope["state"] = {"member": name.decode() if name else None}
        await app(scope, receive, send)

    app = FastAPI(routes=[MicrocachedRoute("/page", show)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(as_member), base_url="http://test") as client:
        for name in ("Vera", "", "Anna", "", "Vera"):
            answer = await client.get("/page", headers={"X-Member": name} if name else {})
            assert answer.text == (name or "a stranger's")


async def test_only_the_last_addresses_are_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(routing, "MICROCACHE_S", 60)
    made: list[str] = []

    async def show(request: Request) -> HTMLResponse:
        made.append(request.url.query)
        return HTMLResponse("page")

    app = FastAPI(routes=[MicrocachedRoute("/page", show)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        for number in (0, *range(MICROCACHED + 1), MICROCACHED):
            await client.get(f"/page?{number}")
        assert made == [str(number) for number in range(MICROCACHED + 1)]
        await client.get("/page?0")
        assert made[-1] == "0"


async def test_a_page_that_could_not_be_made_is_not_kept():
    attempts = iter((True, False))

    async def show() -> HTMLResponse:
        if next(attempts):
            raise HTTPException(503)
        return HTMLResponse("page")

    app = FastAPI(routes=[MicrocachedRoute("/page", show)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/page")).status_code == 503
        assert (await client.get("/page")).status_code == 200
