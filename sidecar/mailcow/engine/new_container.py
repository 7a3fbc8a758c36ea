"""Re-creating a container, as values: the request, the result, and the remains of an interrupted attempt.

Rules for every editor: all fields that `inspect` gave are sent back, including unknown ones; each field
that is left out or changed has its reason next to it. No I/O. The order of the calls is in `recreate`.
"""

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from sidecar.observed import NEW_SUFFIX, OLD_SUFFIX

Json: TypeAlias = Mapping[str, Any]

CONFIG_HASH = "com.docker.compose.config-hash"

_CLAIM = "re-created by mta-sts-sidecar; restart={name}:{count}"
"""The label by which Compose decides whether a container is up to date: this is not a hash, so it never is.

It must exist, because Compose ignores a container without it. It also holds the values that are needed to finish an
interrupted re-creation.
"""
_CLAIMED = re.compile(r"re-created by mta-sts-sidecar; restart=(?P<name>[a-z-]+):(?P<count>\d+)")

# Fields that the Engine sets when an endpoint comes up. All other fields of an endpoint were requested.
# A MAC address may be either: see `_endpoints`.
_FOUND_OUT = frozenset(
    {
        "DNSNames",
        "EndpointID",
        "Gateway",
        "GlobalIPv6Address",
        "GlobalIPv6PrefixLen",
        "IPAddress",
        "IPPrefixLen",
        "IPv6Gateway",
        "MacAddress",
        "NetworkID",
    }
)
_NO_ENDPOINT = ("host", "none", "container:")
_NO_RESTART = {"Name": "no", "MaximumRetryCount": 0}


# --- the request -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recreation:
    """The request: the body for `POST /containers/create`, and each further network with its endpoint."""

    body: Json
    networks: Mapping[str, Json]
    """The Engine before API 1.44 accepts one network at creation; the others are connected before the start."""
    restart: Json
    """The restart policy, for the time when the old container is gone."""


def recreation(inspected: Json, environment: Mapping[str, str], named: str | None = None) -> Recreation:
    """The request for a new container with the settings in this answer of `inspect`, and these environment variables.

    Only the given keys change; a missing one is added. `named` is the id of the image that the
    container's image name means now, None if that is not known. The new container does not restart automatically
    yet. An unexpected answer raises an exception of Python's (KeyError, TypeError, ...).
    """
    config, host = inspected["Config"], inspected["HostConfig"]
    restart = host.get("RestartPolicy") or _NO_RESTART
    endpoints = _endpoints(inspected)
    main = _main_network(inspected)
    hostname = str(config.get("Hostname") or "")
    shared = str(host.get("NetworkMode") or "").startswith("container:")
    if shared or (hostname and inspected["Id"].startswith(hostname)):
        hostname = ""  # it belongs to another container, or the Engine derived it from the id
    env: dict[str, str] = {}  # in the order of the lines; a changed key keeps its place, and has one line
    for line in config.get("Env") or ():
        key = line.partition("=")[0]
        env[key] = f"{key}={environment[key]}" if key in environment else line
    env |= {key: f"{key}={value}" for key, value in environment.items()}
    claim = _CLAIM.format(name=restart.get("Name") or "no", count=restart.get("MaximumRetryCount") or 0)
    body = {
        **config,
        "Hostname": hostname,
        # The name, for people to read, as long as it means the same image: the tag may have been pulled again.
        "Image": str(config["Image"] if named == inspected["Image"] else inspected["Image"]),
        "Env": list(env.values()),
        # The Engine shows a cleared entry point as null; with null in the request, it would use the image's.
        "Entrypoint": config.get("Entrypoint") or [""],
        "Labels": {**(config.get("Labels") or {}), CONFIG_HASH: claim},
        "HostConfig": {**host, **_carried(inspected), "RestartPolicy": _NO_RESTART},
        "NetworkingConfig": {"EndpointsConfig": {main: endpoints[main]} if main in endpoints else {}},
    }
    others = {name: endpoint for name, endpoint in endpoints.items() if name != main}
    return Recreation(body, others, restart)


def restarts(policy: Json) -> bool:
    """Whether the Engine starts a container with this policy automatically."""
    return policy.get("Name") not in {None, "", "no"}


def claimed_restart(label: str) -> Json | None:
    """The restart policy in our label; None for a label that is not ours."""
    found = _CLAIMED.fullmatch(label)
    return {"Name": found["name"], "MaximumRetryCount": int(found["count"])} if found else None


def _carried(inspected: Json) -> Json:
    """HostConfig's `Mounts` with the names of anonymous volumes, which it lacks; empty if there are none."""
    host = inspected["HostConfig"]
    # A bind is written `source:target[:mode]`.
    binds = (bind.split(":")[1] if ":" in bind else bind for bind in host.get("Binds") or ())
    bound = set(map(posixpath.normpath, binds))
    mounts = [dict(mount) for mount in host.get("Mounts") or ()]
    asked = {posixpath.normpath(mount["Target"]): mount for mount in mounts}
    changed = False
    for mount in inspected.get("Mounts") or ():
        target = posixpath.normpath(mount["Destination"])
        if mount["Type"] != "volume" or target in bound or asked.get(target, {}).get("Source"):
            continue
        changed = True
        if target in asked:
            asked[target]["Source"] = mount["Name"]
        else:
            writable = mount.get("RW", True)
            read_only = {} if writable else {"ReadOnly": True}
            mounts.append({"Type": "volume", "Source": mount["Name"], "Target": target, **read_only})
    return {"Mounts": mounts} if changed else {}


# --- networks --------------------------------------------------------------------------------------------


