"""The file generation: from the one policy wanted to a write of the policy file; pure.

Rule for every editor: a valid file that asks less of senders than ours is a person stopping refused mail, and
stays. What a person asked more strictly is never undercut by taking the file over.
"""

from sidecar.formats.mtasts_policy import Invalid, Policy, differences, loosenings, parse, policy_of, render
from sidecar.observed import FILE, Observed, PolicyFile, Seen
from sidecar.observed.notice import Level, Notice
from sidecar.observed.notice_codes import NoticeCode
from sidecar.observed.words import command
from sidecar.plan.actions import AdoptSame, Held, Hold, Plan, RemoveFile, WriteFile
from sidecar.plan.desired import Wanted
from sidecar.plan.ownership import Whose, last_written, whose
from sidecar.settings import Settings


def served_by_file(observed: Observed) -> Policy | None:
    """The policy in the file, None where none is or where it was not seen."""
    match observed.file:
        case Seen(PolicyFile(data=bytes(data))):
            parsed = parse(data)
            return None if isinstance(parsed, Invalid) else parsed
        case _:
            return None


def plan_file(observed: Observed, settings: Settings, wanted: Wanted | None) -> Plan:
    """At most one write, of the whole file."""
    if wanted is None:
        return Plan()
    if not isinstance(observed.file, Seen):
        notice = Notice(Level.ERROR, NoticeCode.UNSEEN_FILE, "mta-sts.txt", observed.file.reason)
        return Plan(notices=(*wanted.notices, notice))
    if wanted.policy is None:
        return _removal(observed, settings, wanted.reason, observed.file.value)
    return Plan(notices=wanted.notices) + _step(
        observed, settings, wanted, wanted.policy, observed.file.value
    )


def _step(observed: Observed, settings: Settings, wanted: Wanted, policy: Policy, file: PolicyFile) -> Plan:
    text, reason = render(policy), wanted.reason
    adopted = _adopted(observed, settings)
    if file.data is None:
        return _write(WriteFile(text, f"there is no policy file; {reason}"), file)
    served = parse(file.data)
    if isinstance(served, Invalid):
        return _write(
            WriteFile(text, f"the policy file is not valid ({served.problems[0]}); {reason}", backup=True),
            file,
        )
    current = file.data.decode("utf-8", "surrogateescape")
    memory = observed.memory.policy(FILE)
    if whose(current, memory) is Whose.OURS:
        if not served.same_as(policy):
            changed = ", ".join(differences(served, policy))
            return _write(WriteFile(text, f"{reason}; served: {changed}"), file)
        return (
            Plan() if file.readable else _write(WriteFile(text, "nginx may not read the policy file"), file)
        )
    if wanted.asked_for(served) or (adopted and served.same_as(policy)):
        return Plan((AdoptSame(FILE, current, "it already says what the sidecar would write"),))
    if FILE in observed.memory.retired and not adopted:
        # MTA-STS is left: what a person wrote is not taken over any more.
        return _left_alone(WriteFile(text, reason, backup=True), "the policy file is not the sidecar's own")
    last = last_written(memory)
    ours = policy_of(last.text) if last else None
    looser = loosenings(ours, served) if ours else ()
    if looser and not adopted:
        why = f"a person made the policy file looser: {', '.join(looser)}"
        return _left_alone(WriteFile(text, reason, backup=True), why)
    taken = "handed over by adopt" if adopted else "taken over from a person, with a backup"
    floor = None if adopted else current
    if floor is not None:
        policy = _raised(policy, served, wanted.named)
    return _write(WriteFile(render(policy), f"{reason}; {taken}", backup=True, floor=floor), file)


def _adopted(observed: Observed, settings: Settings) -> bool:
    return settings.adopt or FILE in observed.memory.adopt


def _removal(observed: Observed, settings: Settings, reason: str, file: PolicyFile) -> Plan:
    """Only our own file, and one that was handed over, is ever removed."""
    if file.data is None:
        return Plan()
    ours = whose(file.data.decode("utf-8", "surrogateescape"), observed.memory.policy(FILE)) is Whose.OURS
    action = RemoveFile(reason)
    if file.locked is not None:
        return Plan(held=(Held(action, file.locked),))
    if ours or _adopted(observed, settings):
        return Plan((action,))
    return _left_alone(action, "the policy file is not the sidecar's own")


def _raised(policy: Policy, floor: Policy, named: frozenset[str]) -> Policy:
    """Not less than the person asked, but for what the settings name (`desire.file_policy` keeps it so afterwards)."""
    mode, max_age, mx = policy.mode, policy.max_age, policy.mx
    if "mode" not in named and floor.mode.strength > mode.strength:
        mode = floor.mode
    if "max_age" not in named:
        max_age = max(max_age, floor.max_age)
    if "mx" not in named:
        mx = tuple(dict.fromkeys([*mx, *floor.mx]))
    return Policy(mode, max_age, mx)


def _write(action: WriteFile, file: PolicyFile) -> Plan:
    if file.locked is not None:
        notice = Notice(
            Level.ERROR,
            NoticeCode.FILE_LOCKED,
            "mta-sts.txt",
            f"the policy file cannot be written: {file.locked}",
        )
        return Plan(held=(Held(action, file.locked),), notices=(notice,))
    return Plan((action,))


def _left_alone(action: WriteFile | RemoveFile, reason: str) -> Plan:
    hold = Hold(reason, f"to let the sidecar manage it: {command('adopt --file')}")
    notice = Notice(
        Level.WARNING, NoticeCode.FILE_FOREIGN, "mta-sts.txt", f"{reason}; it stays so", hold.remedy
    )
    return Plan(held=(hold.on(action),), notices=(notice,))
