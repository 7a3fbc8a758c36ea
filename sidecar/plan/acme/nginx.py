"""Settings of an older mailcow.conf that nginx-mailcow still has; pure.

Rule for every editor: the sidecar never repairs this. Re-creating nginx-mailcow would interrupt webmail and the
API, and nginx answers for the names anyway: it is reported once, and the next `docker compose up -d` corrects it.
"""

from sidecar.formats.dotenv import items
from sidecar.observed import FILE, Observed, Seen
from sidecar.observed.checks import ConditionType, Status
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.observed.words import some
from sidecar.plan.conf_entries import SERVER_NAMES, added_by_us

NGINX = "nginx-mailcow"
COMMAND = "in the mailcow directory: docker compose up -d"
NOT_ANSWERED = frozenset({"policy-status", "policy-redirect", "policy-media-type"})
"""Findings which show that a site other than mailcow's answers for a name."""


def pending(observed: Observed) -> tuple[Notice, ...]:
    """Entries that the sidecar added after nginx-mailcow was created; a person has to act only if that has an effect."""
    if not isinstance(observed.project, Seen) or not isinstance(observed.conf, Seen):
        return ()
    nginx = observed.project.value.service(NGINX)
    if nginx is None or SERVER_NAMES not in nginx.env:
        return ()
    ours = added_by_us([event for event in observed.memory.conf if event.key == SERVER_NAMES])
    has = {entry.lower() for entry in items(nginx.env[SERVER_NAMES])}
    lacks = [e for e in items(observed.conf.value.values.get(SERVER_NAMES, "")) if e.lower() in ours - has]
    if not lacks:
        return ()
    known = f"{NGINX} was created before {some(lacks)} was added to {SERVER_NAMES}"
    served = next(
        (c for c in observed.memory.rollout(FILE).conditions if c.type is ConditionType.POLICY_SERVED), None
    )
    if served is not None and served.status is Status.FALSE and served.reason in NOT_ANSWERED:
        message = f"{known}, and the policy is not served: {served.message}"
        return (Notice(Level.WARNING, NoticeCode.NGINX_ENVIRONMENT, NGINX, message, COMMAND),)
    message = f"{known}; it answers for the name nevertheless; the next `docker compose up -d` re-creates it"
    return (Notice(Level.INFO, NoticeCode.NGINX_ENVIRONMENT, NGINX, message),)
