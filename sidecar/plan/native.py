"""The native generation: from the desired policy of each domain to the write of its row; pure.

Rule for every editor: a row is changed only if the served text was *seen*, and only if it is ours or was
adopted. An alias domain never gets a row.
"""

from collections.abc import Mapping

from sidecar.formats.domain_name import to_unicode
from sidecar.formats.mtasts_policy import Policy, changes, differences, policy_of, render
from sidecar.observed import FILE, DomainList, Observed, PolicyMemory, Seen
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.words import command, day
from sidecar.plan.actions import Action, AddPolicy, AdoptSame, EditPolicy, Held, Hold, Plan, SwitchOff
from sidecar.plan.desired_policies.policy import DesiredPolicy
from sidecar.plan.ownership import Whose, held_for, switched_off_by_us, whose
from sidecar.settings import Settings


def plan_native(observed: Observed, settings: Settings, wanted: Mapping[str, DesiredPolicy]) -> Plan:
    """At most one action for each domain; a guard holds those on a policy that is not ours."""
    actions: list[Action] = []
    notices: list[Notice] = []
    for domain, desired in wanted.items():
        served = observed.served_of(domain)
        notices += desired.notices
        if not isinstance(served, Seen):
            continue
        memory, adopted = observed.memory.policy(domain), _adopted(observed, settings, domain)
        step = _step(domain, served.value.text, desired, memory, adopted=adopted)
        if step is not None:
            actions.append(step)
    return Plan(tuple(actions), notices=tuple(notices))


def _adopted(observed: Observed, settings: Settings, domain: str) -> bool:
    return settings.for_domain(domain).adopt or domain in observed.memory.adopt


def _step(
    domain: str, text: str | None, desired: DesiredPolicy, memory: PolicyMemory, *, adopted: bool
) -> Action | None:
    if desired.policy is None:
        return None if text is None else SwitchOff(domain, desired.reason)
    owner = whose(text, memory)
    served = policy_of(text)
    if served is not None and owner is Whose.PERSONS and desired.asked_for(served):
        return AdoptSame(domain, text or "", "it already has the text that the sidecar would write")
    if served is not None and served.same_as(desired.policy) and (owner is Whose.OURS or adopted):
        return None if owner is Whose.OURS else AdoptSame(domain, text or "", "adopted on request")
    if owner is Whose.NOBODYS:
        # A row that the sidecar switched off still exists; any other domain without a policy has no row.
        if switched_off_by_us(memory):
            return EditPolicy(domain, desired.policy, f"{desired.reason}; it was switched off")
        return AddPolicy(domain, desired.policy, f"the domain has no policy; {desired.reason}")
    reason = desired.reason
    if owner is Whose.OURS or adopted:
        known = ", ".join(changes(served, desired.policy)) if served is not None else None
        reason += f"; {known or f'served: {_difference(text, desired.policy, memory)}'}"
    return EditPolicy(domain, desired.policy, reason)


def hold_foreign_policies(plan: Plan, observed: Observed, settings: Settings) -> Plan:
    """A guard: a person's policy is left unchanged until it is adopted."""

    def judge(action: Action) -> Hold | None:
        if not isinstance(action, EditPolicy | SwitchOff):
            return None
        domain, served = action.domain, observed.served_of(action.domain)
        memory = observed.memory.policy(domain)
        text = served.value.text if isinstance(served, Seen) else None
        if whose(text, memory) is not Whose.PERSONS or _adopted(observed, settings, domain):
            return None
        reason = "the policy is not the sidecar's own"
        if isinstance(action, EditPolicy):
            reason = f"a person's policy: {_difference(text, action.policy, memory)}"
        return Hold(reason, f"to let the sidecar manage it: {command(f'adopt {to_unicode(domain)}')}")

    def notice_of(held: Held) -> Notice:
        domain = held.action.about
        message = f"the policy of {to_unicode(domain)} is left unchanged: {held.reason}"
        return Notice(Level.WARNING, NoticeCode.POLICY_FOREIGN, domain, message, held.remedy)

    return plan.holding(judge, notice_of)


def _difference(text: str | None, wanted: Policy, memory: PolicyMemory) -> str:
    if text is None:
        return memory.refused or "nothing"
    served = policy_of(text)
    if served is None:
        return "a text that is not a policy"
    return ", ".join(differences(served, wanted))


def gone_domains(observed: Observed, listed: DomainList) -> tuple[Notice, ...]:
    """Domains deleted in mailcow whose policy senders may still apply: mailcow deleted the row, too."""
    names = listed.names
    notices: list[Notice] = []
    for key, memory in observed.memory.policies.items():
        if key in names or key == FILE or not memory.writes:
            continue
        left = held_for(observed.memory, key, 0)
        if left > 0:
            notices.append(
                Notice(
                    Level.WARNING,
                    NoticeCode.DOMAIN_GONE,
                    key,
                    f"{to_unicode(key)} was deleted in mailcow, and so was its policy; "
                    f"senders may apply their cached policy in enforce until {day(observed.now + left)}",
                    "until then keep every MX of the domain on a host that its last policy names",
                    passing=True,
                )
            )
    return tuple(notices)


def text_of(action: AddPolicy | EditPolicy | SwitchOff) -> str | None:
    """The text that is served for the domain once the action is done; None: nothing."""
    return None if isinstance(action, SwitchOff) else render(action.policy)
