"""One name means one thing in the whole package."""

import ast
from collections import defaultdict

from tests.source import nodes


def test_no_two_classes_have_the_same_name() -> None:
    """Private ones included: a stack trace or a search shows only the name."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path, node in nodes(ast.ClassDef):
        places[node.name].append(path)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
