"""The plan of DNS records as actions, held actions and notices: one action for each domain; pure.

Rule for every editor: what is a task by hand is not held. It is told where the records of a domain are shown.
"""

from collections.abc import Iterable

from sidecar.dns.publish.port import Replace
from sidecar.observed import NOT_ASKED, Unseen
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.observed.record_looks import RecordLooks
from sidecar.plan.actions import Held, Plan, PublishRecords
from sidecar.plan.publish import values
from sidecar.plan.publish.guards import tried_again_at
from sidecar.plan.publish.values import PublishPlan

MOST_SHOWN = 80
"""Characters of a value in a reason."""


def as_plan(found: PublishPlan, looks: RecordLooks) -> Plan:
    """What is written now, what waits, and what a person should know; names that are being written are left alone."""
    idle = [write for write in found.writes if write.key.name not in looks.under_way]
    by_domain: dict[str, list[values.RecordWrite]] = {}
    for write in idle:
        by_domain.setdefault(write.domain, []).append(write)
    actions = tuple(
        PublishRecords(domain, tuple(writes), _reason(writes)) for domain, writes in by_domain.items()
    )
    waiting = [held for held in found.held if _waits(held, looks)]
    return Plan(actions, _held(waiting), _notices(waiting, looks), records=found)


def _waits(held: values.HeldWrite, looks: RecordLooks) -> bool:
    look = looks.of(held.key.name)
    first = look.zone is NOT_ASKED or (look.account is not None and look.found is NOT_ASKED)
    return not held.by_hand and not first and held.key.name not in looks.under_way


def _reason(writes: Iterable[values.RecordWrite]) -> str:
    """Each set with what is to be there, and why."""
    said: dict[str, list[str]] = {}
    for write in writes:
        wanted = write.change.wanted.values if isinstance(write.change, Replace) else ()
        shown = ", ".join(wanted)
        shown = shown if len(shown) <= MOST_SHOWN else f"{shown[: MOST_SHOWN - 1]}…"
        said.setdefault(write.reason, []).append(f"{write.key} {shown}" if wanted else f"no {write.key}")
    return "; ".join(f"{', '.join(sets)} ({why})" for why, sets in said.items())


def _held(waiting: Iterable[values.HeldWrite]) -> tuple[Held, ...]:
    """Each reason of a domain once."""
    found: dict[tuple[str, str], Held] = {}
    for one in waiting:
        action = PublishRecords(one.domain, (), f"{one.key.name} is to be published")
        found.setdefault((one.domain, one.reason), Held(action, one.reason, one.until, one.remedy))
    return tuple(found.values())


def _notices(waiting: Iterable[values.HeldWrite], looks: RecordLooks) -> tuple[Notice, ...]:
    foreign = [
        Notice(
            Level.WARNING,
            NoticeCode.RECORD_FOREIGN,
            held.domain or held.key.name,
            held.reason,
            held.remedy,
        )
        for held in waiting
        if held.foreign
    ]
    large = next((held for held in waiting if held.large), None)
    held_back = (
        [Notice(Level.WARNING, NoticeCode.RECORDS_HELD, "dns", large.reason, large.remedy)] if large else []
    )
    return (*foreign, *held_back, *_accounts(looks))


def _accounts(looks: RecordLooks) -> Iterable[Notice]:
    """An account that cannot be used: nothing of its zones is written."""
    for name, zones in looks.zones.items():
        if isinstance(zones, Unseen) and zones is not NOT_ASKED:
            yield _failing(name, zones.reason)
        elif (state := looks.accounts.get(name)) is not None and tried_again_at(state) is not None:
            yield _failing(name, state.trouble)


def _failing(account: str, reason: str) -> Notice:
    return Notice(
        Level.WARNING,
        NoticeCode.ACCOUNT_FAILING,
        account,
        f"the DNS account {account} cannot be used: {reason}",
        "see `sidecar dns test`; it is tried again by itself",
    )
