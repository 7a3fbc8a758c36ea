"""Findings of checks, with stable codes, and the memory of them: conditions, and how long they have been true.

Rules for every editor: values only; `rollout` decides what follows from them. A code, once published, keeps its meaning.
A rule that cannot judge because an answer is missing gives an UNKNOWN finding: that is neither a failure nor a success.
"""

from dataclasses import dataclass
from enum import StrEnum, auto


class Status(StrEnum):
    """The status of a condition, as in Kubernetes."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


class ConditionType(StrEnum):
    """What must be true of a domain before its policy may be enforced; TLSRPT is needed for reports only."""

    POLICY_SERVED = "policy served"
    """Senders can fetch the intended policy over the public network."""
    RECORD_PUBLISHED = "record published"
    """`_mta-sts` has one valid record, whose id belongs to the served policy."""
    MX_COVERED = "MX covered"
    """Every MX host matches an mx pattern."""
    MX_AUTHENTICATED = "MX authenticated"
    """Every MX host offers STARTTLS with a certificate that senders trust for its name."""
    REPORTS_WANTED = "reports wanted"
    """`_smtp._tls` has one valid record."""


NEEDED = (
    ConditionType.POLICY_SERVED,
    ConditionType.RECORD_PUBLISHED,
    ConditionType.MX_COVERED,
    ConditionType.MX_AUTHENTICATED,
)
REFUSING = (ConditionType.MX_COVERED, ConditionType.MX_AUTHENTICATED)
"""If one of these is false, senders that enforce the policy refuse to deliver."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a domain; `reason` is the code of a finding, `since` when the status was first observed."""

    type: ConditionType
    status: Status
    reason: str
    message: str
    since: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """The result of one check for one condition."""

    status: Status
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Rollout:
    """The memory of a domain's checks (of all domains together if one file serves them); times in seconds."""

    conditions: tuple[Condition, ...] = ()
    soaked: float = 0.0
    """How long every needed condition has been true."""
    checked_at: float = 0.0
    good_at: float | None = None
    """The last check in which every needed condition was true, unless one was false since."""
    refusals: int = 0
    """Checks in a row in which senders would have refused mail."""
    stepped_back_at: float | None = None
    refused_at: float | None = None
    """The check that was counted last in `refusals`."""

    def status(self, kind: ConditionType) -> Status:
        """UNKNOWN if it was never checked."""
        return next((c.status for c in self.conditions if c.type is kind), Status.UNKNOWN)

    def blocking(self) -> tuple[Condition, ...]:
        """The needed conditions that are not true, the false ones first."""
        found = [c for c in self.conditions if c.type in NEEDED and c.status is not Status.TRUE]
        return tuple(sorted(found, key=lambda c: c.status is Status.UNKNOWN))


class Stage(StrEnum):
    """Where a domain is in its roll-out."""

    NO_POLICY = "no policy"
    PUBLISHING = "publishing"
    """Senders cannot fetch the policy yet: DNS, certificate or web server."""
    ANNOUNCING = "announcing"
    """The DNS record is missing, wrong or has an old id."""
    BLOCKED = "blocked"
    """An MX would be refused under enforce."""
    CHECKING = "checking"
    """Something could not be checked yet."""
    SOAKING = "soaking"
    """All conditions are true, but not for long enough."""
    READY = "ready"
    """All conditions have been true for long enough: `mode: enforce` is safe."""
    ENFORCED = "enforced"
    FAILING = "failing"
    """Enforced, and senders refuse mail or will."""
    LEAVING = "leaving"
    """`none` is served until no sender can hold an older policy."""


class Severity(StrEnum):
    """The severity of a finding, the least first."""

    OK = "ok"
    NOTICE = "notice"
    UNKNOWN = "unknown"
    """The probe could not be made, or got no answer."""
    WARNING = "warning"
    ERROR = "error"
    """Senders do not use the policy, or reports do not arrive."""
    CRITICAL = "critical"
    """Senders that follow the policy refuse to deliver."""

    @property
    def rank(self) -> int:
        """0 for OK up to 5 for CRITICAL."""
        return list(Severity).index(self)


class Effect(StrEnum):
    """The effect of a finding on its conditions."""

    PROVES = auto()
    """True, unless another finding contradicts it."""
    BREAKS = auto()
    """False in any case."""
    BREAKS_WHEN_GRAVE = auto()
    """False if the finding is an error; only information if the rule lowered it because no mail can be refused."""
    BLOCKS = auto()
    """Unknown: no stricter mode."""
    INFORMS = auto()
    """Nothing."""


@dataclass(frozen=True, slots=True)
class Bearing:
    """The conditions that a kind of finding is about, and its effect on them."""

    effect: Effect
    conditions: tuple[ConditionType, ...]


INFORMS = Bearing(Effect.INFORMS, ())


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of finding: its stable name, where the rule stands, and what it means, in one sentence.

    `bearing` is its effect on the conditions of a roll-out; nothing else decides that.
    """

    name: str
    severity: Severity
    section: str
    """As `RFC 8461 §3.1`."""
    meaning: str
    bearing: Bearing = INFORMS


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found of one subject (a name, a URL, an MX host): a sentence, and what to do about it."""

    code: str
    severity: Severity
    subject: str
    message: str
    todo: str | None
    section: str

    @property
    def sentence(self) -> str:
        """The message with its subject, for places that show nothing else of the finding."""
        return self.message if self.subject in self.message else f"{self.subject}: {self.message}"

    @classmethod
    def of(
        cls,
        code: Code,
        subject: str,
        message: str,
        todo: str | None = None,
        *,
        severity: Severity | None = None,
    ) -> "Finding":
        """A finding of this kind; `severity` if this case is more or less severe than usual."""
        return cls(code.name, severity or code.severity, subject, message, todo, code.section)


def worst(findings: tuple[Finding, ...]) -> Severity:
    """The greatest severity among them; OK if there are none."""
    return max(
        (finding.severity for finding in findings), key=lambda severity: severity.rank, default=Severity.OK
    )
