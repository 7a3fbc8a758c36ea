"""Hostile servers and zones: what they cost, and which findings they get. Real TLS and SMTP, on loopback."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sidecar.verify.judge import MOST
from sidecar.verify.probes.connect import ADDRESSES_AT_ONCE, HOUR_S, MOST_CONNECTIONS, Allowance
from sidecar.verify.rules.mx_match import MOST_HOSTS
from sidecar.verify.run import BetweenRuns, Checked, Wanted, check, check_many
from tests.dns.faulty import LOOPBACK
from tests.dns.prepared import SLOW, Prepared
from tests.verify.certificates import Kind, server_context
from tests.verify.internet import (
    DOMAIN,
    POLICY_HOST,
    World,
    closed_port,
    dns_server,
    internet,
    meant,
    port_of,
)
from tests.verify.steps import measured

pytestmark = pytest.mark.integration

LAG_S = 0.1
PATIENCE_S = 2.0
OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
CHUNKED = OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def flood(octets: bytes, times: int = 1, *, before: bytes = b"", then: bytes = b"") -> Talk:
    """Says `before`, then this many times `octets`, then an octet every tenth of a second."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(before)
        said, step = octets * times, 16_384
        for place in range(0, len(said), step):
            writer.write(said[place : place + step])
            await writer.drain()
        while True:
            writer.write(then or b"x")
            await writer.drain()
            await asyncio.sleep(0.1)

    return talk


@asynccontextmanager
async def talking(talk: Talk, *, tls: bool = False) -> AsyncIterator[int]:
    """A server that talks so as soon as somebody connects."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    context = server_context(Kind.GOOD, POLICY_HOST) if tls else None
    server = await asyncio.start_server(serve, LOOPBACK, 0, ssl=context)
    try:
        yield port_of(server)
    finally:
        server.close()
        for task in asyncio.all_tasks():
            if task.get_coro().__qualname__.endswith("talking.<locals>.serve"):  # type: ignore[union-attr]
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await server.wait_closed()


WEB = {
    "interim": (flood(b"HTTP/1.1 100 Continue\r\n\r\n", 34_000), "policy-broken"),
    "chunks": (flood(b"1\r\nx\r\n", 65_000, before=CHUNKED), "policy-timeout"),
    "whole-in-chunks": (
        flood(b"1\r\n\n\r\n", 65_000, before=CHUNKED, then=b"0\r\n\r\n"),
        "policy-blank-line",
    ),
    "headers": (flood(b"A: b\r\n", 100_000, before=OK_HEAD), "policy-broken"),
    "one-header": (flood(b" ", 500_000, before=OK_HEAD + b"A:"), "policy-broken"),
    "spaces": (flood(b"A:" + b" " * 15_000 + b"\x0b\r\n\r\n", before=OK_HEAD), "policy-broken"),
    "chunk-extension": (flood(b"1;" + b" " * 16_000 + b"\n\r\n", before=CHUNKED), "policy-broken"),
    "trailers": (flood(b"A:" + b" " * 15_000 + b"\x0b\r\n\r\n", before=CHUNKED + b"0\r\n"), "policy-broken"),
    "patterns": (
        flood(
            b"version: STSv1\nmode: enforce\nmax_age: 604800\n"
            + b"".join(b"mx: a%d.b\n" % number for number in range(5_500)),
            before=OK_HEAD + b"Content-Length: 63937\r\n\r\n",
        ),
        "mx-uncovered",
    ),
    "slow": (flood(b""), "policy-timeout"),
}
"""What an HTTPS server says, and the finding."""
JUDGED = ("patterns", "whole-in-chunks")
"""These are read to their end and judged, which takes time, outside the caller's loop."""


@pytest.mark.parametrize("name", WEB)
async def test_no_policy_host_keeps_the_event_loop(name: str) -> None:
    """Neither the caller's nor that of the checks, on which all other domains are checked."""
    talk, code = WEB[name]
    patience_s = 30.0 if name in JUDGED else PATIENCE_S
    async with internet(World()) as probing, talking(talk, tls=True) as port:
        with measured() as steps:
            checked = await check(
                DOMAIN, replace(probing, https_port=port, https_s=patience_s), time.time, meant()
            )
    assert checked.has(code), [(finding.code, finding.message) for finding in checked.findings]
    assert steps.longest_here < LAG_S
    if name not in JUDGED:
        assert steps.longest < LAG_S


