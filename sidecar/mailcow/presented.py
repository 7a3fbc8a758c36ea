"""The certificate that nginx really presents: what senders and browsers get counts, not the file on the disk.

Rule for every editor: nothing is sent but the handshake, so any certificate may be accepted: it is what has to be
observed, and nothing here trusts it.
"""

import asyncio
import socket

from cryptography import x509

from sidecar.formats.x509 import reading
from sidecar.mailcow.certificates import described
from sidecar.mailcow.endpoint import Endpoint
from sidecar.observed import Certificate, Seen, Sight, Unseen
from sidecar.verify.probes.tls import accepting_all, closing

DEADLINE_S = 5.0


async def presented(endpoint: Endpoint, name: str, now: float) -> Sight[Certificate]:
    """The leaf that the server at `endpoint` presents for `name` by SNI; Unseen if it cannot be asked by TLS."""
    if not endpoint.tls:
        return Unseen("mailcow's web server is asked by plain HTTP, which shows no certificate", now)
    try:
        async with asyncio.timeout(DEADLINE_S):
            _, writer = await asyncio.open_connection(
                endpoint.host, endpoint.port, ssl=accepting_all(), server_hostname=name, family=socket.AF_INET
            )
            with closing(writer):
                found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        with reading():
            read = x509.load_der_x509_certificate(found)
        return Seen(described(read, ""), now)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        return Unseen(f"the certificate of {endpoint.host} could not be looked at: {error}", now)
