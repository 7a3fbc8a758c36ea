"""The status of each domain: rows from one observation and its plan."""

from dataclasses import replace
from typing import Any

from sidecar.formats.mtasts_policy import Mode
from sidecar.observed import Memory, PolicyMemory, Seen, Txt, Unseen, Write
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.plan import decide
from sidecar.plan.actions import AddPolicy, Plan, WriteFile
from sidecar.plan.ownership import Whose
from sidecar.plan.records import RecordState, mail_domains
from sidecar.settings import Settings
from sidecar.status.domains import CurrentStatus, status_of
from sidecar.status.row import Care, Row
from sidecar.status.wording import Light
from tests.worlds import DAY, FILE_MAILCOW, HOST, NOW, World, given_settings, observed, text

TEXT = text()
REPORT = given_settings({"tls_report": "tls@example.org"})
RUA = "v=TLSRPTv1; rua=mailto:tls@example.org"


def ours(name: str, written: str = TEXT) -> dict[str, PolicyMemory]:
    """A policy that the sidecar wrote, with its id."""
    return {name: PolicyMemory((Write(written, NOW - DAY, True),), id_text=written, id="7")}


def settled(name: str = "example.org", **more: Any) -> World:
    """A domain with everything set up except the DNS."""
    world = World(
        domains=(name,), served={name: TEXT}, names=frozenset({HOST, f"mta-sts.{name}"}),
        memory=Memory(policies=ours(name)),
    )  # fmt: skip
    return replace(world, **more)


def status(
    world: World,
    settings: Settings = REPORT,
    txt: dict[str, Txt] | None = None,
    plan: Plan | None = None,
    only: tuple[str, ...] | None = None,
) -> CurrentStatus:
    """The status of a world; the DNS has what the world has and the `txt` records, nothing else."""
    seen = observed(world)
    known = {
        f"{prefix}.{domain.name}": Seen(Txt(), NOW)
        for prefix in ("_mta-sts", "_smtp._tls")
        for domain in mail_domains(seen, settings)
    } | {name: Seen(answer, NOW) for name, answer in (txt or {}).items()}
    seen = replace(seen, dns=replace(seen.dns, txt=known))
    return status_of(seen, plan or decide(seen, settings), settings, mail_domains(seen, settings), only=only)


def published(name: str = "example.org") -> dict[str, Txt]:
    """Everything that a domain needs in the DNS."""
    return {f"_mta-sts.{name}": Txt(("v=STSv1; id=7",)), f"_smtp._tls.{name}": Txt((RUA,))}


def only_row(found: CurrentStatus) -> Row:
    """The one row."""
    (row,) = found.rows
    return row


def test_domain_with_everything_set_up_needs_no_attention() -> None:
    """Served, ours, in the certificate, in the DNS."""
    found = status(settled(), txt=published())
    row = only_row(found)
    assert row.whose is Whose.OURS
    assert row.policy is not None
    assert row.policy.mode is Mode.TESTING
    assert isinstance(row.certificate, Seen)
    assert row.certificate.value is not None
    assert row.published
    assert not row.attention
    assert (row.todo, row.held) == ((), ())
    assert found.counts == {
        "domains": 1, "managed": 1, "served": 1, "in_certificate": 1, "published": 1, "attention": 0,
    }  # fmt: skip


def test_record_that_waits_for_the_certificate_needs_nobody() -> None:
    """The sidecar is working on it; once the name is in the certificate, the record is a task."""
    txt = {"_smtp._tls.example.org": Txt((RUA,))}
    row = only_row(status(settled(names=frozenset({HOST})), txt=txt))
    assert row.records is not None
    assert row.records.id.early
    assert not row.attention
    assert only_row(status(settled(), txt=txt)).attention


def test_shared_records_are_right_on_the_native_generation_too() -> None:
    """Records from `records --shared` need no change."""
    policies = ours("example.org") | {"example.net": replace(ours("x")["x"], id="8")}
    world = settled(
        domains=("example.org", "example.net"), served=dict.fromkeys(("example.org", "example.net"), TEXT),
        names=frozenset({HOST, "mta-sts.example.org", "mta-sts.example.net"}), memory=Memory(policies=policies),
    )  # fmt: skip
    shared = {
        "_mta-sts.example.net": Txt(("v=STSv1; id=7",), "_mta-sts.example.org"),
        "_smtp._tls.example.net": Txt((RUA,), "_smtp._tls.example.org"),
    }
    found = status(world, txt=published() | shared)
    assert [row.published for row in found.rows] == [True, True]
    stale = shared | {"_mta-sts.example.net": Txt(("v=STSv1; id=7",))}
    assert [row.domain for row in status(world, txt=published() | stale).rows if row.attention] == [
        "example.net"
    ]


def test_persons_policy_needs_a_person() -> None:
    """It is held, and why."""
    row = only_row(status(settled(memory=Memory(), served={"example.org": text(Mode.ENFORCE, 604_800)})))
    assert row.whose is Whose.PERSONS
    assert row.attention
    assert [held.reason.partition(":")[0] for held in row.held] == ["a person's policy"]
    assert [notice.code for notice in row.notices] == ["policy.foreign"]


