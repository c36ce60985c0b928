"""Pages in a real browser; the fixture `browser` is in conftest.py."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, expect

from tests.packages import packages

expect.set_options(timeout=20_000)
Test = Callable[..., Awaitable[None]]


def within(limit_s: float) -> Callable[[Test], Test]:
    """What a browser is told has no limit of its own: a test that hangs fails, and shows where."""

    def limited(test: Test) -> Test:
        @wraps(test)
        async def run(*args: Any, **kwargs: Any) -> None:
            async with asyncio.timeout(limit_s):
                await test(*args, **kwargs)

        return run

    return limited


async def visited(browser: Browser, address: str, **context: Any) -> tuple[Page, list[str]]:
    """The page at an address, and what it says on the console (besides which answers were refusals)."""
    page = await (await browser.new_context(**context)).new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    await page.goto(address)
    await expect(page.locator("h1")).not_to_be_empty()
    return page, said


async def shot(page: Page, name: str) -> None:
    """Kept to be looked at where PRAKTIKA_SHOTS names a folder."""
    if folder := os.environ.get("PRAKTIKA_SHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


PHONE, DESK = {"width": 390, "height": 844}, {"width": 1440, "height": 900}
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_AXE = """async (tags) => {
  const { violations } = await axe.run(document, { runOnly: { type: "tag", values: tags } });
  return violations.map(({ id, help, nodes }) => [id, help, ...nodes.map((node) => node.html)].join("\\n  "));
}"""


async def accessible(page: Page) -> None:
    """Demand that axe-core finds nothing of WCAG 2.2 AA, and that a phone's page is no wider than the phone."""
    await page.evaluate((packages() / "node_modules/axe-core/axe.min.js").read_text())
    found: list[str] = await page.evaluate(_AXE, WCAG)
    assert not found, "\n".join([page.url, *found])
    overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, f"{page.url} is {overflow} px wider than the window"
