"""Real servers for the sender's view: BIND with signed and broken zones behind unbound, nginx and postfix with good
and bad TLS, pebble as authority. Each is started in the foreground and ended by its pid; all is on loopback.
"""

import datetime as dt
import shutil
import socket
import ssl
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import trustme

from tests.system.components import program
from tests.system.processes import serving, wait_until

LOOPBACK = "127.0.0.1"
AUTHORITATIVE, RESOLVER = 5310, 5311
POLICY = "version: STSv1\nmode: enforce\nmax_age: 604800\nmx: mail.example.test\n"


@contextmanager
def folder_for(what: str) -> Iterator[Path]:
    """A folder that servers which drop root can read; a short path, since sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix=f"{what}.", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


# --- DNS -------------------------------------------------------------------------------------------------

_NAMED = """\
options {{
  directory "{folder}"; pid-file none; session-keyfile "{folder}/session.key";
  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; allow-transfer {{ none; }}; notify no; dnssec-validation no;
}};
controls {{ }};
"""
_SIGNED = """\
zone "{zone}" {{
  type primary; file "{folder}/{zone}.zone"; key-directory "{folder}"; dnssec-policy default; inline-signing yes;
}};
"""
_PLAIN = 'zone "{zone}" {{ type primary; file "{folder}/{zone}.zone"; }};\n'
_UNBOUND = """\
server:
  interface: 127.0.0.1@{port}
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  do-not-query-localhost: no
  cache-max-ttl: 0
  cache-max-negative-ttl: 0
  local-zone: "." static
{zones}
remote-control:
  control-enable: no
{stubs}
"""


@contextmanager
def resolver(
    signed: dict[str, Sequence[str]], bogus: Sequence[str], plain: Sequence[str]
) -> Iterator[tuple[str, int]]:
    """unbound, validating, over BIND: zones by name with their records; the first signed one's key is also trusted,
    wrongly, for `bogus` (which gets the same records); `plain` is without signatures.
    """
    named, unbound = program("named"), program("unbound")
    ((first, records),) = signed.items()
    zones = {first: records, **dict.fromkeys(bogus, records), **dict.fromkeys(plain, records)}
    with folder_for("dns") as folder:
        configuration = _NAMED.format(folder=folder, port=AUTHORITATIVE)
        for zone, lines in zones.items():
            head = ["$TTL 60", "@ SOA ns root 1 3600 600 86400 60", "@ NS ns", "ns A 127.0.0.1"]
            (folder / f"{zone}.zone").write_text("\n".join([*head, *lines, ""]))
            configuration += (_PLAIN if zone in plain else _SIGNED).format(zone=zone, folder=folder)
        (folder / "named.conf").write_text(configuration)
        with serving(
            [named, "-g", "-n", "1", "-c", str(folder / "named.conf")],
            answers=lambda: all(_signs(zone) for zone in (first, *bogus)),
            log=folder / "named.log",
        ):
            anchors = [f'  trust-anchor: "{zone}. DNSKEY {_key(first)}"' for zone in (first, *bogus)]
            local = [f'  local-zone: "{zone}." transparent' for zone in zones]
            stubs = [
                f'stub-zone:\n  name: "{zone}"\n  stub-addr: 127.0.0.1@{AUTHORITATIVE}' for zone in zones
            ]
            text = _UNBOUND.format(
                folder=folder, port=RESOLVER, zones="\n".join(local + anchors), stubs="\n".join(stubs)
            )
            (folder / "unbound.conf").write_text(text)
            with serving(
                [unbound, "-d", "-c", str(folder / "unbound.conf")],
                answers=lambda: _answers(RESOLVER, first),
                log=folder / "unbound.log",
            ):
                yield LOOPBACK, RESOLVER


def _signs(zone: str) -> bool:
    """Whether the zone's keys and its SOA are signed: BIND publishes the keys first, and unbound keeps what it saw."""
    return _key(zone) is not None and all(
        any(record.startswith(f"{kind} ") for record in _records(zone, kind)) for kind in ("DNSKEY", "SOA")
    )


