"""A headless Chromium that keeps count of what a page does wrong: messages in its console, failed requests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

FLAGS = [
    "--no-sandbox",  # root cannot have one
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESKTOP = {"width": 1440, "height": 900}
TABLET = {"width": 768, "height": 1024}
PHONE = {"width": 360, "height": 740}


@dataclass
class Complaints:
    """What went wrong in the pages of a context."""

    messages: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        page.on("console", lambda message: self.messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.messages.append(f"error: {error}"))


@asynccontextmanager
async def chromium(program: str) -> AsyncIterator[Browser]:
    """The browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def context(browser: Browser, **options: Any) -> AsyncIterator[tuple[BrowserContext, Complaints]]:
    """A fresh visitor."""
    made = await browser.new_context(**{"viewport": DESKTOP, "locale": "en-GB", **options})
    complaints = Complaints()
    made.on("page", complaints.follow)
    try:
        yield made, complaints
    finally:
        await made.close()


async def log_in(page: Page, url: str, token: str) -> None:
    """Through the form."""
    await page.goto(f"{url}login")
    await page.fill("#token", token)
    await page.click("main button")
    await page.wait_for_selector("#page")
