"""What the probes found about a domain: plain frozen values without any I/O.

Rule for every editor: an answer, a failure that a sender would meet too, and a probe that could not be made are
different types or kinds, so that no rule can mistake the last for one of the others. Nothing is judged here.
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
    """The address that was used; `instead_of` says why it was one inside mailcow's network and not the public one."""

    address: str
    instead_of: str | None = None


class Barrier(StrEnum):
    """Why there was no conversation. Each of these may be caused by the network between here and there."""

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
    """The server was reached, and senders would not accept its TLS."""

    way: ProbedWay
    trouble: TlsTrouble
    detail: str
    """As the TLS library puts it."""
    certificate: PresentedCertificate | None
    at: float


@dataclass(frozen=True, slots=True)
class ProbeFailed:
    """The probe itself failed with an unforeseen error: nothing is known about the server."""

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
    """The policy host was reached, but sent no complete HTTP answer; `slow`: not within the time that senders wait."""

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
    """STARTTLS succeeded, with a valid certificate."""

    way: ProbedWay
    version: str
    certificate: PresentedCertificate
    at: float


@dataclass(frozen=True, slots=True)
class MxNoStartTls:
    """The host speaks SMTP but does not offer STARTTLS, or refuses it with `reply`."""

    way: ProbedWay
    reply: str | None
    at: float


@dataclass(frozen=True, slots=True)
class MxWontTalk:
    """The host was reached, but did not speak SMTP with us (a block list, a limit, another service): nothing is known."""

    way: ProbedWay
    detail: str
    at: float
    turned_away: bool = False
    """It refused with a reply (4xx or 5xx), which `detail` quotes."""


MxProbe: TypeAlias = (
    MxTls | MxNoStartTls | MxWontTalk | TlsFailure | Unreachable | NoAddress | NoAnswer | Unseen | ProbeFailed
)


@dataclass(frozen=True, slots=True)
class MxSeen:
    """All that was found about one MX host."""

    host: str
    probe: MxProbe
    tlsa: DnsResult[Tlsa]
    others: tuple[MxProbe, ...] = ()
    """The results for its other addresses: a sender may use any of them."""

    @property
    def probes(self) -> tuple[MxProbe, ...]:
        """The results for all its addresses."""
        return self.probe, *self.others


# --- the domain ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Meant:
    """The intended policy of a domain; `shared`: one text serves many domains, so some mx belong to other domains."""

    policy: Policy
    shared: bool = False


@dataclass(frozen=True, slots=True)
class DomainSeen:
    """All that was found about one policy domain, `at` Unix seconds."""

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
    """By MX host, as far as they were probed; for a domain without MX the domain itself (RFC 5321 §5.1)."""
    caa: Sight[Caa]
    at: float
    policy_others: tuple[PolicyFetch, ...] = ()
    """The results for the policy host's other addresses: a sender may use any of them."""

    @property
    def fetches(self) -> tuple[PolicyFetch, ...]:
        """The results for all addresses of the policy host."""
        return self.policy, *self.policy_others
