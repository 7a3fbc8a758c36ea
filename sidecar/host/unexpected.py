"""Handles unexpected exceptions of checks: each is logged once and affects only its host or domain."""

import time
from collections.abc import Callable

from sidecar.host.lean import structlog

log = structlog.get_logger()

QUIET_S = 86_400.0
"""Seconds after which the same kind of exception is logged again."""


class Unexpected:
    """Logs each kind of exception (its type and line) once a day, with its trace."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged_at: dict[tuple[str, str], float] = {}

    def reason(self, subject: str, error: Exception) -> str:
        """A sentence for the finding; what a server sent is only in the log."""
        first: BaseException = error  # of a group, its first exception
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        trace = first.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
        kind, now = (type(error).__qualname__, place), self._clock()
        if now - self._logged_at.get(kind, -QUIET_S) >= QUIET_S:
            self._logged_at[kind] = now
            log.error("check bug", subject=subject, exc_info=error)
        return f"checking {subject} failed with a bug of the sidecar ({kind[0]}): see its log"
