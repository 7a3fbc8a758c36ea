"""Completion for shells, as the shells themselves do it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.cli import COMMANDS, main, parser
from sidecar.cli.completion import SHELLS, script
from sidecar.observed import AliasDomain, Domain, DomainList, Memory
from sidecar.state.store import NAME, State
from tests.running import ROOT

KNOWN = ("example.org", "example.net", "alias.example", "bücher.example", "xn--bcher-kva.example")
SIDECAR = f'sidecar() {{ "{sys.executable}" -m sidecar "$@"; }}'

pytestmark = pytest.mark.integration


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder in which the domains of mailcow are known."""
    state = State.open(tmp_path, 1.0)
    domains = tuple(Domain(name, active=True, backup_mx=False) for name in (*KNOWN[:2], KNOWN[4]))
    aliases = (AliasDomain("alias.example", "example.org", active=True),)
    state.save(state.load(), Memory(believed=DomainList(domains, aliases)))
    state.close()
    return tmp_path


@pytest.fixture
def nothing(tmp_path: Path) -> Iterator[Path]:
    """An empty state folder; completion leaves it empty."""
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


def completed(state: Path, *words: str) -> set[str]:
    """What bash offers when TAB is pressed after these words."""
    asked = f"""
    {SIDECAR}
    {script(parser(), "bash")}
    COMP_WORDS=({" ".join(f"'{word}'" for word in words)})
    COMP_CWORD={len(words) - 1}
    _shtab_sidecar
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    env = {**os.environ, "MTA_STS_STATE_DIR": str(state)}
    done = subprocess.run(
        ["bash", "-c", asked], capture_output=True, check=True, text=True, env=env, cwd=ROOT
    )
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "some"),
    [
        (["sidecar", "re"], {"records", "retire"}),
        (["sidecar", ""], set(COMMANDS)),
        (["sidecar", "--v"], {"--version"}),
        (["sidecar", "records", "--m"], {"--missing"}),
        # after an argument, too
        (["sidecar", "records", "example.org", "--"], {"--missing", "--shared", "--help"}),
        (["sidecar", "lint", "p"], {"policy"}),
        (["sidecar", "lint", "policy", "--j"], {"--json"}),
        (["sidecar", "completion", ""], set(SHELLS)),
        # a domain with the name of a command
        (["sidecar", "records", "status", "--s"], {"--shared"}),
    ],
)
def test_bash_offers(nothing: Path, words: list[str], some: set[str]) -> None:
    """Commands, options of the command, and choices."""
    assert some <= completed(nothing, *words)


@pytest.mark.parametrize(
    "before",
    [["records"], ["status"], ["history"], ["adopt"], ["retire", "--undo"], ["move-mx", "mx.example", "--domain"],
     ["status", "example.net"]],
    ids=" ".join,
)  # fmt: skip
def test_bash_completes_domains_where_a_domain_is_expected(folder: Path, before: list[str]) -> None:
    """From the state, without a request to mailcow. Both forms of a name."""
    assert completed(folder, "sidecar", *before, "exam") == {"example.org", "example.net"}
    assert completed(folder, "sidecar", *before, "b") == {"bücher.example"}
    assert completed(folder, "sidecar", *before, "xn") == {"xn--bcher-kva.example"}
    assert completed(folder, "sidecar", *before, "al") == {"alias.example"}


def test_bash_offers_no_domain_where_none_is_known(nothing: Path) -> None:
    """And none where something else is expected."""
    assert completed(nothing, "sidecar", "records", "ex") == set()
    assert completed(nothing, "sidecar", "history", "--limit", "") == set()


@pytest.mark.parametrize("trouble", ["no folder", "not ours", "a folder"])
def test_domains_are_never_an_error(
    tmp_path: Path, trouble: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is stored in place of the state: a person is typing."""
    match trouble:
        case "no folder":
            monkeypatch.setenv("MTA_STS_STATE_DIR", str(tmp_path / "none"))
        case "not ours":
            monkeypatch.setenv("MTA_STS_STATE_DIR", str(tmp_path))
            (tmp_path / NAME).write_text("hello")
        case _:
            monkeypatch.setenv("MTA_STS_STATE_DIR", str(tmp_path))
            (tmp_path / NAME).mkdir()
    with pytest.raises(SystemExit) as ended:
        main(["completion", "--domains"])
    assert ended.value.code == 0
    assert "".join(capsys.readouterr()).strip() == ""


def test_fish_completes_commands_and_domains(folder: Path) -> None:
    """As fish itself answers."""
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    made = folder / "sidecar.fish"
    made.write_text(script(parser(), "fish"))
    asked = f"""
    function sidecar; "{sys.executable}" -m sidecar $argv; end
    source {made}
    complete -C "sidecar rec"
    complete -C "sidecar records exam"
    """
    env = {**os.environ, "MTA_STS_STATE_DIR": str(folder), "HOME": str(folder)}
    done = subprocess.run(
        ["fish", "-c", asked], capture_output=True, check=True, text=True, env=env, cwd=ROOT
    )
    assert done.stderr == ""
    offered = {line.split("\t")[0] for line in done.stdout.splitlines()}
    assert offered >= {"records", "example.org", "example.net"}


def test_zsh_reads_domains_when_the_key_is_pressed(folder: Path) -> None:
    """Not when the script is read, which would make every new shell slow."""
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    made = folder / "sidecar.zsh"
    made.write_text(script(parser(), "zsh"))
    asked = f"""
    {SIDECAR}
    compdef() {{ print -r -- "compdef: $*" }}
    asked_for=()
    compadd() {{ asked_for+=("$@") }}
    eval "$(<{made})"
    print -r -- "before: $asked_for"
    _sidecar_domains
    print -r -- $asked_for
    """
    env = {**os.environ, "MTA_STS_STATE_DIR": str(folder), "HOME": str(folder)}
    done = subprocess.run(
        ["zsh", "-f", "-c", asked], capture_output=True, check=True, text=True, env=env, cwd=ROOT
    )
    assert done.stderr == ""
    defined, before, offered = done.stdout.splitlines()
    assert defined.startswith("compdef: _shtab_sidecar")
    assert before.strip() == "before:"
    assert set(offered.split()) == {"--", *KNOWN}


@pytest.mark.parametrize("shell", SHELLS)
def test_script_is_accepted_by_its_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No syntax error; skipped if the shell is not installed."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert main(["completion", shell]) == 0
    made = capsys.readouterr().out
    done = subprocess.run([shell, "-n"], input=made, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (0, "")
