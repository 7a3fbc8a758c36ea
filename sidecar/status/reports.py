"""How reports of senders stand for a domain, once, for the terminal, the page and the API; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.formats.mtasts_policy import Policy
from sidecar.formats.tls_report_results import Meaning, meaning
from sidecar.observed.reports import DaySum, FailureSum, Holding, Reported, ReportsClean
from sidecar.rollout.reports import reports_clean


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure with what it means; `remedy` names the domain."""

    sum: FailureSum
    meaning: Meaning

    @property
    def remedy(self) -> str:
        return self.meaning.remedy.replace("DOMAIN", self.sum.domain or "the domain")


@dataclass(frozen=True, slots=True)
class ReportsView:
    """What is known of a domain by reports."""

    domain: str
    days: tuple[DaySum, ...]
    failures: tuple[Failure, ...]
    holdings: tuple[Holding, ...]
    clean: ReportsClean

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
    found = [Failure(one, meaning(one.result)) for one in failures]
    found.sort(key=lambda one: (not one.meaning.refuses, -one.sum.sessions))
    return ReportsView(
        domain, tuple(days), tuple(found), tuple(holdings), reports_clean(reported, current, now)
    )


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
