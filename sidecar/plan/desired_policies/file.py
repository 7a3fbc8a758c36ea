"""The one policy for all names on the file generation; pure."""

from collections.abc import Iterable, Mapping, Sequence

from sidecar.formats.domain_name import policy_host, to_unicode
from sidecar.formats.mtasts_policy import Mode, Policy, policy_of
from sidecar.observed import FILE, DomainList, Memory, Observed, Seen
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.plan.desired_policies.policy import (
    TESTING_MAX_AGE,
    DesiredPolicy,
    alias_names,
    all_patterns,
    managed,
    max_age_for,
    moved_to,
    own_hostname,
    receiving,
)
from sidecar.plan.desired_policies.safety import (
    asked_patterns,
    kept_patterns,
    proven,
    safe_for_all,
    said_by_senders,
    unvalidated,
)
from sidecar.plan.ownership import LEAST_ASSUMED_MAX_AGE, held_for
from sidecar.rollout import restarted_soak
from sidecar.rollout.reports import evidence_for
from sidecar.settings import DomainSettings, Settings


def file_policy(
    observed: Observed, settings: Settings, listed: DomainList, served: Policy | None
) -> DesiredPolicy | None:
    """The one policy for all names on the file generation; None if there is nothing to decide.

    mx is the union, mode the weakest and max_age the smallest of what the domains should have; the text
    adopted from a person (the floor) is a minimum, except for a field that the settings name.
    """
    hostname = own_hostname(observed)
    names = receiving(listed, settings)
    if FILE in observed.memory.retired:
        return _leaving_file(observed, settings, served)
    if hostname is None or not names:
        return None
    # A missing or broken file is restored as it was: no one asked for anything else. But an enforce that is not
    # there now is not published again if it is seen that senders would refuse to deliver.
    there = served is not None
    done = [write for write in observed.memory.policy(FILE).writes if write.done]
    served = served or (policy_of(done[-1].text) if done else None)
    rollout = observed.memory.rollout(FILE)
    if joined(names, observed.memory, settings):
        rollout = restarted_soak(rollout)
    aliases = [alias for many in alias_names(observed, settings).values() for alias in many]
    reports = evidence_for(observed.reports, [*names, *aliases])
    own = {
        name: proven(settings.for_domain(name), rollout, served, settings, reports, observed.now)
        for name in names
    }
    floor = policy_of(observed.memory.policy(FILE).floor)
    others = served_too(observed, settings, listed)
    mx = all_patterns(
        [
            *(asked_patterns(observed, own[name], (name,), hostname, served) for name in names),
            *(other.mx for other in others.values()),
            *(moved_to(observed, name) for name in names),
        ]
    )
    mode_asked = min((settings_.mode for settings_ in own.values()), key=lambda mode: mode.strength)
    configured = min(settings_.max_age for settings_ in own.values())
    named = _named(settings, own, mode_asked, configured)
    if floor is not None and "mx" not in named:
        mx = all_patterns([mx, floor.mx])
    if floor is not None and "mode" not in named and floor.mode.strength > mode_asked.strength:
        mode_asked = floor.mode
    mode, notices = safe_for_all(observed, own | others, others, mode_asked, mx, served, there=there)
    max_age = max_age_for(mode, configured)
    if floor is not None and "max_age" not in named:
        max_age = max(max_age, floor.max_age)
    kept = kept_patterns(observed, FILE, served, mx, configured) if mode is Mode.ENFORCE else ()
    notices += _not_alone(own, mode, configured, mx)
    for name in names:
        notices += unvalidated(observed, own[name], (name,), hostname, mx)
    reason = f"one policy in mode {mode} for {len(names)} domains"
    said = (said_by_senders(mode, one, served, reports, rollout) for one in own.values())
    reason += next(filter(None, said), "")
    return DesiredPolicy(Policy(mode, max_age, (*mx, *kept)), reason, notices, kept, named)


