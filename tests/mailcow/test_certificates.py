"""The certificates below data/assets/ssl, as acme-mailcow leaves them."""

import os
import stat
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from sidecar.mailcow.certificates import CertificateFolder
from sidecar.observed import Certificate, Certificates, Issuer, Seen, Unseen
from tests.verify.certificates import Kind, leaf

NOW = 1_700_000_000.0
START = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
END = START + timedelta(days=90)
KEY = ec.generate_private_key(ec.SECP256R1())
LETS_ENCRYPT = {
    NameOID.COUNTRY_NAME: "US",
    NameOID.ORGANIZATION_NAME: "Let's Encrypt",
    NameOID.COMMON_NAME: "R3",
}


def issued(
    *sans: str, common_name: str = "", issuer: dict[x509.ObjectIdentifier, str] = LETS_ENCRYPT
) -> x509.Certificate:
    """A certificate with these names; without any it has a common name only, as mailcow's own."""
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(subject))
        .issuer_name(x509.Name([x509.NameAttribute(oid, text) for oid, text in issuer.items()]))
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(START)
        .not_valid_after(END)
    )
    if sans:
        names = x509.SubjectAlternativeName([x509.DNSName(name) for name in sans])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(KEY, hashes.SHA256())


def put(path: Path, *chain: x509.Certificate) -> None:
    """Write a chain as acme-tiny does: the leaf first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\n".join(certificate.public_bytes(Encoding.PEM) for certificate in chain))


def put_sni(ssl: Path, name: str, *chain: x509.Certificate) -> None:
    """A folder as acme-mailcow keeps one for each of its certificates."""
    put(ssl / name / "cert.pem", *chain)
    (ssl / name / "domains").write_text(name)


def put_backups(ssl: Path, name: str, folders: Sequence[str]) -> None:
    """Backups of a certificate, one for each order that replaced it."""
    for folder in folders:
        (ssl / "backups" / name / folder).mkdir(parents=True)


@pytest.fixture
def ssl(tmp_path: Path) -> Path:
    """The folder for certificates of the mailcow in `tmp_path`."""
    folder = tmp_path / "data/assets/ssl"
    folder.mkdir(parents=True)
    return folder


def seen(mailcow_dir: Path, tz: str | None = None) -> Certificates:
    """What a fresh look sees."""
    match CertificateFolder().observe(mailcow_dir, NOW, tz):
        case Seen(value, at):
            assert at == NOW
            return value
        case Unseen(reason):
            pytest.fail(reason)


def unseen(mailcow_dir: Path) -> str:
    """Why a fresh look sees nothing."""
    match CertificateFolder().observe(mailcow_dir, NOW):
        case Unseen(reason, at):
            assert at == NOW
            return reason
        case Seen(value):
            pytest.fail(f"seen: {value}")


def test_server_certificate_is_the_leaf_of_cert_pem(tmp_path: Path, ssl: Path) -> None:
    """Names, dates, issuer and fingerprint are those of the first certificate in the file."""
    leaf, above = issued("Mail.Example.ORG", "mta-sts.example.org"), issued("ca.test")
    put(ssl / "cert.pem", leaf, above)
    assert seen(tmp_path) == Certificates(
        Certificate(
            folder="",
            names=frozenset({"mail.example.org", "mta-sts.example.org"}),
            not_before=START.timestamp(),
            not_after=END.timestamp(),
            issuer=Issuer.LETS_ENCRYPT,
            fingerprint=sha256(leaf.public_bytes(Encoding.DER)).hexdigest(),
        )
    )


def test_common_name_counts_only_without_san(tmp_path: Path, ssl: Path) -> None:
    """mailcow's own certificate has a common name alone; a SAN takes its place (RFC 6125 §6.4.4)."""
    put(ssl / "cert.pem", issued(common_name="Mail.example.org"))
    put_sni(ssl, "other", issued("a.test", common_name="b.test"))
    found = seen(tmp_path)
    assert found.server is not None
    assert found.server.names == {"mail.example.org"}
    assert found.sni[0].names == {"a.test"}


