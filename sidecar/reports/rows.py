"""Writes messages, and what was read from them, into the tables of `reports.sqlite`.

Rule for every editor: the caller holds the transaction. Which report is new is decided here and nowhere else.
"""

import sqlite3
from dataclasses import dataclass

from sidecar.formats.tls_report import PolicyReport
from sidecar.observed.reports import Dkim, Proof, Way
from sidecar.reports.digest import Digest, DomainReport, failures

WAITING, READ = "waiting", "read"
_KEPT_MX = 50


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a message: how many of its reports are new, and how many were known already."""

    new: int
    known: int
    domains: tuple[str, ...]
    """The domains of the new ones."""


def insert(connection: sqlite3.Connection, size: int, packed: bytes, way: Way, received_at: float) -> int:
    number = connection.execute(
        "INSERT INTO messages (received_at, way, size, state) VALUES (?, ?, ?, ?)",
        (received_at, way, size, WAITING),
    ).lastrowid
    assert number is not None  # noqa: S101 - an INSERT that did not raise has one
    connection.execute("INSERT INTO texts VALUES (?, ?)", (number, packed))
    return number


def settle(
    connection: sqlite3.Connection, number: int, way: Way, received_at: float, found: Digest, proof: Proof
) -> Settled:
    proven = proof.domain if proof.dkim is Dkim.PASS and way is not Way.HTTPS else None
    new = [
        one.domain
        for one in found.reports
        if _add_report(connection, number, received_at, one, proven or "", proof.dkim)
    ]
    known = len(found.reports) - len(new)
    if known and not new and not found.problems:
        connection.execute("DELETE FROM messages WHERE id = ?", (number,))  # it came before
    else:
        connection.execute(
            "UPDATE messages SET state = ?, problem = ? WHERE id = ?", (READ, found.problem, number)
        )
    return Settled(len(new), known, tuple(dict.fromkeys(new)))


def _add_report(
    connection: sqlite3.Connection,
    message: int,
    received_at: float,
    one: DomainReport,
    sender: str,
    dkim: Dkim,
) -> bool:
    """Whether it is new.

    A forged report must not take the place of the true one: so one with proof replaces one without, one without is
    known where there is any, and those of different proven senders are different.
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
        return False
    if "" in senders:
        connection.execute(
            "DELETE FROM reports WHERE domain = ? AND organisation = ? AND report_id = ? AND sender = ''", key
        )
    number = connection.execute(
        """INSERT INTO reports (message, domain, organisation, report_id, sender, contact, dkim)
           VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (message, *key, sender, report.contact, dkim),
    ).lastrowid
    for policy in one.policies:
        _add_policy(connection, number, received_at, one, policy, sender)
    return True


def _add_policy(
    connection: sqlite3.Connection,
    report: int | None,
    received_at: float,
    one: DomainReport,
    policy: PolicyReport,
    sender: str,
) -> None:
    held = policy.held
    day = one.report.day
    number = connection.execute(
        """INSERT INTO policies (report, domain, day, received_at, organisation, sender, kind, ok, failed, held,
           mode, max_age, mx) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            report,
            one.domain,
            day,
            received_at,
            one.report.organisation,
            sender,
            policy.kind,
            policy.ok,
            policy.failed,
            held is not None,
            held.mode if held else None,
            held.max_age if held else None,
            " ".join(held.mx[:_KEPT_MX]) if held else "",
        ),
    ).lastrowid
    connection.executemany(
        "INSERT INTO failures VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (number, one.domain, day, each.result, each.receiving_mx, each.sending_ip, each.reason, sessions)
            for each, sessions in failures(policy.details).items()
        ],
    )
