"""Reports out of files and folders: what can be read is taken, the rest is named."""

import gzip
from pathlib import Path

from sidecar.formats.report_message import LARGEST_MESSAGE
from sidecar.reports.importing import import_reports, read_files
from sidecar.reports.store import DAY_S, ReportStore
from tests.formats.tls_report_corpus import attached, message, packed, report
from tests.reports.signed import Keys, signed

NOW = 1_795_600_000.0


def folder_of(place: Path) -> Path:
    """Files of every kind, good and bad."""
    folder = place / "reports"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.json").write_bytes(packed(report(report_id="a")))
    (folder / "b.json.gz").write_bytes(gzip.compress(packed(report(report_id="b"))))
    (folder / "deep" / "c.eml").write_bytes(signed(message(attached(packed(report(report_id="c"))))))
    (folder / "deep" / "again").write_bytes(packed(report(report_id="a")))
    (folder / "notes.txt").write_text("nothing")
    (folder / "broken.json").write_bytes(b'{"report-id"')
    with (folder / "large").open("wb") as large:
        large.truncate(LARGEST_MESSAGE + 1)
    (folder / "link").symlink_to(folder / "a.json")
    return folder


async def test_a_folder_is_taken_and_the_bad_files_are_named(tmp_path: Path) -> None:
    """With the reason of each; the good ones count once."""
    store = ReportStore(tmp_path / "state")
    found = await import_reports(store, read_files([folder_of(tmp_path)]), Keys(), NOW)
    assert (found.files, found.new, found.known) == (8, 3, 1)
    named = {Path(name).name: problem for name, problem in found.problems}
    assert set(named) == {"notes.txt", "broken.json", "large", "link"}
    assert named["notes.txt"] == "no TLS report is in it"
    assert "symbolic link" in named["link"]
    assert {one.sender for one in store.reported("example.org", NOW - 30 * DAY_S)} == {"sender.example", None}


async def test_a_second_import_of_the_same_changes_nothing(tmp_path: Path) -> None:
    """All is known."""
    store = ReportStore(tmp_path / "state")
    folder = folder_of(tmp_path)
    await import_reports(store, read_files([folder]), Keys(), NOW)
    before = store.days(None, NOW - 30 * DAY_S)
    found = await import_reports(store, read_files([folder]), Keys(), NOW)
    assert (found.new, found.known) == (0, 4)
    assert store.days(None, NOW - 30 * DAY_S) == before
    assert len(store.kept()) == 3


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """It raises no exception."""
    found = await import_reports(ReportStore(tmp_path), read_files([tmp_path / "nothing"]), Keys(), NOW)
    assert found.new == 0
    assert "cannot be read" in found.problems[0][1]
