"""The last answer to each question of the passes, and what is being asked in the background.

Rule for every editor: a pass waits for an answer only for a limited time; a late answer is available in the next
pass. When a question is due is decided elsewhere (`plan.schedule`).
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sidecar.dns.ask import Lookups
from sidecar.host.tasks import end_tasks
from sidecar.observed import Addresses, Caa, Dns, Kind, Question, Seen, Sight, Txt

ROUTINE_PATIENCE_S = 0.5
"""Seconds that a routine pass waits for the DNS; late answers are available in the next pass."""
DEADLINE_S = 10.0
IN_ONE_GROUP = 25
"""Routine questions asked together: thousands of lookups at once would keep memory, and the first answers come sooner."""
LOOKED_UP_AT_ONCE = 2_000
"""Questions that one decision needs; a pass that asks for more reports progress in between."""
A_SECOND = 100
"""Questions that any resolver can answer in a second: many questions get more time."""


class Questions:
    """Remembers answers until they are replaced or forgotten.

    `news` is called with a question whose answer differs from the one before; `moved` whenever a group was answered.
    """

    def __init__(self, lookups: Lookups, news: Callable[[Question], None]) -> None:
        self._lookups = lookups
        self._news = news
        self._answers: dict[Question, Sight[Any]] = {}
        self._pending: dict[Question, asyncio.Task[None]] = {}
        self._known: Dns | None = None
        """The answers as a part of the observation, cached until one of them changes."""
        self.moved: Callable[[], None] = lambda: None

    def answers(self) -> dict[Question, Sight[Any]]:
        """A copy of all answers, for use in another thread."""
        return dict(self._answers)

    def known(self) -> Dns:
        """All answers as a part of the observation."""
        if self._known is None:
            addresses: dict[str, Sight[Addresses]] = {}
            mx: dict[str, Sight[tuple[str, ...]]] = {}
            caa: dict[str, Sight[Caa]] = {}
            txt: dict[str, Sight[Txt]] = {}
            caa_at: dict[str, Sight[Caa]] = {}
            tables: dict[Kind, dict[str, Sight[Any]]] = {
                Kind.ADDRESSES: addresses,
                Kind.MX: mx,
                Kind.CAA: caa,
                Kind.TXT: txt,
                Kind.CAA_AT: caa_at,
            }
            for question, sight in self._answers.items():
                tables[question.kind][question.name] = sight
            self._known = Dns(addresses, mx, caa, txt, caa_at)
        return self._known

    def forget(self, questions: Iterable[Question]) -> None:
        """Forgets these answers, so that the questions are asked again."""
        for question in questions:
            if self._answers.pop(question, None) is not None:
                self._known = None

    def forget_all(self) -> None:
        """The clock was set back: otherwise nothing would be due until then."""
        self._answers.clear()
        self._known = None

    def keep(self, routine: Collection[Question], since: float) -> None:
        """Forgets answers from before Unix second `since`, except routine questions.

        What was asked for one decision is kept as long as a routine answer: the next decision needs it too.
        """
        # The time first: it decides most cases, and hashing tens of thousands of questions takes long.
        self.forget([q for q, sight in self._answers.items() if sight.at < since and q not in routine])

    async def ask(self, due: Iterable[Question], *, to_the_end: bool) -> None:
        """Begins to ask in the background; waits for a moment, or `to_the_end` (within what a resolver can do)."""
        new = [question for question in due if question not in self._pending]
        if new:
            task = asyncio.create_task(self._in_background(new))
            self._pending.update(dict.fromkeys(new, task))
        waiting = set(self._pending.values())
        if waiting:
            patience_s = DEADLINE_S + len(self._pending) / A_SECOND
            await asyncio.wait(waiting, timeout=patience_s if to_the_end else ROUTINE_PATIENCE_S)

    async def look_up(self, questions: Iterable[Question]) -> None:
        """Asks these questions now, and waits for all answers."""
        left = list(questions)
        while left:
            group, left = left[:LOOKED_UP_AT_ONCE], left[LOOKED_UP_AT_ONCE:]
            self._learn(await self._lookups.ask(group, DEADLINE_S + len(group) / A_SECOND))
            self.moved()

    def _learn(self, found: Mapping[Question, Sight[Any]]) -> None:
        same: dict[Any, Any] = {}
        for question, sight in found.items():
            # The names of one server have the same addresses, MX and so on: a value is held once.
            self._answers[question] = (
                replace(sight, value=same.setdefault(sight.value, sight.value))
                if isinstance(sight, Seen)
                else sight
            )
        self._known = None

    async def addresses(self, name: str) -> Sight[Addresses]:
        """The addresses of a name, asked now and not remembered."""
        question = Question(Kind.ADDRESSES, name)
        return (await self._lookups.ask([question], DEADLINE_S))[question]

    async def close(self) -> None:
        await end_tasks(*self._pending.values())

    async def _in_background(self, questions: Sequence[Question]) -> None:
        left = list(questions)
        try:
            while left:
                group, left = left[:IN_ONE_GROUP], left[IN_ONE_GROUP:]
                found = await self._lookups.ask(group, DEADLINE_S)
                for question, answer in found.items():
                    before = self._answers.get(question)
                    if isinstance(before, Seen) and isinstance(answer, Seen) and before.value != answer.value:
                        self._news(question)
                self._learn(found)
        finally:
            for question in questions:
                self._pending.pop(question, None)
