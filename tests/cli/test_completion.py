"""Completion for shells, as the shell itself does it."""

import shutil
import subprocess

import pytest

from sidecar.cli import parser
from sidecar.cli.completion import SHELLS, script

pytestmark = pytest.mark.integration


def completed(*words: str) -> set[str]:
    """What bash offers when these words stand there and TAB is pressed behind the last."""
    asked = f"""
    {script(parser(), "bash")}
    COMP_WORDS=({" ".join(f"'{word}'" for word in words)})
    COMP_CWORD={len(words) - 1}
    _sidecar
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", asked], capture_output=True, check=True, text=True)
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "some"),
    [
        (["sidecar", "re"], {"records"}),
        (["sidecar", ""], {"run", "status", "records", "history", "completion", "--version"}),
        (["sidecar", "records", "--m"], {"--missing"}),
        # behind an argument, too
        (["sidecar", "records", "example.org", "--"], {"--missing", "--shared", "--help"}),
        (["sidecar", "lint", "p"], {"policy"}),
        (["sidecar", "lint", "policy", "--j"], {"--json"}),
        (["sidecar", "completion", ""], set(SHELLS)),
        # a domain that is called like a command is not one
        (["sidecar", "records", "status", "--s"], {"--shared"}),
    ],
)
def test_bash_offers(words: list[str], some: set[str]) -> None:
    """Commands, options of the command, and choices."""
    assert some <= completed(*words)


def test_bash_offers_nothing_where_anything_may_stand() -> None:
    """A number, a domain."""
    assert completed("sidecar", "history", "--limit", "") == set()
    assert completed("sidecar", "records", "ex") == set()


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_is_in_the_script(shell: str) -> None:
    """It is made from the command line itself."""
    made = script(parser(), shell)
    (commands,) = (action.choices for action in parser()._actions if action.dest == "command")
    assert commands is not None
    for command in commands:
        assert command in made


@pytest.mark.parametrize("shell", SHELLS)
def test_script_is_taken_by_its_shell(shell: str) -> None:
    """No syntax error; where the shell is not at hand, there is nothing to ask."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not at hand")
    made = script(parser(), shell)
    done = subprocess.run([shell, "-n"], input=made, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (0, "")
