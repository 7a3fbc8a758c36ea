"""config.yml with the line of each key, and the wording of errors in the settings.

Rules for every editor. An error in the file is not an exception: it is collected with its line, and says what is
accepted. Values stay text. The check of values does not belong here (`values`), nor does the list of keys, which
`settings` passes in.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml
from pydantic_core import ErrorDetails, PydanticCustomError

from sidecar.settings.values import domain_name

Place: TypeAlias = tuple[int | str, ...]
"""The keys, and the numbers in lists, that lead to a value."""


@dataclass
class Tree:
    """config.yml as plain data (values as text, so that `no` does not become false), with the line of each key."""

    data: Any = field(default_factory=dict)
    lines: dict[Place, int] = field(default_factory=lambda: {(): 1})
    mistakes: list[tuple[int, str]] = field(default_factory=list)

    @classmethod
    def read(cls, config: bytes) -> "Tree":
        """The content of config.yml; YAML errors are among the mistakes."""
        tree = cls()
        try:
            root = yaml.compose(config, yaml.SafeLoader)
        except yaml.YAMLError as error:
            line, text = 1, "not a text in UTF-8; accepted: YAML"
            if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
                line, problem = (
                    error.problem_mark.line + 1,
                    ": ".join(filter(None, (error.context, error.problem))),
                )
                hint = " (a value that begins with * must stand in quotes)" if "alias" in problem else ""
                text = f"not YAML: {problem}{hint}; accepted: YAML"
            tree.mistakes.append((line, text))
            return tree
        if root is not None and not _is_null(root):
            tree.data = tree._read(root, (), ())
            tree._judge_domains()
        return tree

    def _read(self, node: yaml.Node, path: Place, above: tuple[yaml.Node, ...]) -> object:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if any(node is one for one in above):
            self.mistakes.append(
                (self.lines[path], f"{dotted(path)}it contains itself; accepted: plain values")
            )
            return {}
        if isinstance(node, yaml.ScalarNode):
            return node.value
        above = (*above, node)
        if isinstance(node, yaml.SequenceNode):
            return [self._read(one, (*path, n), above) for n, one in enumerate(node.value)]
        found: dict[str, object] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.mistakes.append((line, f"{dotted(path)}a key is a list or a mapping; accepted: a word"))
                continue
            name = str(key.value)
            inner = (*path, name)
            if inner in self.lines:
                before = self.lines[inner]
                self.mistakes.append(
                    (line, f"{dotted(inner)}given in line {before} already; accepted: each key once")
                )
                continue
            self.lines[inner] = line
            if not _is_null(value):
                found[name] = self._read(value, inner, above)
            elif path == ("domains",):
                found[name] = {}
        return found

    def _judge_domains(self) -> None:
        """The keys under `domains` are names; different spellings may mean the same domain."""
        seen: dict[str, str] = {}
        domains = self.data.get("domains") if isinstance(self.data, dict) else None
        for name in domains if isinstance(domains, dict) else ():
            path: Place = ("domains", name)
            try:
                known = seen.setdefault(domain_name(name), name)
            except PydanticCustomError as error:
                self.mistakes.append((self.lines[path], f"domains: {error.message()}"))
                continue
            if known != name:
                line = self.lines["domains", known]
                self.mistakes.append(
                    (
                        self.lines[path],
                        f"domains: {name!r} is {known!r} of line {line}; accepted: each domain once",
                    )
                )

    def known(self, loc: Place) -> Place:
        """The part of a path that exists in the file."""
        while loc not in self.lines:
            loc = loc[:-1]
        return loc


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and bool(node.tag == "tag:yaml.org,2002:null")


def dotted(path: Place) -> str:
    """The place as the prefix of an error; empty for the whole file."""
    text = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"{text[1:]}: " if path else ""


_SECRETS: Mapping[Place, str] = {
    ("api_key",): "MTA_STS_API_KEY, or API_KEY in mailcow.conf",
    ("web", "token"): "MTA_STS_WEB_TOKEN",
    ("reports", "imap", "password"): "MTA_STS_IMAP_PASSWORD",
}
"""Where a secret does not belong, and where it does."""


def said(detail: ErrorDetails, keys: Callable[[Place], list[str]]) -> str:
    """What is wrong and what is accepted; `keys` returns the accepted keys at a place."""
    loc = detail["loc"]
    match detail["type"]:
        case "mistake":
            return detail["msg"]
        case "extra_forbidden" | "unexpected_keyword_argument" if loc in _SECRETS:
            return f"not here, where others may read it; accepted: {_SECRETS[loc]}"
        case "extra_forbidden" | "unexpected_keyword_argument":
            name, accepted = str(loc[-1]), keys(loc[:-1])
            if f"{name}_file" in accepted:
                known = f"{name}_file (a path) or {name}_env (a variable)"
                return f"not here, where others may read it; accepted: {known}"
            return unknown_name("key", name, accepted)
        case "missing":
            return f"{str(loc[-1]).rstrip('_')}: missing; it has no default"
        case "too_long":
            return f"too many; accepted: at most {detail['ctx']['max_length']}"
        case kind:
            if kind in {"tuple_type", "frozen_set_type"}:
                return "not a list; accepted: a list, or one name"
            known = f": {', '.join(keys(loc))}" if loc != ("domains",) else ", each a domain name"
            return f"not a mapping; accepted: keys with values{known}"


def unknown_name(kind: str, name: str, accepted: Iterable[str]) -> str:
    """The error for an unknown key or variable."""
    names = sorted(accepted)
    near = difflib.get_close_matches(name, names, n=1)
    meant = f", did you mean {near[0]}?" if near else ""
    return f"there is no such {kind}{meant}; accepted: {', '.join(names)}"
