"""The tables of `reports.sqlite`, and the queries.

Rule for every editor: store no sums. SQL computes them over covering indexes, so that a replaced or deleted report
leaves no trace.
"""

import sqlite3
from collections.abc import Iterable

from sidecar.formats.mtasts_policy import Mode
from sidecar.formats.tls_report_policy import HeldPolicy, PolicyKind
from sidecar.observed.reports import (
    DaySum,
    Failed,
    FailureSum,
    Holding,
    Reported,
    ReportTotals,
    ReportWay,
    UnreadableMessage,
)

TABLES = (
    """CREATE TABLE IF NOT EXISTS messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT, received_at REAL NOT NULL, way TEXT NOT NULL, size INTEGER NOT NULL,
        state TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, not_before REAL NOT NULL DEFAULT 0, problem TEXT)""",
    """CREATE TABLE IF NOT EXISTS texts (
        message INTEGER PRIMARY KEY REFERENCES messages ON DELETE CASCADE, packed BLOB NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS reports (
        id INTEGER PRIMARY KEY, message INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
        domain TEXT NOT NULL, organisation TEXT NOT NULL, report_id TEXT NOT NULL, sender TEXT NOT NULL,
        contact TEXT NOT NULL, dkim TEXT NOT NULL, UNIQUE (domain, organisation, report_id, sender))""",
    """CREATE TABLE IF NOT EXISTS policies (
        id INTEGER PRIMARY KEY, report INTEGER NOT NULL REFERENCES reports ON DELETE CASCADE,
        domain TEXT NOT NULL, day TEXT NOT NULL, received_at REAL NOT NULL, organisation TEXT NOT NULL,
        sender TEXT NOT NULL, owner TEXT NOT NULL, kind TEXT NOT NULL, ok INTEGER NOT NULL, failed INTEGER NOT NULL,
        held INTEGER NOT NULL, mode TEXT, max_age INTEGER, mx TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS failures (
        policy INTEGER NOT NULL REFERENCES policies ON DELETE CASCADE, domain TEXT NOT NULL, day TEXT NOT NULL,
        result TEXT NOT NULL, mx TEXT NOT NULL, ip TEXT NOT NULL, reason TEXT NOT NULL, sessions INTEGER NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS messages_by_state ON messages (state, not_before)",
    "CREATE INDEX IF NOT EXISTS messages_with_problem ON messages (received_at) WHERE problem IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS reports_of ON reports (message)",
    "CREATE INDEX IF NOT EXISTS policies_of ON policies (report)",
    "CREATE INDEX IF NOT EXISTS policies_by_day ON policies (domain, day, ok, failed)",
    "CREATE INDEX IF NOT EXISTS failures_of ON failures (policy, result, sessions)",
    "CREATE INDEX IF NOT EXISTS failures_by_day ON failures (domain, day)",
)

MOST_ROWS = 6_000
"""Rows of one answer; reports of proven senders come first, so that a flood of others does not displace them."""
MOST_OF_OWNER = 150
"""Rows of one owner of domains in an answer, so that a liar with a domain of their own does not displace others."""


def days(connection: sqlite3.Connection, domain: str | None, since: str) -> tuple[DaySum, ...]:
    """The sessions of each day from `since` (a day) on, of one domain or of all, in order."""
    rows = connection.execute(
        f"SELECT day, SUM(ok), SUM(failed) FROM policies WHERE day >= ? {_of(domain)} GROUP BY day ORDER BY day",  # noqa: S608
        _with(domain, since),
    )
    return tuple(DaySum(day, ok, failed) for day, ok, failed in rows)


def totals(connection: sqlite3.Connection, since: str) -> ReportTotals:
    """The sums of all domains from `since` (a day) on; only the most frequent result types, as senders invent some."""
    ((ok, failed),) = connection.execute(
        "SELECT COALESCE(SUM(ok), 0), COALESCE(SUM(failed), 0) FROM policies WHERE day >= ?", (since,)
    )
    found = connection.execute(
        "SELECT result, SUM(sessions) AS n FROM failures WHERE day >= ? GROUP BY result ORDER BY n DESC LIMIT 200",
        (since,),
    )
    return ReportTotals(ok, failed, dict(found))


def failure_sums(
    connection: sqlite3.Connection, domain: str | None, since: str, limit: int
) -> tuple[FailureSum, ...]:
    """The failures from `since` (a day) on, the most frequent first."""
    rows = connection.execute(
        f"""SELECT f.domain, f.result, p.organisation, p.sender, f.mx, f.ip, f.reason, SUM(f.sessions) AS sessions,
            MIN(f.day), MAX(f.day) FROM failures f JOIN policies p ON p.id = f.policy
            WHERE f.day >= ? {_of(domain, "f.")} GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY sessions DESC LIMIT ?""",  # noqa: S608
        (*_with(domain, since), limit),
    )
    return tuple(
        FailureSum(name, result, organisation, sender or None, *rest)
        for name, result, organisation, sender, *rest in rows
    )


def reported(connection: sqlite3.Connection, domain: str, since: str) -> tuple[Reported, ...]:
    """The reports about a domain from `since` (a day) on: proven senders first, then the latest days."""
    group = "p.day, p.organisation, p.sender, p.kind, p.held, p.mode, p.max_age, p.mx"
    place = "ROW_NUMBER() OVER (PARTITION BY p.owner ORDER BY p.day DESC"
    failed: dict[tuple[object, ...], list[Failed]] = {}
    for *key, result, sessions, _ in connection.execute(
        f"""SELECT * FROM (SELECT {group}, f.result, SUM(f.sessions), {place}, SUM(f.sessions) DESC) AS place
            FROM failures f JOIN policies p ON p.id = f.policy WHERE f.domain = ? AND f.day >= ?
            GROUP BY {group}, f.result, p.owner)
            WHERE place <= ? ORDER BY sender = '', day DESC LIMIT ?""",  # noqa: S608
        (domain, since, MOST_OF_OWNER * 4, MOST_ROWS * 4),
    ):
        failed.setdefault(tuple(key), []).append(Failed(result, sessions))
    rows = connection.execute(
        f"""SELECT * FROM (SELECT {group}, MIN(p.received_at), SUM(p.ok), SUM(p.failed), {place}) AS place
            FROM policies p WHERE p.domain = ? AND p.day >= ? GROUP BY {group}, p.owner)
            WHERE place <= ? ORDER BY sender = '', day DESC LIMIT ?""",  # noqa: S608
        (domain, since, MOST_OF_OWNER, MOST_ROWS),
    )
    return tuple(
        Reported(
            domain,
            day,
            organisation,
            sender or None,
            received_at,
            PolicyKind(kind),
            ok,
            bad,
            tuple(failed.get((day, organisation, sender, kind, *held), ())),
            _held(*held),
        )
        for day, organisation, sender, kind, *held, received_at, ok, bad, _ in rows
    )


def holdings(connection: sqlite3.Connection, domain: str | None, since: str) -> tuple[Holding, ...]:
    """The policy that each organisation applied last, from `since` (a day) on."""
    rows = connection.execute(
        f"""SELECT domain, organisation, sender, MAX(day), mode, max_age, mx FROM policies
            WHERE held = 1 AND day >= ? {_of(domain)} GROUP BY domain, organisation, sender
            ORDER BY sender = '', domain, organisation LIMIT ?""",  # noqa: S608
        (*_with(domain, since), MOST_ROWS),
    )
    return tuple(
        Holding(name, organisation, sender or None, day, held)
        for name, organisation, sender, day, mode, max_age, mx in rows
        if (held := _held(1, mode, max_age, mx)) is not None
    )


def unreadable(connection: sqlite3.Connection, limit: int) -> tuple[UnreadableMessage, ...]:
    """The messages that could not be read completely, the latest first."""
    rows = connection.execute(
        """SELECT id, received_at, way, size, problem FROM messages WHERE problem IS NOT NULL
           ORDER BY received_at DESC LIMIT ?""",
        (limit,),
    )
    return tuple(
        UnreadableMessage(number, at, ReportWay(way), size, problem)
        for number, at, way, size, problem in rows
    )


def stamps(connection: sqlite3.Connection, since: str) -> dict[str, tuple[int, int]]:
    """The latest row of each domain from `since` (a day) on, and the number of its rows."""
    rows = connection.execute(
        "SELECT domain, MAX(id), COUNT(*) FROM policies WHERE day >= ? GROUP BY domain", (since,)
    )
    return {domain: (last, count) for domain, last, count in rows if domain}


def domains(connection: sqlite3.Connection) -> Iterable[str]:
    """The domains that reports name."""
    return [name for (name,) in connection.execute("SELECT DISTINCT domain FROM policies ORDER BY 1") if name]


def _held(has: int, mode: str | None, max_age: int | None, mx: str) -> HeldPolicy | None:
    return HeldPolicy(Mode(mode) if mode else None, max_age, tuple(mx.split())) if has else None


def _of(domain: str | None, table: str = "") -> str:
    return "" if domain is None else f"AND {table}domain = ?"


def _with(domain: str | None, since: str) -> tuple[str, ...]:
    return (since,) if domain is None else (since, domain)