def served_too(observed: Observed, settings: Settings, listed: DomainList) -> dict[str, DomainSettings]:
    """Further names that the one file is served for, each with its settings: the web server serves it for any name.

    These are the alias domains, also of a target that is switched off, and the domains that do not (or no longer)
    receive mail here, unless their policy host is seen to be elsewhere: senders may still fetch the file for them.
    """
    known = managed(listed, settings)
    own = observed.dns.addresses_of(own_hostname(observed) or "")
    found: dict[str, DomainSettings] = {}
    for domain in known:
        if domain.receives:
            continue
        host = observed.dns.addresses_of(policy_host(domain.name))
        there = host.value.addresses if isinstance(host, Seen) else None
        if there is not None and isinstance(own, Seen) and own.value.addresses:
            there &= own.value.addresses
        if there is None or there:  # an address that is not known may be this server's
            found[domain.name] = settings.for_domain(domain.name)
    targets = {domain.name for domain in known}
    for target, aliases in alias_names(observed, settings).items():
        if target in targets:
            found.update(dict.fromkeys(aliases, settings.for_domain(target)))
    return found


def joined(names: Iterable[str], memory: Memory, settings: Settings) -> frozenset[str]:
    """The domains with `mode: auto` in the one file that were never checked: the soak does not cover them yet."""
    return frozenset(name for name in names if settings.for_domain(name).auto and name not in memory.checks)


def _named(
    settings: Settings, own: Mapping[str, DomainSettings], mode_asked: Mode, max_age: int
) -> frozenset[str]:
    """The fields of the one text that the settings name explicitly: for all domains, or for the decisive one."""

    def says(field: str, name: str) -> bool:
        return field in settings.explicit_for(name)

    found = {
        "mode": any(one.mode is mode_asked and says("mode", name) for name, one in own.items()),
        "max_age": any(one.max_age == max_age and says("max_age", name) for name, one in own.items()),
        "mx": all(says("mx", name) for name in own),
    }
    return frozenset(field for field, named in found.items() if named)


def _leaving_file(observed: Observed, settings: Settings, served: Policy | None) -> DesiredPolicy | None:
    """`sidecar retire --all`: `none` while senders may hold an enforce, and then no file (RFC 8461 §8.3)."""
    if served is None:
        return None
    assumed = max(settings.max_age, LEAST_ASSUMED_MAX_AGE, served.max_age)
    if held_for(observed.memory, FILE, assumed) > 0:
        why = "all domains are retired; senders may hold a policy in enforce, so `none` is served first"
        return DesiredPolicy(Policy(Mode.NONE, TESTING_MAX_AGE, served.mx), why)
    return DesiredPolicy(
        None,
        "all domains are retired, and no sender can hold a policy in enforce any more",
    )


def _not_alone(
    own: Mapping[str, DomainSettings], mode: Mode, max_age: int, mx: Sequence[str]
) -> tuple[Notice, ...]:
    """Settings of one domain that one file for all names cannot follow."""
    notices: list[Notice] = []
    for name, settings in own.items():
        demands: list[str] = []
        if settings.mode.strength > mode.strength and len({s.mode for s in own.values()}) > 1:
            demands.append(f"mode {settings.mode} (the file says {mode})")
        if settings.max_age > max_age:
            demands.append(f"max_age {settings.max_age} (the file says {max_age} at most)")
        if settings.mx and frozenset(settings.mx) != frozenset(mx):
            demands.append(f"mx {', '.join(settings.mx)} (the file says {', '.join(mx)})")
        if demands:
            notices.append(
                Notice(
                    Level.WARNING,
                    NoticeCode.FILE_NOT_ALONE,
                    name,
                    f"{to_unicode(name)} cannot have its own {' and '.join(demands)}: this mailcow serves one file for all",
                    "update mailcow to 2025-09 or later for a policy per domain",
                )
            )
    return tuple(notices)
