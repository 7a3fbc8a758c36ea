"""Reports in real passes: what they hold, what they prove, and that forged ones do no harm."""

import gzip
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sidecar.daemon.wiring import Parts
from sidecar.formats.mtasts_policy import Mode
from sidecar.observed import Seen, Unseen
from sidecar.observed.checks import NEEDED, ConditionType, Status
from sidecar.observed.checks import Condition as Known
from sidecar.observed.notice import NoticeCode
from sidecar.observed.reports import Dkim, Proof, Reason, ReportWay
from sidecar.reconcile.passes import PassReport
from sidecar.reports.digest import digest
from sidecar.reports.store import DAY_S, NAME, ReportStore
from sidecar.rollout.reports import CHECK_SPACING_S
from tests.formats.tls_report_corpus import about, detail, policy, report
from tests.stage import HOST, Stage, stage

DOMAIN = "example.org"
AUTO = "mode: auto\nsoak: 0\n"
POLICY = ["version: STSv1", "mode: {mode}", f"mx: {HOST}", "max_age: {age}"]


@contextmanager
def reports(on: Stage) -> Iterator[ReportStore]:
    """The store of the stage's sidecar."""
    store = ReportStore(Path(on.env["MTA_STS_STATE_DIR"]))
    yield store
    store.close()


def mode_of(on: Stage) -> Mode:
    """The mode that senders are served."""
    return Mode("enforce" if "mode: enforce" in on.served()[DOMAIN] else "testing")


def sent(
    on: Stage,
    sender: str | None,
    *,
    ago: float = 1.0,
    failed: int = 0,
    mode: str = "testing",
    number: int = 0,
    way: ReportWay = ReportWay.SMTP,
) -> None:
    """A sender's report of the day so many days ago, received today less `ago - 1` days."""
    now = on.clock.now()
    day = datetime.fromtimestamp(now - ago * DAY_S, UTC).strftime("%Y-%m-%d")
    lines = [line.format(mode=mode, age=86_400 if mode == "testing" else 604_800) for line in POLICY]
    one = policy(
        policy=about(policy_string=lines),
        summary={"total-successful-session-count": 40, "total-failure-session-count": failed},
        **({"failure-details": [detail("certificate-expired", failed)]} if failed else {}),
    )
    found = report(
        one,
        report_id=f"{sender}-{day}-{number}",
        organization_name=f"{sender}",
        date_range={"start-datetime": f"{day}T00:00:00Z", "end-datetime": f"{day}T23:59:59Z"},
    )
    text = json.dumps(found).encode()
    proof = Proof(Dkim.NONE) if sender is None else Proof(Dkim.PASS, sender)
    with reports(on) as store:
        (settled,) = store.add([(gzip.compress(text), digest(text), proof)], way, now - (ago - 1) * DAY_S)
    assert settled.new == 1, digest(text)


async def checked(on: Stage, parts: Parts, *, failing: bool = False) -> PassReport:
    """A pass after a sender check with this outcome, an hour later."""
    on.clock.ahead += 3_600
    now = on.clock.now()
    status = Status.FALSE if failing else Status.TRUE
    conditions = tuple(
        Known(kind, status if kind is ConditionType.MX_AUTHENTICATED else Status.TRUE, "x", "x", now)
        for kind in NEEDED
    )
    memory = parts.passes.ledger.memory
    before = memory.rollout(DOMAIN)
    rollout = replace(
        before,
        conditions=conditions,
        checked_at=now,
        good_at=None if failing else now,
        soaked=0.0 if failing else max(before.soaked, 10 * DAY_S),
    )
    parts.passes.ledger.memory = replace(memory, rollouts={DOMAIN: rollout})
    on.mailcow.requests.clear()
    return await parts.passes.reconcile()


async def settled(on: Stage, parts: Parts, **outcome: Any) -> PassReport:
    """Until the mode does not change any more."""
    for _ in range(2):
        await checked(on, parts, **outcome)
    return await checked(on, parts, **outcome)


async def test_a_clean_report_with_the_current_policy_is_named_as_the_proof(tmp_path: Path) -> None:
    """In the reason of the change to enforce, which the history keeps."""
    async with stage(tmp_path, config=AUTO) as on:
        async with on.sidecar() as parts:
            await parts.passes.reconcile()
            assert mode_of(on) is Mode.TESTING
            sent(on, "google.example")
            await settled(on, parts)
            assert mode_of(on) is Mode.ENFORCE
            reasons = [event.reason for event in parts.state.history(DOMAIN, 10)]
        assert any("google.example applied this policy on " in reason for reason in reasons), reasons


async def test_no_reports_at_all_block_nothing_unless_required(tmp_path: Path) -> None:
    """A small domain gets none."""
    async with stage(tmp_path, config=AUTO + "reports: {require: true}\n") as on, on.sidecar() as parts:
        await parts.passes.reconcile()
        await settled(on, parts)
        assert mode_of(on) is Mode.TESTING
        sent(on, None, way=ReportWay.HTTPS)
        await settled(on, parts)
        assert mode_of(on) is Mode.TESTING, "what anybody can post is no proof"
        sent(on, "google.example")
        await settled(on, parts)
        assert mode_of(on) is Mode.ENFORCE


