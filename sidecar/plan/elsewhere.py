"""A policy that another server serves on purpose (a provider, a web server of one's own): recognised and left alone; pure.

Rule for every editor: nothing is published beside it that asks less of senders, and nobody is told to replace it. It is for
the administrator to choose: leave it there for good, or take it over with all that it says.
"""

from collections.abc import Iterator

from sidecar.formats.address import is_private
from sidecar.formats.domain_name import policy_host, to_unicode
from sidecar.formats.mtasts_policy import Mode, Policy, policy_of
from sidecar.observed import NOT_ASKED, Observed, Seen, Served, Unseen
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.plan.actions import Action, AddPolicy, EditPolicy, Hold, Plan
from sidecar.plan.ownership import Whose, whose
from sidecar.settings import CONFIG, Settings


def elsewhere_targets(observed: Observed, settings: Settings) -> tuple[str, ...]:
    """The managed domains and alias domains whose policy host leads to another server."""
    if not isinstance(observed.domains, Seen):
        return ()
    listed = observed.domains.value
    receiving = {d.name for d in listed.domains if d.receives and settings.manages(d.name)}
    aliases = {
        a.name for a in listed.aliases if a.active and a.target in receiving and settings.manages(a.name)
    }
    return tuple(name for name in sorted(receiving | aliases) if _leads_elsewhere(observed, name))


def _leads_elsewhere(observed: Observed, name: str) -> bool:
    """With SKIP_IP_CHECK=y addresses say nothing."""
    if not isinstance(observed.conf, Seen) or observed.conf.value.yes("SKIP_IP_CHECK"):
        return False
    hostname = observed.conf.value.hostname
    match observed.dns.addresses_of(policy_host(name)), observed.dns.addresses_of(hostname):
        case Seen(host), Seen(own):
            if any(map(is_private, own.addresses)):
                return False  # split DNS: nothing can be compared with it
            apart = not host.addresses & own.addresses and host.cname not in {hostname, own.cname or hostname}
            return bool(host.addresses and own.addresses) and apart
        case _:
            return False


def served_elsewhere(observed: Observed, name: str) -> Policy | None:
    """The valid policy that another server serves for a domain; None where none is seen there, or it is mailcow's own.

    A proxy at another address passes on what mailcow serves, or served a moment ago: that is not another policy.
    """
    sight = observed.elsewhere.get(name)
    if not isinstance(sight, Seen) or (found := sight.value) is None:
        return None
    return None if any(found.same_as(own) for own in _own(observed, name)) else found


def _own(observed: Observed, name: str) -> Iterator[Policy]:
    target = name
    if isinstance(observed.domains, Seen):
        target = next((a.target for a in observed.domains.value.aliases if a.name == name), name)
    memory = observed.memory.policy(observed.policy_key(target))
    served = observed.served_of(target)
    texts = [span.text for span in memory.spans] + [write.text for write in memory.writes]
    texts += [served.value.text] if isinstance(served, Seen) else []
    for text in texts:
        if (policy := policy_of(text)) is not None:
            yield policy


def left_elsewhere(observed: Observed, settings: Settings, name: str) -> Policy | None:
    """As `served_elsewhere`, where nobody chose to take it over (`adopt`)."""
    if settings.for_domain(name).adopt or name in observed.memory.adopt:
        return None
    return served_elsewhere(observed, name)


def tell_elsewhere(observed: Observed, settings: Settings) -> tuple[Notice, ...]:
    """Each such domain with the two choices."""
    notices: list[Notice] = []
    for name in observed.elsewhere:
        policy = left_elsewhere(observed, settings, name)
        if policy is None or not settings.manages(name):
            continue
        message = (
            f"the policy of {to_unicode(name)} is served elsewhere (mode {policy.mode}), and is left alone"
        )
        notices.append(Notice(Level.INFO, NoticeCode.POLICY_ELSEWHERE, name, message, choices(name, policy)))
    return tuple(notices)


def choices(name: str, policy: Policy) -> str:
    """What to write into config.yml, either way."""
    mx = ", ".join(f"'{pattern}'" if pattern.startswith("*") else pattern for pattern in policy.mx)
    own = f"adopt: true, mode: {policy.mode}, max_age: {policy.max_age}"
    own += f", mx: [{mx}]" if mx else ""
    return (
        f"in {CONFIG}, to leave it there: exclude: [{name}]; "
        f"to take it over as it is: domains: {{{name}: {{{own}}}}}, and then publish what `sidecar records {name}` prints"
    )


def hold_elsewhere(plan: Plan, observed: Observed, settings: Settings) -> Plan:
    """A guard: no policy is written beside one that is served elsewhere, until it is taken over with what it says.

    While nothing is known of another server, a policy of ours that mailcow serves is still kept right: senders may get
    it through a proxy that cannot be asked from here.
    """

    def judge(action: Action) -> Hold | None:
        if not isinstance(action, AddPolicy | EditPolicy) or action.policy.mode is Mode.NONE:
            return None
        name = action.domain
        ours = _serves_ours(observed, name)
        if not ours and settings.verify and observed.dns.addresses_of(policy_host(name)) is NOT_ASKED:
            return Hold(f"the DNS has not said yet where {policy_host(name)} leads")
        sight = observed.elsewhere.get(name)
        if not ours and isinstance(sight, Unseen):
            return Hold(f"{policy_host(name)} leads to another server: {sight.reason}")
        policy = served_elsewhere(observed, name)
        if policy is None:
            return None
        if weaker := _weaker(policy, action.policy):
            return Hold(f"the policy that is served elsewhere asks more: {weaker}", choices(name, policy))
        return None

    return plan.holding(judge)


def _serves_ours(observed: Observed, name: str) -> bool:
    match observed.served_of(name):
        case Seen(Served(text=str(text))):
            return whose(text, observed.memory.policy(name)) is Whose.OURS
        case _:
            return False


def _weaker(there: Policy, here: Policy) -> str:
    """In what ours would ask less of senders; max_age matters where a policy is enforced."""
    if here.mode.strength < there.mode.strength:
        return f"mode {there.mode} instead of {here.mode}"
    if there.mode is Mode.ENFORCE and here.max_age < there.max_age:
        return f"max_age {there.max_age} instead of {here.max_age}"
    return ""
