"""Learns about the route of TLS reports: where the port is, whether all is in place, and when it was announced; pure.

Rule for every editor: as in `learn`. What the sidecar creates is noted in `apply`, before it is created.
"""

from dataclasses import replace

from sidecar.observed import Memory, Observed, Seen
from sidecar.plan.report_route import Ready
from sidecar.plan.report_steps import EditTransport
from sidecar.plan.report_way import next_of
from sidecar.settings import Settings


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
