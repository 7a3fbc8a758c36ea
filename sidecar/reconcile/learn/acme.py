"""Learns from the end of a run of acme-mailcow: which names it lost, which names it did not bring; pure.

Rule for every editor: a run is judged once, when acme-mailcow sleeps again after our restart, by the certificates
seen then. If they were not seen, the run is judged later; nothing is assumed.
"""

from dataclasses import replace

from sidecar.formats.domain_name import covered_by_wildcard
from sidecar.observed import AcmeRun, InVain, LostName, Memory, Observed, Project, Restart, Seen
from sidecar.plan.acme.evidence import dns_in_short
from sidecar.plan.acme.lost import AGAIN_AFTER_S, changed, still_lost
from sidecar.plan.acme.names import Scene, scene
from sidecar.plan.acme.script import SLEEPS

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
