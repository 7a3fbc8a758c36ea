"""The desired policy of a domain or of the one file, and which domains it concerns; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sidecar.formats.mtasts_policy import Mode, Policy, is_mx_pattern
from sidecar.observed import FILE, Domain, DomainList, Observed, Seen
from sidecar.observed.notice import Notice
from sidecar.settings import Settings

TESTING_MAX_AGE = 86_400
"""Seconds; short while no mail can be refused, so that senders notice the next policy within a day."""


@dataclass(frozen=True, slots=True)
class DesiredPolicy:
    """The policy that should be served for a domain (None: nothing), and why it may differ from the settings."""

    policy: Policy | None
    reason: str
    notices: tuple[Notice, ...] = ()
    kept: tuple[str, ...] = ()
    """Patterns that are in `policy` only because they are served now and may not be dropped yet."""
    named: frozenset[str] = frozenset()
    """Which of mode, max_age and mx are taken from the settings literally."""

    def asked_for(self, served: Policy) -> bool:
        """Whether `served` is what would be written if nothing were served: a person who wrote it asks for the same."""
        return self.policy is not None and served.same_as(
            replace(self.policy, mx=tuple(pattern for pattern in self.policy.mx if pattern not in self.kept))
        )


def managed(listed: DomainList, settings: Settings) -> list[Domain]:
    """The domains that the settings let the sidecar manage, in the order of their names."""
    return [domain for domain in listed.domains if settings.manages(domain.name)]


def receiving(listed: DomainList, settings: Settings) -> list[str]:
    """The names of those whose mail is delivered here, so that they get a policy."""
    return [domain.name for domain in managed(listed, settings) if domain.receives]


def alias_names(observed: Observed, settings: Settings) -> dict[str, list[str]]:
    """The active alias domains for which the target's policy is served, by target: their MX must be covered, too."""
    found: dict[str, list[str]] = {}
    match observed.mailcow, observed.domains:
        case Seen(mailcow), Seen(listed) if mailcow.serves_alias_domains:
            for alias in listed.aliases:
                if alias.active and settings.manages(alias.name):
                    found.setdefault(alias.target, []).append(alias.name)
        case _:
            pass
    return found


def moved_to(observed: Observed, domain: str) -> tuple[str, ...]:
    """The MX hosts that a domain moves to: in the policy beside the old ones (`sidecar move-mx`)."""
    return tuple(move.host for move in observed.memory.moves if move.key in {domain, FILE})


def automatic(observed: Observed, settings: Settings, key: str) -> bool:
    """Whether the sidecar chooses the mode of a domain; of the one file: whether it does so for any of its domains."""
    if key != FILE or not isinstance(observed.domains, Seen):
        return settings.for_domain(key).auto
    return any(settings.for_domain(name).auto for name in receiving(observed.domains.value, settings))


def own_hostname(observed: Observed) -> str | None:
    match observed.conf:
        case Seen(conf) if is_mx_pattern(conf.hostname):
            return conf.hostname
        case _:
            return None


def all_patterns(many: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(pattern for patterns in many for pattern in patterns))


def max_age_for(mode: Mode, configured: int) -> int:
    return configured if mode is Mode.ENFORCE else min(TESTING_MAX_AGE, configured)
