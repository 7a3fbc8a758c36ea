"""The last word over a finished plan: small filters that let an action through or hold it with a reason; pure.

Rule for every editor: a guard never makes an action, and never lets through what another guard holds.
"""

from collections.abc import Callable
from dataclasses import replace

from sidecar.acme import MOST_NAMES
from sidecar.domainname import policy_host
from sidecar.observed import Issuer, Observed
from sidecar.plan.actions import (
    Action,
    AddPolicy,
    EditConf,
    EditPolicy,
    Held,
    Plan,
    RecreateAcme,
    RestartAcme,
    SwitchOff,
)
from sidecar.plan.certificate import Scene, scene
from sidecar.plan.entries import SAN
from sidecar.plan.redis import tell_redis
from sidecar.plan.restart import counted
from sidecar.settings import Settings


def guarded(plan: Plan, observed: Observed, settings: Settings) -> Plan:
    """The plan with each action that must not be done now among the held ones."""
    for guard in (_not_managed, _too_many_names, _redis_refuses, _dry_run):
        plan = guard(plan, observed, settings)
    return plan


def _filter(plan: Plan, reason: Callable[[Action], str | None]) -> Plan:
    passed: list[Action] = []
    held = list(plan.held)
    for action in plan.actions:
        why = reason(action)
        if why is None:
            passed.append(action)
        else:
            held.append(Held(action, why))
    return replace(plan, actions=tuple(passed), held=tuple(held))


def _not_managed(plan: Plan, observed: Observed, settings: Settings) -> Plan:
    """`manage: {policies, san, acme}`: false means say, do not do."""

    def reason(action: Action) -> str | None:
        match action:
            case EditConf():
                name, on = "san", settings.manage.san
            case RestartAcme() | RecreateAcme():
                name, on = "acme", settings.manage.acme
            case _:
                name, on = "policies", settings.manage.policies
        return None if on else f"the settings say `manage: {{{name}: false}}`; {action.reason}"

    return _filter(plan, reason)


def _dry_run(plan: Plan, observed: Observed, settings: Settings) -> Plan:
    return _filter(plan, lambda action: f"dry run; {action.reason}" if settings.dry_run else None)


def _redis_refuses(plan: Plan, observed: Observed, settings: Settings) -> Plan:
    """What is written then cannot be read back, and senders cannot read it either."""
    told = tell_redis(observed)

    def reason(action: Action) -> str | None:
        return told[0].message if told and isinstance(action, AddPolicy | EditPolicy | SwitchOff) else None

    return _filter(plan, reason)


def _too_many_names(plan: Plan, observed: Observed, settings: Settings) -> Plan:
    """A settings entry, or a policy since 2026-07a, brings names into the certificate: 100 is the end."""
    found = scene(observed)
    if isinstance(found, str) or not _acme_orders(found):
        return plan
    names = found.asked(found.conf_san).server

    def reason(action: Action) -> str | None:
        nonlocal names
        match action:
            case AddPolicy(domain=domain) | EditPolicy(domain=domain) if (
                found.mailcow.names_follow_policies and domain not in found.with_policy
            ):
                more = replace(found, with_policy=found.with_policy | {domain})
                wider = more.asked(found.conf_san).server | names
                label = policy_host(domain)
            case EditConf(edits=edits) if SAN in edits and edits[SAN].add:
                wider = found.asked((*found.conf_san, *edits[SAN].add)).server | names
                label = ", ".join(edits[SAN].add)
            case _:
                return None
        if (
            len(wider) <= len(names)
            or (count := counted(found, observed, wider, hoped_for=True)) <= MOST_NAMES
        ):
            names = wider
            return None
        return (
            f"with {label} the certificate would have {count} names, and Let's Encrypt takes {MOST_NAMES} at most: "
            "set ENABLE_SSL_SNI=y in mailcow.conf for a certificate per domain"
        )

    return _filter(plan, reason)


def _acme_orders(found: Scene) -> bool:
    conf = found.acme_conf
    if conf.yes("SKIP_LETS_ENCRYPT") or conf.yes("ONLY_MAILCOW_HOSTNAME"):
        return False
    return found.certificates.server is None or found.certificates.server.issuer is not Issuer.OTHER
