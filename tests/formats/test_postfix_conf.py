"""main.cf as postconf(5) has it."""

import pytest

from sidecar.formats.socketmap import value_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a=b\nname = x y\n", "x y"),
        ("name = x\n  y\n\t z\nother = 1", "x y z"),
        ("name = x\n# comment\n\n  y", "x y"),
        ("name = x\nname = y", "y"),
        ("#name = x", None),
        ("name =", ""),
        ("name = a=b", "a=b"),
        ("  name = x", None),  # goes on with a line that is not there
        ("other = 1\n  name = x", None),
        ("names = x", None),
    ],
)
def test_value(text: str, value: str | None) -> None:
    """The last one, with what continues it."""
    assert (value_of(text, "name") or None) == (value or None)
    if value is not None:
        assert value_of(text, "name") == value
