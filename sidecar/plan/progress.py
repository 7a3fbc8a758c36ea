"""Notices of the roll-out: a domain that fails under enforce, and one that is ready for enforce; pure."""

from sidecar.formats.domain_name import to_unicode
from sidecar.formats.mtasts_policy import Mode, policy_of
from sidecar.observed import FILE, Observed, PolicyFile, Seen
from sidecar.observed.checks import REFUSING, Rollout, Status
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.observed.words import command
from sidecar.plan.desired import automatic
from sidecar.rollout import SEEN_AGAIN, Stage, stage
from sidecar.settings import Settings


def served_mode(observed: Observed, key: str) -> Mode | None:
    """The mode that is served for a domain or by the file; None if none is, or none was observed."""
    text: str | None = None
    if key == FILE:
        match observed.file:
            case Seen(PolicyFile(data=bytes(data))):
                text = data.decode("utf-8", "surrogateescape")
            case _:
                pass
    else:
        served = observed.served_of(key)
        text = served.value.text if isinstance(served, Seen) else None
    policy = policy_of(text)
    return policy.mode if policy else None


def tell_progress(observed: Observed, settings: Settings) -> tuple[Notice, ...]:
    """At most one notice for each domain that was checked; results from before checks were switched off are left out."""
    if not settings.verify:
        return ()
    notices: list[Notice] = []
    for key, rollout in observed.memory.rollouts.items():
        if key != FILE and not settings.manages(key):
            continue
        itself = automatic(observed, settings, key)
        found = _told(key, rollout, served_mode(observed, key), settings, itself=itself)
        notices += [found] if found else []
    return tuple(notices)


def _told(
    key: str, rollout: Rollout, mode: Mode | None, settings: Settings, *, itself: bool
) -> Notice | None:
    name = "the policy file" if key == FILE else to_unicode(key)
    match stage(rollout, mode, settings.soak):
        case Stage.FAILING:
            false = [c for c in rollout.blocking() if c.status is Status.FALSE]
            worst = next((c for c in false if c.type in REFUSING), false[0])
            back = (
                f"; after {SEEN_AGAIN} such checks in a row the sidecar sets it back to testing, "
                "which senders notice only by a new id in _mta-sts"
            )
            message = f"{name} is in enforce, and its checks fail: {worst.message}"
            if worst.type not in REFUSING:
                # Senders continue with their cached policy, or with none: no mail is refused because of it.
                todo = f"see: {command(f'check {key}' if key != FILE else 'records --missing')}"
                return Notice(Level.WARNING, NoticeCode.ROLLOUT_UNSEEN, key, message, todo)
            todo = f"see: {command(f'check {key}' if key != FILE else 'status')}"
            return Notice(
                Level.ERROR, NoticeCode.ROLLOUT_FAILING, key, f"{message}{back if itself else ''}", todo
            )
        case Stage.READY if not itself and mode is Mode.TESTING:
            message = f"{name} is ready for enforce: all checks have succeeded for long enough"
            return Notice(
                Level.INFO,
                NoticeCode.ROLLOUT_READY,
                key,
                message,
                "set `mode: enforce`, or `mode: auto`, in config.yml",
            )
        case _:
            return None
