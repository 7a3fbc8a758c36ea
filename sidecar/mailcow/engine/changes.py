"""The calls that change containers, one method each, with their deadlines and error messages.

Rules for every editor: plain requests, because the SDK's own functions drop unknown fields. Each call
has a deadline, and that of a stop is longer than the stop. `recreate` decides the order of the calls.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sidecar.host.errors import PermanentError, SidecarError
from sidecar.mailcow.engine.calls import CONNECT, CREATE, REMOVE, RENAME, START, STOP, UPDATE, EngineCall
from sidecar.mailcow.engine.client import ACME, sleep_argument
from sidecar.mailcow.engine.new_container import Json
from sidecar.mailcow.engine.sdk import docker, explanation, requests, trouble

T = TypeVar("T")

COMMAND = f"docker compose up -d {ACME}"
"""The command that a person can run instead, in the mailcow directory."""

CALL_TIMEOUT_S = 60.0

_NOBODY = "0" * 64
_REFUSALS = frozenset({401, 403, 405})


class RecreateRefused(PermanentError):  # noqa: N818  it says what happened, as a sentence would
    """A proxy before the Engine's socket does not allow a call; nothing was changed."""


class EngineChanges:
    """The changing calls, one method each; raises SidecarError."""

    def __init__(self, client: docker.APIClient, docker_host: str) -> None:
        self.client = client
        self.docker_host = docker_host

    def rename(self, container_id: str, name: str) -> None:
        self._send(RENAME, container_id, query={"name": name})

    def create(self, name: str, body: Json) -> str:
        return str(self._send(CREATE, query={"name": name}, body=body).json()["Id"])

    def connect(self, network: str, container_id: str, endpoint: Json) -> None:
        self._send(CONNECT, network, body={"Container": container_id, "EndpointConfig": endpoint})

    def stop(self, container_id: str, grace_s: int) -> None:
        self._send(STOP, container_id, query={"t": str(grace_s)}, timeout_s=grace_s + CALL_TIMEOUT_S)

    def start(self, container_id: str) -> None:
        self._send(START, container_id)

    def set_restart(self, container_id: str, policy: Json) -> None:
        self._send(UPDATE, container_id, body={"RestartPolicy": policy})

    def remove(self, container_id: str, *, force: bool) -> None:
        """Its volumes stay, also the anonymous ones: the other container uses them."""
        self._send(REMOVE, container_id, query={"force": "1"} if force else {}, accepted={404})

    def listed(self, labels: Sequence[str]) -> list[Json]:
        """The containers with all these labels, including stopped ones."""

        def ask() -> list[Json]:
            return list(self.client.containers(all=True, filters={"label": list(labels)}))

        return self._explained("listing containers", CALL_TIMEOUT_S, ask)

    def inspect(self, container_id: str) -> Json:
        def ask() -> Json:
            found: Json = self.client.inspect_container(container_id)
            return found

        return self._explained(f"inspecting container {container_id[:12]}", CALL_TIMEOUT_S, ask)

    def image_id(self, name: str) -> str | None:
        """The id of the image with this name now; None if there is none, or if the call is not allowed."""

        def ask() -> str | None:
            found: Json = self.client.inspect_image(name)  # type: ignore[no-untyped-call]
            return found.get("Id")

        try:
            return self._explained("inspecting an image", CALL_TIMEOUT_S, ask)
        except SidecarError:
            return None

    def sleeps(self, container_id: str) -> bool:
        def ask() -> bool:
            found = self.client.top(container_id)
            return sleep_argument(found["Titles"], found["Processes"] or ()) is not None

        return self._explained(f"listing the processes of container {container_id[:12]}", CALL_TIMEOUT_S, ask)

    def check_leave(self, call: EngineCall) -> None:
        """Raises RecreateRefused if the call is not allowed: tried on a container that cannot exist."""
        self._send(call, _NOBODY, accepted=set(range(400, 600)) - _REFUSALS)

    def _send(
        self,
        call: EngineCall,
        target: str = "",
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        accepted: set[int] | frozenset[int] = frozenset(),
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> requests.Response:
        # Plain requests: the SDK's own functions drop unknown fields.
        url = f"{self.client.base_url}/v{self.client.api_version}{call.path.format(id=target)}"

        def ask() -> requests.Response:
            response = self.client.request(
                call.method,
                url,
                params=dict(query or {}),
                data=None if body is None else json.dumps(body),
                headers={} if body is None else {"Content-Type": "application/json"},
                timeout=timeout_s,
                allow_redirects=False,
            )
            if response.status_code not in accepted:
                try:
                    response.raise_for_status()
                except requests.HTTPError as error:
                    docker.errors.create_api_error_from_http_exception(error)
            return response

        return self._explained(f"{call.method} {call.path} (to {call.purpose})", timeout_s, ask)

    def _explained(self, what: str, timeout_s: float, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except docker.errors.APIError as error:
            if error.status_code in _REFUSALS:
                raise RecreateRefused(
                    f"{what} was refused by {self.docker_host} ({explanation(error)}); nothing "
                    f"was changed: run `{COMMAND}` in the mailcow directory, or let the proxy before Docker's "
                    "socket allow the calls that docs/rights.md lists"
                ) from error
            raise trouble(what, self.docker_host, timeout_s, error) from error
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            raise trouble(what, self.docker_host, timeout_s, error) from error
