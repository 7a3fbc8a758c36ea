"""Findings of checks, as values with stable codes; pure.

Rule for every editor: a code, once published, keeps its meaning. A rule that cannot judge because an answer is
missing gives an UNKNOWN finding: that is neither a failure nor a success.
"""

from dataclasses import dataclass
from enum import StrEnum, auto

from sidecar.observed.checks import ConditionType


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
