"""`sidecar notify`: who is notified of events, and whether a message reaches them.

Rule for every editor: no URL is printed.
"""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sidecar.host.exits import Exit

if TYPE_CHECKING:
    from sidecar.notify.send import NotificationReceiver
    from sidecar.settings import Settings

_EXAMPLES = """\
examples:
  sidecar notify                  who is notified of events
  sidecar notify --test           send each of them a message now
  sidecar notify --test --json

in config.yml:
  notify:
    webhook: https://hooks.example.org/mta-sts
    apprise:
      - mailtos://user:password@mail.example.org?to=postmaster@example.org

exit codes: 0 shown or delivered, 1 a message was not delivered, or there are no receivers, 2 settings are invalid
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    notify = subparsers.add_parser(
        "notify",
        help="who is notified of events; --test sends a message",
        description="Prints the receivers of notifications; with --test, sends each a test message.",
        epilog=_EXAMPLES,
    )
    notify.add_argument("--test", action="store_true", help="send each a message now, and print the result")
    notify.add_argument("--json", action="store_true", help="print a list of objects")


async def run(given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    """Prints the receivers; with --test, sends each a message first."""
    import asyncio
    import json

    from sidecar.cli.start import started
    from sidecar.notify.send import receivers_of

    _, settings = started(env)
    receivers = receivers_of(settings.notify)
    results: list[str | None] = [None for _ in receivers]
    if given.test:
        results = list(await asyncio.gather(*(_tried(receiver, settings) for receiver in receivers)))
    if given.json:
        objects: list[dict[str, object]] = []
        for receiver, failure in zip(receivers, results, strict=True):
            outcome = {"delivered": failure is None, "detail": failure} if given.test else {}
            objects.append({"receiver": receiver.label, **outcome})
        print(json.dumps(objects, indent=2))
    elif not receivers:
        print("No receivers: set notify.webhook or notify.apprise in config.yml.")
    else:
        kinds = ", ".join(sorted(settings.notify.on)) or "nothing"
        print(f"events: {kinds}; collected for {settings.notify.gather} s")
        for receiver, failure in zip(receivers, results, strict=True):
            state = f"not delivered: {failure}" if failure else "delivered"
            print(f"{receiver.label}: {state}" if given.test else receiver.label)
    wrong = any(results) or (given.test and not receivers)
    return Exit.FAILED if wrong else Exit.OK


async def _tried(receiver: "NotificationReceiver", settings: "Settings") -> str | None:
    """What went wrong; None if the message was accepted."""
    import asyncio

    from sidecar.host.clock import SystemClock
    from sidecar.host.errors import SidecarError
    from sidecar.mailcow import conf as conf_file
    from sidecar.notify.digest import trial_digest
    from sidecar.notify.send import deliver
    from sidecar.observed import Seen

    now = SystemClock().now()
    conf = await asyncio.to_thread(conf_file.observe, settings.mailcow_dir, now)
    try:
        await deliver(receiver, trial_digest(conf.value.hostname if isinstance(conf, Seen) else "", now))
    except SidecarError as error:
        return str(error)
    return None
