"""The guards of a finished plan: small filters that let an action through or hold it with a reason; pure.

Rule for every editor: a guard never makes an action, and never lets through what another guard holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from sidecar.formats.domain_name import policy_host
from sidecar.observed import Issuer, Kind, Observed, Question
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.words import some
from sidecar.plan.acme.addresses import address_trouble
from sidecar.plan.acme.names import ASKED_AT_ONCE, Count, Scene, count, scene
from sidecar.plan.acme.run import hold_run
from sidecar.plan.actions import (
    ACME_SUBJECT,
    Action,
    AddPolicy,
    AdoptSame,
    AllowAccess,
    ChangeReportRoute,
    EditConf,
    EditPolicy,
    HealAcme,
    Hold,
    Plan,
    PublishRecords,
    RecreateAcme,
    RemoveFile,
    RestartAcme,
    SwitchOff,
    WriteFile,
)
from sidecar.plan.conf_entries import SAN, hold_conf
from sidecar.plan.elsewhere import hold_elsewhere
from sidecar.plan.file import hold_file
from sidecar.plan.native import hold_foreign_policies
from sidecar.plan.notices import redis_notices
from sidecar.settings import Managed, Settings


@dataclass(frozen=True, slots=True)
class RepeatedFailure:
    """How many times in a row an action failed; it is not tried again before `until` (Unix seconds)."""

    times: int
    until: float


@dataclass(frozen=True, slots=True)
class Waits:
    """Results of earlier passes that make actions of this one wait (`reconcile.back_off`)."""

    failures: Mapping[tuple[str, str], RepeatedFailure] = field(default_factory=dict)
    """By `key_of`."""
    denied_until: float | None = None
    """mailcow refuses the API key for writes; the next attempt is at this time (Unix seconds)."""
    denied_because: str = ""
    not_healed: str = ""
    """Why the last repair of acme-mailcow did not work."""
    changing: bool = False
    """Whether acme-mailcow is being changed in the background."""


NOTHING_WAITS = Waits()


def key_of(action: Action) -> tuple[str, str]:
    """The key under which failures of the same action are counted from pass to pass."""
    return action.verb, ",".join(action.edits) if isinstance(action, EditConf) else action.about


def parts_of(action: Action) -> Sequence[Action]:
    """What can fail separately: each key of mailcow.conf."""
    return [action.only({key}) for key in action.edits] if isinstance(action, EditConf) else (action,)


def guarded(plan: Plan, observed: Observed, settings: Settings, waits: Waits = NOTHING_WAITS) -> Plan:
    """The plan with every action that must not be done now moved to the held ones."""
    for guard in (
        hold_run,
        hold_foreign_policies,
        hold_file,
        hold_conf,
        _not_managed,
        _wrong_name,
        _too_many_names,
        hold_elsewhere,
        _redis_refuses,
    ):
        plan = guard(plan, observed, settings)
    if settings.dry_run:
        plan = plan.holding(lambda _: Hold("dry run"))
    if waits.changing:
        # While acme-mailcow is being changed, nothing else is done to it.
        hold = Hold("acme-mailcow is being restarted, re-created or repaired")
        plan = plan.holding(lambda action: hold if action.managed_by is Managed.ACME else None)
    return _backing_off(plan, waits)


_BY_API = (AddPolicy, EditPolicy, SwitchOff, ChangeReportRoute)
"""What needs a key that may write."""
REFUSED_KEY_REMEDY = (
    "set API_KEY (not API_KEY_READ_ONLY) in mailcow.conf, and let API_ALLOW_FROM name the sidecar's address"
)


def _backing_off(plan: Plan, waits: Waits) -> Plan:
    """An action that failed waits before it is tried again, longer each time."""
    notices: tuple[Notice, ...] = ()
    if waits.denied_until is not None:
        # Nothing is written until a person sets another key, so people have to see it.
        message = f"mailcow refuses the API key for writes, so no policy is added or changed: {waits.denied_because}"
        notices += (Notice(Level.ERROR, NoticeCode.API_DENIED, "mailcow", message, REFUSED_KEY_REMEDY),)
    if waits.not_healed and any(isinstance(action, HealAcme) for action in plan.actions):
        notices += (Notice(Level.ERROR, NoticeCode.ACME_NOT_HEALED, ACME_SUBJECT, waits.not_healed),)

    def judge(action: Action) -> Hold | None:
        if waits.denied_until is not None and isinstance(action, _BY_API):
            return Hold("mailcow refuses the key for writes", REFUSED_KEY_REMEDY, waits.denied_until)
        failure = waits.failures.get(key_of(action))
        return (
            None if failure is None else Hold(f"failed {failure.times} times in a row", until=failure.until)
        )

    passed: list[Action] = []
    held = list(plan.held)
    for action in plan.actions:
        parts = parts_of(action)
        waiting = [hold.on(part) for part in parts if (hold := judge(part)) is not None]
        held += waiting
        if not waiting:
            passed.append(action)
        elif isinstance(action, EditConf) and len(waiting) < len(parts):
            late = {key for item in waiting if isinstance(item.action, EditConf) for key in item.action.edits}
            passed.append(action.only(action.edits.keys() - late))
    return replace(plan, actions=tuple(passed), held=tuple(held), notices=notices + plan.notices)


def _not_managed(plan: Plan, observed: Observed, settings: Settings) -> Plan:
    """Each part has a switch under `manage:`; with false its actions are only reported."""

    def judge(action: Action) -> Hold | None:
        if settings.manage.allows(action.managed_by):
            return None
        name = action.managed_by
        return Hold(
            f"the settings say `manage: {{{name}: false}}`",
            f"to let the sidecar do it: `manage: {{{name}: true}}` in config.yml",
        )

    return plan.holding(judge)


def _redis_refuses(plan: Plan, observed: Observed, settings: Settings) -> Plan:
    """A policy written now could not be read back, and senders could not read it either."""
    errors = redis_notices(observed)
    if not errors:
        return plan
    hold = Hold(errors[0].message, errors[0].todo)

    def judge(action: Action) -> Hold | None:
        return hold if isinstance(action, AddPolicy | EditPolicy | SwitchOff) else None

    return plan.holding(judge)


def _too_many_names(plan: Plan, observed: Observed, settings: Settings) -> Plan:
    """An entry in mailcow.conf, or a policy since 2026-07a, adds names to the certificate, which may have 100."""
    if not any(isinstance(action, EditConf) or _policy_for(action) for action in plan.actions):
        return plan  # the usual pass: the names of thousands of domains need not be counted
    found = scene(observed)
    if isinstance(found, str) or not _acme_orders(found):
        return plan
    brought = _brought(found)
    names = found.asked(found.repaired_san).server
    total = count(names, found, observed, hoped_for=True)
    questions: frozenset[Question] = frozenset()

    def judge(action: Action) -> Hold | None:
        nonlocal names, total, questions
        if isinstance(action, EditConf):
            if SAN not in action.edits or not action.edits[SAN].add:
                return None
            entries = action.edits[SAN].add
            more = found.asked(",".join((found.repaired_san, *entries))).server - names
            label = some(entries)
        elif (domain := _policy_for(action)) is not None:
            more = brought.get(domain, frozenset()) - names
            label = policy_host(domain)
        else:
            return None
        # Only new names are counted: there may be thousands of policies.
        extra = count(more, found, observed, hoped_for=True)
        together = Count(total.certain + extra.certain, (*total.unknown, *extra.unknown))
        if more and (why := together.trouble(label)) is not None:
            questions |= together.questions()
            return why
        names, total = names | more, together
        return None

    guarded_plan = plan.holding(judge)
    return replace(guarded_plan, questions=guarded_plan.questions | questions)


def _policy_for(action: Action) -> str | None:
    """The domain that is served a policy once the action is done; None for any other action."""
    match action:
        case AddPolicy(domain=domain) | EditPolicy(domain=domain):
            return domain
        case (
            AllowAccess()
            | SwitchOff()
            | AdoptSame()
            | WriteFile()
            | RemoveFile()
            | EditConf()
            | RestartAcme()
            | RecreateAcme()
            | HealAcme()
            | PublishRecords()
            | ChangeReportRoute()
        ):
            return None
        case _:
            assert_never(action)


def _brought(found: Scene) -> dict[str, frozenset[str]]:
    """For each domain without a policy: the names that a policy would add to the server's certificate."""
    if (
        not found.mailcow.names_follow_policies
        or found.acme_conf.yes("ENABLE_SSL_SNI")
        or not found.acme_conf.yes("AUTODISCOVER_SAN", default="y")
    ):
        return {}
    brought = {
        domain.name: {policy_host(domain.name)}
        for domain in found.listed.domains
        if domain.receives and domain.name not in found.with_policy
    }
    for alias in found.listed.aliases:
        if alias.active and alias.target in brought:
            brought[alias.target].add(policy_host(alias.name))
    return {domain: frozenset(names) - {found.conf.hostname} for domain, names in brought.items()}


