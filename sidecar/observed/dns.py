"""Questions about names, and the answers of the DNS."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sidecar.observed.sight import NOT_ASKED, Sight


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a name resolves to; no addresses is an answer (NXDOMAIN or no such record)."""

    addresses: frozenset[str]
    cname: str | None = None


@dataclass(frozen=True, slots=True)
class Caa:
    """The CAA records that count for a name (RFC 8659 §3); `owner` is None if there are none at all."""

    owner: str | None
    issue: tuple[str, ...] = ()
    """The values of its `issue` properties as they are written, without white space around them."""

    @property
    def issuers(self) -> tuple[str, ...]:
        """The domain of the issuer in each value, in lower case; empty: no issuer is allowed."""
        return tuple(sorted({value.partition(";")[0].strip(" \t").lower() for value in self.issue}))

    def allows(self, issuer: str) -> bool:
        """RFC 8659 §4.2: records without any `issue` property restrict nothing."""
        return not self.issue or issuer in self.issuers

    def parameters(self, issuer: str) -> tuple[Mapping[str, str], ...]:
        """The parameters (RFC 8657), names in lower case, of each value that allows this issuer."""
        return tuple(
            {
                tag.strip(" \t").lower(): value.strip(" \t")
                for part in rest.split(";")
                if part.strip(" \t")
                for tag, _, value in [part.partition("=")]
            }
            for domain, _, rest in (value.partition(";") for value in self.issue)
            if domain.strip(" \t").lower() == issuer
        )


@dataclass(frozen=True, slots=True)
class Txt:
    """The TXT records of a name, the strings of each joined, sorted; no record is an answer, too."""

    strings: tuple[str, ...] = ()
    """Each octet is one character here (ISO 8859-1), so that any content can be represented."""
    cname: str | None = None
    """The end of the name's chain of aliases, if it has any."""


class Kind(StrEnum):
    """What is asked; of the DNS unless noted otherwise."""

    __hash__ = str.__hash__  # Enum's own hash is slow, and a pass has tens of thousands of questions

    ADDRESSES = "addresses"
    MX = "mx"
    CAA = "caa"
    """The CAA records that count for the name: its own, or the nearest above it (RFC 8659 §3)."""
    CAA_AT = "caa at"
    """The CAA records of the name itself, not of its parents: acme-mailcow checks these."""
    TXT = "txt"
    ACME_LOG = "acme log"
    """Not the DNS: the state of acme-mailcow's containers, and its last run by its log."""
    CHALLENGE = "challenge"
    """Not the DNS: whether this server answers for the name on port 80."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask about a name."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Dns:
    """Answers by name; a name that was never asked is missing here (`…_of` returns `NOT_ASKED`)."""

    addresses: Mapping[str, Sight[Addresses]] = field(default_factory=dict)
    mx: Mapping[str, Sight[tuple[str, ...]]] = field(default_factory=dict)
    """MX hosts in lower case without a final dot; none at all is an answer."""
    caa: Mapping[str, Sight[Caa]] = field(default_factory=dict)
    txt: Mapping[str, Sight[Txt]] = field(default_factory=dict)
    caa_at: Mapping[str, Sight[Caa]] = field(default_factory=dict)

    def addresses_of(self, name: str) -> Sight[Addresses]:
        return self.addresses.get(name, NOT_ASKED)

    def mx_of(self, domain: str) -> Sight[tuple[str, ...]]:
        return self.mx.get(domain, NOT_ASKED)

    def caa_of(self, name: str) -> Sight[Caa]:
        """The CAA records that count for `name`."""
        return self.caa.get(name, NOT_ASKED)

    def caa_at_of(self, name: str) -> Sight[Caa]:
        """The CAA records of `name` itself."""
        return self.caa_at.get(name, NOT_ASKED)

    def txt_of(self, name: str) -> Sight[Txt]:
        return self.txt.get(name, NOT_ASKED)
