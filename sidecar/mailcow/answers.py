"""Reading what mailcow's API answers: bytes in, values out, and an exception for what is no answer at all.

Rule for every editor: decide in this order - status, is the body JSON at all, its shape, the `type` of each
element - and never take a missing or odd answer for an empty one. Whether an answer is *believed* (an empty
list after a full one) is decided elsewhere. Nothing here sends anything or knows the time.
"""

import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any, TypeAlias, TypeVar

from sidecar.formats.domain_name import to_ascii
from sidecar.host.errors import PermanentError, TemporaryError
from sidecar.observed import AliasDomain, Domain, Served

T = TypeVar("T")

READ_WHEN_RECREATED = (
    "API_KEY and API_ALLOW_FROM of mailcow.conf are read only when php-fpm-mailcow is re-created: "
    "after a change run `docker compose up -d` in the mailcow directory"
)


# --- what comes in, and what is raised -------------------------------------------------------------------


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
        text = " ".join("".join(c if c.isprintable() else " " for c in html.unescape(text)).split())
        return text if len(text) <= limit else text[: limit - 1] + "…"


class NotReadable(TemporaryError):  # noqa: N818 - the error is what mailcow is not
    """mailcow gave no answer, or one that says nothing. Nothing may be concluded from it."""


class WriteUntold(NotReadable):
    """mailcow answered, but not what became of a write: it may be done, and has to be read back."""


class RedisRefusesWrites(WriteUntold):
    """mailcow's Redis refuses writes (`said`: why), which its database does not: also of a policy that is read."""

    def __init__(self, asked: str, what: str, said: str) -> None:
        self.said = said
        super().__init__(f"{asked}: mailcow's Redis refuses writes ({said}), {what}")


class NoSuchRoute(NotReadable):
    """mailcow's application itself says that it has no such route: another version than was thought."""


class DeniedCause(StrEnum):
    """Why mailcow refuses a call."""

    WRONG_KEY = "wrong key"
    ADDRESS = "address not allowed"
    READ_ONLY = "read-only key"
    NO_KEY = "no key"
    OTHER = "refused by something in front of mailcow"


class AccessDenied(PermanentError):  # noqa: N818 - mailcow's own words
    """mailcow refuses the key. `cause` says why, `address` is where mailcow sees us, if it told.

    The caller backs off steeply: each refused call is reported to fail2ban's channel.
    """

    def __init__(self, cause: DeniedCause, asked: str, *, address: str | None = None, said: str = "") -> None:
        self.cause = cause
        self.address = address
        super().__init__(_denial(cause, asked, address, said))


def _denial(cause: DeniedCause, asked: str, address: str | None, said: str) -> str:
    match cause:
        case DeniedCause.WRONG_KEY:
            return (
                f"{asked}: mailcow does not know the API key, or it is switched off (it says {said!r}). "
                "Compare MTA_STS_API_KEY, else API_KEY of mailcow.conf, with the key under System, API. "
                f"{READ_WHEN_RECREATED}. (While its database is made anew it refuses the right key, too)"
            )
        case DeniedCause.ADDRESS:
            seen = address or "the address of this container"
            return (
                f"{asked}: mailcow refuses the API key from {seen} (it says {said!r}). Add {seen} to "
                "API_ALLOW_FROM in mailcow.conf (comma-separated, networks like 172.22.1.0/24 may be given). "
                f"{READ_WHEN_RECREATED}"
            )
        case DeniedCause.READ_ONLY:
            return (
                f"{asked}: the API key may only read (mailcow says {said!r}). Set API_KEY, not "
                f"API_KEY_READ_ONLY, or give the read-write key in MTA_STS_API_KEY. {READ_WHEN_RECREATED}"
            )
        case DeniedCause.NO_KEY:
            return (
                f"{asked}: there is no API key to send. Set API_KEY and API_ALLOW_FROM in mailcow.conf, "
                f"or MTA_STS_API_KEY for the sidecar alone. {READ_WHEN_RECREATED}"
            )
        case DeniedCause.OTHER:
            return (
                f"{asked}: refused, but not in mailcow's own words ({said!r}): a proxy or an access "
                "rule in front of mailcow? Let this container through there, or point MTA_STS_API_URL at "
                "nginx-mailcow itself"
            )


