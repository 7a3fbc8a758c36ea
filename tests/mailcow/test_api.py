"""The API client against the simulated mailcow, and against servers that do what mailcow never should."""

import asyncio
import gzip
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from demo.simulated import API, POLICY, Fault, SimulatedMailcow
from sidecar.formats.mtasts_policy import Mode, Policy, parse, render
from sidecar.host.errors import PermanentError, TemporaryError
from sidecar.mailcow.api import (
    AccessDenied,
    Added,
    Counts,
    Deadlines,
    DeniedCause,
    Edited,
    Exists,
    MailcowApi,
    NoSuchRoute,
    NoSuchRow,
    NotReadable,
    RedisRefusesWrites,
    WriteUnconfirmed,
    check_policy,
)
from sidecar.mailcow.endpoint import Endpoint, endpoint, fingerprint
from sidecar.observed import AliasDomain, Backend, Conf, Domain, DomainList, Mailcow, Served, Version

HOSTNAME = "mail.example.org"
POLICY_OF = Policy(Mode.TESTING, 86_400, (HOSTNAME,))
HASTY = Deadlines(connect=0.3, list=0.3, call=0.3)


@asynccontextmanager
async def calling(
    mailcow: SimulatedMailcow, key: str | None = None, deadlines: Deadlines | None = None
) -> AsyncIterator[MailcowApi]:
    """A client of a simulated mailcow, with its read-write key unless another is given."""
    place = endpoint(Conf({"MAILCOW_HOSTNAME": HOSTNAME}), mailcow.url)
    async with MailcowApi(place, mailcow.key or "" if key is None else key, deadlines=deadlines) as api:
        yield api


@pytest.fixture
async def mailcow() -> AsyncIterator[SimulatedMailcow]:
    """The newest one, without domains."""
    async with await SimulatedMailcow.start() as found:
        yield found


@pytest.fixture
async def api(mailcow: SimulatedMailcow) -> AsyncIterator[MailcowApi]:
    """A client of it."""
    async with calling(mailcow) as found:
        yield found


# --- reads -----------------------------------------------------------------------------------------------


async def test_domain_list(mailcow: SimulatedMailcow, api: MailcowApi) -> None:
    """Domains with their states and alias domains, in order; and how long mailcow took."""
    assert (await api.timed_domain_list())[0] == DomainList((), ())
    mailcow.add_domain("example.org")
    mailcow.add_domain("bücher.example", active=False)
    mailcow.add_domain("backup.example", backup_mx=True)
    mailcow.add_alias("alias.example", "example.org", active=False)
    mailcow.slow("get/alias-domain", 0.05)
    found, seconds = await api.timed_domain_list()
    assert found == DomainList(
        (
            Domain("backup.example", active=True, backup_mx=True),
            Domain("example.org", active=True, backup_mx=False),
            Domain("xn--bcher-kva.example", active=False, backup_mx=False),
        ),
        (AliasDomain("alias.example", "example.org", active=False),),
    )
    assert seconds >= 0.05
    assert await api.aliases() == found.aliases


async def test_one_list_at_a_time(mailcow: SimulatedMailcow, api: MailcowApi) -> None:
    """Lists wait for each other, which is not part of the measured time; other calls go on meanwhile."""
    mailcow.slow("get/domain/all", 0.1)
    begun = time.monotonic()
    lists = [asyncio.create_task(api.timed_domain_list()) for _ in range(3)]
    await mailcow.until(lambda: len(mailcow.asked("get/domain/all")) == 1)
    await api.version()
    assert len(mailcow.asked("get/domain/all")) == 1
    assert sum(seconds for _, seconds in await asyncio.gather(*lists)) <= time.monotonic() - begun


@pytest.mark.parametrize(
    ("version", "route", "other"),
    [
        ("2025-07", "get/domain/datatables", "search/domain"),
        ("2026-01", "get/domain/datatables", "search/domain"),
        ("2026-03", "search/domain", "get/domain/datatables"),
        ("2026-07a", "search/domain", "get/domain/datatables"),
    ],
)
async def test_counts_by_the_route_of_the_version(version: str, route: str, other: str) -> None:
    """The version says which route to ask; the other is not tried."""
    async with await SimulatedMailcow.start(version=version) as mailcow, calling(mailcow) as api:
        mailcow.add_domain("example.org")
        mailcow.add_domain("off.example", active=False)
        mailcow.add_domain("backup.example", backup_mx=True)
        assert await api.counts(Version.parse(version)) == Counts(total=3, active=2, backup_mx=1)
        assert mailcow.asked(route)
        assert not mailcow.asked(other)


