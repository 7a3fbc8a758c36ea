"""mailcow's services as their Compose file orders them, each a stand-in that only sleeps.

From mailcow's docker-compose.yml of 2026-07a: names, `depends_on`, fixed addresses. For tests that ask what of mailcow
starts when the sidecar's container cannot.
"""

import json
from collections.abc import Mapping

DEPENDS_ON: Mapping[str, tuple[str, ...]] = {
    "unbound": (),
    "netfilter": (),
    "sogo": (),
    "memcached": (),
    "olefy": (),
    "dockerapi": (),
    "mysql": ("unbound", "netfilter"),
    "redis": ("netfilter",),
    "clamd": ("unbound",),
    "php-fpm": ("redis",),
    "dovecot": ("mysql", "netfilter", "redis"),
    "rspamd": ("dovecot", "clamd"),
    "postfix-tlspol": ("unbound",),
    "postfix": ("mysql", "unbound", "postfix-tlspol"),
    "nginx": ("redis", "php-fpm", "sogo", "rspamd"),
    "acme": ("nginx", "unbound"),
    "watchdog": ("postfix", "dovecot", "mysql", "acme", "redis"),
    "ofelia": ("sogo", "dovecot"),
}
_FIXED = {"unbound": 254, "redis": 249, "sogo": 248, "dovecot": 250, "postfix": 253}

SERVICES = frozenset(f"{name}-mailcow" for name in DEPENDS_ON)


def compose() -> str:
    """The Compose file (JSON, which YAML is a superset of)."""
    services = {f"{name}-mailcow": _service(name, needs) for name, needs in DEPENDS_ON.items()}
    network = {"driver": "bridge", "ipam": {"config": [{"subnet": "${IPV4_NETWORK:-172.22.1}.0/24"}]}}
    return json.dumps({"services": services, "networks": {"mailcow-network": network}})


def _service(name: str, needs: tuple[str, ...]) -> dict[str, object]:
    network: dict[str, object] = {"aliases": [name]}
    if name in _FIXED:
        network["ipv4_address"] = f"${{IPV4_NETWORK:-172.22.1}}.{_FIXED[name]}"
    return {
        "image": "stand-in:busybox",
        "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 365d & wait"],
        "depends_on": [f"{need}-mailcow" for need in needs],
        "networks": {"mailcow-network": network},
    }