# --- status and JSON -------------------------------------------------------------------------------------

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


def _parsed(answer: Answer) -> Any:
    """The JSON of the body. Raises NotReadable where there is none; the status is not looked at."""
    if not answer.body.strip():
        raise NotReadable(
            f"{answer.asked}: status {answer.status} with an empty body. mailcow answers so when a call died "
            "inside (a table is missing, a connection broke) or without a key; see the log of php-fpm-mailcow"
        )
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise NotReadable(
            f"{answer.asked}: status {answer.status}, but {answer.content_type or 'a body'} that is no JSON: "
            f"{answer.excerpt()!r}. {_STATUS_HINTS[502]}, or something else answers in its place"
        ) from error


def _said(answer: Answer) -> str | None:
    """The `msg` of an error object; None where mailcow's application did not speak."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    message = found.get("msg") if isinstance(found, dict) else None
    return message if isinstance(message, str) else None


def _json(answer: Answer) -> Any:
    """The JSON of an answer with status 200. Raises AccessDenied, NoSuchRoute and NotReadable."""
    if answer.status == HTTPStatus.OK:
        return _parsed(answer)
    said = _said(answer)
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
    hint = _STATUS_HINTS.get(answer.status, "something else may answer in mailcow's place")
    raise NotReadable(f"{answer.asked}: status {answer.status}, {answer.excerpt()!r}. {hint}")


def _odd(answer: Answer, what: str) -> NotReadable:
    return NotReadable(f"{answer.asked}: {what}. This is not how mailcow answers: {answer.excerpt()!r}")


def content(answer: Answer) -> Any:
    """The JSON of an answer, for modules that read routes of their own. Raises as `_json` does."""
    return _json(answer)


# --- reads -----------------------------------------------------------------------------------------------


def read_version(answer: Answer) -> str | None:
    """What mailcow says of its version; None where it does not know it itself. Raises as `_json` does."""
    match _json(answer):
        case {"version": str() | None as version}:
            return version
    raise _odd(answer, "no version in the answer")


def _rows(answer: Answer, read: Callable[[dict[str, Any]], T]) -> tuple[T, ...]:
    rows = _json(answer)
    if rows == {} and isinstance(rows, dict):
        return ()
    if not isinstance(rows, list):
        raise _odd(answer, "the answer is no list")
    found: list[T] = []
    for number, row in enumerate(rows, 1):
        try:
            found.append(read(row))
        except (KeyError, TypeError, ValueError) as error:
            raise _odd(answer, f"element {number} of {len(rows)} cannot be read ({error!r})") from error
    return tuple(found)


def rows(answer: Answer, read: Callable[[dict[str, Any]], T]) -> tuple[T, ...]:
    """Each element of a list, read; `{}` is an empty list. Raises AccessDenied, NoSuchRoute and NotReadable."""
    return _rows(answer, read)


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no name")
    return to_ascii(value)


def _flag(value: object) -> bool:
    # integers as of today; texts are what PHP makes of them with another database driver
    if isinstance(value, (int, str)) and str(int(value)) in {"0", "1"}:
        return bool(int(value))
    raise ValueError(f"{value!r} is neither 0 nor 1")


def read_domains(answer: Answer) -> tuple[Domain, ...]:
    """All domains in the order of their names; `{}` is mailcow's way to say that it has none.

    Raises AccessDenied, and NotReadable for an answer of which not every element can be read.
    """
    found = _rows(
        answer, lambda row: Domain(_name(row["domain_name"]), _flag(row["active"]), _flag(row["backupmx"]))
    )
    return tuple(sorted(found, key=lambda domain: domain.name))


def read_aliases(answer: Answer) -> tuple[AliasDomain, ...]:
    """All alias domains in the order of their names. Raises as `read_domains` does."""
    found = _rows(
        answer,
        lambda row: AliasDomain(
            _name(row["alias_domain"]), _name(row["target_domain"]), _flag(row["active"])
        ),
    )
    return tuple(sorted(found, key=lambda alias: alias.name))


@dataclass(frozen=True, slots=True)
class Matches:
    """How many domains there are, and how many of them the filter lets through."""

    total: int
    matching: int


def read_counts(answer: Answer) -> Matches:
    """The counts of a paged list without rows. Raises NoSuchRoute where this mailcow has no such list."""
    match _json(answer):
        case {"recordsTotal": int(total), "recordsFiltered": int(matching)} if 0 <= matching <= total:
            return Matches(total, matching)
        case dict(other) if not other:
            # a newer mailcow takes `datatables` for the name of a domain, which it does not have
            raise NoSuchRoute(f"{answer.asked}: mailcow has no such list")
    raise _odd(answer, "no counts in the answer")


def read_served(answer: Answer) -> Served:
    """What is served as a domain's policy; 404 says that there is none. Raises NotReadable for all else."""
    if answer.status == HTTPStatus.NOT_FOUND:
        return Served(None)
    if answer.status != HTTPStatus.OK:
        hint = _STATUS_HINTS.get(answer.status, "something else may answer in mailcow's place")
        raise NotReadable(f"{answer.asked}: status {answer.status}, {answer.excerpt()!r}. {hint}")
    if not answer.body:
        raise NotReadable(
            f"{answer.asked}: status 200 with an empty body: mailcow's database has no tables (yet)"
        )
    if not answer.content_type.lower().startswith("text/plain"):
        raise _odd(answer, f"{answer.content_type or 'no content type'} instead of a policy")
    try:
        text = answer.body.decode()
    except UnicodeDecodeError as error:
        raise _odd(answer, "the policy is not UTF-8") from error
    # PHP's own error page behind (or in place of) a policy; no field of a policy begins so (RFC 8461 §3.2)
    if (page := re.search(r"(?m)^\s*<", text)) is None:
        return Served(text)
    if (said := _redis_said(html.unescape(text[page.start() :]))) is not None:
        what = "so the policy is followed by an error page: senders cannot read it either"
        raise RedisRefusesWrites(answer.asked, what, said)
    raise NotReadable(
        f"{answer.asked}: the policy is followed by an error page, {answer.excerpt()!r}; senders cannot read it either"
    )


