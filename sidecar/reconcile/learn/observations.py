"""Learning from what a pass observed: the policies, the end of a run of acme-mailcow, the route of TLS reports; pure.

Rules for every editor: an `Unseen` changes nothing. A fact ends only when the opposite is observed. A run is judged once,
when acme-mailcow sleeps again after our restart, by the certificates seen then. If they were not seen, the run is judged
later; nothing is assumed. What the sidecar creates is noted in `apply`, before it is created.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from sidecar.formats.domain_name import covered_by_wildcard
from sidecar.formats.dotenv import items
from sidecar.formats.mtasts_policy import matches, policy_of
from sidecar.observed import (
    FILE,
    NOT_ASKED,
    AcmeRun,
    Backend,
    ConfEntry,
    ConfEvent,
    DomainList,
    Doubt,
    Fact,
    FactKind,
    InVain,
    LostName,
    Mailcow,
    Memory,
    Observed,
    PolicyFile,
    PolicyMemory,
    Project,
    Restart,
    Seen,
)
from sidecar.observed.memory import ended, seen_served
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.observed.words import some
from sidecar.plan.acme.addresses import AcmeSetup, address_trouble
from sidecar.plan.acme.evidence import AGAIN_AFTER_S, changed, dns_in_short, still_lost
from sidecar.plan.acme.names import Scene, missing_names, our_names, scene
from sidecar.plan.acme.run import unsettled
from sidecar.plan.acme.script import FAILED_SLEEPS, SLEEPS
from sidecar.plan.conf_entries import KEYS
from sidecar.plan.desired_policies.file import served_too
from sidecar.plan.desired_policies.policy import alias_names, receiving
from sidecar.plan.desired_policies.safety import unmatched_subject
from sidecar.plan.policy_ids import with_id
from sidecar.plan.report_route import EditTransport, Ready
from sidecar.plan.report_way import next_of
from sidecar.settings import Intervals, Settings

_FORGET_AFTER_S = 86_400


def believe(
    memory: Memory, answer: Seen[DomainList], intervals: Intervals
) -> tuple[Seen[DomainList], Memory, tuple[Notice, ...]]:
    """The domain list to use, for a new whole answer.

    If all or more than half of the known names are missing, that is believed only after the same names were missing
    in a number of answers over a set time; until then the missing names are used together with the answer.
    """
    known = memory.believed
    lost_most = known is not None and any(
        (gone := before - after) and (not after or 2 * len(gone) > len(before))
        for before, after in (
            ({d.name for d in known.domains}, {d.name for d in answer.value.domains}),
            ({a.name for a in known.aliases}, {a.name for a in answer.value.aliases}),
        )
    )
    if known is None or not lost_most:
        return answer, _believing(memory, answer), ()
    missing = _missing(known, answer.value)
    fingerprint = hashlib.sha256(repr(missing).encode()).hexdigest()
    before = memory.doubt
    doubt = (
        replace(before, polls=before.polls + 1)
        if before is not None and before.fingerprint == fingerprint
        else Doubt(fingerprint, 1, memory.counted)
    )
    if doubt.polls >= intervals.doubt_polls and memory.counted - doubt.since >= intervals.doubt_seconds:
        message = f"mailcow's list lost {_lost(known, missing)} at once; it did not change since, and is accepted now"
        notice = Notice(Level.WARNING, NoticeCode.DOMAINS_BELIEVED, "domains", message, passing=True)
        return answer, _believing(memory, answer), (notice,)
    newcomers = {d.name for d in answer.value.domains} - {d.name for d in known.domains}
    memory = replace(memory, doubt=doubt, newcomers=frozenset(newcomers))
    both = DomainList(
        tuple(sorted((*answer.value.domains, *missing.domains), key=lambda domain: domain.name)),
        tuple(sorted((*answer.value.aliases, *missing.aliases), key=lambda alias: alias.name)),
    )
    return Seen(both, answer.at), memory, ()


def _believing(memory: Memory, answer: Seen[DomainList]) -> Memory:
    names = answer.value.names
    # An alias domain has the policy of its target. Once it is gone, its target is not known any more: its own memory
    # has to say for how long senders hold that policy.
    gone = {
        alias.name: ended(PolicyMemory(spans=target.spans), answer.at, memory.counted)
        for alias in (memory.believed.aliases if memory.believed else ())
        if alias.active and alias.name not in names and (target := memory.policy(alias.target)).spans
    }
    policies = {**memory.policies, **gone} if gone else memory.policies
    return replace(memory, policies=policies, believed=answer.value, doubt=None, newcomers=frozenset())


def _missing(known: DomainList, answer: DomainList) -> DomainList:
    """The known names that are not in the answer, neither as a domain nor as an alias domain."""
    names = answer.names
    return DomainList(
        tuple(domain for domain in known.domains if domain.name not in names),
        tuple(alias for alias in known.aliases if alias.name not in names),
    )


def _lost(known: DomainList, missing: DomainList) -> str:
    parts = (
        ("domains", known.domains, [domain.name for domain in missing.domains]),
        ("alias domains", known.aliases, [alias.name for alias in missing.aliases]),
    )
    return " and ".join(
        f"{len(gone)} of {len(before)} {word} ({some(gone)})" for word, before, gone in parts if gone
    )


def doubted(memory: Memory, answer: DomainList | None) -> tuple[Notice, ...]:
    """The notice while the last answer (None: it is no longer known) is not believed."""
    if memory.doubt is None or memory.believed is None:
        return ()
    missing = DomainList((), ()) if answer is None else _missing(memory.believed, answer)
    return (
        Notice(
            Level.WARNING,
            NoticeCode.DOMAINS_DOUBTED,
            "domains",
            f"mailcow's list lost {_lost(memory.believed, missing) or 'domains'} at once; "
            "no policy is withdrawn because of that until the list has stayed the same for a while",
            "if they were deleted on purpose, wait; if not, check mailcow's database",
        ),
    )


def learn(observed: Observed, settings: Settings) -> Memory:
    """The memory after learning from `observed`; a part that did not change stays the same object."""
    memory, now = observed.memory, observed.now
    # A restart dated in the future is from before the clock was set back: it counts as done now, never as not done.
    restarts = tuple(one if one.at <= now else replace(one, at=now) for one in memory.restarts)
    # Facts observed as true get a start time and keep it; facts observed as false end; others stay unchanged.
    true, false = _facts(observed, settings)
    since = {fact: at for fact, at in memory.since.items() if fact not in false}
    for fact in true:
        since.setdefault(fact, memory.counted)
    services = memory.services
    if isinstance(observed.project, Seen):
        # Services that had a container; one that has been missing for long is forgotten.
        there = frozenset(c.service for c in observed.project.value.containers if not c.own)
        missing = {name: memory.true_for(Fact(FactKind.UNSETTLED, name)) for name in services - there}
        services = there | {name for name, seconds in missing.items() if seconds < _FORGET_AFTER_S}
    return replace(
        memory,
        policies=_policies(observed),
        conf=_conf_events(observed),
        since=memory.since if since == memory.since else since,
        restarts=memory.restarts if restarts == memory.restarts else restarts,
        services=memory.services if services == memory.services else services,
    )


def _policies(observed: Observed) -> Mapping[str, PolicyMemory]:
    """Those that are served, with their ids; those that are no longer served have an end."""
    memory = observed.memory
    policies = dict(memory.policies)
    native = isinstance(observed.mailcow, Seen) and observed.mailcow.value.backend is Backend.NATIVE
    texts: list[tuple[str, str | None, float]] = []
    match observed.mailcow, observed.file:
        case Seen(), _ if native:
            served = observed.served.items()
            texts = [(name, one.value.text, one.at) for name, one in served if isinstance(one, Seen)]
        case Seen(), Seen(PolicyFile(data=data), at):
            texts = [(FILE, None if data is None else data.decode("utf-8", "surrogateescape"), at)]
        case _:
            pass
    for key, text, at in texts:
        policies[key] = seen_served(memory.policy(key), text, at, memory.counted)
    match observed.mailcow, observed.domains:
        case Seen(), Seen(listed, at):
            # Gone are policies of domains that were deleted in mailcow, and those of the other generation.
            names = listed.names
            for key in memory.policies.keys() - (names if native else {FILE}):
                policies[key] = ended(memory.policy(key), at, memory.counted)
        case _:
            pass
    for key, found in observed.ids.items():
        policies[key] = with_id(policies.get(key, memory.policy(key)), found)
    changed = any(policies[key] is not memory.policies.get(key) for key in policies)
    return policies if changed else memory.policies


def _conf_events(observed: Observed) -> tuple[ConfEntry, ...]:
    """An entry that the sidecar added and that is gone was removed by somebody else."""
    if not isinstance(observed.conf, Seen):
        return observed.memory.conf
    last: dict[tuple[str, str], ConfEntry] = {}
    for event in observed.memory.conf:
        last[event.key, event.entry] = event
    there = {key: {e.lower() for e in items(observed.conf.value.values.get(key, ""))} for key in KEYS}
    more: list[ConfEntry] = []
    for (key, entry), event in last.items():
        present = entry.lower() in there.get(key, set())
        if event.event is ConfEvent.INTENDED and present:
            more.append(ConfEntry(key, entry, ConfEvent.ADDED, observed.conf.at))
        elif event.event is ConfEvent.INTENDED:
            more.append(ConfEntry(key, entry, ConfEvent.REMOVED, observed.conf.at))
        elif event.event is ConfEvent.ADDED and not present:
            more.append(ConfEntry(key, entry, ConfEvent.TAKEN_OUT, observed.conf.at))
    return (*observed.memory.conf, *more) if more else observed.memory.conf


def _facts(observed: Observed, settings: Settings) -> tuple[set[Fact], set[Fact]]:
    true: set[Fact] = set()
    kinds_seen: set[FactKind] = set()
    false: set[Fact] = set()
    found = scene(observed)
    if not isinstance(found, str):
        kinds_seen.add(FactKind.MISSING)
        ours = our_names(found, settings, observed)
        true |= {Fact(FactKind.MISSING, name) for name in missing_names(found, ours)}
    if isinstance(observed.conf, Seen):
        setup = (
            AcmeSetup(Mailcow(Backend.FILE, None), observed.conf.value, NOT_ASKED)
            if isinstance(found, str)
            else found.setup
        )
        for name, sight in observed.dns.addresses.items():
            if address_trouble(name, setup, observed.dns) is None:
                false.add(Fact(FactKind.FAILING, name))
            elif sight.at > 0:  # no answer counts, too: acme-mailcow would drop the name
                true.add(Fact(FactKind.FAILING, name))
    if isinstance(observed.project, Seen):
        kinds_seen.add(FactKind.UNSETTLED)
        services = unsettled(observed.project.value, observed.memory, observed.now, settings.restart.settle)
        true |= {Fact(FactKind.UNSETTLED, service) for service in services}
        run = Fact(FactKind.RUN_FAILED, "acme-mailcow")
        match observed.project.value.acme_sleep:
            case Seen(str(argument)) if argument in FAILED_SLEEPS:
                true.add(run)
            case Seen(str(argument)) if argument in SLEEPS:
                false.add(run)
            case _:
                pass
    unmatched, matched = _unmatched(observed, settings)
    false |= matched
    false |= {fact for fact in observed.memory.since if fact.kind in kinds_seen and fact not in true}
    return true | unmatched, false


def _unmatched(observed: Observed, settings: Settings) -> tuple[set[Fact], set[Fact]]:
    """Served patterns that match no MX, and those that match: of a domain, or of all domains that the file serves."""
    if not isinstance(observed.mailcow, Seen) or not isinstance(observed.domains, Seen):
        return set(), set()
    here = receiving(observed.domains.value, settings)
    aliases = alias_names(observed, settings)
    groups = {name: [name, *aliases.get(name, ())] for name in here}
    if observed.one_file:
        groups = {FILE: [*here, *served_too(observed, settings, observed.domains.value)]}
    true: set[Fact] = set()
    false: set[Fact] = set()
    for key, names in groups.items():
        spans = observed.memory.policy(key).spans
        policy = policy_of(spans[-1].text) if spans else None
        for pattern in policy.mx if policy else ():
            fact = Fact(FactKind.UNMATCHED, unmatched_subject(key, pattern))
            hosts = [observed.dns.mx_of(name) for name in names]
            if any(isinstance(h, Seen) and any(matches(pattern, host) for host in h.value) for h in hosts):
                false.add(fact)
            elif all(isinstance(h, Seen) for h in hosts):
                true.add(fact)
    return true, false


def learn_report_way(observed: Observed, settings: Settings) -> Memory:
    """The memory with what was seen of the route; nothing changes if it was not seen."""
    memory = observed.memory
    if not isinstance(observed.report_route, Seen):
        return memory
    found = next_of(observed, settings)
    if found is None:
        return memory
    route, step = found
    before = memory.report_way
    after = replace(before, nexthop=observed.report_route.value.nexthop)
    if not route.wanted:
        after = replace(after, announced=0.0)
        if isinstance(step, Ready):  # all of it is gone
            after = replace(after, ready="")
    elif isinstance(step, Ready):
        after = replace(after, ready=route.address, announced=0.0)
    else:
        # Reports wait in postfix's queue while a transport leads to an old address of ours.
        ready = before.ready if isinstance(step, EditTransport) else ""
        after = replace(after, ready=ready, announced=min(before.announced or observed.now, observed.now))
    return memory if after == before else replace(memory, report_way=after)


NEVER_BEGAN_S = 900
"""A noted restart did not take place if acme-mailcow was not started within this time."""
SKEW_S = 60.0
"""How much the Engine's times may differ from ours."""


