"""Writes messages and their reports into the tables of `reports.sqlite`.

Rule for every editor: the caller holds the transaction. Only this module decides which report is new.
"""

import sqlite3
from dataclasses import dataclass

from sidecar.formats.tls_report import PolicyReport
from sidecar.observed.reports import Dkim, Proof, ReportWay, owner_of
from sidecar.reports.digest import Digest, DomainReport, failures

MOST_FAILURES_OF_MESSAGE = 1_000
"""Rows of failures that one message may add, so that a few forged messages do not fill the store."""
WAITING, READ = "waiting", "read"
_KEPT_MX = 50


@dataclass(frozen=True, slots=True)
class SettledReport:
    """The result of a message: how many of its reports are new, and how many were already known."""

    new: int
    known: int
    domains: tuple[str, ...]
    """The domains of the new ones."""


def insert(
    connection: sqlite3.Connection, size: int, packed: bytes, way: ReportWay, received_at: float
) -> int:
    number = connection.execute(
        "INSERT INTO messages (received_at, way, size, state) VALUES (?, ?, ?, ?)",
        (received_at, way, size, WAITING),
    ).lastrowid
    assert number is not None  # noqa: S101 - an INSERT that did not raise has one
    connection.execute("INSERT INTO texts VALUES (?, ?)", (number, packed))
    return number


def settle(
    connection: sqlite3.Connection,
    number: int,
    way: ReportWay,
    received_at: float,
    found: Digest,
    proof: Proof,
) -> SettledReport:
    proven = proof.domain if proof.dkim is Dkim.PASS and way is not ReportWay.HTTPS else None
    room = MOST_FAILURES_OF_MESSAGE
    new: list[str] = []
    for one in found.reports:
        report = _add_report(connection, number, one, proven or "", proof.dkim)
        if report is not None:
            new.append(one.domain)
            for policy in one.policies:
                room -= _add_policy(connection, (report, proven or ""), received_at, one, policy, room)
    known = len(found.reports) - len(new)
    if known and not new and not found.problems:
        connection.execute("DELETE FROM messages WHERE id = ?", (number,))  # it was received before
    else:
        connection.execute(
            "UPDATE messages SET state = ?, problem = ? WHERE id = ?", (READ, found.problem, number)
        )
    return SettledReport(len(new), known, tuple(dict.fromkeys(new)))


def _add_report(
    connection: sqlite3.Connection, message: int, one: DomainReport, sender: str, dkim: Dkim
) -> int | None:
    """The number of the new row; None if the report is already known.

    A forged report must not replace the real one: a report with proof replaces one without, a report without proof
    counts as known if there is any, and reports of different proven senders are different.
    """
    report = one.report
    key = (one.domain, report.organisation, report.report_id)
    senders = {
        row[0]
        for row in connection.execute(
            "SELECT sender FROM reports WHERE domain = ? AND organisation = ? AND report_id = ?", key
        )
    }
    if sender in senders or (senders and not sender):
        return None
    if "" in senders:
        connection.execute(
            "DELETE FROM reports WHERE domain = ? AND organisation = ? AND report_id = ? AND sender = ''", key
        )
    return connection.execute(
        """INSERT INTO reports (message, domain, organisation, report_id, sender, contact, dkim)
           VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (message, *key, sender, report.contact, dkim),
    ).lastrowid


def _add_policy(
    connection: sqlite3.Connection,
    report: tuple[int, str],
    received_at: float,
    one: DomainReport,
    policy: PolicyReport,
    room: int,
) -> int:
    """The number of failures that were stored, at most `room`; `report` is its row number and its proven sender."""
    held, day = policy.held, one.report.day
    number = connection.execute(
        """INSERT INTO policies (report, sender, owner, domain, day, received_at, organisation, kind, ok, failed, held,
           mode, max_age, mx) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            *report,
            owner_of(report[1]),
            one.domain,
            day,
            received_at,
            one.report.organisation,
            policy.kind,
            policy.ok,
            policy.failed,
            held is not None,
            held.mode if held else None,
            held.max_age if held else None,
            " ".join(held.mx[:_KEPT_MX]) if held else "",
        ),
    ).lastrowid
    kept = list(failures(policy.details).items())[:room]
    connection.executemany(
        "INSERT INTO failures VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (number, one.domain, day, each.result, each.receiving_mx, each.sending_ip, each.reason, sessions)
            for each, sessions in kept
        ],
    )
    return len(kept)
