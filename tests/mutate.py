"""Changes each decision of a module once, and lists the changes that no test notices. By hand:

    python -m tests.mutate                                    every module of `DECIDING`
    python -m tests.mutate sidecar/plan/guards.py             one of them, whole
    python -m tests.mutate sidecar/plan/guards.py:guarded     some of its functions
    python -m tests.mutate --quick sidecar/plan/native.py     without the tests that take longer

Nothing is written: a changed module is made in the memory of a process of its own.
"""

import ast
import contextlib
import copy
import importlib
import importlib.abc
import importlib.machinery
import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

LONGEST_S = 240
"""A change that makes the tests go on for ever is noticed, too."""
LATE = ("tests/test_explorer.py",)
"""What takes longer comes last."""
_ALREADY_IMPORTED = "ignore::pytest.PytestAssertRewriteWarning"
POLICIES = ("tests/plan/test_native.py", "tests/plan/test_file.py", "tests/rollout/test_rollout.py")
LEARNED = "tests/reconcile/learn/test_checks.py"
DECIDING: dict[str, tuple[str, ...]] = {
    "sidecar/plan/ownership.py": ("tests/plan/test_ownership.py", *POLICIES),
    "sidecar/plan/guards.py": (
        "tests/plan/test_guards.py",
        "tests/plan/acme/test_count.py",
        "tests/plan/test_redis.py",
        *POLICIES,
        "tests/plan/test_conf_entries.py",
        "tests/plan/test_schedule.py",
        "tests/plan/acme/test_restart.py",
        "tests/plan/acme/test_evidence.py",
    ),
    "sidecar/plan/schedule.py": ("tests/plan/test_schedule.py",),
    "sidecar/plan/acme/restart.py": (
        "tests/plan/acme/test_restart.py",
        "tests/plan/acme/test_repair.py",
        "tests/plan/acme/test_evidence.py",
    ),
    "sidecar/plan/acme/names.py": (
        "tests/plan/acme/test_names.py",
        "tests/plan/acme/test_count.py",
        "tests/plan/acme/test_restart.py",
        "tests/plan/acme/test_per_picture.py",
    ),
    "sidecar/plan/acme/run.py": (
        "tests/plan/acme/test_restart.py",
        "tests/plan/acme/test_evidence.py",
        "tests/plan/acme/test_budget.py",
        "tests/plan/acme/test_repair.py",
        "tests/plan/acme/test_standstill.py",
    ),
    "sidecar/plan/policy_ids.py": ("tests/plan/test_policy_ids.py",),
    "sidecar/plan/conf_entries.py": ("tests/plan/test_conf_entries.py", "tests/plan/test_desire.py"),
    "sidecar/plan/requests.py": ("tests/plan/test_requests.py",),
    "sidecar/rollout/reports.py": ("tests/rollout/test_reports.py",),
    "sidecar/rollout/__init__.py": ("tests/rollout/test_rollout.py", LEARNED),
    "sidecar/plan/native.py": ("tests/plan/test_native.py", LEARNED),
    "sidecar/plan/file.py": ("tests/plan/test_file.py", LEARNED),
    "sidecar/plan/desired_policies/native.py": (*POLICIES, LEARNED, "tests/reconcile/learn/test_policies.py"),
    "sidecar/plan/desired_policies/file.py": (*POLICIES, LEARNED, "tests/reconcile/learn/test_policies.py"),
    "sidecar/plan/desired_policies/safety.py": (*POLICIES, LEARNED, "tests/reconcile/learn/test_policies.py"),
    "sidecar/formats/mtasts_record.py": ("tests/verify/test_lint.py", "tests/plan/test_policy_ids.py"),
    "sidecar/formats/mtasts_policy.py": ("tests/formats/test_mtasts_policy.py", "tests/verify/test_lint.py"),
    "sidecar/status/log_lines.py": ("tests/status/test_log_lines.py",),
}

_OPERATORS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
}


@dataclass(frozen=True)
class Mutant:
    """A module with one change."""

    path: str
    line: int
    what: str
    tree: ast.Module


