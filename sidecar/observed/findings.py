"""What a check finds, as values with stable codes; pure.

Rule for every editor: a code, once published, keeps its meaning. A rule that cannot judge for want of an answer
gives an UNKNOWN finding: it is never taken for a failure, and never for a success.
"""

from dataclasses import dataclass
from enum import StrEnum, auto

from sidecar.observed.checks import ConditionType


class Severity(StrEnum):
    """How much a finding matters to mail, least first."""

    OK = "ok"
    NOTICE = "notice"
    UNKNOWN = "unknown"
    """The probe could not be made, or got no answer."""
    WARNING = "warning"
    ERROR = "error"
    """Senders do not use the policy, or reports do not come."""
    CRITICAL = "critical"
    """Senders that follow the policy refuse to deliver."""

    @property
    def rank(self) -> int:
        """0 for OK up to 5 for CRITICAL."""
        return list(Severity).index(self)


class Effect(StrEnum):
    """What a finding does to the conditions it is about."""

    PROVES = auto()
    """True, where no other finding says otherwise."""
    BREAKS = auto()
    """False, whatever is at stake."""
    BREAKS_WHEN_GRAVE = auto()
    """False where the finding is an error; where the rule lowered it, because nothing is at stake, it only informs."""
    BLOCKS = auto()
    """Not known: no step up."""
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

    `bearing` is what it does to the conditions of a roll-out; nothing else decides that.
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
        """A finding of this kind; `severity` where the case at hand matters more or less than usual."""
        return cls(code.name, severity or code.severity, subject, message, todo, code.section)


def worst(findings: tuple[Finding, ...]) -> Severity:
    """The greatest severity among them; OK where there are none."""
    return max(
        (finding.severity for finding in findings), key=lambda severity: severity.rank, default=Severity.OK
    )
