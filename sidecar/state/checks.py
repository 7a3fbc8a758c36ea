"""The tables of what checks found and of wishes about the roll-out; beside `state_rows`, which calls this.

Rule for every editor: as there. A domain whose record is the same object as before costs nothing.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from sidecar.observed import Announced, CheckRecord, Memory, Move
from sidecar.observed.checks import Condition, ConditionType, Rollout, Status
from sidecar.observed.findings import Finding, Severity

Row: TypeAlias = tuple[Any, ...]

STEP = """
    CREATE TABLE rollout (
        key TEXT PRIMARY KEY, soaked REAL NOT NULL, checked_at REAL NOT NULL, good_at REAL,
        refusals INTEGER NOT NULL, stepped_back_at REAL
    ) WITHOUT ROWID;
    CREATE TABLE condition (
        key TEXT, position INTEGER, type TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL,
        message TEXT NOT NULL, since REAL NOT NULL,
        PRIMARY KEY (key, position)
    ) WITHOUT ROWID;
    CREATE TABLE checked (key TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE finding (
        key TEXT, position INTEGER, code TEXT NOT NULL, severity TEXT NOT NULL, subject TEXT NOT NULL,
        message TEXT NOT NULL, todo TEXT, section TEXT NOT NULL,
        PRIMARY KEY (key, position)
    ) WITHOUT ROWID;
    CREATE TABLE announced (
        key TEXT, position INTEGER, id TEXT NOT NULL, text TEXT NOT NULL, since REAL NOT NULL,
        PRIMARY KEY (key, position)
    ) WITHOUT ROWID;
    CREATE TABLE retired (key TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE move (key TEXT, host TEXT, at REAL NOT NULL, PRIMARY KEY (key, host)) WITHOUT ROWID
"""
"""What these tables are made of, as a step of `state_rows.STEPS`."""


def _grouped(rows: Iterable[Row]) -> Iterator[tuple[str, list[Row]]]:
    groups: dict[str, list[Row]] = {}
    for key, *rest in rows:
        groups.setdefault(key, []).append(tuple(rest))
    yield from groups.items()


def rollouts(connection: sqlite3.Connection) -> dict[str, Rollout]:
    """By domain; raises ValueError for a word that is in none of the enums."""
    conditions = dict(
        _grouped(
            connection.execute(
                "SELECT key, type, status, reason, message, since FROM condition ORDER BY key, position"
            )
        )
    )
    return {
        key: Rollout(
            tuple(
                Condition(ConditionType(kind), Status(status), reason, message, since)
                for kind, status, reason, message, since in conditions.get(key, ())
            ),
            soaked,
            checked_at,
            good_at,
            refusals,
            stepped_back_at,
        )
        for key, soaked, checked_at, good_at, refusals, stepped_back_at in connection.execute(
            "SELECT key, soaked, checked_at, good_at, refusals, stepped_back_at FROM rollout"
        )
    }


def checks(connection: sqlite3.Connection) -> dict[str, CheckRecord]:
    """By domain; raises ValueError for a word that is in none of the enums."""
    findings = dict(
        _grouped(
            connection.execute(
                "SELECT key, code, severity, subject, message, todo, section FROM finding ORDER BY key, position"
            )
        )
    )
    return {
        key: CheckRecord(
            at,
            tuple(
                Finding(code, Severity(severity), subject, message, todo, section)
                for code, severity, subject, message, todo, section in findings.get(key, ())
            ),
        )
        for key, at in connection.execute("SELECT key, at FROM checked")
    }


def announced(connection: sqlite3.Connection) -> dict[str, tuple[Announced, ...]]:
    """By domain, oldest first."""
    rows = connection.execute("SELECT key, id, text, since FROM announced ORDER BY key, position")
    return {key: tuple(Announced(*row) for row in found) for key, found in _grouped(rows)}


def retired(connection: sqlite3.Connection) -> frozenset[str]:
    """Domains that a person takes out of MTA-STS."""
    return frozenset(key for (key,) in connection.execute("SELECT key FROM retired"))


def moves(connection: sqlite3.Connection) -> tuple[Move, ...]:
    """MX hosts that domains move to, oldest first."""
    return tuple(
        Move(*row) for row in connection.execute("SELECT key, host, at FROM move ORDER BY at, key, host")
    )


def write(connection: sqlite3.Connection, before: Memory, after: Memory) -> None:
    """What differs, within the caller's transaction."""
    _write_rollouts(connection, before.rollouts, after.rollouts)
    _write_checks(connection, before.checks, after.checks)
    _write_announced(connection, before.announced, after.announced)
    _put(connection, "DELETE FROM retired WHERE key = ?", [(key,) for key in before.retired - after.retired])
    retire(connection, after.retired - before.retired)
    gone = [(move.key, move.host) for move in before.moves if move not in after.moves]
    _put(connection, "DELETE FROM move WHERE key = ? AND host = ?", gone)
    move_to(connection, [move for move in after.moves if move not in before.moves])


def retire(connection: sqlite3.Connection, keys: Iterable[str]) -> None:
    """Adds wishes to leave MTA-STS."""
    _put(connection, "INSERT OR IGNORE INTO retired (key) VALUES (?)", [(key,) for key in keys])


def unretire(connection: sqlite3.Connection, keys: Iterable[str]) -> None:
    """Takes such wishes back."""
    _put(connection, "DELETE FROM retired WHERE key = ?", [(key,) for key in keys])


def move_to(connection: sqlite3.Connection, wished: Iterable[Move]) -> None:
    """Adds MX hosts that domains move to; one that is there keeps its time."""
    rows = [(move.key, move.host, move.at) for move in wished]
    _put(connection, "INSERT OR IGNORE INTO move (key, host, at) VALUES (?, ?, ?)", rows)


def _put(connection: sqlite3.Connection, statement: str, rows: Iterable[Row]) -> None:
    connection.executemany(statement, [tuple(_storable(value) for value in row) for row in rows])


def _storable(value: object) -> object:
    """What others publish may hold half of a surrogate pair, which SQLite cannot store."""
    return (
        value.encode("utf-8", "replace").decode() if isinstance(value, str) and not value.isascii() else value
    )


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], list[Row]]:
    """The entries that differ, and the keys of all that must be removed first."""
    if before is after:
        return {}, []
    changed = {k: new for k, new in after.items() if (old := before.get(k)) is not new and old != new}
    return changed, [(key,) for key in (*changed, *(before.keys() - after.keys()))]


