"""Reads a mailcow directory before the sidecar's service exists: files only, and nothing is written.

Rule for every editor: no network and no Docker, because `init` runs in its own container. What is found is a value of
`Directory`; `checks` decides what it means.
"""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from sidecar.formats.dotenv import read
from sidecar.host.errors import PermanentError
from sidecar.host.plain_file import read_plain
from sidecar.init.override import SERVICE
from sidecar.init.services import NETWORK, Services
from sidecar.mailcow import conf as mailcow_conf
from sidecar.mailcow import policy_file
from sidecar.mailcow.certificates import CertificateFolder
from sidecar.observed import FIRST_NATIVE, Backend, Certificates, Conf, PolicyFile, Sight, Unseen, Version

COMPOSE = "docker-compose.yml"
OVERRIDES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
"""The names under which Compose looks for an override file; of several it takes the first of this list."""
DEFAULT_OVERRIDE = "docker-compose.override.yml"
CLONE = "mta-sts-sidecar"
SOURCE = "MTA_STS_SOURCE"
ADDRESS_END = "MTA_STS_ADDRESS_END"
SOCKET = "MTA_STS_DOCKER_SOCKET"
DEFAULT_NETWORK = "172.22.1"
DEFAULT_ADDRESS_END = "247"

_BEFORE_COMPOSE = ("compose.yaml", "compose.yml")
_MAILCOW_SERVICES = frozenset({"nginx-mailcow", "acme-mailcow"})
_APP_INFO = Path("data/web/inc/app_info.inc.php")
_VERSION = re.compile(r"\$MAILCOW_GIT_VERSION\s*=\s*[\"']([^\"']*)[\"']")
_NATIVE_PAGE = Path("data/web/mta-sts.php")
_LARGEST = 1 << 20
_REMOTE = re.compile(r"(https?|git|ssh)://|git@|github\.com/")
"""What Docker treats as a repository and not as a folder."""


class Clone(Enum):
    """Whether the sidecar's repository is in the place from which the service is built."""

    THERE = auto()
    MISSING = auto()
    OUTSIDE = auto()
    """A place that the container cannot see."""
    REMOTE = auto()
    """A git address, which Docker fetches when it builds."""


@dataclass(frozen=True, slots=True)
class OverrideFile:
    """The override file that Compose reads, or would read; `path` is behind any link, `data` None for no file."""

    name: str
    path: Path
    data: bytes | None
    locked: str | None
    """Why it cannot be written."""
    ignored: tuple[str, ...]
    """Further override files, which Compose does not read."""


@dataclass(frozen=True, slots=True)
class Directory:
    """A mailcow directory as found."""

    path: Path
    conf: Conf
    conf_path: Path
    """Behind any link."""
    conf_data: bytes
    env_is_conf: bool
    """Whether `.env`, which Compose reads, is mailcow.conf."""
    compose: Services
    before_compose: tuple[str, ...]
    """Files that Compose prefers to docker-compose.yml."""
    override: OverrideFile
    overriding: Services
    """What the override file has; nothing if it cannot be read."""
    version_text: str | None
    version: Version | None
    has_policy_page: bool
    certificates: Sight[Certificates]
    policy_file: Sight[PolicyFile]
    clone: Clone
    seen_at: float

    @property
    def backend(self) -> Backend:
        """mailcow's own page for policies decides: the version only says what was installed last."""
        return Backend.NATIVE if self.has_policy_page else Backend.FILE

    @property
    def version_disagrees(self) -> bool:
        """Whether version and files belong to different generations."""
        return self.version is not None and (self.version >= FIRST_NATIVE) != self.has_policy_page

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables that the service in the override file, if there is one, sets."""
        return self.overriding.variables(SERVICE, self.conf.values)

    @property
    def address(self) -> str:
        """The sidecar's fixed address: the one in the override file, else the one that `init` will write there."""
        values = self.conf.values
        network = values.get("IPV4_NETWORK") or DEFAULT_NETWORK
        last = values.get(ADDRESS_END) or DEFAULT_ADDRESS_END
        return self.overriding.address(SERVICE, values) or f"{network}.{last}"


