"""Checking domains as senders do: probes run concurrently under limits, then rules judge what they found.

Rule for every editor: within one run nothing is queried twice, whatever is shared (an MX host of 1,000 domains, a
parent zone); and nothing is kept beyond it, so results are as old as they say.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sidecar.dns.answers import DnsAnswer
from sidecar.dns.ask import DnsClient
from sidecar.formats.domain_name import policy_host
from sidecar.formats.mtasts_policy import Invalid, Policy, parse
from sidecar.host.tasks import apart, end_tasks
from sidecar.host.unexpected import Unexpected
from sidecar.observed import Unseen
from sidecar.observed.checks import Finding, Severity, worst
from sidecar.verify.judge import judge
from sidecar.verify.probe_codes import CHECK_FAILED
from sidecar.verify.probes.connect import Allowance, HostLimits, InsideHost, Take
from sidecar.verify.probes.policy import PolicyProbe
from sidecar.verify.probes.smtp import SmtpProbe
from sidecar.verify.probes.tls import trusting
from sidecar.verify.rules.mx_match import hosts_of, probed_hosts
from sidecar.verify.rules.policy_fetch import REPORT_IT, representative, usable
from sidecar.verify.rules.txt_dns import candidates, near_misses, the_record
from sidecar.verify.seen import DomainSeen, Meant, MxProbe, MxSeen, PolicyAnswer, ProbeFailed

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Probing:
    """How to ask. All times in seconds.

    The defaults are gentle: few domains at once, fewer conversations with one server. Whatever a domain's zone says, 20
    of its MX hosts are probed, at 8 addresses each (`rules.mx_match`, `probes.connect`), with 190 connections an hour, and
    100 findings are kept (`judge`).
    """

    resolver: tuple[str, int] | None = None
    """Address and port; None: what /etc/resolv.conf names."""
    extra_root: Path | None = None
    """A PEM file with roots to trust beside the system's."""
    inside_https: InsideHost | None = None
    """mailcow's nginx in its network, for `Wanted.ours` whose public address cannot be reached."""
    inside_smtp: Mapping[str, InsideHost] = field(default_factory=dict)
    """By MX host: where those that are this mailcow are inside its network."""
    domains_at_once: int = 40
    hosts_at_once: int = 2
    """MX hosts of one domain: a domain with many of them delays itself, and not others."""
    per_host: int = 4
    questions_at_once: int = 50
    dns_s: float = 8.0
    https_s: float = 60.0
    smtp_s: float = 40.0
    domain_s: float = 180.0
    """For one domain, including the wait for a place at a busy server; a probe that is not done by then is `Unseen`."""
    smtp: bool = True
    """False: MX hosts are not contacted (where outgoing port 25 is closed)."""
    https_port: int = 443
    smtp_port: int = 25
    connect: str | None = None
    """An address that replaces those of all policy and MX hosts (tests on loopback)."""


