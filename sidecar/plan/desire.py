"""How the world should be, for what was observed: the only place that decides it; pure.

Rule for every editor: nothing here compares with what is there: the plan does that. For a part that was not observed
nothing is desired: nothing is written, and nothing is removed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.observed import FILE, Backend, Observed, Seen
from sidecar.plan.acme.names import our_names, scene
from sidecar.plan.conf_entries import NO_ENTRIES, Entries, kept_entries, wanted_entries
from sidecar.plan.desired_policies.file import file_policy
from sidecar.plan.desired_policies.native import native_policies
from sidecar.plan.desired_policies.policy import DesiredPolicy
from sidecar.plan.ownership import served_by_file
from sidecar.plan.records import MailDomain, mail_domains
from sidecar.settings import Settings


@dataclass(frozen=True, slots=True)
class DesiredEntries:
    """The entries of the two SAN settings of mailcow.conf, by key."""

    wanted: Entries
    """What each key should have, besides the entries of the administrator."""
    kept: Entries = field(default_factory=lambda: NO_ENTRIES)
    """Entries that stay if they are there, though they are not needed."""


@dataclass(frozen=True, slots=True)
class Desired:
    """How the world should be; a part that cannot be decided is empty or None."""

    policies: Mapping[str, DesiredPolicy] = field(default_factory=dict)
    """By `Observed.policy_key`: of each domain, or of the one file."""
    entries: DesiredEntries | None = None
    names: tuple[str, ...] = ()
    """The policy hosts that should be in a certificate."""
    mail_domains: tuple[MailDomain, ...] = ()
    """The domains that need DNS records; `records.needed` lists the records, and what the DNS has."""


def desire(observed: Observed, settings: Settings) -> Desired:
    """What should be, for this picture and the memory in it (`observed.memory`)."""
    policies: Mapping[str, DesiredPolicy] = {}
    entries: DesiredEntries | None = None
    if isinstance(observed.mailcow, Seen) and isinstance(observed.domains, Seen):
        mailcow, listed = observed.mailcow.value, observed.domains.value
        if mailcow.backend is not Backend.FILE:
            policies = native_policies(observed, settings, listed)
            # What was not observed may still be served.
            sights = observed.served.values()
            serving = any(not isinstance(s, Seen) or s.value.text is not None for s in sights)
        else:
            wanted = file_policy(observed, settings, listed, served_by_file(observed))
            policies = {} if wanted is None else {FILE: wanted}
            serving = not isinstance(observed.file, Seen) or observed.file.value.data is not None
        if isinstance(observed.conf, Seen):
            conf = observed.conf.value
            # All domains were retired: no name is needed any more, and those that the sidecar added are removed.
            all_left = FILE in observed.memory.retired and not serving
            entries = (
                DesiredEntries(NO_ENTRIES)
                if all_left
                else DesiredEntries(
                    wanted_entries(observed, settings, conf, mailcow, listed),
                    kept_entries(observed, settings, conf, mailcow, listed),
                )
            )
    found = scene(observed)
    names = () if isinstance(found, str) else tuple(our_names(found, settings, observed))
    return Desired(policies, entries, names, mail_domains(observed, settings))