def look(path: Path, now: float) -> Directory:
    """The mailcow directory at `path`, at `now` (Unix seconds); blocks on the disk.

    Raises PermanentError, with what to do, for a folder that is not a mailcow directory or cannot be read.
    """
    if not path.is_dir():
        raise PermanentError(f"there is no folder {path}: mount the mailcow directory there (-v …:{path})")
    conf = mailcow_conf.observe(path, now)
    if isinstance(conf, Unseen):
        raise PermanentError(f"{path} is not a mailcow directory that init can work in: {conf.reason}")
    conf_path = (path / mailcow_conf.NAME).resolve()
    conf_data = _content(conf_path)
    values = read(conf_data)
    compose = _compose(path)
    override = _override(path)
    overriding = Services({})
    with suppress(ValueError):  # `override.merge` reports what is wrong with it
        overriding = Services.read(override.data)
    version = None
    with suppress(OSError):
        info = read_plain(path / _APP_INFO, _LARGEST).decode("utf-8", "replace")
        versions: Sequence[str] = _VERSION.findall(info)
        version = versions[-1].strip() or None if versions else None
    return Directory(
        path=path,
        conf=Conf(values, conf.value.locked),
        conf_path=conf_path,
        conf_data=conf_data,
        env_is_conf=(path / ".env").resolve() == conf_path,
        compose=compose,
        before_compose=tuple(name for name in _BEFORE_COMPOSE if (path / name).exists()),
        override=override,
        overriding=overriding,
        version_text=version,
        version=Version.parse(version),
        has_policy_page=(path / _NATIVE_PAGE).exists(),
        certificates=CertificateFolder().observe(path, now, values.get("TZ")),
        policy_file=policy_file.observe(path, now),
        clone=_clone(path, overriding.context(SERVICE, values) or values.get(SOURCE) or CLONE),
        seen_at=now,
    )


def _content(path: Path) -> bytes:
    try:
        return read_plain(path, _LARGEST, follow=True)
    except OSError as error:
        raise PermanentError(
            f"{path} cannot be read ({error.strerror}): run init as root, with the mailcow directory mounted"
        ) from error


def _compose(path: Path) -> Services:
    compose = path / COMPOSE
    if not compose.exists():
        raise PermanentError(
            f"{path} is not a mailcow directory: it has no {COMPOSE}; mount the one that mailcow was cloned into"
        )
    try:
        services = Services.read(_content(compose))
    except ValueError as error:
        raise PermanentError(f"{compose} cannot be understood: {error}; restore mailcow's file") from error
    missing = _MAILCOW_SERVICES - services.by_name.keys()
    if missing or NETWORK not in str(services.by_name["nginx-mailcow"].get("networks")):
        raise PermanentError(
            f"{compose} is not mailcow's: it has no {' and no '.join(sorted(missing)) or NETWORK}; mount the "
            "directory that mailcow was cloned into"
        )
    return services


def _override(path: Path) -> OverrideFile:
    present = [name for name in OVERRIDES if os.path.lexists(path / name)]
    name = present[0] if present else DEFAULT_OVERRIDE
    try:
        target = (path / name).resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise PermanentError(f"{path / name} is a link that leads nowhere: remove it") from error
    data = _content(target) if target.is_file() else None
    locked = None
    if not target.is_relative_to(path.resolve()):
        locked = f"it is a link to {target}, outside of the mailcow directory: put the file itself there"
    elif (path / name).is_symlink() and not target.exists():
        locked = "it is a link that leads nowhere: remove it"
    elif target.exists() and not target.is_file():
        locked = "it is not a file: move it away"
    elif not os.access(target.parent, os.W_OK | os.X_OK):
        locked = (
            f"its folder is read-only for user {os.geteuid()}: mount it without `:ro`, and run init as root"
        )
    return OverrideFile(name, target, data, locked, tuple(present[1:]))


def _clone(folder: Path, source: str) -> Clone:
    """What `source` is, as Compose resolves the context of a build relative to `folder`."""
    if _REMOTE.match(source):
        return Clone.REMOTE
    clone = folder / source
    if (clone / "Dockerfile").is_file() and (clone / "sidecar").is_dir():
        return Clone.THERE
    inside = Path(os.path.normpath(clone)).is_relative_to(folder)
    return Clone.OUTSIDE if not inside or (clone.is_symlink() and not clone.exists()) else Clone.MISSING
