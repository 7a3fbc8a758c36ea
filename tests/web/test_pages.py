"""The pages over HTTP: every state, headers, who may see them, and that nothing a stranger wrote gets out of its place."""

import re
from dataclasses import replace
from urllib.parse import urljoin

import pytest
from aiohttp import web

from sidecar.formats.mtasts_policy import Mode
from sidecar.host.errors import PermanentError, TemporaryError
from sidecar.observed import CheckRecord, Seen, Served
from sidecar.observed.checks import Finding, Severity
from sidecar.observed.history import HistoryEvent
from sidecar.observed.words import day
from sidecar.web import Progress, WebSettings, start_web
from sidecar.web.auth import ALL_ATTEMPTS, FREE_ATTEMPTS
from sidecar.web.events import MOST_STREAMS
from tests.web.fakes import (
    REALISTIC,
    SETTINGS,
    FakeClock,
    FakeSource,
    GivenDomain,
    loading,
    many,
    report_of,
    source_of,
    unreachable,
    with_checks,
)
from tests.web.visitor import TOKEN, visiting
from tests.worlds import DAY, NOW, given_settings

PAGES = (
    "",
    "domains",
    "domains/choir.example",
    "domains/just-added.example",
    "records",
    "events",
    "reports",
    "reports/choir.example",
)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> {{7*7}} `x`"


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_answers_and_is_sealed(path: str) -> None:
    """With a policy that lets nothing in from elsewhere, and nothing inline."""
    async with visiting(source_of()) as visitor:
        status, text, response = await visitor.get(path)
    assert status == 200
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert "Python" not in response.headers["Server"]
    assert not re.search(r"<script(?![^>]* src=)|\son\w+=|\sstyle=|<style|javascript:", text)
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', text), "no outside asset"


@pytest.mark.parametrize("path", PAGES)
async def test_every_link_is_relative_and_leads_somewhere(path: str) -> None:
    """So the page works below any path of a proxy; that of another domain in a text would be seen here too."""
    async with visiting(source_of()) as visitor:
        _, text, _ = await visitor.get(path)
        links = {link.replace("&amp;", "&") for link in re.findall(r'(?:href|src)="([^"#]+)"', text)}
        assert links
        for link in links:
            assert not link.startswith("/"), link
            below = urljoin(f"http://proxy.example/some/where/{path}", link)
            assert below.startswith("http://proxy.example/some/where/"), link
            status, _, _ = await visitor.get(urljoin(f"/{path}", link).removeprefix("/"))
            assert status == 200, link


@pytest.mark.parametrize("subject", ["deleted.example", "tls-reports@example.org", "tlsrpt.sidecar.internal"])
async def test_event_of_what_has_no_page_has_no_link(subject: str) -> None:
    """A domain that is gone, an alias, a transport: the event names them. Commands in a reason are shown as code."""
    events = [HistoryEvent(NOW, s, "a", "so `none` first", "done", None) for s in (subject, "example.org")]
    async with visiting(source_of((GivenDomain("example.org"),), events=events)) as visitor:
        for path in ("", "events"):
            _, text, _ = await visitor.get(path)
            assert f"<span>{subject}</span>" in text
            assert f"domains/{subject}" not in text
            assert "domains/example.org" in text
            assert "so <code>none</code> first" in text


@pytest.mark.parametrize(("verify", "said"), [(True, "has run yet"), (False, "Sender checks are off")])
async def test_domain_without_a_check_says_whether_one_comes(verify: bool, said: str) -> None:
    """With `verify: false` none does."""
    domains = (GivenDomain("example.org"),)
    source = FakeSource(report_of(domains), settings=replace(SETTINGS, verify=verify))
    async with visiting(source) as visitor:
        _, text, _ = await visitor.get("domains/example.org")
    assert said in text


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (source_of(()), "No domains yet"),
        (loading(), "Reading your mailcow for the first time"),
        (replace(loading(), trouble_now=unreachable().trouble_now), "refuses the connection"),
        (unreachable(), "mailcow cannot be reached"),
        (source_of(progress_now=Progress("Looking at every domain", 12, 5_000, NOW)), "12 of 5,000"),
        (source_of(raises=TemporaryError("the disk is full")), "history cannot be read: the disk is full"),
        (source_of((GivenDomain("example.org"),)), "All is well"),
    ],
    ids=["empty", "loading", "first look fails", "unreachable", "progress", "no history", "fine"],
)
async def test_states_are_shown(source: FakeSource, said: str) -> None:
    """On the overview, and no page fails in any of them."""
    async with visiting(source) as visitor:
        _, text, _ = await visitor.get("")
        assert said in text
        for path in ("domains", "events", "domains?q=x", "events?q=x"):
            status, _, _ = await visitor.get(path)
            assert status == 200


