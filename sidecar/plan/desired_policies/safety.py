"""Which mode and which mx patterns a policy may have without a loss of mail; pure.

Also for MX hosts outside of mailcow: a gateway, a backup MX, and `mx: dns`, which follows the MX records.

Rules for every editor: a policy in enforce needs proof that every MX is covered; missing knowledge never makes a policy
stricter or narrower, and never removes anything that senders rely on. A pattern that came from the DNS is dropped only by
the rule for all patterns.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from sidecar.formats.domain_name import to_unicode
from sidecar.formats.mtasts_policy import Mode, Policy, is_mx_pattern
from sidecar.observed import Fact, FactKind, Observed, Seen, Sight, Unseen, Validated
from sidecar.observed.checks import Rollout, Status
from sidecar.observed.mailcow import MX_LENGTH
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.reports import ReportEvidence
from sidecar.plan.desired_policies.policy import all_patterns
from sidecar.plan.ownership import longest_max_age, still_held
from sidecar.rollout import auto_mode
from sidecar.rollout.reports import why_step_back
from sidecar.settings import CONFIG, DomainSettings, Settings

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


PROOF_LASTS_S = 172_800.0
"""Seconds: each domain is checked at least once a day, and one check may be missed."""


def proven(
    own: DomainSettings,
    rollout: Rollout,
    served: Policy | None,
    settings: Settings,
    reports: ReportEvidence,
    now: float,
) -> DomainSettings:
    """With `mode: auto`: the mode that checks and senders' reports allow; old checks do not allow a stricter mode."""
    if not own.auto:
        return own
    before = served.mode if served else None
    mode = auto_mode(rollout, before, settings.soak, reports, require_report=settings.reports.require)
    # A proof dated in the future is from before the clock was set back: its age is not known.
    fresh = 0 <= now - (rollout.good_at or 0.0) <= PROOF_LASTS_S
    if mode is Mode.ENFORCE and before is not mode and not fresh:
        mode = Mode.TESTING
    return replace(own, mode=mode)


def said_by_senders(
    mode: Mode, own: DomainSettings, served: Policy | None, reports: ReportEvidence, rollout: Rollout
) -> str:
    """What reports have to do with the mode, to add to its reason; empty where nothing."""
    before = served.mode if served else None
    if not own.auto:
        return ""
    if mode is Mode.ENFORCE and before is not Mode.ENFORCE and (seen := reports.clean.seen) is not None:
        return f"; {seen.sentence}"
    if mode is Mode.TESTING and before is Mode.ENFORCE and (why := why_step_back(reports, rollout)):
        return f"; stepped back, because {why}"
    if mode is Mode.TESTING and reports.clean.status is Status.FALSE:
        return f"; senders report failures: {reports.clean.message}"
    return ""


def safe_for_all(
    observed: Observed,
    own: Mapping[str, DomainSettings],
    others: Collection[str],
    mode_asked: Mode,
    mx: Sequence[str],
    served: Policy | None,
    *,
    there: bool = True,
) -> tuple[Mode, tuple[Notice, ...]]:
    """The mode for all names that the text serves; one name that must not be enforced keeps all in testing.

    The `others` are not domains that receive mail here: one without an MX record receives no mail at all, so that
    none of it can be refused.
    """
    notices: tuple[Notice, ...] = ()
    mode = mode_asked
    for name, settings in own.items():
        hosts = observed.dns.mx_of(name)
        if name in others and isinstance(hosts, Seen) and not hosts.value:
            continue
        asked = settings if settings.mode is mode_asked else replace(settings, mode=mode_asked)
        safe, found = _safe_mode(asked, name, hosts, mx, served, there=there)
        notices += found
        if safe.strength < mode.strength:
            mode = safe
    return mode, notices


def _safe_mode(
    own: DomainSettings,
    name: str,
    hosts: Sight[tuple[str, ...]],
    mx: Sequence[str],
    served: Policy | None,
    *,
    there: bool,
) -> tuple[Mode, tuple[Notice, ...]]:
    """The mode that may be served: enforce only if every MX is seen to be covered, or if enforce is served already.

    `there` is False if `served` is only the policy that was served last.
    """
    if own.mode is Mode.TESTING and not own.allow_uncovered:
        return own.mode, outside(name, hosts, mx)
    if own.mode is not Mode.ENFORCE or own.allow_uncovered:
        return own.mode, ()
    last_enforced = served is not None and served.mode is Mode.ENFORCE
    enforced = last_enforced and there
    if isinstance(hosts, Unseen):
        return (Mode.ENFORCE if last_enforced else Mode.TESTING), ()
    trouble = "has no MX record"
    if hosts.value:
        # Senders follow the policy that is served in enforce: it keeps a host that is still an MX (`kept_patterns`).
        patterns = all_patterns([mx, served.mx if served is not None and last_enforced else ()])
        uncovered = [host for host in hosts.value if not Policy(Mode.ENFORCE, 0, patterns).covers(host)]
        if not uncovered:
            return Mode.ENFORCE, ()
        trouble = f"has the MX {', '.join(uncovered)}, which no mx pattern covers ({', '.join(patterns)})"
    shown = to_unicode(name)
    if enforced:
        return Mode.ENFORCE, (
            Notice(
                Level.ERROR,
                NoticeCode.MX_UNCOVERED,
                name,
                f"{shown} {trouble}, and its policy is in enforce: senders refuse to deliver there",
                remedy(name, hosts.value, mx),
            ),
        )
    return Mode.TESTING, (
        Notice(
            Level.WARNING,
            NoticeCode.MX_UNCOVERED,
            name,
            f"{shown} {trouble}: kept in testing, not enforce",
            remedy(name, hosts.value, mx),
        ),
    )


def kept_patterns(
    observed: Observed, key: str, served: Policy | None, mx: Sequence[str], configured: int
) -> tuple[str, ...]:
    """Patterns that are no longer needed, but may not be dropped yet: a sender may still apply a policy with them.

    A pattern is dropped only when no MX was seen to match it for as long as a sender may hold the policy.
    """
    memory = observed.memory
    held: list[tuple[Policy, int]] = []
    if served is not None and served.mode is Mode.ENFORCE:
        held.append((served, longest_max_age(memory.policy(key), max(configured, served.max_age))))
    # An enforce that is not served now may have been withdrawn for a while, or served on the other generation,
    # before mailcow was updated or downgraded.
    held += still_held(memory, key)
    return all_patterns(
        [
            pattern
            for pattern in policy.mx
            if pattern not in mx
            and memory.true_for(Fact(FactKind.UNMATCHED, unmatched_subject(key, pattern))) < max_age
        ]
        for policy, max_age in held
    )


def unmatched_subject(key: str, pattern: str) -> str:
    """The subject of an UNMATCHED fact."""
    return f"{key} {pattern}"
