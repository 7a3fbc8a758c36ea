"""How the world should be, for what was seen: the policies; pure.

Rule for every editor: a policy in enforce needs proof that every MX is covered; what is not known never makes
a policy stricter, and never takes anything away that senders rely on. Whether a policy is ours to change does
not belong here (`plan`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sidecar.formats.domain_name import policy_host, to_unicode
from sidecar.formats.mtasts_policy import Mode, Policy, is_mx_pattern, policy_of
from sidecar.observed import (
    FILE,
    Domain,
    DomainList,
    Fact,
    FactKind,
    Memory,
    Observed,
    PolicyMemory,
    Seen,
    Sight,
    Unseen,
)
from sidecar.observed.checks import Rollout
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.plan.ownership import LEAST_ASSUMED_MAX_AGE, held_for, longest_max_age, still_held
from sidecar.rollout import anew, auto_mode
from sidecar.settings import DomainSettings, Settings

TESTING_MAX_AGE = 86_400
"""Seconds; short while nothing is at stake, so that what follows is noticed within a day."""

PROOF_LASTS_S = 172_800.0
"""Seconds: each domain is checked at least once a day, and one check may be missed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What should be served for a domain (`policy` None: nothing), and why it is not simply what settings say."""

    policy: Policy | None
    reason: str
    notices: tuple[Notice, ...] = ()
    kept: tuple[str, ...] = ()
    """Patterns in `policy` only because they are served now and may not be dropped yet."""
    named: frozenset[str] = frozenset()
    """Which of mode, max_age and mx are what the settings say, word for word."""

    def asked_for(self, served: Policy) -> bool:
        """Whether `served` is what would be written if nothing were served: a person who wrote it asks for the same."""
        return self.policy is not None and served.same_as(
            replace(self.policy, mx=tuple(pattern for pattern in self.policy.mx if pattern not in self.kept))
        )


def managed(listed: DomainList, settings: Settings) -> list[Domain]:
    """The domains that the settings do not keep our hands off, in the order of their names."""
    return [domain for domain in listed.domains if settings.manages(domain.name)]


def alias_names(observed: Observed, settings: Settings) -> dict[str, list[str]]:
    """The active alias domains, by target, that are served the target's policy: their MX must be covered, too."""
    found: dict[str, list[str]] = {}
    match observed.mailcow, observed.domains:
        case Seen(mailcow), Seen(listed) if mailcow.serves_alias_domains:
            for alias in listed.aliases:
                if alias.active and settings.manages(alias.name):
                    found.setdefault(alias.target, []).append(alias.name)
        case _:
            pass
    return found


def native_policies(observed: Observed, settings: Settings, listed: DomainList) -> dict[str, Wanted]:
    """What each managed domain should be served on the native generation; a domain we know nothing to say of is left out."""
    hostname = _hostname(observed)
    aliases = alias_names(observed, settings)
    wanted: dict[str, Wanted] = {}
    for domain in managed(listed, settings):
        served = observed.served_of(domain.name)
        now_served = policy_of(served.value.text) if isinstance(served, Seen) else None
        if domain.receives and not observed.memory.retired & {domain.name, FILE}:
            if hostname is not None:
                names = (domain.name, *aliases.get(domain.name, ()))
                wanted[domain.name] = _for_domain(observed, settings, names, hostname, now_served)
        elif isinstance(served, Seen) and served.value.text is not None:
            leaving = _leaving(observed, settings, domain, now_served)
            if leaving is not None:
                wanted[domain.name] = leaving
    return wanted


def _hostname(observed: Observed) -> str | None:
    match observed.conf:
        case Seen(conf) if is_mx_pattern(conf.hostname):
            return conf.hostname
        case _:
            return None


def _for_domain(
    observed: Observed, settings: Settings, names: Sequence[str], hostname: str, served: Policy | None
) -> Wanted:
    """`names` are the domain and its alias domains."""
    name = names[0]
    own = _proven(
        settings.for_domain(name), observed.memory.rollout(name), served, settings.soak, observed.now
    )
    mx = _union([own.mx or (hostname,), moved_to(observed, name)])
    mode, notices = _safe_for_all(observed, dict.fromkeys(names, own), names[1:], own.mode, mx, served)
    kept = _kept(observed, name, served, mx, own.max_age) if mode is Mode.ENFORCE else ()
    policy = Policy(mode, _max_age(mode, own.max_age), (*mx, *kept))
    return Wanted(policy, _why(mode, own, notices), notices, kept)


def moved_to(observed: Observed, domain: str) -> tuple[str, ...]:
    """The MX hosts that a domain moves to: served beside the old ones (`sidecar move-mx`)."""
    return tuple(move.host for move in observed.memory.moves if move.key in {domain, FILE})


