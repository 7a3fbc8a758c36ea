"""`sidecar move-mx`: serves the MX host that domains move to beside the old one, and says when to switch."""

import argparse
from collections.abc import Mapping

from sidecar.host.exits import Exit

_EXAMPLES = """\
examples:
  sidecar move-mx mx2.example.org
  sidecar move-mx mx2.example.org --domain example.org

1. the new host is served beside the old one, by the next pass
2. publish the new id (sidecar records), so that senders fetch the policy again
3. from the day that is shown, change the MX record: no sender holds a policy without the new host any more
4. then make the new host the one in `mx` of config.yml (or MAILCOW_HOSTNAME): the old one is removed
   automatically once no MX has matched it for the longest max_age served

exit codes: 0 accepted, the running sidecar acts on it at once, 1 the request cannot be carried out, 2 settings are invalid
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "move-mx", help="serve a new MX host beside the old one, and say when to switch", epilog=_EXAMPLES
    )
    parser.add_argument("host", metavar="NEW", help="the new MX host")
    parser.add_argument(
        "--domain", action="append", default=[], metavar="DOMAIN", help="only this domain (can be repeated)"
    )


def run(given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    """Stores the move, and prints from when the MX record may be switched. Raises PermanentError if it is refused."""
    from sidecar.cli.look import names_of
    from sidecar.cli.request import open_request, records_command, shown
    from sidecar.formats.mtasts_policy import matches
    from sidecar.observed import FILE, Move
    from sidecar.observed.words import day
    from sidecar.plan.requests import held_by_senders_s, move_refusal

    (host,) = names_of([given.host])
    with open_request(env, given.domain) as request:
        keys = list(request.names) or [FILE]
        request.refuse_if(move_refusal(host, keys, request.basis))
        request.state.request_moves([Move(key, host, request.now) for key in keys])
    for key in keys:
        left = held_by_senders_s(key, request.basis)
        switch = "at once, after the new id was seen" if left <= 0 else f"from {day(request.now + left)} on"
        print(
            f"{shown(key)}: noted; {host} is served beside the old host by the next pass\n"
            f"  publish the new id:              {records_command(key)}\n"
            f"  the MX record may be switched:   {switch}"
        )
    for line in request.still_held(keys, lambda held: not any(matches(pattern, host) for pattern in held.mx)):
        print(f"  {line}")
    return Exit.OK
