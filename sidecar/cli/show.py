"""A plan, a report and the details of an action: as text for a terminal, grouped by action, and as JSON.

Rule for every editor: a key of the JSON keeps its name and its meaning. Times are UTC (ISO 8601), names are A-labels.
"""

from collections.abc import Sequence
from typing import Any, assert_never

from sidecar.dns.publish.port import Replace
from sidecar.formats.domain_name import to_unicode
from sidecar.formats.mtasts_policy import Policy, parse
from sidecar.observed import Seen
from sidecar.observed.words import serves, some
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
    PublishRecords,
    RecreateAcme,
    RemoveFile,
    RestartAcme,
    SwitchOff,
    WriteFile,
)
from sidecar.reconcile.apply import Result
from sidecar.reconcile.passes import PassReport
from sidecar.status.to_document import moment


def lines_of(action: Action) -> list[str]:
    """The details of an action, as lines below it."""
    lines: list[str] = []
    match action:
        case AddPolicy(policy=policy) | EditPolicy(policy=policy):
            mx = ", ".join(policy.mx)
            lines.append(f"    mode {policy.mode}, max_age {policy.max_age}, mx {mx}")
        case WriteFile(text=text):
            lines += [f"    {line}" for line in text.splitlines()]
        case EditConf(edits=edits):
            for key, edit in edits.items():
                lines += [f"    {key} + {entry}" for entry in edit.add]
                lines += [f"    {key} - {entry}" for entry in edit.remove]
        case RestartAcme(names=names):
            lines += [f"    for {some(names, 10)}"] if len(names) > 1 else []
        case PublishRecords(writes=writes):
            for write in writes:
                change, place = write.change, write.place
                before = ", ".join(change.seen.values) or "nothing"
                after = ", ".join(change.wanted.values) if isinstance(change, Replace) else "nothing"
                lines.append(
                    f"    {write.key}: {before} -> {after} (account {place.account}, zone {place.zone})"
                )
        case AllowAccess(address=address, in_conf=in_conf):
            lines += [f"    {ALLOW_FROM} + {address}"] if in_conf else []
        case RecreateAcme() | HealAcme() | SwitchOff() | AdoptSame() | RemoveFile() | ChangeReportRoute():
            pass
        case _:
            assert_never(action)
    return lines


def policy_as_json(policy: Policy | None) -> dict[str, Any] | None:
    """The fields of RFC 8461 §3.2."""
    if policy is None:
        return None
    return {"mode": str(policy.mode), "max_age": policy.max_age, "mx": list(policy.mx)}


def json_of(action: Action) -> dict[str, Any]:
    """`action`, `subject` and `reason` are always there; the rest depends on the action."""
    details: dict[str, Any] = {}
    match action:
        case AddPolicy(policy=policy) | EditPolicy(policy=policy):
            details["policy"] = policy_as_json(policy)
        case WriteFile(text=text, backup=backup):
            details |= {"policy": _policy_of(text), "backup": backup}
        case AdoptSame(text=text):
            details["policy"] = _policy_of(text)
        case EditConf(edits=edits):
            details["edits"] = {
                key: {"add": list(edit.add), "remove": list(edit.remove)} for key, edit in edits.items()
            }
        case RestartAcme(names=names) | RecreateAcme(names=names):
            details["names"] = list(names)
        case PublishRecords(writes=writes):
            details["records"] = [
                {
                    "name": write.key.name,
                    "type": str(write.key.type),
                    "before": list(write.change.seen.values),
                    # empty where the record set is removed
                    "after": list(write.change.wanted.values) if isinstance(write.change, Replace) else [],
                    "account": write.place.account,
                    "zone": write.place.zone,
                }
                for write in writes
            ]
        case AllowAccess(address=address, in_conf=in_conf):
            details |= {"address": address, "mailcow_conf": in_conf}
        case SwitchOff() | RemoveFile() | HealAcme() | ChangeReportRoute():
            pass
        case _:
            assert_never(action)
    return {"action": action.verb, "subject": action.about, "reason": action.reason, **details}


def _policy_of(text: str) -> dict[str, Any] | None:
    parsed = parse(text.encode("utf-8", "surrogateescape"))
    return policy_as_json(parsed) if isinstance(parsed, Policy) else None


MOST_LINES = 40
"""Lines of a section; the rest is a number with a hint."""
_ALL = "all of them: sidecar plan --all, or --json"
_ALL_DONE = "all of them: sidecar history"


def show_plan(report: PassReport, *, all_lines: bool = False) -> str:
    """What would be done, what is held, and what a person should know; `all_lines`: however many there are."""
    most = None if all_lines else MOST_LINES
    lines = [_headline(report), ""]
    lines += _section("to do", [line for action in report.plan.actions for line in _action(action)], most)
    lines += _held_and_notices(report, most)
    if not report.plan.actions and not report.plan.held:
        lines.append("Nothing to do." if report.readable else "Nothing can be planned.")
    return "\n".join(lines).rstrip()


def show_report(report: PassReport) -> str:
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


def _headline(report: PassReport) -> str:
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


def _held_and_notices(report: PassReport, most: int | None) -> list[str]:
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


def plan_as_json(report: PassReport) -> dict[str, Any]:
    """The whole plan; `mailcow` is null if it was not seen."""
    mailcow = None
    if isinstance(report.observed.mailcow, Seen):
        seen = report.observed.mailcow.value
        mailcow = {
            "version": None if seen.version is None else str(seen.version),
            "generation": str(seen.backend),
        }
    return {
        "at": moment(report.observed.now),
        "readable": report.readable,
        "mailcow": mailcow,
        "actions": [json_of(action) for action in report.plan.actions],
        "held": [
            {
                "action": json_of(held.action),
                "reason": held.reason,
                "remedy": held.remedy,  # what a person can do
                "until": moment(held.until),  # null: it waits for something to change
            }
            for held in report.plan.held
        ],
        "notices": [
            {
                "level": str(notice.level),
                "code": notice.code,  # stable; `message` and `todo` are for people
                "subject": notice.subject,
                "message": notice.message,
                "todo": notice.todo,
            }
            for notice in dict.fromkeys(report.plan.notices)
        ],
    }
