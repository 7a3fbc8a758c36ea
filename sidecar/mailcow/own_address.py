"""The IPv4 address from which this process asks mailcow's web server; no packet is sent to find it."""

import socket

from sidecar.host.errors import TemporaryError

_ANY_PORT = 9


def own_address(host: str) -> str:
    """The local address of the route to `host`, a name or an IPv4 address. Blocks; raises TemporaryError."""
    try:
        found = socket.getaddrinfo(host, _ANY_PORT, socket.AF_INET, socket.SOCK_DGRAM)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            # Connecting a datagram socket only looks up the route.
            probe.connect(found[0][4])
            return str(probe.getsockname()[0])
    except OSError as error:
        raise TemporaryError(
            f"the sidecar's own address towards {host} is not known ({error.strerror or error}): is the sidecar in "
            "mailcow's network?"
        ) from error