@pytest.mark.parametrize(
    ("issuer", "expected"),
    [
        (LETS_ENCRYPT, Issuer.LETS_ENCRYPT),
        # the staging environment of old, and today's, whose organization says it
        ({NameOID.COMMON_NAME: "Fake LE Intermediate X1"}, Issuer.LETS_ENCRYPT),
        ({NameOID.ORGANIZATION_NAME: "(STAGING) Let's Encrypt"}, Issuer.LETS_ENCRYPT),
        # what generate_config.sh makes
        ({NameOID.ORGANIZATION_NAME: "mailcow", NameOID.COMMON_NAME: "mail.example.org"}, Issuer.MAILCOW),
        # acme-mailcow looks for the word anywhere, so this one is replaced as well
        ({NameOID.COMMON_NAME: "CA of mailcow.example.org"}, Issuer.MAILCOW),
        # the case counts
        ({NameOID.COMMON_NAME: "Mailcow"}, Issuer.OTHER),
        ({NameOID.ORGANIZATION_NAME: "Example Trust"}, Issuer.OTHER),
        ({}, Issuer.OTHER),
    ],
)
def test_issuer_is_recognised_as_acme_does(
    tmp_path: Path, ssl: Path, issuer: dict[x509.ObjectIdentifier, str], expected: Issuer
) -> None:
    """Whether acme-mailcow would replace the certificate hangs on words in its issuer."""
    put(ssl / "cert.pem", issued("a.test", issuer=issuer))
    server = seen(tmp_path).server
    assert server is not None
    assert server.issuer is expected


def test_no_certificate_is_an_answer(tmp_path: Path, ssl: Path) -> None:
    """A new mailcow has none yet."""
    assert seen(tmp_path) == Certificates(None)


def test_without_an_ssl_folder_nothing_is_seen(tmp_path: Path) -> None:
    """A wrong or missing mount must not look like a mailcow without certificates."""
    assert "is mailcow's directory mounted?" in unseen(tmp_path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda pem: b"", "just created by cp"),
        (lambda pem: pem[: len(pem) // 2], "half written"),
        (lambda pem: b"hello", "no PEM at all"),
    ],
)
def test_partial_file_is_unseen(tmp_path: Path, ssl: Path, content: object, why: str) -> None:
    """A file in the middle of being copied is never a certificate without names."""
    assert callable(content)
    put(ssl / "cert.pem", issued("a.test"))
    (ssl / "cert.pem").write_bytes(content((ssl / "cert.pem").read_bytes()))
    assert "cert.pem holds no certificate" in unseen(tmp_path), why


def test_sni_folders_have_a_list_of_domains(tmp_path: Path, ssl: Path) -> None:
    """acme's own folder, backups and what a person put there are no certificates of ENABLE_SSL_SNI."""
    put(ssl / "cert.pem", issued("mail.test"))
    put_sni(ssl, "autoconfig.b.test", issued("autoconfig.b.test", "mta-sts.b.test"))
    put_sni(ssl, "autoconfig.a.test", issued("autoconfig.a.test"))
    put_sni(ssl, "backups", issued("old.test"))
    put_sni(ssl, "acme", issued("acme.test"))
    put(ssl / "mine" / "cert.pem", issued("mine.test"))
    (ssl / "empty.test").mkdir()
    (ssl / "empty.test/domains").write_text("empty.test")
    found = seen(tmp_path).sni
    assert [certificate.folder for certificate in found] == ["autoconfig.a.test", "autoconfig.b.test"]
    assert found[1].names == {"autoconfig.b.test", "mta-sts.b.test"}


def test_copy_of_the_server_certificate_is_left_out(tmp_path: Path, ssl: Path) -> None:
    """acme-mailcow keeps the server's certificate in a folder, too, from which it is copied."""
    leaf = issued("mail.test")
    put(ssl / "cert.pem", leaf)
    put_sni(ssl, "mail.test", leaf)
    assert seen(tmp_path).sni == ()


def test_newer_certificate_in_the_folder_is_seen(tmp_path: Path, ssl: Path) -> None:
    """Killed before the copy, acme-mailcow leaves a new certificate that nginx does not have."""
    put(ssl / "cert.pem", issued("mail.test"))
    put_sni(ssl, "mail.test", issued("mail.test", "mta-sts.a.test"))
    assert [certificate.folder for certificate in seen(tmp_path).sni] == ["mail.test"]


@pytest.mark.parametrize(
    ("tz", "folder", "expected"),
    [
        (None, "2026-08-01_12_00_00", datetime(2026, 8, 1, 12, tzinfo=UTC)),
        ("", "2026-08-01_12_00_00", datetime(2026, 8, 1, 12, tzinfo=UTC)),
        ("Europe/Berlin", "2026-08-01_12_00_00", datetime(2026, 8, 1, 10, tzinfo=UTC)),
        ("Europe/Berlin", "2026-01-01_12_00_00", datetime(2026, 1, 1, 11, tzinfo=UTC)),
        ("Europe/Berlin", "ecdsa-2026-01-01_12_00_00", datetime(2026, 1, 1, 11, tzinfo=UTC)),
    ],
)
def test_orders_are_dated_by_their_backup(
    tmp_path: Path, ssl: Path, tz: str | None, folder: str, expected: datetime
) -> None:
    """The folder's name tells the time of the order, in the time zone of acme-mailcow."""
    put_backups(ssl, "mail.test", [folder])
    assert seen(tmp_path, tz).orders == (expected.timestamp(),)


