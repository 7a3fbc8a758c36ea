"""What holds writes: too large a share of the published sets at once, an account's rate, and its failures; pure.

Each lets a write through or holds it with a reason, a remedy and a time to ask again. A large plan is held as a whole:
the whole plan is doubtful then, not a part of it. Writes of one name are never separated: if a CNAME is removed while
the address that replaces it waits, nothing is left there.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sidecar.dns.publish.port import Remove, Replace
from sidecar.observed.record_sets import AccountState
from sidecar.observed.words import command
from sidecar.plan.publish.names import tells_an_id
from sidecar.plan.publish.values import HeldWrite, Picture, RecordWrite

LARGEST_SHARE = 0.3
FEWEST = 5
"""Changes of existing sets; fewer are never held for their share."""
WRITES = 300
WRITES_SECONDS = 300.0
"""At most this many writes in this time by one account: Cloudflare accepts 1,200 requests in it, and a write takes a few."""
FIRST_PAUSE = 60.0
LONGEST_PAUSE = 3_600.0
"""Seconds after a failure; doubled with each."""

Guarded = tuple[list[RecordWrite], list[HeldWrite]]


def share(writes: Sequence[RecordWrite], picture: Picture) -> Guarded:
    """Creating what nobody has changes nothing that exists, so it does not count."""
    if picture.override or not too_large(writes, picture):
        return list(writes), []
    changes = [write for write in writes if _counts(write, picture)]
    changed = {write.key.name for write in changes}
    published = len(picture.ledger)
    reason = f"{len(changes)} of {published} published record sets would change at once"
    remedy = f"check them: `{command('plan')}`; then allow them once: `{command('once --large-dns-plan')}`"
    return (
        [write for write in writes if write.key.name not in changed],
        [
            replace(_held(write, reason, remedy, None), large=True)
            for write in writes
            if write.key.name in changed
        ],
    )


def too_large(writes: Sequence[RecordWrite], picture: Picture) -> bool:
    """Whether these change too many of the published sets to be made without a person's consent."""
    count = sum(_counts(write, picture) for write in writes)
    return count >= FEWEST and count > LARGEST_SHARE * len(picture.ledger)


def _counts(write: RecordWrite, picture: Picture) -> bool:
    """A new id for a policy does not count: it is written only once the policy was checked, and one change of the
    settings gives all domains a new one. Nor does a new TTL of the same values.
    """
    match write.change:
        case Remove():
            return True
        case Replace(seen=seen, wanted=wanted) if seen.absent or seen.same_values(wanted):
            return False
        case Replace(key, seen, wanted):
            entry = picture.ledger.get(key)
            ours = entry is not None and seen.values in entry.published
            return not (ours and tells_an_id(seen.values) and tells_an_id(wanted.values))


def rate(writes: Sequence[RecordWrite], picture: Picture) -> Guarded:
    """The first names go through, in the order of the plan."""
    counts = Counter(write.key.name for write in writes)
    left: dict[str, int] = {}
    seen: dict[str, bool] = {}
    """Whether a name goes through."""

    def until(write: RecordWrite) -> tuple[str, str, float] | None:
        name, account = write.key.name, write.place.account
        recent = _recent(picture.accounts.get(account), picture.now)
        if name not in seen:
            free = left.get(account, WRITES - len(recent)) - counts[name]
            left[account] = free
            seen[name] = free >= 0
        if seen[name]:
            return None
        again = min(recent, default=picture.now) + WRITES_SECONDS
        return (
            f"{WRITES} writes in {WRITES_SECONDS:.0f} s by the account {account}",
            "wait",
            again,
        )

    return _each(writes, until)


def back_off(writes: Sequence[RecordWrite], picture: Picture) -> Guarded:
    """A failing account waits; the others do not."""

    def until(write: RecordWrite) -> tuple[str, str, float] | None:
        again = tried_again_at(picture.accounts.get(write.place.account))
        if again is None or again <= picture.now:
            return None
        account = write.place.account
        return (
            f"the account {account} failed",
            f"see `{command('dns test')}`; it is tried again automatically",
            again,
        )

    return _each(writes, until)


def tried_again_at(state: AccountState | None) -> float | None:
    """Unix time; None: at once."""
    if state is None or not state.failures:
        return None
    return state.failed_at + min(FIRST_PAUSE * float(1 << min(state.failures - 1, 10)), LONGEST_PAUSE)


def wrote(state: AccountState | None, now: float) -> AccountState:
    """The state of an account after a write, done or failed."""
    known = state or AccountState()
    return replace(known, writes=(*_recent(known, now), now))


def succeeded(state: AccountState | None) -> AccountState:
    return replace(state or AccountState(), failures=0, failed_at=0.0, trouble="")


def failed(state: AccountState | None, now: float, trouble: str = "") -> AccountState:
    known = state or AccountState()
    return replace(known, failures=known.failures + 1, failed_at=now, trouble=trouble)


def _recent(state: AccountState | None, now: float) -> tuple[float, ...]:
    return tuple(at for at in (state.writes if state else ()) if now - WRITES_SECONDS < at <= now)


def _each(
    writes: Iterable[RecordWrite], until: Callable[[RecordWrite], tuple[str, str, float] | None]
) -> Guarded:
    through: list[RecordWrite] = []
    held: list[HeldWrite] = []
    for write in writes:
        why = until(write)
        if why is None:
            through.append(write)
        else:
            held.append(_held(write, *why))
    return through, held


def _held(write: RecordWrite, reason: str, remedy: str, until: float | None) -> HeldWrite:
    return HeldWrite(write.key, write.domain, write.role, reason, remedy, until)
