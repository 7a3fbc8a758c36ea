"""Observes mailcow's containers in the background: the Docker engine never delays a policy.

Rules for every editor. A pass waits only a moment. Until the Engine has answered, the containers are `Unseen`, which
permits nothing; the next pass uses a late answer. Only one observation runs at a time. In acme-mailcow's log a verdict is
taken only from its own line: a log without its beginning, or of a run that continues, gives fewer verdicts, never
different ones.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime

from sidecar.host.tasks import end_tasks
from sidecar.mailcow.engine.acme import AcmeEngine
from sidecar.observed import NOT_ASKED, AcmeRun, Project, Refusal, RefusedFor, Seen, Sight, Unseen

FRESH_S = 60.0
AT_WORK_FRESH_S = 5.0
"""Shorter than any poll, but not 0: otherwise a slow answer would be outdated for the pass that it wakes."""
PATIENCE_S = 1.0
"""How long a pass waits for an observation, from its start; one that hangs delays only one pass, once."""
LEFT_ALONE = "Until then acme-mailcow is left unchanged; everything else continues"


class ProjectLook:
    """Observes when that is due; `finished` is called when an observation ends that no pass waited for."""

    def __init__(
        self,
        engine: AcmeEngine,
        hint: str | None,
        completed: Callable[[Sight[Project]], Awaitable[Sight[Project]]],
        *,
        patient: bool,
    ) -> None:
        """`hint` is the project's name if labels do not show it; `completed` adds further answers to an observation.

        `patient`: a single pass waits for as long as the Engine takes.
        """
        self._engine = engine
        self._hint = hint
        self._completed = completed
        self._patience_s = None if patient else PATIENCE_S
        self._seen: Sight[Project] = NOT_ASKED
        self._looking: asyncio.Task[Sight[Project]] | None = None
        self._began_s = 0.0
        """Seconds of the event loop's clock."""
        self.touched = True
        """Set by events, and after a change of a container: the next pass observes again."""
        self.finished: Callable[[], None] = lambda: None

    @property
    def project_name(self) -> str | None:
        """The compose project, once it was observed."""
        return self._seen.value.name if isinstance(self._seen, Seen) else None

    async def close(self) -> None:
        """Stops the observation; a call to the Engine may still run to its end."""
        await end_tasks(self._looking)

    async def sight(self, now: float, *, patience_s: float | None = None) -> Sight[Project]:
        """The containers as last observed; `Unseen` while a newer observation is due and has no answer.

        `patience_s`: how long to wait for that, if it is longer than a pass usually waits.
        """
        if self._looking is None:
            match self._seen:
                case Seen(Project(acme_sleep=Seen(None))):
                    # A run of acme-mailcow ends without an event: while it works, every pass observes it.
                    fresh_s = AT_WORK_FRESH_S
                case _:
                    fresh_s = FRESH_S
            if not self.touched and now - self._seen.at < fresh_s:
                return self._seen
            self.touched = False
            self._looking = asyncio.create_task(self._observe(now))
            self._began_s = asyncio.get_running_loop().time()
        task = self._looking
        if not task.done():
            timeout = None
            if self._patience_s is not None:
                patience_s = self._patience_s if patience_s is None else patience_s
                timeout = max(0.0, self._began_s + patience_s - asyncio.get_running_loop().time())
            await asyncio.wait({task}, timeout=timeout)
        if task.done():
            self._looking = None
            self._seen = task.result()
            return self._seen
        task.remove_done_callback(self._notify)
        task.add_done_callback(self._notify)
        if isinstance(self._seen, Unseen) and self._seen is not NOT_ASKED:
            # The last trouble stays until there is an answer: a hung Engine gives one reason, not two alternating ones.
            return self._seen
        return Unseen(f"the Docker engine has not answered yet. {LEFT_ALONE}", now)

    async def _observe(self, now: float) -> Sight[Project]:
        return await self._completed(await self._engine.observe(now, self._hint))

    def _notify(self, task: asyncio.Task[Sight[Project]]) -> None:
        if not task.cancelled():
            self.finished()


NO_IPV6 = "0000:0000:0000:0000:0000:0000:0000:0000"
"""What it writes if it detected no public IPv6 address."""
MOST_FAILURES = 3

