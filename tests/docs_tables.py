"""The tables in `docs/` and the description of the API, made from the code; `python -m tests.docs_tables` writes them."""

import ast
import dataclasses
import enum
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

import sidecar.settings
from sidecar.mailcow.engine.calls import ENGINE_CALLS
from sidecar.observed.checks import Code
from sidecar.observed.notice import NoticeCode
from sidecar.settings import Settings
from sidecar.settings.dns import DnsSettings
from sidecar.settings.load import _PARTS, _Given
from sidecar.verify import codes, probe_codes
from sidecar.verify.rules import policy_id
from tests.openapi import described

ROOT = Path(__file__).parents[1]
OPENAPI = ROOT / "sidecar/web/openapi.json"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def all_codes() -> list[Code]:
    """Every code of every finding, by name."""
    return sorted((*codes.ALL, *probe_codes.ALL, *policy_id.ALL), key=lambda code: code.name)


@cache
def field_docs() -> Mapping[tuple[str, str], str]:
    """The docstring below each field of each class in `sidecar.settings`, by class and field."""
    found: dict[tuple[str, str], str] = {}
    for path in sorted(Path(sidecar.settings.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ClassDef):
                continue
            for field, after in zip(node.body, node.body[1:], strict=False):
                match field, after:
                    case (
                        ast.AnnAssign(target=ast.Name(id=name)),
                        ast.Expr(value=ast.Constant(value=str(text))),
                    ):
                        found[node.name, name] = " ".join(text.split())
                    case _:
                        pass
    return found


def shown(value: object) -> str:
    """A default as it would stand in config.yml."""
    match value:
        case None | dataclasses.MISSING:
            return ""
        case bool():
            return str(value).lower()
        case enum.Enum():
            return str(value.value)
        case (str(host), int(port)):
            return f"{host}:{port}"
        case frozenset() | tuple() | list():
            return ", ".join(sorted(map(shown, value)))
        case SecretStr():
            raise ValueError("a secret has no default that could be shown")
        case _:
            return str(value)


def settings_rows() -> list[list[str]]:
    """Key, default and meaning of every key of config.yml."""
    docs = field_docs()
    defaults = Settings()
    rows: list[list[str]] = []
    for key in _Given.model_fields:
        if key == "dns":
            rows += [
                [
                    f"`dns.{name}`",
                    f"`{default}`" if (default := _dns_default(one)) else "",
                    docs["DnsSettings", name],
                ]
                for name, one in DnsSettings.model_fields.items()
            ]
            continue
        part = _PARTS.get(key)
        if part is None:
            default = shown(getattr(defaults, key))
            rows.append([f"`{key}`", f"`{default}`" if default else "", docs["Settings", key]])
            continue
        prefix = "domains.NAME" if key == "domains" else key
        for field in dataclasses.fields(part):
            default = "" if key == "domains" else shown(field.default)
            meaning = docs[part.__name__, field.name]
            rows.append([f"`{prefix}.{field.name}`", f"`{default}`" if default else "", meaning])
    return rows


def _dns_default(field: FieldInfo) -> str:
    return "" if field.default == {} else shown(field.default)


def tables() -> Mapping[str, str]:
    """Each table by the name of its file in `docs/` and its marker there."""
    return {
        "settings.md settings": table(["key", "default", "meaning"], settings_rows()),
        "finding-codes.md codes": table(
            ["code", "usually", "meaning", "section"],
            [[f"`{c.name}`", str(c.severity), c.meaning, c.section] for c in all_codes()],
        ),
        "finding-codes.md notices": table(
            ["code", "meaning"], [[f"`{code.value}`", code.meaning] for code in NoticeCode]
        ),
        "rights.md engine": table(
            ["call", "for", "why"], [[f"`{c.method} {c.path}`", str(c.purpose), c.why] for c in ENGINE_CALLS]
        ),
    }


def rendered(file: str, text: str) -> str:
    """A page with its tables as the code has them."""
    for place, made in tables().items():
        where, _, name = place.partition(" ")
        if where == file:
            before, begin, rest = text.partition(f"<!-- {name} -->\n")
            _, end, after = rest.partition(f"<!-- /{name} -->")
            text = f"{before}{begin}{made}\n{end}{after}"
    return text


def openapi_text() -> str:
    """The description of the JSON API, as the package has it."""
    return json.dumps(described(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for page in sorted({place.partition(" ")[0] for place in tables()}):
        path = ROOT / "docs" / page
        path.write_text(rendered(page, path.read_text()))
    OPENAPI.write_text(openapi_text())
