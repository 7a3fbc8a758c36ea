"""The tables of the README that are made from the code; `python -m tests.readme_tables` writes them anew."""

from collections.abc import Sequence
from pathlib import Path

from sidecar.mailcow.engine.calls import ENGINE_CALLS
from sidecar.observed.findings import Code
from sidecar.verify import codes, probe_codes
from sidecar.verify.rules import policy_id as staleness

README = Path(__file__).parents[1] / "README.md"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def all_codes() -> list[Code]:
    """Every code of every finding, by name."""
    return sorted((*codes.ALL, *probe_codes.ALL, *staleness.ALL), key=lambda code: code.name)


TABLES = {
    "codes": table(
        ["code", "usually", "meaning", "section"],
        [[f"`{c.name}`", str(c.severity), c.meaning, c.section] for c in all_codes()],
    ),
    "engine": table(
        ["call", "for", "why"], [[f"`{c.method} {c.path}`", str(c.purpose), c.why] for c in ENGINE_CALLS]
    ),
}


def rendered(readme: str) -> str:
    """The README with its tables as the code has them."""
    for name, text in TABLES.items():
        before, begin, rest = readme.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        readme = f"{before}{begin}{text}\n{end}{after}"
    return readme


if __name__ == "__main__":
    README.write_text(rendered(README.read_text()))
