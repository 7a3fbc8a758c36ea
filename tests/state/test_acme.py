"""What the restarts of acme-mailcow brought and cost outlives the process."""

from dataclasses import replace
from pathlib import Path

from sidecar.observed import InVain, LostName, Memory, Restart
from sidecar.state.store import State

NOW = 1_800_000_000.0


def test_restart_that_is_not_judged_keeps_the_names_before_it(tmp_path: Path) -> None:
    """A crash between the restart and its judgement costs nothing."""
    memory = Memory(
        restarts=(
            Restart(NOW - 60, ("mta-sts.a.example",)),
            Restart(NOW, ("mta-sts.b.example",), ("mail.example", "mta-sts.a.example"), judged=False),
        ),
        lost=(LostName("autoconfig.a.example", NOW), LostName("mail.example", NOW)),
        in_vain={"mta-sts.c.example": InVain(2, NOW, "192.0.2.1 | ? | ", "No A or AAAA record found")},
    )
    state = State.open(tmp_path, NOW)
    state.save(Memory(), memory)
    state.close()
    again = State.open(tmp_path, NOW)
    loaded = again.load()
    assert (loaded.restarts, loaded.lost, dict(loaded.in_vain)) == (
        memory.restarts,
        memory.lost,
        dict(memory.in_vain),
    )
    judged = replace(
        loaded, restarts=(loaded.restarts[0], replace(loaded.restarts[1], before=(), judged=True))
    )
    again.save(loaded, replace(judged, lost=(), in_vain={}))
    after = again.load()
    again.close()
    assert (after.restarts[-1].judged, after.restarts[-1].before, after.lost, after.in_vain) == (
        True,
        (),
        (),
        {},
    )
