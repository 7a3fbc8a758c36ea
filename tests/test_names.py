"""One name means one thing in the whole package, and what a comment, docstring or page names is there."""

import ast
import re
import sys
from collections import defaultdict
from functools import cache

from tests.source import PACKAGE, nodes

ROOT = PACKAGE.parent
ROOMS = {"sidecar", "demo", "tests", *(path.name for path in PACKAGE.iterdir() if path.is_dir())}
SOURCES = sorted(path for name in ("sidecar", "demo", "tests") for path in (ROOT / name).rglob("*.py"))
PAGES = {*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")} - {ROOT / "CHANGELOG.md"}
OTHERS = [*sorted(PAGES), *(ROOT / name for name in ("Makefile", "Dockerfile", "pyproject.toml", ".ci/run"))]


@cache
def prose() -> dict[str, str]:
    """The comments and docstrings of each source file, and each page as it is, by path from the root."""
    found = {str(path.relative_to(ROOT)): path.read_text() for path in OTHERS}
    for path in SOURCES:
        parts = re.findall(r'""".*?"""|(?:^|\s)#[^\n]*', path.read_text(), re.DOTALL)
        found[str(path.relative_to(ROOT))] = "\n".join(parts)
    return found


def test_no_two_classes_have_the_same_name() -> None:
    """Private ones included: a stack trace or a search shows only the name."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path, node in nodes(ast.ClassDef):
        places[node.name].append(path)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_files_and_folders_that_are_named_exist() -> None:
    """A Python file anywhere, a module or folder of a room between backticks: by its path, or the end of its path."""
    folders = {
        path for name in ("sidecar", "demo", "tests") for path in (ROOT / name).rglob("*") if path.is_dir()
    }
    there = [f"/{path.relative_to(ROOT)}" for path in (*SOURCES, *folders)]
    ends = {path[at:] for path in there for at, sign in enumerate(path) if sign == "/"}
    wrong: list[str] = []
    for place, text in prose().items():
        named: list[str] = re.findall(r"(?<![}\w/.-])[\w/.-]*\w\.py\b", text)
        paths: list[str] = re.findall(r"`((?:\w+/)+\w*)`", text)
        named += [path for path in paths if path.partition("/")[0] in ROOMS]
        paths = [f"/{name.strip('./')}" for name in named]
        wrong += [f"{place}: {path}" for path in paths if not ends & {path, f"{path}.py"}]
    assert wrong == []


def test_functions_and_classes_that_are_named_with_their_module_are_in_it() -> None:
    """For `module.name` where some module of the package defines `name`: `module` is one of those, or its folder."""
    defined: set[str] = set()
    homes = {"_smtp": {"_tls"}}  # a name in the DNS
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        defined |= set(re.findall(r"^(?:class|(?:async )?def) (\w+)", text, re.MULTILINE))
        names = set(re.findall(r"^ *(?:class|(?:async )?def) (\w+)", text, re.MULTILINE))
        homes[path.stem] = homes.get(path.stem, set()) | names
        homes[path.parent.name] = homes.get(path.parent.name, set()) | names | {path.stem}
    wrong: list[str] = []
    for place, text in prose().items():
        named: list[tuple[str, str]] = re.findall(r"`(?:\w+\.)*([a-z_]\w*)\.(\w+)(?:\(\))?`", text)
        wrong += [
            f"{place}: {module}.{name}"
            for module, name in named
            if place.endswith(".py") and name in defined and module not in sys.stdlib_module_names
            if name not in homes.get(module, ())
        ]
    assert wrong == []