def _main_network(inspected: Json) -> str | None:
    """The network that `NetworkMode` means, by name or by id; None if the container has no endpoint of its own."""
    mode = str(inspected["HostConfig"].get("NetworkMode") or "")
    networks = inspected["NetworkSettings"]["Networks"] or {}
    if mode in networks:
        return mode
    return next((name for name, found in networks.items() if mode and found.get("NetworkID") == mode), None)


def _endpoints(inspected: Json) -> dict[str, Json]:
    """The endpoints as they were requested: aliases, fixed addresses, links, driver options, and unknown newer fields."""
    if str(inspected["HostConfig"].get("NetworkMode") or "").startswith(_NO_ENDPOINT):
        return {}
    main = _main_network(inspected)
    # Only this address was requested; the one in an endpoint was assigned to the old container.
    mac = inspected["Config"].get("MacAddress")
    own_id = inspected["Id"]
    endpoints: dict[str, Json] = {}
    for name, found in (inspected["NetworkSettings"]["Networks"] or {}).items():
        requested = {key: value for key, value in found.items() if key not in _FOUND_OUT}
        if requested.get("Aliases"):
            requested["Aliases"] = [a for a in requested["Aliases"] if a not in {own_id, own_id[:12]}]
        endpoints[name] = {**requested, "MacAddress": mac} if mac and name == main else requested
    return endpoints


# --- the result ------------------------------------------------------------------------------------------


def differences(
    before: Json, after: Json, environment: Mapping[str, str], named: str | None = None
) -> tuple[str, ...]:
    """The sorted names of fields in which the new container (`inspect`, not yet started) differs from the request."""
    asked = recreation(before, environment, named)
    config = {
        key: value for key, value in asked.body.items() if key not in {"HostConfig", "NetworkingConfig"}
    }
    if not config["Hostname"]:
        config["Hostname"] = after["Config"].get("Hostname")
    if config["Entrypoint"] == [""]:
        config["Entrypoint"] = None
    pairs = {
        "Image": (before["Image"], after["Image"]),
        "Mounts": (_mounts(before), _mounts(after)),
        **_by_key("Config", config, after["Config"]),
        **_by_key("HostConfig", asked.body["HostConfig"], after["HostConfig"]),
        **_by_key("Networks", _endpoints(before), _endpoints(after)),
    }
    return tuple(sorted(name for name, (one, other) in pairs.items() if _plain(one) != _plain(other)))


def _by_key(prefix: str, one: Json, other: Json) -> dict[str, tuple[Any, Any]]:
    return {f"{prefix}.{key}": (one.get(key), other.get(key)) for key in one.keys() | other.keys()}


def _mounts(inspected: Json) -> list[tuple[str, str, str, bool]]:
    return sorted(
        (
            mount["Type"],
            mount.get("Name") or mount.get("Source") or "",
            mount["Destination"],
            mount.get("RW", True),
        )
        for mount in inspected.get("Mounts") or ()
    )


def _plain(value: Any) -> Any:
    """The value without empty parts: the Engine uses null, an empty list, an empty object or no field at all."""
    match value:
        case Mapping():
            plain = {key: _plain(inner) for key, inner in value.items()}
            return {key: inner for key, inner in plain.items() if inner is not None} or None
        case str() | None:
            return value or None
        case Sequence():
            return [_plain(inner) for inner in value] or None
        case _:
            return value


# --- the remains of an interrupted attempt -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AcmeContainer:
    """A container of acme-mailcow in a list."""

    id: str
    name: str
    alive: bool
    label: str
    """Its `config-hash`."""


@dataclass(frozen=True, slots=True)
class Leftovers:
    """The containers of acme-mailcow: those with our temporary names, and others."""

    old: AcmeContainer | None = None
    new: AcmeContainer | None = None
    others: tuple[AcmeContainer, ...] = ()


class Settlement(Enum):
    """How to return to one container."""

    NOTHING = "nothing was changed"
    BACK = "the old container runs again, under its name"
    FORWARD = "the new container takes the old one's place"
    CLEAR = "another container was created since: both of ours are removed"
    STUCK = "a container that is not ours is in the way and does not run: a person has to choose"


def leftovers(rows: Iterable[Json]) -> Leftovers:
    """The leftovers in the Engine's list of acme-mailcow's containers."""
    found = [
        AcmeContainer(
            row["Id"],
            # A link from another container adds a name with two slashes.
            next((name[1:] for name in row["Names"] if name.count("/") == 1), ""),
            row["State"] in {"running", "restarting", "paused"},
            row["Labels"].get(CONFIG_HASH, ""),
        )
        for row in rows
    ]
    old = next((one for one in found if one.name.endswith(OLD_SUFFIX)), None)
    new = next((one for one in found if one.name.endswith(NEW_SUFFIX)), None)
    return Leftovers(old, new, tuple(one for one in found if one not in (old, new)))


def way(left: Leftovers, *, back: bool = False) -> Settlement:
    """The next step; with `back` the old container is preferred even if the new one already runs."""
    match left:
        case Leftovers(old=None, new=None):
            return Settlement.NOTHING
        case Leftovers(old=old, new=new, others=others) if others:
            ours_run = any(one.alive for one in (old, new) if one)
            return Settlement.CLEAR if any(one.alive for one in others) or not ours_run else Settlement.STUCK
        case Leftovers(old=None):
            return Settlement.FORWARD
        case Leftovers(old=AcmeContainer(alive=False), new=AcmeContainer(alive=True)) if not back:
            return Settlement.FORWARD  # its run has begun: another one would be useless
        case _:
            return Settlement.BACK


def own_name(name: str) -> str:
    """The usual name of the service's container, from one of our temporary names."""
    return name.removesuffix(OLD_SUFFIX).removesuffix(NEW_SUFFIX)
