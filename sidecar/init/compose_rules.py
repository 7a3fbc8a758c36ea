"""Rules about Compose: what would make it ignore a file, refuse the whole project, or not start the sidecar; pure.

Rules for every editor: those of `checks`. A finding that stops `init` is in here.
"""

import ipaddress

from sidecar.init.findings import (
    ADDRESS_TAKEN,
    BUILD,
    CLONE_MISSING,
    LAST,
    LAST_MISSING,
    Findings,
    InitFinding,
    Mark,
)
from sidecar.init.look import ADDRESS_END, CLONE, COMPOSE, DEFAULT_NETWORK, SOCKET, SOURCE, Clone, Directory
from sidecar.init.override import SERVICE


def compose_files(found: Directory) -> Findings:
    if not found.env_is_conf:
        yield InitFinding(
            "env-link",
            Mark.WARN,
            ".env is not a link to mailcow.conf, so Compose does not see the settings in mailcow.conf",
            "in the mailcow directory: ln -sf mailcow.conf .env",
        )
    if found.before_compose:
        yield InitFinding(
            "compose-shadowed",
            Mark.WARN,
            f"Compose reads {found.before_compose[0]} instead of mailcow's {COMPOSE}",
            "move it away, or add the sidecar's service to whatever you start mailcow with",
        )
    if found.override.ignored:
        yield InitFinding(
            "override-ignored",
            Mark.WARN,
            f"of several override files Compose reads {found.override.name} and not "
            f"{', '.join(found.override.ignored)}",
            "put what you still need into one file",
        )
    files = found.conf.values.get("COMPOSE_FILE", "")
    if files and found.override.name not in files.replace(";", ":").split(":"):
        yield InitFinding(
            "compose-file",
            Mark.WARN,
            f"COMPOSE_FILE in mailcow.conf does not name {found.override.name}, so Compose does not read it",
            "add it there",
        )


def address(found: Directory) -> Findings:
    values, address = found.conf.values, found.address
    network = values.get("IPV4_NETWORK", "")
    try:
        # The first three numbers, as mailcow's compose file takes them.
        ipaddress.IPv4Address(f"{network or DEFAULT_NETWORK}.0")
    except ValueError:
        yield InitFinding(
            "address-network",
            Mark.STOP,
            f"IPV4_NETWORK={network} in mailcow.conf does not have the form 172.22.1: mailcow appends the last number and "
            "/24, so no container gets an address",
            "write the first three numbers of a private network, without a fourth one and without /24",
        )
        return
    files = (found.compose, found.overriding)
    holders = [name for file in files if (name := file.holder(address, values, but=SERVICE))]
    if holders:
        prefix = address.rpartition(".")[0]
        free = next(
            candidate
            for candidate in (f"{prefix}.{last}" for last in range(246, 1, -1))
            if not any(file.holder(candidate, values, but="") for file in files)
        )
        yield InitFinding(
            ADDRESS_TAKEN,
            Mark.STOP,
            f"the service {holders[0]} has the fixed address {address}, which the sidecar needs",
            f"give {holders[0]} another one, or add the sidecar's service yourself with a free one (such as "
            f"{free}): init then uses that",
        )
    elif SERVICE in found.overriding.by_name and found.overriding.address(SERVICE, values) is None:
        yield InitFinding(
            "address-none",
            Mark.WARN,
            f"the service {SERVICE} has no fixed address in {found.override.name}, so the API may not let it in",
            f"give it one, as the sidecar's own docker-compose.override.yml does ({address})",
        )


def clone(found: Directory) -> Findings:
    match found.clone:
        case Clone.THERE:
            yield InitFinding(
                "clone", Mark.GOOD, f"the sidecar's repository is in the folder from which {SERVICE} is built"
            )
        case Clone.OUTSIDE:
            yield InitFinding(
                "clone-outside",
                Mark.NOTE,
                f"{SERVICE} is built from a place outside of the mailcow directory, which init cannot see",
                f"before mailcow is stopped or updated: {BUILD}",
            )
        case Clone.REMOTE:
            yield InitFinding(
                "clone-remote",
                Mark.NOTE,
                f"{SERVICE} is built from a git address ({SOURCE}), which init does not check; without an image, and "
                "if Docker cannot fetch it, `docker compose up -d` starts nothing of mailcow",
                f"before mailcow is stopped or updated: {BUILD}",
            )
        case Clone.MISSING:
            yield InitFinding(
                CLONE_MISSING,
                Mark.STOP,
                f"the folder from which {SERVICE} is built is missing, or does not contain the sidecar's repository; "
                "without an image `docker compose up -d` then starts nothing of mailcow",
                f"clone the repository into {CLONE}/ in the mailcow directory, or set {SOURCE} in mailcow.conf to "
                "another folder or a git address, and run init again",
            )


def start(found: Directory) -> Findings:
    """What would make Compose refuse the whole project, or keep the sidecar's container from starting."""
    files = (found.compose, found.overriding)
    if not any(LAST in file.by_name for file in files) or any(file.optional(LAST) for file in files):
        yield InitFinding(
            LAST_MISSING,
            Mark.STOP,
            f"{LAST}, for which {SERVICE} waits when it starts, is missing or has a profile: Compose would refuse the "
            "whole mailcow project",
            f"remove the profile (USE_WATCHDOG=n switches the watchdog off), or remove `depends_on` from {SERVICE}",
        )
    last = found.conf.values.get(ADDRESS_END, "")
    if last and not (last.isascii() and last.isdigit() and 1 < int(last) < 255):
        yield InitFinding(
            "address-end",
            Mark.STOP,
            f"{ADDRESS_END} is not a number from 2 to 254",
            "correct it in mailcow.conf",
        )
    socket = found.conf.values.get(SOCKET, "")
    if socket and not socket.startswith("/"):
        yield InitFinding(
            "socket-path",
            Mark.STOP,
            f"{SOCKET} is not an absolute path, so Compose would refuse the whole mailcow project, or use a wrong path",
            "set it to the path of Docker's socket on the host, such as /run/user/1000/docker.sock",
        )
    if found.overriding.by_name.get(SERVICE, {}).get("ports"):
        yield InitFinding(
            "ports-published",
            Mark.NOTE,
            f"{SERVICE} publishes a port: if another program uses it, the sidecar does not start (mailcow does)",
        )
