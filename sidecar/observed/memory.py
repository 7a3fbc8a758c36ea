"""What the sidecar remembers between two passes and across restarts of itself.

Rule for every editor: an empty memory is safe. It may cost a longer wait, never a wrong write.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sidecar.host.elapsed import Tally
from sidecar.observed.checks import Rollout
from sidecar.observed.findings import Finding
from sidecar.observed.mailcow import DomainList
from sidecar.observed.report_route import RouteMemory

FILE = "*"
"""Stands for the one policy file where a policy is remembered or adopted by its domain."""


@dataclass(frozen=True, slots=True)
class Write:
    """A policy that the sidecar meant to serve (None: to switch off); `done` is None while the outcome is unknown."""

    text: str | None
    at: float
    done: bool | None


@dataclass(frozen=True, slots=True)
class Span:
    """A text seen served (None: nothing) from `since` to `until` (None: as far as is known, still).

    These are for people. How long ago it was is told by `begun` and `ended`, which are `Memory.counted` of then; of a
    span from before that was counted both are 0, so that a wait for it begins with the counting.
    """

    text: str | None
    since: float
    until: float | None
    begun: float = 0.0
    ended: float = 0.0
    """Of use only where `until` is known."""


@dataclass(frozen=True, slots=True)
class PolicyMemory:
    """What is remembered of one policy; both tuples oldest first."""

    writes: tuple[Write, ...] = ()
    spans: tuple[Span, ...] = ()
    floor: str | None = None
    """The text that was taken over from a person: its mode, max_age and mx are not undercut."""
    refused: str | None = None
    """Why a write was left undone for good: a person's own row that is switched off."""
    id_text: str | None = None
    id: str | None = None
    """Native: the policy id that mailcow gave to `id_text`; of use only while that text is served."""


class ConfEvent(StrEnum):
    """What happened to an entry that the sidecar put into mailcow.conf."""

    INTENDED = "intended"
    ADDED = "added"
    REMOVED = "removed"
    """by the sidecar"""
    TAKEN_OUT = "taken out"
    """by somebody else"""


@dataclass(frozen=True, slots=True)
class ConfEntry:
    """One event of an entry of a comma-separated key in mailcow.conf."""

    key: str
    entry: str
    event: ConfEvent
    at: float


@dataclass(frozen=True, slots=True)
class Restart:
    """A restart of acme-mailcow that the sidecar asked for, and the names it was for."""

    at: float
    names: tuple[str, ...]
    before: tuple[str, ...] = ()
    """The names that were in a certificate just before; kept until the run is judged."""
    judged: bool = True
    """Whether the certificate was compared with the one before."""


@dataclass(frozen=True, slots=True)
class LostName:
    """A name that was in a certificate before the sidecar's restart at `at`, and not after it."""

    name: str
    at: float


@dataclass(frozen=True, slots=True)
class InVain:
    """Restarts that did not bring a name: how many in a row by the same evidence, the last of them, and why."""

    count: int
    at: float
    evidence: str
    words: str | None = None
    """acme-mailcow's own line about the name."""


@dataclass(frozen=True, slots=True)
class CheckRecord:
    """What the last look as a sender found of a domain, and when."""

    at: float
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class SenderView:
    """What a look as a sender brought of a domain: the findings, and the id in the DNS where there is a right one."""

    domain: str
    at: float
    findings: tuple[Finding, ...]
    id: str | None
    shared: bool
    """The record is another domain's, reached by a CNAME."""


@dataclass(frozen=True, slots=True)
class Announced:
    """The id that `_mta-sts` had in the DNS while this text was served, first seen so at `since`."""

    id: str
    text: str
    since: float


@dataclass(frozen=True, slots=True)
class Move:
    """The MX host that a domain (`FILE`: every domain) moves to: served beside the old one from `at` on."""

    key: str
    host: str
    at: float


