"""The one table of notice codes: whole, and used."""

import ast
from collections.abc import Iterator

from sidecar.observed.notice import UNSEEN, NoticeCode
from tests.source import nodes

TABLE = "observed/notice.py"


def notices() -> Iterator[tuple[str, ast.expr]]:
    """Each place in the source that makes a notice, and the code it gives."""
    for path, node in nodes(ast.Call):
        if path != TABLE and isinstance(node.func, ast.Name) and node.func.id == "Notice":
            named = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            yield f"{path}:{node.lineno}", (named or node.args[1:2])[0]


def test_no_notice_has_a_code_of_its_own() -> None:
    """A text in the place of the code would be in no table."""
    found = list(notices())
    assert len(found) > 30
    assert [place for place, code in found if isinstance(code, ast.Constant | ast.JoinedStr)] == []


def test_no_code_is_written_as_a_text() -> None:
    """What compares with a code names it."""
    codes = {code.value for code in NoticeCode}
    texts = [
        f"{path}:{node.lineno}" for path, node in nodes(ast.Constant) if path != TABLE and node.value in codes
    ]
    assert texts == []


def test_each_code_is_used() -> None:
    """A code that nothing gives any more goes out of the table."""
    named = {
        node.attr
        for path, node in nodes(ast.Attribute)
        if path != TABLE and isinstance(node.value, ast.Name) and node.value.id == "NoticeCode"
    }
    assert named == set(NoticeCode.__members__)


def test_each_code_has_a_name_and_one_sentence() -> None:
    """They stand in the documentation as they are."""
    for code in NoticeCode:
        assert code == code.value == str(code)
        assert code.meaning.endswith(".")
        assert ". " not in code.meaning
    assert len({code.meaning for code in NoticeCode}) == len(NoticeCode)


def test_unseen_are_those_by_that_name() -> None:
    """Each part that can be unseen is in both."""
    assert {code for code in NoticeCode if code.startswith("unseen.")} == UNSEEN
