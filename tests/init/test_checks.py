"""Each rule finds what it is for in a mailcow directory, and an ordinary directory has nothing wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.host.errors import PermanentError
from sidecar.init.findings import Mark
from sidecar.init.look import look
from sidecar.init.run import check, template
from tests.init.directories import NOW, MailcowDirectory, mailcow_directory

POLICY = "data/web/.well-known/mta-sts.txt"


def found(mailcow: MailcowDirectory) -> dict[str, Mark]:
    """The codes of what the rules find."""
    return {finding.code: finding.mark for finding in check(look(mailcow.path, NOW))}


@pytest.mark.parametrize("native", [True, False])
def test_fresh_mailcow_has_nothing_wrong(tmp_path: Path, native: bool) -> None:
    """The only note is the missing API key."""
    codes = found(mailcow_directory(tmp_path / "m", native=native))
    assert codes == {
        "generation": Mark.GOOD,
        "hostname": Mark.GOOD,
        "certificate": Mark.GOOD,
        "ports": Mark.GOOD,
        "api-key-none": Mark.NOTE,
        "clone": Mark.GOOD,
    }


def service_with(text: str) -> Callable[[MailcowDirectory], object]:
    """An override file with another service."""
    return lambda mailcow: mailcow.override.write_text(f"services:\n{text}")


def two_overrides(mailcow: MailcowDirectory) -> None:
    """Compose reads only one of them."""
    file("compose.override.yml")(mailcow)
    file(mailcow.override.name)(mailcow)


def issued_by(organization: str) -> Callable[[MailcowDirectory], object]:
    """A certificate of this issuer."""
    return lambda mailcow: mailcow.certificate("mail.example.org", organization=organization)


def policy(text: str) -> Callable[[MailcowDirectory], object]:
    """A policy file made by hand."""
    return lambda mailcow: (mailcow.path / POLICY).write_text(text)


def no_env_link(mailcow: MailcowDirectory) -> None:
    """Compose's file is missing."""
    (mailcow.path / ".env").unlink()


def file(name: str, text: str = "") -> Callable[[MailcowDirectory], object]:
    """A further file."""
    return lambda mailcow: (mailcow.path / name).write_text(text)


def without(name: str) -> Callable[[MailcowDirectory], object]:
    """A file that is missing."""
    return lambda mailcow: (mailcow.path / name).unlink()


def web_elsewhere(mailcow: MailcowDirectory) -> None:
    """data/web is a link out of the mailcow directory."""
    web = mailcow.path / "data/web"
    web.rename(mailcow.path.parent / "web")
    web.symlink_to(mailcow.path.parent / "web")


def setting(**values: str) -> Callable[[MailcowDirectory], object]:
    """A line in mailcow.conf."""
    return lambda mailcow: mailcow.set(**values)


def no_clone(mailcow: MailcowDirectory) -> None:
    """A folder of that name, without the repository."""
    (mailcow.clone / "Dockerfile").unlink()


def linked_clone(mailcow: MailcowDirectory) -> None:
    """A link that is valid only on the host."""
    no_clone(mailcow)
    (mailcow.clone / "sidecar").rmdir()
    mailcow.clone.rmdir()
    mailcow.clone.symlink_to("/somewhere/on/the/host")


VALID = "version: STSv1\nmode: enforce\nmx: mail.example.org\nmax_age: 604800\n"
TAKEN = "  other:\n    networks: {mailcow-network: {ipv4_address: 172.22.1.247}}\n"
NO_ADDRESS = "  mta-sts-mailcow:\n    build: ./mta-sts-sidecar\n"
SOURCE_BY_DEFAULT = "  mta-sts-mailcow:\n    build: ${MTA_STS_SOURCE:-./not-there}\n"
PUBLISHED = "  mta-sts-mailcow:\n    build: ./mta-sts-sidecar\n    ports: ['127.0.0.1:8480:8480']\n"
ELSEWHERE = "  mta-sts-mailcow:\n    build: /opt/mta-sts-sidecar\n"


def built_elsewhere(mailcow: MailcowDirectory) -> None:
    """The service has its own build context."""
    service_with(ELSEWHERE)(mailcow)
    no_clone(mailcow)


def without_watchdog(mailcow: MailcowDirectory) -> None:
    """Somebody took the service out of mailcow's own file."""
    compose = mailcow.path / "docker-compose.yml"
    compose.write_text(compose.read_text().replace("watchdog-mailcow", "watchdog-elsewhere"))


def test_git_address_is_never_repeated(mailcow: MailcowDirectory) -> None:
    """It may contain a password."""
    mailcow.set(MTA_STS_SOURCE="https://me:hunter2@git.example/x.git")
    assert "hunter2" not in str(check(look(mailcow.path, NOW)))


