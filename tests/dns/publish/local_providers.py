"""octodns' own providers, but for their API's address: two of them have no argument for it. A worker loads these."""

from typing import Any

from hcloud import Client
from octodns_desec import DesecAPI, DesecProvider
from octodns_hetzner import HetznerProvider


class LocalDesec(DesecProvider):  # type: ignore[misc]  # octodns has no types
    def __init__(self, id: str, token: str, url: str, **kwargs: Any) -> None:  # noqa: A002 - as octodns calls it
        DesecAPI.API_DOMAINS_URL = f"{url}/v1/domains"
        super().__init__(id, token, **kwargs)


class LocalHetzner(HetznerProvider):  # type: ignore[misc]  # the same
    def __init__(self, id: str, token: str, url: str, **kwargs: Any) -> None:  # noqa: A002 - as octodns calls it
        super().__init__(id, token, backend="hcloud", **kwargs)
        self._client._hcloud = Client(token=token, api_endpoint=url)
        self._client._zones = self._client._hcloud.zones
