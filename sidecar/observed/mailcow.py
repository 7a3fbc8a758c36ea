"""What mailcow is and says: its release, domains, mailcow.conf, served policies, and the keys of its API; values only.

Rule for every editor: a key is a `SecretStr`. Nothing that is made of these values for people shows one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from sidecar.formats.domain_name import to_ascii
from sidecar.formats.mtasts_policy import Policy, policy_of
from sidecar.observed.sight import Seen, Sight


class Backend(StrEnum):
    """How this mailcow serves policies (the *policy backend*)."""

    FILE = "file"
    """Before 2025-09: nginx serves one file for every name."""
    NATIVE = "native"
    """2025-09 and later: mta-sts.php serves a row per domain."""


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A mailcow release such as 2025-09c; an update of a month (a letter) sorts after the month itself."""

    year: int
    month: int
    letter: str = ""

    def __str__(self) -> str:
        return f"{self.year}-{self.month:02}{self.letter}"

    @classmethod
    def parse(cls, text: str | None) -> "Version | None":
        """None for a text that is not a release: mailcow says null without its app_info file, a commit off master."""
        found = re.fullmatch(r"(\d{4})-(\d{2})([a-z]?)", text or "", re.ASCII)
        return cls(int(found[1]), int(found[2]), found[3]) if found else None


FIRST_NATIVE = Version(2025, 9)
MX_LENGTH = 255
"""Native: characters of the column that holds all mx patterns of a policy, joined with commas."""


@dataclass(frozen=True, slots=True)
class Mailcow:
    """Which mailcow this is. An unknown version (None) counts as the newest of its backend."""

    backend: Backend
    version: Version | None

    def _native_since(self, first: Version) -> bool:
        return self.backend is Backend.NATIVE and (self.version is None or self.version >= first)

    @property
    def takes_wildcard_mx(self) -> bool:
        """2025-09, a and b refuse `*.example.org` as mx."""
        return self.backend is Backend.FILE or self._native_since(Version(2025, 9, "c"))

    @property
    def serves_alias_domains(self) -> bool:
        """2025-09 to 2025-12a answer 404 for an alias domain."""
        return self.backend is Backend.FILE or self._native_since(Version(2026, 1))

    @property
    def knows_dns_challenge(self) -> bool:
        """2026-03 and later use ACME_DNS_CHALLENGE; before, the key has no effect."""
        return self._native_since(Version(2026, 3))

    @property
    def leaves_names_to_wildcards(self) -> bool:
        """2026-03a and later: with the DNS challenge a listed `*.example.org` replaces the names below it."""
        return self._native_since(Version(2026, 3, "a"))

    @property
    def names_follow_policies(self) -> bool:
        """2026-07a and later order `mta-sts.<domain>` only if a policy is active, and skip a listed wildcard."""
        return self._native_since(Version(2026, 7, "a"))


@dataclass(frozen=True, slots=True)
class Domain:
    """A mail domain of mailcow; `name` is the lower-case A-label."""

    name: str
    active: bool
    backup_mx: bool

    @property
    def receives(self) -> bool:
        """Whether its mail is delivered on this mailcow: only such a domain gets a policy."""
        return self.active and not self.backup_mx


@dataclass(frozen=True, slots=True)
class AliasDomain:
    """Another name for a domain; both names are lower-case A-labels."""

    name: str
    target: str
    active: bool


@dataclass(frozen=True, slots=True)
class DomainList:
    """One whole answer: the domains and the alias domains of this mailcow, both in the order of their names."""

    domains: tuple[Domain, ...]
    aliases: tuple[AliasDomain, ...]

    @property
    def names(self) -> frozenset[str]:
        """The names of all domains and alias domains."""
        return frozenset(d.name for d in self.domains).union(alias.name for alias in self.aliases)

    @property
    def targets(self) -> dict[str, str]:
        """The domain that each alias domain stands for."""
        return {alias.name: alias.target for alias in self.aliases}


@dataclass(frozen=True, slots=True)
class Conf:
    """mailcow.conf as Compose reads it; of a key given twice, the last value. `locked` says why it cannot be written."""

    values: Mapping[str, str]
    locked: str | None = None

    @property
    def hostname(self) -> str:
        """MAILCOW_HOSTNAME as an A-label in lower case; as written if it is not a name; empty if it is missing."""
        return _as_host(self.values.get("MAILCOW_HOSTNAME", ""))

    def port(self, key: str, default: int) -> int | None:
        """The port that this key gives; `default` if it is missing or empty, None if the value is not a port."""
        text = self.values.get(key, "").strip()
        if not text:
            return default
        # `int` would also read digits of other scripts, and refuses thousands of them.
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
        return number if 0 < number < 65_536 else None

    def yes(self, key: str, default: str = "n") -> bool:
        """Whether mailcow reads the value as yes; `default` is used if the key is missing or empty."""
        return _YES.fullmatch(self.values.get(key) or default) is not None


_YES = re.compile(r"([yY][eE][sS]|[yY])+")


@lru_cache(maxsize=16)  # each of thousands of names is compared with it
def _as_host(written: str) -> str:
    text = written.strip().rstrip(".").lower()
    try:
        return to_ascii(text)
    except ValueError:
        return text


@dataclass(frozen=True, slots=True)
class Served:
    """What mailcow serves as the policy of a domain; `text` is None if it answers that there is none."""

    text: str | None


def policy_seen(served: Sight[Served]) -> Policy | None:
    """The policy in the served text; None if there is none, or it was not seen."""
    return policy_of(served.value.text) if isinstance(served, Seen) else None


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """The policy file of the file generation; `data` is None if there is no such file."""

    data: bytes | None
    locked: str | None = None
    readable: bool = True
    """Whether nginx, which is not root, may read it."""


if TYPE_CHECKING:  # some commands start in a moment, and pydantic takes longer than that to load
    from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One row of mailcow's table `api`; `allowed` is its allow list as it is stored."""

    key: "SecretStr"
    writes: bool
    """Whether it is the read-write key; mailcow's page knows one of each kind."""
    active: bool
    any_address: bool
    """Whether a person switched the address check off."""
    allowed: str


@dataclass(frozen=True, slots=True)
class Access:
    """All keys, and the IPv4 address from which the sidecar asks mailcow."""

    keys: tuple[ApiKey, ...]
    address: str
