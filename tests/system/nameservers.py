"""Real BIND, Knot and PowerDNS that take DNS updates for `example.test`, on loopback, each in a folder of its own."""

import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rdatatype
import dns.tsigkeyring
import dns.update
from pydantic import SecretStr

from sidecar.dns.publish.port import Key, RecordType, record_set
from sidecar.dns.publish.rfc2136 import TsigKey, _rdataset
from tests.dns.publish.contract import ZONE
from tests.system.components import program
from tests.system.processes import serving

ADDRESS = "127.0.0.1"
PORT = 5310
API_PORT = 8081
API_KEY = "an-api-key-that-nobody-sees"
ADMIN = TsigKey("admin", "hmac-sha256", SecretStr("YWRtaW4gYWRtaW4gYWRtaW4gYWRtaW4="))
NARROW = TsigKey("narrow", "hmac-sha256", SecretStr("bmFycm93IG5hcnJvdyBuYXJyb3cgbmFycm93"))
"""May change the three names that a domain needs, and no other."""
NAMES = (f"mta-sts.{ZONE}", f"_mta-sts.{ZONE}", f"_smtp._tls.{ZONE}")

RECORDS = f"""\
$TTL 3600
$ORIGIN {ZONE}.
@ SOA ns root 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
@ MX 10 mail
@ TXT "v=spf1 mx -all"
mail A 192.0.2.1
mail AAAA 2001:db8::1
www CNAME mail
_dmarc TXT "v=DMARC1; p=reject"
key._domainkey TXT "v=DKIM1; k=rsa; p=abc"
_25._tcp.mail TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
*.wild TXT "from the wildcard"
"""


@dataclass(frozen=True, slots=True)
class NameServer:
    """A running server; `narrow` is None where it knows no such key."""

    folder: Path
    narrow: TsigKey | None = None

    def put(self, key: Key, values: Iterable[str], ttl: int = 3_600) -> None:
        """As a person does with `nsupdate`: whatever is there."""
        message = dns.update.UpdateMessage(f"{ZONE}.")
        rdtype = dns.rdatatype.from_text(key.type)
        message.delete(f"{key.name}.", rdtype)
        given = list(values)
        if given:
            message.add(f"{key.name}.", _rdataset(key.type, record_set(key.type, given, ttl)))
        ring = dns.tsigkeyring.from_text({f"{ADMIN.name}.": ADMIN.secret.get_secret_value()})
        message.use_tsig(ring, algorithm="hmac-sha256.")
        answer = dns.query.tcp(message, ADDRESS, port=PORT, timeout=5)
        assert answer.rcode() == 0, answer

    def everything(self) -> dict[Key, tuple[str, ...]]:
        """What is served under all names that a test may have touched, and under the others of the zone."""
        names = [ZONE, "ns", "mail", "www", "_dmarc", "key._domainkey", *NAMES]
        found: dict[Key, tuple[str, ...]] = {}
        for name in (one if one.endswith(ZONE) else f"{one}.{ZONE}" for one in names):
            for type_ in RecordType:
                values = asked(name, type_)
                if values:
                    found[Key(name, type_)] = values
        return found


def asked(name: str, type_: RecordType) -> tuple[str, ...]:
    """The values that the server serves, without those at the end of an alias."""
    query = dns.message.make_query(f"{name}.", str(type_))
    answer, _ = dns.query.udp_with_fallback(query, ADDRESS, port=PORT, timeout=5)
    rdtype = dns.rdatatype.from_text(type_)
    for rrset in answer.answer:
        if rrset.rdtype == rdtype and rrset.name.to_text() == f"{name}.":
            texts = (
                (b"".join(one.strings).decode("latin-1") for one in rrset)
                if type_ is RecordType.TXT
                else (one.to_text() for one in rrset)
            )
            return record_set(type_, texts, rrset.ttl).values
    return ()


def _answers(zone: str = ZONE) -> bool:
    try:
        query = dns.message.make_query(f"{zone}.", "SOA")
        return bool(dns.query.udp(query, ADDRESS, timeout=0.2, port=PORT).answer)
    except (OSError, dns.exception.DNSException):
        return False


@contextmanager
def _folder(prefix: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix}.", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


# --- BIND -------------------------------------------------------------------------------------------------


def _bind_key(key: TsigKey) -> str:
    return f'key "{key.name}" {{ algorithm {key.algorithm}; secret "{key.secret.get_secret_value()}"; }};'


