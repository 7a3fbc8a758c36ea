"""What people are told: one log line an event, each notice once for as long as it stays true, and when it is over.

Rule for every editor: a line says what happened to what, and why. Nothing is said again only because time passed:
what comes and goes is said again when it comes back after a day (`telling`).
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sidecar.formats.domain_name import to_unicode
from sidecar.host.lean import structlog
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.observed.words import command, day, some
from sidecar.plan.actions import Held
from sidecar.reconcile.apply import Outcome, Result
from sidecar.status.telling import UNREAD, Ends, quiet

REMEMBERED = 1_000
"""Things no longer true of which is remembered when they were said."""
MOST_OF_A_KIND = 20
"""Notices of one code told one by one in a pass; more are told as a number."""
FAILING = NoticeCode.PASS_FAILED
AT_ONCE = {UNREAD: "mailcow answers again", FAILING: "passes work again"}
"""What is over as soon as it is away, and how that is said."""
MOST_AT_ONCE = 3
"""So many ends are told at once, each within a day of the one before; what fails more often is damped as all else."""


def _all_seen(_code: str, _subject: str) -> bool:
    return False


@dataclass(slots=True)
class _Thing:
    """What was said of one thing (a code and its subject), each text with when; `gone_since` while it is away."""

    last: Notice
    said: dict[Notice, float] = field(default_factory=dict)
    gone_since: float | None = None
    ends: Ends = field(default_factory=Ends)

    def forget_old(self, true: Iterable[Notice], now: float) -> None:
        """Texts that would be said again anyhow."""
        kept = set(true)
        self.said = {n: at for n, at in self.said.items() if n in kept or quiet(at, now)}


class Teller:
    """Remembers what was said; `now` gives the time (Unix seconds)."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._log = structlog.get_logger()
        self._now = now
        self._notices: set[Notice] = set()
        self._things: dict[tuple[str, str], _Thing] = {}
        self._held: dict[tuple[str, str], str] = {}
        self._full: dict[tuple[str, str], str | None] = {}

    def outcome(self, outcome: Outcome) -> None:
        """An action that was done, or did not work."""
        action = outcome.action
        what = (action.verb, action.about)
        if outcome.no_space and self._full.get(what, "") == outcome.detail:
            return  # tried at every pass for as long as the disk is full
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

    def notices(self, notices: Sequence[Notice], unseen: Callable[[str, str], bool] = _all_seen) -> None:
        """Says what is new among what is true now, and what is over.

        Of what is `unseen` (a code and its subject) nothing can be said to be over.
        """
        at = self._now()
        now = dict.fromkeys(notices)
        self._over({(notice.code, notice.subject) for notice in now}, at, unseen)
        new = [notice for notice in now if self._is_new(notice, at)]
        for notice in now:
            thing = self._things.pop(_key(notice), None) or _Thing(notice)
            self._things[_key(notice)] = thing  # the one seen last is forgotten last
            thing.last, thing.gone_since = notice, None
        for notice in new:
            self._things[_key(notice)].said[notice] = at
        self._notices = {*now, *(n for n in self._notices if unseen(n.code, n.subject))}
        self._forget(at)
        for notice in self._few(new):
            self._say(notice)

    def _is_new(self, notice: Notice, at: float) -> bool:
        thing = self._things.get(_key(notice))
        if thing is None or notice not in thing.said:
            return True
        return notice not in self._notices and not quiet(thing.said[notice], at)

    def _over(self, true: set[tuple[str, str]], at: float, unseen: Callable[[str, str], bool]) -> None:
        """What has been away for long enough is over."""
        over: list[Notice] = []
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
        """A process that runs for years does not grow."""
        true: dict[tuple[str, str], list[Notice]] = {}
        for notice in self._notices:
            true.setdefault(_key(notice), []).append(notice)
        away = [key for key in self._things if key not in true]
        for key in away[: max(0, len(away) - REMEMBERED)]:
            del self._things[key]
        for key, notices in true.items():
            self._things[key].forget_old(notices, at)

    def _few(self, notices: Sequence[Notice]) -> Iterable[Notice]:
        """Not too many of one kind; the number of the rest is said after them."""
        said: Counter[str] = Counter()
        for notice in notices:
            said[notice.code] += 1
            if said[notice.code] <= MOST_OF_A_KIND:
                yield notice
        for code, count in said.items():
            if count > MOST_OF_A_KIND:
                self._log.warning(f"{count - MOST_OF_A_KIND} more of the same kind", code=code)

    def happened(self, notice: Notice) -> None:
        """Something that is told beside a pass: of what passes see it says nothing."""
        self.notices([notice], lambda _code, _subject: True)

    def failed(self, trouble: str) -> None:
        """A whole pass did not work: nothing was seen."""
        notice = Notice(Level.ERROR, FAILING, "pass", f"the pass did not work: {trouble}")
        self.notices([notice], lambda code, _subject: code != FAILING)

    def _say(self, notice: Notice) -> None:
        say = {Level.INFO: self._log.info, Level.WARNING: self._log.warning, Level.ERROR: self._log.error}[
            notice.level
        ]
        extra = {} if notice.todo is None else {"todo": notice.todo}
        say(notice.message, code=notice.code, **extra)

    def held(self, held: Sequence[Held]) -> None:
        """Says why something waits, when that reason is new and no notice has told it."""
        now: dict[tuple[str, str], tuple[str, Held]] = {}
        told = {notice.message for notice in self._notices}
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
            self._log.info(f"{len(fresh) - MOST_OF_A_KIND} more are held; see: {command('plan')}")


def _key(notice: Notice) -> tuple[str, str]:
    return notice.code, notice.subject
