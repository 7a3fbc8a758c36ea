"""Runs the notifications: the news of a pass go into the outbox, and from there to the receivers.

Rules for every editor: notifying never blocks a pass (it has its own threads), and a receiver never blocks another one.
A failure is logged when it begins, when its reason changes and when it ends, not at each try. What people know (part
`notify` of the state) and the events behind it (table `waiting`) are stored in one transaction, so a process that ends
at any moment neither loses nor repeats an event. What cannot be read is dropped and reported; then errors are reported
again. No URL is stored: a receiver is known by its id.
"""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from sidecar.host.clock import Clock
from sidecar.host.errors import SidecarError, TemporaryError
from sidecar.host.lean import structlog
from sidecar.host.tasks import in_thread
from sidecar.notify.digest import Tries, digest_of, due_at, expired, gathered
from sidecar.notify.events import Issue, Known, Notification, Notified, news, view_of
from sidecar.notify.send import Deliver, NotificationReceiver, deliver, receivers_of
from sidecar.observed import Observed, Seen
from sidecar.observed.checks import Stage
from sidecar.plan.actions import Plan
from sidecar.settings import NotificationKind, Settings
from sidecar.state.store import State
from sidecar.status.once import Once
from sidecar.status.repeats import Ends

_NOTIFIED = "told"
"""The key in the state, as earlier releases wrote it."""
_TRIES = "tries:"
_BAD_VALUE = (ValueError, TypeError, KeyError, AttributeError)


