"""The picture of the world that decisions get: plain frozen values, nothing that can be asked or changed.

Rule for every editor: what could not be seen is `Unseen`, never an empty value. An empty tuple, `None` in a
`Served` or an empty set of addresses is an *answer* that somebody gave. No I/O and no decision belongs here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Generic, TypeAlias, TypeVar

from sidecar.formats.domain_name import to_ascii
from sidecar.host.elapsed import Tally
from sidecar.observed.checks import Rollout
from sidecar.observed.findings import Finding
from sidecar.observed.report_route import ReportWay, RouteSeen

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """An answer, and when it was given (Unix seconds)."""

    value: T
    at: float


@dataclass(frozen=True, slots=True)
class Unseen:
    """Why there is no answer, as a sentence for people, and when that was found (Unix seconds)."""

    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class RedisRefuses(Unseen):
    """mailcow's Redis refuses writes, so that there is no answer that can be read; `said` is Redis' own word."""

    said: str


Sight: TypeAlias = Seen[T] | Unseen

NOT_ASKED = Unseen("not asked yet", 0.0)


# --- mailcow ---------------------------------------------------------------------------------------------


class Backend(StrEnum):
    """How this mailcow serves policies (the *policy backend*)."""

    FILE = "file"
    """Before 2025-09: nginx serves one file for every name."""
    NATIVE = "native"
    """2025-09 and later: mta-sts.php serves a row per domain."""


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A mailcow release such as 2025-09c; an update of a month (a letter) sorts after the month itself."""

    year: int
    month: int
    letter: str = ""

    def __str__(self) -> str:
        return f"{self.year}-{self.month:02}{self.letter}"

    @classmethod
    def parse(cls, text: str | None) -> "Version | None":
        """None for what is no release: mailcow says null without its app_info file, a commit off master."""
        found = re.fullmatch(r"(\d{4})-(\d{2})([a-z]?)", text or "", re.ASCII)
        return cls(int(found[1]), int(found[2]), found[3]) if found else None


FIRST_NATIVE = Version(2025, 9)


@dataclass(frozen=True, slots=True)
class Mailcow:
    """Which mailcow this is. An unknown version (None) is taken for the newest of its backend."""

    backend: Backend
    version: Version | None

    def _native_since(self, first: Version) -> bool:
        return self.backend is Backend.NATIVE and (self.version is None or self.version >= first)

    @property
    def takes_wildcard_mx(self) -> bool:
        """2025-09, a and b refuse `*.example.org` as mx."""
        return self.backend is Backend.FILE or self._native_since(Version(2025, 9, "c"))

    @property
    def serves_alias_domains(self) -> bool:
        """2025-09 to 2025-12a answer 404 for an alias domain."""
        return self.backend is Backend.FILE or self._native_since(Version(2026, 1))

    @property
    def knows_dns_challenge(self) -> bool:
        """2026-03 and later take notice of ACME_DNS_CHALLENGE; before, the key has no effect."""
        return self._native_since(Version(2026, 3))

    @property
    def leaves_names_to_wildcards(self) -> bool:
        """2026-03a and later: with the DNS challenge a listed `*.example.org` replaces the names below it."""
        return self._native_since(Version(2026, 3, "a"))

    @property
    def names_follow_policies(self) -> bool:
        """2026-07a and later ask for `mta-sts.<domain>` only where a policy is active, and skip a listed wildcard."""
        return self._native_since(Version(2026, 7, "a"))


@dataclass(frozen=True, slots=True)
class Domain:
    """A mail domain of mailcow; `name` is the lower-case A-label."""

    name: str
    active: bool
    backup_mx: bool

    @property
    def receives(self) -> bool:
        """Whether this mailcow is where its mail ends: only such a domain gets a policy."""
        return self.active and not self.backup_mx


@dataclass(frozen=True, slots=True)
class AliasDomain:
    """Another name for a domain; both names are lower-case A-labels."""

    name: str
    target: str
    active: bool


@dataclass(frozen=True, slots=True)
class DomainList:
    """One whole answer: the domains and the alias domains of this mailcow, both in the order of their names."""

    domains: tuple[Domain, ...]
    aliases: tuple[AliasDomain, ...]


