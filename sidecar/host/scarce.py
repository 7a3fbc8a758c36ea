"""Logs when the process cannot open more files.

Rule for every editor: at that limit each waiting connection fails again and again. It is logged once, so that the log
does not fill the disk. Logging must not need a file either: see `log.prepare`.
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


def logged_once() -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """A handler for `loop.set_exception_handler`: logs a lack of files at most once an hour, everything else as usual."""
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
