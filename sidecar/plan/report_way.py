"""From the setting to receive TLS reports to actions on mailcow's alias and transport, and to the address; pure.

Rules for every editor. Nothing is made in mailcow before it was announced, one pass earlier at least. The address is
given to senders (`_smtp._tls`) only once its whole route is in place: reports to a missing alias bounce.
"""

from sidecar.observed import Observed, Seen, Unseen
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.report_route import RouteSeen
from sidecar.plan.actions import ChangeReportRoute, Hold, Plan
from sidecar.plan.desired_policies.policy import receiving
from sidecar.plan.records import host_domain
from sidecar.plan.report_route import (
    AddAlias,
    AddTransport,
    DeleteAlias,
    DeleteTransport,
    DesiredRoute,
    EditTransport,
    Foreign,
    Next,
    Ready,
    Step,
    next_step,
)
from sidecar.settings import Settings
from sidecar.settings.reports import LOCAL_PART, Receive

ANNOUNCED_S = 60.0
"""Seconds between the announcement and the first change: a person who reads the log can still set `receive: off`."""
SUBJECT = "TLS reports"
HOW_NOT = "if you do not want that, set `reports: {receive: off}` in config.yml"


def desired_route(observed: Observed, settings: Settings, nexthop: str) -> DesiredRoute | None:
    """What should be in mailcow for reports; None where it is not known (which domain is the mail host's).

    The address belongs to the domain that MAILCOW_HOSTNAME lies under, if mailcow has it and the settings manage it.
    """
    remembered = observed.memory.report_way
    if settings.receive is not Receive.MAILCOW:
        return DesiredRoute(False, remembered.ready, nexthop)
    match observed.conf, observed.domains:
        case Seen(conf), Seen(listed):
            domain = host_domain(conf.hostname, receiving(listed, settings))
            return None if domain is None else DesiredRoute(True, f"{LOCAL_PART}@{domain}", nexthop)
        case _:
            return None


def next_of(observed: Observed, settings: Settings) -> tuple[DesiredRoute, Next] | None:
    """The desired route and the next step towards it; None where nothing can be said."""
    match observed.report_route:
        case Seen(RouteSeen(aliases, transports, nexthop), at):
            desired = desired_route(observed, settings, nexthop)
            if desired is None:
                return None
            written = observed.memory.report_way.written
            return desired, next_step(desired, Seen(aliases, at), Seen(transports, at), written)
        case Unseen():
            return None


def plan_report_way(observed: Observed, settings: Settings) -> Plan:
    """The next change of the alias or the transport, held until it was announced; or why none can be made."""
    found = next_of(observed, settings)
    if found is None:
        # Only for those who asked for it: the default must not disturb anybody.
        chosen = settings.reports.receive is Receive.MAILCOW and isinstance(observed.report_route, Seen)
        if not chosen or not isinstance(observed.conf, Seen) or not isinstance(observed.domains, Seen):
            return Plan()
        text = f"TLS reports cannot be received: mailcow has no domain that {observed.conf.value.hostname} belongs to"
        todo = f"add that domain in mailcow, or set `tls_report` and `{HOW_NOT.split('`')[1]}`"
        return Plan(notices=(Notice(Level.WARNING, NoticeCode.REPORTS_FOREIGN, SUBJECT, text, todo),))
    desired, step = found
    match step:
        case Ready() | Unseen():
            return Plan()
        case Foreign(reason, remedy):
            if not desired.wanted and not observed.memory.report_way.ready:
                return Plan()
            text = f"TLS reports do not come in through mailcow: {reason}"
            return Plan(notices=(Notice(Level.WARNING, NoticeCode.REPORTS_FOREIGN, SUBJECT, text, remedy),))
        case _:
            action = ChangeReportRoute(step, _why(step, desired))
    announced = observed.memory.report_way.announced
    if not desired.wanted or (announced and observed.now - announced >= ANNOUNCED_S):
        return Plan((action,))
    text = (
        f"TLS reports of senders will be received: in a minute the sidecar adds the alias {desired.address} and a "
        f"transport to its port {desired.nexthop} to mailcow"
    )
    hold = Hold(
        text, HOW_NOT, (announced or observed.now) + ANNOUNCED_S
    )  # one sentence, so it is logged once
    notice = Notice(Level.INFO, NoticeCode.REPORTS_ANNOUNCED, SUBJECT, text, HOW_NOT, passing=True)
    return Plan(held=(hold.on(action),), notices=(notice,))


def _why(step: Step, desired: DesiredRoute) -> str:
    match step:
        case AddTransport():
            return f"a transport for TLS reports to the sidecar's port, {desired.nexthop}"
        case EditTransport():
            return f"the transport for TLS reports leads to the sidecar's new address, {desired.nexthop}"
        case AddAlias():
            return "an alias to which senders send TLS reports"
        case DeleteAlias() | DeleteTransport():
            what = "alias" if isinstance(step, DeleteAlias) else "transport"
            return (
                f"the {what} goes: TLS reports are no longer received here (`reports.receive`, `tls_report`)"
            )
