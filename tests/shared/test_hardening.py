"""Slow, large and strange requests, over real connections."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import uvicorn
from fastapi import APIRouter, Request
from starlette.types import Message, Receive, Scope, Send

from deploy.local.processes import free_port
from shared.http import hardening
from shared.http.application import create_app
from shared.processing.core import Core
from shared.settings import Settings

router = APIRouter()


@router.post("/body")
async def length(request: Request) -> int:
    return len(await request.body())


@router.get("/slow")
async def slow() -> str:
    await asyncio.sleep(1)
    return "late"


@router.get("/broken")
async def broken() -> str:
    raise RuntimeError("the secret of the defect")


@pytest_asyncio.fixture(scope="module")
async def port(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    """A server as services run, but less patient."""
    settings = Settings(keys_dir=tmp_path_factory.mktemp("keys"), role="api", batch_max_bytes=10_000)
    config = uvicorn.Config(
        create_app(Core("partners", (), {}, lambda _: None), router, settings),
        port=free_port(),
        http=hardening.SlowClientTimeout,
        ws="none",
        server_header=False,
        log_config=None,
        timeout_keep_alive=1,
        h11_max_incomplete_event_size=hardening.HEAD_BYTES,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hardening, "HEAD_S", 0.5)
        patch.setattr(hardening, "BODY_S", 0.5)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        yield config.port
        server.should_exit = True
        await serving


async def sent(port: int, *parts: bytes, pause_s: float = 0) -> str:
    """All that the server says until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(pause_s)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer.decode()


CLOSE = b"Host: x\r\nConnection: close\r\n"


async def test_a_head_that_does_not_come_is_not_waited_for(port: int):
    assert await sent(port) == ""
    assert await sent(port, b"GET /slow HTTP/1.1\r\nHost:") == ""
    second = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET /health/li"
    assert (await sent(port, second)).count("HTTP/1.1") == 1


async def test_a_slow_answer_is_not_cut_short(port: int):
    assert (await sent(port, b"GET /slow HTTP/1.1\r\n" + CLOSE + b"\r\n")).endswith('"late"')


async def test_a_body_that_does_not_come_is_not_waited_for(port: int):
    head = b"POST /body HTTP/1.1\r\nContent-Length: 100\r\n" + CLOSE + b"\r\n"
    assert (await sent(port, head + b"x")).startswith("HTTP/1.1 400")
    assert (await sent(port, head, b"x" * 100)).endswith("100")


async def test_a_body_that_is_announced_too_large_is_not_read(port: int):
    for announced in (b"10001", b"9" * 20):
        head = b"POST /body HTTP/1.1\r\nContent-Length: " + announced + b"\r\n" + CLOSE + b"\r\n"
        assert (await sent(port, head)).startswith("HTTP/1.1 413")
    chunks = b"POST /body HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + CLOSE + b"\r\n" + b"1000\r\n" + b"x" * 4096
    assert (await sent(port, chunks + (b"\r\n1000\r\n" + b"x" * 4096) * 2)).startswith("HTTP/1.1 413")


async def test_a_head_that_is_too_large_is_refused(port: int):
    for head in (b"GET /" + b"x" * 20_000, b"GET /?" + b"x" * 20_000, b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000):
        assert (await sent(port, head)).startswith("HTTP/1.1 400")


async def test_a_defect_tells_the_sender_nothing_of_itself(port: int):
    answer = await sent(port, b"GET /broken HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert answer.startswith("HTTP/1.1 500")
    assert "secret" not in answer
    assert "Traceback" not in answer


async def test_every_answer_keeps_browsers_from_guessing_framing_and_storing(port: int):
    for path, status in ((b"/health/live", 200), (b"/nowhere", 404), (b"/docs", 200)):
        answer = await sent(port, b"GET " + path + b" HTTP/1.1\r\nAuthorization: Bearer x\r\n" + CLOSE + b"\r\n")
        head = answer.partition("\r\n\r\n")[0].lower()
        assert head.startswith(f"http/1.1 {status}")
        assert "x-content-type-options: nosniff" in head
        assert "referrer-policy: no-referrer" in head
        assert "frame-ancestors 'none'" in head
        assert "cache-control: no-store" in head
        assert "\nserver:" not in head


async def test_no_other_sites_page_may_ask(port: int):
    asking = b"Origin: https://elsewhere.example\r\nAccess-Control-Request-Method: GET\r\n" + CLOSE + b"\r\n"
    for method in (b"OPTIONS", b"GET"):
        assert "access-control" not in (await sent(port, method + b" /health/live HTTP/1.1\r\n" + asking)).lower()


async def test_a_header_that_proves_nothing_frees_nobody_from_the_limits_and_a_customer_has_a_64_of_ipv6():
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    limits = hardening.AnonymousLimits(app, at_once=9, per_s=0.001, burst=1, is_known="Bearer good".__eq__)

    async def status(address: str, *given: str) -> int:
        answers: list[Message] = []

        async def send(message: Message) -> None:
            answers.append(message)

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        headers = [(b"authorization", each.encode()) for each in given]
        scope = {"type": "http", "path": "/", "method": "GET", "headers": headers, "client": (address, 1)}
        await limits(scope, receive, send)
        return int(answers[0]["status"])

    assert await status("2001:db8::1", "Bearer forged") == 200
    assert await status("2001:db8::2", "Bearer forged") == 429
    assert await status("2001:db8::2") == 429
    assert await status("2001:db8:0:1::1") == 200
    assert {await status("2001:db8::2", "Bearer good") for _ in range(9)} == {200}
