"""What the event loop reports when the process may open no more files.

Rule for every editor: at that limit each connection that waits fails, again and again; it is said once, or the log
would fill the disk. Saying it must need no file either: see `log.prepare`.
"""

import asyncio
import errno
import time
from collections.abc import Callable
from typing import Any

from sidecar.host.lean import structlog

SCARCE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""As asyncio has it: accepting is tried again after a second."""
QUIET_S = 3_600.0

log = structlog.get_logger()


def told_once() -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """A handler for `loop.set_exception_handler`: of running out of files once in an hour, of all else as ever."""
    said_at: float | None = None

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal said_at
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in SCARCE):
            loop.default_exception_handler(context)
            return
        now = time.monotonic()
        if said_at is None or now - said_at >= QUIET_S:
            said_at = now
            log.error(
                "web page cannot accept connections; logged at most once an hour",
                detail=error.strerror,
                todo="check who is connected to the page, or raise the limit of open files (ulimits: nofile)",
            )

    return handle
