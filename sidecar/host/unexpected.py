"""What to do about an exception that nobody foresaw: it is told once, and stays with the host or domain it came of."""

import time
from collections.abc import Callable

from sidecar.host.lean import structlog

log = structlog.get_logger()

QUIET_S = 86_400.0
"""A kind that was told is told again after a day."""


class Unexpected:
    """Tells each kind of exception (its type, and the line it came from) once a day, with its trace."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[tuple[str, str], float] = {}

    def reason(self, subject: str, error: Exception) -> str:
        """A sentence for the finding; what a server sent is in the log alone."""
        kind, now = (type(error).__qualname__, _place(error)), self._clock()
        if now - self._told.get(kind, -QUIET_S) >= QUIET_S:
            self._told[kind] = now
            log.error("check bug", subject=subject, exc_info=error)
        return f"checking {subject} failed with a bug of the sidecar ({kind[0]}): see its log"


def _place(error: BaseException) -> str:
    """Where it was raised; of a group, where its first one was."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
