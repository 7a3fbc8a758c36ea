"""Texts of strangers are shown in one line, without control characters, and cut."""

import pytest

from sidecar.formats.text import cut, one_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("post für Ω", "post für Ω"),
        ("a\x1b[31mb\r\nc\td", "a [31mb  c d"),
        ("left\u202eright\ud800", "left right "),
    ],
)
def test_control_characters_are_replaced_one_by_one(text: str, shown: str) -> None:
    """By a space, or by what the caller asks for."""
    assert printable(text) == shown
    assert printable(text, "") == "".join(c for c in text if c.isprintable())


def test_a_text_is_cut_only_when_it_is_too_long() -> None:
    """The ellipsis counts."""
    assert cut("abcde", 5) == "abcde"
    assert cut("abcdef", 5) == "abcd…"


def test_one_line_folds_white_space_before_it_cuts() -> None:
    """So what is left out is text, not spaces."""
    assert one_line(" a\n\n\x07 b \u2028c ", 5) == "a b c"
    assert one_line("a" + " " * 50 + "bcdef", 5) == "a bc…"