def _key(zone: str) -> str | None:
    """The zone's key-signing key."""
    for record in _records(zone, "DNSKEY"):
        if record.startswith("257 "):
            return record
    return None


def _answers(port: int, zone: str) -> bool:
    try:
        answer = dns.query.udp(dns.message.make_query(f"{zone}.", "SOA"), LOOPBACK, timeout=0.3, port=port)
    except (OSError, dns.exception.DNSException):
        return False
    return answer.rcode() == dns.rcode.NOERROR and bool(answer.answer)


def _records(zone: str, kind: str) -> list[str]:
    """The records and their signatures, which begin with the type that they sign."""
    try:
        answer = dns.query.tcp(
            dns.message.make_query(f"{zone}.", kind, want_dnssec=True),
            LOOPBACK,
            timeout=0.3,
            port=AUTHORITATIVE,
        )
    except (OSError, EOFError, dns.exception.DNSException):
        return []
    return [record.to_text() for rrset in answer.answer for record in rrset]


# --- certificates ----------------------------------------------------------------------------------------


def certificate(issuer: trustme.CA, path: Path, *names: str, expired: bool = False) -> None:
    """Key and chain for these names in one file."""
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    if expired:
        issued = issuer.issue_cert(*names, not_before=now - 30 * day, not_after=now - day)
    else:
        issued = issuer.issue_cert(*names)
    issued.private_key_and_cert_chain_pem.write_to_path(path)


def self_signed(path: Path, name: str) -> None:
    """As acme-mailcow's own for the first start."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "30", "-keyout", "-", "-subj"]
    made = subprocess.run(
        [*command, f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"], check=True, capture_output=True
    )
    path.write_bytes(made.stdout)


# --- nginx -----------------------------------------------------------------------------------------------

_NGINX = """\
daemon off;
user nobody nogroup;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ }}
http {{
  access_log off;
  default_type text/plain;
  types {{ text/html html; }}
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
{sites}
}}
"""
_SITE = """\
  server {{
    listen {address}:{port} ssl; server_name {host};
    ssl_certificate {folder}/{pem}.pem; ssl_certificate_key {folder}/{pem}.pem;
    root {folder}/web; {more}
  }}
