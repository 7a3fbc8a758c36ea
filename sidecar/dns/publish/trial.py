"""Tests accounts without writing: which zones each lists, and where the names of each mail domain could be written."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidecar.dns.publish.port import Publisher, zone_among
from sidecar.observed import Seen, Sight, Unseen
from sidecar.observed.record_sets import Key, RecordSet


@dataclass(frozen=True, slots=True)
class NameTrial:
    """One name: which account would write it (None: none), why not, and the record set for each key."""

    name: str
    account: str | None
    zone: str | None
    trouble: str
    found: Mapping[Key, Sight[RecordSet]]

    @property
    def writable(self) -> bool:
        """As far as reading can show; whether the account may write is only known after the first write."""
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
    """Logs in to each account, and reads the record sets for the keys of each name; writes nothing.

    An account that could not be created is its reason (`Unseen`). Accounts are queried concurrently.
    """
    names = sorted(wanted)
    ready = {account: one for account, one in accounts.items() if not isinstance(one, Unseen)}
    zones = await asyncio.gather(*(one.zones(names) for one in ready.values()))
    lists = dict(zip(ready, zones, strict=True))
    listed = {
        account: one if isinstance(one, Unseen) else lists[account] for account, one in accounts.items()
    }

    places: dict[str, tuple[str, str]] = {}
    by_zone: dict[tuple[str, str], list[Key]] = {}
    for name in names:
        closest = {
            account: zone
            for account, sight in listed.items()
            if isinstance(sight, Seen) and (zone := zone_among(name, sight.value)) is not None
        }
        if closest:
            # The closest zone, and of several accounts that have it the first one.
            places[name] = max(closest.items(), key=lambda one: len(one[1]))
            by_zone.setdefault(places[name], []).extend(wanted[name])

    reads = await asyncio.gather(
        *(ready[account].read(zone, keys) for (account, zone), keys in by_zone.items())
    )
    found = {key: sight for read in reads for key, sight in read.items()}
    trials: list[NameTrial] = []
    for name in names:
        if name in places:
            there = {key: found[key] for key in wanted[name]}
            trouble = next((one.reason for one in there.values() if isinstance(one, Unseen)), "")
            trials.append(NameTrial(name, *places[name], trouble, there))
        else:
            trials.append(NameTrial(name, None, None, "no account serves its zone: a task by hand", {}))
    return Trial(listed, tuple(trials))