_BEGIN = re.compile(r"domain (?:private )?rsa key")
"""The first line of each run."""
_DETECTING = re.compile(r"Detecting IP addresses")
"""Its next line, unless SKIP_IP_CHECK=y: the beginning of a run in a log that lost its first lines."""
_DETECTED = re.compile(r"OK: ([0-9.]*), ([0-9A-Fa-f:]+)\Z")
_FOUND = re.compile(r"Found (A|AAAA) record for (\S+?): (\S+)")
_CONFIRMED = re.compile(r"Confirmed (A|AAAA) record (?:with IP )?([^\s,]+)(, but HTTP validation failed)?")
_NO_MATCH = re.compile(r"Cannot match your IP \S* ?against hostname (\S+) \(DNS returned (\S*)\)")
_NO_RECORD = re.compile(r"No A or AAAA record found for hostname (\S+)")
_CAA_NAME = re.compile(r"Skipping ACME validation for ([^\s:]+): ")
_CAA_PARENT = re.compile(r"Lets Encrypt disallowed for (\S+) by CAA record")
_NO_POLICY = re.compile(r"MTA-STS is not enabled for (\S+)")
_CHALLENGE_FAILED = re.compile(r"Challenge did not pass for ([^\s:]+)")
_ORDER_FAILED = re.compile(r"Failed to obtain certificate|ValueError|did not pass|urn:ietf:params:acme:error")
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d) (.*)", re.DOTALL)
_ITS_DATE = re.compile(r"\A.{0,40}?(?<![\w:])\d\d:\d\d:\d\d(?![\w:]).{0,20}? - ")
"""Every line begins with the output of `date`; a zone without a name is a number there, such as -03."""


def last_run(lines: Sequence[str]) -> AcmeRun | None:
    """The last run in a log whose lines begin with the Engine's time stamps; None if there is none."""
    stamped: list[tuple[float, str]] = []  # Unix seconds, and the text without acme-mailcow's own date
    for line in lines:
        if found := _STAMP.match(line):
            with suppress(ValueError):  # a date that does not exist
                at = datetime.fromisoformat(found[1] + found[2].replace("Z", "+00:00")).timestamp()
                stamped.append((at, _ITS_DATE.sub("", found[3], count=1).strip()))
    for pattern in (_BEGIN, _DETECTING):
        begin = next((i for i in range(len(stamped) - 1, -1, -1) if pattern.search(stamped[i][1])), None)
        if begin is not None:
            return _run(stamped[begin:])
    return None


def _run(lines: Iterable[tuple[float, str]]) -> AcmeRun:  # noqa: C901, PLR0912 - one case for each kind of line
    began: float | None = None
    ipv4 = ipv6 = None
    detected = False
    confirmed: set[int] = set()
    reached: set[str] = set()
    refused: dict[str, Refusal] = {}
    parents: dict[str, Refusal] = {}
    failure: list[str] = []
    asked, address = "", ""
    for at, text in lines:
        began = at if began is None else began
        if found := _DETECTED.match(text):
            ipv4, ipv6 = found[1] or None, None if found[2] == NO_IPV6 else found[2]
            detected = True
        elif found := _FOUND.search(text):
            asked, address = found[2].lower().rstrip("."), found[3]
        elif found := _CONFIRMED.search(text):
            if found[3]:
                refused[asked] = Refusal(RefusedFor.HTTP, f"{text} (for {asked})", at, address)
            else:
                confirmed.add(6 if found[1] == "AAAA" else 4)
                reached.add(found[2])
        elif found := _NO_MATCH.search(text):
            refused[found[1].lower()] = Refusal(RefusedFor.ADDRESS, text, at, found[2])
        elif found := _NO_RECORD.search(text):
            refused[found[1].lower()] = Refusal(RefusedFor.NO_ADDRESS, text, at)
        elif found := _CAA_NAME.search(text):
            refused[found[1].lower()] = Refusal(RefusedFor.CAA, text, at)
        elif found := _CAA_PARENT.search(text):
            parents[found[1].lower()] = Refusal(RefusedFor.CAA, text, at)
        elif found := _NO_POLICY.search(text):
            refused[f"mta-sts.{found[1].lower()}"] = Refusal(RefusedFor.POLICY, text, at)
        elif _ORDER_FAILED.search(text):
            failure.append(text)
            if found := _CHALLENGE_FAILED.search(text):
                refused[found[1].lower()] = Refusal(RefusedFor.ORDER, text, at)
    refused.pop("", None)
    return AcmeRun(
        began or 0.0,
        ipv4,
        ipv6,
        detected,
        frozenset(confirmed),
        refused,
        parents,
        tuple(failure[-MOST_FAILURES:]),
        frozenset(reached),
    )
