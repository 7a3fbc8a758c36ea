"""A real BIND that answers for the zone `test`, for the name checks.

Names below `broken.test` are answered with SERVFAIL, names outside `test` with REFUSED: two ways not to know.
"""

import itertools
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rdtypes.ANY.SOA

from tests.system.components import program
from tests.system.processes import serving, wait_until

_CONFIGURATION = """\
options {{
  directory "{folder}"; pid-file none; session-keyfile "{folder}/session.key";
  listen-on port {port} {{ {address}; }}; listen-on-v6 {{ none; }};
  recursion no; allow-transfer {{ none; }}; notify no; dnssec-validation no;
}};
controls {{ }};
zone "test" {{ type primary; file "{folder}/test.zone"; }};
zone "broken.test" {{ type primary; file "{folder}/there-is-none.zone"; }};
"""


@dataclass(frozen=True, slots=True)
class DnsServer:
    """A running BIND."""

    address: str
    port: int
    folder: Path
    process: subprocess.Popen[bytes]
    _serials: Iterator[int] = field(default_factory=lambda: itertools.count(2))

    def __str__(self) -> str:
        """In the form of MTA_STS_RESOLVER."""
        return f"{self.address}:{self.port}"

    def serve(self, *records: str) -> None:
        """Answer with these records (`mail.example.test. A 192.0.2.1`) from now on, and with no others."""
        serial = next(self._serials)
        _write_zone(self.folder, serial, records)
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: _served_serial(self.address, self.port) == serial, "BIND serves the new records")


@contextmanager
def running_dns_server(address: str = "127.0.0.1", port: int = 5300) -> Iterator[DnsServer]:
    """A BIND at this address with an empty zone; its files are gone afterwards."""
    named = program("named")
    folder = Path(tempfile.mkdtemp(prefix="bind.", dir="/tmp"))
    configuration = folder / "named.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, address=address, port=port))
    _write_zone(folder, 1, ())
    try:
        with serving(
            [named, "-g", "-n", "1", "-c", str(configuration)],
            answers=lambda: _served_serial(address, port) == 1,
            log=folder / "log",
        ) as process:
            yield DnsServer(address, port, folder, process)
    finally:
        shutil.rmtree(folder)


def _write_zone(folder: Path, serial: int, records: tuple[str, ...]) -> None:
    lines = ["$TTL 60", f"test. SOA ns.test. root.test. {serial} 3600 600 86400 60", "test. NS ns.test."]
    (folder / "test.zone").write_text("\n".join([*lines, "ns.test. A 127.0.0.1", *records, ""]))


def _served_serial(address: str, port: int) -> int | None:
    try:
        answer = dns.query.udp(dns.message.make_query("test.", "SOA"), address, timeout=0.1, port=port)
    except (OSError, dns.exception.DNSException):
        return None
    match [record for rrset in answer.answer for record in rrset]:
        case [dns.rdtypes.ANY.SOA.SOA(serial=serial)]:
            return int(serial)
        case _:
            return None
