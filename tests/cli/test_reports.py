"""`sidecar reports`: what senders report, and reports out of files and into files."""

import gzip
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar.observed.reports import UNSIGNED, Dkim, Proof, ReportWay
from sidecar.reports.digest import digest
from sidecar.reports.store import ReportStore
from tests.formats.tls_report_corpus import attached, dates, detail, failing, message, packed, policy, report
from tests.running import command

pytestmark = pytest.mark.integration

YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d")
PROVEN = Proof(Dkim.PASS, "sender.example")


def of(number: int, *policies: object) -> bytes:
    """A report of yesterday."""
    day = dates(f"{YESTERDAY}T00:00:00Z", f"{YESTERDAY}T23:59:59Z")
    return packed(report(*policies, report_id=f"r{number}", date_range=day))


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A mailcow directory and a state folder."""
    mailcow = tmp_path / "mailcow"
    mailcow.mkdir()
    (mailcow / "mailcow.conf").write_text("MAILCOW_HOSTNAME=mail.example.org\n")
    return {
        "MTA_STS_MAILCOW_DIR": str(mailcow),
        "MTA_STS_STATE_DIR": str(tmp_path / "state"),
        "MTA_STS_RESOLVER": "127.0.0.1:9",
    }


def put(env: dict[str, str], data: bytes, proof: Proof = PROVEN) -> None:
    """A report that came in by mail."""
    store = ReportStore(Path(env["MTA_STS_STATE_DIR"]))
    store.add([(data, digest(data), proof)], ReportWay.SMTP, time.time() - 60)
    store.close()


async def test_without_reports_it_says_that_this_is_normal(env: dict[str, str]) -> None:
    """An empty answer would look like a failure."""
    ended = await command(env, "reports")
    assert ended.code == 0
    assert ended.out.startswith("No reports yet.")


async def test_a_failure_is_shown_with_what_it_means_and_what_to_do(env: dict[str, str]) -> None:
    """With sender, day and hosts; and the policy that the sender held."""
    put(env, of(1, failing(detail())))
    ended = await command(env, "reports", "Example.org")
    assert ended.code == 0
    assert "example.org: 9 sessions succeeded, 3 failed" in ended.out
    assert (
        f"certificate-expired: 3 failed, {YESTERDAY}, Sender Inc. (sender.example), mail.example.org"
        in ended.out
    )
    assert "The certificate of the mail host has expired. Mail is refused under enforce." in ended.out
    assert "sidecar check example.org" in ended.out
    assert f"Sender Inc., {YESTERDAY}: testing, max_age 604800, mail.example.org" in ended.out


async def test_all_domains_have_a_line_each(env: dict[str, str]) -> None:
    """Those with failures first."""
    other = policy(policy={"policy-type": "sts", "policy-domain": "a.example"})
    put(env, of(1, other))
    put(env, of(2, failing(detail())))
    lines = (await command(env, "reports")).out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["example.org", "a.example"]


async def test_json_has_all_of_it(env: dict[str, str]) -> None:
    """Including what could not be read."""
    put(env, of(1, failing(detail())))
    put(env, message(attached(b"damaged")))
    found = json.loads((await command(env, "reports", "--json")).out)
    (domain,) = found["domains"]
    assert (domain["domain"], domain["successful"], domain["failed"]) == ("example.org", 9, 3)
    assert domain["reports_clean"]["status"] == "false"
    assert (domain["failures"][0]["result"], domain["failures"][0]["refuses_mail"]) == (
        "certificate-expired",
        True,
    )
    assert domain["policies_held"][0]["mode"] == "testing"
    assert found["unreadable"][0]["way"] == "smtp"


async def test_what_could_not_be_read_is_named(env: dict[str, str]) -> None:
    """With the way to get it."""
    put(env, message(attached(b"damaged")), UNSIGNED)
    ended = await command(env, "reports")
    assert "parts of 1 messages could not be read" in ended.out
    assert "it is not JSON" in ended.out


async def test_files_are_imported_and_exported_unchanged(env: dict[str, str], tmp_path: Path) -> None:
    """The bad one is named, and makes the exit code 1."""
    folder = tmp_path / "in"
    folder.mkdir()
    mail = message(attached(of(3)))
    (folder / "a.json").write_bytes(of(1))
    (folder / "b.gz").write_bytes(gzip.compress(of(2)))
    (folder / "c.eml").write_bytes(mail)
    (folder / "d.json").write_bytes(b"{")
    ended = await command(env, "reports", "import", str(folder))
    assert ended.code == 1
    assert "4 files: 3 new reports, 0 already stored" in ended.out
    assert "d.json: it is not JSON" in ended.err
    out = tmp_path / "out"
    assert (await command(env, "reports", "export", str(out))).code == 0
    assert sorted(path.suffix for path in out.iterdir()) == [".eml", ".gz", ".json"]
    assert next(out.glob("*.eml")).read_bytes() == mail


@pytest.mark.parametrize("what", [["import"], ["a.example", "b.example"], ["a b"]])
async def test_what_is_not_understood_is_refused(env: dict[str, str], what: list[str]) -> None:
    """With what is accepted."""
    ended = await command(env, "reports", *what)
    assert ended.code == 1
    assert ended.err
