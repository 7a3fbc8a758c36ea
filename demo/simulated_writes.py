"""The writes of the simulated API: what add, edit and delete do to the tables, and the messages they give.

Rule for every editor: each refusal and each thing wrongly accepted stands in a recording. Keys, methods and
content types are judged before anything here is called.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from demo import simulated_routes
from demo.simulated_php import array, echoed, escaped, field, intval, is_domain_name, name_of, text
from demo.simulated_world import AliasRow, DomainRow, PolicyRow, SqlError, World

Message: TypeAlias = dict[str, Any]
Handler: TypeAlias = "Callable[[Call], Iterator[Message]]"
ADD_LIMIT = 31_536_000
"""The largest max_age, in seconds, that add takes."""
EDIT_LIMIT = 31_557_600
"""The largest that edit takes."""
_MODES = ("enforce", "testing", "none")


@dataclass(frozen=True, slots=True)
class Call:
    """One write: `data` is what mailcow's function is handed, and what its messages echo."""

    world: World
    action: str
    kind: str
    data: Any

    def __getitem__(self, name: str) -> Any:
        return field(self.data, name)

    def done(self, *msg: str) -> Message:
        return self._message("success", list(msg))

    def refused(self, *msg: str) -> Message:
        return self._message("danger", msg[0] if len(msg) == 1 else list(msg))

    def failed(self, error: SqlError) -> Message:
        """A statement that failed: the one message whose log has no last element."""
        message = self._message("danger", str(error))
        message["log"].pop()
        return message

    def _message(self, kind: str, msg: Any) -> Message:
        log = ["mailbox", self.action, self.kind, echoed(self.data), None]
        return {"type": kind, "log": log, "msg": msg}


# --- policies --------------------------------------------------------------------------------------------


def add_policy(call: Call) -> Iterator[Message]:
    world = call.world
    domain = name_of(call["domain"])
    row = PolicyRow(
        id=world.new_id(),
        domain=domain or "",
        version=text(call["version"]).lower(),
        mode=text(call["mode"]).lower(),
        mx=_without_space(call["mx"]),
        max_age=intval(call["max_age"]),
        active=int(intval(call["active"]) == 1),
    )
    if not world.knows(domain):
        yield call.refused("access_denied")
    elif refusal := _refusal(row, limit=ADD_LIMIT, version_shown=row.domain):
        yield call.refused(*refusal)
    elif (bad := _first_bad_mx(row.mx, wildcard=world.release.wildcard_mx)) is not None:
        yield call.refused("mx_invalid", escaped(bad))
    else:
        try:
            world.insert_policy(row)
        except SqlError as error:
            yield call.failed(error)


def edit_policies(call: Call) -> Iterator[Message]:
    for item in array(call["domains"]):
        domain = name_of(item)
        before = call.world.policies.get(domain or "")
        if before is None or not call.world.knows(domain):
            yield call.refused("access_denied")
        else:
            yield _edit_policy(call, before)


def _edit_policy(call: Call, before: PolicyRow) -> Message:
    world = call.world
    # A version that is not given is filled in as it is displayed, which the check below does not take.
    row = replace(
        before,
        version="STSv1" if call["version"] is None else text(call["version"]).lower(),
        mode=before.mode if call["mode"] is None else text(call["mode"]).lower(),
        mx=before.mx if call["mx"] is None else _without_space(call["mx"]),
        max_age=before.max_age if call["max_age"] is None else intval(call["max_age"]),
        active=before.active if call["active"] is None else int(intval(call["active"]) == 1),
    )
    if replace(row, active=before.active) != before:
        row = replace(row, id=world.new_id())
    if refusal := _refusal(row, limit=EDIT_LIMIT, version_shown=row.version):
        return call.refused(*refusal)
    # An mx that is not even convertible ends the check here, and passes.
    if bad := _first_bad_mx(row.mx, wildcard=world.release.wildcard_mx):
        return call.refused("mx_invalid", escaped(bad))
    try:
        world.update_policy(row)
    except SqlError as error:
        return call.failed(error)
    return call.done("object_modified", row.domain)


def _without_space(mx: Any) -> str:
    return re.sub(r"\s+", "", text(mx), flags=re.ASCII)


def _refusal(row: PolicyRow, *, limit: int, version_shown: str) -> tuple[str, str] | None:
    if row.version != "stsv1":
        return "version_invalid", escaped(version_shown)
    if row.mode not in _MODES:
        return "mode_invalid", escaped(row.domain)
    if not 0 < row.max_age <= limit:
        return "max_age_invalid", escaped(row.domain)
    return None


def _first_bad_mx(mx: str, *, wildcard: bool) -> str | None:
    """The first name that mailcow's check refuses; empty for one that IDNA cannot convert, None for none."""
    for item in mx.split(","):
        name = name_of(item)
        if not is_domain_name(name, wildcard=wildcard):
            return name or ""
    return None


# --- domains ---------------------------------------------------------------------------------------------

_DOMAIN_NUMBERS = (
    "active",
    "backupmx",
    "gal",
    "relay_all_recipients",
    "relay_unknown_only",
    "aliases",
    "mailboxes",
    "defquota",
    "maxquota",
    "quota",
)


def _numbers(call: Call) -> dict[str, Any]:
    return {name: intval(call[name]) for name in _DOMAIN_NUMBERS if call[name] is not None}


