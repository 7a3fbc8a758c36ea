"""What the answers of mailcow's API mean, route by route: bytes in, values out, and an error for what says nothing.

Rule for every editor: check the `type` of each element, and never take a missing or odd answer for an empty one.
Whether an answer is *believed* (an empty list after a full one) is decided elsewhere. Nothing here sends anything or
knows the time.
"""

import html
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeAlias

from sidecar.formats.domain_name import to_ascii
from sidecar.formats.text import printable
from sidecar.mailcow.response import (
    AccessDenied,
    Answer,
    DeniedCause,
    NoSuchRoute,
    NotReadable,
    RedisRefusesWrites,
    WriteUnconfirmed,
    content,
    odd,
    parsed,
    rows,
    unexpected_status,
)
from sidecar.observed import AliasDomain, Domain, Served

# --- reads -----------------------------------------------------------------------------------------------


def read_version(answer: Answer) -> str | None:
    """What mailcow says of its version; None where it does not know it itself. Raises as `content` does."""
    match content(answer):
        case {"version": str() | None as version}:
            return version
    raise odd(answer, "no version in the answer")


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a name")
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
    found = rows(
        answer,
        lambda row: Domain(_name(row["domain_name"]), _flag(row["active"]), _flag(row["backupmx"])),
        frozenset({"domain_name", "active", "backupmx"}),
    )
    return tuple(sorted(found, key=lambda domain: domain.name))


def read_aliases(answer: Answer) -> tuple[AliasDomain, ...]:
    """All alias domains in the order of their names. Raises as `read_domains` does."""
    found = rows(
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
    match content(answer):
        case {"recordsTotal": int(total), "recordsFiltered": int(matching)} if 0 <= matching <= total:
            return Matches(total, matching)
        case dict(other) if not other:
            # a newer mailcow takes `datatables` for the name of a domain, which it does not have
            raise NoSuchRoute(f"{answer.asked}: mailcow has no such list")
    raise odd(answer, "no counts in the answer")


def read_served(answer: Answer) -> Served:
    """What is served as a domain's policy; 404 says that there is none. Raises NotReadable for all else."""
    if answer.status == HTTPStatus.NOT_FOUND:
        return Served(None)
    if answer.status != HTTPStatus.OK:
        raise unexpected_status(answer)
    if not answer.body:
        raise NotReadable(
            f"{answer.asked}: status 200 with an empty body: mailcow's database has no tables (yet)"
        )
    if not answer.content_type.lower().startswith("text/plain"):
        raise odd(answer, f"{answer.content_type or 'no content type'} instead of a policy")
    try:
        text = answer.body.decode()
    except UnicodeDecodeError as error:
        raise odd(answer, "the policy is not UTF-8") from error
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
    return None if found is None else printable(found[1])[:160]


def read_policy_id(domain: str, answer: Answer) -> str | None:
    """The policy id on mailcow's DNS check page of a domain (A-label); None where it has no active policy.

    Raises AccessDenied, and NotReadable for a page that is not whole.
    """
    if answer.status != HTTPStatus.OK:
        content(answer)  # a refused key is reported in JSON here, too
    page = answer.body.decode("utf-8", "replace")
    if page.strip() == "Session invalid":
        raise AccessDenied(DeniedCause.NO_KEY, answer.asked, said=page.strip())
    if page.strip() == "No such domain in context":
        return None
    # the row's cells: name, type, what should be there; then what is there, which may be another id
    row = re.search(rf"(?s)<td>\s*_mta-sts\.{re.escape(domain)}\s*</td>(.*?)(?:</tr>|\Z)", page)
    if row is None and "</table>" not in page:
        raise odd(answer, "the page is not whole")
    if row is None:
        return None
    found = re.search(r"<td[^>]*>\s*v=STSv1;\s*id=([A-Za-z0-9]{1,32});?\s*</td>", row[1], re.IGNORECASE)
    if found is None:
        raise odd(answer, f"the page shows no policy id for {domain}")
    return found[1]


def read_route_probe(answer: Answer) -> bool | None:
    """Whether mailcow has the routes for MTA-STS, from an empty `add/mta-sts`; None for a read-only key.

    Raises AccessDenied for other refusals and NotReadable where the answer tells nothing.
    """
    try:
        found = content(answer)
    except NoSuchRoute:
        return False
    except AccessDenied as error:
        if error.cause is DeniedCause.READ_ONLY:
            return None
        raise
    if isinstance(found, list) and any(_own(element, "add") for element in found):
        return True
    raise odd(answer, "mailcow's answer does not tell whether it has this route")


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
    """mailcow denies access: there is no such row, or no such domain. It has one message for both."""


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


def message_of(element: dict[str, Any]) -> str:
    """What mailcow says: its words may come one by one."""
    msg = element.get("msg")
    return " ".join(map(str, msg)) if isinstance(msg, list) else str(msg)


def _refused(element: dict[str, Any]) -> Refused:
    text = message_of(element)
    lasting = text.partition(" ")[0].endswith("_invalid") or "SQLSTATE[22001]" in text
    return Refused(text[:200], lasting)


def _messages(answer: Answer, action: str) -> list[dict[str, Any]]:
    """The messages about our write. Raises WriteUnconfirmed where there are only others: of Redis, or of an upgrade."""
    found = content(answer)
    if isinstance(found, list) and (own := [element for element in found if _own(element, action)]):
        return own
    for element in found if isinstance(found, list) else ():
        if isinstance(element, dict) and (said := _redis_said(str(element.get("msg")))) is not None:
            raise RedisRefusesWrites(
                answer.asked, "and the answer does not say what became of the write", said
            )
    raise WriteUnconfirmed(str(odd(answer, "the answer does not say what became of the write")))


def read_add(domain: str, answer: Answer) -> AddResult:
    """What became of `add/mta-sts` for a domain (A-label).

    Raises AccessDenied, NoSuchRoute on the file generation, and NotReadable where the outcome is unknown.
    """
    # a lone success comes as an object, everything else as a list
    if answer.status == HTTPStatus.OK and (whole := parsed(answer)) and isinstance(whole, dict):
        if whole.get("type") == "success":
            return Added()
        raise odd(answer, f"the policy of {domain} was not added")
    own = _messages(answer, "add")
    dangers = [element for element in own if element.get("type") == "danger"]
    if any("1062" in message_of(element) for element in dangers):
        return Exists()
    if dangers:
        return _refused(dangers[0])
    if any(element.get("type") == "success" for element in own):
        return Added()
    raise odd(answer, f"the answer does not say what became of the policy of {domain}")


def read_edit(domain: str, answer: Answer) -> EditResult:
    """What became of `edit/mta-sts` with the single item `domain` (A-label). Raises as `read_add` does."""
    if answer.status == HTTPStatus.OK and isinstance(parsed(answer), dict):
        # also and especially the object that says success: mailcow found nothing to edit in what was sent
        raise odd(answer, f"nothing was edited for {domain}")
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
    raise odd(answer, f"no message is about {domain}")