@contextmanager
def running_bind(*, signing: bool = False) -> Iterator[NameServer]:
    """`signing`: the zone is signed beside the file that updates go to (inline-signing)."""
    named = program("named")
    grants = " ".join(f"grant {NARROW.name} name {name}. CNAME A AAAA TXT;" for name in NAMES)
    signed = 'dnssec-policy "default"; inline-signing yes;' if signing else ""
    with _folder("bind") as folder:
        (folder / "zone").write_text(RECORDS)
        (folder / "named.conf").write_text(f"""\
options {{
  directory "{folder}"; pid-file none; session-keyfile "{folder}/session.key"; key-directory "{folder}";
  listen-on port {PORT} {{ {ADDRESS}; }}; listen-on-v6 {{ none; }};
  recursion no; allow-transfer {{ none; }}; notify no; dnssec-validation no;
}};
controls {{ }};
{_bind_key(ADMIN)}
{_bind_key(NARROW)}
zone "{ZONE}" {{
  type primary; file "zone"; {signed}
  update-policy {{ grant {ADMIN.name} zonesub ANY; {grants} }};
}};
""")
        command = [named, "-g", "-n", "1", "-c", str(folder / "named.conf")]
        with serving(command, answers=_answers, log=folder / "log"):
            yield NameServer(folder, NARROW)


# --- Knot -------------------------------------------------------------------------------------------------


def _knot_key(key: TsigKey) -> str:
    return (
        f"  - id: {key.name}\n    algorithm: {key.algorithm}\n    secret: {key.secret.get_secret_value()}\n"
    )


@contextmanager
def running_knot() -> Iterator[NameServer]:
    """Its ACL names the owners that the narrow key may update."""
    knotd = program("knotd")
    with _folder("knot") as folder:
        (folder / "zone").write_text(RECORDS)
        owners = ", ".join(f"{name}." for name in NAMES)
        (folder / "knot.conf").write_text(f"""\
server:
    rundir: "{folder}"
    listen: {ADDRESS}@{PORT}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{folder}"
log:
  - target: stderr
    any: info
key:
{_knot_key(ADMIN)}{_knot_key(NARROW)}
acl:
  - id: admin
    key: {ADMIN.name}
    action: update
  - id: narrow
    key: {NARROW.name}
    action: update
    update-owner: name
    update-owner-match: equal
    update-owner-name: [{owners}]
    update-type: [A, AAAA, CNAME, TXT]
zone:
  - domain: {ZONE}
    storage: "{folder}"
    file: zone
    acl: [admin, narrow]
""")
        command = [knotd, "-c", str(folder / "knot.conf")]
        with serving(command, answers=_answers, log=folder / "log"):
            yield NameServer(folder, NARROW)


# --- PowerDNS ---------------------------------------------------------------------------------------------


@contextmanager
def running_powerdns() -> Iterator[NameServer]:
    """With its HTTP API on port 8081; it has no rights by name."""
    server, util, sqlite = program("pdns_server"), program("pdnsutil"), program("sqlite3")
    with _folder("pdns") as folder:
        schema = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
        subprocess.run([sqlite, str(folder / "db")], input=schema.read_bytes(), check=True)
        (folder / "zone").write_text(RECORDS)
        (folder / "pdns.conf").write_text(f"""\
launch=gsqlite3
gsqlite3-database={folder}/db
gsqlite3-dnssec=yes
local-address={ADDRESS}
local-port={PORT}
socket-dir={folder}
config-dir={folder}
dnsupdate=yes
allow-dnsupdate-from=127.0.0.0/8
api=yes
api-key={API_KEY}
webserver=yes
webserver-address={ADDRESS}
webserver-port={API_PORT}
webserver-allow-from=127.0.0.0/8
guardian=no
daemon=no
disable-axfr=yes
security-poll-suffix=
""")

        def call(*command: str) -> None:
            done = subprocess.run(
                [util, f"--config-dir={folder}", *command], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr

        call("load-zone", ZONE, str(folder / "zone"))
        call("import-tsig-key", ADMIN.name, ADMIN.algorithm, ADMIN.secret.get_secret_value())
        call("set-meta", ZONE, "TSIG-ALLOW-DNSUPDATE", ADMIN.name)
        command = [server, f"--config-dir={folder}"]
        with serving(command, answers=lambda: _answers() and _api_answers(), log=folder / "log"):
            yield NameServer(folder)


def _api_answers() -> bool:
    request = urllib.request.Request(
        f"http://{ADDRESS}:{API_PORT}/api/v1/servers/localhost", headers={"X-API-Key": API_KEY}
    )
    try:
        with urllib.request.urlopen(request, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
