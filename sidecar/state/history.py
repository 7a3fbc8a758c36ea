"""The history: a table of events. They are read by subject and time, so they are not a part."""

import sqlite3
from collections.abc import Sequence
from dataclasses import astuple

from sidecar.observed.history import HistoryEvent
from sidecar.state.parts import put, rows

MOST_EVENTS = 50_000
EVENTS_AGE_S = 400 * 86_400


def write_events(connection: sqlite3.Connection, events: Sequence[HistoryEvent]) -> None:
    """Adds to the history, and drops events that are too old or too many; an index finds both."""
    put(
        connection,
        "INSERT INTO history (at, subject, what, reason, outcome, detail) VALUES (?, ?, ?, ?, ?, ?)",
        map(astuple, events),
    )
    connection.execute("DELETE FROM history WHERE id <= (SELECT max(id) FROM history) - ?", (MOST_EVENTS,))
    newest = max(event.at for event in events)
    connection.execute("DELETE FROM history WHERE at < ?", (newest - EVENTS_AGE_S,))


def read_events(connection: sqlite3.Connection, subject: str | None, limit: int) -> tuple[HistoryEvent, ...]:
    """The last events of a subject (None: of all), oldest first."""
    where, values = ("", ()) if subject is None else ("WHERE subject = ? ", (subject,))
    query = (
        "SELECT at, subject, what, reason, outcome, detail FROM history "  # noqa: S608 - no value is pasted in
        f"{where}ORDER BY id DESC LIMIT ?"
    )
    return tuple(HistoryEvent(*row) for row in rows(connection, query, (*values, limit)))[::-1]
