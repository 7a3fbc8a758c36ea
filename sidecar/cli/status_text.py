"""The status as a table: with rich on a terminal, in plain columns in a pipe.

Rule for every editor: one line a domain where lines are read by programs; the words are the same in both.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sidecar.formats.domain_name import to_unicode
from sidecar.observed import Certificate, Seen, Unseen
from sidecar.observed.checks import Status as RolloutStatus
from sidecar.observed.notice import Level, Notice
from sidecar.observed.words import day, serves, some, span
from sidecar.plan.actions import Held
from sidecar.plan.ownership import Whose
from sidecar.plan.records import Need, Standing
from sidecar.rollout import Stage
from sidecar.status.domains import Care, Row, Status

HEADINGS = (
    "domain",
    "policy",
    "stage",
    "whose",
    "certificate",
    "mta-sts",
    "_mta-sts",
    "_smtp._tls",
    "to do, or held",
)
_SHORT = (False, True, True, True, True, False)
"""Columns of the table on a terminal that are never broken."""
MOST_OF_A_KIND = 5
"""Notices of one code told one by one; more are a number."""

_WHOSE = {Whose.OURS: "ours", Whose.PERSONS: "a person's", Whose.NOBODYS: "nobody's", None: "?"}
_STANDING = {
    Standing.PRESENT: "ok",
    Standing.MISSING: "missing",
    Standing.DIFFERENT: "different",
    Standing.UNKNOWN: "?",
    Standing.NOT_YET: "later",
    Standing.NOT_SET: "not set",
}
_STYLES = {"ok": "green", "missing": "red", "different": "red", "none": "yellow", "a person's": "yellow"}


def print_status(status: Status, file: TextIO) -> None:
    """Prints the headline, what needs a person, and the table."""
    lines = [headline(status), ""]
    needs = list(_needs_a_person(status))
    lines += ["needs a person:", *(f"  {line}" for line in needs), ""] if needs else []
    todo = [f"  {action.verb} {action.about}: {action.reason}" for action in status.todo]
    lines += ["to do in the next pass:", *todo, ""] if todo else []
    held = [f"  {item.action.verb} {item.action.about}: {_reason(item)}" for item in status.held]
    lines += ["held:", *held, ""] if held else []
    print("\n".join(lines), file=file)
    if not status.rows:
        return
    if file.isatty():
        _rich(status.rows, file)
    else:
        print("\n".join(_plain([HEADINGS, *map(cells, status.rows)])), file=file)


def headline(status: Status) -> str:
    """Which mailcow, and how many domains have what."""
    if not isinstance(status.mailcow, Seen):
        return "mailcow could not be read"
    counts, mailcow = status.counts, status.mailcow.value
    managed = counts["managed"]
    return (
        f"mailcow {mailcow.version or 'of unknown version'}, {serves(mailcow.backend)}; "
        f"{counts['domains']} domains and alias domains, {managed} managed: {counts['served']} served a policy, "
        f"{counts['in_certificate']} in the certificate, {counts['published']} complete in the DNS; "
        f"need attention: {counts['attention']}"
    )


def _needs_a_person(status: Status) -> Iterable[str]:
    by_code: dict[str, list[Notice]] = defaultdict(list)
    for notice in (*status.notices, *(notice for row in status.rows for notice in row.notices)):
        if notice.level is not Level.INFO and notice not in by_code[notice.code]:
            by_code[notice.code].append(notice)
    gravest = sorted(by_code.values(), key=lambda notices: all(n.level is not Level.ERROR for n in notices))
    for notices in gravest:
        for notice in notices[:MOST_OF_A_KIND]:
            yield f"{notice.level}: {notice.message}"
            if notice.todo:
                yield f"    {notice.todo}"
        if len(notices) > MOST_OF_A_KIND:
            yield f"… and {len(notices) - MOST_OF_A_KIND} more of this kind"


def cells(row: Row) -> tuple[str, ...]:
    """A row in the order of the headings."""
    records = (None, None, None) if row.records is None else row.records.needs
    alias = "" if row.target is None else f" (alias of {to_unicode(row.target)})"
    return (
        to_unicode(row.domain) + alias,
        _policy(row),
        "-" if row.stage is None else str(row.stage),
        _WHOSE[row.whose],
        _certificate(row),
        *(_standing(need) for need in records),
        "; ".join(_why(row)),
    )


def _policy(row: Row) -> str:
    if (policy := row.policy) is not None:
        return f"{policy.mode}, {span(policy.max_age)}"
    match row.served:
        case Seen(served):
            return "-" if served.text is None else "not valid"
        case Unseen():
            return "?"


def _certificate(row: Row) -> str:
    match row.certificate:
        case Seen(Certificate(not_after=until)):
            return day(until).partition(" ")[0]
        case Seen():
            return "missing" if row.care is Care.MANAGED else "no"
        case _:
            return "?"


def _standing(need: Need | None) -> str:
    if need is None:
        return "-"
    return _STANDING[Standing.NOT_YET if need.early else need.standing]


def _why(row: Row) -> list[str]:
    """The short form: what is planned or held, else why the sidecar does nothing here, else what the DNS lacks."""
    told = [action.verb for action in row.todo]
    told += [_held(held) for held in row.held]
    if row.care is not Care.MANAGED:
        told.append(str(row.care))
    if isinstance(row.served, Unseen) and row.care is Care.MANAGED:
        told.append(row.served.reason)
    if row.blocking and row.stage not in {None, Stage.NO_POLICY, Stage.LEAVING}:
        first = row.blocking[0]
        unsure = f"{first.type}: not known: " if first.status is RolloutStatus.UNKNOWN else ""
        told.append(f"{unsure}{first.message} (seen since {day(first.since)})")
    if not told and row.records is not None:
        told += [f"publish {need.owner}" for need in row.records.needs if need.lacking]
    return told


def _held(held: Held) -> str:
    return f"{held.action.verb} held: {_reason(held)}"


def _reason(held: Held) -> str:
    until = "" if held.until is None else f" (until {day(held.until)})"
    return f"{held.reason}{until}"


def _plain(lines: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(cell_len(line[column]) for line in lines) for column in range(len(HEADINGS) - 1)]
    for line in lines:
        padded = (text + " " * (width - cell_len(text)) for text, width in zip(line, widths, strict=False))
        yield "  ".join([*padded, " ".join(line[-1].split())]).rstrip()


def _rich(rows: Sequence[Row], file: TextIO) -> None:
    """It has to fit 80 characters: the DNS is one column, which says only what is not right, and reasons follow."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, short in zip((*HEADINGS[:5], "DNS"), _SHORT, strict=True):
        table.add_column(heading, overflow="fold", no_wrap=short)
    for row in rows:
        domain, policy, stage, whose, certificate, *dns, _ = cells(row)
        published = zip(HEADINGS[5:8], dns, strict=True)
        wrong = ", ".join(f"{name} {state}" for name, state in published if state not in {"ok", "-"})
        shown = (domain, policy, stage, whose, certificate, wrong or dns[0])
        found = [Text(text, style=_STYLES.get(text, "")) for text in shown]
        if row.attention:
            found[0].stylize("bold")
        table.add_row(*found)
    console = Console(file=file, highlight=False)
    console.print(table)
    by_reason: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for reason in _why(row):
            by_reason[reason].append(row.domain)
    if by_reason:
        console.print(f"{HEADINGS[-1]}:")
    for reason, domains in by_reason.items():
        line = fill(
            f"{some(domains)}: {reason}", console.width, initial_indent="  ", subsequent_indent="    "
        )
        console.print(Text(line, overflow="fold"))
