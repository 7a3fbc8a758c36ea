"""The containers of mailcow's compose project, and what acme-mailcow's log says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sidecar.observed.sight import NOT_ASKED, Sight


@dataclass(frozen=True, slots=True)
class Container:
    """A container of this compose project; times are Unix seconds, 0 where the Engine has none."""

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
    """What acme-mailcow, or the authority, had against a name."""

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
    """None where it saw no address, or does not say which."""


@dataclass(frozen=True, slots=True)
class AcmeRun:
    """The last run of acme-mailcow, as its log tells it; times in Unix seconds."""

    at: float
    ipv4: str | None = None
    """The public address that it detected; None where it detected none."""
    ipv6: str | None = None
    detected: bool = False
    """Whether it looked for its addresses at all (it does not with SKIP_IP_CHECK=y)."""
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
        """What it said against this name, if anything."""
        return self.refused.get(name) or self.refused_parents.get(name.partition(".")[2])


class Answered(StrEnum):
    """How the HTTP probe of a name ended."""

    YES = "this server answered on the public way"
    INSIDE = "nginx-mailcow answers for the name, but the public way could not be reached from here"
    NO = "something else answered"


@dataclass(frozen=True, slots=True)
class Challenge:
    """The HTTP probe of a name, made as acme-mailcow and Let's Encrypt make theirs; `said` is for people."""

    answered: Answered
    said: str = ""


OLD_SUFFIX = "-before-mta-sts"
NEW_SUFFIX = "-by-mta-sts"
"""Names of acme-mailcow's containers while it is being re-created and two exist.

Neither may be the service's own, nor one that Compose itself gives to a container that it re-creates: Compose
re-creates one of the two and removes the other *at the same time*, and which one depends on its version. A name that
it needs would be taken, and `docker compose up -d` would fail."""


@dataclass(frozen=True, slots=True)
class Project:
    """The compose project that the sidecar belongs to, without one-off containers."""

    name: str
    containers: tuple[Container, ...]
    acme_sleep: Sight[str | None] = NOT_ASKED
    """The argument of the `sleep` that acme-mailcow waits in (1d, 30m, …), None where it is at work."""
    acme_run: Sight[AcmeRun] = NOT_ASKED
    """What acme-mailcow's log says of its last run; only while it sleeps between two runs."""

    def service(self, name: str) -> Container | None:
        """The container of a service; the running one where there are several."""
        found = sorted((c for c in self.containers if c.service == name), key=lambda c: c.state != "running")
        return found[0] if found else None

    @property
    def left_over(self) -> tuple[str, ...]:
        """The names of containers that a re-creation of acme-mailcow left when it was cut off."""
        acme = (c.name for c in self.containers if c.service == "acme-mailcow")
        return tuple(name for name in acme if name.endswith((OLD_SUFFIX, NEW_SUFFIX)))
