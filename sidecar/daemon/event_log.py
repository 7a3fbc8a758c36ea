"""The log for people: one line for each event; each notice once while it is true, and once when it is over.

Rule for every editor: a line says what happened to which subject, and why. Nothing is repeated only because time
passed; a problem that returns after a day is logged again (`repeats`).
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from sidecar.host.lean import structlog
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.words import command, day, some
from sidecar.plan.actions import Held
from sidecar.reconcile.apply import Outcome, Result
from sidecar.reconcile.back_off import FullDisk
from sidecar.status.log_lines import Task
from sidecar.status.repeats import UNREAD, Ends, quiet

REMEMBERED = 1_000
"""Number of past notices whose log time is kept."""
MOST_OF_A_KIND = 20
"""Notices of one code that are logged one by one in a pass; the rest is a number."""
FAILING = NoticeCode.PASS_FAILED
AT_ONCE: dict[str, str] = {UNREAD: "mailcow reachable again", FAILING: "passes succeed again"}
"""Notices that are over as soon as they are absent, and the log event for it."""
MOST_AT_ONCE = 3
"""So many ends are logged at once, each within a day of the previous one; after that, the usual waits apply."""


@dataclass(slots=True)
class _Logged:
    """What was logged about one code and subject, each text with its time; `gone_since` while it is absent."""

    last: Notice | Task
    texts: dict[Notice | Task, float] = field(default_factory=dict)
    gone_since: float | None = None
    ends: Ends = field(default_factory=Ends)


class EventLog:
    """Writes the log and remembers what was written; `now` gives the time (Unix seconds)."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._log = structlog.get_logger()
        self._now = now
        self._notices: set[Notice | Task] = set()
        self._logged: dict[tuple[str, str], _Logged] = {}
        self._held: dict[tuple[str, str], str] = {}
        self._full = FullDisk()

    def outcome(self, outcome: Outcome) -> None:
        action = outcome.action
        if not self._full.news(outcome):
            return
        names = {"domain" if action.about in action.concerns else "on": some((action.about,))}
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
        self,
        notices: Sequence[Notice | Task],
        unseen: Callable[[str, str], bool] = lambda _code, _subject: False,
    ) -> None:
        """Logs new notices, and the end of notices that are no longer true.

        A notice that is `unseen` (by code and subject) is never reported as over.
        """
        at = self._now()
        now = dict.fromkeys(notices)
        self._over({_key(notice) for notice in now}, at, unseen)
        new: list[Notice | Task] = []
        for notice in now:
            # Moved to the end: the oldest is forgotten first.
            logged = self._logged.pop(_key(notice), None) or _Logged(notice)
            self._logged[_key(notice)] = logged
            logged.last, logged.gone_since = notice, None
            last_at = logged.texts.get(notice)
            if last_at is None or (notice not in self._notices and not quiet(last_at, at)):
                new.append(notice)
                logged.texts[notice] = at
        self._notices = {*now, *(n for n in self._notices if unseen(n.code, n.subject))}
        self._forget(at)
        log = {Level.INFO: self._log.info, Level.WARNING: self._log.warning, Level.ERROR: self._log.error}
        for notice in self._few(new):
            todo = {} if notice.todo is None else {"todo": notice.todo}
            log[notice.level](notice.message, code=notice.code, **todo)

    def _over(self, true: set[tuple[str, str]], at: float, unseen: Callable[[str, str], bool]) -> None:
        """Logs the end of notices that have been absent for long enough."""
        over: list[Notice | Task] = []
        for key, logged in self._logged.items():
            if key in true or not logged.texts or unseen(*key):
                continue
            since = at if logged.gone_since is None else min(logged.gone_since, at)
            logged.gone_since = since
            ends = logged.ends
            at_once = key[0] in AT_ONCE and not (ends.recent(at) and ends.times >= MOST_AT_ONCE)
            if at_once or at - since >= ends.steady(at):
                logged.texts.clear()
                if logged.last.level is not Level.INFO and not logged.last.passing:
                    logged.ends = ends.one_more(at)
                    over.append(logged.last)
        for notice in self._few(over):
            self._log.info(AT_ONCE.get(notice.code, f"over: {notice.message}"), code=notice.code)

    def _forget(self, at: float) -> None:
        """Limits the memory of a process that runs for years."""
        true = {_key(notice) for notice in self._notices}
        away = [key for key in self._logged if key not in true]
        for key in away[: max(0, len(away) - REMEMBERED)]:
            del self._logged[key]
        for key in true:
            # Texts that would be logged again anyway are forgotten.
            logged = self._logged[key]
            logged.texts = {n: t for n, t in logged.texts.items() if n in self._notices or quiet(t, at)}

    def _few(self, notices: Sequence[Notice | Task]) -> Iterable[Notice | Task]:
        """At most MOST_OF_A_KIND of one code; then the number of the rest."""
        counts: Counter[str] = Counter()
        for notice in notices:
            counts[notice.code] += 1
            if counts[notice.code] <= MOST_OF_A_KIND:
                yield notice
        for code, count in counts.items():
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

    def held(self, held: Sequence[Held], reported: Collection[str] = ()) -> None:
        """Logs why something waits, when that reason is new, and neither a notice nor one of `reported` says it."""
        now: dict[tuple[str, str], tuple[str, Held]] = {}
        reasons = {*reported, *(notice.message for notice in self._notices)}
        for item in held:
            if item.reason in reasons:
                continue
            names = item.action.concerns or (item.action.about,)
            on = some(names)
            # Many names that wait for one reason are logged once, and not again when a name joins or leaves.
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
