"""Which names the stand-in for acme-mailcow orders, by its environment, its release and mailcow's tables.

Rule for every editor: this does what mailcow's own script does, including its oddities, and shares no code with the
sidecar's prediction of it: otherwise the demo would test the sidecar against itself.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from demo.simulated_world import World
from sidecar.observed import FIRST_NATIVE, Version

_DEFAULTS = {
    "MAILCOW_HOSTNAME": "",
    "ADDITIONAL_SAN": "",
    "AUTODISCOVER_SAN": "y",
    "ENABLE_SSL_SNI": "n",
    "ONLY_MAILCOW_HOSTNAME": "n",
    "SKIP_LETS_ENCRYPT": "n",
    "SKIP_IP_CHECK": "n",
    "SKIP_HTTP_VERIFICATION": "n",
    "SNAT_TO_SOURCE": "n",
    "SNAT6_TO_SOURCE": "n",
    "ACME_DNS_CHALLENGE": "n",
    "TZ": "",
}
"""The default values of the container for settings that mailcow.conf lacks."""
_NEWEST = Version(9999, 12)
_YES = re.compile(r"([yY][eE][sS]|[yY])+")
_WHITE = re.compile(r"[ \t\n]+")


def environment(values: Mapping[str, str]) -> dict[str, str]:
    """The environment of acme-mailcow as Compose derives it from mailcow.conf."""
    return {key: values.get(key) or default for key, default in _DEFAULTS.items()}


@dataclass(frozen=True, slots=True)
class Script:
    """What differs between the releases of acme-mailcow."""

    mta_sts: bool
    """`mta-sts` goes with AUTODISCOVER_SAN=y."""
    aliases: bool
    """So do the policy hosts of alias domains."""
    dns_challenge: bool
    """ACME_DNS_CHALLENGE has an effect."""
    wildcards: bool
    """With it, a listed wildcard replaces the names below it."""
    policies: bool
    """Only domains with an active policy get `mta-sts`."""

    @classmethod
    def of(cls, text: str | None) -> "Script":
        """That of a release of mailcow; a text that is not a release counts as the newest."""
        version = Version.parse(text) or _NEWEST
        return cls(
            mta_sts=version >= FIRST_NATIVE,
            aliases=version >= Version(2026, 1),
            dns_challenge=version >= Version(2026, 3),
            wildcards=version >= Version(2026, 3, "a"),
            policies=version >= Version(2026, 7, "a"),
        )


@dataclass(frozen=True, slots=True)
class Options:
    """The environment of one run."""

    values: Mapping[str, str]
    script: Script

    def yes(self, key: str) -> bool:
        """y or yes, with capitals or without, and however often."""
        return _YES.fullmatch(self.values[key]) is not None

    @property
    def hostname(self) -> str:
        return self.values["MAILCOW_HOSTNAME"]

    @property
    def dns_challenge(self) -> bool:
        return self.script.dns_challenge and self.yes("ACME_DNS_CHALLENGE")

    def compared(self, family: int) -> bool:
        """Whether an address of this family (4, 6) is compared with the host's own."""
        snat = self.values["SNAT_TO_SOURCE" if family == 4 else "SNAT6_TO_SOURCE"]
        return not self.yes("SKIP_IP_CHECK") and snat == "n"

    def covered(self, name: str) -> bool:
        """Whether the name is left to a listed wildcard, which is looked for anywhere in the value."""
        wildcards = self.dns_challenge and self.script.wildcards
        return wildcards and f"*.{parent(name)}" in self.values["ADDITIONAL_SAN"]


@dataclass(frozen=True, slots=True)
class Tables:
    """What acme-mailcow reads from mailcow's database."""

    domains: tuple[str, ...]
    """Active ones for which the server is not merely a backup MX."""
    with_policy: frozenset[str]
    aliases: tuple[str, ...]
    """Active ones whose target has an active policy."""

    @classmethod
    def of(cls, world: World) -> "Tables":
        with_policy = frozenset(row.domain for row in world.policies.values() if row.active == 1)
        aliases = (row for row in world.aliases.values() if row.active == 1 and row.target in with_policy)
        return cls(
            tuple(row.name for row in world.rows() if row.active == 1 and row.backupmx == 0),
            with_policy,
            tuple(row.name for row in aliases),
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A name to be checked; or one that is not asked for, with the line that says so."""

    name: str
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """All candidates; those of `groups` share a certificate of their own under ENABLE_SSL_SNI=y."""

    groups: tuple[tuple[Candidate, ...], ...] = ()
    full: tuple[str, ...] = ()
    """Full names of ADDITIONAL_SAN."""


def selection(options: Options, tables: Tables) -> Selection:
    """The candidates beside MAILCOW_HOSTNAME, in the order in which they are looked at."""
    if options.yes("ONLY_MAILCOW_HOSTNAME"):
        return Selection()
    prefixes, full = _listed(options.values["ADDITIONAL_SAN"])
    autodiscover = options.yes("AUTODISCOVER_SAN")
    if autodiscover:
        prefixes += ["autodiscover", "autoconfig", *(["mta-sts"] if options.script.mta_sts else [])]
    with_policy = tables.with_policy if autodiscover else frozenset()
    groups = [tuple(_of_domain(options, prefixes, name, with_policy)) for name in tables.domains]
    if autodiscover and options.script.aliases:
        groups += [tuple(_of_alias(options, alias)) for alias in tables.aliases]
    return Selection(tuple(groups), tuple(full))


def parent(name: str) -> str:
    """The name without its first label; a single label is its own."""
    return name.partition(".")[2] or name


def _listed(value: str) -> tuple[list[str], list[str]]:
    """The prefixes and the full names in ADDITIONAL_SAN: items between commas, of which the shell makes words."""
    prefixes: list[str] = []
    full: list[str] = []
    for item in value.split(","):
        if item.endswith(".*"):
            prefixes += filter(None, _WHITE.split(item[:-2]))
        else:
            full += filter(None, _WHITE.split(item))
    return prefixes, full


def _of_domain(
    options: Options, prefixes: Iterable[str], domain: str, with_policy: frozenset[str]
) -> Iterable[Candidate]:
    for prefix in prefixes:
        name = f"{prefix}.{domain}"
        if prefix == "mta-sts" and options.script.policies and domain not in with_policy:
            line = f"MTA-STS is not enabled for {domain} - skipping mta-sts subdomain certificate"
            yield Candidate(name, line)
        elif name == options.hostname:
            continue
        elif options.covered(name):
            yield Candidate(name, f"Subdomain '{name}' is covered by wildcard - skipping explicit subdomain")
        else:
            yield Candidate(name)


def _of_alias(options: Options, alias: str) -> Iterable[Candidate]:
    name = f"mta-sts.{alias}"
    if name == options.hostname:
        return
    covered = f"Alias domain mta-sts subdomain '{name}' is covered by wildcard - skipping"
    yield Candidate(name, covered if options.covered(name) else "")
