"""The page in a real browser: every page, in light and dark, on a desk and on a phone, with and without JavaScript."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect
from pydantic import SecretStr

from sidecar.observed.history import HistoryEvent
from sidecar.web import Progress, WebServer, WebSettings, start_web
from sidecar.web.records import SHOWN
from tests.system.components import program
from tests.web.chromium import DESKTOP, PHONE, TABLET, Complaints, chromium, context, log_in
from tests.web.fakes import (
    REALISTIC,
    THREE,
    UNREACHABLE,
    FakeClock,
    FakeSource,
    GivenDomain,
    loading,
    many,
    report_of,
    source_of,
    unreachable,
)
from tests.web.test_reports import failure
from tests.web.test_reports import view as reports_view
from tests.worlds import NOW

TOKEN = "correct horse battery staple"
LARGE = 5_000
FIRST_PAINT_MS = 1_000
FIRST_PAINT = """() => new Promise((done) => new PerformanceObserver((list) => {
  for (const entry of list.getEntriesByName("first-contentful-paint")) done(entry.startTime);
}).observe({ type: "paint", buffered: true }))"""


# one browser for all: a visitor of its own is what a test needs
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium."""
    async with chromium(program("chromium")) as browser:
        yield browser


@asynccontextmanager
async def served(source: FakeSource, token: str | None = TOKEN) -> AsyncIterator[WebServer]:
    """The page, on loopback."""
    settings = WebSettings(port=0, token=SecretStr(token) if token else None)
    web = await start_web(source, settings, FakeClock())
    try:
        yield web
    finally:
        await web.close()


@asynccontextmanager
async def seen(
    browser: Browser, source: FakeSource, **options: Any
) -> AsyncIterator[tuple[Page, WebServer, Complaints]]:
    """Somebody who is logged in; at the end the browser must have had nothing to complain of."""
    async with served(source) as web, context(browser, **options) as (visitor, complaints):
        page = await visitor.new_page()
        await log_in(page, web.url, TOKEN)
        yield page, web, complaints
        assert complaints.messages == []


@cache
def state(number: int) -> FakeSource:
    """A daemon with so many domains; only looked at."""
    return source_of({0: (), 3: THREE}.get(number, many(number)))


async def accessible(page: Page) -> None:
    """No violation that axe-core knows of."""
    found = (await Axe().run(page)).response["violations"]
    assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found] == []


async def fits(page: Page) -> None:
    """Nothing sticks out to the side."""
    over = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over <= 0, page.url


async def nothing_overprints(page: Page) -> None:
    """No text of a table reaches into the cell beside it."""
    over = await page.evaluate(
        """[...document.querySelectorAll("td, th")].filter((cell) => cell.offsetParent
          && cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.textContent)"""
    )
    assert over == [], page.url


async def settle(page: Page, text: str = "live") -> None:
    """Until the page is connected."""
    await expect(page.locator("#live")).to_have_text(text)


async def test_what_is_wrong_would_be_seen(browser: Browser) -> None:
    """Else the tests below could not fail: a page without a title, a style of its own, a row that sticks out."""
    async with served(state(3)) as web, context(browser, viewport=PHONE) as (visitor, complaints):
        page = await visitor.new_page()
        await page.goto(web.url)
        await page.set_content("<p>x</p>")
        with pytest.raises(AssertionError, match="document-title"):
            await accessible(page)
        await page.goto(web.url)
        await page.evaluate("document.body.innerHTML = '<p id=x style=\"color: red\">x</p>'")
        await page.evaluate("document.getElementById('x').textContent = 'x'.repeat(999)")
        with pytest.raises(AssertionError):
            await fits(page)
        assert any("Content Security Policy" in message for message in complaints.messages)


# --- every page ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, TABLET, PHONE], ids=["desk", "tablet", "phone"])
@pytest.mark.parametrize("number", [0, 3, LARGE])
async def test_every_page_is_accessible_and_fits(
    browser: Browser, number: int, size: dict[str, int], scheme: str
) -> None:
    """With none, three and thousands of domains; the console stays empty, so the CSP was not violated."""
    paths = {
        0: ["", "domains", "records", "events", "domains/none.example"],
        3: [
            "",
            "domains",
            "records",
            "events",
            *(f"domains/{given.name}" for given in THREE),
            "domains?q=nothing",
        ],
        LARGE: [
            "",
            "domains",
            "domains?page=7&sort=certificate&order=desc",
            "domains/d0077.example",
            "records",
        ],
    }
    async with seen(browser, state(number), viewport=size, color_scheme=scheme) as (page, web, complaints):
        for path in paths[number]:
            await page.goto(web.url + path)
            await settle(page)
            if path == "domains/none.example":
                # the browser itself reports each 404 there
                complaints.messages.clear()
            await fits(page)
            await nothing_overprints(page)
            await accessible(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, TABLET, PHONE], ids=["desk", "tablet", "phone"])
