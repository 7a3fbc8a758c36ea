"""How acme-mailcow judges a name before it orders, and how Let's Encrypt judges it in the order; pure.

Rule for every editor: acme-mailcow leaves out each name that fails, also an old one or MAILCOW_HOSTNAME, and one
name that Let's Encrypt refuses makes the whole order fail. So a name is ready only if both would accept it, by answers
that were given. A question without an answer is unknown, and unknown is never ready.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from sidecar.formats.address import is_private
from sidecar.observed import (
    AcmeRun,
    Addresses,
    Answered,
    Caa,
    Challenge,
    Conf,
    Dns,
    Mailcow,
    Refusal,
    RefusedFor,
    Seen,
    Sight,
    Unseen,
)
from sidecar.observed.record_looks import RecordLooks
from sidecar.observed.words import command
from sidecar.plan.acme.script import ISSUER, dns_challenge
from sidecar.plan.actions import Hold

SETTING_UP_TTL = 120
"""Seconds: the time to live of records while a domain is set up, so that caches soon forget a mistake."""

T = TypeVar("T")


class Check(StrEnum):
    """The check that a name fails."""

    ADDRESS = "address"
    CAA = "CAA"
    HTTP = "HTTP probe"
    LOG = "acme-mailcow's last run"


@dataclass(frozen=True, slots=True)
class NotReady:
    """Why a name would be left out of an order now; `unknown` if the answer itself is missing."""

    check: Check
    reason: str
    remedy: str | None = None
    unknown: bool = False
    words: str | None = None
    """acme-mailcow's own line, if its log has one."""
    by_itself: bool = False
    """Whether the sidecar is about to mend it."""

    @property
    def said(self) -> str:
        """The reason, with acme-mailcow's own words if there are any."""
        return f"{self.reason}; acme-mailcow's log says: {self.words}" if self.words else self.reason

    @property
    def hold(self) -> Hold:
        """Why a restart for this name waits."""
        return Hold(self.said, self.remedy)


@dataclass(frozen=True, slots=True)
class AcmeWays:
    """What acme-mailcow works with: its version, its own environment, and what its log says of the last run."""

    mailcow: Mailcow
    conf: Conf
    run: Sight[AcmeRun]
    accounts: frozenset[str] = field(default_factory=frozenset)
    """ACME accounts (RFC 8657 `accounturi`) required by CAA records of names that are already in the certificate."""
    records: RecordLooks = field(default_factory=RecordLooks)
    """The DNS records that the sidecar publishes."""

    @property
    def dns_challenge(self) -> bool:
        """Whether it proves names with DNS records."""
        return dns_challenge(self.mailcow, self.conf)

    @property
    def skips_addresses(self) -> bool:
        """Whether it compares no addresses."""
        return self.conf.yes("SKIP_IP_CHECK")

    @property
    def skips_http(self) -> bool:
        """Whether it makes no HTTP probe."""
        return self.conf.yes("SKIP_HTTP_VERIFICATION")

    @property
    def unchecked(self) -> bool:
        """Whether every name goes into the order unchecked: one wrong name then makes it and all renewals fail."""
        return self.skips_addresses and self.skips_http and not self.dns_challenge

    def compares(self, family: int) -> bool:
        """Whether it compares the addresses of this family (4 or 6) with its own."""
        key = "SNAT6_TO_SOURCE" if family == 6 else "SNAT_TO_SOURCE"
        # Compose passes `n` if the key is missing or empty.
        return not self.skips_addresses and (self.conf.values.get(key) or "n") == "n"


def looked_at(addresses: Addresses) -> tuple[int, frozenset[str]]:
    """The address family that acme-mailcow checks, and the addresses: AAAA if there is one, else A."""
    six = frozenset(a for a in addresses.addresses if ":" in a)
    return (6, six) if six else (4, addresses.addresses)


def address_trouble(
    name: str, ways: AcmeWays, dns: Dns, since: float = 0.0, *, strict: bool = False
) -> NotReady | None:
    """Why the name's addresses would not pass, by answers not older than `since`.

    Not `strict`: if the addresses that acme-mailcow detected are not known, those of MAILCOW_HOSTNAME in the DNS
    are used instead. That is enough to report what is missing, but never to allow a restart.
    """
    if (no_host := _no_host(name, ways)) is not None or ways.dns_challenge:
        return no_host
    hostname = ways.conf.hostname
    found = fresh(dns.addresses_of(name), since)
    if isinstance(found, Unseen):
        return _unknown(Check.ADDRESS, f"{name} could not be looked up: {found.reason}")
    if not found.value.addresses:
        return _no_address(name, hostname, by_itself=ways.records.served(name))
    if ways.unchecked:
        return None if name == hostname else _as_hostname(name, found.value, ways, dns, since)
    family, addresses = looked_at(found.value)
    if not ways.compares(family):
        return None
    if isinstance(ways.run, Seen) and ways.run.value.detected and ways.run.at >= since:
        return _private(name, found.value, family, ways) or _compared(
            name, family, addresses, ways.run.value, ways
        )
    if strict:
        return _not_detected(name, ways, since)
    return None if name == hostname else _as_hostname(name, found.value, ways, dns, since)


