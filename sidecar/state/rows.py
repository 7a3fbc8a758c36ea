"""The tables of the state store, and the memory as rows in them.

Rule for every editor: a table that was released is changed by a further step at the end of `STEPS`, never
by editing an old one. `write` changes only what differs, so that a pass in which nothing happened writes
nothing. Opening, locking and errors do not belong here; how much is kept is in `state_bounds`.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sidecar.host.elapsed import Reading, Tally
from sidecar.observed import (
    AliasDomain,
    ConfEntry,
    ConfEvent,
    Domain,
    DomainList,
    Doubt,
    Fact,
    FactKind,
    Memory,
    PolicyId,
    PolicyMemory,
    Restart,
    Span,
    Write,
)
from sidecar.state import acme as state_acme
from sidecar.state import checks as state_checks
from sidecar.state.kept import EVENTS_AGE_S, MOST_EVENTS, kept_conf, kept_restarts, kept_spans, kept_writes

Row: TypeAlias = tuple[Any, ...]

APPLICATION_ID = 0x4D545353  # "MTSS": tells our file from another program's
STEPS = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE policy (
        key TEXT PRIMARY KEY, floor TEXT, refused TEXT, id_text TEXT, id TEXT
    ) WITHOUT ROWID;
    CREATE TABLE policy_write (
        key TEXT, position INTEGER, text TEXT, at REAL NOT NULL, done INTEGER,
        PRIMARY KEY (key, position)
    ) WITHOUT ROWID;
    CREATE TABLE policy_span (
        key TEXT, position INTEGER, text TEXT, since REAL NOT NULL, until REAL,
        PRIMARY KEY (key, position)
    ) WITHOUT ROWID;
    CREATE TABLE domain (
        position INTEGER PRIMARY KEY, name TEXT NOT NULL, active INTEGER NOT NULL, backup_mx INTEGER NOT NULL
    );
    CREATE TABLE alias_domain (
        position INTEGER PRIMARY KEY, name TEXT NOT NULL, target TEXT NOT NULL, active INTEGER NOT NULL
    );
    CREATE TABLE doubt (fingerprint TEXT NOT NULL, polls INTEGER NOT NULL, since REAL NOT NULL);
    CREATE TABLE adopt (key TEXT PRIMARY KEY, at REAL) WITHOUT ROWID;
    CREATE TABLE conf_entry (
        position INTEGER PRIMARY KEY, key TEXT NOT NULL, entry TEXT NOT NULL, event TEXT NOT NULL,
        at REAL NOT NULL
    );
    CREATE TABLE restart (position INTEGER PRIMARY KEY, at REAL NOT NULL);
    CREATE TABLE restart_name (
        restart INTEGER, position INTEGER, name TEXT NOT NULL,
        PRIMARY KEY (restart, position)
    ) WITHOUT ROWID;
    CREATE TABLE fact (
        kind TEXT, subject TEXT, since REAL NOT NULL,
        PRIMARY KEY (kind, subject)
    ) WITHOUT ROWID;
    CREATE TABLE service (name TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE history (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, subject TEXT, what TEXT NOT NULL, reason TEXT NOT NULL,
        outcome TEXT NOT NULL, detail TEXT
    );
    CREATE INDEX history_by_subject ON history (subject, id);
    CREATE INDEX history_by_time ON history (at)
    """,
    state_checks.STEP,
    """
    ALTER TABLE policy_span ADD COLUMN begun REAL NOT NULL DEFAULT 0;
    ALTER TABLE policy_span ADD COLUMN ended REAL NOT NULL DEFAULT 0;
    UPDATE fact SET since = 0;
    UPDATE doubt SET since = 0
    """,
    state_acme.STEP,
)
"""What makes the tables of each release from those of the one before; statements are split at semicolons.

With the third, waits are counted (`Memory.counted`) and no longer read off the clock: those that had begun by a clock
that may have been wrong begin anew.
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the history; `at` in Unix seconds."""

    at: float
    subject: str | None
    """A domain, `*` for the policy file, a container or the name of a file."""
    what: str
    """A stable code such as policy.added."""
    reason: str
    outcome: str
    detail: str | None


# A text that was seen served may hold anything, also lone surrogates (bytes that are no UTF-8). SQLite's TEXT
# cannot: such a one is stored as a BLOB. A column's affinity leaves a BLOB alone.


