"""The page behind a real nginx with the snippet of the README: below a path, and without harm when the sidecar is away."""

import asyncio
import http.client
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import pytest
from playwright.async_api import expect
from pydantic import SecretStr

import sidecar.web
from sidecar.web import WebSettings, start_web
from tests.dns.faulty import FaultyDns
from tests.system.components import program
from tests.system.processes import serving
from tests.web.chromium import chromium, context
from tests.web.fakes import FakeClock, FakeSource, GivenDomain, report_of, source_of

SNIPPET = Path(sidecar.web.__file__).with_name("nginx-snippet.conf")
TOKEN = "correct horse battery staple"
PORT = 8470
BELOW = f"http://127.0.0.1:{PORT}/mta-sts-sidecar/"
CONFIGURATION = """\
daemon off;
user nobody nogroup;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{port};
    absolute_redirect off;
    gzip on;
    add_header Referrer-Policy strict-origin;
    add_header X-Frame-Options SAMEORIGIN always;
    location / {{ return 200 "mailcow"; }}
    include {snippet};
  }}
}}
"""


@contextmanager
def nginx() -> Iterator[None]:
    """As mailcow's: with headers of its own, and whatever else there is at other paths."""
    folder = Path(tempfile.mkdtemp(prefix="nginx.", dir="/tmp"))
    folder.chmod(0o755)
    try:
        text = CONFIGURATION.format(folder=folder, port=PORT, snippet=SNIPPET)
        (folder / "nginx.conf").write_text(text)
        command = [program("nginx"), "-e", "stderr", "-c", str(folder / "nginx.conf")]
        with serving(command, answers=_mailcow_answers, log=folder / "log"):
            yield
    finally:
        shutil.rmtree(folder)


def _mailcow_answers() -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=1)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@asynccontextmanager
async def docker_dns(table: dict[tuple[str, str], list[str]]) -> AsyncIterator[None]:
    """Docker's resolver, at its place."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: FaultyDns(table), ("127.0.0.11", 53)
    )
    try:
        yield
    finally:
        transport.close()


@asynccontextmanager
async def behind(source: FakeSource) -> AsyncIterator[None]:
    """The sidecar, nginx before it, and Docker's resolver that knows where it is."""
    settings = WebSettings("127.0.0.1", 8480, SecretStr(TOKEN))
    web = await start_web(source, settings, FakeClock())
    try:
        with nginx():
            async with docker_dns({("mta-sts-mailcow.", "A"): ["127.0.0.1"]}):
                yield
    finally:
        await web.close()


@pytest.fixture
async def visitor() -> AsyncIterator[aiohttp.ClientSession]:
    """Somebody without a browser."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


async def test_nginx_starts_and_serves_mailcow_while_the_sidecar_is_away(
    visitor: aiohttp.ClientSession,
) -> None:
    """Neither its name nor its port is there: only its own page fails."""
    table: dict[tuple[str, str], list[str]] = {}
    with nginx():
        async with docker_dns(table):
            async with visitor.get(BELOW) as response:
                assert response.status in {502, 503}
            table["mta-sts-mailcow.", "A"] = ["127.0.0.1"]
            async with visitor.get(BELOW) as response:
                assert response.status == 502
        assert _mailcow_answers()


async def test_page_works_below_a_path(visitor: aiohttp.ClientSession) -> None:
    """Redirects, the cookie and the headers fit there, and live updates come through at once."""
    source = source_of((GivenDomain("example.org"),))
    async with behind(source):
        async with visitor.get(BELOW.removesuffix("/"), allow_redirects=False) as response:
            assert response.status == 301
        html = {"Accept": "text/html"}
        async with visitor.get(
            f"{BELOW}domains/example.org", headers=html, allow_redirects=False
        ) as response:
            place = urljoin(f"{BELOW}domains/example.org", response.headers["Location"])
            assert place == f"{BELOW}login?next=domains/example.org"
            assert response.headers.getall("Referrer-Policy") == ["same-origin"]
            assert response.headers.getall("X-Frame-Options") == ["DENY"]
        origin = {"Origin": f"http://127.0.0.1:{PORT}"}
        form = {"token": TOKEN, "next": "domains/example.org"}
        async with visitor.post(f"{BELOW}login", data=form, headers=origin) as response:
            assert str(response.url) == f"{BELOW}domains/example.org"
            assert "example.org" in await response.text()
        (cookie,) = visitor.cookie_jar
        assert cookie["path"] == "/mta-sts-sidecar"
        async with visitor.get(f"{BELOW}events/stream") as response:
            await response.content.readuntil(b"\n\n")
            source.changes.note()
            async with asyncio.timeout(3):
                assert await response.content.readuntil(b"\n\n") == b"event: changed\ndata: 1\n\n"


async def test_browser_is_content_below_a_path() -> None:
    """Log in, look around, act, and follow live."""
    source = source_of()
    async with behind(source), chromium(program("chromium")) as browser, context(browser) as (known, console):
        page = await known.new_page()
        await page.goto(BELOW)
        await page.fill("#token", TOKEN)
        await page.keyboard.press("Enter")
        await expect(page.locator("#live")).to_have_text("live")
        await page.click("nav >> text=Domains")
        await page.click("text=new-shop.example")
        await page.click("text=Check now")
        await expect(page.locator("#flash")).to_contain_text("The check has been requested")
        await expect(page).to_have_url(f"{BELOW}domains/new-shop.example?said=check")
        await page.click(".brand")
        await expect(page.locator("#live")).to_have_text("live")
        source.report = report_of(())
        source.changes.note()
        await expect(page.locator("h1")).to_have_text("This mailcow has no domains yet.")
        assert console.messages == []
    assert source.requests == [("check", "new-shop.example")]