async def test_a_proven_report_of_refused_mail_holds_the_step_up(tmp_path: Path) -> None:
    """Until the sender reports clean days."""
    async with stage(tmp_path, config=AUTO) as on, on.sidecar() as parts:
        await parts.passes.reconcile()
        sent(on, "google.example", failed=20)
        found = await settled(on, parts)
        assert mode_of(on) is Mode.TESTING
        assert isinstance(found.observed.reports, Seen)
        assert found.observed.reports.value[DOMAIN].clean.reason is Reason.REFUSED
        on.clock.ahead += 3 * DAY_S
        sent(on, "google.example", ago=2)
        sent(on, "google.example", ago=1)
        await settled(on, parts)
        assert mode_of(on) is Mode.ENFORCE


async def enforced(on: Stage, parts: Parts) -> None:
    """A domain in enforce, with a clean history of two honest senders."""
    await parts.passes.reconcile()
    for sender in ("google.example", "microsoft.example"):
        for ago in range(4, 14):
            sent(on, sender, ago=ago)
    await settled(on, parts)
    assert mode_of(on) is Mode.ENFORCE


@pytest.mark.parametrize(
    "liars",
    [
        ["liar.example"],
        ["a.liar.example", "b.liar.example", "liar.example"],
        [f"liar{number}.example" for number in range(20)],
        [None],
    ],
)
async def test_forged_reports_never_step_a_policy_back(tmp_path: Path, liars: Sequence[str | None]) -> None:
    """Signed by one domain, by many names, by many new domains, or not at all: our own check contradicts them."""
    async with stage(tmp_path, config=AUTO) as on, on.sidecar() as parts:
        await enforced(on, parts)
        for number in range(4):
            for liar in liars:
                way = ReportWay.SMTP if liar else ReportWay.HTTPS
                sent(on, liar, failed=5_000, mode="enforce", number=number, way=way)
            await settled(on, parts)
            assert mode_of(on) is Mode.ENFORCE


async def test_one_sender_that_lies_after_a_clean_week_is_not_enough(tmp_path: Path) -> None:
    """Two have to agree; three of the same owner are one."""
    async with stage(tmp_path, config=AUTO) as on:
        async with on.sidecar() as parts:
            await enforced(on, parts)
            sent(on, "google.example", failed=5_000, mode="enforce")
            await settled(on, parts)
            assert mode_of(on) is Mode.ENFORCE
            sent(on, "microsoft.example", failed=90, mode="enforce")
            await checked(on, parts)
            await checked(on, parts)
            assert mode_of(on) is Mode.TESTING
            reasons = [event.reason for event in parts.state.history(DOMAIN, 10)]
        assert any("2 senders with a clean history report refused mail" in reason for reason in reasons), (
            reasons
        )


async def test_a_report_and_our_own_failing_check_step_back(tmp_path: Path) -> None:
    """Sooner than our checks alone, which must fail several times; a check from before the report does not count."""
    async with stage(tmp_path, config=AUTO) as on, on.sidecar() as parts:
        await enforced(on, parts)
        sent(on, "google.example", failed=90, mode="enforce")
        await checked(on, parts, failing=True)
        await checked(on, parts, failing=True)
        assert mode_of(on) is Mode.TESTING
        assert parts.passes.ledger.memory.rollout(DOMAIN).stepped_back_at is not None


async def test_a_store_that_cannot_be_read_permits_no_step_up(tmp_path: Path) -> None:
    """And it does not step anything back."""
    async with stage(tmp_path, config=AUTO) as on, on.sidecar() as parts:
        await parts.passes.reconcile()
        folder = Path(on.env["MTA_STS_STATE_DIR"]) / NAME
        folder.mkdir()
        found = await settled(on, parts)
        assert isinstance(found.observed.reports, Unseen)
        assert NoticeCode.UNSEEN_REPORTS in {notice.code for notice in found.plan.notices}
        assert mode_of(on) is Mode.TESTING
        folder.rmdir()
        await settled(on, parts)
        assert mode_of(on) is Mode.ENFORCE
        folder.mkdir()
        await settled(on, parts)
        assert mode_of(on) is Mode.ENFORCE


async def test_a_report_starts_one_sender_check_at_once(tmp_path: Path) -> None:
    """Whoever sent it; a flood of reports starts only one check in a while."""
    async with stage(tmp_path, MTA_STS_VERIFY="1") as on, on.sidecar() as parts:
        observer = parts.passes.observer
        await parts.passes.reconcile()

        async def rushed(seconds: float) -> bool:
            on.clock.ahead += seconds
            observed, _ = await observer.observe(parts.passes.ledger.memory)
            return DOMAIN in observer.checks.rush_accused(observed)

        assert not await rushed(1)
        sent(on, None, failed=5, way=ReportWay.HTTPS)
        assert await rushed(1)
        for number in range(3):
            sent(on, f"liar{number}.example", failed=5)
            assert not await rushed(60)
        assert await rushed(CHECK_SPACING_S)
        assert not await rushed(CHECK_SPACING_S)


async def test_only_a_summary_of_a_domain_is_remembered(tmp_path: Path) -> None:
    """It is read again when something else is stored or served, and not in every pass."""
    async with stage(tmp_path) as on, on.sidecar() as parts:
        await parts.passes.reconcile()
        sent(on, "google.example")
        first = (await parts.passes.look())[0].reports
        again = (await parts.passes.look())[0].reports
        assert isinstance(first, Seen)
        assert isinstance(again, Seen)
        assert first.value[DOMAIN] is again.value[DOMAIN]
        sent(on, "google.example", ago=2)
        later = (await parts.passes.look())[0].reports
        assert isinstance(later, Seen)
        assert later.value[DOMAIN] is not first.value[DOMAIN]
        assert later.value.keys() == {DOMAIN}
