"""A plan and a report as text for a terminal, grouped by action."""

from collections.abc import Sequence
from typing import assert_never

from sidecar.dns.publish.port import Replace
from sidecar.formats.domain_name import to_unicode
from sidecar.formats.mtasts_policy import Policy
from sidecar.observed import Seen
from sidecar.observed.notice import Notice
from sidecar.observed.words import day, serves, some
from sidecar.plan.access import ALLOW_FROM
from sidecar.plan.actions import (
    Action,
    AddPolicy,
    AdoptSame,
    AllowAccess,
    ChangeReportRoute,
    EditConf,
    EditPolicy,
    HealAcme,
    Held,
    PublishRecords,
    RecreateAcme,
    RemoveFile,
    RestartAcme,
    SwitchOff,
    WriteFile,
)
from sidecar.plan.publish.values import RecordWrite
from sidecar.reconcile.apply import Outcome, Result
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
    lines += _rest(report, most)
    if not report.plan.actions and not report.plan.held:
        lines.append("Nothing to do." if report.readable else "Nothing can be planned.")
    return "\n".join(lines).rstrip()


def show_report(report: Report) -> str:
    """What was done, what is held and until when, and what a person should know."""
    lines = [_headline(report), ""]
    done = [line for o in report.outcomes if o.result is Result.DONE for line in _action(o.action)]
    failed = [line for o in report.outcomes if o.result is not Result.DONE for line in _failed(o)]
    lines += _section("done", done, MOST_LINES, _ALL_DONE)
    lines += _section("failed", failed, MOST_LINES, _ALL_DONE)
    lines += _rest(report, MOST_LINES)
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
    return [f"{action.verb} {to_unicode(action.about)}: {action.reason}", *_details(action)]


def _details(action: Action) -> list[str]:
    """The details of an action."""
    lines: list[str] = []
    match action:
        case AddPolicy(policy=policy) | EditPolicy(policy=policy):
            lines.append(f"    {_policy(policy)}")
        case WriteFile(text=text):
            lines += [f"    {line}" for line in text.splitlines()]
        case EditConf(edits=edits):
            for key, edit in edits.items():
                lines += [f"    {key} + {entry}" for entry in edit.add]
                lines += [f"    {key} - {entry}" for entry in edit.remove]
        case RestartAcme(names=names):
            lines += [f"    for {some(names, 10)}"] if len(names) > 1 else []
        case PublishRecords(writes=writes):
            lines += [f"    {line}" for line in map(_record, writes)]
        case AllowAccess(address=address, in_conf=in_conf):
            lines += [f"    {ALLOW_FROM} + {address}"] if in_conf else []
        case RecreateAcme() | HealAcme() | SwitchOff() | AdoptSame() | RemoveFile() | ChangeReportRoute():
            pass
        case _:
            assert_never(action)
    return lines


def _record(write: RecordWrite) -> str:
    """What is there, and what would be."""
    before = ", ".join(write.change.seen.values) or "nothing"
    after = ", ".join(write.change.wanted.values) if isinstance(write.change, Replace) else "nothing"
    return f"{write.key}: {before} -> {after} (account {write.place.account}, zone {write.place.zone})"


def _policy(policy: Policy) -> str:
    return f"mode {policy.mode}, max_age {policy.max_age}, mx {', '.join(policy.mx)}"


def _failed(outcome: Outcome) -> list[str]:
    return [f"{outcome.action.verb} {to_unicode(outcome.action.about)}: {outcome.detail}"]


def _held(held: Held) -> list[str]:
    until = "" if held.until is None else f" (until {day(held.until)})"
    first = f"{held.action.verb} {to_unicode(held.action.about)}: {held.reason}{until}"
    lines = [first] if held.remedy is None else [first, f"    {held.remedy}"]
    if not any(name in held.reason for name in held.action.concerns):
        lines.append(f"    {held.action.reason}")
    # The reason of a restart names its purpose.
    return lines + ([] if isinstance(held.action, RestartAcme) else _details(held.action))


def _notice(notice: Notice) -> list[str]:
    lines = [f"{notice.level}: {notice.message}"]
    if notice.todo:
        lines.append(f"    {notice.todo}")
    return lines


def _rest(report: Report, most: int | None) -> list[str]:
    held = _section("held", [line for item in report.plan.held for line in _held(item)], most)
    reasons = {item.reason for item in report.plan.held}
    notices = [notice for notice in dict.fromkeys(report.plan.notices) if notice.message not in reasons]
    return held + _section("to know", [line for notice in notices for line in _notice(notice)], most)
