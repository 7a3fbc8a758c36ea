"""Tokens, sessions, attempts, hosts and origins, without any HTTP."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from sidecar.web.auth import (
    ALL_ATTEMPTS,
    ALL_WINDOW_S,
    FORGIVEN_S,
    FREE_ATTEMPTS,
    IDLE_S,
    LONGEST_S,
    LONGEST_WAIT_S,
    MOST_ADDRESSES,
    MOST_SESSIONS,
    Attempts,
    Sessions,
    Token,
    client_of,
    host_allowed,
    network,
    same_origin,
)
from sidecar.web.kit import WebSettings

ONE, OTHER = "192.0.2.1", "192.0.2.2"


@given(st.text(), st.text())
def test_only_the_token_matches_the_token(secret: str, given_text: str) -> None:
    """Also for texts that are not valid UTF-8."""
    assert Token.of(secret).matches(given_text) == (secret == given_text)


def test_token_is_kept_as_a_digest_alone() -> None:
    """A dump of the program's values does not show it."""
    assert b"horse" not in Token.of("correct horse").digest
    assert "horse" not in repr(Token.of("correct horse"))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"address": "localhost"}, "an interface has an address"),
        ({"port": 65_536}, "no such port"),
        ({"token": SecretStr("short")}, "could be guessed"),
    ],
)
def test_invalid_settings_are_refused(wrong: dict[str, object], why: str) -> None:
    """Without the token in the text."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - three kinds of mistake
        WebSettings(**wrong)  # type: ignore[arg-type]
    assert "short'" not in str(caught.value), why


# --- sessions --------------------------------------------------------------------------------------------


def test_session_lasts_while_it_is_used_and_a_week_at_most() -> None:
    """Both ends are tried."""
    sessions = Sessions()
    secret = sessions.begin(0.0)
    now = 0.0
    while now + IDLE_S <= LONGEST_S:
        now += IDLE_S
        assert sessions.get(secret, now) is not None
    assert sessions.get(secret, LONGEST_S + 1) is None
    idle = sessions.begin(0.0)
    assert sessions.get(idle, IDLE_S + 1) is None
    assert sessions.get(idle, 1.0) is None, "what has ended stays ended"


def test_session_that_was_ended_is_over() -> None:
    """Logging out counts at the server."""
    sessions = Sessions()
    secret = sessions.begin(0.0)
    sessions.end(secret)
    assert sessions.get(secret, 1.0) is None


def test_sessions_differ_and_are_bounded() -> None:
    """The one used longest ago makes room."""
    sessions = Sessions()
    secrets = [sessions.begin(float(n)) for n in range(MOST_SESSIONS + 1)]
    assert len(set(secrets)) == len(secrets)
    assert sessions.get(secrets[0], 200.0) is None
    assert sessions.get(secrets[1], 200.0) is not None
    csrf = {found.csrf for s in secrets[1:] if (found := sessions.get(s, 200.0)) is not None}
    assert len(csrf) == MOST_SESSIONS


# --- attempts --------------------------------------------------------------------------------------------


def test_wrong_tokens_wait_longer_each_time_up_to_a_bound() -> None:
    """The first few are free: people mistype."""
    attempts, now, waits = Attempts(), 0.0, []
    for _ in range(FREE_ATTEMPTS + 20):
        waits.append(attempts.wait(ONE, now))
        now += waits[-1] + ALL_WINDOW_S
        attempts.failed(ONE, now)
        waits[-1] = attempts.wait(ONE, now)
    assert waits[: FREE_ATTEMPTS - 1] == [0.0] * (FREE_ATTEMPTS - 1)
    growing = waits[FREE_ATTEMPTS - 1 :]
    assert growing[0] > 0
    assert growing == sorted(growing)
    assert growing[-1] == LONGEST_WAIT_S


def test_many_addresses_together_wait_too() -> None:
    """A flood of guesses from everywhere delays everyone, but not for long."""
    attempts = Attempts()
    for n in range(ALL_ATTEMPTS):
        attempts.failed(f"198.51.100.{n}", 0.0)
    assert attempts.wait(OTHER, 1.0) == pytest.approx(ALL_WINDOW_S - 1)
    assert attempts.wait(OTHER, ALL_WINDOW_S) == 0


def test_success_and_time_forgive() -> None:
    """The right token at once, an hour without a wrong one in the end."""
    attempts = Attempts()
    for _ in range(FREE_ATTEMPTS + 3):
        attempts.failed(ONE, 0.0)
        attempts.failed(OTHER, 0.0)
    attempts.succeeded(ONE)
    assert attempts.wait(ONE, 0.0) == 0
    assert attempts.wait(OTHER, FORGIVEN_S) == 0
    attempts.failed(OTHER, FORGIVEN_S)
    assert attempts.wait(OTHER, FORGIVEN_S) == 0, "counted from the start again"


def test_addresses_are_bounded() -> None:
    """Somebody with a million addresses does not fill the memory."""
    attempts = Attempts()
    for n in range(MOST_ADDRESSES + 50):
        attempts.failed(f"2001:db8:{n:x}::1", float(n * 100))
    assert len(attempts._of) == MOST_ADDRESSES


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("<script>", "unknown"),
    ],
)
def test_address_counts_as_its_network(address: str, counts_as: str) -> None:
    """A host of IPv6 has a /64 to itself."""
    assert network(address) == counts_as


PROXIES = (ip_network("172.22.1.0/24"), ip_network("2001:db8:1::/64"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "counts", "why"),
    [
        ("172.22.1.9", "198.51.100.7", "198.51.100.7", "nginx-mailcow says whom it speaks for"),
        ("172.22.1.9", "203.0.113.1, 198.51.100.7", "198.51.100.7", "the last is the proxy's own word"),
        ("172.22.1.9", "203.0.113.1, 198.51.100.7, 172.22.1.4", "198.51.100.7", "two proxies in a row"),
        ("172.22.1.9", "172.22.1.3, 172.22.1.4", "172.22.1.3", "nobody beyond them"),
        ("::ffff:172.22.1.9", "198.51.100.7", "198.51.100.7", "a socket for both families"),
        ("2001:db8:1::9", "2001:db8:2::7", "2001:db8:2::7", "IPv6"),
        ("172.22.2.9", "198.51.100.7", "172.22.2.9", "a private address is no proxy of ours"),
        ("127.0.0.1", "198.51.100.7", "127.0.0.1", "nor is this machine"),
        ("8.8.8.8", "198.51.100.7", "8.8.8.8", "a stranger may say what it likes"),
        ("172.22.1.9", "nonsense", "172.22.1.9", "no address"),
        ("172.22.1.9", "203.0.113.1, nonsense", "172.22.1.9", "what is before nonsense is a stranger's"),
        ("172.22.1.9", "", "172.22.1.9", "nothing said"),
        ("172.22.1.9", None, "172.22.1.9", "no proxy"),
        ("", "198.51.100.7", "", "no peer, as on a unix socket"),
    ],
)
def test_client_behind_a_proxy(peer: str, forwarded: str | None, counts: str, why: str) -> None:
    """Each client has its own limit if a proxy in the settings reports its address."""
    assert client_of(peer, forwarded, PROXIES) == counts, why
    assert client_of(peer, forwarded, ()) == peer, "no proxy is named"


# --- Host and Origin -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "allowed", "why"),
    [
        ("127.0.0.1:8480", True, "an address cannot be rebound"),
        ("[::1]:8480", True, "the same"),
        ("192.0.2.1", True, "the same"),
        ("localhost:8480", True, "browsers never ask the DNS for it"),
        ("page.localhost", True, "the same"),
        ("mta-sts-mailcow:8480", True, "a container's name has one label"),
        ("status.example.org", True, "the settings name it"),
        ("STATUS.example.org:443", True, "names have no case"),
        ("status.example.org.", True, "nor a final dot"),
        ("evil.example", False, "rebound to here by its owner"),
        ("127.0.0.1.evil.example", False, "only looks like an address"),
        ("localhost.evil.example", False, "only looks like localhost"),
        ("evil.example:80:80", False, "no Host at all"),
        ("user@localhost", False, "no Host at all"),
        ("", False, "HTTP/1.0"),
    ],
)
def test_hosts(host: str, allowed: bool, why: str) -> None:
    """What a stranger's name could be made to point to is refused."""
    assert host_allowed(host, frozenset({"status.example.org"})) is allowed, why


@pytest.mark.parametrize(
    ("origin", "site", "same", "why"),
    [
        ("http://here:8480", "same-origin", True, "a form of ours"),
        ("https://here:8480", None, True, "TLS ends at a proxy; an old browser"),
        ("https://here:8480", "same-site", False, "a sister site"),
        ("https://here:8480", "cross-site", False, "the browser says so"),
        ("http://here", None, False, "another port is another origin"),
        ("http://evil.example", None, False, "a stranger"),
        ("null", None, False, "a sandboxed frame, a file"),
        ("", None, False, "nothing said"),
        (None, "same-origin", False, "nothing said"),
        ("http://[", None, False, "no URL"),
        ("ftp://here:8480", None, False, "no page"),
    ],
)
def test_origins(origin: str | None, site: str | None, same: bool, why: str) -> None:
    """Only what our own page sends counts."""
    assert same_origin(origin, site, "here:8480") is same, why
