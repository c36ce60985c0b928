"""An enterprise's own end of a webhook: an HTTP server that agrees, answers as it is told, and keeps what it gets."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from deploy.local.processes import free_port

AGREED = {"WebHook-Allowed-Origin": "praktika.test", "WebHook-Allowed-Rate": "*"}


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Receiver:
    """
    Attributes:
        agreed: the headers that answer OPTIONS.
        status: what answers POST: of an event by its id, else `usual`; with `headers`.
    """

    port: int = 0
    agreed: dict[str, str] = field(default_factory=lambda: dict(AGREED))
    usual: int = 204
    status: dict[str, int] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events"

    @property
    def posts(self) -> list[Request]:
        return [request for request in self.requests if request.method == "POST"]

    def of(self, id: str) -> list[Request]:
        """The deliveries of an event."""
        return [request for request in self.posts if request.event["id"] == id]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                method, path, _ = line.decode().split()
                headers = {}
                while (header := (await reader.readline()).decode().strip()) != "":
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                request = Request(method, path, headers, body)
                self.requests.append(request)
                posted = method == "POST"
                status = self.status.get(request.event["id"], self.usual) if posted else 200
                answered = (self.headers if posted else self.agreed) | {"Content-Length": "0"}
                lines = [f"HTTP/1.1 {status} .", *(f"{name}: {value}" for name, value in answered.items()), "", ""]
                writer.write("\r\n".join(lines).encode())
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None, **given: Any) -> AsyncIterator[Receiver]:
    receiver = Receiver(free_port(), **given)
    async with await asyncio.start_server(receiver._answer, "127.0.0.1", receiver.port, ssl=tls):
        yield receiver
