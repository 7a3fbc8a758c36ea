"""The store: nothing that was accepted is lost, a report counts once, forged ones displace nothing, size is bounded."""

import random
import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

from sidecar.formats.mtasts_policy import Mode
from sidecar.formats.report_message import LARGEST_MESSAGE
from sidecar.formats.tls_report_fields import LARGEST_COUNT
from sidecar.formats.tls_report_policy import HeldPolicy, PolicyKind
from sidecar.host.errors import TemporaryError
from sidecar.observed.reports import UNSIGNED, DaySum, Dkim, Failed, Proof, ReportWay
from sidecar.reports import rows, tables
from sidecar.reports import store as store_module
from sidecar.reports.digest import digest
from sidecar.reports.rows import SettledReport
from sidecar.reports.store import DAY_S, NAME, ReportStore
from tests.formats.tls_report_corpus import (
    about,
    attached,
    dates,
    detail,
    failing,
    message,
    packed,
    policy,
    report,
)

NOW = 1_795_600_000.0  # 2026-11-25
SINCE = NOW - 30 * DAY_S
PROVEN = Proof(Dkim.PASS, "sender.example")
EVIL = Proof(Dkim.PASS, "evil.example")


def put(
    store: ReportStore, data: bytes, proof: Proof = UNSIGNED, way: ReportWay = ReportWay.SMTP, at: float = NOW
) -> tuple[int, SettledReport]:
    """A message that came in and was read: its number, and what became of it."""
    number = store.accept(data, way, at)
    assert number is not None
    (settled,) = store.settle([(number, digest(data), proof)])
    return number, settled


def numbered(number: int, *policies: object, day: int = 20) -> bytes:
    """A report of its own number, of a day of this month."""
    return packed(
        report(
            *policies,
            report_id=f"r{number}",
            date_range=dates(f"2026-11-{day:02}T00:00:00Z", f"2026-11-{day:02}T23:59:59Z"),
        )
    )


def test_what_was_accepted_waits_until_it_is_settled(tmp_path: Path) -> None:
    """Also for another process after an end at this moment, and octet by octet."""
    data = message(attached(packed(report())))
    first = ReportStore(tmp_path)
    number = first.accept(data, ReportWay.SMTP, NOW)
    again = ReportStore(tmp_path)  # the first was never closed
    (waiting,) = again.waiting(NOW)
    assert (waiting.id, waiting.data, waiting.way, waiting.received_at) == (number, data, ReportWay.SMTP, NOW)
    assert again.settle([(waiting.id, digest(waiting.data), PROVEN)]) == (
        SettledReport(1, 0, ("example.org",)),
    )
    assert again.waiting(NOW) == ()
    assert again.raw(waiting.id) == data
    assert again.settle([(waiting.id, digest(waiting.data), PROVEN)]) == ()


