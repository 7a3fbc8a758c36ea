"""What acme-mailcow judges names with, and whether the addresses of a name pass its comparison; pure."""

import ipaddress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TypeVar

from sidecar.formats.address import is_private
from sidecar.observed import AcmeRun, Addresses, Conf, Dns, Mailcow, RefusedFor, Seen, Sight, Unseen
from sidecar.observed.record_sets import RecordObservations
from sidecar.plan.acme.script import dns_challenge
from sidecar.plan.actions import Hold

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
    automatic: bool = False
    """Whether the sidecar is about to repair it."""

    @property
    def said(self) -> str:
        """The reason, with acme-mailcow's own words if there are any."""
        return f"{self.reason}; acme-mailcow's log says: {self.words}" if self.words else self.reason

    @property
    def hold(self) -> Hold:
        """Why a restart for this name waits."""
        return Hold(self.said, self.remedy)


@dataclass(frozen=True)  # without slots: thousands of names are judged by the cached answers
class AcmeSetup:
    """What acme-mailcow works with: its version, its own environment, and what its log says of the last run."""

    mailcow: Mailcow
    conf: Conf
    run: Sight[AcmeRun]
    accounts: frozenset[str] = field(default_factory=frozenset)
    """ACME accounts (RFC 8657 `accounturi`) required by CAA records of names that are already in the certificate."""
    records: RecordObservations = field(default_factory=RecordObservations)
    """The DNS records that the sidecar publishes."""

    @cached_property
    def dns_challenge(self) -> bool:
        """Whether it proves names with DNS records."""
        return dns_challenge(self.mailcow, self.conf)

    @cached_property
    def skips_addresses(self) -> bool:
        """Whether it compares no addresses."""
        return self.conf.yes("SKIP_IP_CHECK")

    @cached_property
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

    @property
    def last_run(self) -> AcmeRun | None:
        """What its log says of its last run; None if the log was not observed."""
        return self.run.value if isinstance(self.run, Seen) else None

    def words(self, name: str, why: RefusedFor) -> str | None:
        """Its own line about a name that it refused in its last run for this reason."""
        said = self.last_run.refusal(name) if self.last_run else None
        return said.words if said and said.why is why else None


def unknown(check: Check, reason: str, remedy: str | None = None, words: str | None = None) -> NotReady:
    return NotReady(check, reason, remedy, unknown=True, words=words)


def fresh(sight: Sight[T], since: float) -> Sight[T]:
    """The sight; Unseen if it is older than `since` (Unix seconds)."""
    if isinstance(sight, Seen) and sight.at < since:
        return Unseen("the answer is from an earlier pass", sight.at)
    return sight


SETTING_UP_TTL = 120
"""Seconds: the time to live of records while a domain is set up, so that caches soon forget a mistake."""


def looked_at(addresses: Addresses) -> tuple[int, frozenset[str]]:
    """The address family that acme-mailcow checks, and the addresses: AAAA if there is one, else A."""
    six = frozenset(a for a in addresses.addresses if ":" in a)
    return (6, six) if six else (4, addresses.addresses)


def same_address(one: str, other: str) -> bool:
    """Whether two spellings are the same IP address."""
    if one == other:  # the usual case, for each of thousands of names
        return True
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return False


def address_trouble(
    name: str, setup: AcmeSetup, dns: Dns, since: float = 0.0, *, strict: bool = False
) -> NotReady | None:
    """Why the name's addresses would not pass, by answers not older than `since`.

    Not `strict`: if the addresses that acme-mailcow detected are not known, those of MAILCOW_HOSTNAME in the DNS
    are used instead. That is enough to report what is missing, but never to allow a restart.
    """
    if not name:
        return NotReady(Check.ADDRESS, "MAILCOW_HOSTNAME is empty", "set MAILCOW_HOSTNAME in mailcow.conf")
    if setup.dns_challenge:
        return None
    if name.startswith("*."):
        reason = f"Let's Encrypt gives a certificate for {name} only with ACME_DNS_CHALLENGE=y"
        remedy = f"set that in mailcow.conf, or remove {name} from ADDITIONAL_SAN"
        return NotReady(Check.ADDRESS, reason, remedy)
    found = fresh(dns.addresses_of(name), since)
    if isinstance(found, Unseen):
        return unknown(Check.ADDRESS, f"{name} could not be looked up: {found.reason}")
    if found.value.addresses:
        return _leads_elsewhere(name, found.value, setup, dns, since, strict=strict)
    hostname = setup.conf.hostname
    if name == hostname:
        reason = f"{name} (MAILCOW_HOSTNAME) has no address in the DNS"
        return NotReady(Check.ADDRESS, reason, f"publish: {name}. A with the public address of this server")
    automatic = setup.records.served(name)
    remedy = "wait: the sidecar publishes its record" if automatic else _publish_cname(name, hostname)
    return NotReady(Check.ADDRESS, f"{name} has no address in the DNS", remedy, automatic=automatic)


