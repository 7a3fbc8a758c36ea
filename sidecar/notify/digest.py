"""From waiting events to one message, and when it is sent, again and for the last time; pure.

Rules for every editor: no clock in here. What a person would read as nothing (an error that is over before it
could be told, a stage that is as it was) is not told. A message says first what needs a person.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from sidecar.formats.domain_name import to_unicode
from sidecar.notify.events import Key, Notification
from sidecar.observed import FILE
from sidecar.observed.words import command, some
from sidecar.plan.schedule import wait_after
from sidecar.settings import Tell
from sidecar.status.telling import quiet

RETRY_S = (60, 180, 600, 1_800, 3_600, 10_800)
"""Waits after a message that could not be delivered."""
KEPT_S = 3 * 86_400.0
"""How long an event waits for a delivery before it is dropped."""
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
    """When to send (Unix seconds); None where nothing waits. `gather` in seconds."""
    if not waiting:
        return None
    return max(min(event.at for event in waiting) + gather, tries.not_before)


def expired(event: Notification, now: float) -> bool:
    """Whether it has waited for too long: news of last week helps nobody."""
    return now - event.at > KEPT_S


def gathered(waiting: Iterable[Notification]) -> tuple[Notification, ...]:
    """What is left to tell of these, oldest first: for each thing what became of it in the end."""
    kept: dict[Key, Notification] = {}
    for event in sorted(waiting, key=lambda event: event.at):
        earlier = kept.pop(event.key, None)
        merged = event if earlier is None else _merged(earlier, event)
        if merged is not None:
            kept[event.key] = merged
    return tuple(kept.values())


def _merged(earlier: Notification, later: Notification) -> Notification | None:
    match earlier.kind, later.kind:
        case Tell.STAGE, Tell.STAGE:
            return None if earlier.was == later.now else replace(later, was=earlier.was)
        case Tell.ERROR, Tell.RECOVERY:
            return later if earlier.was else None
        case Tell.ERROR, Tell.ERROR:
            return replace(later, was=earlier.was)
        case Tell.RECOVERY, Tell.ERROR:
            # People think it is there, and it is: told again only where they were told of it long ago, or it got worse.
            known = not later.critical and (not earlier.said_at or quiet(earlier.said_at, later.at))
            return None if known else replace(later, was=Tell.ERROR.value)
        case _:
            return later


# --- the message -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """A message: `events` in the order in which they are told, all of them."""

    title: str
    text: str
    events: tuple[Notification, ...]
    mailcow: str
    at: float

    @property
    def failing(self) -> bool:
        """Whether an error is in it."""
        return any(event.kind is Tell.ERROR and not event.mild for event in self.events)

    @property
    def healing(self) -> bool:
        """Whether it holds recoveries, and nothing that needs a person."""
        kinds = {event.kind for event in self.events}
        return Tell.RECOVERY in kinds and Tell.ERROR not in kinds


def digest_of(events: Sequence[Notification], mailcow: str, now: float) -> Message:
    """The message about these events, one or more; `mailcow` is its host name, or empty."""
    ordered = tuple(sorted(events, key=lambda event: (_weight(event), event.subject, event.at)))
    alike = list(_alike(ordered))
    lines = [line for events in alike[:MOST_LINES] for line in _lines(events)]
    if left := sum(len(events) for events in alike[MOST_LINES:]):
        lines.append(f"... and {left} more; see: {command('status')}")
    where = f"MTA-STS on {mailcow}" if mailcow else "MTA-STS"
    return Message(f"{where}: {_counted(ordered)}", "\n".join(lines), ordered, mailcow, now)


def trial_digest(mailcow: str, now: float) -> Message:
    """The message of `sidecar notify --test`."""
    where = f" on {mailcow}" if mailcow else ""
    return Message(
        f"MTA-STS{where}: a test",
        "Notifications of the MTA-STS sidecar arrive here. Nothing happened, and nothing is to be done.",
        (),
        mailcow,
        now,
    )


def _weight(event: Notification) -> int:
    if event.kind is Tell.ERROR:
        return 0 if event.critical else 2 if event.mild else 1
    return 3 if event.kind is Tell.STAGE else 4


def _counted(events: Sequence[Notification]) -> str:
    words = {
        (Tell.ERROR, False): ("error", "errors"),
        (Tell.ERROR, True): ("thing to do", "things to do"),
        (Tell.STAGE, False): ("change of stage", "changes of stage"),
        (Tell.RECOVERY, False): ("recovery", "recoveries"),
    }
    found = Counter((event.kind, event.mild and event.kind is Tell.ERROR) for event in events)
    counts = [(found[kind], names) for kind, names in words.items()]
    return ", ".join(f"{count} {one if count == 1 else many}" for count, (one, many) in counts if count)


def _alike(events: Iterable[Notification]) -> Iterable[Sequence[Notification]]:
    """Events that say the same of several domains, such as of an MX host that they share, together."""
    found: dict[object, list[Notification]] = {}
    for event in events:
        said = (*_look(event), event.about, event.message, event.todo)
        found.setdefault(said, []).append(event)
    return found.values()


def _look(event: Notification) -> tuple[object, ...]:
    return event.kind, event.critical, event.mild, event.code, event.was, event.now


def _lines(alike: Sequence[Notification]) -> list[str]:
    event = alike[0]
    names = shown(event.subject) if len(alike) == 1 else some([each.subject for each in alike])
    match event.kind:
        case Tell.STAGE:
            why = f": {event.message}" if event.message else ""
            return [f"[stage] {names}: {event.was} -> {event.now}{why}"]
        case Tell.RECOVERY:
            return [f"[over] {_about(names, event)}"]
        case Tell.ERROR:
            line = f"[{_severity(event)}] {_about(names, event)}"
            return [line, f"    to do: {event.todo}"] if event.todo else [line]


def _severity(event: Notification) -> str:
    return "critical" if event.critical else "to do" if event.mild else "error"


def _about(names: str, event: Notification) -> str:
    """The message, with what it is about where it does not say so itself."""
    part = to_unicode(event.about)
    if part and part not in event.message and part != names:
        return f"{names} ({part}): {event.message}"
    return event.message if names in event.message else f"{names}: {event.message}"


def shown(subject: str) -> str:
    """A subject as people read it."""
    return "the policy file" if subject == FILE else to_unicode(subject)


def as_json(digest: Message) -> dict[str, Any]:
    """The body for a webhook; `text` alone is what Slack, Mattermost and others show."""
    return {
        "version": 1,
        "mailcow": digest.mailcow,
        "at": _moment(digest.at),
        "title": digest.title,
        "text": f"{digest.title}\n{digest.text}",
        "events": [_event(event) for event in digest.events[:MOST_EVENTS]],
        "more": max(0, len(digest.events) - MOST_EVENTS),
    }


def _event(event: Notification) -> dict[str, Any]:
    return {
        # An answer that was lost makes the message come twice: by this a receiver can tell.
        "id": sha256(repr((event.kind.value, event.at, event.key)).encode()).hexdigest()[:32],
        "kind": event.kind.value,
        "at": _moment(event.at),
        "subject": event.subject,
        "code": event.code,
        "about": event.about or None,
        "critical": event.critical,
        "severity": _severity(event) if event.kind is Tell.ERROR else None,
        "message": event.message,
        "todo": event.todo,
        "stage": event.now or None,
        "stage_before": event.was if event.kind is Tell.STAGE else None,
    }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
