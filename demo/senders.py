"""A sender of TLS reports for the stories: a signed message as Google sends it, handed over as mailcow's postfix does.

Rule for every editor: the key is made for the story and is published in the story's own DNS only.
"""

import base64
import gzip
import json
import smtplib
import time
from datetime import UTC, datetime
from email.message import EmailMessage

import dkim
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from demo.names import DemoDns
from sidecar.observed.report_route import INTERNAL_ADDRESS

SENDER = "google.example"
_SELECTOR = "s1"


class Sender:
    """Signs with a key of its own, which it publishes in the DNS."""

    def __init__(self, dns: DemoDns) -> None:
        key = rsa.generate_private_key(65_537, 1_024)  # noqa: S505 - its record is one string then
        self._private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        text = f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
        dns.publish(f"{_SELECTOR}._domainkey.{SENDER}", "TXT", f'"{text}"')

    def report(self, domain: str, policy: str, *, ok: int, failed: int) -> bytes:
        """A message about yesterday's sessions with a domain; failed ones found a certificate that had ended."""
        day = datetime.fromtimestamp(time.time() - 86_400, UTC).strftime("%Y-%m-%d")
        found: dict[str, object] = {
            "policy": {"policy-type": "sts", "policy-string": policy.splitlines(), "policy-domain": domain},
            "summary": {"total-successful-session-count": ok, "total-failure-session-count": failed},
        }
        if failed:
            detail = {
                "result-type": "certificate-expired",
                "sending-mta-ip": "192.0.2.25",
                "receiving-mx-hostname": f"mail.{domain}",
                "failed-session-count": failed,
            }
            found["failure-details"] = [detail]
        report = {
            "organization-name": "Google",
            "date-range": {"start-datetime": f"{day}T00:00:00Z", "end-datetime": f"{day}T23:59:59Z"},
            "contact-info": f"tls-reports@{SENDER}",
            "report-id": f"{domain}-{ok}-{failed}",
            "policies": [found],
        }
        message = EmailMessage()
        message["From"], message["To"] = f"noreply@{SENDER}", f"tls-reports@{domain}"
        message["Subject"] = f"Report Domain: {domain} Submitter: {SENDER}"
        message.set_content("This is an aggregate TLS report.")
        packed = gzip.compress(json.dumps(report).encode())
        message.add_attachment(
            packed, maintype="application", subtype="tlsrpt+gzip", filename="report.json.gz"
        )
        data = message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        headers = [b"from", b"to", b"subject"]
        return (
            bytes(
                dkim.sign(data, _SELECTOR.encode(), SENDER.encode(), self._private, include_headers=headers)
            )
            + data
        )


def hand_over(port: int, message: bytes) -> None:
    """As postfix-mailcow does by its transport; blocks."""
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.sendmail(f"noreply@{SENDER}", [INTERNAL_ADDRESS], message)
