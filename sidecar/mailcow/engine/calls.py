"""Every call that the sidecar makes to the Docker engine, and its purpose: a proxy before its socket must allow these.

Rule for every editor: a call that is not listed here is not made; a test with a recording proxy checks that, and
docs/rights.md prints this list. Nothing here talks to the Engine.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Purpose(StrEnum):
    """What no longer works if a call is refused."""

    LOOK = "look at mailcow's containers"
    RESTART = "restart acme-mailcow"
    RECREATE = "re-create acme-mailcow"


@dataclass(frozen=True, slots=True)
class EngineCall:
    """A kind of call; `path` as in the Engine's own reference, without the version before it."""

    method: str
    path: str
    purpose: Purpose
    why: str

    def matches(self, method: str, path: str) -> bool:
        """Whether a call is of this kind; `path` without query, with or without a version."""
        # The name of an image may have slashes in it.
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(self.path).replace(r"\{name\}", ".+"))
        return method == self.method and re.fullmatch(rf"(?:/v[\d.]+)?{pattern}", path) is not None


IMAGE = EngineCall(
    "GET",
    "/images/{name}/json",
    Purpose.RECREATE,
    "whether the image's name still means the running image; if this is refused, its id is used",
)
RENAME = EngineCall(
    "POST",
    "/containers/{id}/rename",
    Purpose.RECREATE,
    "the old container is renamed, the new one gets its name",
)
CREATE = EngineCall(
    "POST", "/containers/create", Purpose.RECREATE, "the same container with another ADDITIONAL_SAN"
)
CONNECT = EngineCall(
    "POST", "/networks/{id}/connect", Purpose.RECREATE, "only if acme-mailcow is in more than one network"
)
STOP = EngineCall(
    "POST", "/containers/{id}/stop", Purpose.RECREATE, "acme-mailcow is stopped, while it sleeps"
)
START = EngineCall(
    "POST", "/containers/{id}/start", Purpose.RECREATE, "the new container, or the old one if that failed"
)
UPDATE = EngineCall(
    "POST",
    "/containers/{id}/update",
    Purpose.RECREATE,
    "the restart policy of the new container: set once the old one is gone, so that both never start with the host",
)
REMOVE = EngineCall(
    "DELETE",
    "/containers/{id}",
    Purpose.RECREATE,
    "the old container, or the new one if that failed; no volume",
)

ENGINE_CALLS = (
    EngineCall("GET", "/version", Purpose.LOOK, "the API version of the Engine"),
    EngineCall("GET", "/containers/json", Purpose.LOOK, "which containers mailcow has, and whether they run"),
    EngineCall(
        "GET", "/containers/{id}/json", Purpose.LOOK, "when they started, and acme-mailcow's environment"
    ),
    EngineCall("GET", "/containers/{id}/top", Purpose.LOOK, "whether acme-mailcow is working or sleeping"),
    EngineCall(
        "GET",
        "/containers/{id}/logs",
        Purpose.LOOK,
        "the result of acme-mailcow's last run for each name",
    ),
    EngineCall("GET", "/events", Purpose.LOOK, "to notice at once when a container starts or stops"),
    EngineCall(
        "POST", "/containers/{id}/restart", Purpose.RESTART, "acme-mailcow orders a certificate at its start"
    ),
    IMAGE,
    RENAME,
    CREATE,
    CONNECT,
    STOP,
    START,
    UPDATE,
    REMOVE,
)


def unlisted(calls: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The calls (method, path without query) that are not listed here."""
    return tuple(
        f"{method} {path}"
        for method, path in calls
        if not any(call.matches(method, path) for call in ENGINE_CALLS)
    )
