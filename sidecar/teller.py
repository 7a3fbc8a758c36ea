"""What people are told: one log line an event, and each notice once for as long as it stays true.

Rule for every editor: a line says what happened to what, and why. Nothing is said again only because time passed.
"""

from collections import Counter
from collections.abc import Sequence

import structlog

from sidecar.apply import Outcome, Result
from sidecar.domainname import to_unicode
from sidecar.notice import Level, Notice
from sidecar.plan.actions import FILE_SUBJECT, EditConf, Held, subject, verb
from sidecar.plan.words import day

REMEMBERED = 1_000
"""Notices no longer true that are not said again when they come back."""
MOST_OF_A_KIND = 20
"""Notices of one code told one by one in a pass; more are told as a number."""


class Teller:
    """Remembers what was said."""

    def __init__(self) -> None:
        self._log = structlog.get_logger()
        self._notices: set[Notice] = set()
        self._lately: dict[Notice, None] = {}
        self._held: dict[tuple[str, str], str] = {}
        self._full: dict[tuple[str, str], str | None] = {}

    def outcome(self, outcome: Outcome) -> None:
        """An action that was done, or did not work."""
        action = outcome.action
        what = (verb(action), subject(action))
        if outcome.no_space and self._full.get(what, "") == outcome.detail:
            return  # tried at every pass for as long as the disk is full
        self._full.pop(what, None)
        if outcome.no_space:
            self._full[what] = outcome.detail
        files = isinstance(action, EditConf) or subject(action) == FILE_SUBJECT
        names = {"on" if files or "." not in subject(action) else "domain": to_unicode(subject(action))}
        match outcome.result:
            case Result.DONE:
                self._log.info(f"done: {verb(action)}", **names, reason=action.reason)
            case Result.FAILED:
                self._log.warning(
                    f"failed: {verb(action)}", **names, detail=outcome.detail, reason=action.reason
                )
            case Result.REFUSED:
                self._log.error(
                    f"refused: {verb(action)}", **names, detail=outcome.detail, reason=action.reason
                )

    def notices(self, notices: Sequence[Notice]) -> None:
        """Says what is new among what is true now, and forgets what is no longer true."""
        now = dict.fromkeys(notices)
        new = [notice for notice in now if notice not in self._notices and notice not in self._lately]
        # What comes and goes (an answer that fails every other time) is not said each time it comes.
        self._lately.update(dict.fromkeys(self._notices - now.keys()))
        while len(self._lately) > REMEMBERED:
            del self._lately[next(iter(self._lately))]
        self._notices = set(now)
        said: Counter[str] = Counter()
        for notice in new:
            said[notice.code] += 1
            if said[notice.code] <= MOST_OF_A_KIND:
                self._say(notice)
        for code, count in said.items():
            if count > MOST_OF_A_KIND:
                self._log.warning(f"{count - MOST_OF_A_KIND} more of the same kind", code=code)

    def _say(self, notice: Notice) -> None:
        say = {Level.INFO: self._log.info, Level.WARNING: self._log.warning, Level.ERROR: self._log.error}[
            notice.level
        ]
        extra = {} if notice.todo is None else {"todo": notice.todo}
        say(notice.message, code=notice.code, **extra)

    def held(self, held: Sequence[Held]) -> None:
        """Says why something waits, when that reason is new and no notice has told it."""
        now: dict[tuple[str, str], str] = {}
        told = {notice.message for notice in self._notices}
        for item in held:
            if item.reason.partition("; ")[0] in told:
                continue
            names = getattr(item.action, "names", ()) or (subject(item.action),)
            now[verb(item.action), ",".join(map(to_unicode, names))] = item.reason
        fresh = [key for key, reason in now.items() if self._held.get(key) != reason]
        self._held = now
        for what, on in fresh[:MOST_OF_A_KIND]:
            until = next((h.until for h in held if h.reason == now[what, on] and h.until is not None), None)
            extra = {} if until is None else {"until": day(until)}
            self._log.info(f"held: {what}", on=on, reason=now[what, on], **extra)
        if len(fresh) > MOST_OF_A_KIND:
            self._log.info(f"{len(fresh) - MOST_OF_A_KIND} more are held; see: sidecar plan")
