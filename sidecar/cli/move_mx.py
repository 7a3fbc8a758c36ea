"""`sidecar move-mx`: serves the MX host that domains move to beside the old one, and says when to switch."""

import argparse
import asyncio
from collections.abc import Mapping
from dataclasses import replace

from sidecar.daemon.wiring import read_settings
from sidecar.formats.domain_name import to_ascii, to_unicode
from sidecar.formats.mtasts_policy import is_mx_pattern
from sidecar.host.clock import SystemClock
from sidecar.host.errors import PermanentError
from sidecar.host.exits import Exit
from sidecar.host.heartbeat import wake
from sidecar.observed import FILE, Memory, Move
from sidecar.observed.words import day
from sidecar.plan.ownership import LEAST_ASSUMED_MAX_AGE, held_for
from sidecar.settings import Settings
from sidecar.state.store import State

_EXAMPLES = """\
examples:
  sidecar move-mx mx2.example.org
  sidecar move-mx mx2.example.org --domain example.org

1. the new host is served beside the old one, by the next pass
2. publish the new id (sidecar records), so that senders fetch the policy anew
3. from the day that is shown, change the MX record: no sender holds a policy without the new host any more
4. then make the new host the one in `mx` of config.yml (or MAILCOW_HOSTNAME): the old one goes by itself, once no
   MX has matched it for the longest max_age served

exit codes: 0 noted, the running sidecar acts on it at once, 1 what was named cannot be done, 2 settings are wrong
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser(
        "move-mx",
        help="serve a new MX host beside the old one, and say when to switch",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("host", metavar="NEW", help="the new MX host")
    parser.add_argument(
        "--domain", action="append", default=[], help="only this domain (may be given several times)"
    )


async def run(given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    """Notes the move, and says from which day the MX record may be switched."""
    clock = SystemClock()
    settings = read_settings(env, clock)
    try:
        host = to_ascii(given.host)
        keys = [to_ascii(domain) for domain in given.domain] or [FILE]
    except ValueError as error:
        raise PermanentError(str(error)) from error
    if not is_mx_pattern(host):
        raise PermanentError(f"{given.host!r} is no host name that an MX record may have")
    now = clock.now()
    state = await asyncio.to_thread(State.open, settings.state_dir, now)
    try:
        memory = state.load()
        memory = replace(memory, tally=memory.tally.until(clock.reading()))
        known = {name for name in memory.domains if settings.manages(name)}
        if unknown := [key for key in keys if key != FILE and key not in known]:
            raise PermanentError(
                f"no domain of this mailcow that the sidecar looks after: {', '.join(map(to_unicode, unknown))}"
            )
        state.wish_moves([Move(key, host, now) for key in keys])
    finally:
        state.close()
    wake(settings.state_dir)
    for key in keys:
        print(_told(key, host, memory, settings, now))
    return Exit.OK


def _told(key: str, host: str, memory: Memory, settings: Settings, now: float) -> str:
    keys = [k for k in memory.policies if k != FILE] or [FILE] if key == FILE else [key]
    least = max(settings.max_age, LEAST_ASSUMED_MAX_AGE)
    left = max(held_for(memory, k, max(least, settings.for_domain(k).max_age)) for k in keys)
    name = "all domains" if key == FILE else to_unicode(key)
    switch = "at once, after the new id was seen" if left <= 0 else f"from {day(now + left)} on"
    where = "sidecar records" if key == FILE else f"sidecar records {key}"
    return (
        f"{name}: noted; {host} is served beside the old host by the next pass.\n"
        f"  publish the new id:              {where}\n"
        f"  the MX record may be switched:   {switch}"
    )
