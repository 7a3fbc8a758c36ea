"""Fetches TLS reports from a mailbox (IMAP over TLS), for people who receive reports in one.

Rules for every editor: the mailbox belongs to a person. It is opened read-only unless messages are to be moved, no
message is marked as read, and only messages with a report are taken. The position is stored after each message, so
after an interruption one message is fetched again. No text contains the password. These calls block: they run in a
thread, and each has the deadline of the socket.
"""

import imaplib
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import SecretStr

from sidecar.formats.report_message import LARGEST_MESSAGE, find
from sidecar.host.errors import PermanentError, TemporaryError

if TYPE_CHECKING:
    from imap_tools import BaseMailBox

PATIENCE_S = 30.0
MOST_AT_ONCE = 500
"""Messages that are read in one session; the next session continues after them."""
_SIZE = re.compile(rb"RFC822\.SIZE (\d{1,12})")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Where the reports are; stored messages are moved to the folder `move_to` (None: they stay)."""

    host: str
    user: str
    password: SecretStr
    port: int = 993
    folder: str = "INBOX"
    move_to: str | None = None
    roots: str | None = None
    """A PEM text with root certificates that are trusted in addition to the system's."""

    @property
    def name(self) -> str:
        """The name in texts, and of the stored position."""
        return f"{self.folder} of {self.user} at {self.host}"


@dataclass(frozen=True, slots=True)
class MailboxPlace:
    """The position in a folder: its UIDVALIDITY, and the highest UID that was read (RFC 9051 §2.3.1.1)."""

    validity: int = 0
    uid: int = 0

    def __str__(self) -> str:
        return f"{self.validity}:{self.uid}"

    @classmethod
    def of(cls, text: str | None) -> "MailboxPlace":
        """The position in a text; the start of the folder for any other text."""
        found = re.fullmatch(r"(\d{1,12}):(\d{1,12})", text or "")
        return cls(int(found[1]), int(found[2])) if found else cls()


def fetch(
    box: Mailbox, place: MailboxPlace, take: Callable[[bytes], bool], reached: Callable[[MailboxPlace], None]
) -> int:
    """Passes each new message with a report to `take` (True: it is stored); returns how many were stored.

    After each message, `reached` gets the position. A re-created folder is read from its start.
    Raises TemporaryError, or PermanentError if the name, the password or the certificate is wrong.
    """
    from imap_tools import MailBox, MailboxLoginError  # noqa: PLC0415 - most never use it
    from imap_tools.errors import UnexpectedCommandStatusError  # noqa: PLC0415 - as above

    context = ssl.create_default_context(cadata=box.roots)
    if box.roots is not None:
        context.load_default_certs()
    try:
        mailbox = MailBox(box.host, box.port, timeout=PATIENCE_S, ssl_context=context)
        try:
            mailbox.login(box.user, box.password.get_secret_value(), initial_folder=None)
            return _fetch(mailbox, box, place, take, reached)
        finally:
            with suppress(OSError, imaplib.IMAP4.error, UnexpectedCommandStatusError):
                mailbox.logout()
            with suppress(OSError):  # the logout may have closed it
                mailbox.client.shutdown()
    except MailboxLoginError as error:
        raise PermanentError(
            f"reading {box.name} failed: the name or the password was refused; correct reports.imap.user and "
            "MTA_STS_IMAP_PASSWORD"
        ) from _without_values(error)
    except ssl.SSLCertVerificationError as error:
        raise PermanentError(
            f"reading {box.name} failed: its certificate is not valid ({error.verify_message}); "
            "set reports.imap.host to a host name of the certificate"
        ) from error
    except (OSError, imaplib.IMAP4.error, UnexpectedCommandStatusError, ValueError) as error:
        raise TemporaryError(
            f"reading {box.name} failed: {type(error).__name__}; it is tried again"
        ) from _without_values(error)


def _without_values(error: Exception) -> Exception:
    """A cause without texts: a server may quote what was sent to it."""
    return RuntimeError(type(error).__name__)


def _fetch(
    mailbox: "BaseMailBox",
    box: Mailbox,
    place: MailboxPlace,
    take: Callable[[bytes], bool],
    reached: Callable[[MailboxPlace], None],
) -> int:
    from imap_tools.errors import MailboxFolderSelectError, MailboxFolderStatusError  # noqa: PLC0415 - as above

    try:
        validity = mailbox.folder.status(box.folder, ["UIDVALIDITY"])["UIDVALIDITY"]
        mailbox.folder.set(box.folder, readonly=box.move_to is None)
    except (MailboxFolderSelectError, MailboxFolderStatusError, KeyError) as error:
        raise PermanentError(
            f"reading {box.name} failed: there is no such folder; correct reports.imap.folder"
        ) from _without_values(error)
    if validity != place.validity:
        place = MailboxPlace(validity, 0)
    uids = sorted(
        uid for text in mailbox.uids(f"UID {place.uid + 1}:*") if (uid := int(text)) > place.uid
    )  # `n:*` returns the last message even if its number is lower
    taken = 0
    for uid in uids[:MOST_AT_ONCE]:
        data = _message(mailbox, uid)
        if data is not None and find(data).reports:
            if not take(data):
                break
            taken += 1
            if box.move_to is not None:
                mailbox.move(str(uid), box.move_to)
        place = MailboxPlace(validity, uid)
        reached(place)
    return taken


def _message(mailbox: "BaseMailBox", uid: int) -> bytes | None:
    """The unchanged octets, for the check of the signature; None if it is too large or was deleted."""
    kind, answer = mailbox.client.uid("FETCH", str(uid), "(RFC822.SIZE)")
    size = next(
        (
            int(found[1])
            for line in answer
            if isinstance(line, bytes | tuple)
            and (found := _SIZE.search(line if isinstance(line, bytes) else line[0]))
        ),
        None,
    )
    if kind != "OK" or size is None or size > LARGEST_MESSAGE:
        return None
    _, answer = mailbox.client.uid("FETCH", str(uid), "(BODY.PEEK[])")
    return next((part[1] for part in answer if isinstance(part, tuple) and len(part) > 1), None)
