"""What the sidecar remembers between two passes and across restarts of itself.

Rules for every editor: an empty memory is safe. It may cost a longer wait, never a wrong write. A span stays open until
something else is observed: senders may have fetched its text until now.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from sidecar.host.elapsed import Tally
from sidecar.observed.checks import Finding, Rollout
from sidecar.observed.mailcow import DomainList
from sidecar.observed.record_sets import Entry, Key
from sidecar.observed.report_route import RouteMemory

LARGE_DNS_PLAN = "large-dns-plan"
"""A change of many published record sets at once."""
FILE = "*"
"""The key of the one policy file, where other policies have their domain as the key."""


@dataclass(frozen=True, slots=True)
class Write:
    """A policy that the sidecar wrote (None: switched off); `done` is None while the outcome is unknown."""

    text: str | None
    at: float
    done: bool | None


@dataclass(frozen=True, slots=True)
class Span:
    """A text observed as served (None: nothing) from `since` to `until` (None: still, as far as known).

    These two are for people. Durations are computed from `begun` and `ended`, the `Memory.counted` of those times; they
    are 0 for a span that is older than the counter, so that a wait for it starts when counting started.
    """

    text: str | None
    since: float
    until: float | None
    begun: float = 0.0
    ended: float = 0.0
    """Valid only if `until` is set."""


@dataclass(frozen=True, slots=True)
class PolicyMemory:
    """What is remembered of one policy; both tuples oldest first."""

    writes: tuple[Write, ...] = ()
    spans: tuple[Span, ...] = ()
    floor: str | None = None
    """The text that was adopted from a person: its mode, max_age and mx are a minimum."""
    refused: str | None = None
    """Why a write is not tried again: a person's own row that is switched off."""
    id_text: str | None = None
    id: str | None = None
    """Native: the policy id that mailcow gave to `id_text`; valid only while that text is served."""

    @property
    def open(self) -> Span | None:
        """The span that has not ended: what was served when it was last observed."""
        return self.spans[-1] if self.spans and self.spans[-1].until is None else None


class ConfEvent(StrEnum):
    """What happened to an entry that the sidecar added to mailcow.conf."""

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
    """A restart of acme-mailcow by the sidecar, and the names it was for."""

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
    """Restarts that did not bring a name: how many in a row with the same evidence, the last of them, and why."""

    count: int
    at: float
    evidence: str
    words: str | None = None
    """acme-mailcow's own line about the name."""


@dataclass(frozen=True, slots=True)
class CheckRecord:
    """The findings of the last sender check of a domain, and its time."""

    at: float
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class SenderView:
    """The result of a sender check of a domain: the findings, and the id in the DNS if there is a valid one."""

    domain: str
    at: float
    findings: tuple[Finding, ...]
    id: str | None
    shared: bool
    """The record is another domain's, reached by a CNAME."""


@dataclass(frozen=True, slots=True)
class Announced:
    """The id that `_mta-sts` had in the DNS while this text was served, first observed at `since`."""

    id: str
    text: str
    since: float


@dataclass(frozen=True, slots=True)
class Move:
    """The MX host that a domain (`FILE`: every domain) moves to: in the policy beside the old one from `at` on."""

    key: str
    host: str
    at: float


