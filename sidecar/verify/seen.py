"""What the probes bring of a domain: plain frozen values, nothing that can be asked.

Rule for every editor: an answer that somebody gave, a failure that a sender would meet too, and a probe that could
not be made are different types or kinds, so that no rule can take the last for one of the others. No opinion here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from sidecar.dns.answers import DnsResult, NoAnswer, Tlsa
from sidecar.formats.mtasts_policy import Policy
from sidecar.observed import Caa, Sight, Unseen

# --- TLS -------------------------------------------------------------------------------------------------


class TlsTrouble(StrEnum):
    """Why a sender would not accept a server's TLS."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    WRONG_NAME = "wrong name"
    SELF_SIGNED = "self-signed"
    UNKNOWN_ISSUER = "unknown issuer"
    TOO_OLD = "TLS too old"
    OTHER = "handshake failed"


@dataclass(frozen=True, slots=True)
class PresentedCertificate:
    """A server's certificate; dates are Unix seconds (None: cannot be read), `der` is itself."""

    names: tuple[str, ...] | None
    """DNS names of its subjectAltName, lower-case, the first of many; None: they cannot be read."""
    issuer: str
    """The issuer's organisation, else its common name."""
    not_before: float | None
    not_after: float | None
    der: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProbedWay:
    """The address that was spoken to; `instead_of` says why it was one inside mailcow's network and not the public one."""

    address: str
    instead_of: str | None = None


class Barrier(StrEnum):
    """Why no conversation came about. Any of these may be the network between here and there."""

    REFUSED = "connection refused"
    UNREACHABLE = "no connection"
    NO_ROUTE = "no route"
    """This machine has no way to the address at all, as where it has no IPv6."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No connection to this address could be made: nothing is known of the server; `reason` names the address."""

    barrier: Barrier
    reason: str
    at: float
    address: str = ""


@dataclass(frozen=True, slots=True)
class NoAddress:
    """The DNS says that the host has neither A nor AAAA."""

    at: float


@dataclass(frozen=True, slots=True)
class TlsFailure:
    """The server was reached, and its TLS is not what a sender accepts."""

    way: ProbedWay
    trouble: TlsTrouble
    detail: str
    """In the TLS library's words."""
    certificate: PresentedCertificate | None
    at: float


@dataclass(frozen=True, slots=True)
class ProbeFailed:
    """The look itself failed, by something that nobody foresaw: nothing is known of the server."""

    reason: str
    at: float


# --- the policy ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PolicyAnswer:
    """An HTTP answer over accepted TLS; `body` ends at the limit where `whole` is False."""

    way: ProbedWay
    certificate: PresentedCertificate
    status: int
    media_type: str | None
    """Without parameters, lower-case."""
    location: str | None
    body: bytes
    whole: bool
    at: float


@dataclass(frozen=True, slots=True)
class PolicyFailure:
    """The policy host was reached, and no whole HTTP answer came; `slow`: within the time that senders give it."""

    way: ProbedWay
    slow: bool
    detail: str
    at: float


PolicyFetch: TypeAlias = (
    PolicyAnswer | PolicyFailure | TlsFailure | Unreachable | NoAddress | NoAnswer | Unseen | ProbeFailed
)

# --- MX --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MxTls:
    """STARTTLS went well, certificate included."""

    way: ProbedWay
    version: str
    certificate: PresentedCertificate
    at: float


@dataclass(frozen=True, slots=True)
class MxNoStartTls:
    """The host speaks SMTP and offers no STARTTLS, or refuses it with `reply`."""

    way: ProbedWay
    reply: str | None
    at: float


@dataclass(frozen=True, slots=True)
class MxWontTalk:
    """The host was reached, and spoke no SMTP with us (a block list, a limit, another service): nothing is known."""

    way: ProbedWay
    detail: str
    at: float
    turned_away: bool = False
    """It answered with a reply that refuses (4xx or 5xx), which `detail` has."""


MxProbe: TypeAlias = (
    MxTls | MxNoStartTls | MxWontTalk | TlsFailure | Unreachable | NoAddress | NoAnswer | Unseen | ProbeFailed
)


@dataclass(frozen=True, slots=True)
class MxSeen:
    """All that was seen of one MX host."""

    host: str
    probe: MxProbe
    tlsa: DnsResult[Tlsa]
    others: tuple[MxProbe, ...] = ()
    """What came of its other addresses: a sender may use any of them."""

    @property
    def probes(self) -> tuple[MxProbe, ...]:
        """What came of all its addresses."""
        return self.probe, *self.others


# --- the domain ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Meant:
    """The policy that a domain should have; `shared`: one text serves many domains, so not all of mx is this one's."""

    policy: Policy
    shared: bool = False


@dataclass(frozen=True, slots=True)
class DomainSeen:
    """All that was seen of one policy domain, `at` Unix seconds."""

    domain: str
    txt: DnsResult[bytes]
    """`_mta-sts.<domain>`, the strings of each record joined."""
    misplaced: Mapping[str, DnsResult[bytes]]
    """TXT records at names where the record is put by mistake (`near_misses`), asked for only where `_mta-sts` has none."""
    tlsrpt: DnsResult[bytes]
    mx: DnsResult[str]
    """The preferred first, lower-case, without a final dot; `NULL_MX` for a null MX."""
    policy: PolicyFetch
    """At the first address that gave a policy that senders can use; else at the first."""
    hosts: Mapping[str, MxSeen]
    """By MX host, as far as they were looked at; of a domain without MX the domain itself (RFC 5321 §5.1)."""
    caa: Sight[Caa]
    at: float
    policy_others: tuple[PolicyFetch, ...] = ()
    """What came of the policy host's other addresses: a sender may use any of them."""

    @property
    def fetches(self) -> tuple[PolicyFetch, ...]:
        """What came of all addresses of the policy host."""
        return self.policy, *self.policy_others
