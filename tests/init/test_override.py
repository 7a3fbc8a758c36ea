"""The service is inserted into any override file that allows it; no byte of the file changes."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.init.override import SERVICE, VOLUME, Merged, Present, RefusedOverride, merge
from sidecar.init.run import template
from tests.init.overrides import MERGEABLE, REFUSED

REPOSITORY = Path(__file__).parents[2]
TEMPLATE = template()
OURS = yaml.safe_load(TEMPLATE)


class Loader(yaml.SafeLoader):
    """Keeps Compose's own tags beside their values."""


def tagged(loader: Loader, suffix: str, node: yaml.Node) -> object:
    """A value with its tag."""
    match node:
        case yaml.SequenceNode():
            return suffix, loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            return suffix, loader.construct_mapping(node, deep=True)
        case _:
            return suffix, node.value


Loader.add_multi_constructor("!", tagged)


def loaded(data: bytes) -> dict[str, Any]:
    """What a file says; a section without a value counts as missing."""
    content = yaml.load(data, Loader=Loader) or {}  # noqa: S506  a SafeLoader
    return {key: value for key, value in content.items() if value is not None}


def merged(override: bytes | None) -> bytes:
    """The text with the service in it."""
    match merge(override, TEMPLATE):
        case Merged(data=data):
            return data
        case other:
            raise AssertionError(other)


def assert_only_added(before: bytes, after: bytes) -> None:
    """`after` is `before` with lines inserted, and with our entries and nothing else in it."""
    rest = loaded(after)
    for section, name in (("services", SERVICE), ("volumes", VOLUME)):
        assert rest[section].pop(name) == OURS[section][name]
        if not rest[section] and not loaded(before).get(section):
            del rest[section]
    assert rest == loaded(before)
    new = iter(after.split(b"\n"))
    old = before.split(b"\n")
    line_end = b"\r" if b"\r\n" in before else b""
    for number, line in enumerate(old, 1):
        wanted = {line} if number < len(old) else {line, line + line_end}
        assert any(other in wanted for other in new), line


def test_file_of_the_repository_is_what_init_writes_for_a_fresh_mailcow() -> None:
    """The service has one text, whether copied by hand or written by init."""
    assert merged(None) == (REPOSITORY / "docker-compose.override.yml").read_bytes()


@pytest.mark.parametrize("empty", [b"", b"\n\n", b"  \r\n"])
def test_empty_file_is_written_whole(empty: bytes) -> None:
    """An empty file counts as missing."""
    assert merged(empty) == TEMPLATE


@pytest.mark.parametrize("text", MERGEABLE.values(), ids=MERGEABLE)
def test_service_is_inserted(text: str) -> None:
    """All that was there stays, to the byte, and means the same. A second merge changes nothing."""
    assert_only_added(text.encode(), merged(text.encode()))


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_refusal_says_why(text: str, reason: str) -> None:
    """A file without a safe place is left unchanged, with a reason and something to do."""
    match merge(text.encode(), TEMPLATE):
        case RefusedOverride(reason=said, todo=todo):
            assert reason in said
            assert todo
        case other:
            raise AssertionError(other)


@pytest.mark.parametrize("data", [b"services:\n  one: {image: \xff}\n", "services:\n".encode("utf-16")])
def test_other_encodings_are_refused(data: bytes) -> None:
    """What is not UTF-8 is not edited."""
    assert isinstance(merge(data, TEMPLATE), RefusedOverride)


def test_refusal_contains_no_value_of_the_file() -> None:
    """A password on the broken line is not repeated."""
    refused = merge(b'services:\n  one:\n    environment:\n      PASSWORD: "hunter2\n', TEMPLATE)
    assert isinstance(refused, RefusedOverride)
    assert "hunter2" not in refused.reason + refused.todo


def test_service_follows_the_last_one_and_its_comments() -> None:
    """Lines commented out below a service stay with it; a comment of the next section stays there."""
    text = "services:\n  one:\n    image: x\n    # ports:\n\n# ours\nnetworks:\n  other:\n"
    lines = merged(text.encode()).decode().splitlines()
    place = lines.index(f"  {SERVICE}:")
    assert lines[place - 2 : place] == ["    # ports:", ""]
    assert lines[lines.index("# ours") - 2 :] == [
        "    #   - ${MTA_STS_WEB_BIND:-127.0.0.1:8480}:8480",
        "",
        "# ours",
        "networks:",
        "  other:",
        "",
        "volumes:",
        f"  {VOLUME}:",
    ]


def test_indentation_follows_the_file() -> None:
    """With four columns for services, the service begins in the fifth."""
    data = merged(b"services:\n    one:\n        image: x\nvolumes:\n   data:\n")
    assert f"\n    {SERVICE}:\n".encode() in data
    assert data.endswith(f"   data:\n   {VOLUME}:\n".encode())


