"""What the values of mailcow.conf mean."""

import pytest

from sidecar.observed import Conf


@pytest.mark.parametrize(
    ("text", "port"),
    [
        (None, 443),
        (" ", 443),
        (" 8443 ", 8443),
        ("1", 1),
        ("65535", 65_535),
        ("0", None),
        ("65536", None),
        ("-1", None),
        ("8443/tcp", None),
        ("٤٤٣", None),
        ("²", None),
        ("9" * 5_000, None),
    ],
)
def test_port_is_a_number_from_1_to_65535_in_ascii_digits(text: str | None, port: int | None) -> None:
    """The default stands only for what is not given; anything else that is not a port is for the caller to judge."""
    assert Conf({} if text is None else {"HTTPS_PORT": text}).port("HTTPS_PORT", 443) == port
