"""Whether a response of mailcow's API is an answer, and what is reported where it is not."""

import pytest

from sidecar.mailcow.answers import read_domains
from sidecar.mailcow.response import AccessDenied, DeniedCause, NotReadable
from tests.mailcow.recorded import answer, recorded


@pytest.mark.parametrize(
    ("status", "body", "cause", "address"),
    [
        (401, {"type": "error", "msg": "authentication failed"}, DeniedCause.WRONG_KEY, None),
        (401, {"type": "error", "msg": "something new"}, DeniedCause.WRONG_KEY, None),
        (401, {"type": "error", "msg": "api access denied for ip 10.0.0.9"}, DeniedCause.ADDRESS, "10.0.0.9"),
        (401, {"type": "error", "msg": "api access denied for ip fd4d::9"}, DeniedCause.ADDRESS, "fd4d::9"),
        (403, {"type": "error", "msg": "API read/write access denied"}, DeniedCause.READ_ONLY, None),
        (403, {"type": "error", "msg": "Insufficient permissions"}, DeniedCause.NO_KEY, None),
        (401, "<html>401 Authorization Required</html>", DeniedCause.OTHER, None),
        (403, "<html>403 Forbidden</html>", DeniedCause.OTHER, None),
        (403, "", DeniedCause.OTHER, None),
    ],
)
def test_a_refusal_says_why(status: int, body: object, cause: DeniedCause, address: str | None) -> None:
    """The cause is typed, and where mailcow sees us is passed on."""
    with pytest.raises(AccessDenied) as caught:
        read_domains(answer(body, status))
    assert (caught.value.cause, caught.value.address) == (cause, address)


def test_refusals_tell_what_to_do() -> None:
    """The address to add and where; and when the two settings are read at all."""
    refused = answer(
        {"type": "error", "msg": "api access denied for ip 172.22.1.9"}, 401, "text/html", "GET x"
    )
    with pytest.raises(AccessDenied, match=r"GET x.*Add 172\.22\.1\.9 to API_ALLOW_FROM") as caught:
        read_domains(refused)
    assert "read only when php-fpm-mailcow is re-created" in str(caught.value)
    assert "docker compose up -d" in str(caught.value)
    for cause in (DeniedCause.WRONG_KEY, DeniedCause.READ_ONLY, DeniedCause.NO_KEY):
        assert "docker compose up -d" in str(AccessDenied(cause, "GET x"))


def test_recorded_refusals() -> None:
    """Every recorded 401 and 403 of a call with a key is explained as what it was recorded for."""
    expected = {
        "address": DeniedCause.ADDRESS,
        "allow list": DeniedCause.ADDRESS,
        "read-only": DeniedCause.READ_ONLY,
    }
    seen = set()
    for exchange in recorded("*/authentication"):
        if exchange.answer.status not in {401, 403} or not exchange.key:
            continue
        with pytest.raises(AccessDenied) as caught:
            read_domains(exchange.answer)
        wanted = next(
            (cause for word, cause in expected.items() if exchange.note.startswith(word)),
            DeniedCause.WRONG_KEY,
        )
        assert caught.value.cause is wanted, exchange
        seen.add(wanted)
    assert seen == {DeniedCause.WRONG_KEY, DeniedCause.ADDRESS, DeniedCause.READ_ONLY}


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (301, "HTTP_REDIRECT"),
        (308, "HTTP_REDIRECT"),
        (405, "php-fpm"),
        (500, "database"),
        (502, "php-fpm"),
        (204, "204"),
    ],
)
def test_other_statuses_are_explained(status: int, word: str) -> None:
    """A status that is no answer says what it means with mailcow."""
    with pytest.raises(NotReadable, match=word):
        read_domains(answer("<html><style>p {}</style>\x1b[31mOops</html>", status, "text/html"))


def test_an_excerpt_is_for_people() -> None:
    """No tags, no control characters, no more than a line."""
    page = "<html><style>p { x }</style><b>Database &lt;failed&gt;</b>\n\x1b[31m" + "x" * 1000
    text = answer(page).excerpt()
    assert text.startswith("Database <failed> [31mxxx")
    assert len(text) == 160
