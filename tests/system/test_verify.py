"""A sender's view of real servers: BIND and unbound, nginx, postfix and pebble, right and wrong in many ways.

The loopback tests have a case for every code; these show that real servers say the same.
"""

import asyncio
import hashlib
import http.server
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sidecar.observed.checks import Severity
from sidecar.verify.run import Checked, Probing, Wanted, check_many
from tests.system.sender_view import (
    LOOPBACK,
    RESOLVER,
    Site,
    certificate,
    folder_for,
    nginx,
    pebble,
    postfix,
    resolver,
    self_signed,
)

DOMAIN, MX_HOST = "example.test", "mail.example.test"
WEB, OLD_WEB = 8443, 8444
MAIL, PLAIN_MAIL, OLD_MAIL, EXPIRED_MAIL, NO_MAIL = 2525, 2526, 2527, 2528, 2529
REDIRECT = "location / { return 301 https://www.example.test$request_uri; }"
HUGE = "rewrite ^ /.well-known/huge.txt break;"
HTML = "location / { default_type text/html; types { } }"
SLOW = "location / { limit_rate 1; }"
# Of a domain below the zone: its nginx block, and the one code that is worse than a notice.
CASES = {
    "good": ("good", "", None),
    "expired": ("expired", "", "policy-cert-expired"),
    "wrongname": ("wrongname", "", "policy-cert-name"),
    "selfsigned": ("selfsigned", "", "policy-cert-self-signed"),
    "rogue": ("rogue", "", "policy-cert-issuer"),
    "redirect": ("good", REDIRECT, "policy-redirect"),
    "missing": ("good", "location / { return 404; }", "policy-status"),
    "html": ("good", HTML, "policy-media-type"),
    "huge": ("good", HUGE, "policy-too-large"),
    "slow": ("good", SLOW, "policy-timeout"),
}


def zone(tlsa: str = "") -> list[str]:
    """The records of `example.test`, and of a domain below it for each case."""
    lines = [
        "@ MX 10 mail.example.test.",
        "mail A 127.0.0.1",
        *([f"_25._tcp.mail TLSA {tlsa}"] if tlsa else []),
    ]
    for domain in ("@", *CASES):
        below = "" if domain == "@" else f".{domain}"
        lines += [
            f'_mta-sts{below} TXT "v=STSv1; id=1;"',
            f'_smtp._tls{below} TXT "v=TLSRPTv1; rua=mailto:reports@elsewhere.test"',
            f"mta-sts{below} A 127.0.0.1",
        ]
        if below:
            lines.append(f"{domain} MX 10 mail.example.test.")
    return [
        *lines,
        "delegated MX 10 mail.example.test.",
        "mta-sts.delegated A 127.0.0.1",
        "_mta-sts.delegated CNAME _mta-sts",
    ]


