"""How an action ended."""

from dataclasses import dataclass
from enum import StrEnum

from sidecar.plan.actions import Action


class Result(StrEnum):
    """How an action ended."""

    DONE = "done"
    FAILED = "failed"
    """for now"""
    REFUSED = "refused"
    """until a person changes something"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An action and how it ended; `detail` says why it did not work."""

    action: Action
    result: Result
    at: float
    detail: str | None = None
    denied: bool = False
    """Whether mailcow refused the API key: mailcow would count every further attempt against this host."""
    no_space: bool = False
    """Whether a full disk was the reason; only another attempt shows that there is space again."""
