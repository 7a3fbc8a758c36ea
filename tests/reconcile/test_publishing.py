"""DNS records within passes: what is stored before a write, what a kill costs, and what a person lets through."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from demo.names import DemoDns
from sidecar.dns.authoritative import Asker
from sidecar.dns.publish.port import Change, Outcome, Unclear
from sidecar.host.unexpected import Unexpected
from sidecar.observed import LARGE_DNS_PLAN, Observed
from sidecar.observed.record_sets import Key, RecordSet, RecordType
from sidecar.plan import decide
from sidecar.plan.actions import PublishRecords
from sidecar.plan.publish import ledger_copy
from sidecar.reconcile.apply import Outcome as Ended
from sidecar.reconcile.apply import Result
from sidecar.reconcile.publishing import Publishing
from sidecar.reconcile.records import Records
from sidecar.settings import Settings
from sidecar.state.ledger import Ledger
from sidecar.state.store import State
from tests.dns.publish.memory import InMemory
from tests.plan.publish.test_picture import ID_NAME, NAME, REPORT_NAME, seen, settings
from tests.stage import Clock
from tests.worlds import NOW

ID_KEY, REPORT_KEY = Key(ID_NAME, RecordType.TXT), Key(REPORT_NAME, RecordType.TXT)
CONFIG = settings("upsert", tls_report="mailto:t@example.org")


@dataclass
class Killing(InMemory):
    """The process is killed during the write: it is done, and its outcome is lost."""

    state: State | None = None
    stored: Mapping[Key, object] | None = None
    copied: bytes = b""
    copy: Path | None = None

    async def write(self, zone: str, changes: Sequence[Change]) -> Mapping[Key, Outcome]:
        assert self.state is not None
        assert self.copy is not None
        self.stored, self.copied = self.state.load().published, self.copy.read_bytes()
        await super().write(zone, changes)
        return {change.key: Unclear("killed") for change in changes}


@asynccontextmanager
async def publishing(
    folder: Path, home: InMemory, config: Settings = CONFIG
) -> AsyncIterator[tuple[Publishing, Ledger, State]]:
    """A sidecar that was just started; its mailcow directory is `folder`."""
    clock = Clock(wrong=NOW - time.time())
    dns = await DemoDns.start()
    dns.serve_zone(NAME)
    (folder / ledger_copy.COPY).parent.mkdir(parents=True, exist_ok=True)
    state = State.open(folder / "state", NOW)
    ledger = await Ledger.open(state)
    asker = Asker(("127.0.0.1", dns.port), clock.now, Unexpected(), port=dns.port)
    records = Records(("home",), lambda _: home, clock, asker)
    ended: list[Ended] = []
    made = Publishing(replace(config, mailcow_dir=folder), clock, records, ledger, ended.append, patient=True)
    made.activate()
    try:
        yield made, ledger, state
    finally:
        await made.close()
        await dns.close()
        state.close()


async def one_pass(made: Publishing, ledger: Ledger, config: Settings = CONFIG) -> tuple[Ended, ...]:
    """As `Passes.reconcile` does it, for the part that is about records."""
    await ledger.refresh()
    await made.restore()
    found = seen(names={})
    memory = replace(
        found.memory,
        published=ledger.memory.published,
        adopt_records=ledger.memory.adopt_records,
        let_through=ledger.memory.let_through,
    )
    found = replace(found, memory=memory)
    for _ in range(3):
        found, _ = made.decided(made.seen(found))
        await made.settle()
    found, _ = made.decided(made.seen(found))
    ledger.memory = found.memory
    await ledger.store()
    return await made.write(actions(found, made, config))


def actions(found: Observed, made: Publishing, config: Settings) -> tuple[PublishRecords, ...]:
    """What a pass would do about records."""
    _, records = made.decided(found)
    plan = decide(found, config, records=records)
    return tuple(action for action in plan.actions if isinstance(action, PublishRecords))


async def test_intent_is_in_the_state_and_in_its_copy_before_the_write(tmp_path: Path) -> None:
    """So that a kill in the middle of it leaves nothing that looks like somebody else's."""
    home = Killing((NAME,))
    async with publishing(tmp_path, home) as (made, ledger, state):
        home.state, home.copy = state, tmp_path / ledger_copy.COPY
        (ended,) = await one_pass(made, ledger)
        assert ended.result is Result.FAILED
        assert home.stored is not None
        assert REPORT_KEY in home.stored
        assert REPORT_KEY in ledger_copy.read(home.copied)
    wrote = dict(home.sets)
    assert REPORT_KEY in wrote
    again = InMemory((NAME,), wrote)
    async with publishing(tmp_path, again) as (made, ledger, _):
        await one_pass(made, ledger)
        await one_pass(made, ledger)
        assert again.sets[REPORT_KEY] == wrote[REPORT_KEY]


async def test_lost_state_takes_the_ledger_from_its_copy(tmp_path: Path) -> None:
    """Otherwise a new address for reports would wait for a person, for every domain."""
    home = InMemory((NAME,))
    async with publishing(tmp_path, home) as (made, ledger, _):
        await one_pass(made, ledger)
        assert home.sets[REPORT_KEY].values == ("v=TLSRPTv1; rua=mailto:t@example.org",)
    for file in (tmp_path / "state").iterdir():
        file.unlink()
    other = settings("upsert", tls_report="mailto:other@example.org")
    async with publishing(tmp_path, home, other) as (made, ledger, _):
        await one_pass(made, ledger, other)
        assert home.sets[REPORT_KEY].values == ("v=TLSRPTv1; rua=mailto:other@example.org",)


async def test_lost_state_and_copy_leave_every_other_value_alone(tmp_path: Path) -> None:
    """Nothing shows that it was written by the sidecar."""
    home = InMemory((NAME,))
    async with publishing(tmp_path, home) as (made, ledger, _):
        await one_pass(made, ledger)
    before = dict(home.sets)
    other = settings("upsert", tls_report="mailto:other@example.org")
    async with publishing(tmp_path / "elsewhere", home, other) as (made, ledger, state):
        await one_pass(made, ledger, other)
        assert home.sets[REPORT_KEY] == before[REPORT_KEY]
        state.request_adopt_records([REPORT_NAME], NOW)
        await one_pass(made, ledger, other)
        assert home.sets[REPORT_KEY].values == ("v=TLSRPTv1; rua=mailto:other@example.org",)
        assert state.load().adopt_records == frozenset()


async def test_consent_to_a_large_plan_is_for_this_plan_alone(tmp_path: Path) -> None:
    """It ends when nothing would be held: it does not cover a later plan."""
    async with publishing(tmp_path, InMemory((NAME,))) as (made, ledger, state):
        state.request_let_through(LARGE_DNS_PLAN, NOW)
        await one_pass(made, ledger)
        await one_pass(made, ledger)
        assert state.load().let_through == frozenset()


async def test_dry_run_of_the_records_writes_nothing(tmp_path: Path) -> None:
    """Neither into the DNS nor into the ledger."""
    config = settings("dry-run", tls_report="mailto:t@example.org")
    home = InMemory((NAME,), {ID_KEY: RecordSet(("v=spf1 -all",), 60)})
    async with publishing(tmp_path, home, config) as (made, ledger, state):
        assert await one_pass(made, ledger, config) == ()
        assert home.writes == 0
        assert state.load().published == {}
    assert not (tmp_path / ledger_copy.COPY).exists()