def _no_host(name: str, ways: AcmeWays) -> NotReady | None:
    if not name:
        return NotReady(Check.ADDRESS, "MAILCOW_HOSTNAME is empty", "set MAILCOW_HOSTNAME in mailcow.conf")
    if not name.startswith("*.") or ways.dns_challenge:
        return None
    reason = f"Let's Encrypt gives a certificate for {name} only with ACME_DNS_CHALLENGE=y"
    return NotReady(Check.ADDRESS, reason, f"set that in mailcow.conf, or remove {name} from ADDITIONAL_SAN")


def _no_address(name: str, hostname: str, *, by_itself: bool) -> NotReady:
    if name == hostname:
        reason = f"{name} (MAILCOW_HOSTNAME) has no address in the DNS"
        return NotReady(Check.ADDRESS, reason, f"publish: {name}. A with the public address of this server")
    remedy = "wait: the sidecar publishes its record" if by_itself else _cname(name, hostname)
    reason = f"{name} has no address in the DNS"
    return NotReady(Check.ADDRESS, reason, remedy, by_itself=by_itself)


def _private(name: str, found: Addresses, family: int, ways: AcmeWays) -> NotReady | None:
    """A private address of the name, or of the hostname that it is an alias of: acme-mailcow compares it in vain."""
    run = ways.run.value if isinstance(ways.run, Seen) else None
    own = (run.ipv6 if family == 6 else run.ipv4) if run else None
    private = sorted(a for a in looked_at(found)[1] if is_private(a) and (own is None or not _same(a, own)))
    if not private:
        return None
    hostname = ways.conf.hostname
    owner = hostname if found.cname == hostname else name
    alias = f"{name} is an alias of {hostname}, and " if owner != name else ""
    what = f"{owner} (MAILCOW_HOSTNAME)" if owner == hostname else owner
    detected = f", while acme-mailcow detected {own} as this server's" if own else ""
    reason = (
        f"{alias}{what} has the private address {', '.join(private)} in the DNS that is asked here{detected}"
    )
    return NotReady(Check.ADDRESS, reason, _split_dns(owner, own))


def _split_dns(owner: str, own: str | None = None) -> str:
    public = f"its public address {own}" if own else "its public address"
    return (
        f"let the DNS of {owner} have {public}; if only the DNS inside gives the private one (split DNS), take that "
        "entry out of it, or set SKIP_IP_CHECK=y in mailcow.conf"
    )


def _not_detected(name: str, ways: AcmeWays, since: float) -> NotReady:
    run = fresh(ways.run, since)
    why = (
        f"its log could not be read: {run.reason}"
        if isinstance(run, Unseen)
        else "its log does not say which it detected"
    )
    return _unknown(
        Check.ADDRESS,
        f"acme-mailcow compares {name} with the public addresses of this server, which are not known: {why}",
    )


def _compared(
    name: str, family: int, addresses: frozenset[str], run: AcmeRun, ways: AcmeWays
) -> NotReady | None:
    own = run.ipv6 if family == 6 else run.ipv4
    foreign = sorted(a for a in addresses if own is None or not _same(a, own))
    if not foreign:
        return None
    hostname = ways.conf.hostname
    kind = "IPv6" if family == 6 else "IPv4"
    said = run.refusal(name)
    words = said.words if said and said.why is RefusedFor.ADDRESS else None
    if own is None:
        reason = (
            f"{name} has the {kind} address {', '.join(foreign)}, and acme-mailcow detected no public {kind} "
            "address of this server"
        )
        remedy = (
            f"remove the AAAA record of {name}, or give this server IPv6"
            if family == 6
            else "acme-mailcow tries to detect it again in its next run; if that fails too, give this server IPv4"
        )
        return NotReady(Check.ADDRESS, reason, remedy, words=words)
    if len(foreign) < len(addresses):
        reason = (
            f"{name} has several {kind} addresses, and {', '.join(foreign)} is not this server's ({own}): "
            "acme-mailcow compares only one of them, not always the same"
        )
        remedy = f"remove {', '.join(foreign)} from the DNS of {name}, or publish: {_record(name, hostname)}"
        return NotReady(Check.ADDRESS, reason, remedy, words=words)
    first = ", which acme-mailcow compares before any IPv4 address," if family == 6 else ""
    reason = (
        f"{name} has the address {', '.join(foreign)}{first} and acme-mailcow detected {own} as this server's"
    )
    return NotReady(Check.ADDRESS, reason, _own_record(name, hostname, own, family), words=words)


