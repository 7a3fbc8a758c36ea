"""The file generation: from the one policy wanted to a write of the policy file; pure.

Rule for every editor: a valid file that asks less of senders than ours stays: a person may have written it
because mail was refused. Taking a file over never makes it less strict than the person wrote it. That is also true for a
file that only lenient senders accept: its content is kept, and only its form is corrected.
"""

from sidecar.formats.domain_name import to_unicode
from sidecar.formats.mtasts_policy import (
    Invalid,
    LenientForm,
    Mode,
    Policy,
    changes,
    lenient_form,
    loosenings,
    parse,
    policy_of,
    render,
    understood,
)
from sidecar.observed import FILE, Observed, PolicyFile, Seen
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.words import command
from sidecar.plan.actions import FILE_SUBJECT, Action, AdoptSame, Held, Hold, Plan, RemoveFile, WriteFile
from sidecar.plan.desired_policies.file import served_too
from sidecar.plan.desired_policies.policy import DesiredPolicy, receiving
from sidecar.plan.desired_policies.safety import remedy
from sidecar.plan.ownership import Whose, last_in_place, whose
from sidecar.settings import Settings

NOT_OURS = "the policy file is not the sidecar's own"


def plan_file(observed: Observed, settings: Settings, wanted: DesiredPolicy | None) -> Plan:
    """At most one write, of the whole file."""
    if wanted is None:
        return Plan()
    if not isinstance(observed.file, Seen):
        notice = Notice(Level.ERROR, NoticeCode.UNSEEN_FILE, "mta-sts.txt", observed.file.reason)
        return Plan(notices=(*wanted.notices, notice))
    if wanted.policy is None:
        return Plan() if observed.file.value.data is None else Plan((RemoveFile(wanted.reason),))
    return Plan(notices=wanted.notices) + _step(
        observed, settings, wanted, wanted.policy, observed.file.value
    )


def _step(
    observed: Observed, settings: Settings, wanted: DesiredPolicy, policy: Policy, file: PolicyFile
) -> Plan:
    text, reason = render(policy), wanted.reason
    adopted = _adopted(observed, settings)
    if file.data is None:
        return Plan((WriteFile(text, f"there is no policy file; {reason}"),))
    served = parse(file.data)
    if isinstance(served, Invalid) and (lenient := lenient_form(file.data)) is not None:
        return _mended(observed, settings, wanted, policy, lenient)
    if isinstance(served, Invalid):
        return Plan(
            (WriteFile(text, f"the policy file is not valid ({served.problems[0]}); {reason}", backup=True),)
        )
    current = file.data.decode("utf-8", "surrogateescape")
    memory = observed.memory.policy(FILE)
    if whose(current, memory) is Whose.OURS:
        if not served.same_as(policy):
            return Plan((WriteFile(text, f"{reason}; {', '.join(changes(served, policy))}"),))
        return (
            Plan()
            if file.readable
            else Plan((WriteFile(text, "nginx has no permission to read the policy file"),))
        )
    if wanted.asked_for(served) or (adopted and served.same_as(policy)):
        return Plan((AdoptSame(FILE, current, "it already has the text that the sidecar would write"),))
    if _foreign(observed, settings, current, served) is not None:
        return Plan((WriteFile(text, reason, backup=True),))
    taken = "adopted on request" if adopted else "adopted from a person, with a backup"
    floor = None if adopted else current
    if floor is not None:
        policy = _raised(policy, served, wanted.named)
    return Plan((WriteFile(render(policy), f"{reason}; {taken}", backup=True, floor=floor),))


def _mended(
    observed: Observed, settings: Settings, wanted: DesiredPolicy, policy: Policy, lenient: LenientForm
) -> Plan:
    """What a person's file says is kept, as that of a right one is: its mode, max_age and mx are the floor."""
    faults = ", ".join(lenient.faults)
    adopted = _adopted(observed, settings)
    floor = None if adopted else render(lenient.policy)
    kept = policy if adopted else _raised(policy, lenient.policy, wanted.named)
    reason = f"the policy file has {faults}, which only lenient senders accept"
    notice = Notice(
        Level.WARNING,
        NoticeCode.FILE_MENDED,
        FILE_SUBJECT,
        f"{reason}: others get no policy from it; its content (mode {lenient.policy.mode}) stays, the form is corrected",
    )
    write = WriteFile(
        render(kept),
        f"{reason}; its form is corrected and it is adopted, with a backup",
        backup=True,
        floor=floor,
    )
    return Plan((write,), notices=(notice,))