def test_what_the_next_pass_does_is_in_the_row() -> None:
    """For a domain that was just created."""
    row = only_row(status(World()))
    assert [type(action) for action in row.todo] == [AddPolicy]
    assert row.whose is Whose.NOBODYS


def test_held_restart_is_shown_at_each_name_it_is_for() -> None:
    """With its reason, and not at the other domains."""
    world = World(
        domains=("example.org", "example.net"), served=dict.fromkeys(("example.org", "example.net"), TEXT),
        memory=Memory(policies=ours("example.org") | ours("example.net")),
        without_address=frozenset({"mta-sts.example.net"}),
    )  # fmt: skip
    rows = {row.domain: row for row in status(world).rows}
    assert ["has no address" in held.reason for held in rows["example.net"].held] == [True]
    assert [notice.code for notice in rows["example.net"].notices] == ["name.not_ready"]
    assert not any("has no address" in held.reason for held in rows["example.org"].held)


def test_alias_domain_shows_the_policy_of_its_target() -> None:
    """It has no separate policy."""
    found = status(settled(aliases={"alias.example": "example.org"}), txt=published())
    alias = next(row for row in found.rows if row.domain == "alias.example")
    assert (alias.target, alias.whose, alias.care) == ("example.org", Whose.OURS, Care.MANAGED)
    assert alias.policy is not None
    assert isinstance(alias.certificate, Seen)
    assert alias.certificate.value is None


def test_why_a_domain_is_not_managed() -> None:
    """Each reason has its word, and none needs attention for it."""
    world = World(
        domains=("a.example", "b.example", "c.example"), inactive=frozenset({"a.example"}),
        backup=frozenset({"b.example"}), aliases={"d.example": "c.example"},
    )  # fmt: skip
    found = status(world, given_settings({"exclude": ["c.example"]}))
    assert {row.domain: row.care for row in found.rows} == {
        "a.example": Care.INACTIVE,
        "b.example": Care.BACKUP_MX,
        "c.example": Care.EXCLUDED,
        "d.example": Care.EXCLUDED,
    }
    assert not any(row.attention for row in found.rows)
    excluded = next(row for row in found.rows if row.domain == "c.example")
    assert (excluded.whose, excluded.records) == (None, None)


def test_retired_domain_needs_no_attention() -> None:
    """A person requested it; `records` shows what is left to publish."""
    world = settled()
    row = only_row(status(replace(world, memory=replace(world.memory, retired=frozenset({"example.org"})))))
    assert row.care is Care.RETIRED
    assert not row.attention


def test_file_is_the_policy_of_every_domain() -> None:
    """Actions on it are not about a single domain."""
    world = World(mailcow=FILE_MAILCOW, domains=("a.example", "b.example"))
    found = status(world)
    assert [row.policy for row in found.rows] == [None, None]
    assert [type(action) for action in found.todo][:1] == [WriteFile]
    written = replace(world, file=TEXT.encode(), memory=Memory(policies=ours("*")))
    assert [row.whose for row in status(written).rows] == [Whose.OURS, Whose.OURS]


def test_what_was_not_seen_is_not_missing() -> None:
    """Policy, certificate and DNS are unknown. They are read again automatically, so nobody has to do anything."""
    world = settled(unseen=frozenset({"served:example.org", "certificates"}))
    row = only_row(status(world, txt=published()))
    assert isinstance(row.served, Unseen)
    assert isinstance(row.certificate, Unseen)
    assert row.whose is None
    assert row.records is not None
    assert row.records.id.standing is RecordState.UNKNOWN
    assert (row.judgement.light, row.judgement.cause.code) == (Light.UNKNOWN, "not-seen")
    assert not row.attention
    assert status(world).counts["in_certificate"] == 0


def test_mailcow_that_was_not_seen_has_no_rows() -> None:
    """Only notices."""
    notice = Notice(Level.ERROR, NoticeCode.MAILCOW_API, "mailcow", "it does not answer")
    found = status(World(unseen=frozenset({"mailcow", "domains"})), plan=Plan(notices=(notice, notice)))
    assert found.rows == ()
    assert found.notices == (notice,)


def test_those_that_need_a_person_come_first() -> None:
    """Failures before what waits, then the rest in the order of their names."""
    names = ("a.example", "b.example", "c.example", "d.example")
    notices = (
        Notice(Level.WARNING, NoticeCode.VERIFY_TROUBLE, "mta-sts.b.example", "something"),
        Notice(Level.ERROR, NoticeCode.VERIFY_TROUBLE, "c.example", "something"),
    )
    world = World(domains=names, inactive=frozenset(names))
    assert [row.domain for row in status(world, plan=Plan(notices=notices)).rows] == [
        "c.example", "b.example", "a.example", "d.example",
    ]  # fmt: skip


def test_one_domain_alone_leaves_the_others_notices_out() -> None:
    """Notices that are not about a domain stay."""
    notices = tuple(
        Notice(Level.WARNING, NoticeCode.VERIFY_TROUBLE, s, f"about {s}")
        for s in ("a.example", "b.example", "mailcow")
    )
    world = World(domains=("a.example", "b.example"))
    found = status(world, plan=Plan(notices=notices), only=("b.example",))
    assert [row.domain for row in found.rows] == ["b.example"]
    assert [notice.subject for notice in found.notices] == ["mailcow"]
