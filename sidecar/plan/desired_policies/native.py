"""The policy of each domain on the native generation; pure."""

from collections.abc import Sequence

from sidecar.formats.domain_name import to_unicode
from sidecar.formats.mtasts_policy import Mode, Policy
from sidecar.observed import FILE, Domain, DomainList, Observed, Seen
from sidecar.observed.mailcow import policy_seen
from sidecar.plan.desired_policies.policy import (
    TESTING_MAX_AGE,
    DesiredPolicy,
    alias_names,
    all_patterns,
    managed,
    max_age_for,
    moved_to,
    own_hostname,
)
from sidecar.plan.desired_policies.safety import (
    asked_patterns,
    kept_patterns,
    proven,
    safe_for_all,
    said_by_senders,
    unvalidated,
)
from sidecar.plan.elsewhere import left_elsewhere
from sidecar.plan.ownership import LEAST_ASSUMED_MAX_AGE, held_for
from sidecar.rollout.reports import evidence_for
from sidecar.settings import Settings


def native_policies(observed: Observed, settings: Settings, listed: DomainList) -> dict[str, DesiredPolicy]:
    """The desired policy of each managed domain on the native generation; undecidable ones are left out."""
    hostname = own_hostname(observed)
    aliases = alias_names(observed, settings)
    wanted: dict[str, DesiredPolicy] = {}
    for domain in managed(listed, settings):
        if left_elsewhere(observed, settings, domain.name) is not None:
            continue
        served = observed.served_of(domain.name)
        now_served = policy_seen(served)
        if domain.receives and not observed.memory.retired & {domain.name, FILE}:
            if hostname is not None:
                names = (domain.name, *aliases.get(domain.name, ()))
                wanted[domain.name] = _for_domain(observed, settings, names, hostname, now_served)
        elif isinstance(served, Seen) and served.value.text is not None:
            leaving = _leaving(observed, settings, domain, now_served)
            if leaving is not None:
                wanted[domain.name] = leaving
    return wanted


def _for_domain(
    observed: Observed, settings: Settings, names: Sequence[str], hostname: str, served: Policy | None
) -> DesiredPolicy:
    """`names` are the domain and its alias domains."""
    name = names[0]
    reports, rollout = evidence_for(observed.reports, names), observed.memory.rollout(name)
    own = proven(settings.for_domain(name), rollout, served, settings, reports, observed.now)
    mx = all_patterns([asked_patterns(observed, own, names, hostname, served), moved_to(observed, name)])
    mode, notices = safe_for_all(observed, dict.fromkeys(names, own), names[1:], own.mode, mx, served)
    notices += unvalidated(observed, own, names, hostname, mx)
    kept = kept_patterns(observed, name, served, mx, own.max_age) if mode is Mode.ENFORCE else ()
    policy = Policy(mode, max_age_for(mode, own.max_age), (*mx, *kept))
    if own.mode is Mode.ENFORCE and mode is not Mode.ENFORCE:
        why = notices[0].message if notices else "kept in testing: it is not known that every MX is covered"
    else:
        why = _AUTO_REASON[mode] if own.auto else f"mode {mode} as the settings say"
    why += said_by_senders(mode, own, served, reports, rollout)
    return DesiredPolicy(policy, why, notices, kept)


_AUTO_REASON = {
    Mode.NONE: "mode none",
    Mode.TESTING: "mode auto: testing until all checks have succeeded for long enough",
    Mode.ENFORCE: "mode auto: all checks have succeeded for long enough",
}


def _leaving(
    observed: Observed, settings: Settings, domain: Domain, served: Policy | None
) -> DesiredPolicy | None:
    """A domain that no longer receives mail here: `none` while senders may hold an enforce, then nothing (RFC 8461 §8.3).

    None if no name is known that could be its mx.
    """
    why = "is switched off in mailcow" if not domain.active else "became a backup MX"
    if domain.receives:
        why = "is retired by `sidecar retire`"
    configured = settings.for_domain(domain.name).max_age
    assumed = max(configured, LEAST_ASSUMED_MAX_AGE, served.max_age if served else 0)
    if served is None or held_for(observed.memory, domain.name, assumed) > 0:
        hostname = own_hostname(observed)
        mx = served.mx if served and served.mx else (hostname,) if hostname else ()
        if not mx:
            return None
        return DesiredPolicy(
            Policy(Mode.NONE, TESTING_MAX_AGE, mx),
            f"{to_unicode(domain.name)} {why}; senders may hold a policy in enforce, so `none` is served first",
        )
    return DesiredPolicy(
        None, f"{to_unicode(domain.name)} {why}, and no sender can hold a policy in enforce any more"
    )