CASES = [
    (True, without("data/web/mta-sts.php"), "version-disagrees", Mark.WARN),
    (False, file("data/web/mta-sts.php"), "version-disagrees", Mark.WARN),
    (False, without("data/web/inc/app_info.inc.php"), "generation", Mark.NOTE),
    (True, setting(MAILCOW_HOSTNAME="mail"), "hostname", Mark.WARN),
    (True, no_env_link, "env-link", Mark.WARN),
    (True, file("compose.yaml"), "compose-shadowed", Mark.WARN),
    (True, two_overrides, "override-ignored", Mark.WARN),
    (True, setting(COMPOSE_FILE="docker-compose.yml"), "compose-file", Mark.WARN),
    (True, without("data/assets/ssl/cert.pem"), "certificate-none", Mark.WARN),
    (True, file("data/assets/ssl/cert.pem", "x"), "certificate-unseen", Mark.WARN),
    (True, issued_by("mailcow"), "certificate-self-signed", Mark.WARN),
    (True, issued_by("Ours"), "certificate-own", Mark.NOTE),
    (True, lambda m: m.certificate("other.example.org"), "certificate-name", Mark.WARN),
    (True, setting(SKIP_LETS_ENCRYPT="y"), "skip-lets-encrypt", Mark.NOTE),
    (True, setting(ONLY_MAILCOW_HOSTNAME="y"), "only-hostname", Mark.WARN),
    (True, setting(ENABLE_SSL_SNI="y"), "sni", Mark.NOTE),
    (True, setting(AUTODISCOVER_SAN="n"), "autodiscover-san", Mark.NOTE),
    (False, setting(ADDITIONAL_SAN="webmail.example.org mta-sts.*"), "list-spaces", Mark.NOTE),
    (False, setting(ADDITIONAL_SAN="mta-sts.* ,smtp.*"), "list-spaces", Mark.NOTE),
    (True, setting(HTTPS_PORT="8443"), "ports", Mark.NOTE),
    (True, setting(HTTPS_BIND="127.0.0.1"), "ports", Mark.NOTE),
    (True, setting(NGINX_USE_PROXY_PROTOCOL="y"), "proxy-protocol", Mark.WARN),
    (False, policy(VALID), "policy-file", Mark.NOTE),
    (False, policy("mode: enforce\n"), "policy-file-invalid", Mark.WARN),
    (True, policy(VALID), "policy-file-unused", Mark.NOTE),
    (False, lambda m: (m.path / POLICY).symlink_to("/etc/passwd"), "policy-file-unseen", Mark.WARN),
    (False, web_elsewhere, "policy-file-locked", Mark.WARN),
    (True, service_with(TAKEN), "address-taken", Mark.STOP),
    (True, service_with(NO_ADDRESS), "address-none", Mark.WARN),
    (True, setting(IPV4_NETWORK="172.22.1.0/24"), "address-network", Mark.STOP),
    (True, setting(IPV4_NETWORK="172.22.1."), "address-network", Mark.STOP),
    (True, setting(IPV4_NETWORK="172.22.300"), "address-network", Mark.STOP),
    (True, setting(API_KEY="K"), "api-key", Mark.GOOD),
    (True, setting(API_KEY="a_b"), "api-key-invalid", Mark.WARN),
    (True, setting(API_KEY_READ_ONLY="K"), "api-key-read-only", Mark.NOTE),
    (True, setting(API_KEY="K"), "api-allow-none", Mark.NOTE),
    (True, setting(API_KEY="K", API_ALLOW_FROM="172.22.1.0/24"), "api-allow", Mark.GOOD),
    (True, setting(MTA_STS_API_KEY="K"), "api-allow-page", Mark.NOTE),
    (True, no_clone, "clone-missing", Mark.STOP),
    (True, linked_clone, "clone-outside", Mark.NOTE),
    (True, setting(MTA_STS_SOURCE="./elsewhere"), "clone-missing", Mark.STOP),
    (True, setting(MTA_STS_SOURCE="https://git.example/x.git#v1"), "clone-remote", Mark.NOTE),
    (True, service_with(SOURCE_BY_DEFAULT), "clone-missing", Mark.STOP),
    (True, service_with("  watchdog-mailcow:\n    profiles: [never]\n"), "last-missing", Mark.STOP),
    (True, without_watchdog, "last-missing", Mark.STOP),
    (True, setting(MTA_STS_ADDRESS_END="1"), "address-end", Mark.STOP),
    (True, setting(MTA_STS_DOCKER_SOCKET="docker.sock"), "socket-path", Mark.STOP),
    (True, service_with(PUBLISHED), "ports-published", Mark.NOTE),
]


@pytest.mark.parametrize(
    ("native", "change", "code", "mark"), CASES, ids=[f"{c[2]}-{n}" for n, c in enumerate(CASES)]
)
def test_rule_finds(
    tmp_path: Path, native: bool, change: Callable[[MailcowDirectory], object], code: str, mark: Mark
) -> None:
    """One change to a fresh mailcow, one finding."""
    mailcow = mailcow_directory(tmp_path / "m", native=native)
    assert found(mailcow).get(code) is not mark
    change(mailcow)
    assert found(mailcow)[code] is mark


