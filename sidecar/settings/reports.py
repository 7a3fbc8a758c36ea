"""The settings of TLS reports: how they are received, how long they are kept, and whether they are required.

Rule for every editor: the password of the mailbox is never a key here; it is in the environment
(MTA_STS_IMAP_PASSWORD).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError

from sidecar.settings import values

LOCAL_PART = "tls-reports"
"""The local part of the address that the sidecar creates for reports."""
_STRICT = ConfigDict(extra="forbid")


class Receive(StrEnum):
    """How reports are received automatically."""

    AUTO = "auto"
    """By mailcow, unless `tls_report` names another address."""
    MAILCOW = "mailcow"
    """By an alias and a transport that the sidecar creates in mailcow."""
    IMAP = "imap"
    """From a mailbox."""
    OFF = "off"
    """Not received; the alias and the transport are removed."""


def _text(accepted: str) -> BeforeValidator:
    def check(value: object) -> str:
        text = value.strip() if isinstance(value, str) else ""
        if not text or len(text) > 200 or not text.isprintable():
            raise values.mistake(value, accepted)
        return text

    return BeforeValidator(check)


@dataclass(frozen=True, slots=True)
class Imap:
    """The mailbox with the reports; it is opened with TLS."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    host: values.Host
    user: Annotated[str, _text("the user name of the mailbox")]
    port: Annotated[int, values.whole(1, 65_535)] = 993
    folder: Annotated[str, _text("the name of a folder, such as INBOX")] = "INBOX"
    move_to: Annotated[str, _text("the name of a folder for stored reports")] | None = None
    """None: messages stay where they are, and are not marked as read."""


@dataclass(frozen=True, slots=True)
class Reports:
    """TLS reports; `keep` is in days."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    receive: Annotated[Receive, values.member(Receive)] = Receive.AUTO
    """How reports are received: mailcow (by an alias and a transport that the sidecar creates), imap, off, or auto: by
    mailcow, unless `tls_report` names another address."""
    https: values.Switch = False
    """Whether reports are also received by `POST /tlsrpt`, on the address of the page."""
    keep: Annotated[int, values.whole(1, 3_650, " of days")] = 90
    """Days until a report is deleted."""
    require: values.Switch = False
    """Whether `mode: auto` enforces only after a report without failures from a proven sender."""
    imap: Imap | None = None
    """The mailbox of `receive: imap`: `host`, `user`, and optionally `port` (993), `folder` (INBOX) and `move_to`, a
    folder for stored reports. The password is `MTA_STS_IMAP_PASSWORD`."""


def _whole(reports: Reports) -> Reports:
    if reports.receive is Receive.IMAP and reports.imap is None:
        raise PydanticCustomError(
            "mistake",
            "{text}",
            {"text": "receive is imap, but imap is missing; accepted: imap with host and user"},
        )
    return reports


GivenReports = Annotated[Reports, AfterValidator(_whole)]

DEFAULT = Reports()
