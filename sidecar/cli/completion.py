"""`sidecar completion bash|zsh|fish`: completion for a shell, made from the command line's own parser.

Rule for every editor: nothing about a command is written here; a new command or option is completed without a
change. Domains are not completed: that would ask mailcow at each press of a key.
"""

import argparse
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sidecar.host.exits import Exit

SHELLS = ("bash", "zsh", "fish")

_EXAMPLES = """\
examples:
  source <(sidecar completion bash)                         in ~/.bashrc
  source <(sidecar completion zsh)                          in ~/.zshrc, after compinit
  sidecar completion fish > ~/.config/fish/completions/sidecar.fish

on the host, where sidecar stands for a command in the container:
  sidecar() { docker compose --project-directory /opt/mailcow-dockerized exec mta-sts-mailcow sidecar "$@"; }
  source <(docker compose --project-directory /opt/mailcow-dockerized exec -T mta-sts-mailcow sidecar completion bash)
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `completion` to the command line."""
    completion = subparsers.add_parser(
        "completion",
        help="completion for bash, zsh or fish",
        description="Prints a script that teaches a shell to complete this command.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    completion.add_argument("shell", choices=SHELLS)


async def run(
    given: argparse.Namespace,
    env: Mapping[str, str],  # noqa: ARG001 - as all commands have it
) -> Exit:
    """Prints the script."""
    from sidecar.cli import parser

    print(script(parser(), given.shell), end="")
    return Exit.OK


@dataclass(frozen=True, slots=True)
class _Word:
    """Something that may come next, and what it means; `takes` where an argument follows."""

    text: str
    help: str
    takes: bool = False
    choices: tuple[str, ...] = ()


def script(top: argparse.ArgumentParser, shell: str) -> str:
    """The script for one of `SHELLS`."""
    places = dict(_places(top, ()))
    match shell:
        case "bash":
            return _bash(top.prog, places)
        case "zsh":
            return _zsh(top.prog, places)
        case "fish":
            return _fish(top.prog, places)
        case _:
            raise ValueError(shell)


def _places(
    parser: argparse.ArgumentParser, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], list[_Word]]]:
    """By the commands given so far, the words that may follow."""
    words: list[_Word] = []
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask what was added
        if action.help == argparse.SUPPRESS:
            continue
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - the same
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            for name, below in action.choices.items():
                words.append(_Word(name, _line(helps.get(name, ""))))
                yield from _places(below, (*path, name))
        elif action.option_strings:
            takes = action.nargs != 0
            choices = tuple(map(str, action.choices or ()))
            words += [
                _Word(option, _line(action.help or ""), takes, choices) for option in action.option_strings
            ]
        elif action.choices:
            words += [_Word(str(choice), _line(action.help or "")) for choice in action.choices]
    yield path, words


def _line(text: str) -> str:
    """A help text on one line, with nothing that a shell would take for more than letters."""
    return re.sub(r"[^\w ,.;:/()+<>=-]", "", " ".join(text.split()))


def _bash(prog: str, places: dict[tuple[str, ...], list[_Word]]) -> str:
    cases = "\n".join(
        f"    '{' '.join(path)}') words='{' '.join(word.text for word in words)}' ;;"
        for path, words in places.items()
    )
    values = "\n".join(
        f"    '{' '.join((*path, word.text))}') words='{' '.join(word.choices)}'; only=1 ;;"
        for path, words in places.items()
        for word in words
        if word.takes
    )
    known = " | ".join(f"'{' '.join(path)}'" for path in places if path)
    return f"""\
# bash completion for {prog}
_{prog}() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" before='' path='' words='' only='' word
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    before="$word"
    case "${{path:+$path }}$word" in
    {known}) path="${{path:+$path }}$word" ;;
    esac
  done
  case "${{path:+$path }}$before" in
{values}
  esac
  if [ -z "$only" ]; then
    case "$path" in
{cases}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _{prog} {prog}
"""


def _zsh(prog: str, places: dict[tuple[str, ...], list[_Word]]) -> str:
    cases = "\n".join(
        f"  '{' '.join(path)}') words_=({' '.join(_described(word) for word in words)}) ;;"
        for path, words in places.items()
    )
    values = "\n".join(
        f"  '{' '.join((*path, word.text))}') {_zsh_values(word)}; return ;;"
        for path, words in places.items()
        for word in words
        if word.takes
    )
    known = " | ".join(f"'{' '.join(path)}'" for path in places if path)
    return f"""\
#compdef {prog}
_{prog}() {{
  local path_='' before='' word
  local -a words_
  for word in "${{(@)words[2,CURRENT-1]}}"; do
    before="$word"
    case "${{path_:+$path_ }}$word" in
    ({known}) path_="${{path_:+$path_ }}$word" ;;
    esac
  done
  case "${{path_:+$path_ }}$before" in
{values}
  esac
  case "$path_" in
{cases}
  esac
  _describe {prog} words_
}}
compdef _{prog} {prog}
"""


def _zsh_values(word: _Word) -> str:
    return f"compadd -- {' '.join(word.choices)}" if word.choices else "_files"


def _described(word: _Word) -> str:
    text = word.text.replace(":", "\\:")
    return f"'{text}:{word.help}'" if word.help else f"'{text}'"


def _fish(prog: str, places: dict[tuple[str, ...], list[_Word]]) -> str:
    lines = [f"# fish completion for {prog}", f"complete -c {prog} -f"]
    for path, words in places.items():
        below = [word.text for word in words if (*path, word.text) in places]
        seen = "; and ".join(f"__fish_seen_subcommand_from {name}" for name in path)
        unseen = f"not __fish_seen_subcommand_from {' '.join(below)}" if below else ""
        where = "; and ".join(part for part in (seen, unseen) if part)
        condition = f" -n '{where}'" if where else ""
        lines += [f"complete -c {prog}{condition} {_fish_word(word)}" for word in words]
    return "\n".join(lines) + "\n"


def _fish_word(word: _Word) -> str:
    if word.text.startswith("--"):
        text = f"-l {word.text[2:]}"
    elif word.text.startswith("-"):
        text = f"-s {word.text[1:]}"
    else:
        text = f"-a {word.text}"
    values = f" -x -a '{' '.join(word.choices)}'" if word.choices else " -r -F"
    return text + (values if word.takes else "") + (f" -d '{word.help}'" if word.help else "")
