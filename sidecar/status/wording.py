"""The words of the page for what the program has as values; pure.

Rule for every editor: a colour never says anything alone: each light has a word. Sentences are for administrators
who know DNS and nothing of this program.
"""

from enum import StrEnum

from sidecar.observed.checks import ConditionType
from sidecar.observed.findings import Severity
from sidecar.rollout import Stage


class Light(StrEnum):
    """How something stands, worst first."""

    FAILING = "failing"
    ATTENTION = "attention"
    UNKNOWN = "unknown"
    WORKING = "working"
    GOOD = "good"
    OFF = "off"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return _RANK[self]

    @property
    def needs_person(self) -> bool:
        """Whether a person has to do something."""
        return self in {Light.FAILING, Light.ATTENTION}

    @property
    def label(self) -> str:
        """The word beside the colour."""
        return _LABELS[self]


_RANK = {light: number for number, light in enumerate(Light)}
_LABELS = {
    Light.FAILING: "Failing",
    Light.ATTENTION: "Needs you",
    Light.UNKNOWN: "Not known",
    Light.WORKING: "On its way",
    Light.GOOD: "Fine",
    Light.OFF: "Left alone",
}

LIGHT_OF = {
    Severity.CRITICAL: Light.FAILING,
    Severity.ERROR: Light.FAILING,
    Severity.WARNING: Light.ATTENTION,
    Severity.UNKNOWN: Light.UNKNOWN,
    Severity.NOTICE: Light.WORKING,
    Severity.OK: Light.GOOD,
}

SEVERITY = {
    Severity.CRITICAL: "Critical",
    Severity.ERROR: "Error",
    Severity.WARNING: "Warning",
    Severity.UNKNOWN: "Not known",
    Severity.NOTICE: "Note",
    Severity.OK: "OK",
}

STAGE = {
    Stage.NO_POLICY: "No policy",
    Stage.PUBLISHING: "Publishing",
    Stage.ANNOUNCING: "Announcing",
    Stage.BLOCKED: "Blocked",
    Stage.CHECKING: "Checking",
    Stage.SOAKING: "Proving itself",
    Stage.READY: "Ready",
    Stage.ENFORCED: "Enforced",
    Stage.FAILING: "Failing",
    Stage.LEAVING: "Leaving",
}

STAGE_SENTENCE = {
    Stage.NO_POLICY: "No policy is served for this domain yet.",
    Stage.PUBLISHING: "There is a policy, and senders cannot fetch it yet.",
    Stage.ANNOUNCING: "Senders can fetch the policy; the DNS does not tell them of it yet.",
    Stage.BLOCKED: "The policy is in testing: an MX would be refused under enforce.",
    Stage.CHECKING: "The policy is in testing, and not all of it has been checked yet.",
    Stage.SOAKING: "All checks pass; the policy stays in testing until they have done so for long enough.",
    Stage.READY: "All checks have passed for long enough: enforce is safe.",
    Stage.ENFORCED: "Senders deliver only over verified TLS.",
    Stage.FAILING: "The policy is in enforce, and senders refuse mail, or will.",
    Stage.LEAVING: "The policy says `none`, until no sender can hold an older one.",
}

CONDITION = {
    ConditionType.POLICY_SERVED: "Senders can fetch the policy",
    ConditionType.RECORD_PUBLISHED: "The DNS tells the right id",
    ConditionType.MX_COVERED: "Every MX is named by the policy",
    ConditionType.MX_AUTHENTICATED: "Every MX has trusted TLS",
    ConditionType.REPORTS_WANTED: "Senders know where to report",
}

OUTCOME = {
    "done": Light.GOOD,
    "failed": Light.ATTENTION,
    "refused": Light.FAILING,
}


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
