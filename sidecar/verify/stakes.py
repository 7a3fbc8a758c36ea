"""What is at stake for a domain: how much a failure matters, by the mode that senders follow; pure.

Rule for every editor: severity follows what senders do. In `enforce` they refuse; in `testing` they deliver and
report; without a record they never fetch a policy.
"""

from dataclasses import dataclass

from sidecar.formats.mtasts_policy import Mode
from sidecar.observed.checks import Severity


@dataclass(frozen=True, slots=True)
class Stakes:
    """`mode`: of the policy served, else of the intended one; None where neither is known."""

    mode: Mode | None
    looked_for: bool
    """Senders look for a policy (there is a record, or that is unknown), or one is intended."""

    @property
    def mx_failure(self) -> Severity:
        """An MX host that the policy makes senders refuse."""
        match self.mode:
            case Mode.ENFORCE:
                return Severity.CRITICAL
            case Mode.TESTING:
                return Severity.WARNING
            case Mode.NONE:
                return Severity.NOTICE
            case None:
                # Senders may still hold an earlier policy that is not served any more.
                return Severity.WARNING if self.looked_for else Severity.NOTICE

    @property
    def policy_failure(self) -> Severity:
        """A policy that senders cannot get or use."""
        return Severity.ERROR if self.looked_for else Severity.NOTICE

    @property
    def policy_worry(self) -> Severity:
        """Something about the policy that will fail later."""
        return Severity.WARNING if self.looked_for else Severity.NOTICE

    @property
    def mx_worry(self) -> Severity:
        """Something about an MX host that will fail later."""
        return Severity.WARNING if self.mode in (Mode.ENFORCE, Mode.TESTING) else Severity.NOTICE