def _write_rollouts(
    connection: sqlite3.Connection, before: Mapping[str, Rollout], after: Mapping[str, Rollout]
) -> None:
    changed, touched = _changed(before, after)
    _put(connection, "DELETE FROM rollout WHERE key = ?", touched)
    _put(connection, "DELETE FROM condition WHERE key = ?", touched)
    _put(
        connection,
        "INSERT INTO rollout (key, soaked, checked_at, good_at, refusals, stepped_back_at) VALUES (?, ?, ?, ?, ?, ?)",
        [(k, r.soaked, r.checked_at, r.good_at, r.refusals, r.stepped_back_at) for k, r in changed.items()],
    )
    _put(
        connection,
        "INSERT INTO condition (key, position, type, status, reason, message, since) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (key, number, c.type.value, c.status.value, c.reason, c.message, c.since)
            for key, rollout in changed.items()
            for number, c in enumerate(rollout.conditions)
        ],
    )


def _write_checks(
    connection: sqlite3.Connection, before: Mapping[str, CheckRecord], after: Mapping[str, CheckRecord]
) -> None:
    changed, touched = _changed(before, after)
    _put(connection, "DELETE FROM checked WHERE key = ?", touched)
    _put(connection, "DELETE FROM finding WHERE key = ?", touched)
    _put(connection, "INSERT INTO checked (key, at) VALUES (?, ?)", [(k, c.at) for k, c in changed.items()])
    _put(
        connection,
        "INSERT INTO finding (key, position, code, severity, subject, message, todo, section) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (key, number, f.code, f.severity.value, f.subject, f.message, f.todo, f.section)
            for key, record in changed.items()
            for number, f in enumerate(record.findings)
        ],
    )


def _write_announced(
    connection: sqlite3.Connection,
    before: Mapping[str, tuple[Announced, ...]],
    after: Mapping[str, tuple[Announced, ...]],
) -> None:
    changed, touched = _changed(before, after)
    _put(connection, "DELETE FROM announced WHERE key = ?", touched)
    _put(
        connection,
        "INSERT INTO announced (key, position, id, text, since) VALUES (?, ?, ?, ?, ?)",
        [(key, n, a.id, a.text, a.since) for key, found in changed.items() for n, a in enumerate(found)],
    )