def add_domain(call: Call) -> Iterator[Message]:
    world, name = call.world, name_of(call["domain"])
    if name is None or not is_domain_name(name):
        yield call.refused("domain_invalid")
    elif world.knows(name):
        yield call.refused("domain_exists", escaped(name))
    elif name == world.hostname:
        yield call.refused("domain_cannot_match_hostname")
    else:
        rate = (call["rl_value"], call["rl_frame"])
        row = DomainRow(
            name=name,
            description=text(call["description"]) or name,
            created=world.now(),
            rate=(str(intval(rate[0])), text(rate[1])) if all(rate) else None,
            **_numbers(call),
        )
        world.put_domain(row)
        if row.rate:
            limit = {"rl_value": intval(rate[0]), "rl_frame": rate[1], "object": name}
            yield _aside(["ratelimit", "edit", "domain", limit], ["rl_saved", name])
        key = {"key_size": 2048, "dkim_selector": "dkim", "domains": name}
        yield _aside(["dkim", "add", key], ["dkim_added", name])
        yield call.done("domain_added", name)


def _aside(log: list[Any], msg: list[str]) -> Message:
    return {"type": "success", "log": log, "msg": msg}


def edit_domains(call: Call) -> Iterator[Message]:
    world = call.world
    for item in array(call["domain"]):
        name = name_of(item)
        if name is None or world.find(name) is None:
            yield call.refused("domain_invalid")
            continue
        # For an alias domain mailcow changes nothing and says success.
        if before := world.domains.get(name):
            description = text(call["description"]) or before.description
            changed = replace(before, description=description, **_numbers(call))
            if changed != before:
                changed = replace(changed, modified=world.now())
            world.put_domain(changed)
        yield call.done("domain_modified", name)


def delete_domains(call: Call) -> Iterator[Message]:
    for item in array(call["domain"]):
        name = name_of(item)
        if name is None or not is_domain_name(name):
            yield call.refused("domain_invalid")
        else:
            call.world.drop_domain(name)
            yield call.done("domain_removed", name)


# --- alias domains ---------------------------------------------------------------------------------------


def add_aliases(call: Call) -> Iterator[Message]:
    world, target = call.world, name_of(call["target_domain"])
    if target is None or not is_domain_name(target):
        yield call.refused("target_domain_invalid")
    elif not world.knows(target):
        yield call.refused("access_denied")
    else:
        for item in filter(None, re.split(r"[ ,;\n]", text(call["alias_domain"]))):
            yield _add_alias(call, name_of(item), target)


def _add_alias(call: Call, name: str | None, target: str) -> Message:
    world = call.world
    target_row = world.domains.get(target)
    if name is not None and name == target:
        return call.refused("aliasd_targetd_identical", target)
    if target_row is None:
        return call.refused("targetd_not_found", target)
    if target_row.backupmx == 1:
        return call.refused("targetd_relay_domain", target)
    if name is None or not is_domain_name(name) or world.knows(name):
        return call.refused("alias_domain_invalid", name or "")
    world.put_alias(AliasRow(name, target, intval(call["active"]), created=world.now()))
    return call.done("aliasd_added", name)


def edit_aliases(call: Call) -> Iterator[Message]:
    world = call.world
    for item in array(call["alias_domain"]):
        name = name_of(item)
        before = world.aliases.get(name or "")
        if before is None:
            yield call.refused("alias_domain_invalid", escaped(name))
            continue
        target = name_of(call["target_domain"]) or before.target
        if target not in world.domains:
            yield call.refused("target_domain_invalid", escaped(target))
            continue
        active = before.active if call["active"] is None else intval(call["active"])
        world.put_alias(replace(before, active=active, target=target, modified=world.now()))
        yield call.done("aliasd_modified", before.name)


def delete_aliases(call: Call) -> Iterator[Message]:
    for item in array(call["alias_domain"]):
        name = name_of(item)
        if not is_domain_name(name):
            yield call.refused("domain_invalid")
        elif name is None or name not in call.world.aliases:
            yield call.refused("access_denied")
        else:
            call.world.drop_alias(name)
            yield call.done("alias_domain_removed", name)


@dataclass(frozen=True, slots=True)
class Route:
    """A category of a write: mailcow's own word for it, the key its items go by, and what does it."""

    kind: str
    items_key: str
    handler: Handler


ROUTES: dict[tuple[str, str], Route] = {
    ("add", "domain"): Route("domain", "domain", add_domain),
    ("edit", "domain"): Route("domain", "domain", edit_domains),
    ("delete", "domain"): Route("domain", "domain", delete_domains),
    ("add", "alias-domain"): Route("alias_domain", "alias_domain", add_aliases),
    ("edit", "alias-domain"): Route("alias_domain", "alias_domain", edit_aliases),
    ("delete", "alias-domain"): Route("alias_domain", "alias_domain", delete_aliases),
    ("add", "mta-sts"): Route("mta_sts", "domains", add_policy),
    ("edit", "mta-sts"): Route("mta_sts", "domains", edit_policies),
    ("add", "alias"): Route("alias", "id", simulated_routes.add_alias),
    ("edit", "alias"): Route("alias", "id", simulated_routes.edit_aliases),
    ("delete", "alias"): Route("alias", "id", simulated_routes.delete_aliases),
    ("add", "transport"): Route("transport", "id", simulated_routes.add_transport),
    ("edit", "transport"): Route("transport", "id", simulated_routes.edit_transports),
    ("delete", "transport"): Route("transport", "id", simulated_routes.delete_transports),
}
