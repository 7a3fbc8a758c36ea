"""The words of the page for the values of the program; pure.

Rule for every editor: every colour has a word. Sentences are for administrators who know DNS but not this
program.
"""

from enum import StrEnum

from sidecar.observed.checks import ConditionType, Severity, Stage


class Light(StrEnum):
    """A status, worst first."""

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
        return self in {Light.FAILING, Light.ATTENTION}

    @property
    def label(self) -> str:
        """The word beside the colour."""
        return _LABELS[self]


_RANK = {light: number for number, light in enumerate(Light)}
_LABELS = {
    Light.FAILING: "Failing",
    Light.ATTENTION: "Needs you",
    Light.UNKNOWN: "Unknown",
    Light.WORKING: "In progress",
    Light.GOOD: "Fine",
    Light.OFF: "Not managed",
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
    Severity.UNKNOWN: "Unknown",
    Severity.NOTICE: "Note",
    Severity.OK: "OK",
}

STAGE = {
    Stage.NO_POLICY: "No policy",
    Stage.PUBLISHING: "Publishing",
    Stage.ANNOUNCING: "Announcing",
    Stage.BLOCKED: "Blocked",
    Stage.CHECKING: "Checking",
    Stage.SOAKING: "Soaking",
    Stage.READY: "Ready",
    Stage.ENFORCED: "Enforced",
    Stage.FAILING: "Failing",
    Stage.LEAVING: "Leaving",
}

STAGE_SENTENCE = {
    Stage.NO_POLICY: "No policy is served for this domain yet.",
    Stage.PUBLISHING: "A policy exists, but senders cannot fetch it yet.",
    Stage.ANNOUNCING: "Senders can fetch the policy, but the DNS does not announce it yet.",
    Stage.BLOCKED: "The policy is in testing: an MX would be refused under enforce.",
    Stage.CHECKING: "The policy is in testing; not all checks have run yet.",
    Stage.SOAKING: "All checks pass; the policy stays in testing until they have passed for long enough.",
    Stage.READY: "All checks have passed for long enough: enforce is safe.",
    Stage.ENFORCED: "Senders deliver only over verified TLS.",
    Stage.FAILING: "The policy is in enforce, and senders refuse mail or will refuse it.",
    Stage.LEAVING: "The policy says `none` until no sender can have an older policy cached.",
}

CONDITION = {
    ConditionType.POLICY_SERVED: "Senders can fetch the policy",
    ConditionType.RECORD_PUBLISHED: "The DNS has the right id",
    ConditionType.MX_COVERED: "The policy covers every MX",
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
