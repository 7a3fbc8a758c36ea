"""IP addresses that the internet does not route, without I/O."""

import ipaddress

_PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        (
            "10.0.0.0/8",  # RFC 1918 §3
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",  # RFC 6598 §7: behind a provider's NAT
            "169.254.0.0/16",  # RFC 3927 §2.1
            "fc00::/7",  # RFC 4193 §3.1
            "fe80::/10",  # RFC 4291 §2.5.6
        ),
    )
)


def is_private(address: str) -> bool:
    """Whether senders elsewhere cannot reach the address; False for loopback, and for a text that is not an address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in network for network in _PRIVATE)
