"""From waiting events to one message, and when to send, retry and give up; pure.

Rules for every editor: no clock in here. Events that cancel each other (an error that ended before it
was sent, a stage that is back) are not sent. A message begins with what needs a person.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from sidecar.formats.domain_name import to_unicode
from sidecar.notify.events import Key, Notification
from sidecar.observed import FILE
from sidecar.observed.words import command, iso, some
from sidecar.plan.schedule import wait_after
from sidecar.settings import NotificationKind
from sidecar.status.repeats import quiet

RETRY_S = (60, 180, 600, 1_800, 3_600, 10_800)
"""Waits in seconds after failed deliveries."""
KEPT_S = 3 * 86_400.0
"""Seconds that an event waits for delivery before it is dropped."""
MOST_LINES = 40
MOST_EVENTS = 500
"""In the JSON of a webhook."""


@dataclass(frozen=True, slots=True)
class Tries:
    """Failures in a row of one receiver, and the time (Unix seconds) before which it is not tried again."""

    failures: int = 0
    not_before: float = 0.0

    def failed(self, now: float) -> "Tries":
        """After one more."""
        return Tries(self.failures + 1, now + wait_after(self.failures + 1, RETRY_S))


def due_at(waiting: Sequence[Notification], gather: float, tries: Tries) -> float | None:
    """When to send (Unix seconds); None if nothing waits. `gather` in seconds."""
    if not waiting:
        return None
    return max(min(event.at for event in waiting) + gather, tries.not_before)


def expired(event: Notification, now: float) -> bool:
    """Whether the event has waited for too long to be useful."""
    return now - event.at > KEPT_S


def gathered(waiting: Iterable[Notification]) -> tuple[Notification, ...]:
    """The events to send, oldest first: for each subject only the final result."""
    kept: dict[Key, Notification] = {}
    for event in sorted(waiting, key=lambda event: event.at):
        earlier = kept.pop(event.key, None)
        if earlier is None:
            kept[event.key] = event
            continue
        match earlier.kind, event.kind:
            case NotificationKind.STAGE, NotificationKind.STAGE:
                if earlier.was != event.now:
                    kept[event.key] = replace(event, was=earlier.was)
            case NotificationKind.ERROR, NotificationKind.RECOVERY:
                if earlier.was:
                    kept[event.key] = event
            case NotificationKind.ERROR, NotificationKind.ERROR:
                kept[event.key] = replace(event, was=earlier.was)
            case NotificationKind.RECOVERY, NotificationKind.ERROR:
                # People know of the error and it is back: sent again only if it was sent long ago or got worse.
                if event.critical or (earlier.said_at and not quiet(earlier.said_at, event.at)):
                    kept[event.key] = replace(event, was=NotificationKind.ERROR.value)
            case _:
                kept[event.key] = event
    return tuple(kept.values())


# --- the message -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """A message with all its events, in the order of the text."""

    title: str
    text: str
    events: tuple[Notification, ...]
    mailcow: str
    at: float

    @property
    def failing(self) -> bool:
        """Whether it contains an error."""
        return any(event.kind is NotificationKind.ERROR and not event.mild for event in self.events)

    @property
    def healing(self) -> bool:
        """Whether it has recoveries and nothing that needs a person."""
        kinds = {event.kind for event in self.events}
        return NotificationKind.RECOVERY in kinds and NotificationKind.ERROR not in kinds


def digest_of(events: Sequence[Notification], mailcow: str, now: float) -> Message:
    """The message about these events, one or more; `mailcow` is its host name, or empty."""
    ordered = tuple(sorted(events, key=lambda event: (_LABELS.index(_label(event)), event.subject, event.at)))
    alike: dict[Notification, list[Notification]] = {}
    for event in ordered:
        # Events that say the same about several domains, such as domains with the same MX host, are one line.
        alike.setdefault(replace(event, subject="", at=0.0, said_at=0.0), []).append(event)
    groups = list(alike.values())
    lines = [line for same in groups[:MOST_LINES] for line in _lines(same)]
    if left := sum(len(same) for same in groups[MOST_LINES:]):
        lines.append(f"... and {left} more; see: {command('status')}")
    found = Counter("error" if _label(event) == "critical" else _label(event) for event in ordered)
    counted = ", ".join(
        f"{found[label]} {one if found[label] == 1 else many}"
        for label, (one, many) in _COUNTED.items()
        if found[label]
    )
    where = f"MTA-STS on {mailcow}" if mailcow else "MTA-STS"
    return Message(f"{where}: {counted}", "\n".join(lines), ordered, mailcow, now)


_LABELS = ("critical", "error", "to do", "stage", "over")
"""The words in front of the lines of a message, in the order of the lines."""
_COUNTED = {
    "error": ("error", "errors"),
    "to do": ("thing to do", "things to do"),
    "stage": ("change of stage", "changes of stage"),
    "over": ("recovery", "recoveries"),
}


def _label(event: Notification) -> str:
    match event.kind:
        case NotificationKind.STAGE:
            return "stage"
        case NotificationKind.RECOVERY:
            return "over"
        case NotificationKind.ERROR:
            return "critical" if event.critical else "to do" if event.mild else "error"


def trial_digest(mailcow: str, now: float) -> Message:
    """The message of `sidecar notify --test`."""
    where = f" on {mailcow}" if mailcow else ""
    return Message(
        f"MTA-STS{where}: a test",
        "Notifications from the MTA-STS sidecar arrive here. Nothing happened and there is nothing to do.",
        (),
        mailcow,
        now,
    )


def _lines(alike: Sequence[Notification]) -> list[str]:
    event = alike[0]
    names = shown(event.subject) if len(alike) == 1 else some([each.subject for each in alike])
    label = f"[{_label(event)}]"
    if event.kind is NotificationKind.STAGE:
        why = f": {event.message}" if event.message else ""
        return [f"{label} {names}: {event.was} -> {event.now}{why}"]
    todo = [f"    to do: {event.todo}"] if event.kind is NotificationKind.ERROR and event.todo else []
    # The message, with its subject if the text does not name it.
    part = to_unicode(event.about)
    if part and part not in event.message and part != names:
        return [f"{label} {names} ({part}): {event.message}", *todo]
    return [f"{label} {event.message if names in event.message else f'{names}: {event.message}'}", *todo]


def shown(subject: str) -> str:
    """A subject as people read it."""
    return "the policy file" if subject == FILE else to_unicode(subject)


def as_json(digest: Message) -> dict[str, Any]:
    """The body for a webhook; `text` alone is what Slack, Mattermost and others show."""
    return {
        "version": 1,
        "mailcow": digest.mailcow,
        "at": iso(digest.at),
        "title": digest.title,
        "text": f"{digest.title}\n{digest.text}",
        "events": [
            {
                # If the answer to a delivery is lost, the message is sent twice: the id lets a receiver notice.
                "id": sha256(repr((event.kind.value, event.at, event.key)).encode()).hexdigest()[:32],
                "kind": event.kind.value,
                "at": iso(event.at),
                "subject": event.subject,
                "code": event.code,
                "about": event.about or None,
                "critical": event.critical,
                "severity": _label(event) if event.kind is NotificationKind.ERROR else None,
                "message": event.message,
                "todo": event.todo,
                "stage": event.now or None,
                "stage_before": event.was if event.kind is NotificationKind.STAGE else None,
            }
            for event in digest.events[:MOST_EVENTS]
        ],
        "more": max(0, len(digest.events) - MOST_EVENTS),
    }