class FactKind(StrEnum):
    """Facts whose duration decisions need."""

    __hash__ = str.__hash__  # as for `Kind`

    MISSING = "missing from the certificate"
    FAILING = "does not resolve to this host"
    UNMATCHED = "mx pattern that no MX matches"
    UNSETTLED = "container gone, starting or restarting"
    RUN_FAILED = "last run of acme-mailcow failed"


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact about a subject; `Memory.true_for` says for how long it has been true."""

    kind: FactKind
    subject: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """A domain list that is not believed yet: how often the same list came, and since when (`Memory.counted`)."""

    fingerprint: str
    polls: int
    since: float


@dataclass(frozen=True, slots=True)
class Memory:
    """What is kept after the process ends. An empty memory is safe: it may cost a longer wait, never a wrong write."""

    policies: Mapping[str, PolicyMemory] = field(default_factory=dict)
    """By domain, and `FILE` for the file."""
    believed: DomainList | None = None
    doubt: Doubt | None = None
    newcomers: frozenset[str] = frozenset()
    """Domains in the last, doubted answer that `believed` lacks."""
    adopt: frozenset[str] = frozenset()
    """Domains (or `FILE`) that a person asked to adopt."""
    conf: tuple[ConfEntry, ...] = ()
    restarts: tuple[Restart, ...] = ()
    lost: tuple[LostName, ...] = ()
    """Names that the certificate lost by a restart of ours, until they are back or no longer needed."""
    in_vain: Mapping[str, InVain] = field(default_factory=dict)
    """By name."""
    since: Mapping[Fact, float] = field(default_factory=dict)
    """The value of `counted` when a fact was first observed."""
    rollouts: Mapping[str, Rollout] = field(default_factory=dict)
    """The roll-out by domain; for `FILE`, of all domains that the one file serves."""
    checks: Mapping[str, CheckRecord] = field(default_factory=dict)
    """The last sender check, by domain."""
    announced: Mapping[str, tuple[Announced, ...]] = field(default_factory=dict)
    """Ids seen in the DNS with the text served at that time, by domain, oldest first."""
    retired: frozenset[str] = frozenset()
    """Domains (`FILE`: all) that a person retires from MTA-STS."""
    moves: tuple[Move, ...] = ()
    published: Mapping[Key, Entry] = field(default_factory=dict)
    """DNS record sets that were published here, or adopted: what is not in it is somebody else's."""
    adopt_records: frozenset[str] = frozenset()
    """Names whose DNS records a person asked to adopt."""
    let_through: frozenset[str] = frozenset()
    """Guards that a person lifts once (`LARGE_DNS_PLAN`)."""
    report_way: RouteMemory = field(default_factory=RouteMemory)
    services: frozenset[str] = frozenset()
    """Services of the project that had a container in an earlier pass."""
    born: float = 0.0
    """When the state file was created (Unix seconds): nothing is known about the time before."""
    tally: Tally = field(default_factory=Tally)

    @property
    def counted(self) -> float:
        """Seconds that have really passed since the state was created: all waits that protect mail use it.

        It is the sum of the steps between two passes, by a counter that cannot be set, a day at most each (`elapsed`).
        A changed clock, a machine that was off and a lost state make a wait longer, never shorter.
        """
        return self.tally.seconds

    def true_for(self, fact: Fact) -> float:
        """For how many seconds (by `counted`) the fact has been true; 0 if it is not known to be true."""
        return self.counted - self.since.get(fact, self.counted)

    @property
    def domains(self) -> frozenset[str]:
        """The names of all domains of this mailcow, as far as known."""
        believed = self.believed.domains if self.believed else ()
        return self.newcomers.union(domain.name for domain in believed)

    @property
    def names(self) -> frozenset[str]:
        """The names of all domains and alias domains of this mailcow, as far as known."""
        aliases = self.believed.aliases if self.believed else ()
        return self.domains.union(alias.name for alias in aliases)

    def policy(self, key: str) -> PolicyMemory:
        """The memory of the policy of a domain or of `FILE`."""
        return self.policies.get(key, _NOTHING)

    def rollout(self, key: str) -> Rollout:
        """The roll-out of a domain or of `FILE`."""
        return self.rollouts.get(key, _UNCHECKED)


_NOTHING = PolicyMemory()
_UNCHECKED = Rollout()


def seen_served(memory: PolicyMemory, text: str | None, at: float, counted: float) -> PolicyMemory:
    """The memory with `text` (None: nothing) observed as served at `at` (Unix seconds) and `counted`."""
    if text is not None and memory.refused is not None:
        memory = replace(memory, refused=None)
    if memory.open is not None:
        if memory.open.text == text:
            return memory
        memory = replace(memory, spans=_closed(memory.spans, at, counted))
    return replace(memory, spans=(*memory.spans, Span(text, at, None, begun=counted)))


def ended(memory: PolicyMemory, at: float, counted: float) -> PolicyMemory:
    """The memory with nothing served any more; a row that a person switched off is gone, too."""
    if memory.open is not None:
        memory = replace(memory, spans=_closed(memory.spans, at, counted))
    return memory if memory.refused is None else replace(memory, refused=None)


def _closed(spans: tuple[Span, ...], at: float, counted: float) -> tuple[Span, ...]:
    """Ends the last span; if the clock was set back since it began, it does not end before its beginning."""
    last = spans[-1]
    return (*spans[:-1], replace(last, until=max(at, last.since), ended=counted))


def ended_ago(span: Span, counted: float) -> float:
    """Seconds since senders could fetch the text of the span; 0 while they can.

    An end before the beginning is invalid: the beginning is used instead.
    """
    return 0.0 if span.until is None else max(0.0, counted - max(span.begun, span.ended))