def _as_hostname(name: str, found: Addresses, ways: AcmeWays, dns: Dns, since: float) -> NotReady | None:
    """Compares the name with MAILCOW_HOSTNAME: if acme-mailcow compares nothing, or its addresses are not known."""
    hostname = ways.conf.hostname
    own = fresh(dns.addresses_of(hostname), since)
    if isinstance(own, Unseen):
        return _unknown(Check.ADDRESS, f"{hostname} could not be looked up: {own.reason}")
    if not own.value.addresses:
        return NotReady(Check.ADDRESS, f"{hostname} (MAILCOW_HOSTNAME) has no address in the DNS")
    foreign = sorted(a for a in found.addresses if not any(_same(a, b) for b in own.value.addresses))
    if not foreign:
        return None
    if private := sorted(a for a in own.value.addresses if is_private(a)):
        reason = (
            f"{hostname} (MAILCOW_HOSTNAME) has the private address {', '.join(private)} in the DNS that is asked here: "
            f"whether {name} ({', '.join(foreign)}) leads to this server cannot be compared with it"
        )
        return NotReady(Check.ADDRESS, reason, _split_dns(hostname))
    if private := [a for a in foreign if is_private(a)]:
        reason = f"{name} has the private address {', '.join(private)} in the DNS that is asked here"
        return NotReady(Check.ADDRESS, reason, _split_dns(name))
    reason = f"{name} has the address {', '.join(foreign)}, which {hostname} does not have"
    return NotReady(Check.ADDRESS, reason, _cname(name, hostname))


def caa_trouble(name: str, ways: AcmeWays, dns: Dns, since: float = 0.0) -> NotReady | None:
    """Why CAA records forbid the name: acme-mailcow's own check of the parent, and RFC 8659 with RFC 8657."""
    parent = name.partition(".")[2]
    at_parent = fresh(dns.caa_at_of(parent), since)
    if isinstance(at_parent, Unseen):
        return _unknown(Check.CAA, f"the CAA records of {parent} could not be looked up: {at_parent.reason}")
    if at_parent.value.issue and not any(ISSUER in value for value in at_parent.value.issue):
        run = ways.run.value if isinstance(ways.run, Seen) else None
        said = run.refusal(name) if run else None
        return NotReady(
            Check.CAA,
            f"the CAA records at {parent} forbid Let's Encrypt a certificate for {name}",
            f'publish there: CAA 0 issue "{ISSUER}"',
            words=said.words if said and said.why is RefusedFor.CAA else None,
        )
    found = fresh(dns.caa_of(name), since)
    if isinstance(found, Unseen):
        return _unknown(Check.CAA, f"the CAA records of {name} could not be looked up: {found.reason}")
    return _by_rfc(name, found.value, ways)


def _by_rfc(name: str, caa: Caa, ways: AcmeWays) -> NotReady | None:
    if not caa.allows(ISSUER):
        return NotReady(
            Check.CAA,
            f"the CAA records at {caa.owner} forbid Let's Encrypt a certificate for {name}",
            f'publish there: CAA 0 issue "{ISSUER}"',
        )
    method = "dns-01" if ways.dns_challenge else "http-01"
    allowed = [p for p in caa.parameters(ISSUER) if _allows_method(p, method)]
    if caa.issue and not allowed:
        return NotReady(
            Check.CAA,
            f"the CAA records at {caa.owner} allow Let's Encrypt other validation methods than {method} for {name}",
            f'publish there: CAA 0 issue "{ISSUER}; validationmethods={method}"',
        )
    accounts = [p["accounturi"] for p in allowed if "accounturi" in p]
    if len(accounts) < len(allowed) or not allowed or ways.accounts & set(accounts):
        return None
    return _unknown(
        Check.CAA,
        f"the CAA records at {caa.owner} allow {name} one ACME account only ({accounts[0]}), and it is not known "
        "whether that is acme-mailcow's",
        f'if it is, publish there also, until the name is in the certificate: CAA 0 issue "{ISSUER}"',
    )


def _allows_method(parameters: Mapping[str, str], method: str) -> bool:
    """RFC 8657 §4: without the parameter every method is allowed."""
    methods = parameters.get("validationmethods")
    return methods is None or method in {part.strip().lower() for part in methods.split(",")}


