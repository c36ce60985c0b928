"""A small HTTP/1.1 client that costs a tenth of what it measures: prepared bytes over kept connections."""

import asyncio
import time
from collections.abc import Iterator
from typing import NamedTuple


class Answer(NamedTuple):
    status: int
    body: bytes


class Connection:
    """One request at a time over one connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> Answer:
        try:
            return await self._ask(request)
        except (ConnectionError, asyncio.IncompleteReadError):
            if self._streams is None:
                raise
            self.close()  # a server ends a connection that was idle for long
            return await self._ask(request)

    async def _ask(self, request: bytes) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**24)
        reader, writer = self._streams
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        _, _, length = head.lower().partition(b"content-length: ")
        body = await reader.readexactly(int(length.partition(b"\r\n")[0] or 0))
        return Answer(int(head[9:12]), body)

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None


def post(path: str, body: bytes, content_type: str, token: str = "") -> bytes:
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\n{authorization}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get(path: str, headers: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode()


class Measured(NamedTuple):
    per_s: float
    seconds: list[float]  # of each request


async def hammer(port: int, requests: Iterator[bytes], connections: int, duration_s: float, expected: int) -> Measured:
    """Send as fast as answers come; what is answered otherwise than *expected* ends it with the answer."""
    times: list[float] = []
    end = time.perf_counter() + duration_s

    async def one() -> None:
        connection = Connection(port)
        try:
            while time.perf_counter() < end:
                began = time.perf_counter()
                answer = await connection.ask(next(requests))
                times.append(time.perf_counter() - began)
                if answer.status != expected:
                    raise RuntimeError(f"answered {answer.status}: {answer.body[:500]!r}")
        finally:
            connection.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return Measured(len(times) / (time.perf_counter() - began), times)
