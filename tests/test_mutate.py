"""The tool that changes decisions (`python -m tests.mutate`) knows where they are."""

from pathlib import Path

from tests.mutate import DECIDING, LATE, mutants

ROOT = Path(__file__).parents[1]


def test_every_module_and_test_that_it_names_exists() -> None:
    """A module that has moved would otherwise be noticed only when somebody runs the tool."""
    named = {path for module, tests in DECIDING.items() for path in (module, *tests)} | {*LATE}
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []


def test_every_module_that_it_names_decides_something() -> None:
    """Otherwise its decisions have moved elsewhere."""
    assert [path for path in DECIDING if next(mutants(str(ROOT / path)), None) is None] == []
