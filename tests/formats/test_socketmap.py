"""Postfix's socketmap protocol: exactly what it says, and nothing that is only like it."""

import pytest

from sidecar.formats.socketmap import MOST, Reply, SocketmapAnswer, length_of, reply_of, request


def test_request_is_a_netstring_in_octets() -> None:
    """Table and key, parted by a space."""
    assert request("QUERY", "example.org") == b"17:QUERY example.org,"


@pytest.mark.parametrize(("digits", "length"), [(b"0", 0), (b"17", 17), (b"100000", MOST)])
def test_length(digits: bytes, length: int) -> None:
    """Up to what Postfix takes."""
    assert length_of(digits) == length


@pytest.mark.parametrize(
    "digits", [b"", b"017", b"-1", b"+1", b" 1", b"1 ", b"1_0", b"x", b"100001", b"9999999", "١".encode()]
)
def test_invalid_length_is_refused(digits: bytes) -> None:
    """What Python's own int() would take too."""
    with pytest.raises(ValueError, match="length"):
        length_of(digits)


@pytest.mark.parametrize(
    ("payload", "reply"),
    [
        (
            b"OK secure match=a.example servername=hostname",
            Reply(SocketmapAnswer.OK, "secure match=a.example servername=hostname"),
        ),
        (b"NOTFOUND ", Reply(SocketmapAnswer.NOTFOUND, "")),
        (b"TEMP ", Reply(SocketmapAnswer.TEMP, "")),
        (b"PERM no", Reply(SocketmapAnswer.PERM, "no")),
        (b"TIMEOUT ", Reply(SocketmapAnswer.TIMEOUT, "")),
    ],
)
def test_reply(payload: bytes, reply: Reply) -> None:
    """The five words of the protocol."""
    assert reply_of(payload) == reply


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"OK",
        b"OK ",
        b"ok dane",
        b"NOTFOUND",
        b"MAYBE x",
        b"OK \xff",
        b"OK \x1b[31m",
        b"OK a\nb",
        b"\xffOK a",
    ],
)
def test_invalid_reply_is_refused(payload: bytes) -> None:
    """Also words for a terminal."""
    with pytest.raises(ValueError, match="socketmap"):
        reply_of(payload)
