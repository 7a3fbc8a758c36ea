"""The log for people: one line for each event; each notice once while it is true, and once when it is over.

Rule for every editor: a line says what happened to which subject, and why. Nothing is repeated only because time
passed; a problem that returns after a day is logged again (`telling`).
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from sidecar.formats.domain_name import to_unicode
from sidecar.host.lean import structlog
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.observed.words import command, day, some
from sidecar.plan.actions import Held
from sidecar.reconcile.apply import Outcome, Result
from sidecar.status.log_lines import Task
from sidecar.status.telling import UNREAD, Ends, quiet

REMEMBERED = 1_000
"""Number of past notices whose log time is kept."""
MOST_OF_A_KIND = 20
"""Notices of one code that are logged one by one in a pass; the rest is a number."""
FAILING = NoticeCode.PASS_FAILED
AT_ONCE: dict[str, str] = {UNREAD: "mailcow reachable again", FAILING: "passes succeed again"}
"""Notices that are over as soon as they are absent, and the log event for it."""
MOST_AT_ONCE = 3
"""So many ends are logged at once, each within a day of the previous one; after that, the usual waits apply."""


def _all_seen(_code: str, _subject: str) -> bool:
    return False


@dataclass(slots=True)
class _Thing:
    """What was logged about one code and subject, each text with its time; `gone_since` while it is absent."""

    last: Notice | Task
    said: dict[Notice | Task, float] = field(default_factory=dict)
    gone_since: float | None = None
    ends: Ends = field(default_factory=Ends)

    def forget_old(self, true: Iterable[Notice | Task], now: float) -> None:
        """Forgets texts that would be logged again anyway."""
        kept = set(true)
        self.said = {n: at for n, at in self.said.items() if n in kept or quiet(at, now)}


class Teller:
    """Remembers what was logged; `now` gives the time (Unix seconds)."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._log = structlog.get_logger()
        self._now = now
        self._notices: set[Notice | Task] = set()
        self._things: dict[tuple[str, str], _Thing] = {}
        self._held: dict[tuple[str, str], str] = {}
        self._full: dict[tuple[str, str], str | None] = {}

    def outcome(self, outcome: Outcome) -> None:
        """Logs the outcome of an action."""
        action = outcome.action
        what = (action.verb, action.about)
        if outcome.no_space and self._full.get(what, "") == outcome.detail:
            return  # tried in every pass while the disk is full
        self._full.pop(what, None)
        if outcome.no_space:
            self._full[what] = outcome.detail
        names = {"domain" if action.about in action.concerns else "on": to_unicode(action.about)}
        match outcome.result:
            case Result.DONE:
                self._log.info(f"done: {action.verb}", **names, reason=action.reason)
            case Result.FAILED:
                self._log.warning(
                    f"failed: {action.verb}", **names, detail=outcome.detail, reason=action.reason
                )
            case Result.REFUSED:
                self._log.error(
                    f"refused: {action.verb}", **names, detail=outcome.detail, reason=action.reason
                )

    def notices(
        self, notices: Sequence[Notice | Task], unseen: Callable[[str, str], bool] = _all_seen
    ) -> None:
        """Logs new notices, and the end of notices that are no longer true.

        A notice that is `unseen` (by code and subject) is never called over.
        """
        at = self._now()
        now = dict.fromkeys(notices)
        self._over({(notice.code, notice.subject) for notice in now}, at, unseen)
        new = [notice for notice in now if self._is_new(notice, at)]
        for notice in now:
            thing = self._things.pop(_key(notice), None) or _Thing(notice)
            self._things[_key(notice)] = thing  # moved to the end: the oldest is forgotten first
            thing.last, thing.gone_since = notice, None
        for notice in new:
            self._things[_key(notice)].said[notice] = at
        self._notices = {*now, *(n for n in self._notices if unseen(n.code, n.subject))}
        self._forget(at)
        for notice in self._few(new):
            self._say(notice)

    def _is_new(self, notice: Notice | Task, at: float) -> bool:
        thing = self._things.get(_key(notice))
        if thing is None or notice not in thing.said:
            return True
        return notice not in self._notices and not quiet(thing.said[notice], at)

    def _over(self, true: set[tuple[str, str]], at: float, unseen: Callable[[str, str], bool]) -> None:
        """Logs the end of notices that have been absent for long enough."""
        over: list[Notice | Task] = []
        for key, thing in self._things.items():
            if key in true or not thing.said or unseen(*key):
                continue
            since = at if thing.gone_since is None else min(thing.gone_since, at)
            thing.gone_since = since
            at_once = key[0] in AT_ONCE and not (thing.ends.recent(at) and thing.ends.times >= MOST_AT_ONCE)
            if at_once or at - since >= thing.ends.steady(at):
                thing.said.clear()
                if thing.last.level is not Level.INFO and not thing.last.passing:
                    thing.ends = thing.ends.told(at)
                    over.append(thing.last)
        for notice in self._few(over):
            self._log.info(AT_ONCE.get(notice.code, f"over: {notice.message}"), code=notice.code)

    def _forget(self, at: float) -> None:
        """Limits the memory of a process that runs for years."""
        true: dict[tuple[str, str], list[Notice | Task]] = {}
        for notice in self._notices:
            true.setdefault(_key(notice), []).append(notice)
        away = [key for key in self._things if key not in true]
        for key in away[: max(0, len(away) - REMEMBERED)]:
            del self._things[key]
        for key, notices in true.items():
            self._things[key].forget_old(notices, at)

    def _few(self, notices: Sequence[Notice | Task]) -> Iterable[Notice | Task]:
        """At most MOST_OF_A_KIND of one code; then the number of the rest."""
        said: Counter[str] = Counter()
        for notice in notices:
            said[notice.code] += 1
            if said[notice.code] <= MOST_OF_A_KIND:
                yield notice
        for code, count in said.items():
            if count > MOST_OF_A_KIND:
                self._log.warning(
                    f"{count - MOST_OF_A_KIND} more notices with this code", code=code, more=command("status")
                )

    def happened(self, notice: Notice | Task) -> None:
        """Logs a notice that does not come from a pass."""
        self.notices([notice], lambda _code, _subject: True)

    def failed(self, trouble: str) -> None:
        """A whole pass failed: nothing was seen."""
        notice = Notice(Level.ERROR, FAILING, "pass", f"pass failed: {trouble}")
        self.notices([notice], lambda code, _subject: code != FAILING)

    def _say(self, notice: Notice | Task) -> None:
        say = {Level.INFO: self._log.info, Level.WARNING: self._log.warning, Level.ERROR: self._log.error}[
            notice.level
        ]
        extra = {} if notice.todo is None else {"todo": notice.todo}
        say(notice.message, code=notice.code, **extra)

    def held(self, held: Sequence[Held], reported: Collection[str] = ()) -> None:
        """Says why something waits, when that reason is new, and neither a notice nor one of `reported` says it."""
        now: dict[tuple[str, str], tuple[str, Held]] = {}
        told = {*reported, *(notice.message for notice in self._notices)}
        for item in held:
            if item.reason in told:
                continue
            names = item.action.concerns or (item.action.about,)
            on = some(names)
            # Of many names that wait for one reason it is that reason that is told, and not each change of the names.
            now[item.action.verb, on if len(names) == 1 else item.reason] = on, item
        fresh = [key for key, (_, item) in now.items() if self._held.get(key) != item.reason]
        self._held = {key: item.reason for key, (_, item) in now.items()}
        for key in fresh[:MOST_OF_A_KIND]:
            on, item = now[key]
            extra = {} if item.until is None else {"until": day(item.until)}
            extra |= {} if item.remedy is None else {"todo": item.remedy}
            self._log.info(f"held: {key[0]}", on=on, reason=item.reason, **extra)
        if len(fresh) > MOST_OF_A_KIND:
            self._log.info(f"{len(fresh) - MOST_OF_A_KIND} more held actions; see: {command('plan')}")


def _key(notice: Notice | Task) -> tuple[str, str]:
    return notice.code, notice.subject
