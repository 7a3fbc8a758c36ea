"""Which addresses senders elsewhere cannot reach."""

import pytest

from sidecar.formats.address import is_private


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.5",
        "100.64.0.1",
        "169.254.1.1",
        "fd00::1",
        "fe80::1",
    ],
)
def test_private(address: str) -> None:
    """RFC 1918, 6598, 3927, 4193 and 4291."""
    assert is_private(address)


@pytest.mark.parametrize(
    "address",
    [
        "192.0.2.1",
        "172.32.0.1",
        "100.128.0.1",
        "2001:db8::1",
        "127.0.0.1",
        "::1",
        "",
        "nginx-mailcow (172.22.1.9)",
    ],
)
def test_not_private(address: str) -> None:
    """Loopback is not meant, nor what is not an address."""
    assert not is_private(address)
