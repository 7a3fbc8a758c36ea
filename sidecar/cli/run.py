"""`sidecar run`: the container's command."""

import argparse
from collections.abc import Mapping

from sidecar.host.exits import Exit


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    subparsers.add_parser("run", help="run passes until SIGTERM (the container's command)")


def run(_given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    """Runs passes until SIGTERM; does not return."""
    import asyncio
    import os
    import sys

    from sidecar.cli.start import configure
    from sidecar.daemon.loop import Daemon
    from sidecar.host.clock import SystemClock

    spare_collector()
    daemon = Daemon(env, SystemClock(), on_settings=lambda settings: configure(settings, sys.stdout))
    asyncio.new_event_loop().run_until_complete(daemon.run())
    sys.stdout.flush()
    sys.stderr.flush()
    # A call to the Docker engine may still be under way in a thread that cannot be cancelled. It may take longer than
    # the process has to stop; the next start sees its result.
    os._exit(Exit.OK)


COLLECT_AFTER = 20_000
"""New objects between two looks for cycles; Python's own 700 costs a tenth of a pass with 1,000 domains."""


def spare_collector() -> None:
    """Excludes imported objects from garbage collection, which would only block the event loop longer.

    A pass makes thousands of objects that end with it, without a collector: it looks less often for cycles among them.
    """
    import gc

    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
