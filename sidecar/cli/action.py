"""The details of an action, for people and for programs.

Rule for every editor: a key of the JSON keeps its name and its meaning. Names are A-labels.
"""

from typing import Any, assert_never

from sidecar.dns.publish.port import Replace
from sidecar.formats.mtasts_policy import Policy, parse
from sidecar.observed.words import some
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
