"""What senders reported for a domain, computed once for the terminal, the page and the API; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.formats.mtasts_policy import Policy
from sidecar.formats.tls_report_results import Meaning, meaning
from sidecar.observed.reports import (
    NO_EVIDENCE,
    DaySum,
    FailureSum,
    Holding,
    Reported,
    ReportsClean,
    UnreadableMessage,
)
from sidecar.rollout.reports import reports_clean


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure with what it means; `remedy` names the domain."""

    sum: FailureSum
    meaning: Meaning

    @property
    def remedy(self) -> str:
        return self.meaning.remedy.replace("DOMAIN", self.sum.domain or "DOMAIN")


@dataclass(frozen=True, slots=True)
class ReportsView:
    """What is known of a domain by reports."""

    domain: str
    days: tuple[DaySum, ...]
    failures: tuple[Failure, ...]
    holdings: tuple[Holding, ...]
    clean: ReportsClean
    unreadable: tuple[UnreadableMessage, ...] = ()

    @property
    def ok(self) -> int:
        return sum(day.ok for day in self.days)

    @property
    def failed(self) -> int:
        return sum(day.failed for day in self.days)


def view(
    domain: str,
    days: Sequence[DaySum],
    failures: Iterable[FailureSum],
    holdings: Sequence[Holding],
    reported: Iterable[Reported],
    current: Policy | None,
    now: float,
) -> ReportsView:
    """The view of one domain; failures that refuse mail come first, then those with the most sessions."""
    return ReportsView(
        domain, tuple(days), _by_weight(failures), tuple(holdings), reports_clean(reported, current, now)
    )


def page_view(
    domain: str | None,
    days: Sequence[DaySum],
    failures: Iterable[FailureSum],
    holdings: Sequence[Holding],
    unreadable: Sequence[UnreadableMessage],
) -> ReportsView:
    """The view of one domain or of all for the page, which has the condition from the last pass."""
    found = _by_weight(failures)
    return ReportsView(
        domain or "", tuple(days), found, tuple(holdings), NO_EVIDENCE.clean, tuple(unreadable)
    )


def _by_weight(failures: Iterable[FailureSum]) -> tuple[Failure, ...]:
    found = [Failure(one, meaning(one.result)) for one in failures]
    return tuple(sorted(found, key=lambda one: (not one.meaning.refuses, -one.sum.sessions)))


def as_json(found: ReportsView) -> dict[str, Any]:
    """The same as plain data."""
    clean = found.clean
    return {
        "domain": found.domain,
        "successful": found.ok,
        "failed": found.failed,
        "reports_clean": {
            "status": clean.status.value,
            "reason": clean.reason.value,
            "message": clean.message,
            "since": clean.since,
            "proof": clean.seen.sentence if clean.seen else None,
        },
        "days": [{"day": day.day, "successful": day.ok, "failed": day.failed} for day in found.days],
        "failures": [
            {
                "result": one.sum.result,
                "sessions": one.sum.sessions,
                "refuses_mail": one.meaning.refuses,
                "fault": one.meaning.fault.value,
                "organisation": one.sum.organisation,
                "proven_sender": one.sum.sender,
                "mx": one.sum.mx,
                "sending_ip": one.sum.sending_ip,
                "detail": one.sum.reason,
                "first_day": one.sum.first_day,
                "last_day": one.sum.last_day,
                "reason": one.meaning.text,
                "remedy": one.remedy,
            }
            for one in found.failures
        ],
        "policies_held": [
            {
                "organisation": one.organisation,
                "proven_sender": one.sender,
                "day": one.day,
                "mode": one.held.mode.value if one.held.mode else None,
                "max_age": one.held.max_age,
                "mx": list(one.held.mx),
            }
            for one in found.holdings
        ],
    }