def _stored(row: Row) -> Row:
    return tuple(_odd(value) if isinstance(value, str) and not value.isascii() else value for value in row)


def _odd(text: str) -> str | bytes:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def _rows(connection: sqlite3.Connection, query: str, values: Row = ()) -> Iterator[Row]:
    for row in connection.execute(query, _stored(values)):
        yield tuple(v.decode("utf-8", "surrogatepass") if isinstance(v, bytes) else v for v in row)


def _put(connection: sqlite3.Connection, statement: str, rows: Iterable[Row]) -> None:
    connection.executemany(statement, [_stored(row) for row in rows])


def _positioned(items: Iterable[Row]) -> list[Row]:
    return [(position, *item) for position, item in enumerate(items)]


# --- reading ---------------------------------------------------------------------------------------------


def read(connection: sqlite3.Connection) -> Memory:
    """The whole memory; in a transaction of the caller's, so that it is of one moment.

    Raises ValueError for a word that is in none of the enums: such a file is not ours.
    """
    meta: dict[str, Any] = dict(_rows(connection, "SELECT key, value FROM meta"))
    doubts = [Doubt(*row) for row in _rows(connection, "SELECT fingerprint, polls, since FROM doubt")]
    return Memory(
        policies=_policies(connection),
        believed=_believed(connection) if meta.get("believed") else None,
        doubt=doubts[0] if doubts else None,
        newcomers=frozenset(json.loads(meta.get("newcomers", "[]"))),
        adopt=frozenset(key for (key,) in _rows(connection, "SELECT key FROM adopt")),
        conf=tuple(
            ConfEntry(key, entry, ConfEvent(event), at)
            for key, entry, event, at in _rows(
                connection, "SELECT key, entry, event, at FROM conf_entry ORDER BY position"
            )
        ),
        restarts=_restarts(connection),
        lost=state_acme.lost(connection),
        in_vain=state_acme.in_vain(connection),
        since={
            Fact(FactKind(kind), subject): since
            for kind, subject, since in _rows(connection, "SELECT kind, subject, since FROM fact")
        },
        rollouts=state_checks.rollouts(connection),
        checks=state_checks.checks(connection),
        announced=state_checks.announced(connection),
        retired=state_checks.retired(connection),
        moves=state_checks.moves(connection),
        services=frozenset(name for (name,) in _rows(connection, "SELECT name FROM service")),
        born=float(meta.get("born", 0.0)),
        tally=_tally(meta),
    )


def _tally(meta: Mapping[str, Any]) -> Tally:
    run, at = meta.get("counted_run"), meta.get("counted_at")
    last = None if run is None or at is None else Reading(str(run), float(at))
    return Tally(float(meta.get("counted", 0.0)), last)


def _policies(connection: sqlite3.Connection) -> dict[str, PolicyMemory]:
    same: dict[str | None, str | None] = {}  # a thousand domains mostly have one text: hold it once
    writes: dict[str, list[Write]] = {}
    for key, text, at, done in _rows(
        connection, "SELECT key, text, at, done FROM policy_write ORDER BY key, position"
    ):
        write = Write(same.setdefault(text, text), at, None if done is None else bool(done))
        writes.setdefault(key, []).append(write)
    spans: dict[str, list[Span]] = {}
    for key, text, *times in _rows(
        connection, "SELECT key, text, since, until, begun, ended FROM policy_span ORDER BY key, position"
    ):
        spans.setdefault(key, []).append(Span(same.setdefault(text, text), *times))
    return {
        key: PolicyMemory(
            tuple(writes.get(key, ())), tuple(spans.get(key, ())), floor, refused, same.get(text, text), id_
        )
        for key, floor, refused, text, id_ in _rows(
            connection, "SELECT key, floor, refused, id_text, id FROM policy"
        )
    }


def _believed(connection: sqlite3.Connection) -> DomainList:
    return DomainList(
        tuple(
            Domain(name, bool(active), bool(backup_mx))
            for name, active, backup_mx in _rows(
                connection, "SELECT name, active, backup_mx FROM domain ORDER BY position"
            )
        ),
        tuple(
            AliasDomain(name, target, bool(active))
            for name, target, active in _rows(
                connection, "SELECT name, target, active FROM alias_domain ORDER BY position"
            )
        ),
    )


