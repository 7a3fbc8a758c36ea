"""A policy host and an MX host with an IPv4 and an IPv6 address, where one of both is not as it should be.

Real nginx and postfix in a network namespace, which has 127.0.0.1 and ::1 and no other IPv6 route.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from sidecar.observed.checks import ConditionType, Finding, Status
from sidecar.rollout.evidence import conditions_of
from sidecar.verify.run import Probing, check
from tests.system.sender_view import (
    LOOPBACK,
    RESOLVER,
    Site,
    certificate,
    folder_for,
    nginx,
    postfix,
    resolver,
)

ZONE, MX_HOST = "example.test", "mail.example.test"
WEB, BOTH, PLAIN_SIX, WRONG_SIX = 8443, 2525, 2526, 2527
DOMAINS = {"good": "::1", "otherweb": "::1", "noroute": "2001:db8::443"}
"""By domain: the AAAA record of its policy host, and of its MX host `mail.<domain>`."""


@pytest.fixture(scope="module")
def names() -> Iterator[None]:
    """Each domain's hosts have both families."""
    lines = []
    for domain, six in DOMAINS.items():
        lines += [
            f'_mta-sts.{domain} TXT "v=STSv1; id=1;"',
            f"{domain} MX 10 {'mail' if six == '::1' else f'mail.{domain}'}",
            f"mta-sts.{domain} A 127.0.0.1",
            f"mta-sts.{domain} AAAA {six}",
            f"mail.{domain} A 127.0.0.1",
            f"mail.{domain} AAAA {six}",
        ]
    with resolver({ZONE: [*lines, "mail A 127.0.0.1", "mail AAAA ::1"]}, [], []):
        yield


@pytest.fixture(scope="module")
def probing(names: None) -> Iterator[Probing]:
    """nginx and postfix at both addresses; at ::1 they differ by domain and by port."""
    authority = trustme.CA()
    with folder_for("two") as folder, folder_for("postfix") as place:
        authority.cert_pem.write_to_path(folder / "root.pem")
        hosts = [f"mta-sts.{domain}.{ZONE}" for domain in DOMAINS]
        certificate(authority, folder / "web.pem", *hosts)
        certificate(authority, folder / "mail.pem", MX_HOST, f"mail.noroute.{ZONE}")
        certificate(authority, folder / "other.pem", "other.test")
        sites = [Site(host, "web") for host in hosts]
        sites += [
            Site(hosts[0], "web", address="[::1]"),
            Site(hosts[1], "web", "location / { return 404; }", address="[::1]"),
        ]
        good = [f"smtpd_tls_chain_files={folder}/mail.pem"]
        four = dict.fromkeys((BOTH, PLAIN_SIX, WRONG_SIX), good)
        six = {
            BOTH: good,
            PLAIN_SIX: ["smtpd_tls_security_level=none"],
            WRONG_SIX: [f"smtpd_tls_chain_files={folder}/other.pem"],
        }
        with nginx(folder, {WEB: sites}), postfix(place, four, six=six):
            yield Probing(
                resolver=(LOOPBACK, RESOLVER),
                extra_root=Path(folder) / "root.pem",
                https_port=WEB,
                smtp_port=BOTH,
                dns_s=3.0,
            )


async def seen(probing: Probing, domain: str) -> tuple[dict[str, Finding], dict[ConditionType, Status]]:
    """What a check finds, by code, and what it makes of the conditions."""
    checked = await check(f"{domain}.{ZONE}", probing, time.time)
    statuses = {kind: one.status for kind, one in conditions_of(checked.findings).items()}
    return {finding.code: finding for finding in checked.findings}, statuses


async def test_both_families_are_probed(probing: Probing) -> None:
    """And both are named where all is well."""
    found, statuses = await seen(probing, "good")
    assert found["policy-fetched"].message.endswith("(at 127.0.0.1, ::1)")
    assert found["mx-tls"].message.endswith("(at 127.0.0.1, ::1)")
    assert statuses[ConditionType.POLICY_SERVED] is Status.TRUE
    assert statuses[ConditionType.MX_AUTHENTICATED] is Status.TRUE


@pytest.mark.parametrize(("port", "code"), [(PLAIN_SIX, "mx-no-starttls"), (WRONG_SIX, "mx-cert-name")])
async def test_an_mx_that_fails_over_ipv6_only(port: int, code: str, probing: Probing) -> None:
    """It is critical, its address is named, and nothing goes to enforce."""
    found, statuses = await seen(replace(probing, smtp_port=port), "good")
    assert found[code].severity == "critical"
    assert found[code].message.endswith("(at ::1)")
    assert found["mx-tls"].message.endswith("(at 127.0.0.1)")
    assert statuses[ConditionType.MX_AUTHENTICATED] is Status.FALSE


async def test_another_web_server_behind_the_aaaa_record(probing: Probing) -> None:
    """Senders that prefer IPv6 get no policy."""
    found, statuses = await seen(probing, "otherweb")
    assert found["policy-status"].message == "status 404 instead of 200 (at ::1)"
    assert found["policy-fetched"].message.endswith("(at 127.0.0.1)")
    assert statuses[ConditionType.POLICY_SERVED] is Status.FALSE


async def test_a_family_without_a_route_is_unknown(probing: Probing) -> None:
    """Neither failed nor passed."""
    found, statuses = await seen(probing, "noroute")
    for code in ("policy-no-route", "mx-no-route"):
        assert found[code].severity == "unknown"
        assert "2001:db8::443" in found[code].message
        assert "no IPv6 route" in found[code].message
    assert statuses[ConditionType.POLICY_SERVED] is Status.UNKNOWN
    assert statuses[ConditionType.MX_AUTHENTICATED] is Status.UNKNOWN