def test_line_ends_follow_the_file() -> None:
    """A file with CRLF gets no single LF."""
    data = merged(MERGEABLE["CRLF"].encode())
    assert b"\n" not in data.replace(b"\r\n", b"")


def test_missing_line_end_is_added_first() -> None:
    """A file that ends in the middle of a line is continued on the next one."""
    assert merged(b"services:\n  one:\n    image: x").startswith(b"services:\n  one:\n    image: x\n\n")


def test_somebodys_own_service_is_left_alone() -> None:
    """A service of that name counts as present, whatever it is."""
    assert merge(f"services:\n  {SERVICE}:\n    image: own\n".encode(), TEMPLATE) == Present()


def test_missing_volume_of_a_service_that_is_there_is_added() -> None:
    """Somebody copied the service without the volume at the end."""
    text = TEMPLATE[: TEMPLATE.index(b"\nvolumes:")]
    match merge(text, TEMPLATE):
        case Merged(data=data, sections=sections):
            assert sections == ("volumes",)
            assert loaded(data) == OURS
        case other:
            raise AssertionError(other)


# --- any file -----------------------------------------------------------------------------------------------

BLANK_OR_COMMENT = st.sampled_from(["", "\n", "# a comment\n", "\n\n# services:\n\n"])
INNER = st.sampled_from(
    [
        "image: x\n",
        "image: 'x'  # y\n",
        "ports: [80, '443']\n",
        "ports:\n- 80\n- 443\n",
        "ports:\n  - 80\n",
        "command: |\n  a\n\n  # b\n",
        "command: >-\n  a\n  b\n",
        "command: |+\n  a\n\n\n",
        "labels: {a: b}\n",
        "labels:\n  a: b\n  c: 'd'\n",
        "command: 'a\n\n  b'\n",
        "env_file: a\n  b\n",
        "deploy: !reset null\n",
        "dns:\n",
        "# ports:\n",
        "build:\n  context: .\n  # dockerfile: x\n",
    ]
)


@st.composite
def entry(draw: st.DrawFn, name: str, indent: int) -> str:
    """A service or a volume, indented."""
    inner = draw(st.lists(INNER, max_size=3, unique_by=lambda text: text.split(":")[0]))
    lines = [f"{name}:"]
    for text in inner:
        lines += [f"{' ' * indent}{line}".rstrip() for line in text.removesuffix("\n").split("\n")]
    return "".join(f"{' ' * indent}{line}".rstrip() + "\n" for line in lines)


@st.composite
def section(draw: st.DrawFn, key: str) -> str:
    """A top-level section with entries, comments and blank lines between them."""
    indent = draw(st.integers(1, 4))
    names = draw(st.lists(st.sampled_from(["one", "two", "three"]), unique=True))
    parts = [f"{key}:\n"]
    for name in names:
        parts += [draw(BLANK_OR_COMMENT), draw(entry(name, indent))]
    return "".join([*parts, draw(BLANK_OR_COMMENT)])


@st.composite
def overrides(draw: st.DrawFn) -> str:
    """An override file: sections in any order, LF or CRLF, with or without a line end."""
    keys = draw(st.permutations(["services", "volumes", "networks", "x-more"]))
    texts = [draw(section(key)) for key in keys[: draw(st.integers(0, 4))]]
    head = draw(st.sampled_from(["", "# head\n", "version: '3'\n", "---\n", "\ufeff# head\n"]))
    text = "".join([head, *texts])
    if draw(st.booleans()):
        text = text.removesuffix("\n")
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@pytest.mark.integration
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(overrides())
def test_any_override_is_merged_or_refused_for_its_missing_line_end(text: str) -> None:
    """The service is added to files that people write; the rest is unchanged, and a second merge changes nothing."""
    data = text.encode()
    match merge(data, TEMPLATE):
        case Merged(data=after):
            if text.strip():
                assert_only_added(data, after)
            assert merge(after, TEMPLATE) == Present()
        case RefusedOverride(reason=reason):
            assert not text.endswith("\n")
            assert "no line end" in reason or "safely" in reason
        case Present():
            raise AssertionError(text)


PIECES = st.sampled_from([
    "services", "volumes", SERVICE, VOLUME, "one", ":", ": ", "\n", "\n  ", "\n    ", "- ", "&a ", "*a", "{", "}", "[", "]",
    "|", ">", "'", '"', "#", " # ", "!x ", "~", "---\n", "...\n", "\t", "\r\n", "<<", "? ",
])  # fmt: skip


@pytest.mark.integration
@given(st.lists(PIECES, max_size=25).map("".join))
def test_a_merge_never_raises_and_changes_no_meaning(text: str) -> None:
    """Whatever the file contains: only our entries are added."""
    match merge(text.encode(), TEMPLATE):
        case Merged(data=after, sections=("services", "volumes")) if text.strip():
            assert_only_added(text.encode(), after)
        case Merged() | Present() | RefusedOverride():
            pass
