"""Which policy a TLS report is about, and which one its sender applied (RFC 8460 §4.4); for everybody who decides.

Rule for every editor: no pydantic here. What reads reports is in `tls_report`.
"""

from dataclasses import dataclass
from enum import StrEnum

from sidecar.formats.mtasts_policy import Mode


class PolicyKind(StrEnum):
    """The policy types of RFC 8460 §4.4."""

    STS = "sts"
    TLSA = "tlsa"
    NONE = "no-policy-found"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class HeldPolicy:
    """The policy that the sender applied (`policy-string`); `max_age` in seconds. What it did not give is None."""

    mode: Mode | None
    max_age: int | None
    mx: tuple[str, ...]
