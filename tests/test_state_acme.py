"""What the restarts of acme-mailcow brought and cost outlives the process."""

import sqlite3
from dataclasses import replace
from pathlib import Path

from sidecar import state_acme
from sidecar.observed import InVain, LostName, Memory, Restart
from sidecar.state import State
from sidecar.state_rows import APPLICATION_ID, STEPS

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


def test_restarts_of_an_older_state_file_count_as_judged(tmp_path: Path) -> None:
    """Nothing is known of the certificate before them."""
    state = State.open(tmp_path, NOW)
    state.close()
    (path,) = [p for p in tmp_path.iterdir() if p.read_bytes().startswith(b"SQLite format 3")]
    for file in tmp_path.iterdir():
        if file.name.startswith(path.name):
            file.unlink()
    step = STEPS.index(state_acme.STEP)
    with sqlite3.connect(path) as connection:
        for statements in STEPS[:step]:
            connection.executescript(statements)
        connection.execute("INSERT INTO restart (position, at) VALUES (0, ?)", (NOW,))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {step}")
    connection.close()
    state = State.open(tmp_path, NOW)
    assert state.notice is None
    assert state.load().restarts == (Restart(NOW, ()),)
    state.close()