async def test_counts_find_the_other_route_and_remember_it() -> None:
    """A version that misleads costs one refused call, once; an update under our feet is survived."""
    async with await SimulatedMailcow.start(version="2025-12") as mailcow, calling(mailcow) as api:
        assert await api.counts(None) == Counts(0, 0, 0)
        assert await api.counts(None) == Counts(0, 0, 0)
        assert len(mailcow.asked("search/domain")) == 1
        mailcow.update_to("2026-07a")
        assert await api.counts(None) == Counts(0, 0, 0)


async def test_an_odd_mailcow_without_counts() -> None:
    """With neither route it is None, and costs no more calls until the version changes."""
    async with await SimulatedMailcow.start(version="2026-07a") as mailcow, calling(mailcow) as api:
        mailcow.fail("search/domain", Fault.ROUTE_MISSING)
        assert await api.counts(Version(2026, 2)) is None
        calls = len(mailcow.requests)
        assert await api.counts(Version(2026, 2)) is None
        assert len(mailcow.requests) == calls
        mailcow.heal()
        assert await api.counts(Version(2026, 3)) == Counts(0, 0, 0)


async def test_an_outage_does_not_look_like_a_missing_route(
    mailcow: SimulatedMailcow, api: MailcowApi
) -> None:
    """Counts that fail are asked for again."""
    mailcow.fail(API, Fault.HTML_500)
    with pytest.raises(NotReadable):
        await api.counts(None)
    mailcow.heal()
    assert await api.counts(None) == Counts(0, 0, 0)


async def test_native_route() -> None:
    """Found by behaviour, without a side effect; a read-only key cannot find out."""
    for version, native in (("2025-07", False), ("2025-09", True), ("2026-07a", True)):
        async with await SimulatedMailcow.start(version=version) as mailcow:
            async with calling(mailcow) as api:
                assert await api.native_route() is native
            async with calling(mailcow, mailcow.read_only_key) as api:
                assert await api.native_route() is None
            assert not mailcow.policies


async def test_served_needs_no_key(mailcow: SimulatedMailcow) -> None:
    """Without a key nothing is asked of the API, but policies are seen."""
    async with calling(mailcow, "") as api:
        assert await api.served("example.org") == Served(None)
        with pytest.raises(AccessDenied) as caught:
            await api.version()
    assert caught.value.cause is DeniedCause.NO_KEY
    assert not mailcow.asked(API)


# --- refusals and outages --------------------------------------------------------------------------------


async def test_refusals(mailcow: SimulatedMailcow) -> None:
    """Wrong key, wrong address, read-only key: each with its cause, and none with the key in its text."""
    async with calling(mailcow, "WRONG-KEY-123") as api:
        with pytest.raises(AccessDenied) as wrong:
            await api.timed_domain_list()
    async with calling(mailcow, mailcow.read_only_key) as api:
        mailcow.add_domain("example.org")
        assert len((await api.timed_domain_list())[0].domains) == 1
        with pytest.raises(AccessDenied) as read_only:
            await api.add_policy("example.org", POLICY_OF)
    mailcow.allow_from = ("192.0.2.0/24",)
    async with calling(mailcow) as api:
        with pytest.raises(AccessDenied, match=r"Add 127\.0\.0\.1 to") as address:
            await api.version()
    causes = [caught.value.cause for caught in (wrong, read_only, address)]
    assert causes == [DeniedCause.WRONG_KEY, DeniedCause.READ_ONLY, DeniedCause.ADDRESS]
    assert address.value.address == "127.0.0.1"
    for caught in (wrong, read_only, address):
        assert not any(
            key in str(caught.value)
            for key in ("WRONG-KEY-123", mailcow.key or "x", mailcow.read_only_key or "x")
        )