def of_key(path: Path) -> str:
    """The `3 1 1` TLSA record of the certificate in this file."""
    (leaf, *_) = x509.load_pem_x509_certificates(path.read_bytes())
    key = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert len(leaf.fingerprint(hashes.SHA256())) == 32
    return f"3 1 1 {hashlib.sha256(key).hexdigest()}"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Whom the checks trust."""
    return trustme.CA()


@pytest.fixture(scope="module")
def folder(authority: trustme.CA) -> Iterator[Path]:
    """Certificates of all kinds."""
    with folder_for("sts") as path:
        authority.cert_pem.write_to_path(path / "root.pem")
        hosts = [f"mta-sts.{name}.{DOMAIN}" for name in (*CASES, "delegated")]
        certificate(authority, path / "good.pem", f"mta-sts.{DOMAIN}", *hosts)
        certificate(authority, path / "mail.pem", MX_HOST)
        certificate(authority, path / "expired.pem", f"mta-sts.expired.{DOMAIN}", MX_HOST, expired=True)
        certificate(authority, path / "wrongname.pem", f"*.{DOMAIN}")
        certificate(trustme.CA(), path / "rogue.pem", f"mta-sts.rogue.{DOMAIN}")
        self_signed(path / "selfsigned.pem", f"mta-sts.selfsigned.{DOMAIN}")
        yield path


@pytest.fixture(scope="module")
def names(folder: Path) -> Iterator[None]:
    """A signed zone, the same one with broken signatures, and one without."""
    with resolver({DOMAIN: zone(of_key(folder / "mail.pem"))}, ["bogus.test"], ["plain.test"]):
        yield


@pytest.fixture(scope="module")
def probing(names: None, folder: Path) -> Probing:
    """How the checks get to all this; the slow site is given two seconds."""
    return Probing(
        resolver=(LOOPBACK, RESOLVER),
        extra_root=folder / "root.pem",
        https_port=WEB,
        smtp_port=MAIL,
        https_s=2.0,
        dns_s=3.0,
    )


@pytest.fixture(scope="module")
def web(folder: Path) -> Iterator[None]:
    """nginx with a site for each case, chosen by SNI."""
    sites = [Site(f"mta-sts.{name}.{DOMAIN}", pem, more) for name, (pem, more, _) in CASES.items()]
    sites += [Site(f"mta-sts.{DOMAIN}", "good"), Site(f"mta-sts.delegated.{DOMAIN}", "good")]
    old = "ssl_protocols TLSv1 TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;"
    with nginx(folder, {WEB: sites, OLD_WEB: [Site(f"mta-sts.{DOMAIN}", "good", old)]}):
        yield


@pytest.fixture(scope="module")
def mail(folder: Path) -> Iterator[None]:
    """postfix with and without STARTTLS, and with TLS 1.1 at most."""
    chain = f"smtpd_tls_chain_files={folder}/mail.pem"
    old = [chain, "smtpd_tls_protocols=<=TLSv1.1", "tls_medium_cipherlist=ALL:@SECLEVEL=0"]
    services: dict[int, Sequence[str]] = {
        MAIL: [chain],
        PLAIN_MAIL: ["smtpd_tls_security_level=none"],
        OLD_MAIL: old,
        EXPIRED_MAIL: [f"smtpd_tls_chain_files={folder}/expired.pem"],
    }
    with folder_for("postfix") as place, postfix(place, services):
        yield


async def checked(probing: Probing, *domains: str) -> dict[str, Checked]:
    """What a check finds of these domains, by domain."""
    results = await check_many([Wanted(domain) for domain in domains], probing, time.time)
    return {result.domain: result for result in results}


def bad(result: Checked) -> set[str]:
    """The codes of what is worse than a notice."""
    return {finding.code for finding in result.findings if finding.severity.rank > Severity.NOTICE.rank}


async def test_policies_of_a_real_web_server(probing: Probing, web: None, mail: None) -> None:
    """Each site is found to be what it is, and nothing else is wrong with its domain."""
    found = await checked(probing, *(f"{name}.{DOMAIN}" for name in CASES))
    expected = {f"{name}.{DOMAIN}": {code} if code else set() for name, (_, _, code) in CASES.items()}
    assert {domain: bad(result) for domain, result in found.items()} == expected


DIFFERENCES = {
    "html": "§3.3 has the sender check the media type; checkdmarc warns only",
    "huge": "§3.3 allows a limit of 64 KB, which mail servers have; checkdmarc reads on",
}
"""Where checkdmarc judges otherwise than we do, by RFC 8461."""


async def test_checkdmarc_agrees(probing: Probing, web: None, mail: None, folder: Path) -> None:
    """It finds the same policies usable, but for the listed ones; the slow one would take it minutes."""
    domains = [f"{name}.{DOMAIN}" for name in CASES if name != "slow"]
    ports = {"dns": RESOLVER, "https": WEB, "smtp": MAIL, "root": str(folder / "root.pem")}
    command = [sys.executable, "-m", "tests.system.by_checkdmarc", json.dumps(ports), *domains]
    made = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    theirs = json.loads(made.stdout)
    ours = await checked(probing, *domains)
    differing = {
        domain.partition(".")[0]
        for domain in domains
        if theirs[domain]["policy"] != (not any(code.startswith("policy-") for code in bad(ours[domain])))
    }
    assert differing == set(DIFFERENCES)
    assert all(theirs[domain]["reports"] and theirs[domain]["starttls"] for domain in domains)


async def test_all_is_well_with_dnssec_dane_and_a_delegated_record(
    probing: Probing, web: None, mail: None
) -> None:
    """A signed zone, TLSA of the key in use, and a record behind a CNAME (RFC 8461 §8.2)."""
    found = await checked(probing, DOMAIN, f"delegated.{DOMAIN}")
    for result in found.values():
        assert bad(result) == set()
        for code in (
            "txt-found",
            "policy-fetched",
            "mx-covered",
            "mx-tls",
            "dane-validated",
            "dnssec-validated",
            "caa-none",
        ):
            assert result.has(code), code
    assert found[f"delegated.{DOMAIN}"].has("txt-alias")


async def test_a_zone_whose_signatures_fail_is_told_from_a_dead_one(
    probing: Probing, web: None, mail: None
) -> None:
    """The resolver says SERVFAIL for both; only one of them answers when nobody validates."""
    found = await checked(probing, "bogus.test", "plain.test", "absent.test")
    assert found["bogus.test"].has("dnssec-bogus")
    assert found["plain.test"].has("txt-found")
    assert found["plain.test"].has("dnssec-absent")
    assert found["absent.test"].has("txt-nxdomain")


@pytest.mark.parametrize(
    ("port", "code"),
    [
        (PLAIN_MAIL, "mx-no-starttls"),
        (OLD_MAIL, "mx-tls-old"),
        (2528, "mx-cert-expired"),
        (2529, "mx-refused"),
    ],
)
async def test_mx_of_a_real_mail_server(
    port: int, code: str, probing: Probing, web: None, mail: None
) -> None:
    """In enforce a host without trusted TLS is critical, and one that cannot be reached from here is unknown."""
    result = (await checked(replace(probing, smtp_port=port), DOMAIN))[DOMAIN]
    (finding,) = [finding for finding in result.findings if finding.code == code]
    assert finding.severity is (Severity.UNKNOWN if code == "mx-refused" else Severity.CRITICAL)


async def test_a_web_server_of_old_tls(probing: Probing, web: None, mail: None) -> None:
    """TLS 1.1 at most."""
    result = (await checked(replace(probing, https_port=OLD_WEB), DOMAIN))[DOMAIN]
    assert bad(result) == {"policy-tls-old"}


async def test_a_certificate_ordered_by_acme_is_accepted(probing: Probing, mail: None) -> None:
    """From the order of the name to a sender's fetch, with the client that mailcow uses."""
    with folder_for("acme") as place, pebble(place) as directory:
        (place / "challenges/.well-known/acme-challenge").mkdir(parents=True)
        with challenges(place / "challenges"):
            order(place, directory, f"mta-sts.{DOMAIN}")
        with nginx(place, {WEB + 10: [Site(f"mta-sts.{DOMAIN}", "ordered")]}):
            asked = replace(probing, https_port=WEB + 10)
            untrusted = (await checked(asked, DOMAIN))[DOMAIN]
            trusted = (await checked(replace(asked, extra_root=place / "root.pem"), DOMAIN))[DOMAIN]
    assert untrusted.has("policy-cert-issuer")
    assert trusted.has("policy-fetched")


@contextmanager
def challenges(root: Path) -> Iterator[None]:
    """A web server for the challenges of ACME."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(root))  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
            pass

    with http.server.ThreadingHTTPServer((LOOPBACK, 5002), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


def order(place: Path, directory: str, name: str) -> None:
    """Order a certificate for this name; key and chain are then in `ordered.pem`."""

    def run(*command: str, **environment: str) -> bytes:
        made = subprocess.run(command, check=True, capture_output=True, env=environment or None)
        return made.stdout

    key, account, request = place / "key.pem", place / "account.pem", place / "csr"
    run("openssl", "genrsa", "-out", str(account), "2048")
    wanted: Sequence[str] = ["-subj", "/", "-addext", f"subjectAltName=DNS:{name}"]
    run(
        "openssl",
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        str(key),
        "-out",
        str(request),
        *wanted,
    )
    chain = run(
        *[sys.executable, "-m", "acme_tiny", "--quiet", "--disable-check", "--directory-url", directory],
        *["--account-key", str(account), "--csr", str(request)],
        *["--acme-dir", str(place / "challenges/.well-known/acme-challenge")],
        SSL_CERT_FILE=str(place / "client.pem"),
    )
    (place / "ordered.pem").write_bytes(key.read_bytes() + chain)
