"""What commands do first: read the settings, set up the log."""

import sys
from collections.abc import Mapping
from typing import TextIO

from sidecar.daemon.wiring import read_settings
from sidecar.host import log
from sidecar.host.clock import SystemClock
from sidecar.notify.secret import secrets_of
from sidecar.settings import Settings


def started(env: Mapping[str, str]) -> tuple[SystemClock, Settings]:
    """The clock and the settings, with the log on standard error; raises SettingsError with all mistakes."""
    clock = SystemClock()
    settings = read_settings(env, clock)
    configure(settings, sys.stderr)
    return clock, settings


def configure(settings: Settings, stream: TextIO) -> None:
    """Sets up the log: to this stream, without any secret in any text."""
    log.configure(json=settings.log_json, stream=stream, secrets=secrets_of(settings))