@pytest.mark.parametrize(
    ("native", "change", "code"),
    [
        (
            True,
            setting(NGINX_USE_PROXY_PROTOCOL="y", MTA_STS_API_URL="https://mail.example.org"),
            "proxy-protocol",
        ),
        (False, setting(AUTODISCOVER_SAN="n"), "autodiscover-san"),
        (True, setting(COMPOSE_FILE="docker-compose.yml:docker-compose.override.yml"), "compose-file"),
        (True, lambda m: m.certificate("*.example.org"), "certificate-name"),
        (True, setting(API_KEY="invalid"), "api-key"),
        (True, built_elsewhere, "clone-missing"),
        (True, setting(MTA_STS_ADDRESS_END="200"), "address-end"),
        (True, setting(MTA_STS_DOCKER_SOCKET="/run/user/1000/docker.sock"), "socket-path"),
        (True, lambda m: m.override.write_bytes(template()), "ports-published"),
        (True, setting(IPV4_NETWORK="10.1.2"), "address-taken"),
        (True, setting(IPV4_NETWORK="10.1.2"), "address-network"),
        (True, setting(IPV4_NETWORK=""), "address-network"),
        (True, lambda m: m.override.write_bytes(template()), "address-none"),
    ],
)
def test_rule_does_not_find(
    tmp_path: Path, native: bool, change: Callable[[MailcowDirectory], object], code: str
) -> None:
    """What looks like a problem and is not."""
    mailcow = mailcow_directory(tmp_path / "m", native=native)
    change(mailcow)
    assert code not in found(mailcow)


def test_ended_certificate_is_found(mailcow: MailcowDirectory) -> None:
    """By the time passed to it."""
    later = look(mailcow.path, NOW + 2000 * 365 * 86400)
    assert "certificate-ended" in {finding.code for finding in check(later)}


def test_free_address_is_named_where_ours_is_taken(mailcow: MailcowDirectory) -> None:
    """The next lower one that is free."""
    mailcow.override.write_text(
        f"services:\n{TAKEN}  third:\n    networks: {{mailcow-network: {{ipv4_address: 172.22.1.246}}}}\n"
    )
    [taken] = [finding for finding in check(look(mailcow.path, NOW)) if finding.code == "address-taken"]
    assert "172.22.1.245" in taken.todo


def test_version_is_what_was_installed_last(mailcow: MailcowDirectory) -> None:
    """A commit, or nothing, is not a release."""
    assert str(look(mailcow.path, NOW).version) == "2026-07a"
    mailcow.version("0ab12cd")
    assert (look(mailcow.path, NOW).version_text, look(mailcow.path, NOW).version) == ("0ab12cd", None)
    (mailcow.path / "data/web/inc/app_info.inc.php").unlink()
    assert look(mailcow.path, NOW).version_text is None


def test_address_is_that_of_a_service_that_is_there(mailcow: MailcowDirectory) -> None:
    """Somebody chose another one by hand."""
    assert look(mailcow.path, NOW).address == "172.22.1.247"
    mailcow.set(MTA_STS_ADDRESS_END="202")
    assert look(mailcow.path, NOW).address == "172.22.1.202"
    mailcow.override.write_bytes(template())
    assert look(mailcow.path, NOW).address == "172.22.1.202"
    mailcow.override.write_bytes(template().replace(b".${MTA_STS_ADDRESS_END:-247}", b".201"))
    assert look(mailcow.path, NOW).address == "172.22.1.201"


@pytest.mark.parametrize("name", ["compose.override.yml", "docker-compose.override.yaml"])
def test_override_file_is_the_one_that_compose_reads(mailcow: MailcowDirectory, name: str) -> None:
    """A second file under another name would not be read, or would hide the first."""
    (mailcow.path / name).write_text("services:\n")
    assert look(mailcow.path, NOW).override.name == name


NO_MAILCOW = [
    ("no folder", lambda m: m.path.rename(m.path.with_name("away")), "no folder"),
    ("no mailcow.conf", lambda m: m.conf.unlink(), "mailcow.conf does not exist"),
    ("mailcow.conf is empty", lambda m: m.conf.write_text(""), "is empty"),
    ("mailcow.conf has no host name", lambda m: m.conf.write_text("A=1\n"), "MAILCOW_HOSTNAME"),
    ("mailcow.conf is broken", lambda m: m.conf.write_text("A='1\n"), "not understood"),
    ("no docker-compose.yml", without("docker-compose.yml"), "no docker-compose.yml"),
    (
        "another docker-compose.yml",
        file("docker-compose.yml", "services: {web: {image: x}}\n"),
        "not mailcow's",
    ),
    ("a broken docker-compose.yml", file("docker-compose.yml", "services: [\n"), "cannot be understood"),
]


@pytest.mark.parametrize(("change", "reason"), [c[1:] for c in NO_MAILCOW], ids=[c[0] for c in NO_MAILCOW])
def test_other_folders_are_refused(
    mailcow: MailcowDirectory, change: Callable[[MailcowDirectory], object], reason: str
) -> None:
    """The reason is given, without a password."""
    change(mailcow)
    with pytest.raises(PermanentError, match=reason) as caught:
        look(mailcow.path, NOW)
    assert "hunter" not in str(caught.value)