async def test_a_key_with_odd_characters_is_the_key_without_them(mailcow: SimulatedMailcow) -> None:
    """As mailcow reads it; a line end in it can neither break the header nor add another."""
    async with calling(mailcow, f" {mailcow.key}\r\n: _ü") as api:
        assert await api.version() == "2026-07a"


FAULTS = [
    Fault.EMPTY_BODY,
    Fault.EMPTY_PAGE,
    Fault.HTML_500,
    Fault.REDIS_500,
    Fault.DOCKERAPI_500,
    Fault.HTML_502,
    Fault.REFUSED,
    Fault.LOST_ANSWER,
    Fault.CUT,
    Fault.SILENCE,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.kind.name} {fault.detail[:8]}")
async def test_no_outage_is_an_answer(mailcow: SimulatedMailcow, fault: Fault) -> None:
    """Every call raises NotReadable in time, says what was asked, and works again when mailcow does."""
    mailcow.add_domain("example.org")
    async with calling(mailcow, deadlines=HASTY) as api:
        calls: list[Callable[[], Awaitable[object]]] = [
            api.version,
            api.timed_domain_list,
            api.aliases,
            lambda: api.counts(None),
            api.native_route,
            lambda: api.add_policy("example.org", POLICY_OF),
            lambda: api.edit_policy("example.org", POLICY_OF),
            lambda: api.switch_off("example.org"),
            lambda: api.served("example.org"),
            lambda: api.policy_id("example.org"),
        ]
        mailcow.fail(API, fault)
        mailcow.fail("dns_diagnostics", fault)
        mailcow.fail(POLICY, fault)
        for call in calls:
            with pytest.raises(NotReadable, match=mailcow.url):
                await call()
        mailcow.heal()
        assert len((await api.timed_domain_list())[0].domains) == 1
        assert await api.edit_policy("example.org", POLICY_OF) in {Edited(), NoSuchRow()}


async def test_nobody_there() -> None:
    """A closed port, a silent one and a name that does not resolve: NotReadable, each in its own words."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        async with MailcowApi(Endpoint(False, "127.0.0.1", port, (HOSTNAME,)), "KEY", deadlines=HASTY) as api:
            with pytest.raises(NotReadable, match="no connection"):
                await api.version()
        silent.listen()
        async with MailcowApi(Endpoint(True, "127.0.0.1", port, (HOSTNAME,)), "KEY", deadlines=HASTY) as api:
            with pytest.raises(NotReadable, match=r"no connection in time|within 0\.3 s"):
                await api.version()
    place = Endpoint(True, "nginx-mailcow.invalid", 443, (HOSTNAME,))
    async with MailcowApi(place, "KEY", deadlines=Deadlines(call=10)) as api:
        with pytest.raises(NotReadable, match="does not resolve"):
            await api.version()


# --- writes ----------------------------------------------------------------------------------------------


async def test_a_policy_is_added_changed_and_switched_off(mailcow: SimulatedMailcow, api: MailcowApi) -> None:
    """The life of a row, as it is served."""
    mailcow.add_domain("example.org")
    enforced = Policy(Mode.ENFORCE, 604_800, (HOSTNAME, "*.example.net"))
    assert await api.edit_policy("example.org", POLICY_OF) == NoSuchRow()
    assert await api.add_policy("example.org", POLICY_OF) == Added()
    assert await api.add_policy("example.org", enforced) == Exists()
    assert await api.served("example.org") == Served(render(POLICY_OF))
    assert await api.edit_policy("example.org", enforced) == Edited()
    assert await api.served("example.org") == Served(render(enforced))
    assert await api.switch_off("example.org") == Edited()
    assert await api.served("example.org") == Served(None)
    assert await api.edit_policy("example.org", enforced) == Edited()
    assert await api.served("example.org") == Served(render(enforced))
    assert await api.switch_off("example.net") == NoSuchRow()


async def test_writes_are_understood_beside_other_messages(
    mailcow: SimulatedMailcow, api: MailcowApi
) -> None:
    """An upgrade's message and Redis' complaint do not hide what became of an edit, only of an add."""
    mailcow.add_domain("example.org")
    for fault, raised in ((Fault.UPGRADED, WriteUnconfirmed), (Fault.NOT_LOGGED, RedisRefusesWrites)):
        mailcow.fail("add", fault, times=1)
        with pytest.raises(raised, match="does not say what became"):
            await api.add_policy("example.org", POLICY_OF)
        assert await api.add_policy("example.org", POLICY_OF) == Exists()
        mailcow.fail("edit", fault, times=1)
        assert await api.edit_policy("example.org", POLICY_OF) == Edited()
        mailcow.delete_domain("example.org")
        mailcow.add_domain("example.org")


async def test_a_database_that_refuses_writes_is_temporary(
    mailcow: SimulatedMailcow, api: MailcowApi
) -> None:
    """mailcow's SQL text is passed on."""
    mailcow.add_domain("example.org")
    mailcow.fail("add", Fault.READ_ONLY)
    with pytest.raises(TemporaryError, match="read-only"):
        await api.add_policy("example.org", POLICY_OF)


