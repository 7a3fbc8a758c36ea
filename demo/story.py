"""The parts of every story: steps, actions, promises, and the running sidecar that it waits for.

Rule for every editor: a story that breaks a promise ends there. What happens in a story is in `native_story`
and `file_story`.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from demo.promises import BrokenPromiseError, Check, Promise, judged
from demo.screen import LogStream, Screen
from demo.stage import Stage
from sidecar.daemon.loop import Daemon

WITHIN_S = 10.0
ITS_WORDS_S = 0.1
"""What was done is said a moment later: the tick is to stand below the line of log that it belongs to."""
HUP = "$ docker compose kill -s HUP mta-sts-mailcow   (look at everything now)"


@dataclass
class Telling:
    """A story on its stage; `promises` are those checked so far."""

    name: str
    stage: Stage
    daemon: Daemon
    screen: Screen
    log: LogStream
    promises: list[Promise] = field(default_factory=list)
    _step: int = 0
    _mark: int = 0

    def step(self, title: str) -> None:
        """A new step; log lines before it do not count for `said`."""
        self._step += 1
        self._mark = len(self.log.lines)
        self.screen.step(self._step, title)

    def act(self, text: str) -> None:
        self.screen.act(text)

    async def command(self, *arguments: str) -> None:
        """Runs `sidecar` as an administrator would, and shows its output."""
        self.act(f"$ docker compose exec mta-sts-mailcow sidecar {' '.join(arguments)}")
        for line in (await self.stage.command(*arguments)).splitlines():
            self.screen.note(line)

    def look_now(self) -> None:
        """Sends the sidecar its SIGHUP."""
        self.act(HUP)
        self.daemon.reload()

    async def acme_sleeps(self) -> None:
        """Waits until acme-mailcow sleeps: the sidecar does not interrupt it, and would observe it later."""

        async def asleep() -> str | None:
            return None if await self.stage.acme_sleeps() else "at work"

        await judged(self.name, "acme-mailcow sleeps", asleep, expected="asleep", within_s=WITHIN_S)

    async def promise(self, text: str, check: Check, *, expected: str, within_s: float = WITHIN_S) -> float:
        """Waits until the promise is kept; seconds until then. Raises BrokenPromiseError if it is not."""
        self.screen.waiting(text)
        made = await judged(self.name, text, check, expected=expected, within_s=within_s)
        if within_s > 0:
            await asyncio.sleep(ITS_WORDS_S)
        self.screen.quiet()
        self.promises.append(made)
        self.screen.promise(made)
        if not made.kept:
            raise BrokenPromiseError(text)
        return made.took_s

    async def promise_stays(self, text: str, check: Check, *, expected: str, passes: int = 2) -> None:
        """Promises that the check holds now and after so many more passes that began from now on."""
        begun = time.time()
        pushed = 0

        async def still() -> str | None:
            nonlocal pushed
            if (found := await check()) is not None:
                raise _ChangedError(found)
            seen = sum(report.observed.now > begun for report in self.stage.reports)
            if seen >= passes:
                return None
            if pushed <= seen:
                pushed = seen + 1
                self.daemon.reload()
            return f"only {seen} passes of the sidecar"

        try:
            await self.promise(text, still, expected=expected)
        except _ChangedError as error:
            self.screen.quiet()
            broken = Promise(self.name, text, False, time.time() - begun, expected, error.found)
            self.promises.append(broken)
            self.screen.promise(broken)
            raise BrokenPromiseError(text) from error

    # --- checks

    def said(self, *parts: str) -> Check:
        """Some line of the sidecar's log since the step began has all these words."""

        async def check() -> str | None:
            lines = self.log.lines[self._mark :]
            if any(all(part in line for part in parts) for line in lines):
                return None
            return f"{len(lines)} lines of log without it"

        return check

    def served(self, policies: dict[str, str | None]) -> Check:
        """A sender gets exactly these texts (None: none)."""

        async def check() -> str | None:
            for domain, text in policies.items():
                found = await self.stage.served(domain)
                if found != text:
                    return f"{domain}: {shown(found)}"
            return None

        return check

    def certified(self, names: Collection[str]) -> Check:
        """The certificate has exactly these names."""

        async def check() -> str | None:
            there = self.stage.certificate()
            missing, more = sorted(set(names) - there), sorted(there - set(names))
            if not missing and not more:
                return None
            return "; ".join(
                f"{word} {', '.join(which)}" for word, which in (("lacks", missing), ("has", more)) if which
            )

        return check

    def started(self, times: int) -> Check:
        """acme-mailcow was started this many times since the demo began: each start may cost an order."""

        async def check() -> str | None:
            found = self.stage.containers.acme_starts
            return None if found == times else f"{found} starts of acme-mailcow"

        return check


class _ChangedError(Exception):
    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


def shown(text: str | None) -> str:
    """A policy in one line."""
    return "nothing" if text is None else "; ".join(text.strip().splitlines())


def policy(mode: str, max_age: int, mx: Sequence[str] = ("mail.example.org",)) -> str:
    """The text of a policy as a sender should get it, written here independently of the sidecar."""
    lines = ["version: STSv1", f"mode: {mode}", f"max_age: {max_age}", *(f"mx: {host}" for host in mx)]
    return "\n".join(lines) + "\n"
