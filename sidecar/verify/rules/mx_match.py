"""The MX records against the policy (RFC 8461 §4.1): every host covered, every pattern used."""

import ipaddress
from collections.abc import Sequence

from sidecar.dns.answers import NULL_MX, DnsResult, NoAnswer
from sidecar.formats.mtasts_policy import matches
from sidecar.observed.checks import Finding
from sidecar.verify import probe_codes as codes
from sidecar.verify.lint import Judged
from sidecar.verify.rules.few import few
from sidecar.verify.seen import DomainSeen, Meant
from sidecar.verify.stakes import Stakes

MOST_HOSTS = 20


def hosts_of(domain: str, mx: DnsResult[str]) -> tuple[str, ...] | None:
    """The hosts that senders try: without any MX the domain itself; none for a null MX; None where not known."""
    if isinstance(mx, NoAnswer):
        return None
    if not mx.records:
        # A domain that does not exist has no host to try either.
        return (domain,) if mx.exists else ()
    return tuple(host for host in mx.records if host != NULL_MX)


def probed_hosts(hosts: Sequence[str]) -> tuple[str, ...]:
    """Those of a domain's hosts, the preferred first, that are probed and judged: 20 at most.

    The owner of a zone decides whom this server connects to; 3,000 MX records would turn it into a port scanner.
    """
    return tuple(hosts[:MOST_HOSTS])


def is_address(host: str) -> bool:
    """Whether an MX host is an IP address written as a name (a final dot is gone already)."""
    try:
        ipaddress.ip_address(host.strip("[]").removeprefix("ipv6:"))
    except ValueError:
        return False
    return True


def judge_mx_records(seen: DomainSeen) -> tuple[Finding, ...]:
    """Findings about the MX records themselves."""
    domain = seen.domain
    if isinstance(seen.mx, NoAnswer):
        return (Finding.of(codes.MX_UNKNOWN, domain, seen.mx.reason, "check again when the DNS answers"),)
    if not seen.mx.exists:
        return (Finding.of(codes.MX_NONE, domain, f"{domain} does not exist in the DNS"),)
    if not seen.mx.records:
        message = f"{domain} has no MX record: senders try {domain} itself, so a policy has to name it"
        return (Finding.of(codes.MX_NONE, domain, message, "publish an MX record"),)
    if NULL_MX in seen.mx.records:
        return (
            Finding.of(codes.MX_NULL, domain, "a null MX: no sender delivers here, with or without a policy"),
        )
    addresses = [
        Finding.of(
            codes.MX_ADDRESS,
            domain,
            f"the MX record names the address {host}; it has to name a host, so senders cannot deliver",
            f"publish {domain} MX 10 mail.{domain}, and mail.{domain} A {host}",
        )
        for host in probed_hosts(seen.mx.records)
        if is_address(host)
    ]
    if addresses:
        return tuple(addresses)
    if len(seen.mx.records) > MOST_HOSTS:
        message = f"{len(seen.mx.records)} MX hosts; only the {MOST_HOSTS} preferred ones are checked"
        todo = "publish fewer MX records: a host that is not checked prevents enforce"
        return (Finding.of(codes.MX_MANY, domain, message, todo),)
    return ()


def judge_match(
    seen: DomainSeen, policy: Judged | None, meant: Meant | None, stakes: Stakes
) -> tuple[Finding, ...]:
    """Findings about MX hosts and patterns; none where there is no policy or the hosts are not known."""
    found = hosts_of(seen.domain, seen.mx)
    if policy is None or not policy.mx or not found:
        return ()
    hosts = probed_hosts(found)
    uncovered = [host for host in hosts if not any(matches(pattern, host) for pattern in policy.mx)]
    findings = [
        Finding.of(
            codes.MX_UNCOVERED,
            host,
            f"no mx of the policy of {seen.domain} ({', '.join(policy.mx)}) matches this MX host",
            f"add mx: {host} to the policy, or remove the host from the MX records",
            severity=stakes.mx_failure,
        )
        for host in uncovered
    ]
    if len(hosts) < len(found):
        return tuple(
            findings
        )  # of those beyond it is not known whether they are covered, and by which pattern
    if not uncovered:
        message = f"the policy covers every MX host: {', '.join(hosts)}"
        findings.append(Finding.of(codes.MX_COVERED, seen.domain, message))
    if meant is None or not meant.shared:
        unused = [
            Finding.of(
                codes.MX_PATTERN_UNUSED,
                seen.domain,
                f"mx: {pattern} matches no MX host of {seen.domain}",
                "remove it, unless an MX host of this name is planned",
            )
            for pattern in policy.mx
            if not any(matches(pattern, host) for host in hosts)
        ]
        findings += few(unused)
    return tuple(findings)
