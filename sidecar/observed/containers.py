"""The containers of mailcow's compose project, and what acme-mailcow's log says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sidecar.observed.sight import NOT_ASKED, Sight


@dataclass(frozen=True, slots=True)
class Container:
    """A container of this compose project; times are Unix seconds, 0 if the Engine has none."""

    id: str
    name: str
    service: str
    state: str
    """The Engine's word: created, running, restarting, removing, paused, exited, dead."""
    created_at: float
    started_at: float
    env: Mapping[str, str] = field(default_factory=dict)
    """Only for acme-mailcow and nginx-mailcow, empty for others."""
    own: bool = False
    """Whether this is the sidecar itself."""


class RefusedFor(StrEnum):
    """The check of acme-mailcow or of the authority that a name failed."""

    CAA = "CAA"
    NO_ADDRESS = "no address"
    ADDRESS = "another address"
    HTTP = "HTTP probe"
    POLICY = "no active policy"
    ORDER = "the order"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why acme-mailcow left a name out of its last run: its own words, and the address that it saw in the DNS."""

    why: RefusedFor
    words: str
    at: float
    address: str | None = None
    """None if it saw no address, or does not say which."""


@dataclass(frozen=True, slots=True)
class AcmeRun:
    """The last run of acme-mailcow, by its log; times in Unix seconds."""

    at: float
    ipv4: str | None = None
    """The public address that it detected; None if it detected none."""
    ipv6: str | None = None
    detected: bool = False
    """Whether it tried to detect its addresses (it does not with SKIP_IP_CHECK=y)."""
    confirmed: frozenset[int] = frozenset()
    """The address families (4, 6) over which its HTTP probe of some name worked."""
    refused: Mapping[str, Refusal] = field(default_factory=dict)
    """By name, in lower case."""
    refused_parents: Mapping[str, Refusal] = field(default_factory=dict)
    """CAA: it names only the parent of the name."""
    failure: tuple[str, ...] = ()
    """Its lines about an order that failed."""
    reached: frozenset[str] = frozenset()
    """The addresses, as it writes them, over which its HTTP probe of some name worked."""

    def refusal(self, name: str) -> Refusal | None:
        """Why it refused this name; None if it did not."""
        return self.refused.get(name) or self.refused_parents.get(name.partition(".")[2])


class Answered(StrEnum):
    """How the HTTP probe of a name ended."""

    YES = "this server answered over the public network"
    INSIDE = "nginx-mailcow answers for the name, but its public address cannot be reached from here"
    NO = "something else answered"


@dataclass(frozen=True, slots=True)
class Challenge:
    """The HTTP probe of a name, made as acme-mailcow and Let's Encrypt make theirs; `said` is for people."""

    answered: Answered
    said: str = ""


OLD_SUFFIX = "-before-mta-sts"
NEW_SUFFIX = "-by-mta-sts"
"""Suffixes of the names of acme-mailcow's two containers while it is being re-created.

Neither name may be the usual one, nor one that Compose gives to a container that it re-creates: Compose re-creates
one of the two and removes the other *at the same time*; which one depends on its version. If a name that it needs
were in use, `docker compose up -d` would fail."""


@dataclass(frozen=True, slots=True)
class Project:
    """The compose project that the sidecar belongs to, without one-off containers."""

    name: str
    containers: tuple[Container, ...]
    acme_sleep: Sight[str | None] = NOT_ASKED
    """The argument of the `sleep` that acme-mailcow waits in (1d, 30m, …); None while it is working."""
    acme_run: Sight[AcmeRun] = NOT_ASKED
    """acme-mailcow's last run by its log; only while it sleeps between two runs."""

    def service(self, name: str) -> Container | None:
        """The container of a service; the running one if there are several."""
        found = sorted((c for c in self.containers if c.service == name), key=lambda c: c.state != "running")
        return found[0] if found else None

    @property
    def left_over(self) -> tuple[str, ...]:
        """The names of containers that an interrupted re-creation of acme-mailcow left."""
        acme = (c.name for c in self.containers if c.service == "acme-mailcow")
        return tuple(name for name in acme if name.endswith((OLD_SUFFIX, NEW_SUFFIX)))