def _leads_elsewhere(
    name: str, found: Addresses, setup: AcmeSetup, dns: Dns, since: float, *, strict: bool
) -> NotReady | None:
    """Compares with the addresses that acme-mailcow detected; if those are not known, with MAILCOW_HOSTNAME."""
    if not setup.unchecked:
        family, addresses = looked_at(found)
        if not setup.compares(family):
            return None
        run = fresh(setup.run, since)
        if isinstance(run, Seen) and run.value.detected:
            own = run.value.ipv6 if family == 6 else run.value.ipv4
            foreign = sorted(a for a in addresses if own is None or not same_address(a, own))
            return _differs_from_detected(name, found, setup, own, foreign) if foreign else None
        if strict:
            why = (
                f"its log could not be read: {run.reason}"
                if isinstance(run, Unseen)
                else "its log does not say which it detected"
            )
            return unknown(
                Check.ADDRESS,
                f"acme-mailcow compares {name} with the public addresses of this server, which are not known: {why}",
            )
    return None if name == setup.conf.hostname else differs_from_hostname(name, found, setup, dns, since)


def _differs_from_detected(
    name: str, found: Addresses, setup: AcmeSetup, own: str | None, foreign: list[str]
) -> NotReady:
    """`own` is the address that acme-mailcow detected, `foreign` those of the name that differ from it."""
    family, addresses = looked_at(found)
    hostname = setup.conf.hostname
    if private := [a for a in foreign if is_private(a)]:
        owner = hostname if found.cname == hostname else name
        alias = f"{name} is an alias of {hostname}, and " if owner != name else ""
        what = f"{owner} (MAILCOW_HOSTNAME)" if owner == hostname else owner
        detected = f", while acme-mailcow detected {own} as this server's" if own else ""
        reason = f"{alias}{what} has the private address {', '.join(private)} in the DNS that is asked here{detected}"
        return NotReady(Check.ADDRESS, reason, _split_dns(owner, own))
    kind = "IPv6" if family == 6 else "IPv4"
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
    elif len(foreign) < len(addresses):
        reason = (
            f"{name} has several {kind} addresses, and {', '.join(foreign)} is not this server's ({own}): "
            "acme-mailcow compares only one of them, not always the same"
        )
        remedy = f"remove {', '.join(foreign)} from the DNS of {name}, or {_publish_cname(name, hostname)}"
    else:
        first = ", which acme-mailcow compares before any IPv4 address," if family == 6 else ""
        reason = f"{name} has the address {', '.join(foreign)}{first} and acme-mailcow detected {own} as this server's"
        record = f"publish: {name}. {'AAAA' if family == 6 else 'A'} {own}, or remove the record"
        remedy = record if name == hostname else _publish_cname(name, hostname)
    return NotReady(Check.ADDRESS, reason, remedy, words=setup.words(name, RefusedFor.ADDRESS))


def differs_from_hostname(
    name: str, found: Addresses, setup: AcmeSetup, dns: Dns, since: float
) -> NotReady | None:
    """Compares the name with MAILCOW_HOSTNAME: if acme-mailcow compares nothing, or its addresses are not known."""
    hostname = setup.conf.hostname
    own = fresh(dns.addresses_of(hostname), since)
    if isinstance(own, Unseen):
        return unknown(Check.ADDRESS, f"{hostname} could not be looked up: {own.reason}")
    if not own.value.addresses:
        return NotReady(Check.ADDRESS, f"{hostname} (MAILCOW_HOSTNAME) has no address in the DNS")
    foreign = sorted(a for a in found.addresses if not any(same_address(a, b) for b in own.value.addresses))
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
    return NotReady(Check.ADDRESS, reason, _publish_cname(name, hostname))


def _split_dns(owner: str, own: str | None = None) -> str:
    public = f"its public address {own}" if own else "its public address"
    return (
        f"let the DNS of {owner} have {public}; if only the DNS inside gives the private one (split DNS), take that "
        "entry out of it, or set SKIP_IP_CHECK=y in mailcow.conf"
    )


def _publish_cname(name: str, hostname: str) -> str:
    return f"publish: {name}. {SETTING_UP_TTL} IN CNAME {hostname}."