class Outbox:
    """The queue; its calls block for a few seconds at most, and any thread may call them.

    Each raises TemporaryError or PermanentError if the state cannot be used.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def notified(self) -> Notified | None:
        """What people know; None before the first notification.

        Raises TemporaryError if it cannot be read. Then it is dropped, and the next call returns None.
        """
        with self._state.writing("reading") as connection:
            try:
                value = _kept(connection, _NOTIFIED)
                if value is None:
                    return None
                known = [Known(**{**one, "trouble": Issue(**one["trouble"])}) for one in value["troubles"]]
                return Notified(
                    {name: Stage(stage) for name, stage in value["stages"].items()},
                    {one.trouble.key: one for one in known},
                    {
                        (code, subject, about): Ends(times, at)
                        for code, subject, about, times, at in value.get("ends", ())
                    },
                )
            except _BAD_VALUE as error:
                reason, cause = str(error)[:200], error
                _drop(connection, _NOTIFIED)
        raise TemporaryError(
            f"reading what was notified failed: it holds {reason!r}; it is dropped, so errors may be reported again"
        ) from cause

    def note(self, notified: Notified, events: Collection[Notification], receivers: Collection[str]) -> None:
        """Stores what people know once these events reached these receivers, and queues the events."""
        value = {
            "stages": dict(notified.stages),
            "troubles": [asdict(known) for known in notified.troubles.values()],
            "ends": [[*key, end.times, end.at] for key, end in notified.ends.items()],
        }
        with self._state.writing() as connection:
            _keep(connection, _NOTIFIED, value)
            connection.executemany(
                "INSERT INTO waiting (receiver, event) VALUES (?, ?)",
                [(receiver, json.dumps(asdict(event))) for receiver in receivers for event in events],
            )

    def waiting(self, receiver: str) -> tuple[dict[int, Notification], Tries]:
        """The events that wait for this receiver, by number, the oldest first; and its failures."""
        with self._state.reading() as connection:
            rows = connection.execute(
                "SELECT id, event FROM waiting WHERE receiver = ? ORDER BY id", (receiver,)
            ).fetchall()
            events = {number: event for number, text in rows if (event := _event(text)) is not None}
            try:
                value = _kept(connection, _TRIES + receiver) or {"failures": 0, "not_before": 0}
                return events, Tries(int(value["failures"]), float(value["not_before"]))
            except _BAD_VALUE:
                return events, Tries()  # the next failure writes it again

    def delivered(self, receiver: str, numbers: Iterable[int]) -> None:
        """These events reached the receiver."""
        with self._state.writing() as connection:
            connection.executemany("DELETE FROM waiting WHERE id = ?", [(number,) for number in numbers])
            _drop(connection, _TRIES + receiver)

    def failed(self, receiver: str, tries: Tries) -> None:
        """These events did not reach the receiver."""
        with self._state.writing() as connection:
            _keep(connection, _TRIES + receiver, asdict(tries))

    def tidy(self, receivers: Collection[str], now: float) -> int:
        """Drops events that waited for too long or cannot be read (returns their number), and events for other receivers."""
        dropped = 0
        with self._state.writing() as connection:
            for number, receiver, text in connection.execute(
                "SELECT id, receiver, event FROM waiting"
            ).fetchall():
                known, event = receiver in receivers, _event(text)
                if known and event is not None and not expired(event, now):
                    continue
                dropped += known
                connection.execute("DELETE FROM waiting WHERE id = ?", (number,))
        return dropped


# --- values ----------------------------------------------------------------------------------------------


def _kept(connection: sqlite3.Connection, key: str) -> dict[str, Any] | None:
    row = connection.execute("SELECT value FROM part WHERE name = 'notify' AND key = ?", (key,)).fetchone()
    if row is None:
        return None
    value = json.loads(row[0])
    if not isinstance(value, dict):
        raise ValueError(f"{key} is not an object")  # noqa: TRY004 - what is stored is broken, the call is right
    return value


def _keep(connection: sqlite3.Connection, key: str, value: dict[str, Any]) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO part (name, key, value) VALUES ('notify', ?, ?)", (key, json.dumps(value))
    )


def _drop(connection: sqlite3.Connection, key: str) -> None:
    connection.execute("DELETE FROM part WHERE name = 'notify' AND key = ?", (key,))


def _event(text: str) -> Notification | None:
    """None if it cannot be read, such as a kind of event of a later release."""
    try:
        value = json.loads(text)
        return Notification(**{**value, "kind": NotificationKind(value["kind"])})
    except _BAD_VALUE:
        return None


LONGEST_WAIT_S = 60.0
"""The longest wait of the loop in seconds: the clock may be set, and old events have to be dropped."""

log = structlog.get_logger()


class Notifier:
    """Notifies the receivers of `settings.notify`; without receivers it does nothing and stores nothing."""

    def __init__(self, settings: Settings, clock: Clock, state: State, *, send: Deliver = deliver) -> None:
        self._settings = settings
        self._clock = clock
        self._send = send
        self._receivers = receivers_of(settings.notify)
        self._outbox = Outbox(state)
        self._notified: Notified | None = None
        self._read = False
        self._mailcow = ""
        self._wake = asyncio.Event()
        self._trouble: dict[str, str] = {}

    async def saw(self, observed: Observed, plan: Plan, status: Once) -> None:
        """A pass succeeded: puts its news into the outbox. A failure is logged, and the next pass tries again."""
        if not self._receivers:
            return
        if isinstance(observed.conf, Seen):
            self._mailcow = observed.conf.value.hostname
        try:
            events = await in_thread(lambda: self._note(plan, status))
        except SidecarError as error:
            self._say_trouble("outbox", str(error))
            return
        self._over("outbox")
        if events:
            self._wake.set()

    def _note(self, plan: Plan, status: Once) -> Sequence[Notification]:
        """In a thread: with thousands of domains this takes a moment."""
        if not self._read:
            self._notified, self._read = self._outbox.notified(), True
        notified, events = news(self._notified, view_of(status(), plan))
        wanted = [event for event in events if event.kind in self._settings.notify.on]
        if notified != self._notified:
            self._outbox.note(notified, wanted, [receiver.id for receiver in self._receivers])
            self._notified = notified
        return wanted

    async def run(self) -> None:
        """Sends what is due, until it is cancelled."""
        while True:
            wait = LONGEST_WAIT_S
            self._wake.clear()
            try:
                due = await self.send_due()
                if due is not None:
                    wait = min(LONGEST_WAIT_S, max(0.05, due - self._clock.now()))
                self._over("loop")
            except SidecarError as error:
                self._say_trouble("loop", str(error))
            except Exception as error:  # the top of this loop: one bug must not end all notifications
                log.error("notification bug", exc_info=error)
            with contextlib.suppress(TimeoutError):
                # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the event.
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    async def send_due(self) -> float | None:
        """Sends what is due; returns when the next delivery is due (Unix seconds), None if nothing waits."""
        if not self._receivers:
            return None
        dropped = await in_thread(
            lambda: self._outbox.tidy([receiver.id for receiver in self._receivers], self._clock.now())
        )
        if dropped:
            log.warning("notifications dropped: not delivered in time", events=dropped)
        found = await asyncio.gather(*map(self._serve, self._receivers), return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException):
                raise one
        return min((due for due in found if isinstance(due, float)), default=None)

    async def _serve(self, receiver: NotificationReceiver) -> float | None:
        waiting, tries = await in_thread(lambda: self._outbox.waiting(receiver.id))
        due = due_at(list(waiting.values()), self._settings.notify.gather, tries)
        now = self._clock.now()
        if due is None or due > now:
            return due
        if events := gathered(waiting.values()):
            try:
                await self._send(receiver, digest_of(events, self._mailcow, now))
            except SidecarError as error:
                self._say_trouble(receiver.label, str(error))
                failed = tries.failed(self._clock.now())
                await in_thread(lambda: self._outbox.failed(receiver.id, failed))
                return failed.not_before
            self._over(receiver.label)
        await in_thread(lambda: self._outbox.delivered(receiver.id, list(waiting)))
        return None

    # --- logged once --------------------------------------------------------------------------------

    def _say_trouble(self, what: str, detail: str) -> None:
        if self._trouble.get(what) != detail:
            self._trouble[what] = detail
            log.warning("notification delivery failed", by=what, detail=detail)

    def _over(self, what: str) -> None:
        if self._trouble.pop(what, None) is not None:
            log.info("notification delivery works again", by=what)
