"""The memory as named parts: JSON in the rows of one table, `part (name, key, value)`.

To add a part: a frozen dataclass in `observed`, a field for it in `Memory`, and one line in `PARTS`. A field with a
default may be added to a dataclass at any time. A separate table (the history, waiting notifications,
reports) is for rows that are read one by one: its statement goes into `TABLES`.

Rules for every editor: a row is written only when its value changed, so values that change together share a row: `each` has
one row per domain, `whole` one for all. Values that another process writes (`names`, the moves) have one row per key, so
that neither overwrites the other. A row that cannot be read loses that row only, and `lost` defines its careful
replacement. Rows of parts that this release does not know stay as they are.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, TypeAlias

from pydantic import TypeAdapter, ValidationError

from sidecar.host.elapsed import Tally
from sidecar.observed import (
    Announced,
    CheckRecord,
    ConfEntry,
    DomainList,
    Doubt,
    Fact,
    InVain,
    LostName,
    Memory,
    Move,
    PolicyMemory,
    Restart,
)
from sidecar.observed.checks import Rollout
from sidecar.observed.record_sets import Entry
from sidecar.observed.report_route import RouteMemory
from sidecar.state.kept import kept_conf, kept_entry, kept_policy, kept_restarts
from sidecar.state.lost import Lost, careful

Rows: TypeAlias = Mapping[str, Any]

TABLES = """
    CREATE TABLE part (name TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (name, key));
    CREATE TABLE IF NOT EXISTS history (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, subject TEXT, what TEXT NOT NULL, reason TEXT NOT NULL,
        outcome TEXT NOT NULL, detail TEXT
    );
    CREATE INDEX IF NOT EXISTS history_by_subject ON history (subject, id);
    CREATE INDEX IF NOT EXISTS history_by_time ON history (at);
    CREATE TABLE waiting (id INTEGER PRIMARY KEY, receiver TEXT NOT NULL, event TEXT NOT NULL);
    CREATE INDEX waiting_by_receiver ON waiting (receiver, id)
