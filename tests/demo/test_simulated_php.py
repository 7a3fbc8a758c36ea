"""What PHP makes of a value: tables of good and bad, with the reason beside them."""

from typing import Any

import pytest

from demo.simulated_php import idn_to_ascii, intval, is_domain_name


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("1 week", 1),
        (" -7", -7),  # white space before it counts for nothing
        ("1e3", 1000),
        ("1.9", 1),
        ("week", 0),
        ("", 0),
        (None, 0),
        (True, 1),
        (1.9, 1),
        ([], 0),
        (["x"], 1),  # a list that holds anything
    ],
)
def test_intval_is_php_s(value: Any, number: int) -> None:
    """The number that a text begins with."""
    assert intval(value) == number


@pytest.mark.parametrize(
    ("name", "converted"),
    [
        ("Müller.Example", "xn--mller-kva.example"),
        ("a_b!.example", "a_b!.example"),  # no rule of STD 3
        ("example.org.", "example.org."),
        ("a..b", None),
        ("-a.example", None),
        ("ab--c.example", None),  # reserved
        ("x" * 64 + ".example", None),
        ("", None),
    ],
)
def test_idn_to_ascii_is_php_s(name: str, converted: str | None) -> None:
    """Only what UTS 46 itself forbids is refused."""
    assert idn_to_ascii(name) == converted


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("example.org", True),
        ("mail", True),
        ("192.0.2.1", True),  # an address looks like a name
        ("*.example.org", True),
        ("*.*.example.org", False),
        ("*", False),
        ("example.org.", False),
        ("a_b.example", False),
        (None, False),
    ],
)
def test_domain_names_that_mailcow_takes(name: str | None, good: bool) -> None:
    """mailcow's check, with one leading wildcard allowed."""
    assert is_domain_name(name, wildcard=True) == good
