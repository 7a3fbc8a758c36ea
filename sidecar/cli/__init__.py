"""The commands: parse, call, print. Nothing is decided here.

`COMMANDS` is the one table: a command is a module with `add_parser` (its part of the command line) and `run` (what it
does, plain or as a coroutine). A new command is a new module and a line in this table.
"""

import argparse
import difflib
import inspect
import os
import select
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, TextIO

from sidecar.host.errors import SidecarError
from sidecar.host.exits import Exit
from sidecar.host.release import release

COMMANDS: Mapping[str, str] = {
    "run": "sidecar.cli.run",
    "once": "sidecar.cli.once",
    "plan": "sidecar.cli.plan",
    "status": "sidecar.cli.status",
    "records": "sidecar.cli.records",
    "proxy": "sidecar.cli.proxy",
    "reports": "sidecar.cli.reports",
    "history": "sidecar.cli.history",
    "check": "sidecar.cli.check",
    "lint": "sidecar.cli.lint",
    "outbound": "sidecar.cli.outbound",
    "adopt": "sidecar.cli.adopt",
    "retire": "sidecar.cli.retire",
    "move-mx": "sidecar.cli.move_mx",
    "notify": "sidecar.cli.notify",
    "dns": "sidecar.cli.dns",
    "init": "sidecar.cli.init",
    "completion": "sidecar.cli.completion",
    "healthy": "sidecar.cli.healthy",
}
"""By name, the module; in the order in which help lists them."""

INTERRUPTED, READER_ENDED = 130, 141
"""Exit codes as a shell reports Ctrl-C (SIGINT) and a closed pipe (SIGPIPE)."""

_EXAMPLES = """\
examples:
  sidecar status                  how each domain stands; domains that need a person come first
  sidecar records --missing       the DNS records that are still to be published
  sidecar plan                    what would be done now, and what is held and why
  sidecar once                    do it, once
  sidecar history example.org     what was done for a domain, and why
  sidecar adopt example.org       let the sidecar manage a policy that a person made
  sidecar adopt --file            the same for the policy file (mailcow before 2025-09)

each command has its own help: sidecar records --help
in the container: docker compose exec mta-sts-mailcow sidecar status

exit codes: 0 nothing failed (held included), 1 an action failed or a request was refused,
            2 settings or command line are invalid, 3 mailcow cannot be read, 75 another sidecar process is running,
            130 interrupted, 141 the reader of the output has ended
"""


class _Parser(argparse.ArgumentParser):
    def __init__(self, **given: Any) -> None:
        """The lines of examples stay as they are; parsers of commands are of this class as well."""
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **given)


def parser(*commands: str) -> argparse.ArgumentParser:
    """The parser of these commands (none: of all). `run` stays for months and would keep the others in memory."""
    top = _Parser(
        prog="sidecar",
        description="Manages inbound MTA-STS for every mail domain of a mailcow.",
        epilog=_EXAMPLES,
    )
    top.add_argument("--version", action="version", version=release())
    subparsers = top.add_subparsers(dest="command", metavar="COMMAND")
    for command in commands or COMMANDS:
        import_module(COMMANDS[command]).add_parser(subparsers)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        try:
            return _main(words)
        finally:
            # Here and not at the end of the process, where a closed pipe could not be handled.
            sys.stdout.flush()
    except BrokenPipeError:
        closed = [stream for stream in (sys.stdout, sys.stderr) if _reader_ended(stream)]
        if not closed:
            raise
        for stream in closed:  # discards what is still buffered
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return READER_ENDED
    except KeyboardInterrupt:
        return INTERRUPTED


def _main(words: list[str]) -> int:
    if words == ["healthy"]:
        # Before all slow imports, the command line included: the image calls this every minute.
        from sidecar.cli import healthy

        return healthy.run(argparse.Namespace(), os.environ)
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        near = difflib.get_close_matches(words[0], COMMANDS, n=1)
        meant = f"; did you mean: sidecar {near[0]}" if near else ""
        print(
            f"usage: sidecar [-h] [--version] COMMAND ...\n"
            f"sidecar: {words[0]!r} is not a command{meant}\n"
            f"commands: {', '.join(COMMANDS)}",
            file=sys.stderr,
        )
        return Exit.SETTINGS
    # The first word decides: if it is not an option, it is a command here.
    given = parser(*(word for word in words[:1] if word in COMMANDS)).parse_args(words)
    if given.command is None:
        parser().print_help()
        return Exit.OK
    try:
        return execute(given, os.environ)
    except SidecarError as error:
        from sidecar.settings import SettingsError

        print(error, file=sys.stderr)
        return Exit.SETTINGS if isinstance(error, SettingsError) else Exit.FAILED


def execute(given: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Runs the command of a parsed command line; returns its exit code. Raises SidecarError."""
    ended = import_module(COMMANDS[given.command]).run(given, env)
    if inspect.iscoroutine(ended):
        import asyncio

        ended = asyncio.run(ended)
    return int(ended)


def _reader_ended(stream: TextIO) -> bool:
    """Whether the reader of this stream has ended; any other broken pipe is a bug and is not hidden."""
    with suppress(OSError, ValueError):
        watched = select.poll()
        watched.register(stream.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in watched.poll(0))
    return False
