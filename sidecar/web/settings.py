"""Where the page is served, and who may see it.

Rule for every editor: the token is never shown, not even in an error.
"""

import ipaddress
from dataclasses import dataclass

from pydantic import SecretStr

from sidecar.web.auth import Network

SHORTEST_TOKEN = 12
"""Characters. Tokens must be long, because every guess is compared: a lock-out would hit the owner, too."""


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Address (of an interface) and port to listen on; without a token everyone may read, and actions are disabled."""

    address: str = "127.0.0.1"
    port: int = 8480
    """0: any free port."""
    token: SecretStr | None = None
    names: frozenset[str] = frozenset()
    """Accepted host names; IP addresses and localhost are always accepted."""
    proxies: tuple[Network, ...] = ()
    """Proxies whose X-Forwarded-For header is used."""

    def __post_init__(self) -> None:
        """Raises ValueError with a sentence for people when a value is invalid."""
        ipaddress.ip_address(self.address)
        if not 0 <= self.port < 1 << 16:
            raise ValueError(f"{self.port} is not a port; accepted: 0 to 65535")
        if self.token is not None and len(self.token.get_secret_value()) < SHORTEST_TOKEN:
            raise ValueError(f"the token is too short; accepted: {SHORTEST_TOKEN} characters or more")
