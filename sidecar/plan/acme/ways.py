"""What acme-mailcow judges names with, and the verdict on a name that it would leave out; pure."""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TypeVar

from sidecar.observed import AcmeRun, Conf, Mailcow, RefusedFor, Seen, Sight, Unseen
from sidecar.observed.record_observations import RecordObservations
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
class AcmeWays:
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