def _restarts(connection: sqlite3.Connection) -> tuple[Restart, ...]:
    names: dict[int, list[str]] = {}
    for restart, name in _rows(
        connection, "SELECT restart, name FROM restart_name ORDER BY restart, position"
    ):
        names.setdefault(restart, []).append(name)
    return state_acme.restarts(connection, names)


# --- writing ---------------------------------------------------------------------------------------------


def differs(before: Memory, after: Memory) -> bool:
    """Whether there is anything to write."""
    return before is not after and before != after


def write(connection: sqlite3.Connection, before: Memory, after: Memory) -> None:
    """Changes what differs; in a transaction of the caller's.

    Of `adopt` only the difference is written, so that a wish of another process, unknown to both, stays.
    """
    _write_policies(connection, before.policies, after.policies)
    if after.believed != before.believed:
        _write_believed(connection, after.believed)
    if after.doubt != before.doubt:
        connection.execute("DELETE FROM doubt")
        found = (
            [] if after.doubt is None else [(after.doubt.fingerprint, after.doubt.polls, after.doubt.since)]
        )
        _put(connection, "INSERT INTO doubt (fingerprint, polls, since) VALUES (?, ?, ?)", found)
    if after.newcomers != before.newcomers:
        names = json.dumps(sorted(after.newcomers))
        _put(connection, "INSERT OR REPLACE INTO meta (key, value) VALUES ('newcomers', ?)", [(names,)])
    _put(connection, "DELETE FROM adopt WHERE key = ?", [(key,) for key in before.adopt - after.adopt])
    wish(connection, after.adopt - before.adopt, None)
    if after.conf != before.conf:
        connection.execute("DELETE FROM conf_entry")
        _put(
            connection,
            "INSERT INTO conf_entry (position, key, entry, event, at) VALUES (?, ?, ?, ?, ?)",
            _positioned((e.key, e.entry, e.event.value, e.at) for e in kept_conf(after.conf)),
        )
    if after.restarts != before.restarts:
        _write_restarts(connection, kept_restarts(after.restarts))
    _write_facts(connection, before.since, after.since)
    _put(connection, "DELETE FROM service WHERE name = ?", [(s,) for s in before.services - after.services])
    _put(
        connection,
        "INSERT OR IGNORE INTO service (name) VALUES (?)",
        [(s,) for s in after.services - before.services],
    )
    state_acme.write(connection, before, after)
    state_checks.write(connection, before, after)
    if after.born != before.born:
        write_born(connection, after.born)
    if after.tally != before.tally:
        _write_tally(connection, after.tally)


def write_born(connection: sqlite3.Connection, born: float) -> None:
    """When the file was made, in Unix seconds."""
    _put(connection, "INSERT OR REPLACE INTO meta (key, value) VALUES ('born', ?)", [(born,)])


def _write_tally(connection: sqlite3.Connection, tally: Tally) -> None:
    run, at = (None, None) if tally.last is None else (tally.last.run, tally.last.at)
    rows = [("counted", tally.seconds), ("counted_run", run), ("counted_at", at)]
    _put(connection, "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", rows)


def wish(connection: sqlite3.Connection, keys: Iterable[str], at: float | None) -> None:
    """Adds wishes to adopt."""
    _put(connection, "INSERT OR IGNORE INTO adopt (key, at) VALUES (?, ?)", [(key, at) for key in keys])


def note_ids(connection: sqlite3.Connection, ids: Mapping[str, PolicyId]) -> None:
    """Remembers policy ids by domain, and changes nothing else of what is remembered of these policies."""
    _put(
        connection,
        "INSERT INTO policy (key, id_text, id) VALUES (?, ?, ?) "
        "ON CONFLICT (key) DO UPDATE SET id_text = excluded.id_text, id = excluded.id",
        [(key, found.text, found.id) for key, found in ids.items()],
    )


