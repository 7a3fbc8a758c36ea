"""`sidecar dns test`: logs in to each DNS account and prints what could be written, without writing.

Rule for every editor: no secret is printed, and nothing is written anywhere.
"""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sidecar.host.exits import Exit

if TYPE_CHECKING:
    from sidecar.cli.look import Inspection
    from sidecar.dns.publish.port import Publisher
    from sidecar.dns.publish.trial import Trial
    from sidecar.observed import Unseen

_EXAMPLES = """\
examples:
  sidecar dns test                 log in to each account in config.yml, list its zones, and print
                                   for each mail domain what could be written
  sidecar dns test --json

in config.yml:
  dns:
    accounts:
      home: {type: rfc2136, server: 192.0.2.53, key_name: sidecar, secret_file: /mailcow/data/conf/mta-sts/tsig}

This test writes nothing, so it cannot show whether a key has permission to write: the first write shows that.

exit codes: 0 everything could be read, 1 something could not be read or no account serves it, 2 settings are invalid,
            3 mailcow cannot be read
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    dns = subparsers.add_parser(
        "dns",
        help="test the DNS accounts, without writing",
        description="Logs in to each DNS account, lists its zones, and prints what could be written.",
        epilog=_EXAMPLES,
    )
    dns.add_argument("what", choices=["test"], help="the only choice")
    dns.add_argument("--json", action="store_true", help="print an object")


async def run(given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    """Tests all accounts, for all mail domains."""
    import json

    from sidecar.cli.look import look_at, unreadable
    from sidecar.dns.publish.trial import tried
    from sidecar.plan.publish.names import keys, names
    from sidecar.plan.publish.values import Facts

    look = await look_at((), env, most_ids=0)
    if not look.readable:
        return unreadable(look)
    wanted = names((domain.name for domain in look.domains), Facts(hostname=""))
    trial = await tried(_accounts(look, env), {name: keys(name) for name in wanted})
    print(json.dumps(as_json(trial), indent=2) if given.json else as_text(trial))
    return Exit.OK if trial.well else Exit.FAILED


def _accounts(look: "Inspection", env: Mapping[str, str]) -> "dict[str, Publisher | Unseen]":
    """Each account ready for use, or why it cannot be used."""
    from sidecar.host.clock import SystemClock
    from sidecar.host.errors import PermanentError
    from sidecar.observed import Seen, Unseen
    from sidecar.reconcile.accounts import made

    now = SystemClock().now
    conf = look.observed.conf.value.values if isinstance(look.observed.conf, Seen) else {}
    found: dict[str, Publisher | Unseen] = {}
    for name, account in look.settings.dns.accounts.items():
        try:
            found[name] = made(account, look.settings.mailcow_dir, conf, env, now)
        except PermanentError as error:
            found[name] = Unseen(str(error), now())
    return found


def as_text(trial: "Trial") -> str:
    """A line for each account and each name."""
    from sidecar.formats.text import cut, printable
    from sidecar.observed import Seen

    lines = [] if trial.zones else ["There are no accounts: add them under dns.accounts in config.yml."]
    for account, zones in trial.zones.items():
        if isinstance(zones, Seen):
            lines.append(f"account {account}: zones {', '.join(zones.value) or 'none'}")
        else:
            lines.append(f"account {account}: cannot be used: {zones.reason}")
    for one in trial.names:
        if one.account is None:
            lines.append(f"{one.name}: {one.trouble}")
        elif not one.writable:
            lines.append(f"{one.name}: account {one.account}, zone {one.zone}: cannot be read: {one.trouble}")
        else:
            there = [
                f"{key.type} {', '.join(sight.value.values)}"
                for key, sight in one.found.items()
                if isinstance(sight, Seen) and not sight.value.absent
            ]
            lines.append(
                f"{one.name}: account {one.account}, zone {one.zone}: has {'; '.join(there) or 'nothing'}"
            )
    # A zone may contain any text: each entry stays on one line, and is not too long.
    return "\n".join(cut(printable(line), 300) for line in lines)


def as_json(trial: "Trial") -> dict[str, object]:
    """What `--json` prints."""
    from sidecar.observed import Seen

    return {
        "accounts": {
            account: {"zones": list(zones.value)} if isinstance(zones, Seen) else {"trouble": zones.reason}
            for account, zones in trial.zones.items()
        },
        "names": [
            {
                "name": one.name,
                "account": one.account,
                "zone": one.zone,
                "readable": one.writable,
                "trouble": one.trouble,
                "found": {
                    str(key.type): list(sight.value.values)
                    for key, sight in one.found.items()
                    if isinstance(sight, Seen) and not sight.value.absent
                },
            }
            for one in trial.names
        ],
    }
