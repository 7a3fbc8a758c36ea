"""`sidecar init` on the command line; what it does is in `sidecar.init`, and needs no event loop."""

import argparse
from collections.abc import Mapping

_EXAMPLES = """\
examples:
  docker build -t mta-sts-sidecar .
  docker run --rm -it -v /opt/mailcow-dockerized:/mailcow mta-sts-sidecar init
  docker run --rm -v /opt/mailcow-dockerized:/mailcow mta-sts-sidecar init --dry-run
  docker compose run --rm --no-deps mta-sts-mailcow init --check

exit codes: 0 changed, shown or declined, 1 a person must do something first or a file cannot be written,
            3 the directory has no mailcow
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    init = subparsers.add_parser(
        "init",
        help="set up a mailcow directory before the first start",
        description="Checks the mailcow directory and offers what the sidecar needs there, each change as a diff.",
        epilog=_EXAMPLES,
    )
    init.add_argument("--yes", action="store_true", help="accept all changes")
    init.add_argument("--dry-run", action="store_true", help="show them and write nothing")
    init.add_argument(
        "--check",
        action="store_true",
        help="only check; exit code 1 if mailcow or the sidecar would not start",
    )


def run(given: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Checks the mailcow directory, and offers each change."""
    from sidecar.init import InitOptions, Streams, run_init
    from sidecar.settings import mailcow_dir_of

    options = InitOptions(yes=given.yes, dry_run=given.dry_run, check=given.check)
    return run_init(mailcow_dir_of(env), options, Streams.of_process())
