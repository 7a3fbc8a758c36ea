"""When what is over is told to be over, and when what comes back is told again; pure.

Rule for every editor: the log and the notifications go by the same rules. About one thing they are quiet for a day,
not for ever; and what was told last is never that a thing is over while it is not.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sidecar.observed import Observed, Seen, Unseen
from sidecar.observed.notice import Notice
from sidecar.observed.notice_codes import UNSEEN, NoticeCode
from sidecar.plan.policy_ids import served_to
from sidecar.plan.redis import REDIS
from sidecar.plan.schedule import wait_after

QUIET_S = 86_400.0
"""What comes and goes is told again when it comes back this long after it was told last."""
STEADY_S = (600, 3_600, 14_400, 86_400)
"""How long a thing must be away to be over; the longer, the more often its end was told within a day."""
UNREAD = NoticeCode.MAILCOW_API
"""The notice of a pass in which mailcow did not answer: what it planned came from an older list."""


@dataclass(frozen=True, slots=True)
class Ends:
    """How often the end of one thing was told, each within a day of the one before, and when last (Unix seconds)."""

    times: int = 0
    at: float = 0.0

    def recent(self, now: float) -> bool:
        """Whether the last one still makes the next one wait for longer."""
        return self.times > 0 and 0 <= now - self.at < QUIET_S

    def steady(self, now: float) -> float:
        """For how long (seconds) the thing must be away to be over."""
        return float(wait_after(self.times + 1 if self.recent(now) else 1, STEADY_S))

    def told(self, now: float) -> "Ends":
        """After one more."""
        return Ends(self.times + 1 if self.recent(now) else 1, now)


def quiet(told_at: float, now: float) -> bool:
    """Whether what was told at `told_at` and comes back `now` is not told again; a clock set back keeps nothing quiet."""
    return 0 <= now - told_at < QUIET_S


def unserved(observed: Observed) -> bool:
    """Whether it was not seen of any domain what it is served, though of some it should have been."""
    return bool(observed.served) and not any(isinstance(sight, Seen) for sight in observed.served.values())


def hidden(observed: Observed, notices: tuple[Notice, ...]) -> Callable[[str, str], bool]:
    """Of a code and its subject: whether too little was seen in this pass to say that a notice of it is over."""
    seen = (observed.conf, observed.mailcow, observed.domains, observed.certificates)
    blind = any(isinstance(sight, Unseen) for sight in seen) or any(n.code == UNREAD for n in notices)
    targets: dict[str, str | None] = {}
    if isinstance(observed.domains, Seen):
        targets = {domain.name: None for domain in observed.domains.value.domains}
        targets |= {alias.name: alias.target for alias in observed.domains.value.aliases}

    def unseen(code: str, subject: str) -> bool:
        if code == UNREAD or code in UNSEEN:
            return False
        if code == REDIS and unserved(observed):
            return True
        if blind or (subject.endswith("-mailcow") and isinstance(observed.project, Unseen)):
            return True
        if isinstance(observed.dns.addresses.get(subject), Unseen):
            return True
        domain = subject.removeprefix("mta-sts.")
        return domain in targets and (
            isinstance(served_to(observed, domain, targets[domain]), Unseen)
            or isinstance(observed.dns.mx_of(domain), Unseen)
        )

    return unseen
