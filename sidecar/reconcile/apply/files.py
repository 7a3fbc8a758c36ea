"""The files in the mailcow directory: the policy file of the file generation, and mailcow.conf.

Rule for every editor: the intent is stored before the write.
"""

import asyncio
from dataclasses import replace

from sidecar.host.errors import PermanentError, SidecarError, TemporaryError
from sidecar.mailcow import conf as conf_file
from sidecar.mailcow import policy_file
from sidecar.observed import FILE, ConfEvent, Observed, Seen, Unseen
from sidecar.plan.actions import EditConf, WriteFile
from sidecar.reconcile.apply.handler import Handler, Outcome
from sidecar.state.ledger import entries, intended


class FileHandler(Handler):
    """Writes and removes the files."""

    async def edit_conf(self, action: EditConf) -> list[Outcome]:
        """One write for all keys; a key that cannot be edited has its own outcome, and does not stop the others."""
        now = self._clock.now()
        for key, edit in action.edits.items():
            self._ledger.conf(entries(key, edit.add, ConfEvent.INTENDED, now))
        try:
            await self._ledger.store()
            edited = await asyncio.to_thread(
                conf_file.edit, self._settings.mailcow_dir, action.edits, self._settings.state_dir
            )
            refused = edited.refused
            for key, edit in action.edits.items():
                if key in refused:
                    # Nothing was written: if somebody else adds the entry later, it does not belong to the sidecar.
                    self._ledger.conf(entries(key, edit.add, ConfEvent.REMOVED, now))
                else:
                    self._ledger.conf(entries(key, edit.add, ConfEvent.ADDED, now))
                    self._ledger.conf(entries(key, edit.remove, ConfEvent.REMOVED, now))
            await self._ledger.store()
        except SidecarError as error:
            return [self._outcome(action, error)]
        done = action.only(action.edits.keys() - refused.keys())
        outcomes = [self._outcome(done)] if done.edits else []
        return outcomes + [self._outcome(action.only({key}), PermanentError(refused[key])) for key in refused]

    async def write(self, action: WriteFile, observed: Observed) -> None:
        """Writes the policy file; raises SidecarError."""
        await self._check_unchanged(observed)
        now = self._clock.now()
        self._ledger.policy(FILE, lambda memory: intended(memory, action.text, now))
        if action.floor is not None:
            self._ledger.policy(FILE, lambda memory: replace(memory, floor=action.floor))
        await self._ledger.store()
        backup = self._settings.state_dir if action.backup else None
        data = action.text.encode("utf-8", "surrogateescape")
        await asyncio.to_thread(policy_file.write, self._settings.mailcow_dir, data, backup)
        self._settle(FILE, action.text, done=True)
        self._ledger.fulfilled(FILE)
        await self._ledger.store()

    async def remove(self, observed: Observed) -> None:
        """Removes the policy file; raises SidecarError."""
        await self._check_unchanged(observed)
        now = self._clock.now()
        self._ledger.policy(FILE, lambda memory: intended(memory, None, now))
        await self._ledger.store()
        await asyncio.to_thread(policy_file.remove, self._settings.mailcow_dir, self._settings.state_dir)
        self._settle(FILE, None, done=True)
        await self._ledger.store()

    async def _check_unchanged(self, observed: Observed) -> None:
        """A pass may take long; a file that a person wrote in the middle of it is not overwritten."""
        now = await asyncio.to_thread(policy_file.observe, self._settings.mailcow_dir, self._clock.now())
        match observed.file, now:
            case Seen(before), Seen(after) if before.data == after.data:
                pass
            case _, Unseen(reason):
                raise TemporaryError(f"the policy file was not changed: {reason}")
            case _:
                raise TemporaryError(
                    "the policy file was not changed: somebody changed it meanwhile; the next pass looks again"
                )
