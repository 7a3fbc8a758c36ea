"""Judges domains by checkdmarc against servers on loopback; a process of its own, since ports have to be redirected.

Prints an object: by domain, whether the policy is usable, the TLSRPT record is right, every MX host does STARTTLS.
"""

import importlib
import json
import os
import sys
from typing import Any

from tests.bench.verify_runs import redirect
from tests.dns.faulty import LOOPBACK


def judged(domain: str, nameserver: object) -> dict[str, Any]:
    """checkdmarc's word on one domain."""
    asked = {"nameservers": [nameserver]}
    policy = importlib.import_module("checkdmarc.mta_sts").check_mta_sts(domain, **asked)
    reports = importlib.import_module("checkdmarc.smtp_tls_reporting").check_smtp_tls_reporting(
        domain, **asked
    )
    mx = importlib.import_module("checkdmarc.smtp").check_mx(domain, check_mx_tls=True, **asked)
    return {
        "policy": policy["valid"],
        "why": policy.get("error"),
        "reports": reports["valid"],
        "starttls": bool(mx["hosts"]) and all(host.get("starttls") for host in mx["hosts"]),
    }


def main(ports: dict[str, Any], domains: list[str]) -> None:
    """Judges and prints."""
    os.environ["REQUESTS_CA_BUNDLE"] = os.environ["SSL_CERT_FILE"] = ports["root"]
    redirect({443: ports["https"], 25: ports["smtp"]})
    nameserver = importlib.import_module("dns.nameserver").Do53Nameserver(LOOPBACK, ports["dns"])
    print(json.dumps({domain: judged(domain, nameserver) for domain in domains}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2:])
