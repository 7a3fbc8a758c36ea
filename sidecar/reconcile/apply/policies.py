"""The policies of the native generation: written several at a time, and each one read back.

Rule for every editor: the intent is stored before the write, and a write whose outcome is not known stays unknown.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from sidecar.formats.mtasts_policy import policy_of
from sidecar.host.errors import PermanentError, TemporaryError
from sidecar.mailcow.api import Exists, NoSuchRow, WriteUnconfirmed, check_policy
from sidecar.mailcow.session import Session
from sidecar.observed import Observed, Seen, Unseen
from sidecar.observed.words import command
from sidecar.plan.actions import AddPolicy, AdoptSame, EditPolicy, SwitchOff
from sidecar.plan.native import text_of
from sidecar.reconcile.apply.handler import Handler, Outcome, Shared
from sidecar.state.ledger import intended

PolicyAction: TypeAlias = AddPolicy | EditPolicy | SwitchOff

CONCURRENT_WRITES = 4
MOST_WRITES_S = 60.0
"""How long one pass writes policies; the next pass observes again and writes the rest."""
STORED_EVERY = 25
"""Outcomes of policy writes are stored in groups of this size; an outcome that was not stored counts as unknown."""


class PolicyHandler(Handler):
    """Writes the rows of policies through mailcow's API."""

    def __init__(self, shared: Shared, session: Session) -> None:
        """`session` is the connection to mailcow."""
        super().__init__(shared)
        self._session = session
        self._unstored = 0

    async def write(self, actions: Sequence[PolicyAction], observed: Observed) -> list[Outcome]:
        """Writes as many as one pass may; an action that was not tried has no outcome."""
        if not actions:
            return []
        texts = {action.domain: text_of(action) for action in actions}
        now = self._clock.now()
        self._ledger.policies(texts, lambda key, memory: intended(memory, texts[key], now))
        await self._ledger.store()
        places = asyncio.Semaphore(CONCURRENT_WRITES)
        clock = asyncio.get_running_loop().time
        end = clock() + MOST_WRITES_S
        denied = False

        async def one(action: PolicyAction) -> Outcome | None:
            nonlocal denied
            async with places:
                if denied or clock() >= end:
                    self._forget_intent(action)
                    return None
                outcome = await self._attempt(action, self._write_policy(action, observed))
                if outcome.denied:
                    denied = True
                return outcome

        found = await asyncio.gather(*(one(action) for action in actions))
        outcomes = [outcome for outcome in found if outcome is not None]
        self._session.wrote()
        await self._ledger.store()
        return outcomes

    async def adopt(self, action: AdoptSame) -> None:
        """Adopts a policy that already has the right text: nothing is written to mailcow. Raises SidecarError."""
        self._settle(action.key, action.text, done=True)
        self._ledger.fulfilled(action.key)
        await self._ledger.store()

    async def _write_policy(self, action: PolicyAction, observed: Observed) -> None:
        domain, text = action.domain, text_of(action)
        try:
            await self._send(action, observed)
        except (PermanentError, _PolicyChangedMeanwhileError):
            # mailcow refused it, or it was not sent: nothing was written.
            self._forget_intent(action)
            raise
        except WriteUnconfirmed as unconfirmed:
            # The database may have it all the same: what is served shows it.
            try:
                await self._read_back(domain, text)
            except TemporaryError as error:
                raise TemporaryError(f"{error}; {unconfirmed}") from unconfirmed
        else:
            await self._read_back(domain, text)
        self._settle(domain, text, done=True)
        self._ledger.fulfilled(domain)
        self._witness.check_first([domain])
        self._unstored += 1
        if self._unstored >= STORED_EVERY:
            self._unstored = 0
            await self._ledger.store()

    def _forget_intent(self, action: PolicyAction) -> None:
        self._settle(action.domain, text_of(action), done=False)

    async def _send(self, action: PolicyAction, observed: Observed) -> None:
        if not isinstance(action, SwitchOff) and isinstance(observed.mailcow, Seen):
            trouble = check_policy(action.policy, observed.mailcow.value)
            if trouble:
                raise PermanentError(f"the policy for {action.domain} was not sent: {trouble}")
        if not isinstance(action, AddPolicy):
            # What is served was read some minutes ago; the change of a person since then is not overwritten.
            before = observed.served_of(action.domain)
            now = await self._session.served(action.domain, self._clock.now())
            not_sent = f"the policy of {action.domain} was not sent"
            if isinstance(now, Unseen):
                raise _PolicyChangedMeanwhileError(f"{not_sent}: {now.reason}")
            self._witness.saw_served(action.domain, now)
            if isinstance(before, Seen) and before.value != now.value:
                raise _PolicyChangedMeanwhileError(
                    f"{not_sent}: somebody changed it meanwhile; the next pass looks again"
                )
        self._witness.forget_served([action.domain])
        api = self._session.api
        if api is None:
            raise TemporaryError("mailcow's API cannot be asked")
        match action:
            case AddPolicy(domain, policy):
                if isinstance(await api.add_policy(domain, policy), Exists):
                    # Nothing is served, but there is a row: somebody switched it off, and the sidecar leaves it so.
                    text = "a policy that is switched off in mailcow's page"
                    self._ledger.policy(domain, lambda memory: replace(memory, refused=text))
                    adopt = command(f"adopt {domain}")
                    raise PermanentError(
                        f"{domain} has {text}; it stays so. To let the sidecar manage it: {adopt}"
                    )
            case EditPolicy(domain, policy):
                if isinstance(await api.edit_policy(domain, policy), NoSuchRow):
                    # The domain was deleted and created again since it was switched off: its row was deleted with it.
                    await api.add_policy(domain, policy)
            case SwitchOff(domain):
                await api.switch_off(domain)

    async def _read_back(self, domain: str, text: str | None) -> None:
        seen = await self._session.served(domain, self._clock.now())
        if not isinstance(seen, Seen):
            raise TemporaryError(f"the policy of {domain} was sent, but cannot be read back: {seen.reason}")
        self._witness.saw_served(domain, seen)
        if seen.value.text != text and policy_of(seen.value.text) != policy_of(text):
            served = "nothing" if seen.value.text is None else seen.value.text.replace("\n", "; ")
            raise TemporaryError(f"the policy of {domain} was sent, but mailcow serves: {served}")


class _PolicyChangedMeanwhileError(TemporaryError):
    """Nothing was sent, because the policy is no longer what it was when the change was planned."""
