"""From what was observed to what has to be done; pure.

`decide` is the whole of it: what should be (`desire`), the difference to what is there (`make_plan`), and what of it
must wait (`guards`). Each file of this package has one subject.
"""

from dataclasses import replace

from sidecar.formats.mtasts_policy import is_mx_pattern
from sidecar.observed import FILE, Backend, Observed, Seen
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.plan.access import plan_access
from sidecar.plan.acme.notices import pending, presented_notices, run_failed
from sidecar.plan.acme.restart import plan_repair, plan_restart
from sidecar.plan.acme.run import stopped
from sidecar.plan.actions import Plan
from sidecar.plan.conf_entries import plan_entries
from sidecar.plan.desire import Desired, desire
from sidecar.plan.elsewhere import elsewhere_notices
from sidecar.plan.file import plan_file
from sidecar.plan.guards import NOTHING_WAITS, Waits, guarded
from sidecar.plan.native import gone_domains, plan_native
from sidecar.plan.notices import redis_notices, rollout_notices, unknown_names_in
from sidecar.plan.proxy import behind_proxy
from sidecar.plan.publish.make import as_plan
from sidecar.plan.publish.values import PublishPlan
from sidecar.plan.report_way import plan_report_way
from sidecar.settings import Settings


def decide(
    observed: Observed,
    settings: Settings,
    waits: Waits = NOTHING_WAITS,
    records: PublishPlan | None = None,
) -> Plan:
    """Everything to do, to hold and to report for one picture of the world.

    `records` is what is to be done about DNS records (`publish.make`), which is worked out only when something changed.
    """
    desired = desire(observed, settings)
    plan = make_plan(observed, desired, settings)
    if records is not None:
        plan += as_plan(records, observed.records)
    plan = guarded(plan, observed, settings, waits)
    # A name that the certificate lost comes before all else, then errors, warnings and information.
    order = [Level.ERROR, Level.WARNING, Level.INFO]
    notices = sorted(
        plan.notices,
        key=lambda notice: (notice.code is not NoticeCode.CERTIFICATE_LOST, order.index(notice.level)),
    )
    return replace(plan, notices=tuple(notices))


def make_plan(observed: Observed, desired: Desired, settings: Settings) -> Plan:
    """The difference between what was seen and what is desired, before any guard."""
    plan = plan_access(observed, settings) + Plan(notices=redis_notices(observed)) + plan_repair(observed)
    if isinstance(observed.mailcow, Seen) and isinstance(observed.domains, Seen):
        if observed.mailcow.value.backend is Backend.FILE:
            plan += plan_file(observed, settings, desired.policies.get(FILE))
        else:
            plan += plan_native(observed, settings, desired.policies)
            plan += Plan(notices=gone_domains(observed, observed.domains.value))
    if isinstance(observed.conf, Seen) and desired.entries is not None:
        wanted, kept = desired.entries.wanted, desired.entries.kept
        plan += plan_entries(observed.conf.value, observed, wanted, kept)
    plan += plan_restart(observed, desired.names, settings)
    plan += plan_report_way(observed, settings)
    notices = (
        stopped(observed)
        + run_failed(observed)
        + presented_notices(observed)
        + pending(observed)
        + behind_proxy(observed)
        + elsewhere_notices(observed, settings)
        + rollout_notices(observed, settings)
        + unknown_names_in(observed, settings)
    )
    return plan + Plan(notices=notices)


def blind_spots(observed: Observed) -> tuple[Notice, ...]:
    """The parts that could not be observed, each with its reason, and a host name that no policy can have as its mx."""
    parts = (
        (NoticeCode.UNSEEN_CONF, "mailcow.conf", observed.conf),
        (NoticeCode.UNSEEN_MAILCOW, "mailcow", observed.mailcow),
        (NoticeCode.UNSEEN_DOMAINS, "domains", observed.domains),
        (NoticeCode.UNSEEN_DOCKER, "docker", observed.project),
        (NoticeCode.UNSEEN_CERTIFICATES, "certificates", observed.certificates),
        (NoticeCode.UNSEEN_REPORTS, "reports", observed.reports),
    )
    notices = [
        Notice(Level.WARNING, code, name, sight.reason)
        for code, name, sight in parts
        if not isinstance(sight, Seen)
    ]
    if isinstance(observed.conf, Seen) and not is_mx_pattern(hostname := observed.conf.value.hostname):
        message = f"MAILCOW_HOSTNAME={hostname} is not a valid host name, so no policy can name it"
        todo = "correct MAILCOW_HOSTNAME in mailcow.conf"
        notices.append(Notice(Level.ERROR, NoticeCode.HOSTNAME_INVALID, "mailcow.conf", message, todo))
    return tuple(notices)
