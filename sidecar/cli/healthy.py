"""`sidecar healthy`: whether the running sidecar is alive, for the image's HEALTHCHECK.

Rule for every editor: it runs every minute, so nothing is imported here that takes time.
"""

import argparse
from collections.abc import Mapping

from sidecar.host.exits import Exit


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    subparsers.add_parser("healthy", help="exit 0 if the running sidecar is alive (HEALTHCHECK of the image)")


def run(_given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    """Reads the sign of life of the running sidecar, and prints what is wrong with it."""
    from sidecar.host.clock import SystemClock
    from sidecar.host.heartbeat import state_dir_of, trouble

    reason = trouble(state_dir_of(env), SystemClock().now())
    print(reason or "alive")
    return Exit.OK if reason is None else Exit.FAILED