async def test_reports_are_accessible_and_fit(browser: Browser, size: dict[str, int], scheme: str) -> None:
    """Of all domains, and of one; the tables of numbers, too."""
    source = source_of()
    failed = reports_view(failure("certificate-expired", 3), failure("sts-policy-fetch-error", 500))
    source.reported = {"": failed, "choir.example": failed}
    async with seen(browser, source, viewport=size, color_scheme=scheme) as (page, web, _):
        for path in ("reports", "reports/choir.example"):
            await page.goto(web.url + path)
            await settle(page)
            await page.click("summary")
            await fits(page)
            await nothing_overprints(page)
            await accessible(page)


@pytest.mark.parametrize("source", [source_of(), unreachable()], ids=["live", "not current"])
async def test_frame_of_the_page_takes_one_line_on_a_tablet(browser: Browser, source: FakeSource) -> None:
    """Each word of it stays whole, whatever the state."""
    async with seen(browser, source, viewport=TABLET) as (page, _, _):
        await settle(page, "not current" if source.trouble_now else "live")
        heights = await page.evaluate(
            "[...document.querySelectorAll('.brand, .bar nav, .right')].map((one) => one.offsetHeight)"
        )
        assert max(heights) < 48, heights
        await fits(page)


async def test_domain_that_is_fine_takes_one_line_on_a_phone(browser: Browser) -> None:
    """Its name and its status; one that needs a person shows everything."""
    async with seen(browser, source_of(), viewport=PHONE) as (page, web, _):
        await page.goto(f"{web.url}domains")
        heights = await page.evaluate(
            "[...document.querySelectorAll('tbody.good')].map((one) => one.clientHeight)"
        )
        assert len(heights) == 4
        assert max(heights) < 56
        await expect(page.locator("tbody.failing td").first).to_be_visible()
        await expect(page.locator("tbody.good td[data-label=Mode]").first).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("source", "said"),
    [
        (loading(), "Reading your mailcow for the first time"),
        (loading(Progress("Looking at every domain", 1_240, 5_000, NOW - 95)), "1,240 of 5,000"),
        (unreachable(), "mailcow cannot be reached"),
        (FakeSource(trouble_now=UNREACHABLE), "mailcow cannot be reached"),
        (source_of(progress_now=Progress("Looking at every domain", 3, 10, NOW - 5)), "3 of 10"),
    ],
    ids=["loading", "progress", "unreachable", "never reached", "first checks"],
)
async def test_states_are_accessible(browser: Browser, source: FakeSource, said: str, scheme: str) -> None:
    """Designed, and not left over."""
    async with seen(browser, source, viewport=PHONE, color_scheme=scheme) as (page, _, _):
        await settle(page, "not current" if source.trouble_now else "live")
        await expect(page.locator("main")).to_contain_text(said)
        await fits(page)
        await accessible(page)


async def test_log_in_is_accessible_and_tells_a_mistake(browser: Browser) -> None:
    """Before, after a wrong token, and the page that was asked for after the right one."""
    async with (
        served(source_of()) as web,
        context(browser, color_scheme="dark", viewport=PHONE) as (visitor, console),
    ):
        page = await visitor.new_page()
        await page.goto(f"{web.url}domains/choir.example")
        await expect(page).to_have_url(f"{web.url}login?next=domains/choir.example")
        await accessible(page)
        assert "choir" not in await page.inner_text("body")
        await page.fill("#token", "wrong")
        await page.keyboard.press("Enter")
        await expect(page.locator("#mistake")).to_have_text("This is not the token.")
        await accessible(page)
        console.messages.clear()  # the browser reports the 401
        await page.fill("#token", TOKEN)
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_contain_text("choir.example")
        assert console.messages == []
        await page.click("text=Log out")
        await expect(page.locator("#flash")).to_have_text("You are logged out.")


async def test_clicks_lead_through_every_page(browser: Browser) -> None:
    """From the overview to a domain, its records, the table, the events, and back."""
    async with seen(browser, source_of()) as (page, web, _):
        await page.goto(web.url)
        await page.click(".needs >> text=new-shop.example")
        await expect(page.locator("h1")).to_contain_text("new-shop.example")
        await page.click("nav >> text=Domains")
        await expect(page.locator("h1")).to_have_text("Domains")
        await page.click("text=münchen.example")
        await page.click("summary")
        await expect(page.locator(".fine")).to_contain_text("policy-fetched")
        await page.click("nav >> text=Events")
        await page.click(".timeline >> text=orchard.example")
        await expect(page.locator("h1")).to_contain_text("orchard.example")
        await page.click(".brand")
        await page.click(".tile.failing a")
        await expect(page.locator("tbody")).to_have_count(1)


