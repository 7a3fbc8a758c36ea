"""The status as a table: with rich on a terminal, in plain columns in a pipe.

Rule for every editor: one line for each domain in a pipe; the words are the same in both.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from textwrap import fill
from typing import TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sidecar.formats.domain_name import to_unicode
from sidecar.observed import Certificate, Seen, Unseen
from sidecar.observed.checks import Stage
from sidecar.observed.checks import Status as RolloutStatus
from sidecar.observed.words import day, serves, some, span
from sidecar.plan.outbound import OutboundChecks, outbound
from sidecar.plan.ownership import Whose
from sidecar.plan.records import RecordState
from sidecar.status.domains import CurrentStatus
from sidecar.status.judgement import lacking
from sidecar.status.needs import protection_of
from sidecar.status.row import Care, Cause, Row
from sidecar.status.wording import Light, count

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
"""Columns of the table on a terminal that are never wrapped."""
NARROWEST = 80
"""Characters of a terminal that the table needs; in a narrower one each domain is a stack of lines."""
TODO_INDENT = " " * 6
MOST_OF_A_KIND = 5
"""Tasks of one kind that are listed; the rest is a number."""

_WHOSE = {Whose.OURS: "ours", Whose.PERSONS: "a person's", Whose.NOBODYS: "nobody's", None: "?"}
_STANDING = {
    RecordState.PRESENT: "ok",
    RecordState.MISSING: "missing",
    RecordState.DIFFERENT: "different",
    RecordState.UNKNOWN: "?",
    RecordState.NOT_YET: "later",
    RecordState.NOT_SET: "not set",
}
_WORD = {Light.FAILING: "error", Light.ATTENTION: "warning"}
_STYLES = {"ok": "green", "missing": "red", "different": "red", "none": "yellow", "a person's": "yellow"}


def print_status(status: CurrentStatus, file: TextIO) -> None:
    """Prints the headline, what needs a person, and the table."""
    lines = [headline(status), ""]
    needs = _needs(status)
    lines += ["needs you:", *(f"  {line}" for line in needs), ""] if needs else []
    todo = [f"  {action.verb} {action.about}: {action.reason}" for action in status.todo]
    lines += ["to do in the next pass:", *todo, ""] if todo else []
    printed = "\n".join(needs)
    held = [
        f"  {item.action.verb} {item.action.about}: {item.why}"
        for item in status.held
        if item.reason not in printed
    ]
    lines += ["held:", *held, ""] if held else []
    if (protection := protection_of(status)) is not None:
        lines += [protection.headline] if protection.headline else []
        lines.append(f"  {protection.message}")
        lines += [f"    {protection.config}"] if protection.config else []
        lines.append("")
    outgoing = outbound(status.observed)
    lines.append(f"outgoing mail: {outgoing.message}")
    if outgoing.remedy and outgoing.checks in {OutboundChecks.OFF, OutboundChecks.STOPPED}:
        lines.append(f"    {outgoing.remedy}")
    lines.append("")
    if file.isatty():
        _print_on_terminal(status.rows, lines, file)
        return
    print("\n".join(lines), file=file)
    if status.rows:
        table = [HEADINGS, *map(cells, status.rows)]
        widths = [max(cell_len(line[column]) for line in table) for column in range(len(HEADINGS) - 1)]
        for line in table:
            padded = (
                text + " " * (width - cell_len(text)) for text, width in zip(line, widths, strict=False)
            )
            print("  ".join([*padded, " ".join(line[-1].split())]).rstrip(), file=file)


def _needs(status: CurrentStatus) -> list[str]:
    """All tasks for a person, the most severe first; a few of each kind and the number of the rest."""
    by_code: dict[str, list[Cause]] = defaultdict(list)
    for cause in (*status.general, *(cause for row in status.rows for cause in row.judgement.needs)):
        if cause not in by_code[cause.code]:
            by_code[cause.code].append(cause)
    lines: list[str] = []
    for causes in sorted(by_code.values(), key=lambda causes: min(cause.light.rank for cause in causes)):
        for cause in causes[:MOST_OF_A_KIND]:
            lines.append(f"{_WORD[cause.light]}: {cause.sentence}")
            lines += [f"    {cause.todo}"] if cause.todo else []
        if len(causes) > MOST_OF_A_KIND:
            lines.append(f"… and {len(causes) - MOST_OF_A_KIND} more of this kind")
    return lines


def headline(status: CurrentStatus) -> str:
    """The mailcow and the counts of its domains."""
    if not isinstance(status.observed.mailcow, Seen):
        return "mailcow could not be read"
    counts, mailcow = status.counts, status.observed.mailcow.value
    managed = counts["managed"]
    return (
        f"mailcow {mailcow.version or 'of unknown version'}, {serves(mailcow.backend)}; "
        f"{count(counts['domains'], 'domain')} (alias domains included), {managed} managed: "
        f"{counts['served']} with a policy, {counts['in_certificate']} in the certificate, "
        f"{counts['published']} complete in the DNS; need attention: {counts['attention']}"
    )


def cells(row: Row) -> tuple[str, ...]:
    """A row in the order of the headings."""
    alias = "" if row.target is None else f" (alias of {to_unicode(row.target)})"
    if row.policy is not None:
        policy = f"{row.policy.mode}, {span(row.policy.max_age)}"
    elif isinstance(row.served, Unseen):
        policy = "?"
    else:
        policy = "-" if row.served.value.text is None else "not valid"
    match row.certificate:
        case Seen(Certificate(not_after=until)):
            certificate = day(until).partition(" ")[0]
        case Seen():
            certificate = "missing" if row.care is Care.MANAGED else "no"
        case _:
            certificate = "?"
    standings = ["-", "-", "-"]
    if row.records is not None:
        standings = [
            _STANDING[RecordState.NOT_YET if need.early else need.standing] for need in row.records.needs
        ]
    return (
        to_unicode(row.domain) + alias,
        policy,
        "-" if row.stage is None else str(row.stage),
        _WHOSE[row.whose],
        certificate,
        *standings,
        "; ".join(_why(row)),
    )


def _why(row: Row, above: str = "") -> list[str]:
    """The short form: what is planned or held, else why the sidecar does nothing here, else what the DNS lacks.

    What is printed `above` is not repeated: a held action or a condition with that reason, or one that names a DNS record
    which is asked for there.
    """
    asked = [cause.subject for cause in lacking(row) if above and cause.sentence in above]

    def known(reason: str) -> bool:
        return bool(above) and (reason in above or any(_names(reason, owner) for owner in asked))

    why = [action.verb for action in row.todo]
    why += [f"{held.action.verb} held: {held.why}" for held in row.held if not known(held.reason)]
    if row.care is not Care.MANAGED:
        why.append(str(row.care))
    if isinstance(row.served, Unseen) and row.care is Care.MANAGED:
        why.append(row.served.reason)
    if row.blocking and row.stage not in {None, Stage.NO_POLICY, Stage.LEAVING}:
        first = row.blocking[0]
        unsure = f"{first.type}: not known: " if first.status is RolloutStatus.UNKNOWN else ""
        if not known(first.message):
            why.append(f"{unsure}{first.message} (seen since {day(first.since)})")
    if not why and not asked and row.records is not None:
        why += [f"publish {need.owner}" for need in row.records.needs if need.lacking]
    return why


def _names(text: str, owner: str) -> bool:
    """Whether a sentence names this record, and not only one whose name ends alike."""
    return re.search(rf"(?<![\w.-]){re.escape(owner)}(?![\w-])", text) is not None


def _print_on_terminal(rows: Sequence[Row], above: Sequence[str], file: TextIO) -> None:
    """Words are never broken: text is wrapped, and if the table does not fit, domains are stacked."""
    console = Console(file=file, highlight=False)
    for line in above:
        console.print(Text(_wrapped(line, console.width)), soft_wrap=True)
    if not rows:
        return
    headings = (*HEADINGS[:5], "DNS")
    if console.width >= NARROWEST:
        # Fits 80 characters: only the domain and the DNS problems may wrap.
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading, short in zip(headings, _SHORT, strict=True):
            table.add_column(heading, overflow="fold", no_wrap=short)
        for row in rows:
            table.add_row(*_shown(row))
        console.print(table)
    else:
        for row in rows:
            domain, *others = _shown(row)
            console.print(domain, soft_wrap=True)
            for heading, text in zip(headings[1:], others, strict=True):
                console.print(Text(f"  {heading:<12} ").append_text(text), soft_wrap=True)
        console.print()
    # Each reason once, with its domains.
    printed = "\n".join(above)
    by_reason: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for reason in _why(row, printed):
            by_reason[reason].append(row.domain)
    if by_reason:
        console.print(f"{HEADINGS[-1]}:")
    for reason, domains in by_reason.items():
        console.print(Text(_wrapped(f"  {some(domains)}: {reason}", console.width)), soft_wrap=True)


def _wrapped(line: str, width: int) -> str:
    """A line wrapped to the terminal's width; to-dos are not wrapped, so that they can be copied."""
    indent = line[: len(line) - len(line.lstrip())]
    if len(indent) >= len(TODO_INDENT):
        return line
    return fill(
        line,
        width,
        subsequent_indent=f"{indent}  ",
        drop_whitespace=True,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _shown(row: Row) -> list[Text]:
    """The cells on a terminal; the DNS is one cell that lists only problems."""
    domain, policy, stage, whose, certificate, *dns, _ = cells(row)
    published = zip(HEADINGS[5:8], dns, strict=True)
    wrong = ", ".join(f"{name} {state}" for name, state in published if state not in {"ok", "-"})
    shown = (domain, policy, stage, whose, certificate, wrong or dns[0])
    found = [Text(text, style=_STYLES.get(text, "")) for text in shown]
    if row.attention:
        found[0].stylize("bold")
    return found