@dataclass(frozen=True, slots=True)
class Conf:
    """mailcow.conf as Compose reads it; of a key given twice, the last value. `locked` says why it cannot be written."""

    values: Mapping[str, str]
    locked: str | None = None

    @property
    def hostname(self) -> str:
        """MAILCOW_HOSTNAME as an A-label in lower case, as written where it is no name; empty where it is missing."""
        return _as_host(self.values.get("MAILCOW_HOSTNAME", ""))

    def yes(self, key: str, default: str = "n") -> bool:
        """Whether mailcow takes the value for a yes; `default` counts where the key is missing or empty."""
        return _YES.fullmatch(self.values.get(key) or default) is not None


_YES = re.compile(r"([yY][eE][sS]|[yY])+")


@lru_cache(maxsize=16)  # each of thousands of names is compared with it
def _as_host(written: str) -> str:
    text = written.strip().rstrip(".").lower()
    try:
        return to_ascii(text)
    except ValueError:
        return text


@dataclass(frozen=True, slots=True)
class Served:
    """What mailcow serves as the policy of a domain; `text` is None where it answers that there is none."""

    text: str | None


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """The policy file of the file generation; `data` is None where there is no such file."""

    data: bytes | None
    locked: str | None = None
    readable: bool = True
    """Whether nginx, which is not root, may read it."""


# --- containers and certificates ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Container:
    """A container of this compose project; times are Unix seconds, 0 where the Engine has none."""

    id: str
    name: str
    service: str
    state: str
    """The Engine's word: created, running, restarting, removing, paused, exited, dead."""
    created_at: float
    started_at: float
    env: Mapping[str, str] = field(default_factory=dict)
    """Only for acme-mailcow and nginx-mailcow, empty for others."""
    own: bool = False
    """Whether this is the sidecar itself."""


class RefusedFor(StrEnum):
    """What acme-mailcow, or the authority, had against a name."""

    CAA = "CAA"
    NO_ADDRESS = "no address"
    ADDRESS = "another address"
    HTTP = "HTTP probe"
    POLICY = "no active policy"
    ORDER = "the order"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why acme-mailcow left a name out of its last run: its own words, and the address that it saw in the DNS."""

    why: RefusedFor
    words: str
    at: float
    address: str | None = None
    """None where it saw no address, or does not say which."""


@dataclass(frozen=True, slots=True)
class AcmeRun:
    """The last run of acme-mailcow, as its log tells it; times in Unix seconds."""

    at: float
    ipv4: str | None = None
    """The public address that it detected; None where it detected none."""
    ipv6: str | None = None
    detected: bool = False
    """Whether it looked for its addresses at all (it does not with SKIP_IP_CHECK=y)."""
    confirmed: frozenset[int] = frozenset()
    """The address families (4, 6) over which its HTTP probe of some name worked."""
    refused: Mapping[str, Refusal] = field(default_factory=dict)
    """By name, in lower case."""
    refused_parents: Mapping[str, Refusal] = field(default_factory=dict)
    """CAA: it names only the parent of the name."""
    failure: tuple[str, ...] = ()
    """Its lines about an order that failed."""
    reached: frozenset[str] = frozenset()
    """The addresses, as it writes them, over which its HTTP probe of some name worked."""

    def refusal(self, name: str) -> Refusal | None:
        """What it said against this name, if anything."""
        return self.refused.get(name) or self.refused_parents.get(name.partition(".")[2])


class Answered(StrEnum):
    """How the HTTP probe of a name ended."""

    YES = "this server answered on the public way"
    INSIDE = "nginx-mailcow answers for the name, but the public way could not be reached from here"
    NO = "something else answered"


@dataclass(frozen=True, slots=True)
class Challenge:
    """The HTTP probe of a name, made as acme-mailcow and Let's Encrypt make theirs; `said` is for people."""

    answered: Answered
    said: str = ""