@pytest.mark.parametrize("tz", ["No/Such", "Europe", "../../etc/passwd", "CET-1CEST", "/etc/passwd"])
def test_unknown_time_zone_falls_back_to_the_folders_own_time(tmp_path: Path, ssl: Path, tz: str) -> None:
    """An order never gets lost: the budget of restarts hangs on it."""
    put_backups(ssl, "mail.test", ["2026-08-01_12_00_00"])
    os.utime(ssl / "backups/mail.test/2026-08-01_12_00_00", (NOW, NOW))
    assert seen(tmp_path, tz).orders == (NOW,)


def test_impossible_date_falls_back_to_the_folders_own_time(tmp_path: Path, ssl: Path) -> None:
    """The same for a date that is none."""
    put_backups(ssl, "mail.test", ["2026-02-30_12_00_00"])
    os.utime(ssl / "backups/mail.test/2026-02-30_12_00_00", (NOW, NOW))
    assert seen(tmp_path).orders == (NOW,)


def test_orders_of_all_names_are_in_order(tmp_path: Path, ssl: Path) -> None:
    """Oldest first, whatever the name; what is no backup of an order does not count."""
    put_backups(ssl, "b.test", ["2026-01-03_00_00_00", "2026-01-01_00_00_00", "notes"])
    put_backups(ssl, "a.test", ["2026-01-02_00_00_00"])
    (ssl / "backups/a.test/2026-01-04_00_00_00").write_text("a file")
    (ssl / "backups/2026-01-05_00_00_00").write_text("a file")
    days = [datetime.fromtimestamp(at, UTC).day for at in seen(tmp_path).orders]
    assert days == [1, 2, 3]


def test_unchanged_files_are_not_read_again(tmp_path: Path, ssl: Path) -> None:
    """With a folder for each domain, a look every 30 s must cost next to nothing."""
    put(ssl / "cert.pem", issued("a.test"))
    put_sni(ssl, "b.test", issued("b.test"))
    put_backups(ssl, "a.test", ["2026-01-01_00_00_00"])
    folder = CertificateFolder()
    first = folder.observe(tmp_path, NOW)
    path = ssl / "cert.pem"
    before = path.stat()
    path.write_bytes(b"x" * before.st_size)  # nobody can tell that by size, time and inode
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert folder.observe(tmp_path, NOW) == first


def test_every_change_is_noticed(tmp_path: Path, ssl: Path) -> None:
    """A certificate replaced, a file removed, a new backup: each look tells what is there now."""
    put(ssl / "cert.pem", issued("a.test"))
    folder = CertificateFolder()
    folder.observe(tmp_path, NOW)
    put(ssl / "cert.pem", issued("a.test", "b.test"))
    put_sni(ssl, "c.test", issued("c.test"))
    put_backups(ssl, "a.test", ["2026-01-01_00_00_00"])
    assert folder.observe(tmp_path, NOW) == Seen(seen(tmp_path), NOW)
    put_backups(ssl, "a.test", ["2026-01-02_00_00_00"])
    (ssl / "cert.pem").unlink()
    (ssl / "c.test/cert.pem").unlink()
    second = folder.observe(tmp_path, NOW)
    assert second == Seen(seen(tmp_path), NOW)
    assert isinstance(second, Seen)
    assert second.value.server is None
    assert len(second.value.orders) == 2


def test_private_keys_are_not_opened(tmp_path: Path, ssl: Path) -> None:
    """A key that cannot be read, since it is a pipe here, is in nobody's way."""
    put(ssl / "cert.pem", issued("a.test"))
    os.mkfifo(ssl / "key.pem")
    assert stat.S_ISFIFO((ssl / "key.pem").stat().st_mode)
    assert seen(tmp_path).server is not None


@pytest.mark.parametrize("kind", [Kind.UNREADABLE, Kind.TWICE])
def test_certificate_that_cannot_be_read_is_unseen(tmp_path: Path, ssl: Path, kind: Kind) -> None:
    """Whatever cryptography raises over it: a pass goes on without."""
    put(ssl / "cert.pem", leaf(kind, "mail.example.test"))
    assert "cert.pem holds no certificate" in unseen(tmp_path)
