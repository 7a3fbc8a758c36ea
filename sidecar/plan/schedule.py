"""When to observe, ask and try again; pure: the time is given as `now`.

Rule for every editor: nothing here sleeps or reads a clock. mailcow's whole list is expensive (seconds at a
thousand domains), a DNS answer is cheap, and repeating a refused key is dangerous.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.formats.domain_name import policy_host
from sidecar.observed import DomainList, Kind, Question, Seen, Served, Sight, Txt, Unseen
from sidecar.settings import Intervals

LIST_AT_LEAST_S = 600
LIST_AT_MOST_S = 3_600
LIST_COST_FACTOR = 100
"""A whole list is requested so rarely that mailcow spends at most 1 % of its time on it."""
ALIASES_CHEAP_S = 0.1
"""An alias list that came this fast is requested at every poll; a slower one as rarely as a whole list of its cost."""
AWAY_POLL_S = 5.0
"""Between two cheap requests to a mailcow that just stopped answering: an update takes some minutes."""
AWAY_S = 900.0
"""After this time without an answer mailcow is asked once per poll again."""
DENIED_S = (300, 900, 1_800, 3_600)
"""Waits after a refused key or address: mailcow counts refusals, and bans public addresses."""
RETRY_S = (30, 60, 120, 300, 600, 1_800, 3_600)
"""Waits after an action that failed."""
MISSING_S = (30, 60, 120, 300, 600, 1_800)
"""Waits between lookups of a name that does not resolve yet."""


@dataclass(frozen=True, slots=True)
class ListAge:
    """When the whole list was asked for last (Unix seconds), how long that took, and what makes it due again."""

    at: float
    took: float
    stale: bool = False
    doubted: bool = False


def list_due(age: ListAge | None, now: float, intervals: Intervals) -> bool:
    """Whether to ask for the whole list: the first time, when it is known to be stale, and when it is old.

    A doubted list is requested just often enough to be believed in time.
    """
    if age is None or age.stale:
        return True
    usual = min(LIST_AT_MOST_S, max(LIST_AT_LEAST_S, LIST_COST_FACTOR * age.took))
    if age.doubted:
        spacing = intervals.doubt_seconds / intervals.doubt_polls
        return now - age.at >= min(usual, max(intervals.poll, 10 * age.took, spacing))
    return now - age.at >= usual


def aliases_due(asked_at: float, took: float, now: float) -> bool:
    """Whether to ask for the alias domains only; `took` (seconds) is what the last such answer, or failure, cost."""
    return took <= ALIASES_CHEAP_S or not 0 <= now - asked_at < min(LIST_AT_MOST_S, LIST_COST_FACTOR * took)


def poll_now(poll: float, away_since: float | None, now: float) -> float:
    """Seconds to the next poll: fewer while mailcow has just stopped answering (`away_since`; None: it answers)."""
    recently = away_since is not None and 0 <= now - away_since < AWAY_S
    return min(poll, AWAY_POLL_S) if recently else poll


def wait_after(failures: int, waits: tuple[int, ...]) -> int:
    """The wait (seconds) after this number of failures in a row, 1 or more."""
    return waits[min(failures, len(waits)) - 1]


def stale_policies(
    names: Iterable[str], answers: Mapping[str, Sight[Served]], now: float, interval: float, most: int
) -> list[str]:
    """Domains whose served policy is read now: all that are not known, and the `most` oldest that are due.

    Those that were never read come first: reads that fail repeatedly must not delay them.
    """
    new: list[str] = []
    failed: list[str] = []
    old: list[tuple[float, str]] = []
    for name in names:
        match answers.get(name):
            case None:
                new.append(name)
            case Unseen(at=at):
                if now - at >= min(60, interval):
                    failed.append(name)
            case Seen(at=at):
                if now - at >= interval:
                    old.append((at, name))
    return new + failed + [name for _, name in sorted(old)[:most]]


def routine_questions(
    hostname: str,
    listed: DomainList,
    managed: frozenset[str],
    missing: frozenset[str],
    more: Iterable[str],
    *,
    by_file: bool = False,
) -> list[tuple[Question, bool]]:
    """All routine DNS questions, each with whether people wait for the answer.

    First the ones on which everything else depends: the hostname, and the names (`more`) that the certificate has.
    `by_file`: one file is served for every name, also for a domain that receives no mail here.
    """
    asked = [(Question(Kind.ADDRESSES, name), False) for name in (hostname, *more)]
    for domain in listed.domains:
        if (domain.receives or by_file) and domain.name in managed:
            host = policy_host(domain.name)
            asked.append((Question(Kind.ADDRESSES, host), host in missing))
            asked.append((Question(Kind.MX, domain.name), False))
    for alias in listed.aliases:
        if alias.active and alias.target in managed:
            host = policy_host(alias.name)
            asked.append((Question(Kind.ADDRESSES, host), host in missing))
            asked.append((Question(Kind.MX, alias.name), False))
    return asked


def question_due(
    sight: Sight[object] | None, *, eager: bool, failing_for: float, now: float, intervals: Intervals
) -> bool:
    """Whether to ask again: settled answers rarely; a name that people wait for often at first, then less often."""
    if sight is None:
        return True
    age = now - sight.at
    if isinstance(sight, Unseen):
        return age >= min(60, intervals.dns)
    if not eager:
        return age >= intervals.dns
    # About a tenth of the time since the wait began, within limits.
    wait = min(MISSING_S[-1], max(MISSING_S[0], failing_for / 10))
    return age >= min(wait, intervals.dns)


def record_interval(base: float, count: int) -> float:
    """Seconds until a missing TXT record is looked up again: more if many are missing."""
    return min(base, max(300.0, 1.5 * count))


def record_due(sight: Sight[Any] | None, now: float, missing: float) -> bool:
    """Whether to ask for a TXT record again: one that exists rarely, one that is missing every `missing` seconds."""
    match sight:
        case None:
            return True
        case Seen(Txt(strings=()), at) | Unseen(at=at):
            return now - at >= missing
        case _:
            return now - sight.at >= 3_600.0


def checks_due(
    domains: Iterable[str],
    checked_at: Mapping[str, float],
    rushed: frozenset[str],
    now: float,
    interval: float,
    most: int,
) -> list[str]:
    """Domains due for a sender check: those that a person waits for, those never checked, and the oldest."""
    waiting: list[tuple[int, float, str]] = []
    for name in domains:
        at = checked_at.get(name)
        if name in rushed:
            waiting.append((0, 0.0, name))
        elif at is None:
            waiting.append((1, 0.0, name))
        elif now - at >= interval or at > now:
            waiting.append((2, at, name))
    return [name for _, _, name in sorted(waiting)[:most]]


def check_interval(base: float, count: int) -> float:
    """Seconds between two checks of the same domain: the more domains, the longer, up to half a day."""
    return max(base, min(43_200.0, 6.0 * count))


def time_left(began: float, due: float, now: float) -> float:
    """Seconds of a wait that are left at `now`; none if the clock was set back since it began."""
    return due - now if began <= now < due else 0.0


def next_pass(now: float, poll: float, held_until: Iterable[float | None]) -> float:
    """When to run the next pass if no event comes: at the poll, or sooner if a held action becomes due."""
    soonest = min((at for at in held_until if at is not None and at > now), default=now + poll)
    return min(now + poll, max(soonest, now + 0.5))
