"""TLS reports as values: how one came in, who proved to have sent it, and the sums of a day.

Rule for every editor: values only; what follows from them is decided in `rollout.reports`. Times are Unix seconds.
"""

from dataclasses import dataclass
from enum import StrEnum

from sidecar.formats.tls_report import Held, Kind


class Way(StrEnum):
    """How a report came in."""

    SMTP = "smtp"
    """Through mailcow, to the sidecar's own SMTP port."""
    IMAP = "imap"
    HTTPS = "https"
    """Posted by anybody: nothing proves its origin."""
    IMPORT = "import"


class Dkim(StrEnum):
    """What the DKIM signatures of a report's message prove (RFC 8460 §3)."""

    PASS = "pass"  # noqa: S105 - a result, not a password
    FAIL = "fail"
    NONE = "none"
    UNKNOWN = "unknown"
    """It could not be checked: the DNS gave no answer, for instance."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The result of the check; `domain` is the signing domain (an A-label) of PASS, `reason` a sentence for others."""

    dkim: Dkim
    domain: str | None = None
    reason: str = ""


UNSIGNED = Proof(Dkim.NONE, reason="it came without a signature")


@dataclass(frozen=True, slots=True)
class Failed:
    """How often sessions failed so; texts as the sender wrote them."""

    result: str
    sessions: int
    mx: str = ""
    sending_ip: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reported:
    """One policy of one report: what an organisation says of one domain on one day."""

    domain: str
    organisation: str
    """Its own word."""
    day: str
    """UTC, `2026-11-25`."""
    received_at: float
    way: Way
    proof: Proof
    kind: Kind
    ok: int
    failed: int
    failures: tuple[Failed, ...] = ()
    held: Held | None = None

    @property
    def sender(self) -> str | None:
        """Who proved to have sent it; None where nobody did, and always for HTTPS."""
        if self.way is Way.HTTPS or self.proof.dkim is not Dkim.PASS:
            return None
        return self.proof.domain
