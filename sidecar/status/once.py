"""The status of one pass: computed at the first call and then kept.

Rule for every editor: a pass does not wait for it. Call it in a thread: with thousands of domains it takes a
moment.
"""

from threading import Lock

from sidecar.observed import Observed
from sidecar.plan.actions import Plan
from sidecar.plan.records import mail_domains
from sidecar.settings import Settings
from sidecar.status.domains import CurrentStatus, status_of


class Once:
    """The status of one observation and its plan; may be called from any thread."""

    def __init__(self, observed: Observed, plan: Plan, settings: Settings) -> None:
        self._given = observed, plan, settings
        self._lock = Lock()
        self._status: CurrentStatus | None = None

    def __call__(self) -> CurrentStatus:
        with self._lock:
            if self._status is None:
                observed, plan, settings = self._given
                self._status = status_of(observed, plan, settings, mail_domains(observed, settings))
            return self._status