def smtp(before: bytes, *answers: Talk | bytes) -> Talk:
    """Greets so, and answers each command with the next of these."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(before)
        for answer in answers:
            await reader.readline()
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await answer(reader, writer)
        await reader.read()

    return talk


HELLO, EHLO, GO = b"220 mail ESMTP\r\n", b"250-mail\r\n250 STARTTLS\r\n", b"220 go\r\n"
MAIL = {
    "banner": (flood(b"220-hello\r\n", 200_000), "mx-wont-talk"),
    "banner-line": (flood(b"220 " + b"x" * 2_000_000), "mx-wont-talk"),
    "ehlo": (smtp(HELLO, flood(b"250-SIZE\r\n", 200_000)), "mx-wont-talk"),
    "ehlo-line": (smtp(HELLO, flood(b"250-" + b"x" * 2_000_000)), "mx-wont-talk"),
    "starttls-line": (smtp(HELLO, EHLO, flood(b"220 " + b"x" * 2_000_000)), "mx-no-starttls"),
    "starttls-flood": (smtp(HELLO, EHLO, flood(b"x" * 2_000_000, before=GO)), "mx-tls-failed"),
    "starttls-records": (
        # handshake records (22) of a ServerHello that never ends
        smtp(HELLO, EHLO, flood(b"\x16\x03\x03\x00\x04\x02\x00\xff\xff", 50_000, before=GO)),
        "mx-tls-failed",
    ),
    "starttls-slow": (smtp(HELLO, EHLO, flood(b"", before=GO, then=b"\x16")), "mx-tls-failed"),
    "starttls-silent": (smtp(HELLO, EHLO, GO), "mx-wont-talk"),
    "slow-greeting": (flood(b""), "mx-wont-talk"),
}
"""What an SMTP server says, and the finding."""


@pytest.mark.parametrize("name", MAIL)
async def test_no_mx_host_keeps_the_event_loop(name: str) -> None:
    """The same of port 25."""
    talk, code = MAIL[name]
    async with internet(World()) as probing, talking(talk) as port:
        with measured() as steps:
            checked = await check(DOMAIN, replace(probing, smtp_port=port, smtp_s=PATIENCE_S), time.time)
    assert checked.has(code), [(finding.code, finding.message) for finding in checked.findings]
    assert steps.longest < LAG_S


@pytest.mark.parametrize(
    ("records", "code"),
    [
        ([f"10 m{number}.t." for number in range(2_900)], "mx-unknown"),
        ([f"{number} m{number}.t." for number in range(600)], "mx-many"),
        (SLOW, "mx-many"),
    ],
    ids=["64-KB", "many", "many-labels"],
)
async def test_no_zone_keeps_the_event_loop(records: list[str], code: str) -> None:
    """The time that dnspython takes for it is not that of the caller."""
    world = World()
    del world.dns[f"{DOMAIN}.", "MX"]
    async with internet(world) as probing, dns_server(Prepared(world.dns, DOMAIN, records)) as resolver:
        with measured() as steps:
            checked = await check(DOMAIN, replace(probing, resolver=resolver, dns_s=5), time.time)
    assert checked.has(code), [(finding.code, finding.message) for finding in checked.findings]
    assert steps.longest_here < LAG_S


# --- many hosts ------------------------------------------------------------------------------------------


def open_now() -> int:
    """Descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