def http_trouble(
    name: str, ways: AcmeWays, dns: Dns, challenge: Sight[Challenge], since: float
) -> NotReady | None:
    """Why the HTTP probe fails for the name. Let's Encrypt makes it even if acme-mailcow skips it."""
    if ways.dns_challenge:
        return None
    found = fresh(challenge, since)
    if isinstance(found, Unseen):
        return _unknown(Check.HTTP, f"the HTTP probe of {name} is missing: {found.reason}")
    run = ways.run.value if isinstance(ways.run, Seen) else None
    said = run.refusal(name) if run else None
    words = said.words if said and said.why is RefusedFor.HTTP else None
    match found.value.answered:
        case Answered.YES:
            return None
        case Answered.INSIDE:
            return _from_inside(name, ways, dns, found.value.said, words)
        case Answered.NO:
            return NotReady(
                Check.HTTP,
                f"port 80 of {name} is not answered by this mailcow: {found.value.said}",
                f"let http://{name}/.well-known/acme-challenge/ reach nginx-mailcow; behind a reverse proxy, this prints its "
                f"configuration: {command('proxy nginx')}",
                words=words,
            )


def _from_inside(name: str, ways: AcmeWays, dns: Dns, said: str, words: str | None) -> NotReady | None:
    """The sidecar cannot reach the name publicly: the name passes if acme-mailcow can, and the address is ours."""
    addresses = dns.addresses_of(name)
    found = addresses.value if isinstance(addresses, Seen) else Addresses(frozenset())
    family, chosen = looked_at(found)
    run = ways.run.value if isinstance(ways.run, Seen) else None
    reached = run.reached if run else frozenset()
    why: str | None = None
    if not ways.skips_http and (run is None or family not in run.confirmed):
        why = f"acme-mailcow's last run confirmed no name over IPv{family}"
    elif ways.compares(family):
        pass
    # If acme-mailcow compares nothing, a closed port on another host would look the same from here.
    elif not ways.skips_http:
        if not chosen or not all(any(_same(address, one) for one in reached) for address in chosen):
            why = f"acme-mailcow's last run confirmed no name at {', '.join(sorted(chosen)) or 'no address'}"
    elif name != ways.conf.hostname and (not chosen or _as_hostname(name, found, ways, dns, 0.0) is not None):
        why = f"it does not have the addresses of {ways.conf.hostname}"
    if why is None:
        return None
    return _unknown(
        Check.HTTP, f"{name} cannot be reached on port 80 from here ({said}), and {why}", words=words
    )


def log_trouble(name: str, ways: AcmeWays, dns: Dns) -> NotReady | None:
    """Why acme-mailcow refused the name in its last run, unless something observed since then contradicts it."""
    if not isinstance(ways.run, Seen) or (said := ways.run.value.refusal(name)) is None:
        return None
    match said.why:
        case RefusedFor.CAA | RefusedFor.NO_ADDRESS | RefusedFor.POLICY:
            # The cause of the refusal is checked separately: if that passes now, it has changed since.
            return None
        case RefusedFor.ADDRESS | RefusedFor.HTTP if not _still_there(said, dns.addresses_of(name)):
            return None
        case _:
            return NotReady(
                Check.LOG,
                f"acme-mailcow refused {name} in its last run, and the DNS of {name} has not changed since",
                "acme-mailcow checks it again within a day; to try at once: docker compose restart acme-mailcow",
                words=said.words,
            )


def _still_there(said: Refusal, found: Sight[Addresses]) -> bool:
    if not isinstance(found, Seen) or said.address is None:
        return True
    return any(_same(said.address, address) for address in found.value.addresses)


def fresh(sight: Sight[T], since: float) -> Sight[T]:
    """The sight; Unseen if it is older than `since` (Unix seconds)."""
    if isinstance(sight, Seen) and sight.at < since:
        return Unseen("the answer is from an earlier pass", sight.at)
    return sight


def _unknown(check: Check, reason: str, remedy: str | None = None, words: str | None = None) -> NotReady:
    return NotReady(check, reason, remedy, unknown=True, words=words)


def _same(one: str, other: str) -> bool:
    if one == other:  # the usual case, for each of thousands of names
        return True
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return False


def _record(name: str, hostname: str) -> str:
    return f"{name}. {SETTING_UP_TTL} IN CNAME {hostname}."


def _cname(name: str, hostname: str) -> str:
    return f"publish: {_record(name, hostname)}"


def _own_record(name: str, hostname: str, own: str, family: int) -> str:
    if name == hostname:
        return f"publish: {name}. {'AAAA' if family == 6 else 'A'} {own}, or remove the record"
    return _cname(name, hostname)
