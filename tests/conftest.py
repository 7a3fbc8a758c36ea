"""Keeps the test levels apart: a unit test starts no process (`make unit`, `make integration`, `make system`)."""

import gc
import os
import sys
import time
from typing import Any

import pytest
from hypothesis import settings

# Times are shown in the zone of the process: the same in all tests, wherever they run.
os.environ["TZ"] = "UTC"
time.tzset()

gc.disable()  # until all is collected

# A property is tried with few examples in each unit run, and with many at the integration level (`make integration`).
settings.register_profile("quick", max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=300, deadline=None)
settings.load_profile("quick")

_starts = {"subprocess.Popen", "os.posix_spawn", "os.spawn", "os.exec", "os.system", "os.forkpty"}
_unit: list[str] = []
"""The unit test that runs now; an audit hook cannot be taken away again, so it reads this."""


def _refuse_process(event: str, arguments: tuple[Any, ...]) -> None:
    if _unit and event in _starts:
        raise RuntimeError(
            f"{_unit[0]} starts a process: mark it `integration`, or do without ({event} {arguments[:1]})"
        )


sys.addaudithook(_refuse_process)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was imported and collected stays until the end: the garbage collector need not look at it again and again."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Any:
    """Sets the name of the unit test for as long as it runs, its fixtures included."""
    levels = ("integration", "system")
    _unit[:] = [] if any(item.get_closest_marker(level) for level in levels) else [item.nodeid]
    try:
        return (yield)
    finally:
        _unit.clear()
