"""The output of the demo: steps, changes to mailcow, the sidecar's own log lines, promises and their ticks.

Rule for every editor: one line for each, with or without colours; nothing is decided here. Without a terminal,
or with NO_COLOR, it is plain lines from top to bottom.
"""

import io
import os
import re
from collections.abc import Sequence

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from demo.promises import Promise

_LEVELS = {"info": "green", "warning": "yellow", "error": "bold red", "critical": "bold red"}
PLAIN_WIDTH = 120
_LINE = re.compile(r"\d{4}-\d\d-\d\d (?P<time>[\d:]{8}) (?P<level>\w+) +(?P<rest>.*)", re.DOTALL)


class Screen:
    """Prints as things happen; on a terminal the last line shows the current wait."""

    def __init__(self) -> None:
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        self._console = Console(
            force_terminal=False if plain else None, no_color=plain or None, highlight=False, emoji=False
        )
        if not self._console.is_terminal:
            self._console.width = PLAIN_WIDTH
        self._status: Status | None = None
        utf8 = self._console.encoding.lower().startswith("utf")
        self._tick, self._cross = ("✓", "✗") if utf8 else ("ok", "BROKEN")
        self._bar, self._rule = ("│", "─") if utf8 else ("|", "-")

    def chapter(self, title: str, facts: Sequence[tuple[str, str]]) -> None:
        """The head of a story, and the stage it is played on."""
        self._print()
        self._print(Text(f"{title} {self._rule * max(3, 100 - len(title))}", "bold cyan"))
        for name, fact in facts:
            self._print(Text(f"  {name:<12} ", "dim"), Text(fact))

    def step(self, number: int, title: str) -> None:
        self._print()
        self._print(Text(f"{number}. {title}", "bold"))

    def act(self, text: str) -> None:
        """An action of a person, the DNS or mailcow."""
        self._print(Text("   > ", "bold magenta"), Text(text))

    def note(self, text: str) -> None:
        self._print(Text("     "), Text(text, "cyan"))

    def log_line(self, line: str) -> None:
        """A line of the sidecar's log as an administrator would read it; the date is left off."""
        found = _LINE.fullmatch(line)
        if found is None:
            self._print(Text(f"   {self._bar} ", "dim"), Text(line, "dim"))
            return
        style = _LEVELS.get(found["level"], "dim")
        head = Text.assemble((f"   {self._bar} {found['time']} ", "dim"), (f"{found['level']:<7} ", style))
        self._print(head, Text(re.sub(" {2,}", "  ", found["rest"]), "dim"))

    def waiting(self, text: str) -> None:
        """On a terminal: the current wait, below everything else."""
        if not self._console.is_terminal:
            return
        if self._status is None:
            self._status = self._console.status(Text(text, "cyan"), spinner="dots")
            self._status.start()
        else:
            self._status.update(Text(text, "cyan"))

    def quiet(self) -> None:
        """Removes the line with the current wait."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def stays(self, url: str) -> None:
        """The story is over, and the page stays open."""
        self.quiet()
        self._print()
        self._print(Text(f"The page stays open at {url} until you press Ctrl-C.", "bold"))

    def promise(self, promise: Promise) -> None:
        """Kept, and after how long; or broken, with what was expected and what was there."""
        if promise.kept:
            text = Text(promise.text).append(f"  {promise.took_s:.1f} s", "dim")
            self._print(Text(f"   {self._tick} ", "bold green"), text)
            return
        self._print(Text(f"   {self._cross} ", "bold red"), Text(promise.text, "bold red"))
        self._expected("     ", promise)

    def summary(self, promises: Sequence[Promise], took_s: float) -> None:
        """A table of all promises, and the verdict."""
        self.quiet()
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("")
        table.add_column("promise", overflow="fold")
        table.add_column("story")
        table.add_column("after", justify="right")
        for promise in promises:
            mark = Text(self._tick, "bold green") if promise.kept else Text(self._cross, "bold red")
            table.add_row(mark, Text(promise.text), promise.story, f"{promise.took_s:.1f} s")
        self._print()
        self._console.print(table)
        kept = sum(promise.kept for promise in promises)
        good = kept == len(promises) and kept > 0
        verdict = f"{kept} of {len(promises)} promises kept in {took_s:.0f} s"
        self._print()
        self._print(
            Text(f"{self._tick if good else self._cross} {verdict}", "bold green" if good else "bold red")
        )
        for broken in (promise for promise in promises if not promise.kept):
            self._print(Text(f"{self._cross} ", "red"), Text(f"{broken.story}: {broken.text}", "red"))
            self._expected("    ", broken)

    def _expected(self, indent: str, promise: Promise) -> None:
        self._print(Text(f"{indent}expected: ", "red"), Text(promise.expected, "red"))
        self._print(Text(f"{indent}found:    ", "red"), Text(promise.found, "red"))

    def _print(self, head: Text | str = "", rest: Text | None = None) -> None:
        """A line; on a terminal what does not fit goes on below `rest`."""
        if not self._console.is_terminal:
            # A line is never wrapped here: the width of the reader's screen is not known.
            self._console.print(Text.assemble(head, rest or ""), soft_wrap=True)
        elif rest is None:
            self._console.print(head)
        else:
            columns = Table.grid(padding=0)
            columns.add_column(no_wrap=True)
            columns.add_column(overflow="fold")
            columns.add_row(head, rest)
            self._console.print(columns)


class LogStream(io.StringIO):
    """Where the sidecar's log goes: on the screen, and into `lines` for promises about what was said."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._screen = screen

    def write(self, text: str) -> int:
        """One line of the log, or one with a trace behind it."""
        self.lines.append(text.rstrip("\n"))
        self._screen.log_line(text.rstrip("\n"))
        return len(text)
