"""When the published DNS records are read again; pure: the time is given as `now`.

Rule for every editor: what is right is read rarely, since every read costs a DNS host a question. What a person or a
sender waits for is read often at first, then less often.
"""

from sidecar.observed import NOT_ASKED, Seen, Sight
from sidecar.observed.record_sets import NameObservation

ZONE_S = 21_600.0
"""The zone that a name lies in changes rarely."""
FAILED_S = 60.0
"""A zone or record set that could not be seen."""
RIGHT_S = 21_600.0
PER_NAME_S = 20.0
"""With thousands of names each is read less often: one name in this many seconds."""
WRONG_S = 300.0
SERVERS_S = (2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0)
"""Waits between questions to authoritative servers that do not have yet what is at the source."""
CHECK_S = (15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0)
"""Waits between the sender checks that are asked for."""
LISTED_S = 3_600.0
NEW_ZONES_S = 0.5
UNSERVED_S = 600.0
"""A zone that no account serves may have been added at a DNS host."""


def zone_due(zone: Sight[str], now: float) -> bool:
    """Whether to find the zone of a name again."""
    if zone is NOT_ASKED:
        return True
    return _older(zone.at, now, ZONE_S if isinstance(zone, Seen) else FAILED_S)


def read_due(look: NameObservation, now: float, *, right: bool, count: int) -> bool:
    """Whether to read a name at its source again; `count` names are read in all."""
    if look.found is NOT_ASKED:
        return True
    if not isinstance(look.found, Seen):
        return _older(look.found.at, now, FAILED_S)
    return _older(look.found.at, now, max(RIGHT_S, PER_NAME_S * count) if right else WRONG_S)


def servers_due(look: NameObservation, now: float, tries: int) -> bool:
    """Whether to ask the authoritative servers of a name again; `tries` times in a row they were behind the source."""
    if not isinstance(look.found, Seen):
        return False
    if look.servers is None:
        return True
    if not tries:
        return look.servers.at < look.found.at
    return _older(look.servers.at, now, SERVERS_S[min(tries, len(SERVERS_S)) - 1])


def list_due(listed: Sight[tuple[str, ...]], now: float, *, new: bool, unserved: bool) -> bool:
    """Whether to ask an account for its zones: `new` zones it was not asked about, or some that nobody serves."""
    if listed is NOT_ASKED:
        return True
    if not isinstance(listed, Seen):
        return True  # the account's own pause after a failure counts
    waits = NEW_ZONES_S if new else UNSERVED_S if unserved else LISTED_S
    return _older(listed.at, now, waits)


def check_due(at: float | None, tries: int, now: float) -> bool:
    """Whether to ask for a sender check of a domain whose id waits for nothing else; asked `tries` times, last at `at`."""
    if at is None:
        return True
    return _older(at, now, CHECK_S[min(tries, len(CHECK_S)) - 1])


def _older(at: float, now: float, seconds: float) -> bool:
    """A time in the future is from before the clock was set back."""
    return not 0 <= now - at < seconds