def automatic(observed: Observed, settings: Settings, key: str) -> bool:
    """Whether the sidecar itself decides on the mode: of a domain; of the one file if it does so for any of its domains."""
    if key != FILE or not isinstance(observed.domains, Seen):
        return settings.for_domain(key).auto
    receiving = [d.name for d in managed(observed.domains.value, settings) if d.receives]
    return any(settings.for_domain(name).auto for name in receiving)


def _proven(
    own: DomainSettings, rollout: Rollout, served: Policy | None, soak: float, now: float
) -> DomainSettings:
    """With `mode: auto`: the mode that the checks have earned; those of long ago earn no step up."""
    if not own.auto:
        return own
    before = served.mode if served else None
    mode = auto_mode(rollout, before, soak)
    # A proof dated ahead of now is from before the clock was set back: nobody knows how old it is.
    fresh = 0 <= now - (rollout.good_at or 0.0) <= PROOF_LASTS_S
    if mode is Mode.ENFORCE and before is not mode and not fresh:
        mode = Mode.TESTING
    return replace(own, mode=mode)


def _why(mode: Mode, own: DomainSettings, notices: Sequence[Notice]) -> str:
    if own.mode is Mode.ENFORCE and mode is not Mode.ENFORCE:
        return "kept in testing: not every MX is known to be covered" if not notices else notices[0].message
    if own.auto:
        return _AUTO_REASON[mode]
    return f"mode {mode} as the settings say"


_AUTO_REASON = {
    Mode.NONE: "mode none",
    Mode.TESTING: "mode auto: testing until all checks have held for long enough",
    Mode.ENFORCE: "mode auto: all checks have held for long enough",
}


def _max_age(mode: Mode, configured: int) -> int:
    return configured if mode is Mode.ENFORCE else min(TESTING_MAX_AGE, configured)


def _safe_mode(
    own: DomainSettings,
    name: str,
    hosts: Sight[tuple[str, ...]],
    mx: Sequence[str],
    served: Policy | None,
    *,
    there: bool,
) -> tuple[Mode, tuple[Notice, ...]]:
    """The mode that may be served: enforce only where every MX is seen to be covered, or where it is served already.

    Not `there`: `served` is only what was served last.
    """
    if own.mode is not Mode.ENFORCE or own.allow_uncovered:
        return own.mode, ()
    last_enforced = served is not None and served.mode is Mode.ENFORCE
    enforced = last_enforced and there
    if isinstance(hosts, Unseen):
        return (Mode.ENFORCE if last_enforced else Mode.TESTING), ()
    trouble = "has no MX record"
    if hosts.value:
        # What is served in enforce is what senders go by: it keeps a host that is still an MX (`_kept`).
        patterns = _union([mx, served.mx if served is not None and last_enforced else ()])
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
                "correct the MX record, or add the host to `mx` of this domain in config.yml",
            ),
        )
    return Mode.TESTING, (
        Notice(
            Level.WARNING,
            NoticeCode.MX_UNCOVERED,
            name,
            f"{shown} {trouble}: kept in testing, not enforce",
            "correct the MX record, or add the host to `mx` of this domain in config.yml",
        ),
    )


def _kept(
    observed: Observed, key: str, served: Policy | None, mx: Sequence[str], configured: int
) -> tuple[str, ...]:
    """Patterns that are no longer wanted, and may not be dropped yet."""
    matched = _still_matched(observed, key, served, mx, configured)
    return _union([matched, _still_held(observed, key, mx)])


def _still_matched(
    observed: Observed, key: str, served: Policy | None, mx: Sequence[str], configured: int
) -> tuple[str, ...]:
    """Patterns served in enforce that are no longer wanted, but were matched by an MX within the longest max_age.

    A pattern is let go only when no MX was seen to match it for as long as a sender may hold a policy.
    """
    if served is None or served.mode is not Mode.ENFORCE:
        return ()
    longest = longest_max_age(observed.memory.policy(key), max(configured, served.max_age))
    kept: list[str] = []
    for pattern in served.mx:
        if pattern in mx:
            continue
        if _unmatched_for(observed, key, pattern) < longest:
            kept.append(pattern)
    return tuple(kept)


def _still_held(observed: Observed, key: str, mx: Sequence[str]) -> tuple[str, ...]:
    """Patterns of an enforce that is no longer served, as long as a sender may hold it.

    It may have been taken back for a while, or it was served on the other generation, before mailcow was updated or
    set back.
    """
    found: dict[str, None] = {}
    for policy, max_age in still_held(observed.memory, key):
        for pattern in policy.mx:
            if pattern not in mx and _unmatched_for(observed, key, pattern) < max_age:
                found[pattern] = None
    return tuple(found)


