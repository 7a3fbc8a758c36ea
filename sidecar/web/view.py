"""All that the pages show of one moment, out of what the daemon knows: lines, counts, what needs a person; pure.

Rule for every editor: the same trouble of many domains is one item. What a person must do comes first, what fails
before it; what the sidecar does by itself is told apart from both.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sidecar.formats.domain_name import to_unicode
from sidecar.observed import CheckRecord, Mailcow, Observed, Seen, Unseen
from sidecar.observed.notice import Level
from sidecar.observed.words import day
from sidecar.plan.records import mail_domains
from sidecar.reconcile.passes import Report
from sidecar.settings import Settings
from sidecar.status.domains import Row, status_of
from sidecar.status.light import Known, Line, line_of
from sidecar.status.wording import Light, count

NAMED = 3
"""Domains named in an item; more are a number."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something that needs a person, or fails: of some domains (`names`), or of none alone."""

    light: Light
    code: str
    message: str
    todo: str | None
    names: tuple[str, ...] = ()

    @property
    def others(self) -> int:
        """How many domains have the same besides the first."""
        return max(0, len(self.names) - 1)


@dataclass(frozen=True, slots=True)
class Pending:
    """What the sidecar is about to do, or waits with, and for how many subjects."""

    what: str
    why: str
    until: float | None
    planned: bool
    subjects: tuple[str, ...]
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """One moment; `at` (Unix seconds) is when it was seen."""

    at: float
    observed: Observed
    settings: Settings
    lines: tuple[Line, ...]
    by_name: Mapping[str, Line]
    rows: Mapping[str, Row]
    checks: Mapping[str, CheckRecord]
    items: tuple[Item, ...]
    pending: tuple[Pending, ...]
    counts: Mapping[Light, int] = field(default_factory=dict)
    modes: Mapping[str, int] = field(default_factory=dict)

    @property
    def mailcow(self) -> Mailcow | None:
        """Which mailcow this is; None where it was not seen."""
        return self.observed.mailcow.value if isinstance(self.observed.mailcow, Seen) else None

    @property
    def hostname(self) -> str:
        """MAILCOW_HOSTNAME; empty where it is not known."""
        return self.observed.conf.value.hostname if isinstance(self.observed.conf, Seen) else ""

    @property
    def listed(self) -> bool:
        """Whether it is known which domains there are."""
        return isinstance(self.observed.domains, Seen)

    def known(self, name: str) -> Known:
        """What the line of a domain was made of; raises KeyError for one that mailcow does not have."""
        return Known(self.observed, self.settings, self.rows[name], self.checks.get(name))

    @property
    def headline(self) -> str:
        """The state of all, in one sentence."""
        if not self.listed:
            reason = self.observed.domains.reason if isinstance(self.observed.domains, Unseen) else ""
            return f"Which domains there are is not known: {reason}"
        if not self.lines:
            return "This mailcow has no domains yet."
        failing, waiting = self.counts.get(Light.FAILING, 0), self.counts.get(Light.ATTENTION, 0)
        unknown, working = self.counts.get(Light.UNKNOWN, 0), self.counts.get(Light.WORKING, 0)
        if failing:
            return f"{count(failing, 'domain')} {'fails' if failing == 1 else 'fail'}: mail may be refused."
        if waiting:
            return f"{count(waiting, 'domain')} {'waits' if waiting == 1 else 'wait'} for you."
        if unknown:
            return f"{count(unknown, 'domain')} could not be looked at."
        if any(item.light in {Light.FAILING, Light.ATTENTION} for item in self.items):
            return "The domains are fine; something else needs you."
        if working:
            on_its = "is on its" if working == 1 else "are on their"
            return f"{count(working, 'domain')} {on_its} way; nothing for you to do."
        return "All is well; nothing for you to do."


def site_of(report: Report, settings: Settings, checked: Callable[[str], CheckRecord | None]) -> Site:
    """The moment that a report tells of; `checked` gives what a domain's last check found."""
    observed = report.observed
    status = status_of(observed, report.plan, settings, mail_domains(observed, settings))
    rows = {row.domain: row for row in status.rows}
    checks = {name: found for name in rows if (found := checked(name)) is not None}
    lines = tuple(line_of(Known(observed, settings, row, checks.get(row.domain))) for row in status.rows)
    general = tuple(
        Item(
            Light.FAILING if notice.level is Level.ERROR else Light.ATTENTION,
            notice.code,
            notice.message,
            notice.todo,
        )
        for notice in status.notices
        if notice.level is not Level.INFO
    )
    return Site(
        at=observed.now,
        observed=observed,
        settings=settings,
        lines=lines,
        by_name={line.name: line for line in lines},
        rows=rows,
        checks=checks,
        items=tuple(sorted((*general, *_of_domains(lines)), key=lambda item: item.light.rank)),
        pending=_pending(report),
        counts=Counter(line.light for line in lines),
        modes=Counter(line.mode.value if line.mode else "no policy" for line in lines),
    )


def _of_domains(lines: tuple[Line, ...]) -> list[Item]:
    """Domains with the same cause together, the most first."""
    found: dict[tuple[Light, str], list[Line]] = defaultdict(list)
    for line in lines:
        if line.light in {Light.FAILING, Light.ATTENTION, Light.UNKNOWN}:
            found[line.light, line.cause.code].append(line)
    items = [
        Item(light, code, same[0].cause.message, same[0].cause.todo, tuple(line.name for line in same))
        for (light, code), same in found.items()
    ]
    return sorted(items, key=lambda item: -len(item.names))


def _pending(report: Report) -> tuple[Pending, ...]:
    """Planned and held actions with the same words together."""
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
            why,
            min((until for _, until in same if until is not None), default=None),
            planned,
            tuple(dict.fromkeys(name for name, _ in same)),
            remedy,
        )
        for (what, why, remedy, planned), same in found.items()
    )


def named(names: tuple[str, ...]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(to_unicode(name) for name in names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED:,} more"


def when(until: float | None) -> str:
    """Until when something waits."""
    return "" if until is None else f"until {day(until)}"
