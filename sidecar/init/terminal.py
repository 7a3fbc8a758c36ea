"""The output and the questions of `init` on a terminal.

Rules for every editor: Enter means yes to a change that was shown, the end of the input means no, and a question
about the world has no default. Control characters from files never reach the terminal.
"""

import re
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TextIO

from sidecar.init.findings import InitFinding, Mark

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_WIDTH = 100


class Consent(Enum):
    """How changes are agreed to."""

    ASK = auto()
    YES = auto()
    """All of them, before they are asked."""
    SHOW = auto()
    """None: they are only shown."""


@dataclass(frozen=True, slots=True)
class Streams:
    """Where a person is; `interactive` says whether there is one."""

    stdin: TextIO
    stdout: TextIO
    interactive: bool

    @classmethod
    def of_process(cls) -> "Streams":
        return cls(sys.stdin, sys.stdout, sys.stdin.isatty())


@dataclass(frozen=True, slots=True)
class Terminal:
    """Prints and asks."""

    streams: Streams
    consent: Consent

    def say(self, text: str = "") -> None:
        """A paragraph, broken into lines."""
        self.plain(textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False))

    def plain(self, text: str) -> None:
        """Lines as they are."""
        print(_CONTROL.sub("?", text), file=self.streams.stdout, flush=True)

    def findings(self, findings: Iterable[InitFinding]) -> None:
        """A list of what was found, and below each what to do."""
        for finding in findings:
            self._marked(finding.mark, finding.message, finding.todo)

    def trouble(self, reason: str, todo: str) -> None:
        """What could not be done."""
        self._marked(Mark.STOP, reason, todo)

    def agreed(self, question: str) -> bool:
        """Whether the change that was just shown may be made; with SHOW, yes."""
        match self.consent:
            case Consent.YES:
                self.plain(f"{question} yes (--yes)")
                return True
            case Consent.SHOW:
                return True
            case Consent.ASK:
                return self._answer(f"{question} [Y/n] ", default=True) is True

    def question(self, question: str) -> bool | None:
        """The answer to a question about the world; None without an answer, or if there is nobody to ask."""
        if self.consent is not Consent.ASK:
            return None
        self.say(question)
        return self._answer("[y/n] ", default=None)

    def _answer(self, prompt: str, *, default: bool | None) -> bool | None:
        while True:
            print(prompt, end="", file=self.streams.stdout, flush=True)
            line = self.streams.stdin.readline()
            if not line:
                self.plain("")
                return None
            match line.strip().lower():
                case "y" | "yes":
                    return True
                case "n" | "no":
                    return False
                case "" if default is not None:
                    return default
                case _:
                    self.plain("Please answer y or n.")

    def _marked(self, mark: Mark, message: str, todo: str) -> None:
        for number, text in enumerate(text for text in (message, todo) if text):
            first = f"  {mark if number == 0 else '':<5} "
            wrapped = textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
            lead = first if number == 0 else f"{first}-> "
            self.plain(textwrap.indent("\n".join(wrapped), " " * len(lead)).replace(" " * len(lead), lead, 1))
