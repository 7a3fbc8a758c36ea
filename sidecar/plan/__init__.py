"""From what was seen to what to do: the difference between the world and what is desired; pure.

`make_plan` is the whole of it. A file of this package is one subject; `guards` has the last word.
"""

from dataclasses import replace

from sidecar.formats.mtasts_policy import is_mx_pattern
from sidecar.observed import FILE, Backend, Observed, Seen
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.plan.access import plan_access
from sidecar.plan.acme.nginx import pending
from sidecar.plan.acme.restart import plan_restart, run_failed, tell_presented
from sidecar.plan.acme.standstill import stopped
from sidecar.plan.actions import Plan
from sidecar.plan.conf_entries import NO_ENTRIES, kept_entries, plan_entries, wanted_entries
from sidecar.plan.desired import file_policy, native_policies
from sidecar.plan.file import plan_file, served_by_file
from sidecar.plan.guards import guarded
from sidecar.plan.native import gone_domains, plan_native
from sidecar.plan.progress import tell_progress
from sidecar.plan.redis import tell_redis
from sidecar.plan.setting_names import unknown_names_in
from sidecar.settings import Settings


def make_plan(observed: Observed, settings: Settings) -> Plan:
    """All that is to be done, held and told for one picture of the world."""
    plan = plan_access(observed, settings) + Plan(notices=tell_redis(observed))
    plan += _policies(observed, settings) + _entries(observed, settings) + plan_restart(observed, settings)
    told = (
        stopped(observed)
        + run_failed(observed)
        + tell_presented(observed)
        + pending(observed)
        + tell_progress(observed, settings)
        + unknown_names_in(observed, settings)
    )
    plan = guarded(plan + Plan(notices=told), observed, settings)
    return replace(plan, notices=tuple(sorted(plan.notices, key=_urgency)))


def _urgency(notice: Notice) -> tuple[bool, int]:
    """A name that the certificate lost comes before all else, then errors, warnings and what is only to be known."""
    return notice.code != NoticeCode.CERTIFICATE_LOST, [Level.ERROR, Level.WARNING, Level.INFO].index(
        notice.level
    )


def _policies(observed: Observed, settings: Settings) -> Plan:
    match observed.mailcow, observed.domains:
        case Seen(mailcow), Seen(listed):
            if mailcow.backend is Backend.FILE:
                return plan_file(
                    observed, settings, file_policy(observed, settings, listed, served_by_file(observed))
                )
            plan = plan_native(observed, settings, native_policies(observed, settings, listed))
            return plan + Plan(notices=gone_domains(observed, listed))
        case _:
            return Plan()


def _entries(observed: Observed, settings: Settings) -> Plan:
    match observed.mailcow, observed.conf, observed.domains:
        case Seen(mailcow), Seen(conf), Seen(listed):
            if _left(observed):
                return plan_entries(conf, observed, NO_ENTRIES)
            wanted = wanted_entries(observed, settings, mailcow, listed)
            return plan_entries(conf, observed, wanted, kept_entries(observed, settings, mailcow, listed))
        case _:
            return Plan()


def _left(observed: Observed) -> bool:
    """MTA-STS was left for good: no name is needed any more, and those that the sidecar added come out."""
    return FILE in observed.memory.retired and not served_anything(observed)


def served_anything(observed: Observed) -> bool:
    """Whether a policy is served, or may be: what was not seen may be there."""
    match observed.mailcow:
        case Seen(mailcow) if mailcow.backend is Backend.NATIVE:
            return any(not isinstance(s, Seen) or s.value.text is not None for s in observed.served.values())
        case _:
            return not isinstance(observed.file, Seen) or observed.file.value.data is not None


def blind_spots(observed: Observed) -> tuple[Notice, ...]:
    """What could not be seen, each with its reason: nothing is decided on it."""
    parts = (
        (NoticeCode.UNSEEN_CONF, "mailcow.conf", observed.conf),
        (NoticeCode.UNSEEN_MAILCOW, "mailcow", observed.mailcow),
        (NoticeCode.UNSEEN_DOMAINS, "domains", observed.domains),
        (NoticeCode.UNSEEN_DOCKER, "docker", observed.project),
        (NoticeCode.UNSEEN_CERTIFICATES, "certificates", observed.certificates),
    )
    return tuple(
        Notice(Level.WARNING, code, name, sight.reason)
        for code, name, sight in parts
        if not isinstance(sight, Seen)
    ) + _hostname(observed)


def _hostname(observed: Observed) -> tuple[Notice, ...]:
    """A name that no policy can have as its mx."""
    if not isinstance(observed.conf, Seen) or is_mx_pattern(observed.conf.value.hostname):
        return ()
    return (
        Notice(
            Level.ERROR,
            NoticeCode.HOSTNAME_INVALID,
            "mailcow.conf",
            f"MAILCOW_HOSTNAME={observed.conf.value.hostname} is no host name, so no policy can name it",
            "correct MAILCOW_HOSTNAME in mailcow.conf",
        ),
    )
