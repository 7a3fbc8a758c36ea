"""The type of a policy in a TLS report, and the policy that the sender applied (RFC 8460 §4.4), as plain values.

Rule for every editor: no pydantic here, because modules that decide import this. Reports are read in `tls_report`.
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
    """The policy that the sender applied (`policy-string`); `max_age` in seconds. Missing values are None."""

    mode: Mode | None
    max_age: int | None
    mx: tuple[str, ...]