class Counted:
    """A port that takes connections, says nothing, and counts them and what is open meanwhile."""

    def __init__(self) -> None:
        self.made = self.descriptors = 0

    async def __call__(self, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        self.made += 1
        self.descriptors = max(self.descriptors, open_now())
        await reader.read()


def crowd(hosts: int) -> World:
    """A zone with this many MX hosts of four addresses each, the preferred first: 0.mx, 1.mx …"""
    world = World()
    world.dns[f"{DOMAIN}.", "MX"] = [f"{number} {number}.mx." for number in range(hosts)]
    for number in range(hosts):
        world.dns[f"{number}.mx.", "A"] = [f"127.0.{number % 256}.{last}" for last in range(1, 5)]
        world.dns[f"{number}.mx.", "AAAA"] = []
    return world


async def test_zone_of_many_mx_hosts_gets_few_connections() -> None:
    """The preferred hosts are probed, a few at a time; the rest is one finding."""
    world, counted = crowd(600), Counted()
    async with internet(world) as probing, everywhere(counted) as port:
        before = open_now()
        checked = await check(DOMAIN, replace(probing, smtp_port=port, smtp_s=0.4, dns_s=5), time.time)
    assert counted.made == 4 * MOST_HOSTS
    assert counted.descriptors - before < 60
    assert checked.mx == tuple(f"{number}.mx" for number in range(MOST_HOSTS))
    (rest,) = [finding for finding in checked.findings if finding.code == "mx-many"]
    assert "600" in rest.message
    assert not checked.has("mx-covered")
    assert len(checked.findings) <= MOST


@asynccontextmanager
async def everywhere(talk: Talk) -> AsyncIterator[int]:
    """At all addresses of loopback."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "0.0.0.0", 0)
    try:
        yield port_of(server)
    finally:
        server.close()
        await server.wait_closed()


async def test_slow_hosts_of_one_domain_delay_only_this_domain() -> None:
    """What is not done in time is unknown."""
    world, counted = crowd(MOST_HOSTS), Counted()
    async with internet(world) as probing, everywhere(counted) as port:
        slow = replace(probing, smtp_port=port, smtp_s=2.0, domain_s=1.0, dns_s=5)
        checked = await check(DOMAIN, slow, time.time)
    found = [finding for finding in checked.findings if finding.code == "mx-unasked"]
    assert len(found) >= MOST_HOSTS - 2 * slow.hosts_at_once
    assert counted.made <= 2 * slow.hosts_at_once * ADDRESSES_AT_ONCE


async def test_connections_of_an_hour_are_limited_over_all_checks() -> None:
    """However often a zone is checked, and whatever it names."""
    now = 0.0
    kept = BetweenRuns(Allowance(clock=lambda: now))
    world, counted = crowd(MOST_HOSTS), Counted()
    async with internet(world) as probing, everywhere(counted) as port:
        options = replace(probing, smtp_port=port, https_port=closed_port(), smtp_s=0.1, dns_s=5)
        results = [(await check_many([Wanted(DOMAIN)], options, time.time, kept))[0] for _ in range(7)]
        to_policy_host = sum(result.has("policy-refused") for result in results)
        assert counted.made + to_policy_host == MOST_CONNECTIONS
        assert "within an hour" in said(results[-1], "mx-unasked")
        assert "within an hour" in said(results[-1], "policy-unasked")
        now = HOUR_S
        again = (await check_many([Wanted(DOMAIN)], options, time.time, kept))[0]
    assert not again.has("mx-unasked")


def said(checked: Checked, code: str) -> str:
    """What the findings of this code say."""
    return " ".join(finding.message for finding in checked.findings if finding.code == code)


# --- what nobody foresaw ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.UNREADABLE, Kind.UNREADABLE_GOOD])
async def test_strange_certificate_ends_no_batch(kind: Kind) -> None:
    """Of an MX and a policy host: all other domains of the batch are checked as if it did not exist."""
    names = [f"d{number}.test" for number in range(5)]
    async with internet(World(mail_tls=kind, web_tls=kind)) as probing:
        results = await check_many([Wanted(name) for name in [*names, DOMAIN]], probing, time.time)
    assert [result.domain for result in results] == [*names, DOMAIN]
    assert all(result.has("txt-nxdomain") for result in results[:-1])
    good = kind is Kind.UNREADABLE_GOOD
    assert results[-1].has("mx-tls" if good else "mx-cert-self-signed")
    assert results[-1].has("policy-fetched" if good else "policy-cert-self-signed")


@pytest.mark.parametrize(
    ("bug", "code"),
    [
        ("verify.probes.smtp.peer_certificate", "mx-look-failed"),
        ("verify.probes.policy.get", "policy-look-failed"),
        ("verify.run.judge", "check-failed"),
        ("dns.ask.dns.name.from_text", "txt-unasked"),
    ],
)
async def test_bug_is_logged_once_with_its_trace(bug: str, code: str) -> None:
    """And each domain has its finding."""
    names = [f"d{number}.test" for number in range(8)]
    world = World(bug=bug)
    for name in names:
        world.dns[f"{name}.", "MX"] = [f"10 mx.{name}."]
        world.dns[f"mx.{name}.", "A"] = [LOOPBACK]
        world.dns[f"mta-sts.{name}.", "A"] = [LOOPBACK]
    async with internet(world) as probing:
        with capture_logs() as lines:
            results = await check_many([Wanted(name) for name in (DOMAIN, *names)], probing, time.time)
    assert [result.domain for result in results] == [DOMAIN, *names]
    assert results[0].has(code)
    found = [line for line in lines if line["log_level"] == "error"]
    assert len(found) == 1
    assert isinstance(found[0]["exc_info"], LookupError)
