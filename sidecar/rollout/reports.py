"""What the reports of senders prove about a domain, and what they may start; pure.

Rules for every editor. Anybody can send a report, and sign it with a domain of their own. So a report alone never
steps a policy back; it starts a sender check. Only proven senders (DKIM) make the condition true or false. A report that
came by HTTPS or without a signature is shown, may start a check, and counts for nothing else. Histories are measured by
when reports were *received*: the dates in a report are its sender's choice.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sidecar.formats.mtasts_policy import Policy
from sidecar.formats.tls_report_policy import HeldPolicy, PolicyKind
from sidecar.formats.tls_report_results import RESULTS, meaning
from sidecar.observed import Seen, Sight
from sidecar.observed.checks import REFUSING, Rollout, Status
from sidecar.observed.reports import (
    NO_EVIDENCE,
    UNREAD,
    CleanReport,
    Failing,
    Holding,
    Reason,
    Reported,
    ReportEvidence,
    ReportsClean,
    owner_of,
)

DAY_S = 86_400.0
WINDOW_DAYS = 14
"""Reports about older days say nothing about today."""
HISTORY_DAYS = 35
"""How far back reports are needed: the window, and the history of the senders that report failures."""
NOISE = 0.01
"""Failed sessions up to this share are noise, unless they come on two consecutive days."""
CLEARED_DAYS = 2
"""Days without a failure, reported by the same sender after it, that make a failure past."""
CLEAN_HISTORY_S = 7 * DAY_S
CLEAN_HISTORY_DAYS = 4
"""On this many different days a sender must have sent clean reports before its report may step a policy back."""
ACCUSERS = 2
RECENT_DAYS = 3
"""How old an accusation may be, in days."""
CHECK_SPACING_S = 600.0
"""Between two sender checks that reports start."""
MOST_OLD = 5
"""Organisations with another policy that are named."""


def reports_clean(reported: Iterable[Reported], current: Policy | None, now: float) -> ReportsClean:
    """The condition of a domain, from what was reported of it; `current` is the policy that is served."""
    window = [one for one in reported if one.sender is not None and _in_window(one.day, now, WINDOW_DAYS)]
    by_sender: dict[str, list[Reported]] = defaultdict(list)
    for one in window:
        by_sender[owner_of(one.sender or "")].append(one)
    failing = [failure for own in by_sender.values() if (failure := _lasting_failure(own)) is not None]
    fitting = [
        one
        for one in window
        if current is not None
        and one.ok > 0
        and not refused(one)
        and one.held is not None
        and _same(one.held, current)
    ]
    seen: CleanReport | None = None
    if fitting:
        last = max(fitting, key=lambda one: one.day)
        seen = CleanReport(last.organisation, last.sender or "", last.day, last.ok)
    if failing:
        worst = max(failing, key=lambda one: one.sessions)
        return ReportsClean(
            Status.FALSE,
            Reason.REFUSED,
            f"{_name(worst.one)} reported {_sessions(worst.sessions)} that failed on {worst.one.day}: {worst.results}",
            min(one.since for one in failing),
            seen,
        )
    if not window:
        return NO_EVIDENCE.clean
    what = "1 sender" if len(by_sender) == 1 else f"{len(by_sender)} senders"
    return ReportsClean(
        Status.TRUE,
        Reason.CLEAN,
        f"{what} reported {_sessions(sum(one.ok for one in window))} that succeeded, and no lasting failure",
        min(one.received_at for one in window),
        seen,
    )


@dataclass(frozen=True, slots=True)
class StepBack:
    """Whether reports allow to step a policy back, and why, as a sentence."""

    allowed: bool
    reason: str


def may_step_back(reported: Iterable[Reported], own_check: Status, now: float) -> StepBack:
    """Whether a policy in enforce may be stepped back because of reports; only those of proven senders count.

    `own_check` is the result of our own check of the mail hosts after the report: FALSE if it failed, too. Without
    that it takes two proven senders with a clean history here; domains that share their last two labels are one sender.
    """
    history = list(reported)
    recent = _accusing(history, now)
    if not recent:
        return StepBack(False, "no report of refused mail by a proven sender in the last days")
    if own_check is Status.FALSE:
        return StepBack(True, f"{_name(recent[0])} reported refused mail, and our own check fails, too")
    accusers: dict[str, Reported] = {}
    for one in recent:
        if one.sender is not None and _trusted(one.sender, history):
            accusers.setdefault(owner_of(one.sender), one)
    if len(accusers) >= ACCUSERS:
        names = ", ".join(sorted(accusers))
        return StepBack(True, f"{len(accusers)} senders with a clean history report refused mail: {names}")
    return StepBack(
        False,
        "reports of refused mail can be forged: our own check finds no failure, and fewer than two senders with a "
        "clean history of a week say so",
    )


def _accusing(reported: Iterable[Reported], now: float) -> list[Reported]:
    return [
        one
        for one in reported
        if one.sender is not None and _in_window(one.day, now, RECENT_DAYS) and _counts(one)
    ]


def still_held(holdings: Iterable[Holding], current: Policy) -> tuple[Holding, ...]:
    """The organisations that applied another policy than the current one last, in order."""
    others = [one for one in holdings if not _same(one.held, current)]
    return in_order(others)


def in_order(holdings: Iterable[Holding]) -> tuple[Holding, ...]:
    """The proven ones first, then the latest.

    Anybody can post reports of invented organisations with any day; they must not displace the others.
    """
    return tuple(sorted(holdings, key=lambda one: (one.sender is not None, one.day), reverse=True))


def refused(one: Reported) -> int:
    """Sessions in which mail is refused once the policy is enforced; DANE's failures are a matter of the DNS.

    Of the summary, since the details of some senders add up to more.
    """
    if one.kind is PolicyKind.TLSA:
        return 0
    counted = sum(failure.sessions for failure in one.failures if meaning(failure.result).refuses)
    return min(counted, one.failed)


# --- the summary that a pass decides by ------------------------------------------------------------------


def evidence_of(
    reported: Sequence[Reported], holdings: Iterable[Holding], current: Policy | None, now: float
) -> ReportEvidence:
    """What follows from the reports of one domain; `current` is the policy that is served."""
    refusing = [one for one in reported if _in_window(one.day, now, WINDOW_DAYS) and refused(one) > 0]
    said = ""
    if refusing:
        worst = max(refusing, key=refused)
        proof = "" if worst.sender else " (without proof of who sent it)"
        said = (
            f"a report of {_name(worst)}{proof} says that {_sessions(refused(worst))} failed on {worst.day}"
        )
    failing: dict[str, list[Failing]] = defaultdict(list)
    for one in reported:
        if one.sender is None or not _in_window(one.day, now, WINDOW_DAYS):
            continue
        for failure in one.failures:
            result = failure.result if failure.result in RESULTS else "other"
            failing[result].append(Failing(result, failure.sessions, _name(one), one.day))
    alone, with_check = (may_step_back(reported, check, now) for check in (Status.UNKNOWN, Status.FALSE))
    return ReportEvidence(
        reports_clean(reported, current, now),
        alone.reason if alone.allowed else None,
        with_check.reason if with_check.allowed else None,
        # A time in the future is from before the clock was set back: no check would ever come after it.
        max((min(one.received_at, now) for one in refusing), default=0.0),
        said,
        still_held(holdings, current)[:MOST_OLD] if current is not None else (),
        tuple(max(failing[result], key=lambda one: (one.day, one.sessions)) for result in sorted(failing)),
        min((min(one.received_at, now) for one in _accusing(reported, now)), default=0.0),
    )


_WORST = (Status.FALSE, Status.UNKNOWN, Status.TRUE)


def evidence_for(reports: Sight[Mapping[str, ReportEvidence]], names: Iterable[str]) -> ReportEvidence:
    """The evidence on a policy that is served for these domains: the worst of them, and every accusation."""
    if not isinstance(reports, Seen):
        return UNREAD
    found = [evidence for name in names if (evidence := reports.value.get(name)) is not None]
    if not found:
        return NO_EVIDENCE
    # Of two that are unknown, the one that waits to be read: only that one holds the step up.
    worst = min(
        found, key=lambda one: (_WORST.index(one.clean.status), one.clean.reason is not Reason.UNREAD)
    )
    clean = worst.clean
    if clean.seen is None and (seen := next((one.clean.seen for one in found if one.clean.seen), None)):
        clean = replace(clean, seen=seen)
    latest = max(found, key=lambda one: one.refused_at)
    return ReportEvidence(
        clean,
        next((one.step_back for one in found if one.step_back), None),
        next((one.step_back_with_check for one in found if one.step_back_with_check), None),
        latest.refused_at,
        latest.refused,
        tuple(old for one in found for old in one.old)[:MOST_OLD],
        tuple({failing.result: failing for one in found for failing in one.failing}.values()),
        next((one.accused_at for one in found if one.step_back_with_check), 0.0),
    )


def why_step_back(evidence: ReportEvidence, rollout: Rollout) -> str | None:
    """Why a policy in enforce is stepped back because of reports; None where it is not.

    Our own check counts where it was made after the first of these reports: a flood of later ones must not outrun it.
    """
    if evidence.step_back is not None:
        return evidence.step_back
    failing = any(rollout.status(kind) is Status.FALSE for kind in REFUSING)
    return evidence.step_back_with_check if failing and rollout.checked_at > evidence.accused_at else None


def wants_check(evidence: ReportEvidence, checked_at: float, now: float) -> bool:
    """Whether to check a domain now: a report of refused mail came after its last check, and that was a while ago."""
    return evidence.refused_at > checked_at and now - checked_at >= CHECK_SPACING_S


# --- parts -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _LastingFailure:
    """A lasting failure that one sender reported."""

    one: Reported
    sessions: int
    results: str
    since: float


def _lasting_failure(reports: Sequence[Reported]) -> _LastingFailure | None:
    """The failure of one sender that counts and is not past; its reports of each day added up."""
    by_day: dict[str, list[Reported]] = defaultdict(list)
    for one in reports:
        by_day[one.day].append(one)
    days = sorted(by_day)
    bad = {day: sum(map(refused, by_day[day])) for day in days}
    lasting: list[str] = []
    for before, day in zip([None, *days], days, strict=False):
        total = sum(one.ok + one.failed for one in by_day[day])
        next_day = before is not None and _moment(day) - _moment(before) == DAY_S
        running = before is not None and next_day and bad[before] > 0
        if bad[day] and (bad[day] > total * NOISE or running):
            lasting.append(day)
    if not lasting or sum(not bad[day] for day in days[days.index(lasting[-1]) :]) >= CLEARED_DAYS:
        return None
    last = max(by_day[lasting[-1]], key=refused)
    results = sorted({f.result for f in last.failures if meaning(f.result).refuses})
    since = min(one.received_at for day in lasting for one in by_day[day])
    return _LastingFailure(last, bad[lasting[-1]], ", ".join(results[:3]), since)


def _counts(one: Reported) -> bool:
    return refused(one) > (one.ok + one.failed) * NOISE


def _trusted(sender: str, history: Sequence[Reported]) -> bool:
    """Whether a sender that accuses had sent clean reports for a week before; measured by when they were received."""
    own = [one for one in history if one.sender is not None and owner_of(one.sender) == owner_of(sender)]
    accused = min(one.received_at for one in own if _counts(one))
    clean = [one.received_at for one in own if not refused(one) and one.ok > 0 and one.received_at < accused]
    days = {int(at // DAY_S) for at in clean}
    return len(days) >= CLEAN_HISTORY_DAYS and accused - min(clean) >= CLEAN_HISTORY_S


def _same(held: HeldPolicy, policy: Policy) -> bool:
    """Whether a sender held this policy, by its report: fields that it left out may be equal, but the mode must be there."""
    return (
        held.mode is policy.mode
        and held.max_age in {None, policy.max_age}
        and (not held.mx or frozenset(held.mx) == frozenset(policy.mx))
    )


def _in_window(day: str, now: float, days: int) -> bool:
    """Within the last days, and not in the future; but in a time zone that is ahead it may be tomorrow already."""
    return now - (days + 1) * DAY_S < _moment(day) <= now + DAY_S


def _moment(day: str) -> float:
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


def _name(one: Reported) -> str:
    return one.organisation or one.sender or "a sender"


def _sessions(count: int) -> str:
    return "1 session" if count == 1 else f"{count} sessions"
