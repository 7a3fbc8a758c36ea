"""Addresses, variables and differences in Compose files."""

import pytest

from sidecar.init.services import Services, differences

TEXT = b"""\
services:
  one:
    build: {context: ./one}
    environment:
      GIVEN: 1
      PASSED:
    networks:
      mailcow-network:
        ipv4_address: ${IPV4_NETWORK:-172.22.1}.247
  two:
    build: ./two
    environment:
      - GIVEN=a=b
      - PASSED
      - EMPTY=
      - FROM_CONF=${KEY:-}
    networks: !override
      mailcow-network: {ipv4_address: "$IPV4_NETWORK.248"}
  three:
    networks: [mailcow-network]
  four:
  five:
    networks: {other: {ipv4_address: 172.22.1.249}}
"""
SERVICES = Services.read(TEXT)
CONF = {"IPV4_NETWORK": "10.1.2"}


@pytest.mark.parametrize(
    ("name", "conf", "address"),
    [
        ("one", {}, "172.22.1.247"),
        ("one", CONF, "10.1.2.247"),
        ("two", CONF, "10.1.2.248"),
        ("three", CONF, None),
        ("four", CONF, None),
        ("five", CONF, None),  # another network
        ("none", CONF, None),
    ],
)
def test_fixed_address(name: str, conf: dict[str, str], address: str | None) -> None:
    """Variables are mailcow.conf's, and only mailcow's network counts."""
    assert SERVICES.address(name, conf) == address


def test_holder_of_an_address() -> None:
    """Any service except the one passed in."""
    assert SERVICES.holder("10.1.2.247", CONF, but="two") == "one"
    assert SERVICES.holder("10.1.2.247", CONF, but="one") is None


@pytest.mark.parametrize(
    ("name", "conf", "expected"),
    [
        ("one", {}, {"GIVEN": "1"}),
        ("two", {}, {"GIVEN": "a=b"}),
        ("two", {"KEY": "k"}, {"GIVEN": "a=b", "FROM_CONF": "k"}),
        ("three", {}, {}),
    ],
)
def test_variables_with_a_value(name: str, conf: dict[str, str], expected: dict[str, str]) -> None:
    """A list and a mapping are equal; what is passed through or empty has no value."""
    assert SERVICES.variables(name, conf) == expected


def test_build_context_in_both_forms() -> None:
    """As a word and as a mapping."""
    assert [SERVICES.context(name, {}) for name in ("one", "two", "three")] == ["./one", "./two", None]


def test_differences_name_keys_and_no_values() -> None:
    """Keys of either side."""
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}) == ["b", "c"]


@pytest.mark.parametrize(
    "data", [None, b"", b"# x\n", b"services:\n", b"- a\n", b"services: [a]\n", b"a: b\n"]
)
def test_file_without_services_has_none(data: bytes | None) -> None:
    """That is an answer, not an error."""
    assert Services.read(data).by_name == {}


def test_broken_file_is_an_error_without_its_text() -> None:
    """A password on the line is not repeated."""
    with pytest.raises(ValueError, match="line 2 cannot be read as YAML") as caught:
        Services.read(b"services:\n  one: [hunter2}\n")
    assert "hunter2" not in str(caught.value)
