"""What is remembered of the checks of a domain: conditions, and for how long they held.

Rule for every editor: values only; what follows from them is decided in `rollout`.
"""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Of a condition, as Kubernetes has it."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


class ConditionType(StrEnum):
    """What must be known of a domain before its policy may be enforced, and one that only reports need."""

    POLICY_SERVED = "policy served"
    """Senders can fetch the policy that is meant, by the public path."""
    RECORD_PUBLISHED = "record published"
    """`_mta-sts` has one right record, whose id belongs to the policy that is served."""
    MX_COVERED = "MX covered"
    """Every MX host matches an mx pattern."""
    MX_AUTHENTICATED = "MX authenticated"
    """Every MX host offers STARTTLS with a certificate that senders trust for its name."""
    REPORTS_WANTED = "reports wanted"
    """`_smtp._tls` has one right record."""


NEEDED = (
    ConditionType.POLICY_SERVED,
    ConditionType.RECORD_PUBLISHED,
    ConditionType.MX_COVERED,
    ConditionType.MX_AUTHENTICATED,
)
REFUSING = (ConditionType.MX_COVERED, ConditionType.MX_AUTHENTICATED)
"""Where these are false, senders that enforce the policy refuse to deliver."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing known of a domain; `reason` is a finding's code, `since` when the status was first seen."""

    type: ConditionType
    status: Status
    reason: str
    message: str
    since: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one check says of one condition."""

    status: Status
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Rollout:
    """What is remembered of a domain's checks (of all domains together where one file serves them); times in seconds."""

    conditions: tuple[Condition, ...] = ()
    soaked: float = 0.0
    """How long every needed condition has held."""
    checked_at: float = 0.0
    good_at: float | None = None
    """The last check in which every needed condition was true, unless one was false since."""
    refusals: int = 0
    """Checks in a row in which senders would have refused mail."""
    stepped_back_at: float | None = None

    def status(self, kind: ConditionType) -> Status:
        """UNKNOWN where it was never checked."""
        return next((c.status for c in self.conditions if c.type is kind), Status.UNKNOWN)

    def blocking(self) -> tuple[Condition, ...]:
        """The needed conditions that are not true, the false ones first."""
        found = [c for c in self.conditions if c.type in NEEDED and c.status is not Status.TRUE]
        return tuple(sorted(found, key=lambda c: c.status is Status.UNKNOWN))
