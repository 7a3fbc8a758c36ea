"""Notices for people: reported once when they begin, and once when they are over; pure.

Rule for every editor: one sentence that says what is wrong and where, and what to do about it.
"""

from dataclasses import dataclass
from enum import StrEnum

from sidecar.observed.notice_codes import NoticeCode


class Level(StrEnum):
    """How much a notice matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should know; reported once while it stays true. `todo` is what to do, if anything.

    `passing`: it is an event, so it never ends.
    """

    level: Level
    code: NoticeCode
    subject: str
    message: str
    todo: str | None = None
    passing: bool = False