def _redis_said(text: str) -> str | None:
    """Redis' refusal in an error of PHP, its first sentence and without the place in the code."""
    begin, end = r"(?:\ARedis: (?:RedisException: )?|RedisException: )", r"(?: in (?:/|\[)|\.\s|\n|\Z)"
    found = re.search(f"{begin}(.+?){end}", text)
    return None if found is None else "".join(c if c.isprintable() else " " for c in found[1])[:160]


def read_policy_id(domain: str, answer: Answer) -> str | None:
    """The policy id on mailcow's DNS check page of a domain (A-label); None where it has no active policy.

    Raises AccessDenied, and NotReadable for a page that is not whole.
    """
    if answer.status != HTTPStatus.OK:
        _json(answer)  # a refused key is told in JSON here, too
    page = answer.body.decode("utf-8", "replace")
    if page.strip() == "Session invalid":
        raise AccessDenied(DeniedCause.NO_KEY, answer.asked, said=page.strip())
    if page.strip() == "No such domain in context":
        return None
    # the row's cells: name, type, what should be there; then what is there, which may be another id
    row = re.search(rf"(?s)<td>\s*_mta-sts\.{re.escape(domain)}\s*</td>(.*?)(?:</tr>|\Z)", page)
    if row is None and "</table>" not in page:
        raise _odd(answer, "the page is not whole")
    if row is None:
        return None
    found = re.search(r"<td[^>]*>\s*v=STSv1;\s*id=([A-Za-z0-9]{1,32});?\s*</td>", row[1], re.IGNORECASE)
    if found is None:
        raise _odd(answer, f"the page shows no policy id for {domain}")
    return found[1]


def read_route_probe(answer: Answer) -> bool | None:
    """Whether mailcow has the routes for MTA-STS, from an empty `add/mta-sts`; None for a read-only key.

    Raises AccessDenied for other refusals and NotReadable where the answer tells nothing.
    """
    try:
        found = _json(answer)
    except NoSuchRoute:
        return False
    except AccessDenied as error:
        if error.cause is DeniedCause.READ_ONLY:
            return None
        raise
    if isinstance(found, list) and any(_own(element, "add") for element in found):
        return True
    raise _odd(answer, "mailcow's answer does not tell whether it has this route")