def _adopted(observed: Observed, settings: Settings) -> bool:
    return settings.adopt or FILE in observed.memory.adopt


def _foreign(observed: Observed, settings: Settings, text: str, served: Policy) -> str | None:
    """Why a person's file is left unchanged; None if it is ours, was adopted, or may be adopted."""
    memory = observed.memory.policy(FILE)
    if _adopted(observed, settings) or whose(text, memory) is Whose.OURS:
        return None
    if FILE in observed.memory.retired:
        # All domains are retired: a file that a person wrote is no longer adopted.
        return NOT_OURS
    last = last_in_place(memory)
    ours = policy_of(last.text) if last else None
    looser = loosenings(ours, served) if ours else ()
    return f"a person made the policy file less strict: {', '.join(looser)}" if looser else None


def hold_file(plan: Plan, observed: Observed, settings: Settings) -> Plan:
    """A guard: a person's file that may not be adopted stays, and no write is attempted on a locked file."""
    if not isinstance(observed.file, Seen) or observed.file.value.data is None:
        return _hold_locked(plan, observed)
    text = observed.file.value.data.decode("utf-8", "surrogateescape")
    served, locked = understood(text), observed.file.value.locked
    strict = policy_of(text) is not None
    to_adopt = f"to let the sidecar manage it: {command('adopt --file')}"

    def judge(action: Action) -> Hold | None:
        reason: str | None = None
        if isinstance(action, WriteFile) and served is not None:
            reason = _foreign(observed, settings, text, served)
            if reason is None and not strict:
                return _unproven(observed, settings, policy_of(action.text))
        elif isinstance(action, RemoveFile) and locked is None and not _adopted(observed, settings):
            # Only our own file, or one that was adopted, is ever removed.
            ours = whose(text, observed.memory.policy(FILE)) is Whose.OURS
            reason = None if ours else NOT_OURS
        return None if reason is None else Hold(reason, to_adopt)

    def notice_of(held: Held) -> Notice | None:
        if held.remedy is None:
            return None  # the DNS has not answered: it passes
        message = f"{held.reason}; it is left unchanged"
        return Notice(Level.WARNING, NoticeCode.FILE_FOREIGN, FILE_SUBJECT, message, held.remedy)

    return _hold_locked(plan.holding(judge, notice_of), observed)


def _unproven(observed: Observed, settings: Settings, written: Policy | None) -> Hold | None:
    """Only lenient senders know the enforce of a person's wrong file. For the others it is new, and needs the proof."""
    if written is None or written.mode is not Mode.ENFORCE or not isinstance(observed.domains, Seen):
        return None
    listed = observed.domains.value
    others = served_too(observed, settings, listed)
    for name in (*receiving(listed, settings), *others):
        hosts = observed.dns.mx_of(name)
        if settings.for_domain(name).allow_uncovered or (
            name in others and isinstance(hosts, Seen) and not hosts.value
        ):
            continue
        held = f"corrected, the policy file would be enforced by all senders, and {to_unicode(name)}"
        if not isinstance(hosts, Seen):
            return Hold(f"{held} has MX records that are not known: {hosts.reason}")
        if lacking := [host for host in hosts.value if not written.covers(host)]:
            todo = remedy(name, hosts.value, written.mx)
            return Hold(f"{held} has the MX {', '.join(lacking)}, which the file does not name", todo)
        if not hosts.value:
            return Hold(f"{held} has no MX record", remedy(name, (), ()))
    return None


def _hold_locked(plan: Plan, observed: Observed) -> Plan:
    locked = observed.file.value.locked if isinstance(observed.file, Seen) else None
    if locked is None:
        return plan
    message = f"the policy file cannot be written: {locked}"
    return plan.holding(
        lambda action: Hold(locked) if isinstance(action, WriteFile | RemoveFile) else None,
        lambda held: (
            Notice(Level.ERROR, NoticeCode.FILE_LOCKED, FILE_SUBJECT, message)
            if isinstance(held.action, WriteFile)
            else None
        ),
    )


def _raised(policy: Policy, floor: Policy, named: frozenset[str]) -> Policy:
    """Not less strict than the person's file, except in fields that the settings name (`file_policy` keeps that)."""
    mode, max_age, mx = policy.mode, policy.max_age, policy.mx
    if "mode" not in named and floor.mode.strength > mode.strength:
        mode = floor.mode
    if "max_age" not in named:
        max_age = max(max_age, floor.max_age)
    if "mx" not in named:
        mx = tuple(dict.fromkeys([*mx, *floor.mx]))
    return Policy(mode, max_age, mx)
