"""Which container this process runs in, to find the sidecar's compose project.

Rule for every editor: a guess counts only after the Engine has confirmed it. Nothing here talks to the Engine.
"""

import os
import re
from pathlib import Path

_ID = re.compile(r"[0-9a-f]{12,64}\Z")
# The Engine writes these three files for each container and mounts them; other mounts below its folder may
# belong to other containers, and are seen by a process on the host.
_MOUNT = re.compile(r" \S*/containers/(?P<id>[0-9a-f]{64})/\S+ /etc/(?:hostname|hosts|resolv\.conf) ")


def own_ids() -> tuple[str, ...]:
    """Ids (whole or abbreviated) that our container may have, the most certain first; empty outside a container."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        mounts = ""
    return candidates(mounts, os.environ.get("HOSTNAME"))


def candidates(mountinfo: str, hostname: str | None) -> tuple[str, ...]:
    """The ids that a process with this /proc/self/mountinfo and this HOSTNAME may have.

    Compose's `hostname:` and `docker run --hostname` replace the id in HOSTNAME by anything.
    """
    found = [match["id"] for match in _MOUNT.finditer(mountinfo)]
    if hostname and _ID.match(hostname):
        found.append(hostname)
    return tuple(dict.fromkeys(found))
