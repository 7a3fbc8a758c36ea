"""Tries accounts out without writing: what each lists, and where the names of each mail domain could be written."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidecar.dns.publish.port import Key, Publisher, RecordSet, zone_among
from sidecar.observed import Seen, Sight, Unseen


@dataclass(frozen=True, slots=True)
class NameTrial:
    """One name: who would write it (None: nobody), why not, and what is there under each key."""

    name: str
    account: str | None
    zone: str | None
    trouble: str
    found: Mapping[Key, Sight[RecordSet]]

    @property
    def writable(self) -> bool:
        """As far as reading shows; rights are seen at the first write only."""
        return self.account is not None and all(isinstance(one, Seen) for one in self.found.values())


@dataclass(frozen=True, slots=True)
class Trial:
    """The zones of each account, and each name."""

    zones: Mapping[str, Sight[tuple[str, ...]]]
    names: tuple[NameTrial, ...]

    @property
    def well(self) -> bool:
        return all(isinstance(one, Seen) for one in self.zones.values()) and all(
            one.writable for one in self.names
        )


async def tried(accounts: Mapping[str, Publisher | Unseen], wanted: Mapping[str, Sequence[Key]]) -> Trial:
    """Logs in to each account, and reads what it has under the keys of each name; writes nothing.

    An account that could not even be made is its reason. Accounts are asked beside each other.
    """
    names = sorted(wanted)
    listed = dict(
        zip(accounts, await asyncio.gather(*(_zones(one, names) for one in accounts.values())), strict=True)
    )
    places = {name: _place(name, listed) for name in names}
    by_zone: dict[tuple[str, str], list[Key]] = {}
    for name, place in places.items():
        if place is not None:
            by_zone.setdefault(place, []).extend(wanted[name])
    reads = await asyncio.gather(
        *(_read(accounts[account], zone, keys) for (account, zone), keys in by_zone.items())
    )
    found = {key: sight for read in reads for key, sight in read.items()}
    return Trial(listed, tuple(_name(name, places[name], wanted[name], found) for name in names))


async def _zones(account: Publisher | Unseen, names: Sequence[str]) -> Sight[tuple[str, ...]]:
    return account if isinstance(account, Unseen) else await account.zones(names)


async def _read(
    account: Publisher | Unseen, zone: str, keys: Sequence[Key]
) -> Mapping[Key, Sight[RecordSet]]:
    return dict.fromkeys(keys, account) if isinstance(account, Unseen) else await account.read(zone, keys)


def _place(name: str, listed: Mapping[str, Sight[tuple[str, ...]]]) -> tuple[str, str] | None:
    """The account with the closest zone, the first of several."""
    zones = {
        account: zone
        for account, sight in listed.items()
        if isinstance(sight, Seen) and (zone := zone_among(name, sight.value)) is not None
    }
    return max(zones.items(), key=lambda one: len(one[1]), default=None)


def _name(
    name: str, place: tuple[str, str] | None, keys: Sequence[Key], found: Mapping[Key, Sight[RecordSet]]
) -> NameTrial:
    if place is None:
        return NameTrial(name, None, None, "no account serves its zone: a task by hand", {})
    there = {key: found[key] for key in keys}
    trouble = next((one.reason for one in there.values() if isinstance(one, Unseen)), "")
    return NameTrial(name, *place, trouble, there)