def _write_policies(
    connection: sqlite3.Connection, before: Mapping[str, PolicyMemory], after: Mapping[str, PolicyMemory]
) -> None:
    if before is after:
        return
    changed = {
        key: memory
        for key, memory in after.items()
        if (old := before.get(key)) is not memory and old != memory
    }
    touched = [(key,) for key in (*changed, *(before.keys() - after.keys()))]
    for table in ("policy", "policy_write", "policy_span"):
        _put(connection, f"DELETE FROM {table} WHERE key = ?", touched)  # noqa: S608 - names from the line above
    _put(
        connection,
        "INSERT INTO policy (key, floor, refused, id_text, id) VALUES (?, ?, ?, ?, ?)",
        [(key, m.floor, m.refused, m.id_text, m.id) for key, m in changed.items()],
    )
    _put(
        connection,
        "INSERT INTO policy_write (key, position, text, at, done) VALUES (?, ?, ?, ?, ?)",
        [
            (key, position, write.text, write.at, write.done)
            for key, memory in changed.items()
            for position, write in enumerate(kept_writes(memory.writes))
        ],
    )
    _put(
        connection,
        "INSERT INTO policy_span (key, position, text, since, until, begun, ended) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (key, position, span.text, span.since, span.until, span.begun, span.ended)
            for key, memory in changed.items()
            for position, span in enumerate(kept_spans(memory.spans))
        ],
    )


def _write_believed(connection: sqlite3.Connection, believed: DomainList | None) -> None:
    connection.execute("DELETE FROM domain")
    connection.execute("DELETE FROM alias_domain")
    _put(
        connection,
        "INSERT OR REPLACE INTO meta (key, value) VALUES ('believed', ?)",
        [(believed is not None,)],
    )
    if believed is None:
        return
    _put(
        connection,
        "INSERT INTO domain (position, name, active, backup_mx) VALUES (?, ?, ?, ?)",
        _positioned((d.name, d.active, d.backup_mx) for d in believed.domains),
    )
    _put(
        connection,
        "INSERT INTO alias_domain (position, name, target, active) VALUES (?, ?, ?, ?)",
        _positioned((a.name, a.target, a.active) for a in believed.aliases),
    )


def _write_restarts(connection: sqlite3.Connection, restarts: tuple[Restart, ...]) -> None:
    state_acme.write_before(connection, restarts)
    connection.execute("DELETE FROM restart")
    connection.execute("DELETE FROM restart_name")
    _put(
        connection,
        "INSERT INTO restart (position, at, judged) VALUES (?, ?, ?)",
        _positioned((restart.at, restart.judged) for restart in restarts),
    )
    _put(
        connection,
        "INSERT INTO restart_name (restart, position, name) VALUES (?, ?, ?)",
        [
            (number, position, name)
            for number, restart in enumerate(restarts)
            for position, name in enumerate(restart.names)
        ],
    )


def _write_facts(
    connection: sqlite3.Connection, before: Mapping[Fact, float], after: Mapping[Fact, float]
) -> None:
    if before is after:
        return
    _put(
        connection,
        "DELETE FROM fact WHERE kind = ? AND subject = ?",
        [(fact.kind.value, fact.subject) for fact in before.keys() - after.keys()],
    )
    _put(
        connection,
        "INSERT OR REPLACE INTO fact (kind, subject, since) VALUES (?, ?, ?)",
        [(f.kind.value, f.subject, since) for f, since in after.items() if before.get(f) != since],
    )


# --- history ---------------------------------------------------------------------------------------------


def write_events(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """Adds to the history and drops what is too old or too much of it; both are found by an index."""
    _put(
        connection,
        "INSERT INTO history (at, subject, what, reason, outcome, detail) VALUES (?, ?, ?, ?, ?, ?)",
        [(e.at, e.subject, e.what, e.reason, e.outcome, e.detail) for e in events],
    )
    connection.execute("DELETE FROM history WHERE id <= (SELECT max(id) FROM history) - ?", (MOST_EVENTS,))
    newest = max(event.at for event in events)
    connection.execute("DELETE FROM history WHERE at < ?", (newest - EVENTS_AGE_S,))


def read_events(connection: sqlite3.Connection, subject: str | None, limit: int) -> tuple[Event, ...]:
    """The last events of a subject (None: of all), oldest first."""
    where, values = ("", ()) if subject is None else ("WHERE subject = ? ", (subject,))
    query = (
        "SELECT at, subject, what, reason, outcome, detail FROM history "  # noqa: S608 - no value is pasted in
        f"{where}ORDER BY id DESC LIMIT ?"
    )
    return tuple(Event(*row) for row in _rows(connection, query, (*values, limit)))[::-1]
