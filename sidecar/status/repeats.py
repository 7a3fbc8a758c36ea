"""When the end of a problem is reported, and when a returning problem is reported again; pure.

Rule for every editor: the log and the notifications use the same rules. They are silent about one problem for a day,
not forever, and never leave the impression that a problem is over while it exists.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sidecar.observed import Observed, Seen, Unseen
from sidecar.observed.notice import UNSEEN, Notice, NoticeCode
from sidecar.plan.notices import REDIS
from sidecar.plan.policy_ids import served_to
from sidecar.plan.schedule import wait_after

QUIET_S = 86_400.0
"""Seconds after which a returning problem is reported again."""
STEADY_S = (600, 3_600, 14_400, 86_400)
"""Seconds that a problem must be absent to be over; longer the more often its end was reported within a day."""
UNREAD = NoticeCode.MAILCOW_API
"""The notice of a pass in which mailcow did not answer and an older list was used."""


@dataclass(frozen=True, slots=True)
class Ends:
    """How often the end of one problem was reported within a day of the previous one, and when last (Unix seconds)."""

    times: int = 0
    at: float = 0.0

    def recent(self, now: float) -> bool:
        """Whether the last report still delays the next one."""
        return self.times > 0 and 0 <= now - self.at < QUIET_S

    def steady(self, now: float) -> float:
        """Seconds that the problem must be absent to be over."""
        return float(wait_after(self.times + 1 if self.recent(now) else 1, STEADY_S))

    def one_more(self, now: float) -> "Ends":
        """After one more."""
        return Ends(self.times + 1 if self.recent(now) else 1, now)


def quiet(reported_at: float, now: float) -> bool:
    """Whether a problem that returns `now` was reported too recently to repeat it; a clock set back silences none."""
    return 0 <= now - reported_at < QUIET_S


def unserved(observed: Observed) -> bool:
    """Whether no served policy at all could be read, although some should have been."""
    return bool(observed.served) and not any(isinstance(sight, Seen) for sight in observed.served.values())


def hidden(observed: Observed, notices: tuple[Notice, ...]) -> Callable[[str, str], bool]:
    """A function of code and subject: whether too little was seen in this pass to call such a notice over."""
    seen = (observed.conf, observed.mailcow, observed.domains, observed.certificates)
    blind = any(isinstance(sight, Unseen) for sight in seen) or any(n.code == UNREAD for n in notices)
    targets: dict[str, str | None] = {}
    if isinstance(observed.domains, Seen):
        targets = {domain.name: None for domain in observed.domains.value.domains}
        targets |= observed.domains.value.targets

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
