"""Which account writes a name: the one that serves the zone which the DNS says that the name lies in; pure.

Rule for every editor: a record in a zone that the name was delegated away from is seen by nobody. So the zone by SOA
and the zone of the account must be the same one, and while the SOA is not known nothing is written.
"""

from collections.abc import Mapping

from sidecar.dns.publish.port import within
from sidecar.observed import Seen, Sight, Unseen
from sidecar.plan.publish.values import RecordPlace, Unplaced


def place(name: str, zone: Sight[str], zones: Mapping[str, Sight[tuple[str, ...]]]) -> RecordPlace | Unplaced:
    """`zone` is the one by SOA, `zones` what each account serves; of several accounts the first in the settings."""
    if not zones:
        return Unplaced("there is no DNS account", known=True)
    if isinstance(zone, Unseen):
        return Unplaced(f"the zone of {name} is not known: {zone.reason}", known=False)
    serving = [
        account for account, found in zones.items() if isinstance(found, Seen) and zone.value in found.value
    ]
    if serving:
        return RecordPlace(serving[0], zone.value)
    silent = {account: found.reason for account, found in zones.items() if isinstance(found, Unseen)}
    if silent:
        account, reason = next(iter(silent.items()))
        return Unplaced(f"it is not known which zones the account {account} serves: {reason}", known=False)
    above = sorted(
        listed
        for found in zones.values()
        if isinstance(found, Seen)
        for listed in found.value
        if within(name, listed)
    )
    if above:
        return Unplaced(
            f"{name} lies in the zone {zone.value}, which no account serves (only {above[-1]} above or below it)",
            known=True,
        )
    return Unplaced(f"no account serves the zone {zone.value}", known=True)
