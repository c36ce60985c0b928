"""Pictures of the demo's pages for the README: `make screenshots`, after `make demo`. Needs Chromium."""

import asyncio
import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.async_api import async_playwright

from deploy.stack import Choice

FOLDER = Path(__file__).parents[1] / "docs/pictures"
WIDTH, HEIGHT = 1280, 860
PROGRAMME = "nice-sophia-antipolis:2002565"
PAGES = {
    "overview": f"?scope=programme&scope_id={PROGRAMME}",
    "ranking": "ranking?indicator=employment_rate_18m&order=lowest&least=20",
}
# The first that is installed; the shell has no windows of its own, and so takes half as long.
CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, CHROMIUMS)), None)


async def main() -> None:
    if CHROMIUM is None:
        sys.exit("Chromium is needed (on Debian: apt install chromium-headless-shell)")
    address = Choice.kept().address()
    FOLDER.mkdir(exist_ok=True)
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(locale="en-GB", viewport={"width": WIDTH, "height": HEIGHT})
        for name, path in PAGES.items():
            await page.goto(f"{address}/{path}")
            picture = Image.open(io.BytesIO(await page.screenshot()))
            file = FOLDER / f"{name}.png"
            picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(file, optimize=True)
            print(f"{file.relative_to(FOLDER.parents[1])}: {file.stat().st_size / 1000:.0f} kB")
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
