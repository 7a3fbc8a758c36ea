"""What DNS publishing adds to a settled pass, and to memory: 1,000 domains whose records are all as wanted.

In this process, with the real parts of a pass and accounts in memory: `python -m tests.bench.publish [DOMAINS]`.
"""

import asyncio
import gc
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from sidecar.dns.answers import NameServer, ServerAddress, Zone
from sidecar.dns.answers import ServerRecordSet as ServedSet
from sidecar.dns.authoritative import Asker
from sidecar.formats.mtasts_policy import Mode, Policy, render
from sidecar.host.unexpected import Unexpected
from sidecar.observed import CheckRecord, Memory, Observed, PolicyMemory, Seen, Sight, Span
from sidecar.observed.checks import Condition, ConditionType, Rollout, Status
from sidecar.observed.record_sets import Key, RecordSet, RecordType
from sidecar.plan import decide
from sidecar.reconcile.passes import learn_all
from sidecar.reconcile.publishing import Publishing
from sidecar.reconcile.records import Records
from sidecar.settings import Settings
from sidecar.settings.load import load
from sidecar.state.ledger import Ledger
from sidecar.state.store import State
from tests.dns.publish.memory import InMemory
from tests.stage import Clock
from tests.worlds import HOST, World, observed

DOMAINS = 1_000
PASSES = 20
POLICY = render(Policy(Mode.ENFORCE, 604_800, (HOST,)))
CONFIG = b"""\
mode: enforce
tls_report: mailto:tls@example.org
dns:
  publish: upsert
  accounts: {home: {type: rfc2136, server: 192.0.2.53, key_name: sidecar, secret_env: KEY}}
"""


@dataclass(frozen=True)
class _AllThere(Asker):
    """Every server has what is at the source."""

    sets: Mapping[Key, RecordSet] | None = None

    async def zone_of(self, name: str) -> Sight[Zone]:
        zone = name.removeprefix("_smtp._tls.").removeprefix("_mta-sts.").removeprefix("mta-sts.")
        servers = tuple(NameServer(f"ns{n}.example.net", (f"192.0.2.{n}",)) for n in (1, 2))
        return Seen(Zone(zone, "ns1.example.net", servers), self.clock())

    async def ask_each(
        self, zone: Zone, name: str, type_: str, *, dnssec: bool = False
    ) -> Mapping[ServerAddress, Sight[ServedSet]]:
        sets = self.sets or {}
        alias = sets.get(Key(name, RecordType.CNAME))
        texts = sets.get(Key(name, RecordType.TXT))
        values = tuple(f'"{value}"' for value in texts.values) if texts else ()
        found = ServedSet(name, type_, values, 300, alias=alias.values[0] if alias else None)
        return {
            ServerAddress(server.name, address): Seen(found, self.clock())
            for server in zone.servers
            for address in server.addresses
        }


def records_of(names: Sequence[str]) -> dict[Key, RecordSet]:
    """All three of each domain."""
    found: dict[Key, RecordSet] = {}
    for name in names:
        found[Key(f"mta-sts.{name}", RecordType.CNAME)] = RecordSet((HOST,), 3_600)
        found[Key(f"_mta-sts.{name}", RecordType.TXT)] = RecordSet(("v=STSv1;id=1;",), 3_600)
        report = "v=TLSRPTv1; rua=mailto:tls@example.org"
        found[Key(f"_smtp._tls.{name}", RecordType.TXT)] = RecordSet((report,), 3_600)
    return found


def picture(names: Sequence[str]) -> Observed:
    """A mailcow in which all is as it should be."""
    world = World(
        domains=tuple(names),
        served=dict.fromkeys(names, POLICY),
        names=frozenset({HOST, *(f"mta-sts.{name}" for name in names)}),
    )
    seen = observed(world)
    span = Span(POLICY, seen.now - 9e6, None)
    true = tuple(Condition(kind, Status.TRUE, "right", "as meant", seen.now) for kind in ConditionType)
    memory: Memory = replace(
        seen.memory,
        policies={name: PolicyMemory(spans=(span,), id_text=POLICY, id="1") for name in names},
        checks={name: CheckRecord(seen.now - 60, ()) for name in names},
        rollouts={name: Rollout(true, soaked=9e6, checked_at=seen.now - 60) for name in names},
    )
    return replace(seen, memory=memory)


async def settled(
    folder: Path, settings: Settings, seen: Observed, names: Sequence[str], sets: dict[Key, RecordSet]
) -> tuple[Publishing, Observed]:
    """Publishing that has looked at everything, and the picture with what it learned."""
    clock = Clock(wrong=seen.now - time.time())
    home = InMemory(tuple(names), sets)
    asker = _AllThere(None, clock.now, Unexpected(), sets=sets)
    records = Records(("home",), lambda _: home, clock, asker)
    state = State.open(folder, seen.now)
    ledger = await Ledger.open(state)
    publishing = Publishing(settings, clock, records, ledger, lambda _: None, patient=False)
    plan = None
    for _ in range(3):
        seen = publishing.seen(replace(seen, now=clock.now()))
        seen, plan = publishing.decided(seen)
        publishing.begin()
        await records.settle(120)
    if plan is None or plan.writes or plan.held:
        raise AssertionError(f"not settled: {plan}")
    state.close()
    return publishing, seen


def cpu(once: Callable[[], object]) -> float:
    """Seconds of CPU of one call, as the best of several."""
    best = float("inf")
    for _ in range(PASSES):
        began = time.process_time()
        once()
        best = min(best, time.process_time() - began)
    return best


async def main(domains: int) -> None:
    """Measures and prints."""
    say = Console().print
    names = [f"d{number:04}.example" for number in range(domains)]
    settings = load({"KEY": "k"}, CONFIG, {})
    seen = picture(names)
    plain = cpu(lambda: decide(learn_all(seen, settings), settings))
    with TemporaryDirectory() as folder:
        sets = records_of(names)
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        publishing, known = await settled(Path(folder), settings, seen, names, sets)
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()

        def extra() -> None:
            publishing.decided(publishing.seen(known))
            publishing.begin()
            publishing.checks_wanted(known)

        more = cpu(extra)
        await publishing.close()
    say(f"{domains} domains, settled: decisions of a pass {plain * 1000:.1f} ms of CPU")
    say(f"  with DNS publishing {more * 1000:.1f} ms more, and {held / 2**20:.2f} MB held")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else DOMAINS))
