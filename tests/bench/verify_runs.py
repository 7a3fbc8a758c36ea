"""One run over the benchmark's domains, by `sidecar.verify` or by checkdmarc; prints one line of JSON.

A process of its own for each, so that memory and CPU are those of the checks alone.
"""

import asyncio
import importlib
import json
import os
import resource
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.verify_servers import domains
from tests.dns.faulty import LOOPBACK

Ports = dict[str, Any]
Check = Callable[[list[str]], dict[str, bool]]
"""Says of each domain whether it is all right."""


def ours(ports: Ports) -> Check:
    """All checks of this project."""
    from sidecar.observed.checks import Severity  # noqa: PLC0415 - the same
    from sidecar.verify.run import Probing, Wanted, check_many  # noqa: PLC0415 - memory is that of one of the two

    probing = Probing(
        resolver=(LOOPBACK, ports["dns"]),
        extra_root=Path(ports["root"]),
        https_port=ports["https"],
        smtp_port=ports["smtp"],
    )

    def check(names: list[str]) -> dict[str, bool]:
        results = asyncio.run(check_many([Wanted(name) for name in names], probing, time.time))
        return {result.domain: result.worst.rank <= Severity.NOTICE.rank for result in results}

    return check


def checkdmarc(ports: Ports) -> Check:
    """MTA-STS, TLSRPT and MX (STARTTLS, TLSA, DNSSEC) by checkdmarc, one domain after the other as it does them."""
    os.environ["REQUESTS_CA_BUNDLE"] = os.environ["SSL_CERT_FILE"] = ports["root"]
    redirect({443: ports["https"], 25: ports["smtp"]})
    mta_sts = importlib.import_module("checkdmarc.mta_sts")
    reports = importlib.import_module("checkdmarc.smtp_tls_reporting")
    smtp = importlib.import_module("checkdmarc.smtp")
    asked = {
        "nameservers": [importlib.import_module("dns.nameserver").Do53Nameserver(LOOPBACK, ports["dns"])]
    }

    def good(name: str) -> bool:
        policy = mta_sts.check_mta_sts(name, **asked)
        reporting = reports.check_smtp_tls_reporting(name, **asked)
        patterns = policy["policy"]["mx"] if policy["valid"] else None
        mx = smtp.check_mx(name, check_mx_tls=True, mta_sts_mx_patterns=patterns, **asked)
        encrypted = all(host.get("starttls") for host in mx["hosts"])
        return bool(policy["valid"] and reporting["valid"] and mx["hosts"] and encrypted)

    return lambda names: {name: good(name) for name in names}


def redirect(ports: dict[int, int]) -> None:
    """checkdmarc has no option for ports and addresses: what goes to the world goes to loopback."""
    real: Callable[..., Any] = socket.getaddrinfo

    def getaddrinfo(host: object, port: object, *rest: object, **more: object) -> Any:
        wanted = int(str(port or 0))
        return real(LOOPBACK if wanted in ports else host, ports.get(wanted, port), *rest, **more)

    socket.getaddrinfo = getaddrinfo


def main(which: str, count: int, ports: Ports) -> None:
    """Runs and prints; what is imported before costs time neither of the two."""
    check = {"ours": ours, "checkdmarc": checkdmarc}[which](ports)
    start, cpu = time.perf_counter(), time.process_time()
    found = check(domains(count))
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - start,
                "cpu": time.process_time() - cpu,
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "wrong": sorted(name for name, good in found.items() if not good),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]))
