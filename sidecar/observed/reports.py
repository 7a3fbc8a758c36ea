"""TLS reports as values: how one came in, who proved to have sent it, and the sums of a day.

Rule for every editor: values only; what follows from them is decided in `rollout.reports`. Times are Unix seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum

from sidecar.formats.tls_report_policy import HeldPolicy, PolicyKind
from sidecar.observed.checks import Status


class ReportWay(StrEnum):
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
    again: bool = False
    """Whether another try later may say more."""


UNSIGNED = Proof(Dkim.NONE, reason="it came without a signature")


def owner_of(sender: str) -> str:
    """The last two labels of a sender's domain: never finer than who owns it, so that one owner never counts twice."""
    return ".".join(sender.split(".")[-2:])


@dataclass(frozen=True, slots=True)
class Failed:
    """How often sessions failed so."""

    result: str
    """A result type of RFC 8460 §4.3, or another word, in lower case."""
    sessions: int


@dataclass(frozen=True, slots=True)
class Reported:
    """What one organisation reported of one domain for one day, its reports added up."""

    domain: str
    day: str
    """The UTC day that the reports are about, `2026-11-25`."""
    organisation: str
    """Its own word."""
    sender: str | None
    """The domain that proved by DKIM to have sent them; None if there is no proof, and always for HTTPS."""
    received_at: float
    """When the first of them was received: the only time here that no sender can choose."""
    kind: PolicyKind
    ok: int
    failed: int
    failures: tuple[Failed, ...] = ()
    held: HeldPolicy | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """The MTA-STS policy that an organisation applied last, by its own report."""

    domain: str
    organisation: str
    sender: str | None
    day: str
    held: HeldPolicy

    def seen_with_old(self, now: float) -> str:
        """`Google was seen with the old policy yesterday`, for people, where it is an old one."""
        days = (datetime.fromtimestamp(now, UTC).date() - date.fromisoformat(self.day)).days
        when = "today" if days <= 0 else "yesterday" if days == 1 else f"{days} days ago"
        proof = "" if self.sender else " (not proven)"
        return f"{self.organisation or self.sender or 'a sender'}{proof} was seen with the old policy {when}"


@dataclass(frozen=True, slots=True)
class DaySum:
    """Sessions of one day."""

    day: str
    ok: int
    failed: int


@dataclass(frozen=True, slots=True)
class ReportTotals:
    """Sessions of all domains together, and the failed ones by result type as senders wrote it."""

    ok: int
    failed: int
    failures: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class FailureSum:
    """Failed sessions of the same kind, the same sender and the same hosts, with the days they were reported for."""

    domain: str
    result: str
    organisation: str
    sender: str | None
    mx: str
    sending_ip: str
    reason: str
    sessions: int
    first_day: str
    last_day: str


@dataclass(frozen=True, slots=True)
class UnreadableMessage:
    """A message of which something could not be read; `problem` is a sentence."""

    id: int
    received_at: float
    way: ReportWay
    size: int
    problem: str


class Reason(StrEnum):
    """Why reports are clean, are not, or say nothing."""

    CLEAN = "reports-clean"
    REFUSED = "reports-refused"
    NONE = "no-reports"
    UNREAD = "reports-not-read"
    WAITING = "report-wanted"


@dataclass(frozen=True, slots=True)
class CleanReport:
    """The latest clean report of a proven sender that applied the current policy."""

    organisation: str
    sender: str
    day: str
    sessions: int

    @property
    def sentence(self) -> str:
        """`Google applied this policy on 2026-11-24, and 12 sessions succeeded`."""
        sessions = "1 session" if self.sessions == 1 else f"{self.sessions} sessions"
        return (
            f"{self.organisation or self.sender} applied this policy on {self.day}, and {sessions} succeeded"
        )


@dataclass(frozen=True, slots=True)
class ReportsClean:
    """The condition of one domain; `since` in Unix seconds, None where there is nothing to count from."""

    status: Status
    reason: Reason
    message: str
    since: float | None = None
    seen: CleanReport | None = None

    def holds_step_up(self, *, require: bool) -> bool:
        """Whether `mode: auto` waits; no reports at all is normal for a small domain, and waits only where required."""
        unread = self.reason is Reason.UNREAD
        return self.status is Status.FALSE or unread or (require and self.seen is None)


@dataclass(frozen=True, slots=True)
class Failing:
    """Sessions that a proven sender reported as failed, of one result type; `result` is one of the RFC, or `other`."""

    result: str
    sessions: int
    organisation: str
    day: str


@dataclass(frozen=True, slots=True)
class ReportEvidence:
    """What follows from the reports of a domain; all that a pass keeps of them."""

    clean: ReportsClean
    step_back: str | None = None
    """Why reports alone allow to step an enforced policy back; None where they do not."""
    step_back_with_check: str | None = None
    """Why they allow it where our own sender check fails as well."""
    refused_at: float = 0.0
    """When the last report of refused mail was received, proven or not; 0 where there is none."""
    refused: str = ""
    """What that report says, as a sentence."""
    old: tuple[Holding, ...] = ()
    """Some organisations that applied another policy than the one that is served, the latest first."""
    failing: tuple[Failing, ...] = ()
    """What proven senders reported as failed in the last 14 days: one entry for each result type, the latest report."""
    accused_at: float = 0.0
    """When the first of the recent reports was received that allow it with our own check; 0 where there is none."""


NO_EVIDENCE = ReportEvidence(
    ReportsClean(Status.UNKNOWN, Reason.NONE, "no reports of proven senders in the last 14 days")
)
UNREAD = ReportEvidence(
    ReportsClean(Status.UNKNOWN, Reason.UNREAD, "the reports that were received are not read yet")
)
