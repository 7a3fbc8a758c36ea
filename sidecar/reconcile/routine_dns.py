"""The DNS in the picture of a pass: the routine questions about all domains, asked when they are due.

Rule for every editor: a pass waits only a moment for answers, since a slow name must not delay a policy. When a question
is due is decided in `plan.schedule`.
"""

import asyncio
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.dns.ask import Lookups
from sidecar.dns.questions import Questions
from sidecar.observed import Dns, DomainList, Fact, FactKind, Kind, Observed, Question, Seen, Sight
from sidecar.plan.publish.picture import publishes
from sidecar.plan.records import questions
from sidecar.plan.schedule import question_due, record_due, record_interval, routine_questions
from sidecar.settings import Settings

_OWNER_PREFIX = re.compile(r"^(?:_mta-sts|_smtp\._tls|mta-sts)\.")


@dataclass(frozen=True, slots=True)
class _Routine:
    """The routine questions, and the values from which they were derived."""

    listed: DomainList
    made_from: tuple[str, frozenset[str], tuple[str, ...], bool]
    """The hostname, names that are missing in the DNS, names of the certificate, whether one file serves all."""
    questions: Mapping[Question, bool | None]
    """Each question, the most important first, and whether people wait for its answer; None for the page's TXT records."""
    shown: int
    """The number of the page's TXT records."""


class RoutineDns:
    """Asks the routine questions; `questions` has the answers."""

    def __init__(
        self, settings: Settings, lookups: Lookups, changed: Callable[[str], None], *, patient: bool
    ) -> None:
        """`changed` is called with a domain whose records changed in the DNS. `patient`: wait for all answers."""
        self._settings = settings
        self._patient = patient
        self._last: _Routine | None = None
        # Names of MTA-STS and TLSRPT belong to a domain; any other name is a domain itself.
        self.questions = Questions(
            lookups, lambda question: changed(_OWNER_PREFIX.sub("", question.name, count=1))
        )

    async def observe(self, observed: Observed) -> Dns:
        """Asks the questions that are due for this picture; all answers that are known."""
        if isinstance(observed.conf, Seen) and isinstance(observed.domains, Seen):
            hostname, listed = observed.conf.value.hostname, observed.domains.value
            # In a thread, on a copy of the answers: there are five questions for each domain.
            wanted, due = await asyncio.to_thread(
                self._due, observed, hostname, listed, self.questions.answers()
            )
            self.questions.keep(wanted, observed.now - self._settings.intervals.dns)
            await self.questions.ask(due, to_the_end=self._patient)
        return self.questions.known()

    def _due(
        self, observed: Observed, hostname: str, listed: DomainList, answers: Mapping[Question, Sight[Any]]
    ) -> tuple[Collection[Question], list[Question]]:
        """All routine questions, and those of them that are due, the most important first."""
        memory, intervals = observed.memory, self._settings.intervals
        missing = frozenset(fact.subject for fact in memory.since if fact.kind is FactKind.MISSING)
        # A name of the server's certificate that stops resolving is noticed before the next order drops it.
        server = observed.certificates.value.server if isinstance(observed.certificates, Seen) else None
        certified = sorted(name for name in server.names if not name.startswith("*.")) if server else ()
        made_from = (hostname, missing, tuple(certified), observed.one_file)
        last = self._last
        if last is None or last.listed is not listed or last.made_from != made_from:
            last = self._last = self._all(listed, made_from)
        waiting_s = record_interval(intervals.dns, last.shown)
        due = [
            question
            for question, eager in last.questions.items()
            if (
                record_due(answers.get(question), observed.now, waiting_s)
                if eager is None
                else question_due(
                    answers.get(question),
                    eager=eager,
                    failing_for=memory.true_for(Fact(FactKind.FAILING, question.name)) if eager else 0.0,
                    now=observed.now,
                    intervals=intervals,
                )
            )
        ]
        return last.questions, due

    def _all(
        self, listed: DomainList, made_from: tuple[str, frozenset[str], tuple[str, ...], bool]
    ) -> _Routine:
        hostname, missing, certified, by_file = made_from
        manages, publishing = self._settings.manages, publishes(self._settings)
        managed = frozenset(domain.name for domain in listed.domains if manages(domain.name))
        asked: dict[Question, bool | None] = {}
        for question, eager in routine_questions(
            hostname, listed, managed, missing, certified, by_file=by_file
        ):
            asked[question] = eager or asked.get(question, False)
        # The page shows TXT records; a command asks for those that it needs.
        names: list[str] = []
        if not self._patient and (self._settings.web.listen is not None or publishing):
            names += [domain.name for domain in listed.domains if domain.receives and domain.name in managed]
        if not self._patient and publishing:
            names += [alias.name for alias in listed.aliases if alias.active and manages(alias.name)]
        shown = [question for question in questions("", names) if question.kind is Kind.TXT]
        return _Routine(listed, made_from, {**asked, **dict.fromkeys(shown)}, len(shown))
