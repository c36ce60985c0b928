"""A running network from without, over HTTP, with a token that is kept fresh."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx

from services.partners.gateway.files.publish import Ingress
from shared.operator.console import Failed, Misused
from shared.settings import Settings


class OverHttp:
    """Partners, which takes events and gives tokens, and the service that is worked with."""

    def __init__(self, ingress: Ingress, service: httpx.AsyncClient) -> None:
        self.ingress, self._service = ingress, service

    async def ask(self, method: str, path: str, *, body: Any = None, **params: Any) -> httpx.Response:
        """What the service answers, whatever its status.

        Raises:
            Away: it does not answer.
        """

        async def sent() -> httpx.Response:
            token = {"Authorization": f"Bearer {await self.ingress.fresh_token()}"}
            return await self._service.request(method, path, params=params, headers=token, json=body)

        return await self.ingress.patiently(sent)

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        """What the service answers.

        Raises:
            Failed: it refuses.
            Away: it does not answer.
        """
        return await self.done("GET", path, **params)

    async def done(self, method: str, path: str, *, body: Any = None, **params: Any) -> dict[str, Any]:
        """What the service answers to a command; raises as `get` does."""
        answer = await self.ask(method, path, body=body, **params)
        said: dict[str, Any] = answer.json()
        if not answer.is_success:
            errors = "; ".join(f"{error['field']}: {error['detail']}" for error in said.get("errors", ()))
            why = errors or said.get("detail")
            raise Failed(f"{self._service.base_url}/{path} answers {answer.status_code}: {why}")
        return said

    async def everything(self, path: str, **params: Any) -> AsyncIterator[dict[str, Any]]:
        """All items of a list, page by page."""
        after: dict[str, str] = {}
        while True:
            page = await self.get(path, **params, **after)
            for item in page["items"]:
                yield item
            if page["next"] is None:
                return
            after = {"after": page["next"]}


Network = TypeVar("Network", bound=OverHttp)


@asynccontextmanager
async def connected(settings: Settings, service: str = "feedback") -> AsyncIterator[tuple[Ingress, httpx.AsyncClient]]:
    """Partners and a service of the network that the environment names."""
    urls = {name: os.environ.get(f"PRAKTIKA_{name.upper()}_URL", "") for name in ("partners", service)}
    if missing := [name for name, url in urls.items() if not url]:
        raise Misused(
            f"start the stack (make up), or set PRAKTIKA_{missing[0].upper()}_URL to the address of {missing[0]}"
        )
    async with (
        httpx.AsyncClient(base_url=urls["partners"], timeout=60, trust_env=False) as partners,
        httpx.AsyncClient(base_url=urls[service], timeout=60, trust_env=False) as client,
    ):
        yield Ingress(partners, settings), client


@asynccontextmanager
async def as_operator(settings: Settings, service: str, of: type[Network]) -> AsyncIterator[Network]:
    """A service of the network that the environment names, as the operator."""
    if not settings.client_secret.get_secret_value():
        raise Misused("set PRAKTIKA_CLIENT_SECRET to a secret of the operator's; `praktika operator` makes one")
    own = settings if settings.client_id else settings.model_copy(update={"client_id": "operator"})
    async with connected(own, service) as (ingress, client):
        yield of(ingress, client)