def test_too_many_that_wait_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their senders keep them; those that wait are kept."""
    monkeypatch.setattr(store_module, "MOST_WAITING", 3)
    store = ReportStore(tmp_path)
    taken = [store.accept(numbered(n), ReportWay.SMTP, NOW) for n in range(5)]
    assert [number is not None for number in taken] == [True, True, True, False, False]
    assert len(store.waiting(NOW)) == 3


def test_the_same_report_counts_once(tmp_path: Path) -> None:
    """Organisation, report id and domain make it the same; its second message is not kept."""
    store = ReportStore(tmp_path)
    assert put(store, numbered(1), PROVEN)[1] == SettledReport(1, 0, ("example.org",))
    number, settled = put(store, message(attached(numbered(1))), PROVEN)
    assert settled == SettledReport(0, 1, ())
    assert store.raw(number) is None
    assert store.days("example.org", SINCE) == (DaySum("2026-11-20", 12, 0),)
    other = packed(report(report_id="r1", organization_name="Other"))
    assert put(store, other, PROVEN)[1].new == 1  # ids repeat between senders


def test_two_domains_of_one_report_are_two(tmp_path: Path) -> None:
    """Each with its own policies."""
    store = ReportStore(tmp_path)
    put(store, numbered(1, policy(), policy(policy=about(policy_domain="example.net"))))
    assert store.domains() == ("example.net", "example.org")
    assert store.days(None, SINCE) == (DaySum("2026-11-20", 24, 0),)


def test_a_forged_report_does_not_take_the_place_of_the_true_one(tmp_path: Path) -> None:
    """Report ids can be guessed: one with proof replaces one without, and stands beside one of another sender."""
    store = ReportStore(tmp_path)
    forged = numbered(1, failing(detail(), ok=0, failed=900))
    assert put(store, forged)[1].new == 1
    assert put(store, forged, EVIL)[1].new == 1
    assert put(store, numbered(1), PROVEN)[1].new == 1
    assert put(store, forged)[1].new == 0
    found = {one.sender: (one.ok, one.failed) for one in store.reported("example.org", SINCE)}
    assert found == {"sender.example": (12, 0), "evil.example": (0, 900)}


def test_https_proves_nothing(tmp_path: Path) -> None:
    """Even if a proof were handed in."""
    store = ReportStore(tmp_path)
    put(store, numbered(1), PROVEN, ReportWay.HTTPS)
    assert [one.sender for one in store.reported("example.org", SINCE)] == [None]


def test_what_was_reported_is_added_up_by_day_and_sender(tmp_path: Path) -> None:
    """With the kinds of failure, the policy that was held, and the first time it was received."""
    store = ReportStore(tmp_path)
    bad = failing(detail(), detail("validation-failure", 2), ok=5, failed=5)
    put(store, numbered(1, bad), PROVEN, at=NOW)
    put(store, numbered(2, bad), PROVEN, at=NOW - 60)
    (found,) = store.reported("example.org", SINCE)
    assert (found.day, found.organisation, found.sender) == ("2026-11-20", "Sender Inc.", "sender.example")
    assert (found.kind, found.ok, found.failed, found.received_at) == (PolicyKind.STS, 10, 10, NOW - 60)
    assert set(found.failures) == {Failed("certificate-expired", 6), Failed("validation-failure", 4)}
    assert found.held == HeldPolicy(Mode.TESTING, 604_800, ("mail.example.org",))


def test_the_last_policy_of_each_organisation_is_its_holding(tmp_path: Path) -> None:
    """By the day that it is about."""
    store = ReportStore(tmp_path)
    old = policy(policy=about(policy_string=["mode: testing", "mx: old.example.org", "max_age: 86400"]))
    put(store, numbered(2, policy(), day=21), PROVEN)
    put(store, numbered(1, old, day=20), PROVEN)
    (holding,) = store.holdings("example.org", SINCE)
    assert (holding.day, holding.held.mx) == ("2026-11-21", ("mail.example.org",))


def test_failures_are_listed_with_hosts_and_days(tmp_path: Path) -> None:
    """Equal ones of several days are one row."""
    store = ReportStore(tmp_path)
    for day in (18, 19, 20):
        put(store, numbered(day, failing(detail(failure_reason_code="expired")), day=day), PROVEN)
    (found,) = store.failures("example.org", SINCE)
    assert (found.result, found.sessions, found.first_day, found.last_day) == (
        "certificate-expired",
        9,
        "2026-11-18",
        "2026-11-20",
    )
    assert (found.organisation, found.mx, found.sending_ip, found.reason) == (
        "Sender Inc.",
        "mail.example.org",
        "192.0.2.7",
        "expired",
    )


def test_what_cannot_be_read_is_kept_with_its_reason(tmp_path: Path) -> None:
    """And can be fetched as it came."""
    store = ReportStore(tmp_path)
    data = message(attached(b"damaged"))
    number, settled = put(store, data)
    assert settled.new == 0
    (found,) = store.unreadable()
    assert (found.id, found.way, found.size) == (number, ReportWay.SMTP, len(data))
    assert found.problem.startswith("it is not JSON")
    assert store.raw(number) == data


def test_an_invalid_policy_is_reported_and_the_valid_one_counts(tmp_path: Path) -> None:
    """Of the same report."""
    store = ReportStore(tmp_path)
    put(store, numbered(1, policy(summary={"total-successful-session-count": -1}), policy()))
    assert len(store.unreadable()) == 1
    assert store.days("example.org", SINCE) == (DaySum("2026-11-20", 12, 0),)


def test_large_messages_are_read_a_few_at_a_time(tmp_path: Path) -> None:
    """Twenty of the largest would need hundreds of MB at once."""
    store = ReportStore(tmp_path)
    for _ in range(8):
        assert store.accept(bytes(LARGEST_MESSAGE), ReportWay.SMTP, NOW) is not None
    assert sum(len(one.data) for one in store.waiting(NOW)) < 2 * LARGEST_MESSAGE


def test_large_messages_that_wait_are_bounded_in_octets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their senders keep the others; one message always has room."""
    monkeypatch.setattr(store_module, "LARGEST_WAITING", 1_000)
    store = ReportStore(tmp_path)
    assert store.accept(bytes(2_000), ReportWay.SMTP, NOW) is not None
    assert store.accept(b"{}", ReportWay.SMTP, NOW) is None


