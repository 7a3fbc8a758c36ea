"""`sidecar retire`: takes domains out of MTA-STS without losing mail (RFC 8461 §8.3)."""

import argparse
import asyncio
from collections.abc import Mapping
from dataclasses import replace

from sidecar.daemon.wiring import read_settings
from sidecar.formats.domain_name import to_ascii, to_unicode
from sidecar.host.clock import SystemClock
from sidecar.host.errors import PermanentError
from sidecar.host.exits import Exit
from sidecar.host.heartbeat import wake
from sidecar.observed import FILE, Memory
from sidecar.observed.words import day
from sidecar.plan.desired import TESTING_MAX_AGE
from sidecar.plan.ownership import LEAST_ASSUMED_MAX_AGE, held_for
from sidecar.settings import Settings
from sidecar.state.store import State

_EXAMPLES = """\
examples:
  sidecar retire example.org          before the domain is deleted in mailcow: its policy goes with it
  sidecar retire --all                before the sidecar is removed for good
  sidecar retire --undo example.org

A policy that senders may hold in enforce is not just taken away: `none` is served, and its id has to be made known
(sidecar records), until every max_age served before has run out. Then it is withdrawn. It can be interrupted.

exit codes: 0 noted, the running sidecar acts on it at once, 1 what was named cannot be retired,
            2 settings are wrong
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser(
        "retire",
        help="take domains out of MTA-STS without losing mail",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("domains", nargs="*", metavar="DOMAIN")
    parser.add_argument("--all", action="store_true", help="every domain, and the policy file")
    parser.add_argument("--undo", action="store_true", help="take it back")


async def run(given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    """Notes the wish, and says how long it will take."""
    if bool(given.domains) == given.all:
        raise PermanentError("name the domains to retire, or --all")
    clock = SystemClock()
    settings = read_settings(env, clock)
    try:
        keys = [FILE] if given.all else [to_ascii(domain) for domain in given.domains]
    except ValueError as error:
        raise PermanentError(str(error)) from error
    state = await asyncio.to_thread(State.open, settings.state_dir, clock.now())
    try:
        memory = state.load()
        memory = replace(memory, tally=memory.tally.until(clock.reading()))
        _refuse(keys, memory, settings, undo=given.undo)
        if given.undo:
            # "All" is all: also those that were named one by one.
            state.wish_not_retired([*keys, *memory.retired] if given.all else keys)
        else:
            state.wish_retired(keys)
    finally:
        state.close()
    wake(settings.state_dir)
    for key in keys:
        if given.undo:
            print(f"{_name(key)}: taken back; the next pass serves its policy again")
        else:
            print(_told(key, memory, settings, clock.now()))
    return Exit.OK


def _refuse(keys: list[str], memory: Memory, settings: Settings, *, undo: bool) -> None:
    if undo and FILE in memory.retired and FILE not in keys:
        raise PermanentError(
            "all domains were retired together: `sidecar retire --undo --all` takes that back"
        )
    spans = memory.policy(FILE).spans
    if spans and spans[-1].until is None and FILE not in keys:
        raise PermanentError(
            "this mailcow serves one policy file for all domains: `sidecar retire --all`, or `exclude` in config.yml "
            "for a domain that should no longer count"
        )
    known = {name for name in memory.domains if undo or settings.manages(name)}
    if unknown := [key for key in keys if key != FILE and key not in known]:
        raise PermanentError(
            f"no domain of this mailcow that the sidecar looks after: {', '.join(map(to_unicode, unknown))}"
        )


def _told(key: str, memory: Memory, settings: Settings, now: float) -> str:
    keys = [k for k in memory.policies if k != FILE] or [FILE] if key == FILE else [key]
    least = max(settings.max_age, LEAST_ASSUMED_MAX_AGE)
    left = max(held_for(memory, k, max(least, settings.for_domain(k).max_age)) for k in keys)
    if left <= 0:
        return f"{_name(key)}: noted; no sender can hold a policy in enforce, so it is withdrawn by the next pass"
    return (
        f"{_name(key)}: noted; `none` with max_age {TESTING_MAX_AGE} is served by the next pass, and withdrawn after "
        f"{day(now + left)}. Publish its new id now: sidecar records{'' if key == FILE else ' ' + key}"
    )


def _name(key: str) -> str:
    return "all domains" if key == FILE else to_unicode(key)
