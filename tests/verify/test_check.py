"""Each kind of finding that needs the network, found in a world that has just this wrong; and what is shared."""

import asyncio
import time
from dataclasses import replace

import pytest

from sidecar.cli.check import report
from sidecar.formats.mtasts_policy import Mode, Policy
from sidecar.observed.checks import Finding
from sidecar.verify import probe_codes
from sidecar.verify.probes.connect import InsideHost
from sidecar.verify.run import Checked, Wanted, check, check_many
from tests.dns.faulty import LOOPBACK
from tests.verify.cases import CASES, NOTICE, OK, TLSA, UNKNOWN, Case
from tests.verify.certificates import Kind, leaf
from tests.verify.internet import (
    DOMAIN,
    MX_HOST,
    Dnssec,
    World,
    closed_port,
    dns_server,
    internet,
    mail_server,
    meant,
    seen_in,
)


async def found(world: World) -> tuple[Finding, ...]:
    """The findings of a check in this world."""
    return (await checked_in(world)).findings


async def checked_in(world: World) -> Checked:
    """A check in this world; what is closed in public is open inside where the world has an inside."""
    if not world.inside:
        return await seen_in(world)
    async with internet(world) as probing:
        inside = replace(
            probing,
            https_port=closed_port(),
            smtp_port=closed_port(),
            inside_https=InsideHost("localhost", probing.https_port),
            inside_smtp={MX_HOST: InsideHost(LOOPBACK, probing.smtp_port)},
        )
        return await check(DOMAIN, inside, time.time, world.meant, ours=world.ours)


ABOUT_RECORDS = {"mx-covered", "mx-uncovered", "mx-pattern-unused"}
NOT_PROBED = [
    case
    for case in CASES
    if case.severity is UNKNOWN
    and case.code.startswith(("mx-", "policy-"))
    and case.code not in ("mx-many", "mx-no-route", "policy-no-route")
    and case.name not in ("at-one-address", "addresses", "one-family")
]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_is_found(case: Case) -> None:
    """In a world with just this fault, with its severity, its reason and its remedy; the report shows all of it.

    A server that could not be probed is neither good nor bad: there is no other finding about it.
    """
    world = World()
    case.change(world)
    checked = await checked_in(world)
    (finding,) = [finding for finding in checked.findings if finding.code == case.code]
    assert finding.severity == case.severity
    assert case.words in f"{finding.message} {finding.todo}"
    assert case.todo in (finding.todo or "")
    if case.severity.rank > NOTICE.rank:
        assert finding.todo is not None or case.code.endswith("unasked")
    if case in NOT_PROBED:
        about = [f for f in checked.findings if f.code.startswith(f"{case.code.partition('-')[0]}-")]
        assert {f.severity for f in about if f.code not in ABOUT_RECORDS} == {UNKNOWN}
    lines = report([checked]).splitlines()
    start = f"  {case.severity:<8}  {finding.subject}: {finding.message}"
    (place,) = [at for at, line in enumerate(lines) if line.startswith(start) and f"[{case.code}, " in line]
    assert finding.todo is None or lines[place + 1].strip() == f"to do: {finding.todo}"
    assert all(line.isprintable() for line in lines)


async def test_nothing_is_wrong_with_a_domain_that_is_set_up_right() -> None:
    """So the finding of a case comes from its change alone."""
    checked = await seen_in(World())
    assert {finding.severity for finding in checked.findings} == {OK}
    assert checked.policy == Policy(Mode.ENFORCE, 604800, (MX_HOST,))
    assert (checked.id, checked.record, checked.mx) == ("20260101", True, (MX_HOST,))
    assert checked.body is not None
    assert checked.body.startswith(b"version: STSv1")


def test_every_code_has_a_case() -> None:
    """A new kind of finding comes with a world in which it is found."""
    assert {code.name for code in probe_codes.ALL} - {case.code for case in CASES} == set()
    assert len({code.name for code in probe_codes.ALL}) == len(probe_codes.ALL)