def mutants(path: str, functions: Sequence[str] = ()) -> Iterator[Mutant]:
    """Every change of one decision; only in these functions, where some are named."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    chosen = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and (not functions or node.name in functions)
    ]
    places = {id(node): node for function in chosen for node in ast.walk(function)}
    numbers = [number for number, node in enumerate(ast.walk(tree)) if id(node) in places]
    for number in numbers:
        original = _at(tree, number)
        for part, value in _changes(original):
            changed = copy.deepcopy(tree)
            before = ast.unparse(_shown(original))
            node = _at(changed, number)
            setattr(node, part, value)
            after = ast.unparse(_shown(node))
            yield Mutant(path, getattr(original, "lineno", 0), f"{before}  ->  {after}", changed)


def _at(tree: ast.Module, number: int) -> ast.AST:
    return next(node for index, node in enumerate(ast.walk(tree)) if index == number)


def _shown(node: ast.AST) -> ast.AST:
    """What tells a person enough: of an `if` only its condition."""
    return node.test if isinstance(node, ast.If) else node


def _changes(node: ast.AST) -> Iterator[tuple[str, object]]:
    """Which field of the node is set to what."""
    match node:
        case ast.Return(value=ast.Constant(value=bool(value))):
            yield "value", ast.Constant(value=not value)
        case ast.Return(value=ast.Constant(value=int(value) | float(value))):
            yield "value", ast.Constant(value=value + 1)
        case _:
            yield from _changes_of_conditions(node)


def _changes_of_conditions(node: ast.AST) -> Iterator[tuple[str, object]]:
    match node:
        case ast.Compare(ops=[op]):
            for other in _OPERATORS[type(op)]:
                yield "ops", [other()]
        case ast.BoolOp(op=op):
            yield "op", ast.Or() if isinstance(op, ast.And) else ast.And()
        case ast.If() | ast.IfExp():
            yield "test", ast.Constant(value=True)
            yield "test", ast.Constant(value=False)
        case ast.comprehension(ifs=[_, *_]):
            for index, _condition in enumerate(node.ifs):
                yield "ifs", [*node.ifs[:index], *node.ifs[index + 1 :]]
        case ast.match_case(guard=ast.expr()):
            yield "guard", None
            yield "guard", ast.Constant(value=False)
        case ast.UnaryOp(op=ast.Not()):
            yield "operand", ast.UnaryOp(ast.Not(), node.operand)
        case _:
            pass


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads the changed module in place of the one on the disk."""

    def __init__(self, mutant: Mutant) -> None:
        self._name = mutant.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self._path = mutant.path
        self._code = compile(ast.fix_missing_locations(mutant.tree), mutant.path, "exec")

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Only for the one module."""
        if fullname != self._name:
            return None
        package = Path(self._path).name == "__init__.py"
        spec = importlib.machinery.ModuleSpec(fullname, self, origin=self._path, is_package=package)
        if package:
            spec.submodule_search_locations = [str(Path(self._path).parent)]
        return spec

    def exec_module(self, module: ModuleType) -> None:
        """Runs the changed code."""
        module.__file__ = self._path
        exec(self._code, module.__dict__)  # noqa: S102 - this is what it is for


def survives(mutant: Mutant | None, tests: Sequence[str]) -> bool:
    """Whether all tests pass all the same; in a child, for modules stay as they were imported."""
    child = os.fork()
    if child == 0:
        _run(mutant, tests)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def _run(mutant: Mutant | None, tests: Sequence[str]) -> None:
    signal.alarm(LONGEST_S)
    code = 1
    with contextlib.suppress(BaseException), contextlib.redirect_stdout(io.StringIO()):
        if mutant is not None:
            sys.meta_path.insert(0, _Changed(mutant))
        code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-W", _ALREADY_IMPORTED, *tests]))
    os._exit(code)


def _warm() -> None:
    """What every child needs is imported once, but for what is changed and what tests it."""
    for name in ("hypothesis.stateful", "yaml", "pydantic", "aiohttp", "cryptography.x509", "dns.message"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def main(given: Sequence[str]) -> int:
    """Prints each change that survives, and the figures; `--quick` first leaves out the tests that take longer."""
    _warm()
    late = () if "--quick" in given else LATE
    given = [argument for argument in given if argument != "--quick"]
    alive = total = 0
    for argument in given or [*DECIDING]:
        path, _, functions = argument.partition(":")
        chosen = [*filter(None, functions.split(","))]
        tests = (*DECIDING[path], *late)
        if not survives(None, tests):
            print(f"{path}: the tests fail without any change")
            return 1
        found = list(mutants(path, chosen))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            outcomes = pool.map(lambda mutant, tests=tests: survives(mutant, tests), found)
            left = 0
            for mutant, survived in zip(found, outcomes, strict=True):
                if survived:
                    left += 1
                    print(f"{path}:{mutant.line}: {mutant.what}", flush=True)
        print(f"{path}: {len(found)} changes, {len(found) - left} noticed, {left} not", flush=True)
        total, alive = total + len(found), alive + left
    print(f"in all {total} changes, {total - alive} noticed, {alive} not")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
