"""What the settings say of TLS reports: how they come in, how long they are kept, and what they decide.

Rule for every editor: the password of a mailbox is no key here; it is in the environment (MTA_STS_IMAP_PASSWORD).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError

from sidecar.settings import values

LOCAL_PART = "tls-reports"
"""Of the address that the sidecar makes for reports."""
_STRICT = ConfigDict(extra="forbid")


class Receive(StrEnum):
    """How reports come in by themselves."""

    AUTO = "auto"
    """By mailcow, where `tls_report` does not name another place."""
    MAILCOW = "mailcow"
    """By an alias and a transport that the sidecar makes in mailcow."""
    IMAP = "imap"
    """Out of a mailbox."""
    OFF = "off"
    """Not at all; the alias and the transport are removed."""


def _receive(value: object) -> Receive:
    word = str(value).strip().lower()
    try:
        return Receive(word)
    except ValueError as error:
        raise values.mistake(value, ", ".join(Receive)) from error


def _text(accepted: str) -> BeforeValidator:
    def check(value: object) -> str:
        text = value.strip() if isinstance(value, str) else ""
        if not text or len(text) > 200 or not text.isprintable():
            raise values.mistake(value, accepted)
        return text

    return BeforeValidator(check)


@dataclass(frozen=True, slots=True)
class Imap:
    """The mailbox that reports are in; it is opened by TLS, on port 993 as a rule."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    host: values.Host
    user: Annotated[str, _text("the name to log in with")]
    port: Annotated[int, values.whole(1, 65_535)] = 993
    folder: Annotated[str, _text("the name of a folder, such as INBOX")] = "INBOX"
    move_to: Annotated[str, _text("the name of a folder that reports are moved to")] | None = None
    """None: they are left where they are, and not marked as read."""


@dataclass(frozen=True, slots=True)
class Reports:
    """TLS reports; `keep` is in days."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    receive: Annotated[Receive, BeforeValidator(_receive)] = Receive.AUTO
    """How reports come in: mailcow (by an alias and a transport that the sidecar makes), imap, off, or auto: by mailcow
    where `tls_report` does not name another place."""
    https: values.Switch = False
    """Whether `POST /tlsrpt` is taken as well, on the address of the page."""
    keep: Annotated[int, values.whole(1, 3_650, " of days")] = 90
    """Days that a report is kept as it came."""
    require: values.Switch = False
    """Whether `mode: auto` waits for a clean report of a proven sender before it enforces."""
    imap: Imap | None = None
    """The mailbox of `receive: imap`: `host`, `user`, and if need be `port` (993), `folder` (INBOX) and `move_to`, a
    folder for the reports that were taken. The password is `MTA_STS_IMAP_PASSWORD`."""


def _whole(reports: Reports) -> Reports:
    if reports.receive is Receive.IMAP and reports.imap is None:
        raise PydanticCustomError(
            "mistake",
            "{text}",
            {"text": "receive is imap, and imap is missing; accepted: imap with host and user"},
        )
    return reports


GivenReports = Annotated[Reports, AfterValidator(_whole)]

DEFAULT = Reports()
