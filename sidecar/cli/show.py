"""A plan and a report as text for a terminal, grouped by action."""

from collections.abc import Sequence

from sidecar.cli.action import lines_of
from sidecar.formats.domain_name import to_unicode
from sidecar.observed import Seen
from sidecar.observed.words import serves
from sidecar.plan.actions import Action, RestartAcme
from sidecar.reconcile.apply import Result
from sidecar.reconcile.passes import Report

MOST_LINES = 40
"""Lines of a section; the rest is a number with a hint."""
_ALL = "all of them: sidecar plan --all, or --json"
_ALL_DONE = "all of them: sidecar history"


def show_plan(report: Report, *, all_lines: bool = False) -> str:
    """What would be done, what is held, and what a person should know; `all_lines`: however many there are."""
    most = None if all_lines else MOST_LINES
    lines = [_headline(report), ""]
    lines += _section("to do", [line for action in report.plan.actions for line in _action(action)], most)
    lines += _held_and_notices(report, most)
    if not report.plan.actions and not report.plan.held:
        lines.append("Nothing to do." if report.readable else "Nothing can be planned.")
    return "\n".join(lines).rstrip()


def show_report(report: Report) -> str:
    """What was done, what is held and until when, and what a person should know."""
    lines = [_headline(report), ""]
    done = [line for o in report.outcomes if o.result is Result.DONE for line in _action(o.action)]
    failed = [
        f"{o.action.verb} {to_unicode(o.action.about)}: {o.detail}"
        for o in report.outcomes
        if o.result is not Result.DONE
    ]
    lines += _section("done", done, MOST_LINES, _ALL_DONE)
    lines += _section("failed", failed, MOST_LINES, _ALL_DONE)
    lines += _held_and_notices(report, MOST_LINES)
    if not report.outcomes and not report.plan.held:
        lines.append("Nothing to do." if report.readable else "Nothing could be done.")
    return "\n".join(lines).rstrip()


def _headline(report: Report) -> str:
    match report.observed.mailcow, report.observed.domains:
        case Seen(mailcow), Seen(listed):
            version = mailcow.version or "of unknown version"
            counts = f"domains: {len(listed.domains)}, alias domains: {len(listed.aliases)}"
            return f"mailcow {version}, {serves(mailcow.backend)}; {counts}"
        case _:
            return "mailcow could not be read"


def _section(title: str, lines: Sequence[str], most: int | None, hint: str = _ALL) -> list[str]:
    """A heading and its lines, at most so many (None: all)."""
    if not lines:
        return []
    shown = [f"  {line}" for line in lines[:most]]
    if len(lines) > len(shown):
        shown.append(f"  … and {len(lines) - len(shown)} more lines; {hint}")
    return [f"{title}:", *shown, ""]


def _action(action: Action) -> list[str]:
    return [f"{action.verb} {to_unicode(action.about)}: {action.reason}", *lines_of(action)]


def _held_and_notices(report: Report, most: int | None) -> list[str]:
    held: list[str] = []
    for item in report.plan.held:
        held.append(f"{item.action.verb} {to_unicode(item.action.about)}: {item.why}")
        if item.remedy is not None:
            held.append(f"    {item.remedy}")
        if not any(name in item.reason for name in item.action.concerns):
            held.append(f"    {item.action.reason}")
        if not isinstance(item.action, RestartAcme):  # the reason of a restart names its purpose
            held += lines_of(item.action)
    reasons = {item.reason for item in report.plan.held}
    notices: list[str] = []
    for notice in dict.fromkeys(report.plan.notices):
        if notice.message in reasons:
            continue
        notices.append(f"{notice.level}: {notice.message}")
        if notice.todo:
            notices.append(f"    {notice.todo}")
    return _section("held", held, most) + _section("to know", notices, most)
