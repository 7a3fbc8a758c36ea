"""Learns from the end of a run of acme-mailcow: which names it lost, which names it did not bring; pure.

Rule for every editor: a run is judged once, when acme-mailcow sleeps again after our restart, by the certificates
seen then. If they were not seen, the run is judged later; nothing is assumed.
"""

from dataclasses import replace

from sidecar.formats.domain_name import covered_by_wildcard
from sidecar.observed import AcmeRun, InVain, LostName, Memory, Observed, Project, Restart, Seen
from sidecar.plan.acme.evidence import in_short
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
    lost = [
        LostName(name, restart.at)
        for name in restart.before
        if name in wanted and name not in held and covered_by_wildcard(name, held) is None
    ]
    known = {item.name for item in memory.lost}
    in_vain = dict(memory.in_vain)
    for name in restart.names:
        if name in held or covered_by_wildcard(name, held) is not None:
            in_vain.pop(name, None)
        else:
            in_vain[name] = _in_vain(
                observed, name, in_vain.get(name), restart, run.value if isinstance(run, Seen) else None
            )
    return replace(
        memory,
        restarts=done,
        lost=tuple(
            sorted(
                (*memory.lost, *(item for item in lost if item.name not in known)), key=lambda item: item.name
            )
        ),
        in_vain=in_vain,
    )


def _in_vain(
    observed: Observed, name: str, before: InVain | None, restart: Restart, run: AcmeRun | None
) -> InVain:
    evidence = in_short(name, observed)
    same = before is not None and not changed(before.evidence, evidence)
    count = before.count + 1 if before is not None and same else 1
    said = run.refusal(name) if run else None
    words = said.words if said else " / ".join(run.failure) if run and run.failure else None
    return InVain(count, restart.at, evidence, words)
