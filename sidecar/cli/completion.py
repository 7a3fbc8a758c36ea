"""`sidecar completion bash|zsh|fish`: completion for a shell, made by shtab from the command line's own parser.

Rule for every editor: commands are not listed here; a new command or option is completed automatically. Domains come
from the state of the sidecar, never from mailcow, since this runs at each key press. It prints no errors.
"""

import argparse
import os
from collections.abc import Mapping

from sidecar.host.exits import Exit

SHELLS = ("bash", "zsh", "fish")
_ASK = "sidecar completion --domains 2>/dev/null </dev/null"
DOMAIN = {
    "bash": "_sidecar_domains",
    "zsh": "_sidecar_domains",
    "fish": f"({_ASK})",
    "preamble": {
        "bash": f'_sidecar_domains() {{ compgen -W "$({_ASK})" -- "$1"; }}',
        "zsh": f'_sidecar_domains() {{ compadd -- ${{(f)"$({_ASK})"}} }}',
    },
}
"""How shtab completes a domain: by a function that runs this command when the key is pressed, not earlier."""

_EXAMPLES = """\
examples:
  eval "$(sidecar completion bash)"                         in ~/.bashrc
  eval "$(sidecar completion zsh)"                          in ~/.zshrc, after compinit
  sidecar completion fish > ~/.config/fish/completions/sidecar.fish

on the host, where sidecar stands for a command in the container:
  sidecar() { docker compose --project-directory /opt/mailcow-dockerized exec mta-sts-mailcow sidecar "$@"; }
  eval "$(docker compose --project-directory /opt/mailcow-dockerized exec -T mta-sts-mailcow sidecar completion bash)"
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    completion = subparsers.add_parser(
        "completion",
        help="completion for bash, zsh or fish",
        description="Prints a completion script for a shell; it completes domain names, too.",
        epilog=_EXAMPLES,
    )
    completion.add_argument("shell", choices=SHELLS)
    completion.add_argument("--domains", action=_PrintDomains, nargs=0, help=argparse.SUPPRESS)


class _PrintDomains(argparse.Action):
    """What the scripts call: prints the domains and ends, as --version does."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print_domains(os.environ)
        parser.exit(Exit.OK)


def run(given: argparse.Namespace, _env: Mapping[str, str]) -> Exit:
    from sidecar.cli import parser

    print(script(parser(), given.shell))
    return Exit.OK


def script(top: argparse.ArgumentParser, shell: str) -> str:
    """The script for one of `SHELLS`."""
    import shtab

    _complete_domains(top)
    return shtab.complete(top, shell)


def _complete_domains(parser: argparse.ArgumentParser) -> None:
    """Every argument called DOMAIN is completed with the domains of this mailcow."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask what was added
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - the same
            for below in action.choices.values():
                _complete_domains(below)
        elif action.metavar == "DOMAIN":
            action.complete = DOMAIN  # type: ignore[attr-defined] # shtab reads it


def print_domains(env: Mapping[str, str]) -> None:
    """The last known domains and alias domains, as A-labels and U-labels; empty if unknown.

    Errors are not reported while a person is typing.
    """
    from sidecar.formats.domain_name import to_unicode
    from sidecar.host.clock import SystemClock
    from sidecar.host.errors import SidecarError
    from sidecar.host.heartbeat import state_dir_of
    from sidecar.state.store import NAME, State

    folder = state_dir_of(env)
    if not (folder / NAME).is_file():  # opening it would create one
        return
    try:
        state = State.open(folder, SystemClock().now())
        try:
            names = state.load().names
        finally:
            state.close()
    except SidecarError:
        return
    print("\n".join(sorted({form for name in names for form in (name, to_unicode(name))})))
