"""`sidecar reports`: what senders report; imports reports from files, and exports them to files.

Rule for every editor: only stored data is printed, without a request to mailcow. What senders wrote is printed as stored:
in one line, without control characters.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.cli.arguments import number_up_to
from sidecar.host.exits import Exit

if TYPE_CHECKING:
    from sidecar.formats.mtasts_policy import Policy
    from sidecar.reports.store import ReportStore
    from sidecar.settings import Settings
    from sidecar.status.reports import ReportsView

_EXAMPLES = """\
examples:
  sidecar reports                           all domains: sessions that succeeded and failed
  sidecar reports example.org               failures first, each with its meaning, and the policy that each sender holds
  sidecar reports example.org --days 30 --json
  sidecar reports import mails/ old.json.gz messages (.eml) and reports, from files and folders
  sidecar reports import - < mail.eml       one message from standard input
  sidecar reports export FOLDER             the stored reports as they were received, for other programs

exit codes: 0 shown, 1 the store cannot be read or something could not be imported, 2 settings are invalid
"""
_SHOWN_FAILURES = 20
_STDIN_LIMIT = 10 * 1024 * 1024


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    reports = subparsers.add_parser(
        "reports",
        help="what senders report about TLS (RFC 8460)",
        description="Prints what senders reported, imports reports, or exports them.",
        epilog=_EXAMPLES,
    )
    reports.add_argument(
        "what", nargs="*", metavar="DOMAIN | import PATH... | export FOLDER", help="without any: all domains"
    )
    reports.add_argument(
        "--days", type=number_up_to(3_650), default=14, metavar="N", help="reports of the last N days (14)"
    )
    reports.add_argument("--json", action="store_true", help="print an object")


async def run(given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    from sidecar.cli.start import started
    from sidecar.host.errors import PermanentError
    from sidecar.reports.store import ReportStore

    clock, settings = started(env)
    store = ReportStore(settings.state_dir)
    try:
        match given.what:
            case ["import", *paths]:
                if not paths:
                    raise PermanentError("name the files and folders to import, or - for standard input")
                return await _import(store, settings, paths, clock.now())
            case ["export", folder]:
                return _export(store, Path(folder))
            case [] | [_]:
                return _show(store, given, clock.now(), _served(settings, clock.now()))
            case _:
                raise PermanentError("name one domain, or none for all")
    finally:
        store.close()


# --- show ------------------------------------------------------------------------------------------------


def _served(settings: "Settings", now: float) -> "Callable[[str], Policy | None]":
    """A function that returns the policy last seen served for a domain, from what the running sidecar has stored."""
    from sidecar.formats.mtasts_policy import policy_of
    from sidecar.observed import FILE
    from sidecar.state.store import State

    state = State.open(settings.state_dir, now)
    try:
        memory = state.load()
    finally:
        state.close()
    targets = memory.believed.targets if memory.believed else {}

    def served(domain: str) -> "Policy | None":
        key = targets.get(domain, domain)
        spans = memory.policy(key if key in memory.policies else FILE).spans
        return policy_of(spans[-1].text) if spans else None

    return served


def _show(
    store: "ReportStore", given: argparse.Namespace, now: float, served: "Callable[[str], Policy | None]"
) -> Exit:
    import json

    from sidecar.cli.look import names_of
    from sidecar.formats.domain_name import to_unicode
    from sidecar.observed.words import day
    from sidecar.rollout.reports import DAY_S, HISTORY_DAYS
    from sidecar.status.reports import as_json, view

    since = now - given.days * DAY_S
    unreadable = store.unreadable()
    found = [
        view(
            domain,
            store.days(domain, since),
            store.failures(domain, since),
            store.holdings(domain, since),
            store.reported(domain, now - HISTORY_DAYS * DAY_S),
            served(domain),
            now,
        )
        for domain in (names_of(given.what) if given.what else store.domains())
    ]
    if given.json:
        data = {
            "domains": [as_json(one) for one in found],
            "unreadable": [
                {"id": one.id, "received_at": one.received_at, "way": one.way.value, "reason": one.problem}
                for one in unreadable
            ],
        }
        print(json.dumps(data, indent=2))
        return Exit.OK
    if given.what:
        print("\n".join(_one(found[0])))
    elif found:
        width = max(len(to_unicode(one.domain)) for one in found)
        print(f"{'':<{width}}  {'succeeded':>10}  {'failed':>8}  in the last {given.days} days")
        for one in sorted(found, key=lambda one: (-one.failed, one.domain)):
            print(f"{to_unicode(one.domain):<{width}}  {one.ok:>10}  {one.failed:>8}  {one.clean.message}")
    else:
        print(
            "No reports yet. Senders send them once a day, for days with mail; large senders do, many small ones do not."
        )
    if unreadable:
        print(
            f"\nparts of {len(unreadable)} messages could not be read; `sidecar reports export FOLDER` writes them to files:"
        )
    for message in unreadable[:5]:
        print(f"  {message.id}, {day(message.received_at)}: {message.problem}")
    return Exit.OK


def _one(found: "ReportsView") -> Iterator[str]:
    from sidecar.formats.domain_name import to_unicode

    yield f"{to_unicode(found.domain)}: {found.ok} sessions succeeded, {found.failed} failed"
    yield f"  {found.clean.message}"
    if found.clean.seen is not None:
        yield f"  {found.clean.seen.sentence}"
    for one in found.failures[:_SHOWN_FAILURES]:
        what, proof = one.sum, f" ({one.sum.sender})" if one.sum.sender else " (not proven)"
        days = what.last_day if what.first_day == what.last_day else f"{what.first_day} to {what.last_day}"
        hosts = f", {what.mx}" if what.mx else ""
        hosts += f", from {what.sending_ip}" if what.sending_ip else ""
        yield ""
        yield f"  {what.result}: {what.sessions} failed, {days}, {what.organisation}{proof}{hosts}"
        yield f"    {one.meaning.text}{' Mail is refused under enforce.' if one.meaning.refuses else ''}"
        yield f"    {one.remedy}"
    if (more := len(found.failures) - _SHOWN_FAILURES) > 0:
        yield f"\n  and {more} more: --json shows all"
    if found.holdings:
        yield "\n  policies that senders applied last:"
    for holding in found.holdings:
        mode = holding.held.mode.value if holding.held.mode else "no mode"
        yield (
            f"    {holding.organisation or holding.sender}, {holding.day}: {mode}, max_age {holding.held.max_age}, "
            f"{', '.join(holding.held.mx) or 'no mx'}"
        )


# --- import and export -----------------------------------------------------------------------------------


async def _import(store: "ReportStore", settings: "Settings", paths: "Sequence[str]", now: float) -> Exit:
    import sys
    import time

    from sidecar.dns.ask import Lookups
    from sidecar.reports.importing import import_reports, read_files

    def found() -> Iterator[tuple[str, bytes | str]]:
        for path in paths:
            if path == "-":
                yield "standard input", sys.stdin.buffer.read(_STDIN_LIMIT + 1)
            else:
                yield from read_files([Path(path)])

    ask = Lookups(settings.resolver, time.time).ask
    done = await import_reports(store, found(), ask, now)
    for name, problem in done.problems:
        print(f"{name}: {problem}", file=sys.stderr)
    print(f"{done.files} files: {done.new} new reports, {done.known} already stored")
    return Exit.FAILED if done.problems else Exit.OK


def _export(store: "ReportStore", folder: Path) -> Exit:
    from sidecar.formats.tls_report import looks_like_report
    from sidecar.host.errors import PermanentError

    count, after = 0, 0
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while batch := store.kept(after):
            for number, _ in batch:
                after = number
                if (data := store.raw(number)) is None:
                    continue
                ending = "eml"
                if looks_like_report(data):
                    ending = "json.gz" if data.startswith(b"\x1f\x8b") else "json"
                (folder / f"{number:06}.{ending}").write_bytes(data)
                count += 1
    except OSError as error:
        raise PermanentError(
            f"writing to {folder} failed ({error.strerror}): name a folder that can be written to"
        ) from error
    print(f"{count} written to {folder}")
    return Exit.OK
