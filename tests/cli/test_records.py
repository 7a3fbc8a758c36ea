"""`sidecar records` on a whole mailcow: what it prints is a zone file."""

from pathlib import Path

import dns.rdatatype
import dns.zone
import pytest

from demo.simulated import API, Fault
from sidecar.plan.policy_ids import derived
from tests.running import command
from tests.stage import HOST, Stage, stage

pytestmark = pytest.mark.integration

REPORT = "tls_report: tls@example.org\n"


def parsed(zone: str) -> dict[tuple[str, str], str]:
    """Value by owner and type, as dnspython reads it."""
    read = dns.zone.from_text(zone, origin=".", relativize=False, check_origin=False)
    return {
        (name.to_text(), dns.rdatatype.to_text(rdata.rdtype)): rdata.to_text()
        for name, _, rdata in read.iterate_rdatas()
    }


def publishes(on: Stage, zone: str) -> None:
    """Puts the records of a zone file into the DNS."""
    for (owner, kind), value in parsed(zone).items():
        on.dns[owner, kind] = [value]


async def test_native_records_have_mailcows_ids(tmp_path: Path) -> None:
    """One for each domain; a domain without a served policy gets a comment."""
    async with stage(tmp_path, config=REPORT) as on:
        on.mailcow.add_domain("example.net")
        before = await command(on.env, "records", "example.net")
        await on.once()
        on.certify(HOST, "mta-sts.example.org", "mta-sts.example.net")
        after = await command(on.env, "records")
        ids = {name: row.id for name, row in on.mailcow.policies.items()}
    assert (before.code, after.code) == (0, 0)
    assert "; _mta-sts.example.net. due once the policy is served" in before.out
    assert set(parsed(before.out)) == {("mta-sts.example.net.", "CNAME"), ("_smtp._tls.example.net.", "TXT")}
    for name in ("example.org", "example.net"):
        assert parsed(after.out)[f"_mta-sts.{name}.", "TXT"] == f'"v=STSv1;id={ids[name]};"'


async def test_id_is_requested_from_mailcow_once_for_each_policy(tmp_path: Path) -> None:
    """The page with the id is slow, and makes mailcow query external servers."""
    async with stage(tmp_path) as on:
        await on.once()
        for _ in range(2):
            assert (await command(on.env, "records")).code == 0
        pages = [r for r in on.mailcow.requests if r.path.startswith("/inc/ajax/")]
        assert len(pages) == 1
        on.mailcow.person_sets_policy("example.org", mode="enforce", mx=[HOST], max_age=86_400)
        ended = await command(on.env, "records")
        assert on.mailcow.policies["example.org"].id in ended.out


async def test_file_generation_shares_and_derives(tmp_path: Path) -> None:
    """Domains and alias domains point to the host's domain; its id is that of the file."""
    async with stage(tmp_path, version="2025-07", config=REPORT) as on:
        on.mailcow.add_domain("bücher.example")
        on.mailcow.add_alias("alias.example", "example.org")
        on.certify(
            HOST, *(f"mta-sts.{name}" for name in ("example.org", "alias.example", "xn--bcher-kva.example"))
        )
        await on.once()
        ended = await command(on.env, "records")
        data = on.policy_file.read_bytes()
    found = parsed(ended.out)
    assert found["_mta-sts.example.org.", "TXT"] == f'"v=STSv1;id={derived(data)};"'
    assert found["_mta-sts.xn--bcher-kva.example.", "CNAME"] == "_mta-sts.example.org."
    assert found["_smtp._tls.alias.example.", "CNAME"] == "_smtp._tls.example.org."
    assert found["mta-sts.alias.example.", "CNAME"] == f"{HOST}."
    assert ended.out.index("_mta-sts.example.org. ") < ended.out.index("alias.example")


@pytest.mark.parametrize(
    ("version", "arguments"), [("2025-07", []), ("2026-07a", []), ("2026-07a", ["--shared"])]
)
async def test_once_published_nothing_is_missing(tmp_path: Path, version: str, arguments: list[str]) -> None:
    """After everything that `records` prints was published, `records --missing` prints nothing."""
    async with stage(tmp_path, version=version, config=REPORT) as on:
        on.mailcow.add_domain("example.net")
        on.certify(HOST, "mta-sts.example.org", "mta-sts.example.net")
        await on.once()
        first = await command(on.env, "records", "--missing", *arguments)
        publishes(on, first.out)
        second = await command(on.env, "records", "--missing", *arguments)
        whole = await command(on.env, "records", *arguments)
    assert len(parsed(first.out)) == 6
    assert second.out.endswith("; nothing is missing\n") or second.out.endswith("; nothing is missing")
    assert parsed(second.out) == {}
    assert parsed(whole.out) == parsed(first.out)
    assert " 120 IN " in first.out
    assert " 120 IN " not in whole.out


async def test_id_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    """The other records are shown anyway, and no id is invented."""
    async with stage(tmp_path) as on:
        await on.once()
        on.mailcow.fail("dns_diagnostics", Fault.HTML_500)
        ended = await command(on.env, "records")
    assert ended.code == 0
    assert "; _mta-sts.example.org. the policy id is not known (" in ended.out
    assert set(parsed(ended.out)) == {("mta-sts.example.org.", "CNAME")}


async def test_domain_without_mail_here_is_reported_to_need_no_records(tmp_path: Path) -> None:
    """An empty answer would look like a failure."""
    async with stage(tmp_path) as on:
        on.mailcow.add_domain("off.example", active=False)
        ended = await command(on.env, "records", "off.example")
    assert ended.code == 0
    assert "; off.example: no records: it takes no mail here" in ended.out


async def test_mailcow_that_cannot_be_read_ends_it_with_three(tmp_path: Path) -> None:
    """Nothing on standard output: it may be read by a program."""
    async with stage(tmp_path) as on:
        on.mailcow.fail(API, Fault.HTML_500)
        ended = await command(on.env, "records")
    assert (ended.code, ended.out) == (3, "")
    assert "mailcow could not be read" in ended.err


async def test_record_that_must_wait_is_commented_out(tmp_path: Path) -> None:
    """Until the name is in the certificate senders could not read the policy."""
    async with stage(tmp_path) as on:
        await on.once()
        ended = await command(on.env, "records", "--missing")
        id_ = on.mailcow.policies["example.org"].id
    assert f'; _mta-sts.example.org. 120 IN TXT "v=STSv1;id={id_};"' in ended.out.splitlines()
    assert set(parsed(ended.out)) == {("mta-sts.example.org.", "CNAME")}


@pytest.mark.parametrize("arguments", [[], ["--missing"]])
async def test_missing_setting_is_named_once(tmp_path: Path, arguments: list[str]) -> None:
    """And not for each of many domains."""
    async with stage(tmp_path) as on:
        for number in range(5):
            on.mailcow.add_domain(f"d{number}.example")
        await on.once()
        ended = await command(on.env, "records", *arguments)
    assert ended.out.count("tls_report") == 1
    assert ended.out.startswith(
        "; no TLSRPT records: the sidecar first adds an address for reports to mailcow"
    )
