"""Everything that the pages show of one pass, computed from the status: lines, summary, next actions; pure.

Rule for every editor: nothing is judged here. Actions of the sidecar are shown apart from tasks for a person.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.formats.domain_name import to_unicode
from sidecar.observed import Mailcow, Seen
from sidecar.observed.words import day
from sidecar.plan.records import RecordState
from sidecar.reconcile.passes import PassReport
from sidecar.status.domains import CurrentStatus
from sidecar.status.line import Line, line_of
from sidecar.status.needs import StatusSummary, summary_of
from sidecar.status.row import Row
from sidecar.status.wording import Light

NAMED = 3
"""Domains listed by name in an item; the rest is a number."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A planned or held action, with its subjects."""

    what: str
    why: str
    until: float | None
    planned: bool
    subjects: tuple[str, ...]
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Lacking:
    """How many DNS records are to be published now, and how many after something else has happened."""

    now: int = 0
    later: int = 0


@dataclass(frozen=True, slots=True)
class Site:
    """The data of one pass."""

    status: CurrentStatus
    summary: StatusSummary
    lines: tuple[Line, ...]
    pending: tuple[Pending, ...]
    lacking: Lacking = Lacking()
    counts: Mapping[Light, int] = field(default_factory=dict)

    @property
    def rows(self) -> Mapping[str, Row]:
        return self.status.by_name

    @property
    def mailcow(self) -> Mailcow | None:
        """The mailcow; None if it was not seen."""
        return self.status.observed.mailcow.value if isinstance(self.status.observed.mailcow, Seen) else None


def site_of(report: PassReport, status: CurrentStatus) -> Site:
    """The view of a report and its status."""
    lines = tuple(map(line_of, status.rows))
    summary = summary_of(status)
    needs = [need for row in status.rows if row.records is not None for need in row.records.needs]
    return Site(
        status=status,
        summary=summary,
        lines=lines,
        pending=_pending(report, summary),
        lacking=Lacking(
            sum(need.lacking for need in needs),
            sum(need.early or need.standing is RecordState.NOT_YET for need in needs),
        ),
        counts=status.lights,
    )


def _pending(report: PassReport, summary: StatusSummary) -> tuple[Pending, ...]:
    """Planned and held actions, grouped by equal sentences; without sentences that "Needs you" already shows."""
    shown = [text for item in summary.needs for text in (item.message, item.todo) if text]
    found: dict[tuple[str, str, str | None, bool], list[tuple[str, float | None]]] = defaultdict(list)
    done = {id(outcome.action) for outcome in report.outcomes}
    for action in report.plan.actions:
        if id(action) not in done:
            found[action.verb, action.reason, None, True].append((action.about, None))
    for held in report.plan.held:
        names = held.action.concerns or (held.action.about,)
        found[held.action.verb, held.reason, held.remedy, False] += [(name, held.until) for name in names]
    return tuple(
        Pending(
            what,
            "" if any(why in text for text in shown) else why,
            min((until for _, until in same if until is not None), default=None),
            planned,
            tuple(dict.fromkeys(name for name, _ in same)),
            None if remedy in shown else remedy,
        )
        for (what, why, remedy, planned), same in found.items()
    )


def named(names: tuple[str, ...]) -> str:
    """The first few names and the number of the rest."""
    shown = ", ".join(to_unicode(name) for name in names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED:,} more"


def when(until: float | None) -> str:
    """Until when an action waits."""
    return "" if until is None else f"until {day(until)}"
