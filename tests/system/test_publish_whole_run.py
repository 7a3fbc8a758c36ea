"""From 'added in mailcow' to enforce with a real BIND, whose key may write the three names of each domain and no other."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsigkeyring
import dns.update
import pytest

from demo.dns_story import NAMES
from demo.names import DemoDns, short
from demo.play import play_dns
from demo.senders import SENDER
from demo.stage import HOST_DOMAIN, TSIG_NAME, TSIG_SECRET, staged_with_dns
from tests.system.components import program
from tests.system.nameservers import ADDRESS, ADMIN, PORT, _bind_key, _folder
from tests.system.processes import serving
from tests.system.sender_view import _UNBOUND, RESOLVER

ZONES = (HOST_DOMAIN, *NAMES, SENDER)
ZONE = """\
$TTL 1
@ SOA ns root 1 3600 600 86400 1
@ NS ns
ns A 127.0.0.1
"""


class BindDns(DemoDns):
    """A running BIND behind unbound, for the story to act on as on the stand-in."""

    def __init__(self) -> None:
        super().__init__()
        self.port = PORT

    def serve_zone(self, name: str) -> None:
        """It has all zones from the start."""
        assert name in ZONES

    def trust(self, key_name: str, secret: str) -> None:
        """It has the key from the start."""
        assert (key_name, secret) == (TSIG_NAME, TSIG_SECRET)

    def publish(self, name: str, kind: str, *values: str) -> None:
        """As a person does with `nsupdate`."""
        zone = max((zone for zone in ZONES if name == zone or name.endswith(f".{zone}")), key=len)
        update = dns.update.UpdateMessage(f"{zone}.")
        update.delete(f"{name}.", kind)
        for value in values:
            update.add(f"{name}.", 1, kind, value)
        ring = dns.tsigkeyring.from_text({f"{ADMIN.name}.": ADMIN.secret.get_secret_value()})
        update.use_tsig(ring, algorithm="hmac-sha256.")
        answer = dns.query.tcp(update, ADDRESS, port=PORT, timeout=5)
        assert answer.rcode() == dns.rcode.NOERROR, answer

    def __str__(self) -> str:
        """The resolver in front of it."""
        return f"{ADDRESS}:{RESOLVER}"

    async def short(self, name: str, kind: str) -> tuple[str, ...]:
        """As the resolver has it, aliases followed."""
        return await short(ADDRESS, RESOLVER, name, kind)

    def values(self, name: str, kind: str) -> tuple[str, ...]:
        """What it serves, no alias followed."""
        answer = dns.query.tcp(dns.message.make_query(f"{name}.", kind), ADDRESS, port=PORT, timeout=5)
        rdtype = dns.rdatatype.from_text(kind)
        return tuple(
            record.to_text()
            for rrset in answer.answer
            if rrset.rdtype == rdtype and rrset.name.to_text() == f"{name}."
            for record in rrset
        )


def answers(port: int) -> bool:
    """Whether a server answers for the zones."""
    try:
        query = dns.message.make_query(f"{HOST_DOMAIN}.", "SOA")
        return bool(dns.query.udp(query, ADDRESS, timeout=0.2, port=port).answer)
    except (OSError, dns.exception.DNSException):
        return False


@contextmanager
def bind() -> Iterator[Path]:
    """BIND with all zones, behind unbound; the sidecar's key is limited as docs/dns.md has it."""
    with _folder("bind") as folder:
        zones: list[str] = []
        for zone in ZONES:
            (folder / zone).write_text(ZONE)
            grants = " ".join(
                f"grant {TSIG_NAME} name {name}.{zone}. {types};"
                for name, types in (
                    ("mta-sts", "CNAME A AAAA"),
                    ("_mta-sts", "TXT CNAME"),
                    ("_smtp._tls", "TXT CNAME"),
                )
            )
            policy = f"grant {ADMIN.name} zonesub ANY; {grants}"
            zones.append(f'zone "{zone}" {{ type primary; file "{zone}"; update-policy {{ {policy} }}; }};')
        (folder / "named.conf").write_text(f"""\
options {{
  directory "{folder}"; pid-file none; session-keyfile "{folder}/session.key";
  listen-on port {PORT} {{ {ADDRESS}; }}; listen-on-v6 {{ none; }};
  recursion no; allow-transfer {{ none; }}; notify no; dnssec-validation no;
}};
controls {{ }};
{_bind_key(ADMIN)}
key "{TSIG_NAME}" {{ algorithm hmac-sha256; secret "{TSIG_SECRET}"; }};
{chr(10).join(zones)}
""")
        command = [program("named"), "-g", "-n", "1", "-c", str(folder / "named.conf")]
        local = "\n".join(f'  local-zone: "{zone}." transparent' for zone in ZONES)
        stubs = "\n".join(f'stub-zone:\n  name: "{zone}"\n  stub-addr: {ADDRESS}@{PORT}' for zone in ZONES)
        config = _UNBOUND.format(folder=folder, port=RESOLVER, zones=local, stubs=stubs)
        (folder / "unbound.conf").write_text(config)
        resolver = [program("unbound"), "-d", "-c", str(folder / "unbound.conf")]
        with (
            serving(command, answers=lambda: answers(PORT), log=folder / "log"),
            serving(resolver, answers=lambda: answers(RESOLVER), log=folder / "unbound.log"),
        ):
            yield folder


@pytest.mark.timeout(150)
async def test_three_domains_come_to_a_verified_enforce_without_a_step_by_hand(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Plain, IDN and alias domain; a record of a person is left alone until it is adopted."""
    for name in [name for name in os.environ if name.startswith("DOCKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/there-is-none.sock")

    async def started() -> DemoDns:
        return BindDns()

    with bind() as folder:
        promises = await play_dns(lambda: staged_with_dns(started))
        broken = [f"{one.text}: {one.found}" for one in promises if not one.kept]
        assert not broken, (folder / "log").read_text()[-3_000:]
        assert len(promises) > 12
        assert TSIG_SECRET not in (folder / "log").read_text()