def learn_acme(observed: Observed) -> Memory:
    """The memory after the last restart was judged, if that is possible; without lost names that are back."""
    memory = observed.memory
    found = scene(observed)
    if isinstance(found, str):
        return memory
    restarts = memory.restarts
    if restarts and not restarts[-1].judged:
        memory = _judged(replace(observed, memory=memory), found, restarts[-1])
    if memory.lost:
        kept = still_lost(replace(observed, memory=memory), found)
        memory = memory if kept == memory.lost else replace(memory, lost=kept)
    gone = [name for name in memory.in_vain if name in found.held]
    old = [name for name, tries in memory.in_vain.items() if not 0 <= observed.now - tries.at < AGAIN_AFTER_S]
    if old:
        wanted = found.asked().all | found.asked_once_recreated().all
        gone += [name for name in old if name not in wanted]
    if gone:
        memory = replace(memory, in_vain={n: v for n, v in memory.in_vain.items() if n not in gone})
    return memory


def _judged(observed: Observed, found: Scene, restart: Restart) -> Memory:
    memory = observed.memory
    match observed.project:
        case Seen(Project(acme_sleep=Seen(str(sleep)), acme_run=run) as project, at) if sleep in SLEEPS:
            acme = project.service("acme-mailcow")
        case _:
            return memory
    if acme is None or at <= restart.at:
        return memory
    done = (*memory.restarts[:-1], replace(restart, before=(), judged=True))
    if acme.started_at < restart.at - SKEW_S:
        # The sidecar was killed between noting and doing it, or the Engine refused it.
        return replace(memory, restarts=done) if observed.now - restart.at > NEVER_BEGAN_S else memory
    if not isinstance(observed.certificates, Seen) or observed.certificates.at < at:
        return memory
    held = found.held
    wanted = found.asked().all
    absent = {name for name in (*restart.before, *restart.names) if name not in held}
    absent = {name for name in absent if covered_by_wildcard(name, held) is None}
    gone = (absent & wanted & set(restart.before)) - {item.name for item in memory.lost}
    lost = sorted((*memory.lost, *(LostName(name, restart.at) for name in gone)), key=lambda item: item.name)
    last = run.value if isinstance(run, Seen) else AcmeRun(at)
    in_vain = dict(memory.in_vain)
    for name in restart.names:
        before = in_vain.get(name)
        if name not in absent:
            in_vain.pop(name, None)
            continue
        evidence = dns_in_short(name, observed)
        count = 1 if before is None or changed(before.evidence, evidence) else before.count + 1
        refusal = last.refusal(name)
        words = refusal.words if refusal else " / ".join(last.failure) or None
        in_vain[name] = InVain(count, restart.at, evidence, words)
    return replace(memory, restarts=done, lost=tuple(lost), in_vain=in_vain)
