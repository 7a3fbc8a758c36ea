"""What each command calls."""

import argparse
import asyncio
import gc
import json
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TextIO

from sidecar.cli.plan_json import plan_as_json
from sidecar.cli.show import show_plan, show_report
from sidecar.daemon.event_log import Teller
from sidecar.daemon.loop import Daemon
from sidecar.daemon.wiring import assembled, read_settings
from sidecar.formats.domain_name import to_ascii, to_unicode
from sidecar.host import log
from sidecar.host.clock import SystemClock
from sidecar.host.errors import PermanentError
from sidecar.host.exits import Exit
from sidecar.host.heartbeat import wake
from sidecar.host.lock import Locked, PassLock
from sidecar.notify.secret import secrets_of
from sidecar.observed import FILE, Memory
from sidecar.reconcile.passes import Report
from sidecar.settings import Settings
from sidecar.state.store import State

ONCE_WAITS_S = 10.0


def run(given: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Runs the command that was given; returns its exit code."""
    match given.command:
        case "run":
            return _run(env)
        case "adopt":
            return _adopt(given.domains, env, file=given.file)
        case "init":
            from sidecar.init import InitOptions, Streams, run_init

            return run_init(
                InitOptions(yes=given.yes, dry_run=given.dry_run, check=given.check),
                env,
                Streams.of_process(),
            )
        case "lint":
            from sidecar.cli import lint

            return lint.run(given)
        case "check":
            from sidecar.cli import check

            return check.run(given, env)
        case other:
            return asyncio.run(_awaited(other)(given, env))


def _awaited(command: str) -> Callable[[argparse.Namespace, Mapping[str, str]], Coroutine[Any, Any, int]]:
    """The commands that need an event loop."""
    from sidecar.cli import completion, history, move_mx, notify, records, retire, status

    commands = {
        "move-mx": move_mx.run,
        "notify": notify.run,
        "retire": retire.run,
        "once": _once,
        "plan": _plan,
        "completion": completion.run,
        "history": history.run,
        "records": records.run,
        "status": status.run,
    }
    return commands[command]


def configure(settings: Settings, stream: TextIO) -> None:
    """Sets up the log: to this stream, without any secret in any text."""
    log.configure(json=settings.log_json, stream=stream, secrets=secrets_of(settings))


def spare_collector() -> None:
    """What was imported stays for good: looked at in each collection, it would only make the event loop wait longer."""
    gc.collect()
    gc.freeze()


def _run(env: Mapping[str, str]) -> Exit:
    spare_collector()
    daemon = Daemon(env, SystemClock(), on_settings=lambda settings: configure(settings, sys.stdout))
    asyncio.new_event_loop().run_until_complete(daemon.run())
    sys.stdout.flush()
    sys.stderr.flush()
    # A call to the Docker engine may still be under way in a thread that cannot be cancelled; it may take longer
    # than an end may take, and the next start simply sees what became of it.
    os._exit(Exit.OK)


async def _once(_given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    clock = SystemClock()
    settings = read_settings(env, clock)
    configure(settings, sys.stderr)
    lock = PassLock(settings.state_dir, command="once")
    try:
        await lock.acquire(ONCE_WAITS_S)
    except Locked as error:
        print(error, file=sys.stderr)
        return Exit.LOCKED
    try:
        teller = Teller()
        async with assembled(settings, clock, env, teller, patient=True) as parts:
            parts.passes.observer.session.whole_list_always = True
            report = await parts.passes.reconcile()
    finally:
        lock.release()
    print(show_report(report))
    return _exit(report)


def _exit(report: Report) -> Exit:
    if not report.readable:
        return Exit.UNREADABLE
    return Exit.FAILED if report.failed else Exit.OK


async def _plan(given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    clock = SystemClock()
    settings = read_settings(env, clock)
    configure(settings, sys.stderr)
    async with assembled(settings, clock, env, Teller(), patient=True) as parts:
        parts.passes.observer.session.whole_list_always = True
        observed, plan = await parts.passes.look()
    report = Report(observed, plan, ())
    print(json.dumps(plan_as_json(report), indent=2) if given.json else show_plan(report))
    return _exit(report)


def _refuse(keys: list[str], memory: Memory) -> None:
    """What cannot be adopted, as far as the running sidecar has seen mailcow."""
    file = memory.policy(FILE).spans
    if file and file[-1].until is None and keys != [FILE]:
        raise PermanentError("this mailcow serves one policy file for all domains: sidecar adopt --file")
    unknown = [key for key in keys if key != FILE and key not in memory.domains]
    if memory.believed is not None and unknown:
        raise PermanentError(f"no domain of this mailcow: {', '.join(map(to_unicode, unknown))}")


def _adopt(domains: list[str], env: Mapping[str, str], *, file: bool) -> Exit:
    if not domains and not file:
        raise PermanentError("name the domains to adopt, or --file for the policy file")
    clock = SystemClock()
    settings = read_settings(env, clock)
    try:
        keys = [to_ascii(domain) for domain in domains] + ([FILE] if file else [])
    except ValueError as error:
        raise PermanentError(str(error)) from error
    state = State.open(settings.state_dir, clock.now())
    try:
        _refuse(keys, state.load())
        state.wish_adopt(keys, clock.now())
    finally:
        state.close()
    wake(settings.state_dir)
    print(
        "noted: the next pass of the sidecar takes over",
        ", ".join("mta-sts.txt" if key == FILE else to_unicode(key) for key in keys),
    )
    return Exit.OK
