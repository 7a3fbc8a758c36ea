"""What acme-mailcow's log says of its last run."""

import pytest

from sidecar.mailcow.engine.look import last_run
from sidecar.observed import AcmeRun, RefusedFor
from tests.acme_cases import CASES, AcmeCase

BEGIN = "Using existing domain rsa key /var/lib/acme/acme/key.pem"
AT = 1_795_608_000.0


def log(*lines: str, second: int = 0) -> list[str]:
    """Lines as the Engine gives them, with its time stamps, and acme-mailcow's own date."""
    return [
        f"2026-11-25T12:00:{second + n:02}.123456789Z Wed Nov 25 12:00:{second + n:02} UTC 2026 - {line}"
        for n, line in enumerate(lines)
    ]


def run_of(*lines: str) -> AcmeRun:
    """The run with these lines."""
    found = last_run(log(BEGIN, *lines))
    assert found is not None
    return found


def test_log_without_a_run_has_none() -> None:
    """It waits for Redis, say."""
    assert last_run(log("Waiting for Docker API...", "Docker API OK")) is None
    assert last_run([]) is None
    assert last_run(["no time stamp - Using existing domain rsa key"]) is None


@pytest.mark.parametrize(
    ("line", "ipv4", "ipv6"),
    [
        ("OK: 192.0.2.10, 2001:db8::10", "192.0.2.10", "2001:db8::10"),
        ("OK: 192.0.2.10, 0000:0000:0000:0000:0000:0000:0000:0000", "192.0.2.10", None),
        ("OK: , 2001:db8::10", None, "2001:db8::10"),
    ],
)
def test_detected_addresses(line: str, ipv4: str | None, ipv6: str | None) -> None:
    """As it prints them."""
    found = run_of("Detecting IP addresses...", line)
    assert (found.ipv4, found.ipv6, found.detected, found.at) == (ipv4, ipv6, True, AT)


def test_addresses_that_were_not_detected_are_not_known() -> None:
    """With SKIP_IP_CHECK=y it looks for none."""
    assert run_of("Found A record for mail.host.test: 192.0.2.10").detected is False


@pytest.mark.parametrize(
    ("lines", "name", "why", "address"),
    [
        (
            (
                "Found A record for mta-sts.a.test: 192.0.2.10",
                "Confirmed A record with IP 192.0.2.10, but HTTP validation failed",
            ),
            "mta-sts.a.test",
            RefusedFor.HTTP,
            "192.0.2.10",
        ),
        (
            ("Cannot match your IP 192.0.2.10 against hostname MTA-STS.a.test (DNS returned 198.51.100.7)",),
            "mta-sts.a.test",
            RefusedFor.ADDRESS,
            "198.51.100.7",
        ),
        (
            ("Cannot match your IP  against hostname a.test (DNS returned 198.51.100.7)",),
            "a.test",
            RefusedFor.ADDRESS,
            "198.51.100.7",
        ),
        (("No A or AAAA record found for hostname x.test",), "x.test", RefusedFor.NO_ADDRESS, None),
        (("Lets Encrypt disallowed for b.test by CAA record",), "mta-sts.b.test", RefusedFor.CAA, None),
        (
            (
                "Skipping ACME validation for web.b.test: Lets Encrypt disallowed for web.b.test by CAA record",
            ),
            "web.b.test",
            RefusedFor.CAA,
            None,
        ),
        (
            ("MTA-STS is not enabled for a.test - skipping mta-sts subdomain certificate",),
            "mta-sts.a.test",
            RefusedFor.POLICY,
            None,
        ),
        (
            ("ValueError: Challenge did not pass for mta-sts.a.test: {'status': 'invalid'}",),
            "mta-sts.a.test",
            RefusedFor.ORDER,
            None,
        ),
    ],
)
def test_verdict_against_a_name(
    lines: tuple[str, ...], name: str, why: RefusedFor, address: str | None
) -> None:
    """Its words, its reason and the address that it saw."""
    refusal = run_of(*lines).refusal(name)
    assert refusal is not None
    assert (refusal.why, refusal.address) == (why, address)
    assert lines[-1] in refusal.words


def test_name_that_passed_is_not_refused() -> None:
    """And the family is known to work."""
    found = run_of(
        "Found A record for mta-sts.a.test: 192.0.2.10",
        "Confirmed A record 192.0.2.10",
        "Found AAAA record for mail.host.test: 2001:db8::10 - skipping A record check",
        "Confirmed AAAA record with IP 2001:0db8:0000:0000:0000:0000:0000:0010",
    )
    assert (found.refused, found.confirmed) == ({}, frozenset({4, 6}))


def test_only_the_last_run_counts() -> None:
    """What it refused the day before may pass by now."""
    found = last_run(
        log(BEGIN, "No A or AAAA record found for hostname x.test")
        + log(BEGIN, "OK: 192.0.2.10, ::", second=30)
    )
    assert found is not None
    assert (found.refusal("x.test"), found.at) == (None, AT + 30)


def test_failure_of_the_order_is_kept_in_its_words() -> None:
    """A few lines, the last ones."""
    line = "Failed to obtain certificate /var/lib/acme/mail/cert.pem for domains 'mail.host.test'"
    assert run_of(*[f"{line} {n}" for n in range(5)]).failure == tuple(f"{line} {n}" for n in (2, 3, 4))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_log_of_the_table_shows_what_failed(case: AcmeCase) -> None:
    """Each line of a verdict in the table of cases is understood."""
    found = run_of(*case.log)
    for line in case.log:
        if "against hostname" in line or "No A or AAAA" in line or "disallowed" in line:
            refusals = [*found.refused.values(), *found.refused_parents.values()]
            assert any(line in refusal.words for refusal in refusals), line
    detected = next((line for line in case.log if line.startswith("OK: ")), None)
    assert found.detected is (detected is not None)


@pytest.mark.parametrize(
    "date",
    [
        "Wed Nov 25 09:00:00 -03 2026",  # TZ=America/Sao_Paulo: a zone without letters
        "Wed Nov  5 16:30:00 +0430 2026",
        "Wed Nov 25 12:00:00  2026",
        "mercredi 25 novembre 2026, 12:00:00 (UTC+0000)",
    ],
)
def test_detected_addresses_are_found_in_every_time_zone(date: str) -> None:
    """What `date` prints is the container's affair."""
    lines = [f"2026-11-25T12:00:00Z {date} - {line}" for line in (BEGIN, "OK: 192.0.2.10, 2001:db8::10")]
    found = last_run(lines)
    assert found is not None
    assert (found.detected, found.ipv4, found.ipv6) == (True, "192.0.2.10", "2001:db8::10")


def test_words_of_a_verdict_keep_a_dash_of_their_own() -> None:
    """Only the date goes."""
    line = "MTA-STS is not enabled for a.test - skipping mta-sts subdomain certificate"
    refusal = run_of(line).refusal("mta-sts.a.test")
    assert refusal is not None
    assert refusal.words == line


def test_addresses_that_its_probe_reached_are_kept() -> None:
    """Not those whose probe failed."""
    found = run_of(
        "Found A record for mta-sts.a.test: 192.0.2.10",
        "Confirmed A record 192.0.2.10",
        "Found A record for mta-sts.b.test: 192.0.2.11",
        "Confirmed A record with IP 192.0.2.11, but HTTP validation failed",
        "Confirmed AAAA record with IP 2001:0db8:0000:0000:0000:0000:0000:0010",
    )
    assert found.reached == {"192.0.2.10", "2001:0db8:0000:0000:0000:0000:0000:0010"}