"""
UNREAD = "unread "
"""Rows that could not be read are kept under the name of their part with this in front."""


@dataclass(frozen=True, slots=True)
class Part:
    """A field of the memory: how it is stored in rows by key, and how much of it is kept."""

    name: str
    row: TypeAdapter[Any]
    split: Callable[[Any], Rows]
    join: Callable[[Rows], Any]
    kept: Callable[[Any], Any] | None = None
    """The retention rule, for the value of a row; it returns the same object if nothing has to be removed."""
    bare: bool = False
    """Whether the keys are the whole content: such a row can always be read."""


def whole(name: str, kind: Any, kept: Callable[[Any], Any] | None = None) -> Part:
    """One row for the whole field, and none while the field has its default."""
    (field,) = (one for one in fields(Memory) if one.name == name)
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return Part(
        name,
        TypeAdapter(kind),
        lambda value: {} if value == default else {"": value},
        lambda rows: rows.get("", default),
        kept,
    )


def each(name: str, kind: Any, kept: Callable[[Any], Any] | None = None) -> Part:
    """A row for each entry of a mapping whose keys are strings."""
    return Part(name, TypeAdapter(kind), lambda value: value, dict, kept)


def names(name: str) -> Part:
    """A row for each name of a set; the time stored with it is for people."""
    return Part(
        name,
        TypeAdapter(float | None),
        lambda value: value if isinstance(value, Mapping) else dict.fromkeys(value),
        frozenset,
        bare=True,
    )


PARTS = (
    each("policies", PolicyMemory, kept_policy),
    whole("believed", DomainList | None),
    whole("doubt", Doubt | None),
    whole("newcomers", frozenset[str]),
    names("adopt"),
    whole("conf", tuple[ConfEntry, ...], kept_conf),
    whole("restarts", tuple[Restart, ...], kept_restarts),
    whole("lost", tuple[LostName, ...]),
    each("in_vain", InVain),
    Part(
        "since",
        TypeAdapter(tuple[Fact, float]),
        lambda since: {f"{one[0].kind.value}: {one[0].subject}": one for one in since.items()},
        lambda rows: dict(rows.values()),
    ),
    each("rollouts", Rollout),
    each("checks", CheckRecord),
    each("announced", tuple[Announced, ...]),
    names("retired"),
    Part(
        "moves",
        TypeAdapter(Move),
        lambda moves: {f"{move.key} {move.host}": move for move in moves},
        lambda rows: tuple(sorted(rows.values(), key=lambda move: (move.at, move.key, move.host))),
    ),
    Part(
        "published",
        TypeAdapter(Entry),
        lambda published: {str(key): entry for key, entry in published.items()},
        lambda rows: {entry.key: entry for entry in rows.values()},
        kept_entry,
    ),
    names("adopt_records"),
    names("let_through"),
    whole("services", frozenset[str]),
    whole("report_way", RouteMemory),
    whole("born", float),
    whole("tally", Tally),
)
_BY_NAME = {part.name: part for part in PARTS}


def bounded(before: Memory, after: Memory) -> Memory:
    """`after` without what is not kept; rows that are the same as in `before` are skipped. Pure."""
    smaller: dict[str, Any] = {}
    for part in PARTS:
        old, new = getattr(before, part.name), getattr(after, part.name)
        if part.kept is None or new is old:
            continue
        old, new = part.split(old), part.split(new)
        kept = {k: less for k, v in new.items() if old.get(k) is not v and (less := part.kept(v)) is not v}
        if kept:
            smaller[part.name] = part.join({**new, **kept})
    return replace(after, **smaller) if smaller else after


def read(connection: sqlite3.Connection) -> tuple[Memory, tuple[Lost, ...]]:
    """The whole memory, and the rows that could not be read; in a transaction of the caller."""
    shared: dict[str, str] = {}  # a thousand domains mostly have the same texts: hold each once

    def share(found: dict[str, Any]) -> dict[str, Any]:
        return {k: shared.setdefault(v, v) if isinstance(v, str) else v for k, v in found.items()}

    found: dict[str, dict[str, Any]] = {part.name: {} for part in PARTS}
    lost: list[Lost] = []
    for name, key_, value in connection.execute("SELECT name, key, value FROM part"):
        part, key = _BY_NAME.get(name), _read(key_)
        if part is None:
            continue
        try:
            plain = None if part.bare else json.loads(value, object_hook=share, parse_constant=_no_number)
            found[name][key] = part.row.validate_python(plain)
        except ValidationError as error:
            # Without the value: it may be long and come from strangers.
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            lost.append(Lost(name, key, f"{'.'.join(map(str, first['loc']))}: {first['msg']}"))
        except (ValueError, TypeError, RecursionError) as error:
            lost.append(Lost(name, key, str(error)))
    return Memory(**{part.name: part.join(found[part.name]) for part in PARTS}), tuple(lost)


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is not a number")


def read_careful(connection: sqlite3.Connection, now: float) -> tuple[Memory, tuple[Lost, ...]]:
    """As `read`; rows that could not be read are kept aside and replaced by the result of `careful`."""
    memory, lost = read(connection)
    if lost:
        put(
            connection,
            "UPDATE OR REPLACE part SET name = ? WHERE name = ? AND key = ?",
            [(UNREAD + one.part, one.part, one.key) for one in lost],
        )
        before, memory = memory, careful(memory, lost, now)
        write(connection, before, memory)
    return memory, lost


def write(connection: sqlite3.Connection, before: Memory, after: Memory) -> None:
    """Writes the rows that differ; in a transaction of the caller.

    Rows that are in neither, such as a request that another process stored meanwhile, stay.
    """
    for part in PARTS:
        old, new = getattr(before, part.name), getattr(after, part.name)
        if old is new or old == new:
            continue
        old, new = part.split(old), part.split(new)
        remove(connection, part.name, old.keys() - new.keys())
        changed = {k: v for k, v in new.items() if k not in old or ((was := old[k]) is not v and was != v)}
        put(connection, _INSERT + "UPDATE SET value = excluded.value", _json(part, changed))


def add(connection: sqlite3.Connection, name: str, value: object) -> None:
    """Adds the rows of `value` to a part; an existing row stays unchanged."""
    part = _BY_NAME[name]
    put(connection, _INSERT + "NOTHING", _json(part, part.split(value)))


def remove(connection: sqlite3.Connection, name: str, keys: Iterable[str]) -> None:
    put(connection, "DELETE FROM part WHERE name = ? AND key = ?", [(name, key) for key in keys])


_INSERT = "INSERT INTO part (name, key, value) VALUES (?, ?, ?) ON CONFLICT (name, key) DO "


def _json(part: Part, found: Rows) -> Iterator[tuple[str, str, str]]:
    for key, value in found.items():
        plain = part.row.dump_python(value, mode="json")
        yield part.name, key, json.dumps(plain, separators=(",", ":"))


# Text from outside may hold lone surrogates (bytes that are not UTF-8), which SQLite's TEXT cannot hold. JSON escapes
# them. In any other column such a text is stored as a BLOB; a column's affinity leaves a BLOB alone.


def put(connection: sqlite3.Connection, statement: str, values: Iterable[Sequence[Any]]) -> None:
    """Executes a statement for each row of values."""
    connection.executemany(statement, [tuple(map(_stored, row)) for row in values])


def rows(connection: sqlite3.Connection, query: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
    """The rows that a query finds."""
    for row in connection.execute(query, tuple(map(_stored, values))):
        yield tuple(map(_read, row))


def _read(value: Any) -> Any:
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


def _stored(value: object) -> object:
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogatepass")
    return value
