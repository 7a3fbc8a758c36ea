"""One response of mailcow's API: whether it is an answer at all, and the errors where it is not.

Rule for every editor: decide in this order - status, is the body JSON at all, its shape, its elements - and never take
a missing or odd answer for an empty one. Nothing here sends anything, knows a route or the time.
"""

import html
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any, TypeVar, assert_never

from sidecar.formats.text import one_line
from sidecar.host.errors import PermanentError, TemporaryError

T = TypeVar("T")

READ_WHEN_RECREATED = (
    "API_KEY and API_ALLOW_FROM of mailcow.conf are read only when php-fpm-mailcow is re-created: "
    "after a change run `docker compose up -d` in the mailcow directory"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came: `asked` says in words what was asked (method and path, never a header)."""

    asked: str
    status: int
    content_type: str
    body: bytes

    def excerpt(self, limit: int = 160) -> str:
        """The beginning of the body for people: tags and line ends taken out, at most `limit` characters."""
        text = self.body[: 20 * limit].decode("utf-8", "replace")
        text = re.sub(r"(?s)<(style|script|svg)\b.*?</\1>|<!--.*?-->|<[^>]*>", " ", text)
        # what is left of control characters could draw on a terminal
        return one_line(html.unescape(text), limit)


class NotReadable(TemporaryError):  # noqa: N818 - the error is what mailcow is not
    """mailcow gave no answer, or one that says nothing. Nothing may be concluded from it."""


class WriteUnconfirmed(NotReadable):
    """mailcow answered without the outcome of a write: it may be done, and has to be read back."""


class RedisRefusesWrites(WriteUnconfirmed):
    """mailcow's Redis refuses writes (`said`: why), which its database does not: also of a policy that is read."""

    def __init__(self, asked: str, what: str, said: str) -> None:
        self.said = said
        super().__init__(f"{asked}: mailcow's Redis refuses writes ({said}), {what}")


class NoSuchRoute(NotReadable):
    """mailcow's application itself says that it has no such route: it has another version than expected."""


class DeniedCause(StrEnum):
    """Why mailcow refuses a call."""

    WRONG_KEY = "wrong key"
    ADDRESS = "address not allowed"
    READ_ONLY = "read-only key"
    NO_KEY = "no key"
    OTHER = "refused by something in front of mailcow"


class AccessDenied(PermanentError):  # noqa: N818 - mailcow's own words
    """mailcow refuses the key. `cause` says why, `address` is where mailcow sees us, if it says so.

    The caller backs off steeply: each refused call is reported to fail2ban's channel.
    """

    def __init__(self, cause: DeniedCause, asked: str, *, address: str | None = None, said: str = "") -> None:
        self.cause = cause
        self.address = address
        match cause:
            case DeniedCause.WRONG_KEY:
                text = (
                    f"mailcow does not know the API key, or it is switched off (it says {said!r}). "
                    "Compare MTA_STS_API_KEY, else API_KEY of mailcow.conf, with the key under System, API. "
                    f"{READ_WHEN_RECREATED}. (While its database is re-created, it refuses the right key, too)"
                )
            case DeniedCause.ADDRESS:
                seen = address or "the address of this container"
                text = (
                    f"mailcow refuses the API key from {seen} (it says {said!r}). Add {seen} to "
                    "API_ALLOW_FROM in mailcow.conf (comma-separated, networks like 172.22.1.0/24 may be given). "
                    f"{READ_WHEN_RECREATED}"
                )
            case DeniedCause.READ_ONLY:
                text = (
                    f"the API key may only read (mailcow says {said!r}). Set API_KEY, not "
                    f"API_KEY_READ_ONLY, or give the read-write key in MTA_STS_API_KEY. {READ_WHEN_RECREATED}"
                )
            case DeniedCause.NO_KEY:
                text = (
                    "there is no API key to send. Set API_KEY and API_ALLOW_FROM in mailcow.conf, "
                    f"or MTA_STS_API_KEY for the sidecar alone. {READ_WHEN_RECREATED}"
                )
            case DeniedCause.OTHER:
                text = (
                    f"refused, but not in mailcow's own words ({said!r}): a proxy or an access "
                    "rule in front of mailcow? Let this container through there, or point MTA_STS_API_URL at "
                    "nginx-mailcow itself"
                )
            case _:
                assert_never(cause)
        super().__init__(f"{asked}: {text}")


_STATUS_HINTS = {
    301: "HTTP_REDIRECT=y sends HTTP to HTTPS, and no redirect is followed: use https: in MTA_STS_API_URL",
    400: "mailcow did not take the body for JSON: a proxy that changes requests?",
    405: "php-fpm-mailcow is not up (yet)",
    500: "mailcow's database, Redis or dockerapi does not answer",
    502: "php-fpm-mailcow is not up, or still sets up the database",
    503: "mailcow is not up",
    504: "php-fpm-mailcow took too long",
}
_STATUS_HINTS |= dict.fromkeys((302, 303, 307, 308), _STATUS_HINTS[301])


def parsed(answer: Answer, fields: frozenset[str] = frozenset()) -> Any:
    """The JSON of the body; of objects that have all `fields`, if any are given, only these.

    Raises NotReadable if it is not JSON; the status is not considered.
    """

    def needed(found: dict[str, Any]) -> dict[str, Any]:
        return {key: found[key] for key in fields} if fields <= found.keys() else found

    if not answer.body.strip():
        raise NotReadable(
            f"{answer.asked}: status {answer.status} with an empty body. mailcow answers so when a call died "
            "inside (a table is missing, a connection broke) or without a key; see the log of php-fpm-mailcow"
        )
    try:
        return json.loads(answer.body, object_hook=needed if fields else None)
    except (ValueError, RecursionError) as error:
        raise NotReadable(
            f"{answer.asked}: status {answer.status}, but {answer.content_type or 'a body'} that is not JSON: "
            f"{answer.excerpt()!r}. {_STATUS_HINTS[502]}, or something else answers in its place"
        ) from error


def content(answer: Answer, fields: frozenset[str] = frozenset()) -> Any:
    """The JSON of an answer with status 200, as `parsed`. Raises AccessDenied, NoSuchRoute and NotReadable."""
    if answer.status == HTTPStatus.OK:
        return parsed(answer, fields)
    said: str | None = None  # the `msg` of an error object; None where mailcow's application did not speak
    with suppress(ValueError, RecursionError):
        match json.loads(answer.body):
            case {"msg": str(message)}:
                said = message
    match answer.status, said:
        case 401, str():
            found = re.search(r"denied for ip (\S+)", said)
            cause = DeniedCause.ADDRESS if "access denied for ip" in said else DeniedCause.WRONG_KEY
            raise AccessDenied(cause, answer.asked, address=found[1] if found else None, said=said)
        case 403, "API read/write access denied":
            raise AccessDenied(DeniedCause.READ_ONLY, answer.asked, said=str(said))
        case 403, "Insufficient permissions":
            raise AccessDenied(DeniedCause.NO_KEY, answer.asked, said=str(said))
        case ((401 | 403), _):
            raise AccessDenied(DeniedCause.OTHER, answer.asked, said=said or answer.excerpt(60))
        case 404, str():
            raise NoSuchRoute(
                f"{answer.asked}: mailcow has no such route ({said!r}); it may just have been updated"
            )
    raise unexpected_status(answer)


def unexpected_status(answer: Answer) -> NotReadable:
    """The error for a status that says nothing, with what it may mean."""
    hint = _STATUS_HINTS.get(answer.status, "something else may answer in mailcow's place")
    return NotReadable(f"{answer.asked}: status {answer.status}, {answer.excerpt()!r}. {hint}")


def odd(answer: Answer, what: str) -> NotReadable:
    """The error for an answer that mailcow does not give; `what` says what is wrong with it."""
    return NotReadable(f"{answer.asked}: {what}. This is not how mailcow answers: {answer.excerpt()!r}")


def rows(
    answer: Answer, read: Callable[[dict[str, Any]], T], fields: frozenset[str] = frozenset()
) -> tuple[T, ...]:
    """Each element of a list, read; `{}` is an empty list. Raises AccessDenied, NoSuchRoute and NotReadable.

    `fields` are those that `read` needs: given for long lists, whose rows have dozens of others.
    """
    rows = content(answer, fields)
    if rows == {} and isinstance(rows, dict):
        return ()
    if not isinstance(rows, list):
        raise odd(answer, "the answer is not a list")
    found: list[T] = []
    for number, row in enumerate(rows, 1):
        try:
            found.append(read(row))
        except (KeyError, TypeError, ValueError) as error:
            raise odd(answer, f"element {number} of {len(rows)} cannot be read ({error!r})") from error
    return tuple(found)
