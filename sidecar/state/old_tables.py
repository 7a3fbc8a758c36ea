"""The migration from the tables before parts (versions 1 to 4 of the state, `outbox.sqlite`) to parts.

Rule for every editor: this only reads what those releases wrote, and copies every value unchanged: `parts.read` judges
it. A table or column that a version did not have yet counts as empty, which is the default of its field.
"""

import json
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

from sidecar.state.parts import put, rows

Row: TypeAlias = dict[str, Any]

OUTBOX = "outbox.sqlite"
TABLES = (
    *(
        "meta",
        "policy",
        "policy_write",
        "policy_span",
        "domain",
        "alias_domain",
        "doubt",
        "adopt",
        "conf_entry",
    ),
    *("restart", "restart_name", "restart_before", "lost_name", "in_vain", "fact", "service", "rollout"),
    *("condition", "checked", "finding", "announced", "retired", "move"),
)
COUNTED_SINCE = 3
"""The first version that counted waits: older waits used a clock that may have been wrong, and start again."""


def take_over(connection: sqlite3.Connection, version: int) -> None:
    """Copies the old tables into parts, and drops them; in a transaction of the caller."""
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def table(name: str) -> list[Row]:
        if name not in there:
            return []
        columns = [column for _, column, *_ in connection.execute(f"PRAGMA table_info({name})")]
        order = "position" if "position" in columns else "1"
        query = f"SELECT {', '.join(columns)} FROM {name} ORDER BY {order}"  # noqa: S608 - names of `TABLES` alone
        return [dict(zip(columns, row, strict=True)) for row in rows(connection, query)]

    put(
        connection,
        "INSERT INTO part (name, key, value) VALUES (?, ?, ?)",
        [
            (name, key, json.dumps(value))
            for name, key, value in _parts(table, counted=version >= COUNTED_SINCE)
        ],
    )
    for name in TABLES:
        connection.execute(f"DROP TABLE IF EXISTS {name}")


def _parts(table: Callable[[str], list[Row]], *, counted: bool) -> Iterator[tuple[str, str, Any]]:
    """The rows of the parts: name, key, value."""
    meta = {row["key"]: row["value"] for row in table("meta")}
    writes, spans = _grouped(table("policy_write")), _grouped(table("policy_span"))
    for row in table("policy"):
        key = row.pop("key")
        yield "policies", key, {**row, "writes": writes.get(key, []), "spans": spans.get(key, [])}
    if meta.get("believed"):
        yield "believed", "", {"domains": table("domain"), "aliases": table("alias_domain")}
    yield from (("doubt", "", row if counted else {**row, "since": 0}) for row in table("doubt"))
    yield "newcomers", "", json.loads(meta.get("newcomers", "[]"))
    yield "conf", "", table("conf_entry")
    restarted, restarts = _grouped(table("restart_name"), "restart"), table("restart")
    for row in restarts:
        row["names"] = [one["name"] for one in restarted.get(row["position"], [])]
    if restarts and not restarts[-1].get("judged", True):
        restarts[-1]["before"] = [one["name"] for one in table("restart_before")]
    yield "restarts", "", restarts
    yield "lost", "", table("lost_name")
    yield from (("in_vain", row.pop("name"), row) for row in table("in_vain"))
    for row in table("fact"):
        since = row.pop("since")
        yield "since", f"{row['kind']}: {row['subject']}", [row, since if counted else 0]
    conditions, findings = _grouped(table("condition")), _grouped(table("finding"))
    for row in table("rollout"):
        key = row.pop("key")
        yield "rollouts", key, {**row, "conditions": conditions.get(key, [])}
    for row in table("checked"):
        yield "checks", row["key"], {"at": row["at"], "findings": findings.get(row["key"], [])}
    yield from (("announced", key, found) for key, found in _grouped(table("announced")).items())
    yield from (("adopt", row["key"], row["at"]) for row in table("adopt"))
    yield from (("retired", row["key"], None) for row in table("retired"))
    yield from (("moves", f"{row['key']} {row['host']}", row) for row in table("move"))
    yield "services", "", [row["name"] for row in table("service")]
    yield "born", "", meta.get("born", 0)
    run, at = meta.get("counted_run"), meta.get("counted_at")
    last = None if run is None or at is None else {"run": run, "at": at}
    yield "tally", "", {"seconds": meta.get("counted", 0), "last": last}


def _grouped(found: list[Row], by: str = "key") -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = {}
    for row in found:
        groups.setdefault(row.pop(by), []).append(row)
    return groups


def take_over_outbox(connection: sqlite3.Connection, folder: Path) -> None:
    """Copies waiting notifications from their own file; in a transaction of the caller.

    If the file cannot be read, errors are reported again.
    """
    path = folder / OUTBOX
    if not path.exists() or not stat.S_ISREG(path.lstat().st_mode):
        return
    try:
        with closing(sqlite3.connect(path)) as old:
            kept = [("notify", name, value) for name, value in old.execute("SELECT name, value FROM kept")]
            waiting = list(old.execute("SELECT id, receiver, event FROM waiting"))
    except sqlite3.DatabaseError:
        return
    put(connection, "INSERT INTO part (name, key, value) VALUES (?, ?, ?)", kept)
    put(connection, "INSERT INTO waiting (id, receiver, event) VALUES (?, ?, ?)", waiting)
