"""The queue of notifications, in the state store: what people know (part `notify`) and what waits (table `waiting`).

Rules for every editor: what people know and the events behind it are stored in one transaction, so a process that ends at
any moment neither loses nor repeats an event. What cannot be read is dropped and reported; then errors are reported
again. No URL is stored: a receiver is known by its id.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import asdict
from typing import Any

from sidecar.host.errors import TemporaryError
from sidecar.notify.digest import Tries, expired
from sidecar.notify.events import Issue, Known, Notification, Notified
from sidecar.observed.checks import Stage
from sidecar.settings import NotificationKind
from sidecar.state.store import State
from sidecar.status.repeats import Ends

_NOTIFIED = "told"
"""The key in the state, as earlier releases wrote it."""
_TRIES = "tries:"
_BAD_VALUE = (ValueError, TypeError, KeyError, AttributeError)


class Outbox:
    """The queue; its calls block for a few seconds at most, and any thread may call them.

    Each raises TemporaryError or PermanentError if the state cannot be used.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def notified(self) -> Notified | None:
        """What people know; None before the first notification.

        Raises TemporaryError if it cannot be read. Then it is dropped, and the next call returns None.
        """
        with self._state.writing("reading") as connection:
            try:
                value = _kept(connection, _NOTIFIED)
                if value is None:
                    return None
                known = [Known(**{**one, "trouble": Issue(**one["trouble"])}) for one in value["troubles"]]
                return Notified(
                    {name: Stage(stage) for name, stage in value["stages"].items()},
                    {one.trouble.key: one for one in known},
                    {
                        (code, subject, about): Ends(times, at)
                        for code, subject, about, times, at in value.get("ends", ())
                    },
                )
            except _BAD_VALUE as error:
                reason, cause = str(error)[:200], error
                _drop(connection, _NOTIFIED)
        raise TemporaryError(
            f"reading what was notified failed: it holds {reason!r}; it is dropped, so errors may be reported again"
        ) from cause

    def note(self, notified: Notified, events: Collection[Notification], receivers: Collection[str]) -> None:
        """Stores what people know once these events reached these receivers, and queues the events."""
        value = {
            "stages": dict(notified.stages),
            "troubles": [asdict(known) for known in notified.troubles.values()],
            "ends": [[*key, end.times, end.at] for key, end in notified.ends.items()],
        }
        with self._state.writing() as connection:
            _keep(connection, _NOTIFIED, value)
            connection.executemany(
                "INSERT INTO waiting (receiver, event) VALUES (?, ?)",
                [(receiver, json.dumps(asdict(event))) for receiver in receivers for event in events],
            )

    def waiting(self, receiver: str) -> tuple[dict[int, Notification], Tries]:
        """The events that wait for this receiver, by number, the oldest first; and its failures."""
        with self._state.reading() as connection:
            rows = connection.execute(
                "SELECT id, event FROM waiting WHERE receiver = ? ORDER BY id", (receiver,)
            ).fetchall()
            events = {number: event for number, text in rows if (event := _event(text)) is not None}
            try:
                value = _kept(connection, _TRIES + receiver) or {"failures": 0, "not_before": 0}
                return events, Tries(int(value["failures"]), float(value["not_before"]))
            except _BAD_VALUE:
                return events, Tries()  # the next failure writes it again

    def delivered(self, receiver: str, numbers: Iterable[int]) -> None:
        """These events reached the receiver."""
        with self._state.writing() as connection:
            connection.executemany("DELETE FROM waiting WHERE id = ?", [(number,) for number in numbers])
            _drop(connection, _TRIES + receiver)

    def failed(self, receiver: str, tries: Tries) -> None:
        """These events did not reach the receiver."""
        with self._state.writing() as connection:
            _keep(connection, _TRIES + receiver, asdict(tries))

    def tidy(self, receivers: Collection[str], now: float) -> int:
        """Drops events that waited for too long or cannot be read (returns their number), and events for other receivers."""
        dropped = 0
        with self._state.writing() as connection:
            for number, receiver, text in connection.execute(
                "SELECT id, receiver, event FROM waiting"
            ).fetchall():
                known, event = receiver in receivers, _event(text)
                if known and event is not None and not expired(event, now):
                    continue
                dropped += known
                connection.execute("DELETE FROM waiting WHERE id = ?", (number,))
        return dropped


# --- values ----------------------------------------------------------------------------------------------


def _kept(connection: sqlite3.Connection, key: str) -> dict[str, Any] | None:
    row = connection.execute("SELECT value FROM part WHERE name = 'notify' AND key = ?", (key,)).fetchone()
    if row is None:
        return None
    value = json.loads(row[0])
    if not isinstance(value, dict):
        raise ValueError(f"{key} is not an object")  # noqa: TRY004 - what is stored is broken, the call is right
    return value


def _keep(connection: sqlite3.Connection, key: str, value: dict[str, Any]) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO part (name, key, value) VALUES ('notify', ?, ?)", (key, json.dumps(value))
    )


def _drop(connection: sqlite3.Connection, key: str) -> None:
    connection.execute("DELETE FROM part WHERE name = 'notify' AND key = ?", (key,))


def _event(text: str) -> Notification | None:
    """None if it cannot be read, such as a kind of event of a later release."""
    try:
        value = json.loads(text)
        return Notification(**{**value, "kind": NotificationKind(value["kind"])})
    except _BAD_VALUE:
        return None