@dataclass(frozen=True, slots=True)
class BetweenRuns:
    """What is kept from one run of checks to the next."""

    allowance: Allowance = field(default_factory=Allowance)
    unexpected: Unexpected = field(default_factory=Unexpected)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A domain to check (lower-case A-label); `ours`: served by this mailcow, so the way inside may be taken."""

    domain: str
    meant: Meant | None = None
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """What senders see of a domain, at Unix second `at`; it goes stale."""

    domain: str
    findings: tuple[Finding, ...]
    at: float
    id: str | None
    """The policy id in the DNS, if there is exactly one valid record."""
    record: bool | None
    """Whether there is exactly one MTA-STS record, valid or not; None where the DNS did not answer."""
    policy: Policy | None
    """The policy served, if it is valid."""
    body: bytes | None
    """The octets that were served as the policy."""
    mx: tuple[str, ...] | None
    """The MX hosts that senders try, as far as they are checked; None where the DNS did not answer."""

    @property
    def worst(self) -> Severity:
        return worst(self.findings)

    def has(self, code: str) -> bool:
        """Whether a finding of this code is there."""
        return any(finding.code == code for finding in self.findings)


async def check(
    domain: str,
    probing: Probing,
    clock: Callable[[], float],
    meant: Meant | None = None,
    *,
    ours: bool = False,
) -> Checked:
    """One domain; raises PermanentError for an unreadable `extra_root`, and nothing for what servers do."""
    (checked,) = await check_many([Wanted(domain, meant, ours)], probing, clock)
    return checked


async def check_many(
    wanted: Iterable[Wanted],
    probing: Probing,
    clock: Callable[[], float],
    between: BetweenRuns | None = None,
) -> list[Checked]:
    """Many domains, in the order given; each counts its own time. Raises as `check`.

    It runs outside the caller's event loop, in a thread of its own, which calls `clock` too.
    """
    queue, kept = list(enumerate(wanted)), between or BetweenRuns()
    return await apart(lambda: _check_many(queue, probing, clock, kept))


async def _check_many(
    queue: list[tuple[int, Wanted]], probing: Probing, clock: Callable[[], float], between: BetweenRuns
) -> list[Checked]:
    context = trusting(probing.extra_root)
    between.allowance.forget_old()
    client = DnsClient(
        probing.resolver,
        clock,
        patience_s=probing.dns_s,
        places=probing.questions_at_once,
        unexpected=between.unexpected,
    )
    policies = PolicyProbe(
        client,
        context,
        HostLimits(probing.per_host),
        clock,
        probing.https_port,
        probing.https_s,
        probing.connect,
    )
    hosts = SmtpProbe(
        client,
        context,
        HostLimits(probing.per_host),
        clock,
        probing.inside_smtp,
        probing.smtp_port,
        probing.smtp_s,
        probing.connect,
    )
    run = Checks(probing, clock, client, policies, hosts, between)
    results: dict[int, Checked] = {}

    async def work() -> None:
        while queue:
            index, item = queue.pop(0)
            results[index] = await run.check(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(probing.domains_at_once, len(queue))):
                group.create_task(work())
    finally:
        await run.end()
    return [results[index] for index in sorted(results)]


@dataclass(slots=True)
class Checks:
    """A run of checks that share their queries and the conversations with MX hosts."""

    _probing: Probing
    _clock: Callable[[], float]
    _dns: DnsClient
    _policies: PolicyProbe
    _smtp: SmtpProbe
    _between: BetweenRuns
    _hosts: dict[str, asyncio.Task[tuple[MxProbe, ...]]] = field(default_factory=dict)

    async def check(self, wanted: Wanted) -> Checked:
        """What senders see of this domain; an unforeseen error becomes a finding and does not end the run."""
        try:
            seen = await self.probe(wanted)
            findings = judge(seen, wanted.meant, self._clock())
            judged, hosts = the_record(seen.txt), hosts_of(seen.domain, seen.mx)
            answer = seen.policy if isinstance(seen.policy, PolicyAnswer) and usable(seen.policy) else None
            policy = parse(answer.body) if answer is not None else None
            return Checked(
                seen.domain,
                findings,
                seen.at,
                judged.id if judged is not None and judged.valid else None,
                len(candidates(seen.txt.records)) == 1 if isinstance(seen.txt, DnsAnswer) else None,
                None if isinstance(policy, Invalid) else policy,
                answer.body if answer is not None else None,
                None if hosts is None else probed_hosts(hosts),
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, only this one domain is affected
            reason = self._between.unexpected.reason(wanted.domain, error)
            failed = Finding.of(CHECK_FAILED, wanted.domain, reason, REPORT_IT)
            return Checked(wanted.domain, (failed,), self._clock(), None, None, None, None, None)

    async def probe(self, wanted: Wanted) -> DomainSeen:
        """All probes of this domain, concurrently as far as one does not need another."""
        domain = wanted.domain
        inside = self._probing.inside_https if wanted.ours else None
        take = self._between.allowance.of(domain)
        until = asyncio.get_running_loop().time() + self._probing.domain_s
        turns = asyncio.Semaphore(self._probing.hosts_at_once)
        async with asyncio.TaskGroup() as group:
            txt = group.create_task(self._dns.txt(f"_mta-sts.{domain}"))
            tlsrpt = group.create_task(self._dns.txt(f"_smtp._tls.{domain}"))
            caa = group.create_task(self._dns.caa(policy_host(domain)))
            policy = group.create_task(
                self._within(policy_host(domain), self._policies.fetch(domain, inside, take))
            )
            mx = await self._dns.mx(domain)
            hosts = probed_hosts(hosts_of(domain, mx) or ())
            spoken = {host: group.create_task(self._spoken(host, take, turns, until)) for host in hosts}
            tlsa = {host: group.create_task(self._dns.tlsa(host)) for host in hosts}
            record = await txt
            missing = isinstance(record, DnsAnswer) and not candidates(record.records)
            names = near_misses(domain) if missing else ()
            misplaced = await asyncio.gather(*map(self._dns.txt, names))
        probes = {host: task.result() for host, task in spoken.items()}
        first, others = representative(policy.result())
        return DomainSeen(
            domain,
            record,
            dict(zip(names, misplaced, strict=True)),
            tlsrpt.result(),
            mx,
            first,
            {host: MxSeen(host, found[0], tlsa[host].result(), found[1:]) for host, found in probes.items()},
            caa.result(),
            self._clock(),
            others,
        )

    async def end(self) -> None:
        await end_tasks(*self._hosts.values())
        await self._dns.end()

    async def _spoken(
        self, host: str, take: Take, turns: asyncio.Semaphore, until: float
    ) -> tuple[MxProbe, ...]:
        if not self._probing.smtp:
            return (Unseen("MX hosts were not to be probed", self._clock()),)
        try:
            async with asyncio.timeout_at(until), turns:
                task = self._hosts.get(host)
                if task is None:
                    probing = self._within(host, self._smtp.probe(host, take))
                    task = self._hosts[host] = asyncio.create_task(probing)
                return await asyncio.shield(task)
        except TimeoutError:
            return (self._late(),)

    async def _within(
        self, subject: str, probe: Coroutine[Any, Any, tuple[T, ...]]
    ) -> tuple[T | Unseen | ProbeFailed, ...]:
        try:
            async with asyncio.timeout(self._probing.domain_s):
                return await probe
        except TimeoutError:
            return (self._late(),)
        except Exception as error:  # noqa: BLE001 - whatever it is, only this one server is affected
            return (ProbeFailed(self._between.unexpected.reason(subject, error), self._clock()),)

    def _late(self) -> Unseen:
        return Unseen(f"not done within {self._probing.domain_s:g} s: the server is busy", self._clock())