async def test_a_closed_public_way_is_unknown_where_the_domain_is_not_ours() -> None:
    """nginx-mailcow is only queried for this mailcow's domains."""
    codes = {finding.code for finding in await found(World(inside=True, ours=False))}
    assert "policy-refused" in codes
    assert "policy-inside" not in codes


async def test_one_text_for_all_may_have_patterns_of_others() -> None:
    """Where one file serves all domains, an unused pattern belongs to another one."""
    world = World(mx="mx.example.test", meant=meant(mx="mx.example.test", shared=True))
    assert "mx-pattern-unused" not in {finding.code for finding in await found(world)}


class Counting(Dnssec):
    """Counts the questions."""

    def times(self, name: str, kind: str) -> int:
        return sum((asked[0], asked[1]) == (name, kind) for asked in self.asked)


async def test_an_mx_host_of_many_domains_is_probed_once() -> None:
    """Shared hosts and names are asked for once in a run, and each domain gets its own result in its place."""
    world = World()
    names = [f"d{number}.test" for number in range(30)]
    for name in names:
        world.txt("v=STSv1; id=1;", name=f"_mta-sts.{name}.")
        world.dns[f"{name}.", "MX"] = [f"10 {MX_HOST}."]
    connections = 0
    handlers: list[asyncio.Task[None] | None] = []
    async with mail_server(world) as port:

        async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            handlers.append(asyncio.current_task())
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, port)
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

        server = await asyncio.start_server(counted, LOOPBACK, 0)
        resolver = Counting(world)
        async with internet(world) as probing, dns_server(resolver) as address:
            options = replace(probing, resolver=address, smtp_port=server.sockets[0].getsockname()[1])
            results = await check_many([Wanted(name) for name in names], options, time.time)
        server.close()
        await _over(handlers)
    assert [result.domain for result in results] == names
    assert all(result.has("mx-tls") for result in results)
    assert connections == 1
    assert resolver.times(f"{MX_HOST}.", "A") == 1
    assert resolver.times(TLSA, "TLSA") == 1


async def _over(handlers: list[asyncio.Task[None] | None]) -> None:
    """The server's side of every connection is closed, too, before the loop is."""
    await asyncio.gather(*(task for task in handlers if task is not None), return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(4096):
            writer.write(chunk)
    except OSError:
        pass
    writer.close()


async def test_one_web_server_gets_few_connections_at_a_time() -> None:
    """The fetches of many domains from one policy host take turns."""
    world = World()
    names = [f"d{number}.test" for number in range(20)]
    for name in names:
        world.dns[f"mta-sts.{name}.", "A"] = [LOOPBACK]
    now = most = 0
    handlers: list[asyncio.Task[None] | None] = []

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now, most
        handlers.append(asyncio.current_task())
        now += 1
        most = max(most, now)
        await reader.read(1)
        await asyncio.sleep(0)
        now -= 1
        writer.close()

    server = await asyncio.start_server(counted, LOOPBACK, 0)
    async with internet(world) as probing:
        options = replace(probing, https_port=server.sockets[0].getsockname()[1], per_host=3)
        results = await check_many([Wanted(name) for name in names], options, time.time)
    server.close()
    await _over(handlers)
    assert {finding.code for result in results for finding in result.findings} & {
        "policy-broken",
        "policy-tls-failed",
    }
    assert 1 <= most <= 3


async def test_results_carry_their_own_time() -> None:
    """Each is as old as it says."""
    async with internet(World()) as probing:
        checked = await check(DOMAIN, probing, lambda: 1_800_000_000.0)
    assert checked.at == 1_800_000_000.0


@pytest.mark.parametrize("left", [13, 15])
async def test_when_a_certificate_is_about_to_end(left: int) -> None:
    """Two weeks before its end, by the clock handed in."""
    ends = leaf(Kind.ENDING, MX_HOST).not_valid_after_utc.timestamp()
    async with internet(World(mail_tls=Kind.ENDING)) as probing:
        checked = await check(DOMAIN, probing, lambda: ends - left * 86400)
    assert checked.has("mx-cert-ending") == (left < 14)
