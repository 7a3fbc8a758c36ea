"""`sidecar retire`: takes domains out of MTA-STS without losing mail (RFC 8461 §8.3)."""

import argparse
from collections.abc import Mapping

from sidecar.host.exits import Exit

_EXAMPLES = """\
examples:
  sidecar retire example.org          before the domain is deleted in mailcow: its policy goes with it
  sidecar retire --all                before the sidecar is removed
  sidecar retire --undo example.org

A policy that senders may still apply in enforce is not just removed: `none` is served, and its new id has to be
published (sidecar records), until every max_age served before has run out. Then it is withdrawn. The command can be
repeated and taken back at any time.

exit codes: 0 accepted, the running sidecar acts on it at once, 1 what you named cannot be retired or taken back,
            2 settings are invalid
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "retire", help="take domains out of MTA-STS without losing mail", epilog=_EXAMPLES
    )
    parser.add_argument("domains", nargs="*", metavar="DOMAIN")
    parser.add_argument("--all", action="store_true", help="every domain, and the policy file")
    parser.add_argument("--undo", action="store_true", help="take back what was retired")


def run(given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    """Stores the request, and prints how long it takes. Raises PermanentError if it is refused."""
    from sidecar.cli.request import open_request, records_command, shown
    from sidecar.formats.mtasts_policy import Mode
    from sidecar.host.errors import PermanentError
    from sidecar.observed import FILE
    from sidecar.observed.words import day
    from sidecar.plan.desired_policies.policy import TESTING_MAX_AGE
    from sidecar.plan.requests import held_by_senders_s, retire_refusal

    if bool(given.domains) == given.all:
        raise PermanentError("name the domains to retire, or --all")
    with open_request(env, given.domains) as request:
        keys = [FILE] if given.all else list(request.names)
        request.refuse_if(retire_refusal(keys, request.basis, undo=given.undo))
        if given.undo:
            # `--all` includes domains that were named individually.
            request.state.request_not_retired([*keys, *request.basis.memory.retired] if given.all else keys)
        else:
            request.state.request_retired(keys)
    if given.undo:
        for key in keys:
            print(f"{shown(key)}: taken back; the next pass serves its policy again")
        return Exit.OK
    for key in keys:
        left = held_by_senders_s(key, request.basis)
        if left <= 0:
            print(
                f"{shown(key)}: noted; no sender can hold a policy in enforce, so it is withdrawn by the next pass"
            )
        else:
            print(
                f"{shown(key)}: noted; `none` with max_age {TESTING_MAX_AGE} is served by the next pass, and "
                f"withdrawn after {day(request.now + left)}\n"
                f"  publish its new id now: {records_command(key)}"
            )
    for line in request.still_held(keys, lambda held: held.mode is Mode.ENFORCE):
        print(f"  {line}")
    return Exit.OK
