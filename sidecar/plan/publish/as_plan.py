"""The plan of DNS records as actions, held actions and notices: one action for each domain; pure.

Rule for every editor: a task by hand is not held: it is listed where the records of a domain are shown.
"""

from collections.abc import Iterable

from sidecar.dns.publish.port import Replace
from sidecar.formats.text import cut
from sidecar.observed import NOT_ASKED, Unseen
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.observed.record_observations import RecordObservations
from sidecar.observed.words import command
from sidecar.plan.actions import Held, Plan, PublishRecords
from sidecar.plan.publish import values
from sidecar.plan.publish.guards import tried_again_at
from sidecar.plan.publish.values import PublishPlan

MOST_SHOWN = 80
"""Characters of a value in a reason."""


def as_plan(found: PublishPlan, looks: RecordObservations) -> Plan:
    """What is written now, what waits, and what a person should know; names that are being written are left alone."""
    by_domain: dict[str, list[values.RecordWrite]] = {}
    for write in found.writes:
        if write.key.name not in looks.under_way:
            by_domain.setdefault(write.domain, []).append(write)
    actions: list[PublishRecords] = []
    for domain, writes in by_domain.items():
        sets: dict[str, list[str]] = {}
        for write in writes:
            new = write.change.wanted.values if isinstance(write.change, Replace) else ()
            shown = cut(", ".join(new), MOST_SHOWN)
            sets.setdefault(write.reason, []).append(f"{write.key} {shown}" if shown else f"no {write.key}")
        reason = "; ".join(f"{', '.join(changed)} ({why})" for why, changed in sets.items())
        actions.append(PublishRecords(domain, tuple(writes), reason))
    waiting: list[values.HeldWrite] = []
    for held in found.held:
        look = looks.of(held.key.name)
        never_read = look.zone is NOT_ASKED or (look.account is not None and look.found is NOT_ASKED)
        if not held.by_hand and not never_read and held.key.name not in looks.under_way:
            waiting.append(held)
    each_once: dict[tuple[str, str], Held] = {}
    for one in waiting:
        action = PublishRecords(one.domain, (), f"{one.key.name} is to be published")
        each_once.setdefault((one.domain, one.reason), Held(action, one.reason, one.until, one.remedy))
    return Plan(tuple(actions), tuple(each_once.values()), _notices(waiting, looks), records=found)


def _notices(waiting: Iterable[values.HeldWrite], looks: RecordObservations) -> tuple[Notice, ...]:
    """Records of somebody else, changes held as a whole, and accounts that cannot be used: their zones get no writes."""

    def warning(code: NoticeCode, subject: str, message: str, todo: str | None) -> Notice:
        return Notice(Level.WARNING, code, subject, message, todo)

    notices = [
        warning(NoticeCode.RECORD_FOREIGN, held.domain or held.key.name, held.reason, held.remedy)
        for held in waiting
        if held.foreign
    ]
    if (large := next((held for held in waiting if held.large), None)) is not None:
        notices.append(warning(NoticeCode.RECORDS_HELD, "dns", large.reason, large.remedy))
    for account, zones in looks.zones.items():
        state = looks.accounts.get(account)
        if isinstance(zones, Unseen) and zones is not NOT_ASKED:
            trouble = zones.reason
        elif state is not None and tried_again_at(state) is not None:
            trouble = state.trouble
        else:
            continue
        message = f"the DNS account {account} cannot be used: {trouble}"
        todo = f"see `{command('dns test')}`; it is tried again automatically"
        notices.append(warning(NoticeCode.ACCOUNT_FAILING, account, message, todo))
    return tuple(notices)
