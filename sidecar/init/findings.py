"""What a rule of `init` finds; pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from sidecar.init.override import SERVICE


class Mark(StrEnum):
    """How much a finding matters; the word stands before it on the terminal."""

    GOOD = "ok"
    NOTE = "note"
    """Information; nothing has to be done."""
    WARN = "warn"
    """Something will not work as expected."""
    STOP = "stop"
    """A person must do something before the sidecar can be set up."""


@dataclass(frozen=True, slots=True)
class InitFinding:
    """What a rule found, as a sentence, and what to do, if anything."""

    code: str
    mark: Mark
    message: str
    todo: str = ""


Findings: TypeAlias = Iterator[InitFinding]

ADDRESS_TAKEN = "address-taken"
CLONE_MISSING = "clone-missing"
LAST_MISSING = "last-missing"
LAST = "watchdog-mailcow"
"""The service of mailcow that starts last; the sidecar's waits for it."""
BUILD = f"docker compose build {SERVICE}"
