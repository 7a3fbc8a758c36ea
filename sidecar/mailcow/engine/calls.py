"""Every call that the sidecar makes to the Docker engine, and what for: what a proxy before its socket must allow.

Rule for every editor: a call that is not listed here is not made; a test with a recording proxy says so, and the
docs/rights.md prints this list. Nothing here talks to the Engine.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Purpose(StrEnum):
    """What no longer works where a call is refused."""

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
    "whether the image's name still means the image that runs; where this is refused, its id is used",
)
RENAME = EngineCall(
    "POST",
    "/containers/{id}/rename",
    Purpose.RECREATE,
    "the old container steps aside, the new one takes its name",
)
CREATE = EngineCall(
    "POST", "/containers/create", Purpose.RECREATE, "the same container with another ADDITIONAL_SAN"
)
CONNECT = EngineCall(
    "POST", "/networks/{id}/connect", Purpose.RECREATE, "only where acme-mailcow is in more than one network"
)
STOP = EngineCall(
    "POST", "/containers/{id}/stop", Purpose.RECREATE, "acme-mailcow is told to end, while it sleeps"
)
START = EngineCall(
    "POST", "/containers/{id}/start", Purpose.RECREATE, "the new container, or the old one where that failed"
)
UPDATE = EngineCall(
    "POST",
    "/containers/{id}/update",
    Purpose.RECREATE,
    "the restart policy of the new container: set when the old one is gone, so that never both start with the host",
)
REMOVE = EngineCall(
    "DELETE",
    "/containers/{id}",
    Purpose.RECREATE,
    "the old container, or the new one where that failed; no volume",
)

ENGINE_CALLS = (
    EngineCall("GET", "/version", Purpose.LOOK, "which version of its interface the Engine speaks"),
    EngineCall("GET", "/containers/json", Purpose.LOOK, "which containers mailcow has, and whether they run"),
    EngineCall(
        "GET", "/containers/{id}/json", Purpose.LOOK, "when they started, and acme-mailcow's environment"
    ),
    EngineCall("GET", "/containers/{id}/top", Purpose.LOOK, "whether acme-mailcow is at work or sleeps"),
    EngineCall(
        "GET",
        "/containers/{id}/logs",
        Purpose.LOOK,
        "what acme-mailcow's last run said of each name",
    ),
    EngineCall("GET", "/events", Purpose.LOOK, "to see at once what starts and stops"),
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
    """Those calls (method, path without query) that are of no kind listed here."""
    return tuple(
        f"{method} {path}"
        for method, path in calls
        if not any(call.matches(method, path) for call in ENGINE_CALLS)
    )