async def test_hostile_text_stays_text() -> None:
    """From the DNS, a certificate, mailcow, the history or the address."""
    source = source_of(
        (GivenDomain("example.org"),), events=[HistoryEvent(NOW, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)]
    )
    finding = Finding("x-y", Severity.CRITICAL, HOSTILE, HOSTILE, HOSTILE, "RFC")
    assert source.report is not None
    source.report = with_checks(source.report, {"example.org": CheckRecord(NOW, (finding,))})
    served = {"example.org": Seen(Served(HOSTILE), NOW)}
    source.report = replace(source.report, observed=replace(source.report.observed, served=served))
    async with visiting(source) as visitor:
        for path in ("", "domains", "domains/example.org", "events"):
            _, text, _ = await visitor.get(path)
            assert "<script>alert" not in text
            assert "<img src=x" not in text
            assert "49" not in re.sub(r'data-now="[^"]*"|v=\w+', "", text), "no template in a value"
        for path in (f"domains?q={HOSTILE}", f"events?q={HOSTILE}", f"domains/{HOSTILE}", f"?said={HOSTILE}"):
            _, text, _ = await visitor.get(path)
            assert "alert(1)</script>" not in text


async def test_domain_is_found_by_its_unicode_name() -> None:
    """And its page has one address."""
    async with visiting(source_of()) as visitor:
        status, _, response = await visitor.get("domains/MÜNCHEN.example")
        assert (status, response.headers["Location"]) == (302, "xn--mnchen-3ya.example")
        _, text, _ = await visitor.get("domains/xn--mnchen-3ya.example")
        assert "<h1>münchen.example" in text


@pytest.mark.parametrize(
    "path", ["nothing", "domains/elsewhere.example", "domains/x/y", "static/none.css", "actions/x"]
)
async def test_what_is_not_there_is_a_page_too(path: str) -> None:
    """404, with the way back."""
    async with visiting(source_of()) as visitor:
        status, text, _ = await visitor.get(path)
        assert status in {404, 405}
        assert "To the overview" in text or "All is" in text


async def test_bug_is_shown_without_its_trace() -> None:
    """The log has it."""
    source = source_of()
    source.raises = ZeroDivisionError("secret inside")
    async with visiting(source) as visitor:
        status, text, _ = await visitor.get("events")
        assert status == 500
        assert "secret" not in text
        assert "Traceback" not in text


async def test_static_files_are_cached_by_their_content() -> None:
    """For ever with their digest, else asked for again each time."""
    async with visiting(source_of()) as visitor:
        _, text, _ = await visitor.get("")
        (link,) = re.findall(r'href="\./(static/style\.css\?v=\w+)"', text)
        _, _, response = await visitor.get(link)
        assert "immutable" in response.headers["Cache-Control"]
        status, _, _ = await visitor.get(link, If_None_Match=response.headers["ETag"])
        assert status == 304
        _, _, response = await visitor.get("static/style.css")
        assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.integration
async def test_page_with_thousands_is_no_larger_than_its_lines() -> None:
    """50 of them."""
    async with visiting(source_of(many(2_000))) as visitor:
        _, text, _ = await visitor.get("domains")
        assert text.count('scope="row"') == 50
        assert "1–50 of 2,000 domains" in text
        _, last, _ = await visitor.get("domains?page=40")
        assert "Page 40 of 40" in last


