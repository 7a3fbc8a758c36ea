"""One line of the history, as people read it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One line of the history; `at` in Unix seconds."""

    at: float
    subject: str | None
    """A domain, `*` for the policy file, a container or the name of a file."""
    what: str
    """A stable code such as policy.added."""
    reason: str
    outcome: str
    detail: str | None
