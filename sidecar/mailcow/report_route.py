"""mailcow's aliases and transports: what the route of TLS reports needs of them, and the writes that set it up.

Rules for every editor: a transport may hold another mail server's password: it is never read. Each write is about one
row that the plan named; mailcow's message says whether it was done, and the next pass reads it back.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias, assert_never

from sidecar.mailcow.answers import message_of
from sidecar.mailcow.api import MailcowApi
from sidecar.mailcow.response import Answer, WriteUnconfirmed, content, rows
from sidecar.observed.report_route import INTERNAL_ADDRESS, INTERNAL_DOMAIN, AliasRow, TransportRow
from sidecar.plan.report_route import (
    AddAlias,
    AddTransport,
    DeleteAlias,
    DeleteTransport,
    EditTransport,
    Step,
)

LONGEST_GOTO = 4_000
"""Characters of the targets that are kept: an alias may have thousands."""


@dataclass(frozen=True, slots=True)
class Done:
    """mailcow did it."""


@dataclass(frozen=True, slots=True)
class NotDone:
    """mailcow refused, in its own words; `lasting` where the same request would be refused again."""

    reason: str
    lasting: bool


Outcome: TypeAlias = Done | NotDone

_LASTING = frozenset(
    {"is_alias_or_mailbox", "domain_not_found", "transport_dest_exists", "max_alias_exceeded"}
)


async def read_route(api: MailcowApi) -> tuple[tuple[AliasRow, ...], tuple[TransportRow, ...]]:
    """All aliases and transports. Raises as `MailcowApi` does."""
    return read_aliases(await api.get("get/alias/all")), read_transports(await api.get("get/transport/all"))


def read_aliases(answer: Answer) -> tuple[AliasRow, ...]:
    """The aliases in an answer of `get/alias/all`. Raises AccessDenied and NotReadable."""
    return rows(
        answer,
        lambda row: AliasRow(
            int(row["id"]),
            str(row["address"]).lower(),
            str(row["goto"])[:LONGEST_GOTO].lower(),
            int(row["active"]) == 1,
        ),
    )


def read_transports(answer: Answer) -> tuple[TransportRow, ...]:
    """The transports in an answer of `get/transport/all`. Raises as `read_aliases` does."""
    return rows(
        answer,
        lambda row: TransportRow(
            int(row["id"]), str(row["destination"]).lower(), str(row["nexthop"]), int(row["active"]) == 1
        ),
    )


async def carry_out(api: MailcowApi, step: Step) -> Outcome:
    """Does one step of the plan. Raises as `MailcowApi` does, and WriteUnconfirmed if mailcow does not say what it did."""
    match step:
        case AddTransport(nexthop):
            body = {
                "destination": INTERNAL_DOMAIN,
                "nexthop": nexthop,
                "username": "",
                "password": "",
                "active": "1",
            }
            return _outcome(await api.post("add/transport", body), {"relayhost_added"})
        case EditTransport(number, nexthop):
            attributes = {"destination": INTERNAL_DOMAIN, "nexthop": nexthop, "active": "1"}
            answer = await api.post("edit/transport", {"items": [str(number)], "attr": attributes})
            return _outcome(answer, {"object_modified"})
        case AddAlias(address):
            alias = {"address": address, "goto": INTERNAL_ADDRESS, "active": "1"}
            return _outcome(await api.post("add/alias", alias), {"alias_added"})
        case DeleteAlias(number):
            return _outcome(await api.post("delete/alias", [str(number)]), {"alias_removed"})
        case DeleteTransport(number):
            return _outcome(await api.post("delete/transport", [str(number)]), {"relayhost_removed"})
        case _:
            assert_never(step)


def _outcome(answer: Answer, done: Iterable[str]) -> Outcome:
    found = content(answer)
    messages = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    if any(one.get("type") == "success" and _code(one) in set(done) for one in messages):
        return Done()
    for one in messages:
        if one.get("type") == "danger":
            return NotDone(message_of(one)[:200], _code(one) in _LASTING)
    raise WriteUnconfirmed(
        f"{answer.asked}: the answer does not say what became of the write: {answer.excerpt()!r}"
    )


def _code(message: dict[str, Any]) -> str:
    msg = message.get("msg")
    return str(msg[0]) if isinstance(msg, list) and msg else str(msg)
