"""The tables of what the restarts of acme-mailcow brought and cost; beside `state_rows`, which calls this.

Rule for every editor: as there.
"""

import sqlite3
from typing import Any

from sidecar.observed import InVain, LostName, Memory, Restart

STEP = """
    ALTER TABLE restart ADD COLUMN judged INTEGER NOT NULL DEFAULT 1;
    CREATE TABLE restart_before (name TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE lost_name (name TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE in_vain (
        name TEXT PRIMARY KEY, count INTEGER NOT NULL, at REAL NOT NULL, evidence TEXT NOT NULL, words TEXT
    ) WITHOUT ROWID
"""
"""What these tables are made of, as a step of `state_rows.STEPS`."""


def restarts(connection: sqlite3.Connection, names: dict[int, list[str]]) -> tuple[Restart, ...]:
    """The restarts; only the last, while it is not judged, has the names that were in the certificate before it."""
    rows = list(connection.execute("SELECT position, at, judged FROM restart ORDER BY position"))
    before = tuple(name for (name,) in connection.execute("SELECT name FROM restart_before ORDER BY name"))
    return tuple(
        Restart(
            at,
            tuple(names.get(position, ())),
            before if not judged and position == rows[-1][0] else (),
            bool(judged),
        )
        for position, at, judged in rows
    )


def write_before(connection: sqlite3.Connection, restarts: tuple[Restart, ...]) -> None:
    """The names before the last restart."""
    connection.execute("DELETE FROM restart_before")
    before = restarts[-1].before if restarts else ()
    connection.executemany("INSERT INTO restart_before (name) VALUES (?)", [(name,) for name in before])


def lost(connection: sqlite3.Connection) -> tuple[LostName, ...]:
    """The lost names, in their order."""
    return tuple(
        LostName(name, at) for name, at in connection.execute("SELECT name, at FROM lost_name ORDER BY name")
    )


def in_vain(connection: sqlite3.Connection) -> dict[str, InVain]:
    """The restarts in vain, by name."""
    rows = connection.execute("SELECT name, count, at, evidence, words FROM in_vain")
    return {name: InVain(*rest) for name, *rest in rows}


def write(connection: sqlite3.Connection, before: Memory, after: Memory) -> None:
    """Changes what differs; in a transaction of the caller's."""
    if after.lost != before.lost:
        connection.execute("DELETE FROM lost_name")
        connection.executemany(
            "INSERT OR REPLACE INTO lost_name (name, at) VALUES (?, ?)",
            [(item.name, item.at) for item in after.lost],
        )
    if after.in_vain != before.in_vain:
        connection.execute("DELETE FROM in_vain")
        rows: list[tuple[Any, ...]] = [
            (name, item.count, item.at, item.evidence, item.words) for name, item in after.in_vain.items()
        ]
        connection.executemany(
            "INSERT INTO in_vain (name, count, at, evidence, words) VALUES (?, ?, ?, ?, ?)", rows
        )