async def test_actions_are_done_from_the_page(browser: Browser) -> None:
    """With the browser's own Origin and cookie."""
    source = source_of()
    async with seen(browser, source) as (page, web, _):
        await page.goto(web.url)
        await page.click("text=Apply now")
        await expect(page.locator("#flash")).to_contain_text("A pass has been requested")
        await page.goto(f"{web.url}domains/old-hand.example")
        await page.click("text=Check now")
        await expect(page.locator("#flash")).to_contain_text("The check has been requested")
        await page.click('button:has-text("Let the sidecar manage it")')
        await expect(page.locator("#flash")).to_contain_text("The next pass adopts the policy")
    assert source.requests == [
        ("apply", None),
        ("check", "old-hand.example"),
        ("adopt", ("old-hand.example",)),
    ]


async def test_form_on_a_strangers_page_changes_nothing(browser: Browser) -> None:
    """Although the browser has a session here; the stranger's page is on another port of the same machine."""
    source = source_of()

    async def strange(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = f'<form method=post action="{target}actions/apply"><button>win</button></form>'
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()

    async with served(source) as web, context(browser) as (visitor, _):
        target = web.url
        server = await asyncio.start_server(strange, "127.0.0.1", 0)
        page = await visitor.new_page()
        await log_in(page, web.url, TOKEN)
        await page.goto(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await page.click("text=win")
        await page.wait_for_url(f"{web.url}actions/apply")
        await expect(page.locator("h1")).to_contain_text("not allowed")
        server.close()
    assert source.requests == []


# --- with JavaScript -------------------------------------------------------------------------------------


async def test_page_follows_live_and_keeps_the_focus(browser: Browser) -> None:
    """Without being loaded again; what had the focus still has it."""
    source = source_of((GivenDomain("example.org"),))
    async with seen(browser, source) as (page, web, _):
        await page.goto(web.url)
        await settle(page)
        await page.evaluate("window.same = true")
        await page.focus('a[href="./domains/example.org"]')
        source.report = report_of((GivenDomain("example.org"), GivenDomain("new.example")))
        source.events.append(
            HistoryEvent(NOW, "new.example", "add policy", "the domain has no policy", "done", None)
        )
        source.changes.note()
        await expect(page.locator("tbody")).to_have_count(2)
        await expect(page.locator(".timeline")).to_contain_text("the domain has no policy")
        assert await page.evaluate("window.same")
        assert await page.evaluate("document.activeElement.textContent") == "example.org"
        source.trouble_now = UNREACHABLE
        source.changes.note()
        await expect(page.locator("#state")).to_contain_text("refuses the connection")
        await settle(page, "not current")
        await expect(page.locator("#live")).to_have_class("live lost")
        source.trouble_now = None
        source.changes.note()
        await settle(page)
        await expect(page.locator("#live")).to_have_class("live")
        await accessible(page)


async def test_first_look_turns_into_the_overview(browser: Browser) -> None:
    """By itself."""
    source = loading()
    async with seen(browser, source) as (page, web, _):
        await page.goto(web.url)
        await settle(page)
        source.progress_now = Progress("Looking at every domain", 1, 2, NOW)
        source.changes.note()
        await expect(page.locator("progress")).to_have_attribute("value", "1")
        source.report, source.progress_now = report_of(REALISTIC), None
        source.changes.note()
        await expect(page.locator("h1")).to_have_text("1 domain fails: mail may be refused.")
        await expect(page.locator("#announce")).to_have_text("1 domain fails: mail may be refused.")
        await expect(page.locator("progress")).to_have_count(0)


async def test_page_says_that_it_is_cut_off_and_finds_back(browser: Browser) -> None:
    """A sidecar that was restarted, at the same place."""
    source = source_of()
    async with context(browser) as (visitor, _):
        async with served(source, None) as web:
            page = await visitor.new_page()
            await page.goto(web.url)
            await settle(page)
        await expect(page.locator("#live")).to_have_text("not live")
        source.report = report_of(())
        source.changes.note()
        again = await start_web(source, WebSettings(port=web.port), FakeClock())
        await expect(page.locator("#live")).to_have_text("live", timeout=20_000)
        await expect(page.locator("h1")).to_have_text("This mailcow has no domains yet.")
        await again.close()


async def test_table_is_searched_while_typing(browser: Browser) -> None:
    """The address follows, so that it can be kept; the answer is announced."""
    async with seen(browser, state(LARGE)) as (page, web, _):
        await page.goto(f"{web.url}domains")
        await page.type('input[type="search"]', "d0077")
        await expect(page.locator("tbody")).to_have_count(1)
        await expect(page.locator("#announce")).to_have_text("1–1 of 1 domain, filtered out of 5,000")
        assert page.url.endswith("domains?q=d0077&sort=status")
        await page.fill('input[type="search"]', "no such")
        await expect(page.locator("main")).to_contain_text("No domain matches")
        await page.click("#all")
        await page.click("thead >> text=Domain")
        await expect(page.locator("tbody th a").first).to_have_text("d0000.example")
        await page.click("thead >> text=Domain")
        await expect(page.locator("tbody th a").first).to_have_text("d4999.example")
        await page.click('.pager a[rel="next"]')
        await expect(page.locator(".pager")).to_contain_text("Page 2 of 100")
        await page.select_option('select[name="mode"]', "testing")
        await expect(page.locator("#found")).to_contain_text("filtered out of 5,000")


async def test_record_is_copied_as_it_is_to_be_pasted(browser: Browser) -> None:
    """And the button says so."""
    async with seen(browser, source_of(), permissions=["clipboard-read", "clipboard-write"]) as (
        page,
        web,
        _,
    ):
        await page.goto(f"{web.url}domains/just-added.example")
        await page.click(".record summary >> nth=0")
        for part, text in (
            ("", "mta-sts.just-added.example. 120 IN CNAME mail.example.org."),
            ("-name", "mta-sts.just-added.example"),
            ("-type", "CNAME"),
            ("-value", "mail.example.org"),
        ):
            await page.click(f'[data-copy="record-1{part}"]')
            await expect(page.locator(f'[data-copy="record-1{part}"]')).to_have_text("Copied")
            assert await page.evaluate("navigator.clipboard.readText()") == text


@pytest.mark.parametrize("clipboard", [True, False], ids=["clipboard", "without TLS"])
async def test_records_of_thousands_are_copied_and_downloaded(browser: Browser, clipboard: bool) -> None:
    """All of them, also those that the page does not show; without TLS a browser gives a page no clipboard."""
    async with seen(browser, state(LARGE), permissions=["clipboard-read", "clipboard-write"]) as (
        page,
        web,
        _,
    ):
        await page.goto(f"{web.url}records?all=1")
        await expect(page.locator("#zone")).to_contain_text("; DNS records for mail.example.org")
        async with page.expect_download() as waiting:
            await page.click("text=Download")
        download = await waiting.value
        assert download.suggested_filename == "records.zone"
        text = (await download.path()).read_text()
        assert text.count("\n") > SHOWN
        if not clipboard:
            await page.evaluate(
                "void (navigator.clipboard.writeText = () => Promise.reject(new Error('no')))"
            )
        await page.click(".acts .copy")
        await expect(page.locator(".acts .copy")).to_have_text("Copied")
        assert await page.evaluate("navigator.clipboard.readText()") == text


async def test_keyboard_is_enough(browser: Browser) -> None:
    """The first stop skips to the content, and a domain is reached from there."""
    async with seen(browser, source_of()) as (page, web, _):
        await page.goto(web.url)
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "main"
        for _ in range(40):
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement.textContent") == "choir.example":
                break
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_contain_text("choir.example")


@pytest.mark.parametrize("path", ["", "domains", "domains/d0077.example"])
async def test_first_paint_is_quick_with_thousands_of_domains(browser: Browser, path: str) -> None:
    """On loopback, the first page after a look of the daemon included."""
    async with seen(browser, source_of(many(LARGE))) as (page, web, _):
        await page.goto(web.url + path)
        await settle(page)
        assert await page.evaluate(FIRST_PAINT) < FIRST_PAINT_MS


# --- without JavaScript ----------------------------------------------------------------------------------


async def test_all_works_without_javascript(browser: Browser) -> None:
    """Log in, search, sort, turn pages, read, act, log out."""
    source = source_of(many(120))
    async with seen(browser, source, java_script_enabled=False) as (page, web, _):
        await page.goto(f"{web.url}domains")
        await page.click('.pager a[rel="next"]')
        await expect(page.locator(".pager")).to_contain_text("Page 2 of 3")
        await page.fill('input[type="search"]', "d0077")
        await page.click("text=Show >> nth=0")
        await expect(page.locator("tbody")).to_have_count(1)
        await page.click("tbody a")
        await expect(page.locator("h1")).to_contain_text("d0077.example")
        await expect(page.locator("#record-1")).to_have_text(
            "mta-sts.d0077.example. 120 IN CNAME mail.example.org."
        )
        await expect(page.locator(".copy").first).to_be_hidden()
        await page.click("text=Check now")
        await expect(page.locator("#flash")).to_contain_text("The check has been requested")
        await page.click("nav >> text=Events")
        await expect(page.locator(".timeline li")).to_have_count(8)
        await page.click("text=Log out")
        await expect(page.locator("h1")).to_have_text("Log in")
    assert source.requests == [("check", "d0077.example")]