async def test_writes_on_the_file_generation() -> None:
    """There is no such route, and mailcow says so itself."""
    async with await SimulatedMailcow.start(version="2025-07") as mailcow, calling(mailcow) as api:
        mailcow.add_domain("example.org")
        for call in (api.add_policy, api.edit_policy):
            with pytest.raises(NoSuchRoute):
                await call("example.org", POLICY_OF)


async def test_a_policy_that_must_not_be_sent_is_not_sent() -> None:
    """It is checked for the version that mailcow reported last."""
    async with await SimulatedMailcow.start(version="2025-09b") as mailcow, calling(mailcow) as api:
        mailcow.add_domain("example.org")
        await api.version()
        before = len(mailcow.requests)
        wild = Policy(Mode.TESTING, 86_400, ("*.example.org",))
        for call in (api.add_policy, api.edit_policy):
            for policy in (wild, Policy(Mode.NONE, 86_400, ())):
                with pytest.raises(PermanentError, match=r"example\.org was not sent"):
                    await call("example.org", policy)
        assert len(mailcow.requests) == before


NATIVE = Mailcow(Backend.NATIVE, Version(2026, 7, "a"))
OLD = Mailcow(Backend.NATIVE, Version(2025, 9, "b"))


@pytest.mark.parametrize(
    ("policy", "mailcow", "problem"),
    [
        (POLICY_OF, NATIVE, None),
        (POLICY_OF, OLD, None),
        (Policy(Mode.ENFORCE, 1, ("*.example.org", "a.b")), NATIVE, None),
        (Policy(Mode.ENFORCE, 31_536_000, ("*.example.org",)), Mailcow(Backend.NATIVE, None), None),
        (Policy(Mode.ENFORCE, 300, ("*.example.org",)), Mailcow(Backend.NATIVE, Version(2025, 9, "c")), None),
        (Policy(Mode.ENFORCE, 86_400, ("*.example.org",)), OLD, "wildcard"),
        (Policy(Mode.ENFORCE, 0, (HOSTNAME,)), NATIVE, "max_age"),
        (Policy(Mode.ENFORCE, 31_536_001, (HOSTNAME,)), NATIVE, "max_age"),
        (Policy(Mode.ENFORCE, 86_400, ()), NATIVE, "no mx"),
        (Policy(Mode.NONE, 86_400, ()), NATIVE, "no mx"),
        (Policy(Mode.ENFORCE, 86_400, ("Mail.example.org",)), NATIVE, "lower-case"),
        (Policy(Mode.ENFORCE, 86_400, ("mx.bücher.example",)), NATIVE, "A-label"),
        (Policy(Mode.ENFORCE, 86_400, ("mail.example.org.",)), NATIVE, "host name"),
        (Policy(Mode.ENFORCE, 86_400, ("*",)), NATIVE, "host name"),
        (Policy(Mode.ENFORCE, 86_400, ("_mx.example.org",)), NATIVE, "host name"),
        (Policy(Mode.ENFORCE, 86_400, ("a.example,b.example",)), NATIVE, "host name"),
        (Policy(Mode.ENFORCE, 86_400, tuple(f"mx{n}.{'x' * 58}.example" for n in range(4))), NATIVE, "255"),
    ],
)
def test_policies_are_checked(policy: Policy, mailcow: Mailcow, problem: str | None) -> None:
    """What the API accepts wrongly, or refuses by its version, is reported before."""
    found = check_policy(policy, mailcow)
    if problem is None:
        assert found is None
    else:
        assert problem in (found or "")