# --- writes ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Added:
    """The row was made."""


@dataclass(frozen=True, slots=True)
class Exists:
    """There is a row already, perhaps one that is switched off; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Edited:
    """The row says now what was sent."""


@dataclass(frozen=True, slots=True)
class NoSuchRow:
    """mailcow denies access: there is no such row, or no such domain. It has one word for both."""


@dataclass(frozen=True, slots=True)
class Refused:
    """mailcow did not write, in its own words; `lasting` when the same request would be refused again."""

    reason: str
    lasting: bool


AddResult: TypeAlias = Added | Exists | Refused
EditResult: TypeAlias = Edited | NoSuchRow | Refused


def _own(element: object, action: str) -> bool:
    """Whether a message is about our write: others (Redis, a database upgrade) come in the same list.

    `log` echoes the route of the write that the message is about; Redis' own complaint has none.
    """
    match element:
        case {"log": ["mailbox", str(done), "mta_sts", *_]}:
            return done == action
        case {"log": _}:
            return False
        case {"type": "danger" | "success", "msg": msg}:
            return not str(msg).startswith("Redis:")
    return False


def _message(element: dict[str, Any]) -> str:
    msg = element.get("msg")
    return " ".join(map(str, msg)) if isinstance(msg, list) else str(msg)


def _refused(element: dict[str, Any]) -> Refused:
    text = _message(element)
    lasting = text.partition(" ")[0].endswith("_invalid") or "SQLSTATE[22001]" in text
    return Refused(text[:200], lasting)


def _messages(answer: Answer, action: str) -> list[dict[str, Any]]:
    """The messages about our write. Raises WriteUntold where there are only others: of Redis, or of an upgrade."""
    found = _json(answer)
    if isinstance(found, list) and (own := [element for element in found if _own(element, action)]):
        return own
    for element in found if isinstance(found, list) else ():
        if isinstance(element, dict) and (said := _redis_said(str(element.get("msg")))) is not None:
            raise RedisRefusesWrites(
                answer.asked, "and the answer does not say what became of the write", said
            )
    raise WriteUntold(str(_odd(answer, "the answer does not say what became of the write")))


def read_add(domain: str, answer: Answer) -> AddResult:
    """What became of `add/mta-sts` for a domain (A-label).

    Raises AccessDenied, NoSuchRoute on the file generation, and NotReadable where the outcome is unknown.
    """
    # a lone success comes as an object, everything else as a list
    if answer.status == HTTPStatus.OK and (whole := _parsed(answer)) and isinstance(whole, dict):
        if whole.get("type") == "success":
            return Added()
        raise _odd(answer, f"the policy of {domain} was not added")
    own = _messages(answer, "add")
    dangers = [element for element in own if element.get("type") == "danger"]
    if any("1062" in _message(element) for element in dangers):
        return Exists()
    if dangers:
        return _refused(dangers[0])
    if any(element.get("type") == "success" for element in own):
        return Added()
    raise _odd(answer, f"the answer does not say what became of the policy of {domain}")


def read_edit(domain: str, answer: Answer) -> EditResult:
    """What became of `edit/mta-sts` with the single item `domain` (A-label). Raises as `read_add` does."""
    if answer.status == HTTPStatus.OK and isinstance(_parsed(answer), dict):
        # also and especially the object that says success: mailcow found nothing to edit in what was sent
        raise _odd(answer, f"nothing was edited for {domain}")
    own = _messages(answer, "edit")
    for element in own:
        msg = element.get("msg")
        if element.get("type") == "success" and isinstance(msg, list) and domain in msg[1:]:
            return Edited()
    dangers = [element for element in own if element.get("type") == "danger"]
    if any(element.get("msg") == "access_denied" for element in dangers):
        return NoSuchRow()
    if dangers:
        return _refused(dangers[0])
    raise _odd(answer, f"no message is about {domain}")
