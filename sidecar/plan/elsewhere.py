"""A policy that another server serves on purpose (a provider, a web server of one's own): recognised and left alone; pure.

Rule for every editor: nothing is published beside it that asks less of senders, and nobody is asked to replace it. The
administrator chooses: leave it there, or adopt it with all that it says.
"""

from sidecar.formats.address import is_private
from sidecar.formats.domain_name import policy_host, to_unicode
from sidecar.formats.mtasts_policy import Mode, Policy, policy_of
from sidecar.observed import NOT_ASKED, Observed, Seen, Unseen
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.words import command
from sidecar.plan.actions import Action, AddPolicy, EditPolicy, Hold, Plan
from sidecar.plan.ownership import Whose, whose
from sidecar.settings import CONFIG, Settings


def elsewhere_targets(observed: Observed, settings: Settings) -> tuple[str, ...]:
    """The managed domains and alias domains whose policy host leads to another server.

    Empty where nothing can be compared: with SKIP_IP_CHECK=y, and with a private address of our own (split DNS).
    """
    if not isinstance(observed.domains, Seen) or not isinstance(observed.conf, Seen):
        return ()
    listed, hostname = observed.domains.value, observed.conf.value.hostname
    own = observed.dns.addresses_of(hostname)
    if observed.conf.value.yes("SKIP_IP_CHECK") or not isinstance(own, Seen):
        return ()
    ours, ends = own.value.addresses, {hostname, own.value.cname or hostname}
    if not ours or any(map(is_private, ours)):
        return ()
    names = {d.name for d in listed.domains if d.receives and settings.manages(d.name)}
    names |= {a.name for a in listed.aliases if a.active and a.target in names and settings.manages(a.name)}
    found: list[str] = []
    for name in sorted(names):
        host = observed.dns.addresses_of(policy_host(name))
        if not isinstance(host, Seen) or not host.value.addresses:
            continue
        if not host.value.addresses & ours and host.value.cname not in ends:
            found.append(name)
    return tuple(found)


def served_elsewhere(observed: Observed, name: str) -> Policy | None:
    """The valid policy that another server serves for a domain; None where none is seen there, or it is mailcow's own.

    A proxy at another address passes on what mailcow serves, or served a moment ago: that is not another policy.
    """
    sight = observed.elsewhere.get(name)
    if not isinstance(sight, Seen) or (found := sight.value) is None:
        return None
    target = name
    if isinstance(observed.domains, Seen):
        target = next((a.target for a in observed.domains.value.aliases if a.name == name), name)
    memory = observed.memory.policy(observed.policy_key(target))
    served = observed.served_of(target)
    texts = [span.text for span in memory.spans] + [write.text for write in memory.writes]
    texts += [served.value.text] if isinstance(served, Seen) else []
    own = (policy for text in texts if (policy := policy_of(text)) is not None)
    return None if any(found.same_as(policy) for policy in own) else found


def left_elsewhere(observed: Observed, settings: Settings, name: str) -> Policy | None:
    """As `served_elsewhere`, where nobody chose to adopt it (`adopt`)."""
    if settings.for_domain(name).adopt or name in observed.memory.adopt:
        return None
    return served_elsewhere(observed, name)


def elsewhere_notices(observed: Observed, settings: Settings) -> tuple[Notice, ...]:
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
        f"to adopt it as it is: domains: {{{name}: {{{own}}}}}, and then publish what "
        f"`{command(f'records {name}')}` prints"
    )


def hold_elsewhere(plan: Plan, observed: Observed, settings: Settings) -> Plan:
    """A guard: no policy is written beside one that is served elsewhere, until it is adopted with what it says.

    While nothing is known of another server, a policy of ours that mailcow serves is still kept right: senders may get
    it through a proxy that cannot be asked from here.
    """

    def judge(action: Action) -> Hold | None:
        if not isinstance(action, AddPolicy | EditPolicy) or action.policy.mode is Mode.NONE:
            return None
        name, here = action.domain, action.policy
        served = observed.served_of(name)
        text = served.value.text if isinstance(served, Seen) else None
        ours = text is not None and whose(text, observed.memory.policy(name)) is Whose.OURS
        if not ours and settings.verify and observed.dns.addresses_of(policy_host(name)) is NOT_ASKED:
            return Hold(f"the DNS has not said yet where {policy_host(name)} leads")
        sight = observed.elsewhere.get(name)
        if not ours and isinstance(sight, Unseen):
            return Hold(f"{policy_host(name)} leads to another server: {sight.reason}")
        there = served_elsewhere(observed, name)
        if there is None:
            return None
        if here.mode.strength < there.mode.strength:
            weaker = f"mode {there.mode} instead of {here.mode}"
        elif there.mode is Mode.ENFORCE and here.max_age < there.max_age:
            # max_age matters where a policy is enforced.
            weaker = f"max_age {there.max_age} instead of {here.max_age}"
        else:
            return None
        return Hold(f"the policy that is served elsewhere asks more: {weaker}", choices(name, there))

    return plan.holding(judge)