@given(
    st.builds(
        Policy,
        st.sampled_from(Mode),
        st.integers(-1, 40_000_000),
        st.lists(st.from_regex(r"(\*\.)?[a-zA-Z0-9._-]{0,30}", fullmatch=True), max_size=9).map(tuple),
    )
)
def test_what_passes_the_check_is_a_policy_to_senders(policy: Policy) -> None:
    """Whatever may be sent reads back, once served, as the same policy."""
    if check_policy(policy, NATIVE) is None:
        found = parse(render(policy).encode())
        assert isinstance(found, Policy)
        assert found.same_as(policy)


# --- the wire --------------------------------------------------------------------------------------------


@asynccontextmanager
async def server(
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A server on loopback that answers everything so; gives its port."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_requests_hold_nothing_that_mailcow_would_misread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key and JSON where they belong, gzip asked for, Host as mailcow is called; no proxy, no cookie."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    seen: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        seen.append(request)
        if request.path.endswith(".txt"):
            return web.Response(text="version: STSv1\n")
        answer = web.json_response(
            {"version": "2026-07a"}
            if request.method == "GET"
            else [{"type": "danger", "msg": "access_denied"}]
        )
        answer.set_cookie("MCSESSID", "secret")
        return answer

    async with (
        server(handle) as port,
        MailcowApi(Endpoint(False, "127.0.0.1", port, (HOSTNAME,)), "KEY-1") as api,
    ):
        await api.version()
        await api.native_route()
        await api.served("example.org")
        await api.version()
    get, post, served, _ = seen
    assert [request.headers.get("X-API-Key") for request in seen] == ["KEY-1", "KEY-1", None, "KEY-1"]
    assert [request.headers["Host"] for request in seen[:3]] == [HOSTNAME, HOSTNAME, "mta-sts.example.org"]
    assert (post.method, post.path, post.content_type, await post.text()) == (
        "POST",
        "/api/v1/add/mta-sts",
        "application/json",
        "{}",
    )
    assert get.headers["Accept-Encoding"] == "gzip"
    assert served.path == "/.well-known/mta-sts.txt"
    names = {name.lower() for request in seen for name in request.headers}
    assert names <= {
        "host",
        "x-api-key",
        "accept-encoding",
        "accept",
        "user-agent",
        "content-type",
        "content-length",
    }


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    """HTTP_REDIRECT=y is named; no key goes to another place, no write is repeated elsewhere."""
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with (
        server(handle) as port,
        MailcowApi(Endpoint(False, "127.0.0.1", port, (HOSTNAME,)), "KEY") as api,
    ):
        for call in (api.version, api.native_route):
            with pytest.raises(NotReadable, match="HTTP_REDIRECT=y"):
                await call()
        with pytest.raises(NotReadable, match="HTTP_REDIRECT=y"):
            await api.served("example.org")
    assert asked == ["/api/v1/get/status/version", "/api/v1/add/mta-sts", "/.well-known/mta-sts.txt"]


async def test_an_endless_policy_is_cut() -> None:
    """A policy is small; also one that is small only while it is compressed."""

    async def handle(_: web.Request) -> web.Response:
        body = gzip.compress(b"mx: mail.example.org\n" * 1_000_000)
        return web.Response(body=body, headers={"Content-Encoding": "gzip", "Content-Type": "text/plain"})

    async with (
        server(handle) as port,
        MailcowApi(Endpoint(False, "127.0.0.1", port, (HOSTNAME,)), "KEY") as api,
    ):
        with pytest.raises(NotReadable, match="more than 65536 bytes"):
            await api.served("example.org")


async def test_few_connections_and_no_deadline_for_waiting() -> None:
    """Many calls at once use four connections, and those that wait their turn do not run out of time."""
    now = most = 0

    async def handle(_: web.Request) -> web.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.05)  # the work of a real server, not a wait for something to happen
        now -= 1
        return web.Response(status=404)

    async with server(handle) as port:
        place = Endpoint(False, "127.0.0.1", port, (HOSTNAME,))
        async with MailcowApi(place, "KEY", deadlines=HASTY) as api:
            found = await asyncio.gather(*(api.served(f"d{number}.example") for number in range(40)))
    assert found == [Served(None)] * 40
    assert most == 4