# --- who may see it --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [*PAGES, "records.zone", "api/v1/status", "api/v1/domains", "events/stream", "metrics", "x"]
)
async def test_nothing_is_seen_without_the_token(path: str) -> None:
    """Not a domain, not a number; also not what others add, and not whether a page exists."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text="choir.example")

    async with visiting(source_of(), token=TOKEN, extra_routes=[web.get("/metrics", metrics)]) as visitor:
        status, text, response = await visitor.get(path)
        assert status == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert not re.search(r"example|mailcow 20|Needs you|data-follow", text)
        status, text, response = await visitor.get(path, Accept="text/html")
        if not path.startswith("api/"):
            assert status == 302
            assert urljoin(f"/{path}", response.headers["Location"]).startswith("/login")
        status, text, _ = await visitor.get("metrics", Authorization=f"Bearer {TOKEN}")
        assert (status, text) == (200, "choir.example")


async def test_health_needs_no_token() -> None:
    """The image asks for it every minute."""

    async def alive(_: web.Request) -> web.Response:
        return web.Response(text="alive")

    async with visiting(source_of(), token=TOKEN, extra_routes=[web.get("/healthz", alive)]) as visitor:
        assert (await visitor.get("healthz"))[:2] == (200, "alive")


async def test_log_in_leads_back_and_out_again() -> None:
    """With a cookie that scripts cannot read and other sites cannot send."""
    async with visiting(source_of(), token=TOKEN) as visitor:
        _, _, response = await visitor.get("domains/choir.example", Accept="text/html")
        assert response.headers["Location"] == "../login?next=domains/choir.example"
        _, text, _ = await visitor.get("login?next=domains/choir.example")
        assert 'value="domains/choir.example"' in text
        status, _, response = await visitor.post("login", {"token": TOKEN, "next": "domains/choir.example"})
        assert (status, response.headers["Location"]) == (303, "./domains/choir.example")
        cookie = response.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert "Path" not in cookie, "its folder is that of the page, below any path of a proxy"
        assert TOKEN not in cookie
        status, text, _ = await visitor.get("domains/choir.example")
        assert status == 200
        assert TOKEN not in text
        status, _, _ = await visitor.post("logout")
        assert status == 303
        assert (await visitor.get("domains/choir.example"))[0] == 401


async def test_cookie_is_for_tls_alone_behind_a_proxy_with_tls() -> None:
    """The browser says so: its own page came by TLS."""
    async with visiting(source_of(), token=TOKEN) as visitor:
        _, _, response = await visitor.post(
            "login", {"token": TOKEN}, Origin=visitor.origin.replace("http:", "https:")
        )
        assert "Secure" in response.headers["Set-Cookie"]
        _, _, response = await visitor.post("login", {"token": TOKEN})
        assert "Secure" not in response.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "../x",
        "domains/../..",
        "javascript:x",
        "x" * 90 + "\n",
    ],
)
async def test_log_in_leads_nowhere_else(place: str) -> None:
    """Whatever a link to it says."""
    async with visiting(source_of(), token=TOKEN) as visitor:
        _, _, response = await visitor.post("login", {"token": TOKEN, "next": place})
        assert response.headers["Location"].startswith("./")
        assert "evil" not in response.headers["Location"]
        assert "javascript" not in response.headers["Location"]
        assert (
            ".." not in response.headers["Location"].removeprefix("./domains/")
            or response.headers["Location"] == "./?said=in"
        )


async def test_wrong_tokens_are_limited() -> None:
    """Forms and headers count together."""
    async with visiting(source_of(), token=TOKEN) as visitor:
        for number in range(FREE_ATTEMPTS):
            if number % 2:
                status, _, _ = await visitor.post("login", {"token": "wrong"})
            else:
                status, _, _ = await visitor.get("api/v1/status", Authorization="Bearer wrong")
            assert status == 401
        status, text, response = await visitor.post("login", {"token": "wrong"})
        assert status == 429
        assert "try again in" in text
        assert int(response.headers["Retry-After"]) >= 1
        assert (await visitor.get("api/v1/status", Authorization="Bearer wrong"))[0] == 429


async def test_right_token_always_works() -> None:
    """Whoever guesses, from this address or with others' names on it: else strangers lock its owner out."""
    routes = [web.get(f"/{name}", _fine) for name in ("metrics", "healthz")]
    async with visiting(source_of(), token=TOKEN, extra_routes=routes) as visitor:
        for n in range(ALL_ATTEMPTS + 5):
            forged = {"X_Forwarded_For": f"198.51.100.{n}", "Authorization": "Bearer wrong"}
            await visitor.get("metrics", **forged)
        assert (await visitor.get("metrics", Authorization="Bearer wrong"))[0] == 429
        for path in ("metrics", "api/v1/status", ""):
            assert (await visitor.get(path, Authorization=f"Bearer {TOKEN}"))[0] == 200
        assert (await visitor.get("healthz", Authorization="Bearer wrong"))[0] == 200, "it needs none"
        assert await visitor.log_in()


async def _fine(_: web.Request) -> web.Response:
    return web.Response()


async def test_forged_addresses_do_not_count_as_others() -> None:
    """A client with forged addresses has the limit of one client; a known proxy reports the real ones."""
    for proxies, first_429 in (((), FREE_ATTEMPTS), (("127.0.0.0/8",), ALL_ATTEMPTS)):
        async with visiting(source_of(), token=TOKEN, proxies=proxies) as visitor:
            statuses = [
                (
                    await visitor.get(
                        "metrics", X_Forwarded_For=f"198.51.100.{n}", Authorization="Bearer wrong"
                    )
                )[0]
                for n in range(ALL_ATTEMPTS + 2)
            ]
        assert statuses.index(429) == first_429