OLD_SUFFIX = "-before-mta-sts"
NEW_SUFFIX = "-by-mta-sts"
"""Names of acme-mailcow's containers while it is being re-created and two exist.

Neither may be the service's own, nor one that Compose itself gives to a container that it re-creates: Compose
re-creates one of the two and removes the other *at the same time*, and which one depends on its version. A name that
it needs would be taken, and `docker compose up -d` would fail."""


@dataclass(frozen=True, slots=True)
class Project:
    """The compose project that the sidecar belongs to, without one-off containers."""

    name: str
    containers: tuple[Container, ...]
    acme_sleep: Sight[str | None] = NOT_ASKED
    """The argument of the `sleep` that acme-mailcow waits in (1d, 30m, …), None where it is at work."""
    acme_run: Sight[AcmeRun] = NOT_ASKED
    """What acme-mailcow's log says of its last run; only while it sleeps between two runs."""

    def service(self, name: str) -> Container | None:
        """The container of a service; the running one where there are several."""
        found = sorted((c for c in self.containers if c.service == name), key=lambda c: c.state != "running")
        return found[0] if found else None

    @property
    def left_over(self) -> tuple[str, ...]:
        """The names of containers that a re-creation of acme-mailcow left when it was cut off."""
        acme = (c.name for c in self.containers if c.service == "acme-mailcow")
        return tuple(name for name in acme if name.endswith((OLD_SUFFIX, NEW_SUFFIX)))


class Issuer(StrEnum):
    """Who issued a certificate, as acme-mailcow tells them apart."""

    LETS_ENCRYPT = "Let's Encrypt"
    MAILCOW = "mailcow's own"
    OTHER = "another issuer"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate below data/assets/ssl; names in lower case, times in Unix seconds."""

    folder: str
    """Empty for the server's own, else the folder that ENABLE_SSL_SNI made."""
    names: frozenset[str]
    not_before: float
    not_after: float
    issuer: Issuer
    fingerprint: str
    """SHA-256 of the leaf, in hex."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """What lies below data/assets/ssl; `server` is None where there is no cert.pem."""

    server: Certificate | None
    sni: tuple[Certificate, ...] = ()
    orders: tuple[float, ...] = ()
    """When an order replaced a certificate: the dates of acme's backups, Unix seconds, oldest first."""
    backups: tuple[Certificate, ...] = ()
    """The newest certificates below data/assets/ssl/backups, newest first; `folder` is the path below data/assets/ssl."""


# --- DNS -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a name resolves to; no addresses is an answer (NXDOMAIN or no such record)."""

    addresses: frozenset[str]
    cname: str | None = None


@dataclass(frozen=True, slots=True)
class Caa:
    """The CAA records that count for a name (RFC 8659 §3); `owner` is None where there are none at all."""

    owner: str | None
    issue: tuple[str, ...] = ()
    """The values of its `issue` properties as they are written, without white space around them."""

    @property
    def issuers(self) -> tuple[str, ...]:
        """The domain of the issuer in each value, in lower case; empty for nobody."""
        return tuple(sorted({value.partition(";")[0].strip(" \t").lower() for value in self.issue}))

    def allows(self, issuer: str) -> bool:
        """RFC 8659 §4.2: records without any `issue` property restrict nothing."""
        return not self.issue or issuer in self.issuers

    def parameters(self, issuer: str) -> tuple[Mapping[str, str], ...]:
        """The parameters (RFC 8657), names in lower case, of each value that allows this issuer."""
        return tuple(
            {
                tag.strip(" \t").lower(): value.strip(" \t")
                for part in rest.split(";")
                if part.strip(" \t")
                for tag, _, value in [part.partition("=")]
            }
            for domain, _, rest in (value.partition(";") for value in self.issue)
            if domain.strip(" \t").lower() == issuer
        )


@dataclass(frozen=True, slots=True)
class Txt:
    """The TXT records of a name, the strings of each joined, in the order of their texts; none is an answer."""

    strings: tuple[str, ...] = ()
    """An octet is a character here (ISO 8859-1): whatever is published can be told."""
    cname: str | None = None
    """Where the name's aliases end, if it has any."""