class FactKind(StrEnum):
    """Things that decisions need to know the duration of."""

    __hash__ = str.__hash__  # as for `Kind`

    MISSING = "missing from the certificate"
    FAILING = "does not resolve to this host"
    UNMATCHED = "mx pattern that no MX matches"
    UNSETTLED = "container gone, starting or restarting"
    RUN_FAILED = "last run of acme-mailcow failed"


@dataclass(frozen=True, slots=True)
class Fact:
    """Something true of a subject; `Memory.true_for` says for how long."""

    kind: FactKind
    subject: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """An answer of the domain list that is not believed yet: how often it came, the same, since when (`Memory.counted`)."""

    fingerprint: str
    polls: int
    since: float


@dataclass(frozen=True, slots=True)
class Memory:
    """What outlives the process. An empty one is safe: it may cost a longer wait, never a wrong write."""

    policies: Mapping[str, PolicyMemory] = field(default_factory=dict)
    """By domain, and `FILE` for the file."""
    believed: DomainList | None = None
    doubt: Doubt | None = None
    newcomers: frozenset[str] = frozenset()
    """Domains that `believed` lacks, of a last answer whose losses are doubted."""
    adopt: frozenset[str] = frozenset()
    """Domains (or `FILE`) that a person handed over."""
    conf: tuple[ConfEntry, ...] = ()
    restarts: tuple[Restart, ...] = ()
    lost: tuple[LostName, ...] = ()
    """Names that a restart of ours cost the certificate, until they are back or no longer wanted."""
    in_vain: Mapping[str, InVain] = field(default_factory=dict)
    """By name."""
    since: Mapping[Fact, float] = field(default_factory=dict)
    """What `counted` was when a fact was first seen true."""
    rollouts: Mapping[str, Rollout] = field(default_factory=dict)
    """What checks found, by domain, and for `FILE` of all domains that the one file serves."""
    checks: Mapping[str, CheckRecord] = field(default_factory=dict)
    """What the last look as a sender found, by domain."""
    announced: Mapping[str, tuple[Announced, ...]] = field(default_factory=dict)
    """Ids seen in the DNS with the text served meanwhile, by domain, oldest first."""
    retired: frozenset[str] = frozenset()
    """Domains (`FILE`: all) that a person takes out of MTA-STS."""
    moves: tuple[Move, ...] = ()
    report_way: RouteMemory = field(default_factory=RouteMemory)
    services: frozenset[str] = frozenset()
    """Services of the project that had a container in an earlier pass."""
    born: float = 0.0
    """When the state file was made (Unix seconds): nothing is known of the time before."""
    tally: Tally = field(default_factory=Tally)

    @property
    def counted(self) -> float:
        """Seconds that have really passed since the state was begun: the scale of all waits that protect mail.

        It is the sum of the steps between looks, by a counter that nobody sets, each of a day at most (`elapsed`). A
        clock that is set, a machine that was off and a lost state make a wait longer, never shorter.
        """
        return self.tally.seconds

    def true_for(self, fact: Fact) -> float:
        """For how many seconds it has been true, as far as was counted; 0 where it is not known to be."""
        return self.counted - self.since.get(fact, self.counted)

    @property
    def domains(self) -> frozenset[str]:
        """The names of all domains that mailcow has, as far as is known."""
        believed = self.believed.domains if self.believed else ()
        return self.newcomers.union(domain.name for domain in believed)

    @property
    def names(self) -> frozenset[str]:
        """The names of all domains and alias domains that mailcow has, as far as is known."""
        aliases = self.believed.aliases if self.believed else ()
        return self.domains.union(alias.name for alias in aliases)

    def policy(self, key: str) -> PolicyMemory:
        """What is remembered of the policy of a domain or of `FILE`."""
        return self.policies.get(key, _NOTHING)

    def rollout(self, key: str) -> Rollout:
        """What checks found of a domain or of `FILE`."""
        return self.rollouts.get(key, _UNCHECKED)


_NOTHING = PolicyMemory()
_UNCHECKED = Rollout()
