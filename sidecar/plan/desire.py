"""How the world should be, for what was seen: the one place that says so; pure.

Rule for every editor: nothing here compares with what is there, which is the plan's work. Where a part was not seen,
nothing is desired of it: nothing is written, and nothing is taken away.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.observed import FILE, Backend, Observed, Seen
from sidecar.plan.acme.names import our_names, scene
from sidecar.plan.conf_entries import NO_ENTRIES, Entries, kept_entries, wanted_entries
from sidecar.plan.desired import DesiredPolicy, file_policy, native_policies
from sidecar.plan.file import served_by_file
from sidecar.plan.records import MailDomain, mail_domains
from sidecar.settings import Settings


@dataclass(frozen=True, slots=True)
class DesiredEntries:
    """The entries of the two SAN settings of mailcow.conf, by key."""

    wanted: Entries
    """What each key should have, besides what the administrator has there."""
    kept: Entries = field(default_factory=lambda: NO_ENTRIES)
    """What stays where it is there, though it is not wanted."""


@dataclass(frozen=True, slots=True)
class Desired:
    """How the world should be; a part of which nothing can be said is empty or None."""

    policies: Mapping[str, DesiredPolicy] = field(default_factory=dict)
    """By `Observed.policy_key`: of each domain, or of the one file."""
    entries: DesiredEntries | None = None
    names: tuple[str, ...] = ()
    """The policy hosts that should be in a certificate."""
    mail_domains: tuple[MailDomain, ...] = ()
    """The domains that need records in the DNS; `records.needed` says which, and what is there."""


def desire(observed: Observed, settings: Settings) -> Desired:
    """What should be, for this picture and what is remembered (`observed.memory`)."""
    found = scene(observed)
    return Desired(
        _policies(observed, settings),
        _entries(observed, settings),
        () if isinstance(found, str) else tuple(our_names(found, settings, observed)),
        mail_domains(observed, settings),
    )


def _policies(observed: Observed, settings: Settings) -> Mapping[str, DesiredPolicy]:
    match observed.mailcow, observed.domains:
        case Seen(mailcow), Seen(listed):
            if mailcow.backend is not Backend.FILE:
                return native_policies(observed, settings, listed)
            wanted = file_policy(observed, settings, listed, served_by_file(observed))
            return {} if wanted is None else {FILE: wanted}
        case _:
            return {}


def _entries(observed: Observed, settings: Settings) -> DesiredEntries | None:
    match observed.mailcow, observed.conf, observed.domains:
        case Seen(mailcow), Seen(), Seen(listed):
            if FILE in observed.memory.retired and not served_anything(observed):
                # MTA-STS was left: no name is needed any more, and those that the sidecar added come out.
                return DesiredEntries(NO_ENTRIES)
            return DesiredEntries(
                wanted_entries(observed, settings, mailcow, listed),
                kept_entries(observed, settings, mailcow, listed),
            )
        case _:
            return None


def served_anything(observed: Observed) -> bool:
    """Whether a policy is served, or may be: what was not seen may be there."""
    match observed.mailcow:
        case Seen(mailcow) if mailcow.backend is Backend.NATIVE:
            return any(not isinstance(s, Seen) or s.value.text is not None for s in observed.served.values())
        case _:
            return not isinstance(observed.file, Seen) or observed.file.value.data is not None
