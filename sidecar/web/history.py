"""An event of the history as the pages and the API show it; pure."""

from dataclasses import dataclass

from sidecar.observed import FILE
from sidecar.observed.history import HistoryEvent
from sidecar.plan.actions import FILE_SUBJECT
from sidecar.status.wording import OUTCOME, Light


@dataclass(frozen=True, slots=True)
class EventView:
    """One event: what happened to which subject, the reason and the outcome; `at` in Unix seconds."""

    at: float
    subject: str
    what: str
    reason: str
    outcome: str
    detail: str | None
    light: Light


def shown_event(event: HistoryEvent) -> EventView:
    """The event in the form that people read."""
    subject = FILE_SUBJECT if event.subject == FILE else event.subject or "the sidecar"
    return EventView(
        at=event.at,
        subject=subject,
        what=event.what,
        reason=event.reason,
        outcome=event.outcome,
        detail=event.detail,
        light=OUTCOME.get(event.outcome, Light.WORKING),
    )