def _wrong_name(plan: Plan, observed: Observed, settings: Settings) -> Plan:
    """If acme-mailcow checks nothing, a policy alone adds a name to the order: the policy waits for the DNS record."""
    found = scene(observed)
    if isinstance(found, str) or not found.setup.unchecked or not _acme_orders(found):
        return plan
    # With a certificate for each domain (ENABLE_SSL_SNI=y), the policy adds its name all the same.
    conf = replace(found.setup.conf, values={**found.setup.conf.values, "ENABLE_SSL_SNI": "n"})
    brought = _brought(replace(found, setup=replace(found.setup, conf=conf)))
    questions: set[Question] = set()

    def judge(action: Action) -> Hold | None:
        domain = _policy_for(action)
        for name in sorted(brought[domain]) if domain in brought else ():
            trouble = address_trouble(name, found.setup, observed.dns)
            if trouble is None:
                continue
            if trouble.unknown and len(questions) < ASKED_AT_ONCE:
                questions.update(Question(Kind.ADDRESSES, n) for n in (name, found.conf.hostname))
            why = (
                "acme-mailcow checks no name (SKIP_IP_CHECK=y, SKIP_HTTP_VERIFICATION=y), so the policy waits"
            )
            return Hold(f"{why}: {trouble.said}", trouble.remedy)
        return None

    guarded_plan = plan.holding(judge)
    return replace(guarded_plan, questions=guarded_plan.questions | questions)


def _acme_orders(found: Scene) -> bool:
    conf = found.acme_conf
    if conf.yes("SKIP_LETS_ENCRYPT") or conf.yes("ONLY_MAILCOW_HOSTNAME"):
        return False
    return found.certificates.server is None or found.certificates.server.issuer is not Issuer.OTHER
