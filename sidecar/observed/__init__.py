"""The picture of the world that decisions get: plain frozen values without any behaviour towards the world.

Rule for every editor: a part that could not be observed is `Unseen`, never an empty value. An empty tuple, `None` in
a `Served` or an empty set of addresses is an *answer*. No I/O and no decision belongs here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.formats.mtasts_policy import Policy
from sidecar.observed.certificates import Certificate, Certificates, Front, Issuer
from sidecar.observed.containers import (
    NEW_SUFFIX,
    OLD_SUFFIX,
    AcmeRun,
    Answered,
    Challenge,
    Container,
    Project,
    Refusal,
    RefusedFor,
)
from sidecar.observed.dns import Addresses, Caa, Dns, Kind, Question, Txt
from sidecar.observed.mailcow import (
    FIRST_NATIVE,
    Access,
    AliasDomain,
    Backend,
    Conf,
    Domain,
    DomainList,
    Mailcow,
    PolicyFile,
    Served,
    Version,
)
from sidecar.observed.memory import (
    FILE,
    LARGE_DNS_PLAN,
    Announced,
    CheckRecord,
    ConfEntry,
    ConfEvent,
    Doubt,
    Fact,
    FactKind,
    InVain,
    LostName,
    Memory,
    Move,
    PolicyMemory,
    Restart,
    SenderView,
    Span,
    Write,
)
from sidecar.observed.record_sets import RecordObservations
from sidecar.observed.report_route import RouteSeen
from sidecar.observed.reports import ReportEvidence
from sidecar.observed.sight import NOT_ASKED, RedisRefuses, Seen, Sight, Unseen, Validated

__all__ = [
    "FILE",
    "FIRST_NATIVE",
    "LARGE_DNS_PLAN",
    "NEW_SUFFIX",
    "NOT_ASKED",
    "OLD_SUFFIX",
    "AcmeRun",
    "Addresses",
    "AliasDomain",
    "Announced",
    "Answered",
    "Backend",
    "Caa",
    "Certificate",
    "Certificates",
    "Challenge",
    "CheckRecord",
    "Conf",
    "ConfEntry",
    "ConfEvent",
    "Container",
    "Dns",
    "Domain",
    "DomainList",
    "Doubt",
    "Fact",
    "FactKind",
    "InVain",
    "Issuer",
    "Kind",
    "LostName",
    "Mailcow",
    "Memory",
    "Move",
    "Observed",
    "PolicyFile",
    "PolicyId",
    "PolicyMemory",
    "Project",
    "Question",
    "RedisRefuses",
    "Refusal",
    "RefusedFor",
    "Restart",
    "Seen",
    "SenderView",
    "Served",
    "Sight",
    "Span",
    "Txt",
    "Unseen",
    "Validated",
    "Version",
    "Write",
]


@dataclass(frozen=True, slots=True)
class PolicyId:
    """A policy id (RFC 8461 §3.1), and the text that was served before and after it was read."""

    text: str
    id: str


NO_REPORTS: Seen[Mapping[str, ReportEvidence]] = Seen({}, 0.0)


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that a decision needs, including the time and the memory."""

    now: float
    conf: Sight[Conf]
    mailcow: Sight[Mailcow]
    domains: Sight[DomainList]
    """The list that is believed; `memory.doubt` describes an answer that is not believed yet."""
    served: Mapping[str, Sight[Served]]
    """Native: by domain."""
    file: Sight[PolicyFile]
    project: Sight[Project]
    certificates: Sight[Certificates]
    dns: Dns
    memory: Memory
    ids: Mapping[str, PolicyId] = field(default_factory=dict)
    """Native: ids read since the last pass, by domain."""
    presented: Sight[Certificate] = NOT_ASKED
    """The certificate that nginx presents for MAILCOW_HOSTNAME."""
    views: tuple[SenderView, ...] = ()
    """Sender checks that ended since the last pass."""
    challenges: Mapping[str, Sight[Challenge]] = field(default_factory=dict)
    """The HTTP probes of this pass, by name."""
    access: Sight[Access] = NOT_ASKED
    """The keys in mailcow's database; asked for only where the API gives no access."""
    address: Sight[str] = NOT_ASKED
    """The own IPv4 address, as mailcow sees it."""
    fronts: Mapping[str, tuple[Sight[Front], ...]] = field(default_factory=dict)
    """What answers on port 443 of the public addresses of some of mailcow's names, by name."""
    report_route: Sight[RouteSeen] = NOT_ASKED
    """The alias and the transport of TLS reports."""
    reports: Sight[Mapping[str, ReportEvidence]] = NO_REPORTS
    """What follows from the TLS reports that were received, by domain."""
    elsewhere: Mapping[str, Sight[Policy | None]] = field(default_factory=dict)
    """By domain whose policy host leads to another server: the valid policy that senders get there (None: none)."""
    policy_maps: Sight[str | None] = NOT_ASKED
    """Postfix's smtp_tls_policy_maps; None where it is not set."""
    records: RecordObservations = field(default_factory=RecordObservations)
    """The DNS records at the accounts that may publish them, as read beside the passes."""

    def challenge_of(self, name: str) -> Sight[Challenge]:
        """The HTTP probe of `name`."""
        return self.challenges.get(name, NOT_ASKED)

    @property
    def one_file(self) -> bool:
        """Whether one file serves all domains, as far as observed."""
        return isinstance(self.mailcow, Seen) and self.mailcow.value.backend is Backend.FILE

    def policy_key(self, domain: str, target: str | None = None) -> str:
        """The key under which the policy of a domain is remembered; `target` is given for an alias domain."""
        return FILE if self.one_file else target or domain

    def served_of(self, domain: str) -> Sight[Served]:
        """What is served for a domain on the native generation."""
        return self.served.get(domain, NOT_ASKED)
