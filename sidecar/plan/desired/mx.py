"""MX hosts outside of mailcow: a gateway, a backup MX, and `mx: dns`, which follows the MX records; pure.

Rule for every editor: what is not known neither narrows nor widens a policy. A pattern that came from the DNS is dropped by
the rule for all patterns (`safety`), never here.
"""

from collections.abc import Sequence
from itertools import accumulate

from sidecar.formats.domain_name import to_unicode
from sidecar.formats.mtasts_policy import Mode, Policy, is_mx_pattern
from sidecar.observed import Observed, Seen, Sight, Validated
from sidecar.observed.mailcow import MX_LENGTH
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.plan.desired.wanted import all_patterns
from sidecar.settings import CONFIG, DomainSettings

MOST_FROM_DNS = 20
"""MX records that `mx: dns` takes: a zone of a customer's may have thousands."""


def asked_patterns(
    observed: Observed, own: DomainSettings, names: Sequence[str], hostname: str, served: Policy | None
) -> tuple[str, ...]:
    """The patterns that the settings ask for: theirs, mailcow's host name, or (`mx: dns`) the MX records of the names.

    While those cannot be seen, what is served stays.
    """
    if not own.mx_from_dns:
        return own.mx or (hostname,)
    answers = [observed.dns.mx_of(name) for name in names]
    hosts = all_patterns([answer.value for answer in answers if isinstance(answer, Seen)])
    found = _names(hosts)[:MOST_FROM_DNS]
    if not all(isinstance(answer, Seen) for answer in answers):
        found = all_patterns([served.mx if served is not None else (hostname,), found])
    if not observed.one_file:
        # As many as mailcow keeps: a policy with more could not be written at all, not even to step it back.
        lengths = accumulate(len(pattern) + 1 for pattern in found)
        found = tuple(p for p, length in zip(found, lengths, strict=True) if length <= MX_LENGTH + 1)
    return found or (hostname,)


def _names(hosts: Sequence[str]) -> tuple[str, ...]:
    """The hosts that a policy can name. `*.example` as the host of a record is not one: as a pattern it covers many."""
    return tuple(host for host in hosts if is_mx_pattern(host) and not host.startswith("*"))


def unvalidated(
    observed: Observed, own: DomainSettings, names: Sequence[str], hostname: str, mx: Sequence[str]
) -> tuple[Notice, ...]:
    """A policy that follows the DNS is only as trustworthy as the DNS: anyone who can forge an answer adds a host to it."""
    if not own.mx_from_dns:
        return ()
    notices: list[Notice] = []
    for name in names:
        answer = observed.dns.mx_of(name)
        if not isinstance(answer, Seen) or isinstance(answer, Validated):
            continue
        if others := [host for host in answer.value if host != hostname and host in mx]:
            message = (
                f"{to_unicode(name)} has `mx: dns`, and its MX records are not validated by DNSSEC: "
                f"anyone who can forge them adds a host to the policy; now {', '.join(others)} comes from them"
            )
            todo = (
                f"sign the zone with DNSSEC, or write the hosts into {CONFIG}: {mx_line(name, answer.value)}"
            )
            notices.append(Notice(Level.INFO, NoticeCode.MX_UNVALIDATED, name, message, todo))
    return tuple(notices)


def outside(name: str, hosts: Sight[tuple[str, ...]], mx: Sequence[str]) -> tuple[Notice, ...]:
    """In testing nothing is refused yet, but a gateway or a backup MX that the policy lacks must be known at once."""
    if not isinstance(hosts, Seen):
        return ()
    lacking = [host for host in hosts.value if not Policy(Mode.TESTING, 0, tuple(mx)).covers(host)]
    if not lacking:
        return ()
    message = (
        f"{to_unicode(name)} has the MX {', '.join(lacking)}, which is not in its policy ({', '.join(mx)}): "
        "in testing senders only report it, in enforce they would refuse to deliver there"
    )
    return (Notice(Level.WARNING, NoticeCode.MX_UNCOVERED, name, message, remedy(name, hosts.value, mx)),)


def remedy(name: str, hosts: Sequence[str], mx: Sequence[str]) -> str:
    """What to write for a gateway or a backup MX that is meant to be there."""
    if not hosts:
        return "publish the MX record"
    line = mx_line(name, all_patterns([mx, _names(hosts)])[:MOST_FROM_DNS])
    return f"if it belongs there, in {CONFIG}: {line}, or `mx: dns` to follow the MX records; else correct the MX record"


def mx_line(name: str, hosts: Sequence[str]) -> str:
    """The line of config.yml that names the MX hosts of a domain."""
    shown = ", ".join(f"'{host}'" if host.startswith("*") else host for host in hosts)
    return f"domains: {{{name}: {{mx: [{shown}]}}}}"
