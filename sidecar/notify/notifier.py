"""Runs the notifications: the news of a pass go into the outbox, and from there to the receivers.

Rules for every editor: notifying never blocks a pass (it has its own threads), and a receiver never blocks another one.
A failure is logged when it begins, when its reason changes and when it ends, not at each try.
"""

import asyncio
import contextlib
from collections.abc import Sequence

from sidecar.host.clock import Clock
from sidecar.host.errors import SidecarError
from sidecar.host.lean import structlog
from sidecar.host.threads import in_thread
from sidecar.notify.digest import digest_of, due_at, gathered
from sidecar.notify.events import Notification, Notified, news, view_of
from sidecar.notify.outbox import Outbox
from sidecar.notify.send import Deliver, NotificationReceiver, deliver, receivers_of
from sidecar.observed import Observed, Seen
from sidecar.plan.actions import Plan
from sidecar.settings import Settings
from sidecar.state.store import State
from sidecar.status.once import Once

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
