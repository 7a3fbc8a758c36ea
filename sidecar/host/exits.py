"""The exit codes, as documented in docs/commands.md."""

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    SETTINGS = 2
    UNREADABLE = 3
    LOCKED = 75
