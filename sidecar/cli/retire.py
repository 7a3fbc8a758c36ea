"""`sidecar retire`: takes domains out of MTA-STS without losing mail (RFC 8461 §8.3)."""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sidecar.host.exits import Exit

if TYPE_CHECKING:
    from sidecar.plan.wishes import Basis

_EXAMPLES = """\
examples:
  sidecar retire example.org          before the domain is deleted in mailcow: its policy goes with it
  sidecar retire --all                before the sidecar is removed
  sidecar retire --undo example.org

A policy that senders may still apply in enforce is not just removed: `none` is served, and its new id has to be
published (sidecar records), until every max_age served before has run out. Then it is withdrawn. The command can be
repeated and taken back at any time.

exit codes: 0 accepted, the running sidecar acts on it at once, 1 what was named cannot be retired or taken back,
            2 settings are invalid
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
    parser.add_argument("--undo", action="store_true", help="take back what was retired")


def run(given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    """Stores the request, and prints how long it takes. Raises PermanentError if it is refused."""
    from sidecar.cli.wish import noting
    from sidecar.formats.mtasts_policy import Mode
    from sidecar.host.errors import PermanentError
    from sidecar.observed import FILE
    from sidecar.plan.wishes import retire_refusal

    if bool(given.domains) == given.all:
        raise PermanentError("name the domains to retire, or --all")
    with noting(env, given.domains) as wish:
        keys = [FILE] if given.all else list(wish.names)
        wish.refuse(retire_refusal(keys, wish.basis, undo=given.undo))
        if given.undo:
            # `--all` includes domains that were named individually.
            wish.state.wish_not_retired([*keys, *wish.basis.memory.retired] if given.all else keys)
        else:
            wish.state.wish_retired(keys)
    for key in keys:
        if given.undo:
            print(f"{_name(key)}: taken back; the next pass serves its policy again")
        else:
            print(_noted(key, wish.basis, wish.now))
    if not given.undo:
        for line in wish.still_held(keys, lambda held: held.mode is Mode.ENFORCE):
            print(f"  {line}")
    return Exit.OK


def _noted(key: str, basis: "Basis", now: float) -> str:
    from sidecar.observed import FILE
    from sidecar.observed.words import command, day
    from sidecar.plan.desired import TESTING_MAX_AGE
    from sidecar.plan.wishes import held_by_senders_s

    left = held_by_senders_s(key, basis)
    if left <= 0:
        return f"{_name(key)}: noted; no sender can hold a policy in enforce, so it is withdrawn by the next pass"
    return (
        f"{_name(key)}: noted; `none` with max_age {TESTING_MAX_AGE} is served by the next pass, and withdrawn after "
        f"{day(now + left)}\n"
        f"  publish its new id now: {command('records' if key == FILE else f'records {key}')}"
    )


def _name(key: str) -> str:
    from sidecar.formats.domain_name import to_unicode
    from sidecar.observed import FILE

    return "all domains" if key == FILE else to_unicode(key)
