"""A running network from without, over HTTP, with a token that is kept fresh."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from services.partners.gateway.files.publish import Ingress
from shared.operator.console import Failed, Misused
from shared.settings import Settings


class OverHttp:
    """Partners, which takes events, and feedback."""

    def __init__(self, ingress: Ingress, feedback: httpx.AsyncClient) -> None:
        self.ingress, self._feedback = ingress, feedback

    async def ask(self, method: str, path: str, *, body: Any = None, **params: Any) -> httpx.Response:
        """What feedback answers, whatever its status.

        Raises:
            Away: it does not answer.
        """

        async def sent() -> httpx.Response:
            token = {"Authorization": f"Bearer {await self.ingress.fresh_token()}"}
            return await self._feedback.request(method, path, params=params, headers=token, json=body)

        return await self.ingress.patiently(sent)

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        """What feedback answers.

        Raises:
            Failed: it refuses.
            Away: it does not answer.
        """
        answer = await self.ask("GET", path, **params)
        body: dict[str, Any] = answer.json()
        if not answer.is_success:
            raise Failed(f"{self._feedback.base_url}{path} answers {answer.status_code}: {body.get('detail')}")
        return body

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


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[tuple[Ingress, httpx.AsyncClient]]:
    """The network that the environment names."""
    urls = {name: os.environ.get(f"PRAKTIKA_{name.upper()}_URL", "") for name in ("partners", "feedback")}
    if missing := [name for name, url in urls.items() if not url]:
        raise Misused(
            f"start the stack (make up), or set PRAKTIKA_{missing[0].upper()}_URL to the address of {missing[0]}"
        )
    async with (
        httpx.AsyncClient(base_url=urls["partners"], timeout=60, trust_env=False) as partners,
        httpx.AsyncClient(base_url=urls["feedback"], timeout=60, trust_env=False) as feedback,
    ):
        yield Ingress(partners, settings), feedback