def test_what_is_put_off_leaves_room_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger whose keys never come must not close the door for everybody."""
    monkeypatch.setattr(store_module, "MOST_WAITING", 8)
    store = ReportStore(tmp_path)
    numbers = [store.accept(numbered(n), ReportWay.SMTP, NOW) for n in range(8)]
    put_off = [store.put_off(number or 0, NOW + 600) for number in numbers]
    assert put_off == [True] * 2 + [False] * 6
    assert len(store.waiting(NOW)) == 6
    assert store.put_off(numbers[0] or 0, NOW + 1_200)


def test_a_message_that_was_put_off_while_the_clock_was_ahead_is_read_now(tmp_path: Path) -> None:
    """Else it would wait for years."""
    store = ReportStore(tmp_path)
    number = store.accept(numbered(1), ReportWay.SMTP, NOW)
    store.put_off(number or 0, NOW + 400 * DAY_S)
    assert [one.id for one in store.waiting(NOW)] == [number]


def test_what_waits_to_be_read_is_never_dropped(tmp_path: Path) -> None:
    """Neither for its age nor for its size: its sender got a confirmation."""
    store = ReportStore(tmp_path, file=1)
    old = store.accept(numbered(1), ReportWay.SMTP, NOW - 400 * DAY_S)
    put(store, numbered(2))
    assert store.tidy(NOW, 90) == 1
    assert [one.id for one in store.waiting(NOW)] == [old]


def test_no_sum_of_reports_is_too_large_for_the_store(tmp_path: Path) -> None:
    """SQLite calls that an error, and a stranger could have the whole store taken for broken."""
    store = ReportStore(tmp_path)
    most = [detail(sessions=LARGEST_COUNT)] * 1_000
    put(store, numbered(1, failing(*most, summary=...)))
    assert store.days(None, SINCE) == (DaySum("2026-11-20", 0, LARGEST_COUNT),)
    assert [one.sessions for one in store.failures(None, SINCE)] == [LARGEST_COUNT]
    smallest_row = 50
    assert LARGEST_COUNT * (store_module.LARGEST_FILE // smallest_row) < 2**63


def test_old_messages_are_deleted(tmp_path: Path) -> None:
    """With all that was read from it."""
    store = ReportStore(tmp_path)
    put(store, numbered(1), at=NOW - 91 * DAY_S)
    put(store, numbered(2), at=NOW - 89 * DAY_S)
    assert store.tidy(NOW, 90) == 1
    assert store.days(None, SINCE) == (DaySum("2026-11-20", 12, 0),)
    assert len(store.kept()) == 1


def noisy(number: int, size: int = 20_000) -> bytes:
    """A message that cannot be packed well."""
    return message(attached(numbered(number)), attached(random.Random(number).randbytes(size), name="x.bin"))


def test_the_oldest_texts_go_first_and_their_figures_stay(tmp_path: Path) -> None:
    """What waits keeps its text: it was promised to be read."""
    store = ReportStore(tmp_path, texts=100_000)
    numbers = [put(store, noisy(n), at=NOW + n)[0] for n in range(10)]
    waits = store.accept(noisy(99), ReportWay.SMTP, NOW - DAY_S)
    store.tidy(NOW + 60, 90)
    kept = [number for number, _ in store.kept()]
    assert waits in kept
    assert numbers[-1] in kept
    assert numbers[0] not in kept
    assert store.days(None, SINCE)[0].ok == 120


def test_the_file_stays_below_its_bound(tmp_path: Path) -> None:
    """Then the oldest messages go with their figures, and the newest stay."""
    store = ReportStore(tmp_path, texts=10**9, file=1_500_000)
    for n in range(0, 300, 50):
        data = [noisy(m, 8_000) for m in range(n, n + 50)]
        store.add([(one, digest(one), UNSIGNED) for one in data], ReportWay.IMPORT, NOW + n)
    store.tidy(NOW + 600, 90)
    kept = store.kept(limit=1_000)
    assert 0 < len(kept) < 300
    assert max(at for _, at in kept) == NOW + 250
    assert min(at for _, at in kept) > NOW


def test_a_flood_without_proof_does_not_displace_what_is_proven(tmp_path: Path) -> None:
    """Beyond the bound it goes first, although it is newer."""
    store = ReportStore(tmp_path, texts=10**9, file=1_500_000)
    put(store, numbered(1), PROVEN, at=NOW - DAY_S)
    for n in range(0, 300, 50):
        data = [noisy(m, 8_000) for m in range(n + 10, n + 60)]
        store.add([(one, digest(one), UNSIGNED) for one in data], ReportWay.SMTP, NOW + n)
    store.tidy(NOW + 600, 90)
    assert "sender.example" in {one.sender for one in store.reported("example.org", SINCE)}


def test_a_liar_with_a_domain_of_his_own_does_not_hide_what_others_report(tmp_path: Path) -> None:
    """However many names below it he signs with, and whatever he calls himself."""
    store = ReportStore(tmp_path)
    put(store, numbered(1, failing(detail()), day=18), PROVEN)
    monkey = [
        (data, digest(data), Proof(Dkim.PASS, f"n{n}.evil.example"))
        for n in range(300)
        for data in (packed(report(organization_name=f"o{n}", report_id=f"e{n}")),)
    ]
    store.add(monkey, ReportWay.SMTP, NOW)
    found = store.reported("example.org", SINCE)
    assert len(found) == tables.MOST_OF_OWNER + 1
    assert [one.failures for one in found if one.sender == "sender.example"] == [
        (Failed("certificate-expired", 3),)
    ]


def test_rows_of_one_message_are_limited(tmp_path: Path) -> None:
    """A report with thousands of different failures."""
    store = ReportStore(tmp_path)
    many = [failing(*[detail(sending_mta_ip=f"192.0.{p}.{n}") for n in range(100)]) for p in range(30)]
    put(store, numbered(1, *many))
    assert len(store.failures("example.org", SINCE, 5_000)) == rows.MOST_FAILURES_OF_MESSAGE


def test_a_broken_file_is_moved_aside(tmp_path: Path) -> None:
    """The call fails, the next one begins a new file."""
    (tmp_path / NAME).write_bytes(b"no database" * 500)
    store = ReportStore(tmp_path)
    with pytest.raises(TemporaryError, match=r"reports\.sqlite\.broken"):
        store.accept(b"{}", ReportWay.SMTP, NOW)
    assert store.accept(b"{}", ReportWay.SMTP, NOW) is not None
    assert (tmp_path / f"{NAME}.broken").read_bytes().startswith(b"no database")


def test_the_file_is_readable_for_its_owner_only(tmp_path: Path) -> None:
    """Its side files too."""
    store = ReportStore(tmp_path)
    store.accept(b"{}", ReportWay.SMTP, NOW)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_message_is_on_the_disk_when_it_is_accepted(tmp_path: Path) -> None:
    """The write-ahead log is synchronised at each commit."""
    store = ReportStore(tmp_path)
    store.accept(b"{}", ReportWay.SMTP, NOW)
    assert store._connection is not None
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    with closing(sqlite3.connect(tmp_path / NAME)) as file:
        assert file.execute("SELECT COUNT(*) FROM texts").fetchone() == (1,)


def test_a_page_over_ten_thousand_reports_reads_few_rows(tmp_path: Path) -> None:
    """Sums come from indexes: what is returned does not grow, nor does the memory of the program."""
    store = ReportStore(tmp_path)
    found = [
        (data, digest(data), PROVEN)
        for n in range(500)
        for data in (numbered(n, failing(detail(sending_mta_ip=f"192.0.2.{n % 50}")), day=1 + n % 20),)
    ]
    store.add(found, ReportWay.IMPORT, NOW)
    del found
    tracemalloc.start()
    try:
        assert len(store.days("example.org", SINCE)) == 20
        assert len(store.failures("example.org", SINCE)) == 50
        assert len(store.reported("example.org", SINCE)) == 20
        assert len(store.holdings("example.org", SINCE)) == 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * 1024 * 1024
    plan = " ".join(
        row[-1]
        for row in store._connection.execute(  # type: ignore[union-attr]
            "EXPLAIN QUERY PLAN SELECT day, SUM(ok), SUM(failed) FROM policies WHERE day >= ? AND domain = ? GROUP BY day",
            ("2026-01-01", "example.org"),
        )
    )
    assert "COVERING INDEX policies_by_day" in plan