"""


@dataclass(frozen=True, slots=True)
class Site:
    """What nginx does for a host name: which certificate, and what else is in its `server` block."""

    host: str
    pem: str
    more: str = ""
    address: str = LOOPBACK
    """As nginx writes it: an IPv6 address in brackets."""


@contextmanager
def nginx(folder: Path, sites: dict[int, Sequence[Site]]) -> Iterator[None]:
    """nginx with these sites by port; the certificates (`<pem>.pem`) lie in the folder."""
    well_known = folder / "web/.well-known"
    well_known.mkdir(parents=True)
    (well_known / "mta-sts.txt").write_text(POLICY)
    (well_known / "huge.txt").write_text(POLICY + "x: y\n" * 20_000)
    blocks = [
        _SITE.format(
            address=site.address, port=port, folder=folder, host=site.host, pem=site.pem, more=site.more
        )
        for port, group in sites.items()
        for site in group
    ]
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, sites="".join(blocks)))
    with serving(
        [program("nginx"), "-e", "stderr", "-c", str(folder / "nginx.conf")],
        answers=lambda: all(listens(port) for port in sites),
        log=folder / "nginx.log",
    ):
        yield


def listens(port: int, address: str = LOOPBACK) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection((address, port), timeout=0.3).close()
    except OSError:
        return False
    return True


# --- postfix ---------------------------------------------------------------------------------------------


@contextmanager
def postfix(
    folder: Path,
    services: Mapping[int, Sequence[str]],
    more: Mapping[str, str] | None = None,
    six: Mapping[int, Sequence[str]] | None = None,
) -> Iterator[None]:
    """postfix with an smtpd on each of these ports, with these settings (`-o` is put before each).

    `more`: settings of all. `six`: services on ::1.
    """
    found = program("postfix")
    shutil.copytree("/etc/postfix", folder / "etc")
    for name in ("spool", "data"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    settings = {
        "queue_directory": folder / "spool",
        "data_directory": folder / "data",
        "myhostname": "mail.example.test",
        "mydestination": "example.test",
        "inet_interfaces": f"{LOOPBACK}, [::1]" if six else LOOPBACK,
        "inet_protocols": "all" if six else "ipv4",
        "smtpd_tls_security_level": "may",
        "smtpd_tls_cert_file": "",
        "smtpd_tls_key_file": "",
        "smtpd_peername_lookup": "no",
        "alias_maps": "",
        "local_recipient_maps": "",
        "maillog_file": folder / "log",
        "maillog_file_prefixes": "/tmp",
        **(more or {}),
    }
    postconf = [program("postconf"), "-c", str(folder / "etc")]
    subprocess.run([*postconf, "-e", *(f"{key}={value}" for key, value in settings.items())], check=True)
    subprocess.run([*postconf, "-MX", "smtp/inet"], check=True)
    endpoints = {f"{LOOPBACK}:{port}": options for port, options in services.items()}
    endpoints |= {f"[::1]:{port}": options for port, options in (six or {}).items()}
    lines = [
        f"{endpoint}/inet={endpoint} inet n - n - - smtpd {' '.join(f'-o {option}' for option in options)}"
        for endpoint, options in endpoints.items()
    ]
    subprocess.run(
        [*postconf, "-Me", *lines, "postlog/unix-dgram=postlog unix-dgram n - n - 1 postlogd"], check=True
    )
    subprocess.run([*postconf, "-F", "*/*/chroot=n"], check=True)
    with (folder / "out").open("wb") as output:
        started = subprocess.Popen(
            [found, "-c", str(folder / "etc"), "start-fg"], stdout=output, stderr=output
        )
    try:
        wait_until(
            lambda: (
                all(listens(port) for port in services) and all(listens(port, "::1") for port in six or {})
            ),
            "postfix listens",
        )
        yield
    finally:
        # The master, not `postfix start-fg`: that one would leave it behind.
        master = int((folder / "spool/pid/master.pid").read_text())
        subprocess.run(["kill", str(master)], check=True)
        started.wait(20)


# --- pebble ----------------------------------------------------------------------------------------------


@contextmanager
def pebble(folder: Path) -> Iterator[str]:
    """An ACME server whose challenges go to 127.0.0.1 port 5002; its directory's URL. The root is at `root.pem`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "client.pem")
    served = authority.issue_cert(LOOPBACK, "localhost")
    served.cert_chain_pems[0].write_to_path(folder / "pebble.pem")
    served.private_key_pem.write_to_path(folder / "pebble.key")
    (folder / "pebble.json").write_text(
        f"""{{"pebble": {{"listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
        "certificate": "{folder}/pebble.pem", "privateKey": "{folder}/pebble.key", "httpPort": 5002, "tlsPort": 5001,
        "ocspResponderURL": "", "externalAccountBindingRequired": false}}}}"""
    )
    names = [program("pebble-challtestsrv"), "-dns01", "127.0.0.1:8053", "-management", "127.0.0.1:8055"]
    names += ["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]
    environment = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}
    command = [program("pebble"), "-config", str(folder / "pebble.json"), "-dnsserver", "127.0.0.1:8053"]
    with (
        serving(names, answers=lambda: listens(8055), log=folder / "names.log"),
        serving(command, answers=lambda: listens(15000), log=folder / "pebble.log", environment=environment),
    ):
        trust = ssl.create_default_context(cafile=folder / "client.pem")
        with urllib.request.urlopen("https://127.0.0.1:15000/roots/0", context=trust) as answer:
            (folder / "root.pem").write_bytes(answer.read())
        yield "https://127.0.0.1:14000/dir"