class Kind(StrEnum):
    """What is asked, of the DNS unless it says otherwise."""

    __hash__ = str.__hash__  # Enum's own is slow, and a pass has tens of thousands of questions

    ADDRESSES = "addresses"
    MX = "mx"
    CAA = "caa"
    """The CAA records that count for the name: its own, or the nearest above it (RFC 8659 §3)."""
    CAA_AT = "caa at"
    """The CAA records of the name itself, and none of its parents: what acme-mailcow looks at."""
    TXT = "txt"
    ACME_LOG = "acme log"
    """Not of the DNS: what acme-mailcow's containers are doing, and what its log says of the last run."""
    CHALLENGE = "challenge"
    """Not of the DNS: whether this server answers for the name on port 80."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask about a name."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Dns:
    """Answers by name; a name that was never asked is simply not there (`…_of` says `NOT_ASKED`)."""

    addresses: Mapping[str, Sight[Addresses]] = field(default_factory=dict)
    mx: Mapping[str, Sight[tuple[str, ...]]] = field(default_factory=dict)
    """MX hosts in lower case without a final dot; none at all is an answer."""
    caa: Mapping[str, Sight[Caa]] = field(default_factory=dict)
    txt: Mapping[str, Sight[Txt]] = field(default_factory=dict)
    caa_at: Mapping[str, Sight[Caa]] = field(default_factory=dict)

    def addresses_of(self, name: str) -> Sight[Addresses]:
        """What `name` resolves to."""
        return self.addresses.get(name, NOT_ASKED)

    def mx_of(self, domain: str) -> Sight[tuple[str, ...]]:
        """The MX hosts of `domain`."""
        return self.mx.get(domain, NOT_ASKED)

    def caa_of(self, name: str) -> Sight[Caa]:
        """The CAA records that count for `name`."""
        return self.caa.get(name, NOT_ASKED)

    def caa_at_of(self, name: str) -> Sight[Caa]:
        """The CAA records of `name` itself."""
        return self.caa_at.get(name, NOT_ASKED)

    def txt_of(self, name: str) -> Sight[Txt]:
        """The TXT records of `name`."""
        return self.txt.get(name, NOT_ASKED)


# --- what the sidecar remembers ---------------------------------------------------------------------------

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
    report_way: ReportWay = field(default_factory=ReportWay)
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


@dataclass(frozen=True, slots=True)
class PolicyId:
    """A policy id (RFC 8461 §3.1), and the text that was served before and after it was read."""

    text: str
    id: str


@dataclass(frozen=True, slots=True)
class Observed:
    """All that a decision needs, the time and the memory included."""

    now: float
    conf: Sight[Conf]
    mailcow: Sight[Mailcow]
    domains: Sight[DomainList]
    """The list that is believed; what was not believed is in `doubts`."""
    served: Mapping[str, Sight[Served]]
    """Native: by domain."""
    file: Sight[PolicyFile]
    project: Sight[Project]
    certificates: Sight[Certificates]
    dns: Dns
    memory: Memory
    ids: Mapping[str, PolicyId] = field(default_factory=dict)
    """Native: ids read since the last look, by domain."""
    presented: Sight[Certificate] = NOT_ASKED
    """The certificate that nginx really presents for MAILCOW_HOSTNAME."""
    views: tuple[SenderView, ...] = ()
    """Looks as a sender that ended since the last pass."""
    challenges: Mapping[str, Sight[Challenge]] = field(default_factory=dict)
    """The HTTP probes of this pass, by name."""
    report_route: Sight[RouteSeen] = NOT_ASKED
    """The alias and the transport of TLS reports."""

    def challenge_of(self, name: str) -> Sight[Challenge]:
        """The HTTP probe of `name`."""
        return self.challenges.get(name, NOT_ASKED)

    @property
    def one_file(self) -> bool:
        """Whether one file serves all domains, as far as was seen."""
        return isinstance(self.mailcow, Seen) and self.mailcow.value.backend is Backend.FILE

    def policy_key(self, domain: str, target: str | None = None) -> str:
        """Under which key the policy of a domain is kept; `target` is given for an alias domain."""
        return FILE if self.one_file else target or domain

    def served_of(self, domain: str) -> Sight[Served]:
        """What is served for a domain on the native generation."""
        return self.served.get(domain, NOT_ASKED)
