"""The package's source code, parsed once for all tests that look at it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

PACKAGE = Path(__file__).parents[1] / "sidecar"
Node = TypeVar("Node", bound=ast.AST)
_KINDS = (ast.Attribute, ast.Call, ast.ClassDef, ast.Constant)


@cache
def _nodes() -> tuple[tuple[str, ast.AST], ...]:
    return tuple(
        (str(path.relative_to(PACKAGE)), node)
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, _KINDS)
    )


def nodes(kind: type[Node]) -> Iterator[tuple[str, Node]]:
    """Each attribute, call, class or constant of the package, with its file."""
    for path, node in _nodes():
        if isinstance(node, kind):
            yield path, node