@pytest.fixture
def leaf() -> trustme.LeafCert:
    """A certificate that no root of this machine knows."""
    return trustme.CA().issue_cert(HOSTNAME)


def shown(leaf: trustme.LeafCert) -> ssl.SSLContext:
    """A server's context with this certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    leaf.configure_cert(context)
    return context


def pin_of(leaf: trustme.LeafCert) -> str:
    """Its fingerprint."""
    return fingerprint(ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode()))


async def test_a_renewal_under_a_running_client(leaf: trustme.LeafCert, tmp_path: Path) -> None:
    """Nothing reaches a server before it is accepted; a new pin is enough, and PKIX is found later."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "roots.pem"))
    async with await SimulatedMailcow.start(tls=shown(leaf)) as first:
        place = endpoint(Conf({"MAILCOW_HOSTNAME": HOSTNAME}), first.url)
        async with MailcowApi(place, first.key or "", roots=str(tmp_path / "roots.pem")) as api:
            for call in (api.version(), api.native_route(), api.served("example.org")):
                with pytest.raises(NotReadable, match="certificate is not accepted, nothing was sent"):
                    await call
            assert not first.requests
            api.pin((pin_of(leaf),))
            assert await api.version() == "2026-07a"
            assert await api.served("example.org") == Served(None)
            assert await api.native_route() is True
            await first.close()
            renewed = shown(authority.issue_cert(HOSTNAME))
            async with await SimulatedMailcow.start(tls=renewed, port=first.port) as second:
                assert await api.version() == "2026-07a"
                assert len(second.requests) == 1


async def test_the_way_that_worked_is_tried_first(leaf: trustme.LeafCert) -> None:
    """A pinned server is not made to log a broken handshake before every new connection."""
    context, handshakes = shown(leaf), []

    def note(_socket: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        handshakes.append(name)

    context.sni_callback = note

    async def handle(_: web.Request) -> web.Response:
        return web.Response(status=404, headers={"Connection": "close"})

    async with server(handle, context) as port:
        place = Endpoint(True, "127.0.0.1", port, (HOSTNAME,))
        api = MailcowApi(place, "KEY", (pin_of(leaf),))
        async with api:
            for handshakes_so_far in (2, 3, 4):
                await api.served("example.org")
                assert handshakes == [HOSTNAME] * handshakes_so_far


# --- policy ids ------------------------------------------------------------------------------------------


async def test_policy_id_is_mailcows_own(mailcow: SimulatedMailcow, api: MailcowApi) -> None:
    """Of the active policy, by any key; None for no policy, one that is switched off, and no such domain."""
    for name in ("example.org", "off.example", "none.example"):
        mailcow.add_domain(name)
    for name in ("example.org", "off.example"):
        await api.add_policy(name, POLICY_OF)
    await api.switch_off("off.example")
    assert await api.policy_id("example.org") == mailcow.policies["example.org"].id
    for name in ("off.example", "none.example", "unknown.example"):
        assert await api.policy_id(name) is None


async def test_policy_id_has_a_deadline_of_its_own(mailcow: SimulatedMailcow) -> None:
    """The page looks names up and asks servers outside."""
    mailcow.add_domain("example.org")
    mailcow.fail("dns_diagnostics", Fault.SILENCE)
    async with calling(mailcow, deadlines=Deadlines(page=0.2)) as api:
        with pytest.raises(NotReadable, match=r"no whole answer within 0\.2 s"):
            await api.policy_id("example.org")


async def test_refused_key_is_reported_for_the_page_too(mailcow: SimulatedMailcow) -> None:
    """As for every other call; without a key nothing is sent at all."""
    for key, cause in (("wrong", DeniedCause.WRONG_KEY), ("", DeniedCause.NO_KEY)):
        async with calling(mailcow, key) as api:
            with pytest.raises(AccessDenied) as caught:
                await api.policy_id("example.org")
            assert caught.value.cause is cause
    assert len(mailcow.requests) == 1
