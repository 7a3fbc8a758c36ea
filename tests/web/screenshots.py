"""Makes the pictures of the documents: `python -m tests.web.screenshots [FOLDER]`.

The state is a realistic one: most domains enforced, one waiting for DNS, one failing. Needs Chromium.
"""

import asyncio
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser
from pydantic import SecretStr

from sidecar.web import Progress, WebSettings, start_web
from tests.web.chromium import DESKTOP, PHONE, chromium, context, log_in
from tests.web.fakes import FakeClock, FakeSource, many, source_of
from tests.worlds import NOW

FOLDER = Path(__file__).parent / "screenshots"
TOKEN = "correct horse battery staple"


@dataclass(frozen=True)
class Picture:
    """A page in a state, as some visitor sees it."""

    name: str
    source: FakeSource
    path: str = ""
    dark: bool = False
    size: dict[str, int] | None = None
    whole: bool = False


def pictures() -> list[Picture]:
    """All of them; those of the README first."""
    progress = Progress("Looking at every domain as a sender does", 1_240, 5_000, NOW - 95)
    large = source_of(many(5_000), progress_now=progress)
    return [
        Picture("overview", source_of()),
        Picture("overview-dark", source_of(), dark=True),
        Picture("domain", source_of(), "domains/new-shop.example", whole=True),
        Picture("five-thousand", large, "domains"),
        Picture("phone", source_of(), size=PHONE),
    ]


async def take(browser: Browser, picture: Picture, folder: Path) -> None:
    """One picture."""
    web = await start_web(picture.source, WebSettings(port=0, token=SecretStr(TOKEN)), FakeClock())
    options: dict[str, Any] = {
        "color_scheme": "dark" if picture.dark else "light",
        "viewport": picture.size or DESKTOP,
        "device_scale_factor": 1,
        "reduced_motion": "reduce",
    }
    try:
        async with context(browser, **options) as (visitor, _):
            page = await visitor.new_page()
            await log_in(page, web.url, TOKEN)
            await page.goto(web.url + picture.path)
            await page.wait_for_selector("#live:not([hidden])")
            await page.screenshot(path=folder / f"{picture.name}.png", full_page=picture.whole)
    finally:
        await web.close()


async def main(folder: Path, found: list[Picture]) -> None:
    """All pictures into a folder."""
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("Chromium is needed: apt-get install chromium")
    async with chromium(program) as browser:
        for picture in found:
            await take(browser, picture, folder)
            print(folder / f"{picture.name}.png")


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target, pictures()))
