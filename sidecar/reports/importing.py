"""Imports TLS reports from files: messages (.eml), reports (.json) and compressed reports (.json.gz), by any name.

Rule for every editor: a file that cannot be read is listed with the reason, and the others are imported. Strangers
wrote the content: the limits are the same as for received messages.
"""

import asyncio
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sidecar.formats.report_message import LARGEST_MESSAGE
from sidecar.host.plain_file import NotPlainError, read_plain
from sidecar.observed.reports import Proof, ReportWay
from sidecar.reports.digest import Digest, digest
from sidecar.reports.dkim_check import Ask
from sidecar.reports.intake import proof_of
from sidecar.reports.store import ReportStore

BATCH = 100
MOST_FILES = 100_000


@dataclass(frozen=True, slots=True)
class Imported:
    """The result: how many reports were new, how many already known (per domain), and what could not be read."""

    files: int
    new: int
    known: int
    problems: tuple[tuple[str, str], ...]
    """File name, and a sentence."""


def read_files(paths: Iterable[Path]) -> Iterator[tuple[str, bytes | str]]:
    """The path of each file (also in folders), with its octets or why it cannot be read. Links are not followed."""
    for number, path in enumerate(_files(paths)):
        if number >= MOST_FILES:
            yield str(path), f"only {MOST_FILES} files are imported at a time; import the rest separately"
            return
        try:
            yield str(path), read_plain(path, LARGEST_MESSAGE)
        except NotPlainError as error:
            yield str(path), str(error.strerror)
        except OSError as error:
            yield str(path), f"it cannot be read ({error.strerror})"


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for folder, folders, names in os.walk(path):
            folders.sort()
            for name in sorted(names):
                yield Path(folder) / name


async def import_reports(
    store: ReportStore, found: Iterable[tuple[str, bytes | str]], ask: Ask, now: float
) -> Imported:
    """Stores the reports in these files, `BATCH` in one transaction; `now` in Unix seconds. Raises TemporaryError."""
    files = new = known = 0
    problems: list[tuple[str, str]] = []
    batch: list[tuple[bytes, Digest, Proof]] = []

    async def flush() -> None:
        nonlocal new, known
        for one in await asyncio.to_thread(store.add, tuple(batch), ReportWay.IMPORT, now):
            new += one.new
            known += one.known
        batch.clear()

    for name, data in found:
        files += 1
        if isinstance(data, str):
            problems.append((name, data))
            continue
        read = digest(data)
        if read.problem:
            problems.append((name, read.problem))
        if not read.reports:
            continue  # no need to store it: the file stays where it is
        batch.append((data, read, await proof_of(data, ReportWay.IMPORT, ask)))
        if len(batch) >= BATCH:
            await flush()
    await flush()
    return Imported(files, new, known, tuple(problems))