def _unmatched_for(observed: Observed, key: str, pattern: str) -> float:
    return observed.memory.true_for(Fact(FactKind.UNMATCHED, unmatched_subject(key, pattern)))


def unmatched_subject(key: str, pattern: str) -> str:
    """The subject of an UNMATCHED fact."""
    return f"{key} {pattern}"


def _leaving(observed: Observed, settings: Settings, domain: Domain, served: Policy | None) -> Wanted | None:
    """A domain that takes no mail here any more: `none` while senders may hold an enforce, then nothing (RFC 8461 §8.3).

    None where no name is known to write as its mx.
    """
    why = "is switched off in mailcow" if not domain.active else "became a backup MX"
    if domain.receives:
        why = "is taken out of MTA-STS by `sidecar retire`"
    configured = settings.for_domain(domain.name).max_age
    assumed = max(configured, LEAST_ASSUMED_MAX_AGE, served.max_age if served else 0)
    if served is None or held_for(observed.memory, domain.name, assumed) > 0:
        hostname = _hostname(observed)
        mx = served.mx if served and served.mx else (hostname,) if hostname else ()
        if not mx:
            return None
        return Wanted(
            Policy(Mode.NONE, TESTING_MAX_AGE, mx),
            f"{to_unicode(domain.name)} {why}; senders may hold a policy in enforce, so `none` is served first",
        )
    return Wanted(
        None, f"{to_unicode(domain.name)} {why}, and no sender can hold a policy in enforce any more"
    )


def file_policy(
    observed: Observed, settings: Settings, listed: DomainList, served: Policy | None
) -> Wanted | None:
    """The one policy for all names on the file generation; None where there is nothing to say of.

    mx is the union, mode the weakest and max_age the smallest of what the domains should have; what was taken
    over from a person (the floor) is not undercut unless the settings name that field.
    """
    hostname = _hostname(observed)
    names = [domain.name for domain in managed(listed, settings) if domain.receives]
    if FILE in observed.memory.retired:
        return _leaving_file(observed, settings, served)
    if hostname is None or not names:
        return None
    # A file that is gone or broken is put back as it was: nobody asked for anything else. But an enforce that is not
    # there now is not published anew where it is seen that senders would refuse to deliver.
    there = served is not None
    served = served or _last_in_file(observed.memory.policy(FILE))
    rollout = observed.memory.rollout(FILE)
    if joined(names, observed.memory, settings):
        rollout = anew(rollout)
    own = {
        name: _proven(settings.for_domain(name), rollout, served, settings.soak, observed.now)
        for name in names
    }
    floor = policy_of(observed.memory.policy(FILE).floor)
    others = served_too(observed, settings, listed)
    mx = _union(
        [
            *(own[name].mx or (hostname,) for name in names),
            *(other.mx for other in others.values()),
            *(moved_to(observed, name) for name in names),
        ]
    )
    wished = min((settings_.mode for settings_ in own.values()), key=lambda mode: mode.strength)
    configured = min(settings_.max_age for settings_ in own.values())
    named = _named(settings, own, wished, configured)
    if floor is not None and "mx" not in named:
        mx = _union([mx, floor.mx])
    if floor is not None and "mode" not in named and floor.mode.strength > wished.strength:
        wished = floor.mode
    mode, notices = _safe_for_all(observed, own | others, others, wished, mx, served, there=there)
    max_age = _max_age(mode, configured)
    if floor is not None and "max_age" not in named:
        max_age = max(max_age, floor.max_age)
    kept = _kept(observed, FILE, served, mx, configured) if mode is Mode.ENFORCE else ()
    notices += _not_alone(own, mode, configured, mx)
    reason = f"one policy in mode {mode} for {len(names)} domains"
    return Wanted(Policy(mode, max_age, (*mx, *kept)), reason, notices, kept, named)


def served_too(observed: Observed, settings: Settings, listed: DomainList) -> dict[str, DomainSettings]:
    """What else the one file is served for, each with the settings that count: the web server serves it for any name.

    These are the alias domains, also of a target that is switched off, and the domains that take no mail here
    (any more) and whose policy host is not seen to be elsewhere: senders may go on fetching the file for them.
    """
    known = managed(listed, settings)
    found = {d.name: settings.for_domain(d.name) for d in known if not d.receives}
    found = {name: one for name, one in found.items() if _may_lead_here(observed, name)}
    targets = {domain.name for domain in known}
    for target, aliases in alias_names(observed, settings).items():
        if target in targets:
            found.update(dict.fromkeys(aliases, settings.for_domain(target)))
    return found


