"""What is only reported: the roll-out of each domain, names in the settings that mailcow does not have, its Redis; pure."""

from sidecar.formats.domain_name import to_unicode
from sidecar.formats.mtasts_policy import Mode
from sidecar.observed import FILE, Observed, RedisRefuses, Seen
from sidecar.observed.checks import REFUSING, Stage, Status
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.words import command
from sidecar.plan.desired_policies.policy import automatic
from sidecar.plan.ownership import served_mode
from sidecar.plan.requests import did_you_mean
from sidecar.rollout import FAILURES_TO_STEP_BACK, stage
from sidecar.settings import Settings


def rollout_notices(observed: Observed, settings: Settings) -> tuple[Notice, ...]:
    """At most one notice for each domain that was checked; results from before checks were switched off are left out."""
    if not settings.verify:
        return ()
    notices: list[Notice] = []
    for key, rollout in observed.memory.rollouts.items():
        if key != FILE and not settings.manages(key):
            continue
        name = "the policy file" if key == FILE else to_unicode(key)
        mode, chosen_here = served_mode(observed, key), automatic(observed, settings, key)
        match stage(rollout, mode, settings.soak):
            case Stage.FAILING:
                false = [c for c in rollout.blocking() if c.status is Status.FALSE]
                worst = next((c for c in false if c.type in REFUSING), false[0])
                message = f"{name} is in enforce, and its checks fail: {worst.message}"
                if worst.type not in REFUSING:
                    # Senders continue with their cached policy, or with none: no mail is refused because of it.
                    todo = f"see: {command(f'check {key}' if key != FILE else 'records --missing')}"
                    notices.append(Notice(Level.WARNING, NoticeCode.ROLLOUT_UNSEEN, key, message, todo))
                    continue
                if chosen_here:
                    message += (
                        f"; after {FAILURES_TO_STEP_BACK} such checks in a row the sidecar sets it back to testing, "
                        "which senders notice only by a new id in _mta-sts"
                    )
                todo = f"see: {command(f'check {key}' if key != FILE else 'status')}"
                notices.append(Notice(Level.ERROR, NoticeCode.ROLLOUT_FAILING, key, message, todo))
            case Stage.READY if not chosen_here and mode is Mode.TESTING:
                message = f"{name} is ready for enforce: all checks have succeeded for long enough"
                todo = "set `mode: enforce`, or `mode: auto`, in config.yml"
                notices.append(Notice(Level.INFO, NoticeCode.ROLLOUT_READY, key, message, todo))
            case _:
                pass
    return tuple(notices)


def unknown_names_in(observed: Observed, settings: Settings) -> tuple[Notice, ...]:
    """A warning for each name in `exclude`, `only` and `domains` that is not a domain or alias domain of this mailcow.

    Empty if the domains of mailcow were not observed.
    """
    if not isinstance(observed.domains, Seen):
        return ()
    known = observed.domains.value.names
    given = {
        "exclude": settings.exclude,
        "only": settings.only or frozenset(),
        "domains": frozenset(settings.domains),
    }
    return tuple(
        Notice(
            Level.WARNING,
            NoticeCode.SETTINGS_UNKNOWN_DOMAIN,
            name,
            f"`{key}` in config.yml names {to_unicode(name)}, which is not a domain of this mailcow"
            f"{did_you_mean([name], known)}",
            "correct or remove the name; if you are about to add the domain to mailcow, there is nothing to do",
        )
        for key, names in given.items()
        for name in sorted(names - known)
    )


REDIS = NoticeCode.MAILCOW_REDIS
"""The notice for a mailcow whose Redis refuses writes: the served policies show it."""


def redis_notices(observed: Observed) -> tuple[Notice, ...]:
    """Every served policy then ends with an error page, so that no sender can read it (RFC 8461 §3.2)."""
    refused = [sight for sight in observed.served.values() if isinstance(sight, RedisRefuses)]
    if not refused:
        return ()
    said = min(sight.said for sight in refused)
    return (
        Notice(
            Level.ERROR,
            REDIS,
            "mailcow",
            f"mailcow's Redis refuses writes ({said}): every policy that mailcow serves is followed by an error page, "
            "and no sender can read it",
            "free space on its disk or memory for it; see: docker compose logs --tail=50 redis-mailcow",
        ),
    )
