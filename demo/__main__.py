"""`python -m demo`, or `make demo`: shows the sidecar on a simulated mailcow, within a minute."""

import argparse
import asyncio
import sys

from demo import run_demo


def main() -> int:
    """Plays the demo; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="demo", description="Runs the real sidecar against a simulated mailcow."
    )
    parser.add_argument(
        "--backend", choices=("both", "native", "file"), default="both", help="which mailcow to simulate"
    )
    parser.add_argument("--stay", action="store_true", help="keep the page open after the last story")
    given = parser.parse_args()
    try:
        return int(asyncio.run(run_demo(given.backend, stay=given.stay)))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
