"""DNS records within a pass: what was read beside the passes, what follows from it, and the hand-over of writes.

Rules for every editor. The intent of a write is stored before the write begins: first in the state, then in the copy of
the ledger in `data/conf/mta-sts/`, which is read when the state was lost. A copy that cannot be written is reported and
stops no write: the state has the ledger. A plan is worked out only when something changed: a settled pass with thousands
of domains must cost next to nothing.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sidecar.dns.publish.port import ChangedMeanwhile, Unclear, WriteDone, WriteRefused
from sidecar.host.clock import Clock
from sidecar.host.errors import SidecarError
from sidecar.host.files import replace_file
from sidecar.host.plain_file import read_plain
from sidecar.observed import Memory, Observed, Seen
from sidecar.observed.record_sets import Key, RecordLedger, RecordType
from sidecar.plan.actions import Action, PublishRecords
from sidecar.plan.publish import ledger_copy
from sidecar.plan.publish.looking import check_due
from sidecar.plan.publish.make import RowsOf, make_plan
from sidecar.plan.publish.picture import awaits_a_check, domain_of, picture_of, publishes, wanted_names
from sidecar.plan.publish.values import Picture, PublishPlan
from sidecar.reconcile.apply import Outcome, Result
from sidecar.reconcile.learn.records import learn_records, with_adopted, with_intents, with_outcomes
from sidecar.reconcile.records import Ended, Records
from sidecar.settings import Settings
from sidecar.state.ledger import Ledger

_MODE = 0o644


@dataclass(slots=True)
class PublishedFile:
    """The file below the mailcow directory; `trouble` says why it could not be written last."""

    mailcow_dir: Path
    trouble: str | None = None
    _known: RecordLedger | None = None
    """What the file holds; None: it was not read yet."""

    @property
    def path(self) -> Path:
        return self.mailcow_dir / ledger_copy.COPY

    async def restored(self, memory: Memory) -> RecordLedger:
        """The ledger of the memory, or that of the copy where the state was lost."""
        if self._known is None:
            try:
                self._known = await asyncio.to_thread(
                    lambda: ledger_copy.read(read_plain(self.path, ledger_copy.LARGEST))
                )
            except (OSError, ValueError):
                self._known = {}
        # A state that was renewed while the sidecar runs is as empty as one that was lost before.
        return ledger_copy.merged(memory.published, self._known)

    async def store(self, ledger: RecordLedger) -> None:
        """Writes the copy where it differs; never raises."""
        if ledger is self._known:
            return
        try:
            await asyncio.to_thread(self._write, ledger)
        except SidecarError as error:
            self.trouble = str(error)
            return
        self._known, self.trouble = ledger, None

    def _write(self, ledger: RecordLedger) -> None:
        data = ledger_copy.dumped(ledger)
        try:
            if read_plain(self.path, ledger_copy.LARGEST) == data:
                return
        except (OSError, ValueError):
            if not ledger:
                return  # nothing was published: no file is made
        replace_file(self.path, data, mode=_MODE)


LOOK_S = 60.0
"""How long a single pass (`plan`, `once`) reads records before it continues with what is known."""
WRITE_S = 120.0


@dataclass(frozen=True, slots=True)
class _Made:
    """A plan and what it was made from."""

    picture: Picture
    version: int
    plan: PublishPlan
    wrong: frozenset[str]
    """Names with something that is not right, or waits."""

    def holds(self, picture: Picture, version: int) -> bool:
        """Whether this picture leads to the same plan; what is due at a time is worked out again then."""
        return (
            version == self.version
            and picture.ledger is self.picture.ledger
            and picture.override == self.picture.override
            and picture.facts == self.picture.facts
            and not self.plan.writes
            and all(held.until is None or held.until > picture.now for held in self.plan.held)
            and picture.domains == self.picture.domains
        )


class Publishing:
    """The part of a pass that is about DNS records; if it is not `active`, no record is read."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        records: Records,
        ledger: Ledger,
        report: Callable[[Outcome], None],
        *,
        patient: bool,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self.records = records
        """Reads and writes records beside the passes."""
        self._ledger = ledger
        self._report = report
        self._patient = patient
        self._copy = PublishedFile(settings.mailcow_dir)
        self._made: _Made | None = None
        self._look_s = LOOK_S
        self._names: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        """The domains, and the names that are read for them."""
        self._awaited: dict[str, tuple[float, int]] = {}
        """When a sender check was requested last, and how often, by domain."""
        self.active = publishes(settings) and not patient

    def activate(self, look_s: float = LOOK_S) -> None:
        """For a command that makes one pass: it uses the accounts, too, and waits at most so many seconds."""
        self.active = publishes(self._settings)
        self._look_s = look_s

    def seen(self, observed: Observed, changed: Collection[str] = ()) -> Observed:
        """The picture with what is known of the records now; those of `changed` domains are read again soon."""
        if not self.active:
            return observed
        if changed:
            names = self._names[1]
            self.records.rush([n for n in names if domain_of(Key(n, RecordType.TXT)) in changed])
        return replace(observed, records=self.records.looks())

    # --- what follows: pure but for what is remembered of the last time -------------------------------

    def decided(self, observed: Observed) -> tuple[Observed, PublishPlan | None]:
        """The picture with what the records teach, and the plan; None where nothing is published."""
        if not self.active:
            return observed, None
        picture = picture_of(observed, self._settings)
        if picture is None:
            return observed, None
        domains = tuple(domain.name for domain in picture.domains)
        if self._names[0] != domains:
            self._names = domains, wanted_names(picture)
        memory = with_adopted(observed, self._names[1])
        if memory is not observed.memory:
            observed = replace(observed, memory=memory)
            picture = replace(picture, ledger=memory.published)
        version = observed.records.version
        if self._made is None or not self._made.holds(picture, version):
            plan = make_plan(picture)
            observed = replace(observed, memory=learn_records(observed, picture, plan))
            wrong = {row.key.name for row in plan.rows if not row.right}
            wrong |= {held.key.name for held in plan.held} | {write.key.name for write in plan.writes}
            kept = replace(plan, rows=RowsOf(picture))
            if observed.memory.published is not picture.ledger:
                picture = replace(picture, ledger=observed.memory.published)
            self._made = _Made(picture, version, kept, frozenset(wrong))
        return observed, self._made.plan

    # --- work beside the passes -----------------------------------------------------------------------

    def begin(self) -> None:
        """Begins to read what is due."""
        if self.active and self._made is not None:
            self.records.begin(self._names[1], self._made.wrong)

    def checks_wanted(self, observed: Observed) -> tuple[str, ...]:
        """The domains whose ids wait for a sender check and nothing else; an alias domain is checked as its target is."""
        if not self.active or self._made is None or not self._settings.verify:
            return ()
        waiting = [domain.name for domain in self._made.picture.domains if awaits_a_check(domain)]
        self._awaited = {name: self._awaited[name] for name in waiting if name in self._awaited}
        due: list[str] = []
        for name in waiting:
            at, tries = self._awaited.get(name, (None, 0))
            if check_due(at, tries, observed.now):
                self._awaited[name] = observed.now, tries + 1
                due.append(name)
        if not due or not isinstance(observed.domains, Seen):
            return ()
        targets = observed.domains.value.targets
        return tuple(dict.fromkeys(targets.get(name, name) for name in due))

    async def settle(self) -> None:
        """For a single pass: reads what is due, and waits for the answers."""
        self.begin()
        await self.records.settle(self._look_s)

    async def restore(self) -> None:
        """Takes the ledger from its copy where the state was lost."""
        if self.active:
            ledger = await self._copy.restored(self._ledger.memory)
            if ledger is not self._ledger.memory.published:
                self._ledger.memory = replace(self._ledger.memory, published=ledger)

    async def write(self, actions: Sequence[Action]) -> tuple[Outcome, ...]:
        """Hands the writes over; a single pass waits for their outcomes."""
        if not self.active:
            return ()
        wanted = [action for action in actions if isinstance(action, PublishRecords)]
        if wanted:
            self._ledger.memory = with_intents(self._ledger.memory, wanted, self._clock.now())
            await self._ledger.store()
        if not self._settings.dry_run:
            await self._copy.store(self._ledger.memory.published)
        if not wanted:
            return ()
        self.records.write(wanted)
        if not self._patient:
            return ()
        await self.records.settle(WRITE_S)
        return await self.ended()

    async def ended(self) -> tuple[Outcome, ...]:
        """The outcomes of what ended since the last pass."""
        outcomes: list[Outcome] = []
        memory = self._ledger.memory
        for ended in self.records.ended():
            memory = with_outcomes(memory, ended.action, ended.outcomes)
            outcome = outcome_of(ended, self._clock.now())
            self._report(outcome)
            outcomes.append(outcome)
        if memory is not self._ledger.memory:
            self._ledger.memory = memory
            await self._ledger.store()
        return tuple(outcomes)

    async def close(self) -> None:
        await self.records.close()


def outcome_of(ended: Ended, at: float) -> Outcome:
    """How an action ended as a whole: refused if any write was; failed for now if the outcome of one is open."""
    refused: list[str] = []
    failed: list[str] = []
    for key, outcome in ended.outcomes.items():
        match outcome:
            case WriteDone():
                pass
            case WriteRefused(reason, remedy):
                refused.append(f"{key}: {reason}; {remedy}")
            case ChangedMeanwhile(reason):
                failed.append(f"{key}: {reason}; the next pass looks again")
            case Unclear(reason):
                failed.append(f"{key}: it is not known whether it was done ({reason}); it is read again")
    detail = "; ".join(refused + failed) or None
    result = Result.REFUSED if refused else Result.FAILED if failed else Result.DONE
    return Outcome(ended.action, result, at, detail)
