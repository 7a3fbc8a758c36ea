"""Aliases and transports of the simulated mailcow: their rows, and what the API does to them.

Rule for every editor: each answer was seen from mailcow's own application (2026-07a). What goes on with mail that is
sent to an alias does not belong here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from demo.simulated_php import array, echoed, escaped, intval, pretty_json, text


@dataclass(slots=True)
class Routes:
    """The tables `alias` and `transports`; ids are never used again."""

    aliases: dict[int, dict[str, Any]] = field(default_factory=dict)
    transports: dict[int, dict[str, Any]] = field(default_factory=dict)
    last_alias: int = 0
    last_transport: int = 0

    def shown(self, category: str, name: str) -> str:
        """The answer to `get/alias/…` or `get/transport/…`."""
        rows = self.aliases if category == "alias" else self.transports
        if name == "all":
            return pretty_json(list(rows.values())) if rows else "{}"
        row = rows.get(intval(name))
        return pretty_json(row) if row else "{}"


def add_alias(call: Any) -> Iterator[dict[str, Any]]:
    address, routes = text(call["address"]).lower(), call.world.routes
    domain = address.rpartition("@")[2]
    if not call.world.knows(domain):
        yield call.refused("domain_not_found", escaped(domain))
    elif any(row["address"] == address for row in routes.aliases.values()):
        yield call.refused("is_alias_or_mailbox", escaped(address))
    else:
        routes.last_alias += 1
        active = int(intval(call["active"]) == 1)
        routes.aliases[routes.last_alias] = {
            "in_primary_domain": "",
            "id": routes.last_alias,
            "domain": domain,
            "public_comment": None,
            "private_comment": None,
            "goto": text(call["goto"]),
            "address": address,
            "is_catch_all": 0,
            "internal": 0,
            "active": active,
            "active_int": active,
            "sogo_visible": 0,
            "sogo_visible_int": 0,
            "sender_allowed": 0,
            "created": call.world.now(),
            "modified": None,
        }
        yield call.done("alias_added", address, str(routes.last_alias))


def edit_aliases(call: Any) -> Iterator[dict[str, Any]]:
    for item in array(call["id"]):
        row = call.world.routes.aliases.get(intval(item))
        if row is None:
            yield call.refused("access_denied")
            continue
        if call["goto"] is not None:
            row["goto"] = text(call["goto"])
        if call["active"] is not None:
            row["active"] = row["active_int"] = int(intval(call["active"]) == 1)
        row["modified"] = call.world.now()
        yield call.done("alias_modified", row["address"])


def delete_aliases(call: Any) -> Iterator[dict[str, Any]]:
    for item in array(call["id"]):
        row = call.world.routes.aliases.pop(intval(item), None)
        yield call.refused("access_denied") if row is None else call.done("alias_removed", row["address"])


def add_transport(call: Any) -> Iterator[dict[str, Any]]:
    routes, destination = call.world.routes, text(call["destination"]).lower()
    if any(row["destination"] == destination for row in routes.transports.values()):
        yield _message(call, "danger", "transport_dest_exists", escaped(destination))
    elif not text(call["nexthop"]):
        yield _message(call, "danger", "invalid_nexthop")
    else:
        routes.last_transport += 1
        routes.transports[routes.last_transport] = {
            "id": routes.last_transport,
            "is_mx_based": 0,
            "destination": destination,
            "nexthop": text(call["nexthop"]),
            "username": text(call["username"]),
            "password": text(call["password"]),
            "active": int(intval(call["active"]) == 1),
            "password_short": "...",
        }
        yield _message(call, "success", "relayhost_added", "")


def edit_transports(call: Any) -> Iterator[dict[str, Any]]:
    for item in array(call["id"]):
        row = call.world.routes.transports.get(intval(item))
        if row is None:
            yield _message(call, "danger", "relayhost_invalid", escaped(text(item)))
            continue
        for name in ("destination", "nexthop"):
            if call[name] is not None:
                row[name] = text(call[name])
        if call["active"] is not None:
            row["active"] = int(intval(call["active"]) == 1)
        yield _message(call, "success", "object_modified", "")


def delete_transports(call: Any) -> Iterator[dict[str, Any]]:
    for item in array(call["id"]):
        call.world.routes.transports.pop(intval(item), None)  # success for one that is not there, too
        yield _message(call, "success", "relayhost_removed", escaped(text(item)))


def _message(call: Any, kind: str, *msg: str) -> dict[str, Any]:
    """A message of mailcow's function for transports: its log is shorter."""
    return {"type": kind, "log": ["transport", call.action, echoed(call.data)], "msg": list(msg)}
