"""`sidecar history`: what the sidecar did, when, and why.

Rule for every editor: only stored data is printed, without a request to mailcow.
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sidecar.cli.arguments import number_up_to
from sidecar.host.exits import Exit

if TYPE_CHECKING:
    from sidecar.observed import Memory
    from sidecar.observed.history import HistoryEvent

NO_DOMAINS = frozenset({"mta-sts.txt", "mailcow.conf", "acme-mailcow"})
"""Other subjects with a history."""

_EXAMPLES = """\
examples:
  sidecar history                          the last 100 things done, the newest last
  sidecar history example.org              of a domain: its policy, and its name in settings and certificate
  sidecar history mta-sts.txt              of the policy file (mailcow before 2025-09)
  sidecar history acme-mailcow             its restarts
  sidecar history --limit 20 --json

exit codes: 0 shown, 1 the store of the sidecar cannot be read, or mailcow does not have the domain,
            2 settings are invalid
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    history = subparsers.add_parser(
        "history",
        help="what the sidecar did, and why",
        description="Prints what the sidecar did, when and why; newest last.",
        epilog=_EXAMPLES,
    )
    history.add_argument(
        "domain", nargs="?", metavar="DOMAIN", help="a domain, mta-sts.txt, mailcow.conf or acme-mailcow"
    )
    history.add_argument(
        "--limit",
        type=number_up_to(1_000_000),
        default=100,
        metavar="N",
        help="maximum number of entries (100)",
    )
    history.add_argument("--json", action="store_true", help="print a list of objects")


async def run(given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    """Prints the stored history. Raises PermanentError for a domain that mailcow never had."""
    import asyncio
    import json

    from sidecar.cli.look import names_of
    from sidecar.cli.start import started
    from sidecar.formats.domain_name import to_unicode
    from sidecar.host.errors import PermanentError
    from sidecar.observed.words import day
    from sidecar.plan.requests import not_of_this_mailcow
    from sidecar.state.store import State
    from sidecar.status.to_document import moment

    clock, settings = started(env)
    subject = names_of([given.domain])[0] if given.domain else None
    state = await asyncio.to_thread(State.open, settings.state_dir, clock.now())
    try:
        events = await asyncio.to_thread(state.history, subject, given.limit)
        memory = await asyncio.to_thread(state.load)
    finally:
        state.close()
    found = events if subject is None else story(subject, events, memory)[-given.limit :]
    known = memory.names | NO_DOMAINS
    if subject is not None and not found and memory.believed is not None and subject not in known:
        raise PermanentError(not_of_this_mailcow([subject], memory.names))
    if given.json:
        entries = [
            {
                "at": moment(event.at),
                "subject": event.subject,
                "what": event.what,
                "reason": event.reason,
                "outcome": event.outcome,
                "detail": event.detail,
            }
            for event in found
        ]
        print(json.dumps(entries, indent=2))
        return Exit.OK
    if not found:
        print(f"The sidecar has not done anything{f' for {given.domain}' if given.domain else ''} yet.")
    for event in found:
        about = f" {to_unicode(event.subject)}" if event.subject else ""
        print(f"{day(event.at)}  {event.outcome + ':':<9}{event.what}{about}: {event.reason}")
        if event.detail:
            print(f"    {event.detail}")
    return Exit.OK


def story(domain: str, events: "Sequence[HistoryEvent]", memory: "Memory") -> "Sequence[HistoryEvent]":
    """The events of a domain with those of its name in mailcow.conf and in restarts, oldest first."""
    from sidecar.formats.domain_name import policy_host
    from sidecar.observed.history import HistoryEvent
    from sidecar.observed.words import some

    host = policy_host(domain)
    entries = [
        HistoryEvent(e.at, "mailcow.conf", f"entry {e.event.value}", f"{e.entry} in {e.key}", "done", None)
        for e in memory.conf
        if e.entry.lower() == host
    ]
    restarts = [
        HistoryEvent(r.at, "acme-mailcow", "run", f"for {some(r.names)}", "done", None)
        for r in memory.restarts
        if host in r.names
    ]
    return sorted([*events, *entries, *restarts], key=lambda event: event.at)
