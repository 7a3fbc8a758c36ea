"""What is known about the domains and their records, and the outcome: changes, and what is held; pure.

Rule for every editor: evidence is true, false or None (not known), and only true permits anything.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from sidecar.dns.publish.port import Remove, Replace
from sidecar.observed import Sight
from sidecar.observed.record_sets import AccountState, Key, RecordLedger, RecordSet, Values
from sidecar.settings.dns import HostForm, Publish, Scheme


class Role(StrEnum):
    """What a record set is for."""

    HOST = "host"
    """`mta-sts`: the address of the policy host (RFC 8461 §3.3)."""
    ID = "id"
    """`_mta-sts`: says to senders that there is a policy, and which (RFC 8461 §3.1)."""
    REPORT = "report"
    """`_smtp._tls`: where reports go (RFC 8460 §3)."""


# --- the domains ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecordEvidence:
    """What was observed about the policy of a domain."""

    address_visible: bool | None = None
    """Whether every authoritative server has the address of the policy host, and it leads to the mail host."""
    certificate: bool | None = None
    """Whether the certificate that is presented has the policy host's name."""
    policy_verified: bool | None = None
    """Whether the policy with the domain's present id is served and was checked as a sender sees it."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """A domain that is leaving MTA-STS (RFC 8461 §8.3)."""

    none_verified: bool | None = None
    """Whether a policy of mode none is served and was checked."""
    expires_at: float | None = None
    """Unix time from which no sender holds a policy any more: the id of `none` was published, and the longest max_age
    has passed since; None: not known yet."""


@dataclass(frozen=True, slots=True)
class PublishedDomain:
    """A domain or alias domain that records are published for; names are A-labels without a final dot."""

    name: str
    id: str | None
    """The id of the policy that is served; None: not known."""
    evidence: RecordEvidence = RecordEvidence()
    leaving: Leaving | None = None
    settled: bool = False
    """Whether the policy is as the settings want it in the end: then TTLs are long."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What counts for all domains."""

    hostname: str
    """MAILCOW_HOSTNAME, where policies are served."""
    addresses: frozenset[str] | None = None
    """Those of the host; None: not known."""
    tls_report: str | None = None
    """The URI that reports go to; None: none is published."""
    publish: Publish = Publish.OFF
    scheme: Scheme = Scheme.PER_DOMAIN
    host: HostForm = HostForm.CNAME
    shared_base: str = ""
    """The domain below which the shared records stand."""
    ttl: int = 300
    settled_ttl: int = 3_600
    """Seconds."""
    any_report: bool = False
    """Whether another address for reports, which a person published, is right as well: nobody asked for ours."""


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """The account that serves a name, and the zone that the name lies in."""

    account: str
    zone: str


@dataclass(frozen=True, slots=True)
class Unplaced:
    """No account serves the name, or it is not known which; `known` false: it may be found out later."""

    reason: str
    known: bool


# --- the outcome ------------------------------------------------------------------------------------------


class RecordOwner(StrEnum):
    """Whose a record set is."""

    NOBODY = "nobody"
    """There is none."""
    OURS = "ours"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"
    """It was not seen."""


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One record set of a domain, as it is shown."""

    domain: str
    """Empty for records that all domains share."""
    role: Role
    key: Key
    wanted: Values
    """Empty: it should not be there, or nothing can be said yet."""
    found: Sight[RecordSet]
    whose: RecordOwner
    right: bool
    """Whether senders understand what is found as what is wanted."""


@dataclass(frozen=True, slots=True)
class RecordWrite:
    """A change of one record set, to be made by this account."""

    place: RecordPlace
    change: Replace | Remove
    domain: str
    role: Role
    reason: str
    ttl: int = 0
    """The TTL that is asked for, in seconds; 0 if the set is removed."""

    @property
    def key(self) -> Key:
        return self.change.key


@dataclass(frozen=True, slots=True)
class HeldWrite:
    """What is not done now, why, and what a person can do; `until` is a Unix time or None."""

    key: Key
    domain: str
    role: Role
    reason: str
    remedy: str
    until: float | None = None
    foreign: bool = False
    """Whether it waits for `sidecar adopt --dns NAME`."""
    large: bool = False
    """Whether it waits for `sidecar once --large-dns-plan`."""
    by_hand: bool = False
    """Whether a person has to do it, since no account serves the zone."""


@dataclass(frozen=True, slots=True)
class PublishPlan:
    """What to write now, in this order; what is held; and every record set as it stands."""

    writes: tuple[RecordWrite, ...] = ()
    held: tuple[HeldWrite, ...] = ()
    rows: Collection[RecordRow] = ()
    let_through: bool = False
    """Whether more would be held without the person's consent."""


@dataclass(frozen=True, slots=True)
class Picture:
    """All that a plan is made from."""

    now: float
    facts: Facts
    domains: tuple[PublishedDomain, ...]
    found: Mapping[Key, Sight[RecordSet]]
    """At the source, under all types of all names (`names.keys`)."""
    places: Mapping[str, RecordPlace | Unplaced]
    ledger: RecordLedger = field(default_factory=lambda: MappingProxyType({}))
    accounts: Mapping[str, AccountState] = field(default_factory=lambda: MappingProxyType({}))
    override: bool = False
    """Whether a person allowed a large plan once."""