def _may_lead_here(observed: Observed, domain: str) -> bool:
    hostname = _hostname(observed) or ""
    match observed.dns.addresses_of(policy_host(domain)), observed.dns.addresses_of(hostname):
        case Seen(host), Seen(own) if own.addresses:
            return bool(host.addresses & own.addresses)
        case Seen(host), _:
            return bool(host.addresses)
        case _:
            return True


def joined(names: Iterable[str], memory: Memory, settings: Settings) -> frozenset[str]:
    """The domains with `mode: auto` that the one file serves and that were never looked at: the soak is not theirs yet."""
    return frozenset(name for name in names if settings.for_domain(name).auto and name not in memory.checks)


def _last_in_file(memory: PolicyMemory) -> Policy | None:
    """What the sidecar wrote into the file last, as far as that is known."""
    done = [write for write in memory.writes if write.done]
    return policy_of(done[-1].text) if done else None


def _named(
    settings: Settings, own: Mapping[str, DomainSettings], wished: Mode, max_age: int
) -> frozenset[str]:
    """Which fields of the one text the settings decide by saying so: for all domains, or for the one that counts."""

    def says(field: str, name: str) -> bool:
        return field in settings.explicit_for(name)

    found = {
        "mode": any(one.mode is wished and says("mode", name) for name, one in own.items()),
        "max_age": any(one.max_age == max_age and says("max_age", name) for name, one in own.items()),
        "mx": all(says("mx", name) for name in own),
    }
    return frozenset(field for field, named in found.items() if named)


def _leaving_file(observed: Observed, settings: Settings, served: Policy | None) -> Wanted | None:
    """`sidecar retire --all`: `none` while senders may hold an enforce, and then no file (RFC 8461 §8.3)."""
    if served is None:
        return None
    assumed = max(settings.max_age, LEAST_ASSUMED_MAX_AGE, served.max_age)
    if held_for(observed.memory, FILE, assumed) > 0:
        why = "MTA-STS is left by `sidecar retire --all`; senders may hold a policy in enforce, so `none` is served first"
        return Wanted(Policy(Mode.NONE, TESTING_MAX_AGE, served.mx), why)
    return Wanted(
        None, "MTA-STS is left by `sidecar retire --all`, and no sender can hold a policy in enforce any more"
    )


def _union(many: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(pattern for patterns in many for pattern in patterns))


def _safe_for_all(
    observed: Observed,
    own: Mapping[str, DomainSettings],
    others: Collection[str],
    wished: Mode,
    mx: Sequence[str],
    served: Policy | None,
    *,
    there: bool = True,
) -> tuple[Mode, tuple[Notice, ...]]:
    """Every name that the text serves is asked; one that must not be enforced holds it back.

    One of the `others`, which are no domains that receive mail here, takes none where it has no MX record, so that
    nothing of it can be refused.
    """
    notices: tuple[Notice, ...] = ()
    mode = wished
    for name, settings in own.items():
        hosts = observed.dns.mx_of(name)
        if name in others and isinstance(hosts, Seen) and not hosts.value:
            continue
        safe, found = _safe_mode(replace_mode(settings, wished), name, hosts, mx, served, there=there)
        notices += found
        if safe.strength < mode.strength:
            mode = safe
    return mode, notices


def replace_mode(settings: DomainSettings, mode: Mode) -> DomainSettings:
    """The same settings with another mode."""
    return settings if settings.mode is mode else replace(settings, mode=mode)


def _not_alone(
    own: Mapping[str, DomainSettings], mode: Mode, max_age: int, mx: Sequence[str]
) -> tuple[Notice, ...]:
    """Per-domain settings that one file for all names cannot honour alone."""
    notices: list[Notice] = []
    for name, settings in own.items():
        wishes: list[str] = []
        if settings.mode.strength > mode.strength and len({s.mode for s in own.values()}) > 1:
            wishes.append(f"mode {settings.mode} (the file says {mode})")
        if settings.max_age > max_age:
            wishes.append(f"max_age {settings.max_age} (the file says {max_age} at most)")
        if settings.mx and frozenset(settings.mx) != frozenset(mx):
            wishes.append(f"mx {', '.join(settings.mx)} (the file says {', '.join(mx)})")
        if wishes:
            notices.append(
                Notice(
                    Level.WARNING,
                    NoticeCode.FILE_NOT_ALONE,
                    name,
                    f"{to_unicode(name)} cannot have its own {' and '.join(wishes)}: this mailcow serves one file for all",
                    "update mailcow to 2025-09 or later for a policy per domain",
                )
            )
    return tuple(notices)
