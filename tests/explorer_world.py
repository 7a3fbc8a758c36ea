"""The world of the explorer (`explorer`): what a sender gets for a name, and what the sidecar's actions do to it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sidecar.ledger import entries, intended
from sidecar.observed import FILE, Backend, ConfEvent, Mailcow, Version
from sidecar.plan.actions import (
    Action,
    AddPolicy,
    EditConf,
    EditPolicy,
    RecreateAcme,
    RemoveFile,
    RestartAcme,
    SwitchOff,
    WriteFile,
)
from sidecar.plan.policies import text_of
from tests.worlds import HOST, World, advance

HOUR = 3_600.0
SOAK = 10_800
"""So short that a sequence reaches enforce by `mode: auto`."""
DOMAINS = ("example.org", "b.example")
ALIAS = "alias.example"
OLD, FOREIGN = "old.example.org", "mx.foreign.example"
MAILCOWS = (
    Mailcow(Backend.FILE, Version(2025, 7)),
    Mailcow(Backend.NATIVE, Version(2025, 9)),
    Mailcow(Backend.NATIVE, Version(2026, 3)),
    Mailcow(Backend.NATIVE, Version(2026, 7, "a")),
)


@dataclass(frozen=True)
class Change:
    """What the sidecar itself changed of the text of one row, or of the file."""

    key: str
    was: str | None
    text: str | None


def hosts_of(world: World, name: str) -> tuple[str, ...]:
    """The MX hosts of a name."""
    return world.mx.get(name, (HOST,))


def receives(world: World, name: str) -> bool:
    """Whether mail of this domain ends here."""
    return name in world.domains and name not in world.inactive | world.backup


def text_for(world: World, name: str) -> str | None:
    """What a sender gets that asks for this name."""
    if name not in world.domains and name not in world.aliases:
        return None
    if world.mailcow.backend is Backend.FILE:
        return None if world.file is None else world.file.decode()
    if name in world.aliases:
        return world.served.get(world.aliases[name]) if world.mailcow.serves_alias_domains else None
    return world.served.get(name)


def served_names(world: World, key: str) -> list[str]:
    """The names that senders get this row, or the file, for."""
    if key != FILE:
        aliases = [a for a, target in world.aliases.items() if target == key]
        return [key, *(aliases if world.mailcow.serves_alias_domains else ())]
    elsewhere = world.without_address | world.foreign_address
    return [
        name
        for name in (*world.domains, *world.aliases)
        if receives(world, name) or f"mta-sts.{name}" not in elsewhere
    ]


def changes_of(before: World, after: World) -> Iterable[Change]:
    """The rows, and the file, that are not as they were."""
    for key in sorted(before.served.keys() | after.served.keys()):
        if before.served.get(key) != after.served.get(key):
            yield Change(key, before.served.get(key), after.served.get(key))
    if before.file != after.file:
        was, text = (None if data is None else data.decode() for data in (before.file, after.file))
        yield Change(FILE, was, text)


def applied(world: World, actions: Sequence[Action], off: dict[str, str], dropped: frozenset[str]) -> World:
    """As the real ones would be done, with the rows that are switched off."""
    for action in actions:
        match action:
            case AddPolicy(domain=domain) | EditPolicy(domain=domain) if domain not in world.domains:
                # mailcow refuses it.
                continue
            case AddPolicy(domain=domain) if domain in off:
                memory = replace(world.memory.policy(domain), refused="a row that is switched off")
                policies = {**world.memory.policies, domain: memory}
                world = replace(world, memory=replace(world.memory, policies=policies))
                continue
            case SwitchOff(domain=domain):
                off[domain] = "sidecar"
            case AddPolicy(domain=domain) | EditPolicy(domain=domain):
                off.pop(domain, None)
            case _:
                pass
        world = advance(world, [action])
        match action:
            case RestartAcme() | RecreateAcme():
                world = replace(world, names=world.names - dropped)
            case _:
                pass
    return world


def cut_off(before: World, after: World, actions: Sequence[Action], *, done: bool) -> World:
    """Killed between storing what was meant and what came of it; `done`: after it was done."""
    memory, now = before.memory, before.now
    for action in actions:
        match action:
            case AddPolicy(domain=key) | EditPolicy(domain=key) | SwitchOff(domain=key):
                changed = intended(memory.policy(key), text_of(action), now)
            case WriteFile(text=text, floor=floor):
                key, changed = FILE, intended(memory.policy(FILE), text, now)
                changed = replace(changed, floor=changed.floor if floor is None else floor)
            case RemoveFile():
                key, changed = FILE, intended(memory.policy(FILE), None, now)
            case EditConf(edits=edits):
                more = [
                    e
                    for name, edit in edits.items()
                    for e in entries(name, edit.add, ConfEvent.INTENDED, now)
                ]
                memory = replace(memory, conf=(*memory.conf, *more))
                continue
            case _:
                memory = replace(memory, restarts=after.memory.restarts)
                continue
        memory = replace(memory, policies={**memory.policies, key: changed})
    return replace(after if done else before, memory=memory)