async def test_who_is_logged_in_is_not_kept_out_by_those_who_guess() -> None:
    """A session needs no further attempt."""
    async with visiting(source_of(), token=TOKEN) as visitor:
        await visitor.log_in()
        for _ in range(FREE_ATTEMPTS + 1):
            await visitor.post("login", {"token": "wrong"})
        assert (await visitor.get("domains"))[0] == 200


async def test_log_in_from_a_strangers_form_is_refused() -> None:
    """Else a stranger could log somebody in as somebody else."""
    async with visiting(source_of(), token=TOKEN) as visitor:
        status, _, response = await visitor.post("login", {"token": TOKEN}, Origin="https://evil.example")
        assert status == 403
        assert "Set-Cookie" not in response.headers


async def test_without_a_token_only_known_names_are_answered() -> None:
    """A stranger's name that was made to lead here sees nothing; with a token it does not matter."""
    async with visiting(source_of(), names=["status.example.org"]) as visitor:
        for host, status in (("evil.example", 421), ("status.example.org", 200), ("localhost:1", 200)):
            assert (await visitor.get("", Host=host))[0] == status
            assert (await visitor.get("api/v1/status", Host=host))[0] == status
        _, text, _ = await visitor.get("", Host="evil.example")
        assert "choir" not in text
    async with visiting(unreachable()) as visitor:
        for path in ("", "tlsrpt"):
            _, text, _ = await visitor.get(path, Host="evil.example")
            assert "refuses the connection" not in text
    async with visiting(source_of(), token=TOKEN) as visitor:
        assert (await visitor.get("login", Host="mail.example.org"))[0] == 200


async def test_without_a_token_there_is_no_log_in() -> None:
    """And the pages say how to get one."""
    async with visiting(source_of()) as visitor:
        assert (await visitor.get("login"))[0] == 302
        assert (await visitor.post("login", {"token": ""}))[0] == 404
        _, text, _ = await visitor.get("")
        assert "MTA_STS_WEB_TOKEN" in text
        assert text.count("disabled") == 2


# --- the server ------------------------------------------------------------------------------------------


async def test_port_in_use_is_an_error_with_a_remedy() -> None:
    """Not as a trace."""
    async with visiting(source_of()) as visitor:
        with pytest.raises(PermanentError, match="choose another address or port"):
            await start_web(source_of(), WebSettings(port=visitor.web.port), FakeClock())


async def test_head_is_answered_and_other_methods_are_not() -> None:
    """With what is allowed instead."""
    async with visiting(source_of()) as visitor:
        assert (await visitor.ask("HEAD", ""))[0] == 200
        status, _, response = await visitor.ask("DELETE", "domains")
        assert status == 405
        assert "GET" in response.headers["Allow"]


async def test_large_bodies_are_refused() -> None:
    """Nothing that is sent here is large."""
    async with visiting(source_of(), token=TOKEN) as visitor:
        assert (await visitor.post("login", {"token": "x" * 20_000}))[0] == 413


async def test_streams_are_bounded() -> None:
    """One too many is asked to come later."""
    async with visiting(source_of(REALISTIC)) as visitor:
        opened = [await visitor.session.get(visitor.web.url + "events/stream") for _ in range(MOST_STREAMS)]
        status, _, response = await visitor.get("events/stream")
        assert status == 503
        assert response.headers["Retry-After"] == "60"
        for one in opened:
            one.close()


async def test_page_says_what_is_missing_to_protection() -> None:
    """In the default mode, with everything well: the line for config.yml, to be copied, and the date."""
    settings = given_settings({"tls_report": "tls-reports@example.org"})
    ready = source_of(
        (GivenDomain("a.example", Mode.TESTING), GivenDomain("b.example", Mode.TESTING)), settings=settings
    )
    async with visiting(ready) as visitor:
        _, text, _ = await visitor.get("")
    assert "2 domains are ready for enforce: one line in config.yml." in text
    assert '<pre id="protection" tabindex="0"><code>mode: auto</code></pre>' in text
    soaking = source_of((GivenDomain("a.example", Mode.TESTING, "soaking"),), settings=settings)
    async with visiting(soaking) as visitor:
        _, text, _ = await visitor.get("")
    assert f"from {day(NOW + 4 * DAY)} on" in text
