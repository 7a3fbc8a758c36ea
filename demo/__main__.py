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
    try:
        return int(asyncio.run(run_demo(parser.parse_args().backend)))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
