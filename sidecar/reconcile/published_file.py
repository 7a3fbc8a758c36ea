"""The copy of the ledger of published records in `data/conf/mta-sts/`: written when the ledger changed, read when the state
was lost.

Rule for every editor: the state comes first, then the copy, then the DNS. A copy that cannot be written is reported
and stops no write: the state has the ledger.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from sidecar.host.errors import SidecarError
from sidecar.host.files import replace_file
from sidecar.host.plain_file import read_plain
from sidecar.observed import Memory
from sidecar.observed.record_sets import RecordLedger
from sidecar.plan.publish import ledger_copy

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
