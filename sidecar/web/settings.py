"""Where the page is served, and who may see it.

Rule for every editor: the token is shown nowhere, not even in a mistake.
"""

import ipaddress
from dataclasses import dataclass

from pydantic import SecretStr

from sidecar.web.auth import Network

SHORTEST_TOKEN = 12
"""Characters, random ones: every guess is compared, since strangers could else lock the token's owner out."""


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Address (of an interface) and port to listen on; without a token all may look, and nobody may act."""

    address: str = "127.0.0.1"
    port: int = 8480
    """0: any free one."""
    token: SecretStr | None = None
    names: frozenset[str] = frozenset()
    """Host names under which the page may be asked for; addresses and localhost are always right."""
    proxies: tuple[Network, ...] = ()
    """Who is believed on whom it speaks for."""

    def __post_init__(self) -> None:
        """Raises ValueError, for people, where a value cannot be meant."""
        ipaddress.ip_address(self.address)
        if not 0 <= self.port < 1 << 16:
            raise ValueError(f"{self.port} is no port; accepted: 0 to 65535")
        if self.token is not None and len(self.token.get_secret_value()) < SHORTEST_TOKEN:
            raise ValueError(f"the token is too short; accepted: {SHORTEST_TOKEN} characters or more")
