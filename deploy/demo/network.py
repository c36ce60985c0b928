"""Talks to a running network as an operator's and an enterprise's systems would."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

BATCH = "application/cloudevents-batch+json"
Json = dict[str, Any]


class DemoError(Exception):
    """The network did not do what it should; the text says what was asked and answered."""


@dataclass
class Network:
    """The four services by name.

    Attributes:
        urls: PRAKTIKA_<SERVICE>_URL by variable name.
        accepted: how many events the ingress has accepted.
    """

    urls: dict[str, str]
    credentials: dict[str, Json] = field(default_factory=dict)
    accepted: int = 0
    _tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._http = httpx.AsyncClient(timeout=60, trust_env=False)

    async def close(self) -> None:
        """Withdraw the credentials that were made for this run."""
        for organisation, credential in self.credentials.items():
            if organisation != "operator":
                path = f"/organisations/{organisation}/credentials/{credential['credential']}"
                await self.ask("partners", "DELETE", path)
        await self._http.aclose()

    async def ask(  # noqa: PLR0913
        self, service: str, method: str, path: str, body: Any = None, *, by: str | None = "operator", wait: bool = False
    ) -> Json:
        """Ask a service; *by* whose credential (None: nobody's); *wait* until the answer shows what was asked for."""
        headers = {"Authorization": f"Bearer {await self._token(by)}"} if by else {}
        if wait:
            headers["Prefer"] = "wait=30"
        answer = await self._send(service, method, path, headers, json=body)
        return answer.json() if answer.content else {}

    async def send(self, by: str, events: Sequence[Json]) -> None:
        """Send events of one organisation to the ingress, again if the network is not able to take them now."""
        headers = {"Authorization": f"Bearer {await self._token(by)}", "Content-Type": BATCH}
        answer = await self._send(
            "partners", "POST", "/events", headers, content=httpx.Request("POST", "/", json=list(events)).content
        )
        if answer.status_code != 202:
            refused = next(item for item in answer.json()["items"] if "problem" in item)
            raise DemoError(f"refused: {refused}")
        self.accepted += len(events)

    async def _send(self, service: str, method: str, path: str, headers: dict[str, str], **body: Any) -> httpx.Response:
        """Send until it is answered with something else than "not now"."""
        url = self.urls[f"PRAKTIKA_{service.upper()}_URL"] + path
        problem = ""
        for tries in range(20):
            try:
                answer = await self._http.request(method, url, headers=headers, **body)
            except httpx.TransportError as error:
                problem = repr(error)
            else:
                if answer.is_success:
                    return answer
                problem = f"{answer.status_code} {answer.text[:500]}"
                if answer.status_code not in (429, 503):
                    break
            await asyncio.sleep(min(5, 0.2 * 2**tries))
        raise DemoError(f"{method} {url}: {problem}")

    async def _token(self, organisation: str) -> str:
        if organisation not in self._tokens:
            if organisation not in self.credentials:
                made = await self.ask("partners", "POST", f"/organisations/{organisation}/credentials")
                self.credentials[organisation] = made
            form = {k: self.credentials[organisation][k] for k in ("client_id", "client_secret")}
            form["grant_type"] = "client_credentials"
            answer = await self._send("partners", "POST", "/token", {}, data=form)
            self._tokens[organisation] = answer.json()["access_token"]
        return self._tokens[organisation]


def event(type_: str, by: str, subject: str, time_: str, data: Json, **more: str) -> Json:
    """A CloudEvent whose id follows from what it says, so that sending it again is harmless."""
    return {
        "specversion": "1.0",
        "id": more.pop("id", f"{subject}-{type_}"),
        "source": f"/organisations/{by}",
        "type": f"praktika.{type_}.v1",
        "subject": subject,
        "time": time_,
        "data": data,
        **more,
    }


async def until(condition: Callable[[], Awaitable[Any]], what: str, timeout_s: float = 120) -> Any:
    """Ask until *condition* gives something, and return that."""
    deadline = time.monotonic() + timeout_s
    while not (result := await condition()):
        if time.monotonic() > deadline:
            raise DemoError(f"after {timeout_s:.0f} s there is still no {what}")
        await asyncio.sleep(0.1)
    return result
