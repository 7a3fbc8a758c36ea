"""mailcow.conf on the disk: read, and its lists edited without losing a change of somebody else.

Rules for every editor. A file that cannot be understood is `Unseen`, never an empty one. It is written only
within the mailcow directory, read again at the last moment, and its backup (it holds passwords) goes to the
state folder alone, as mailcow's update may commit what lies beside it. How the text is read and changed is in
`formats.dotenv`.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.formats.dotenv import ListEdit, edit_list, read
from sidecar.host.errors import PermanentError, SidecarError, TemporaryError
from sidecar.host.files import MORE_FILES, remove_leftovers, replace_file
from sidecar.host.plain_file import NotPlainError, read_plain
from sidecar.observed import Conf, Seen, Sight, Unseen

NAME = "mailcow.conf"
BACKUP = "mailcow.conf.last"
ATTEMPTS = 5
LARGEST = 1 << 20
"""Bytes of a mailcow.conf; a larger file is not read."""


@dataclass(frozen=True, slots=True)
class EditedConf:
    """The outcome of an edit; `refused` says by key why a list was left unchanged."""

    changed: bool
    refused: Mapping[str, str] = field(default_factory=dict)


class _ChangedMeanwhileError(Exception):
    """Somebody else wrote the file after we read it."""


def observe(mailcow_dir: Path, now: float) -> Sight[Conf]:
    """What mailcow.conf says at `now` (Unix seconds); blocks, never raises for what it finds."""
    try:
        target = _target(mailcow_dir)
        values = _values(target, _content(target))
    except SidecarError as error:
        return Unseen(str(error), now)
    return Seen(Conf(values, _locked(mailcow_dir, target)), now)


def edit(
    mailcow_dir: Path,
    edits: Mapping[str, ListEdit],
    backup_dir: Path,
    *,
    before_check: Callable[[], None] = lambda: None,
) -> EditedConf:
    """Makes these changes to the lists of mailcow.conf, by key, in one write. Blocks.

    A list that cannot be edited safely stays unchanged; the others are edited anyway. The text before is
    kept as `mailcow.conf.last` in `backup_dir`, mode 600. `before_check` is called just before the file is read
    for the last time.

    Raises TemporaryError if somebody else keeps writing the file or the disk has a problem, PermanentError
    if a person must change something.
    """
    target = _target(mailcow_dir)
    locked = _locked(mailcow_dir, target)
    if locked is not None:
        raise PermanentError(f"{NAME} was not changed: {locked}")
    for _ in range(ATTEMPTS):
        before = after = _content(target)
        _values(target, before)
        refused: dict[str, str] = {}
        for key, change in edits.items():
            try:
                after = edit_list(after, key, add=change.add, remove=change.remove, strict=change.strict)
            except ValueError as error:
                refused[key] = f"{target}: {key} was not changed: {error}"
        if after == before:
            return EditedConf(changed=False, refused=refused)
        replace_file(backup_dir / BACKUP, before, mode=0o600)

        def unchanged(before: bytes = before) -> None:
            before_check()
            if _target(mailcow_dir) != target or _content(target) != before:
                raise _ChangedMeanwhileError

        try:
            replace_file(target, after, before_rename=unchanged)
        except _ChangedMeanwhileError:
            continue
        return EditedConf(changed=True, refused=refused)
    raise TemporaryError(
        f"{target} was changed by somebody else {ATTEMPTS} times while it was about to be replaced, so it "
        "was left alone: the next pass tries again"
    )


def tidy(mailcow_dir: Path) -> None:
    """Removes what a killed `edit` left beside the file; with the pass lock held. Blocks, never raises."""
    with suppress(SidecarError):
        target = _target(mailcow_dir)
        if _locked(mailcow_dir, target) is None:
            remove_leftovers(target.parent)


def _target(mailcow_dir: Path) -> Path:
    """The file itself, behind any symbolic link."""
    path = mailcow_dir / NAME
    try:
        return path.resolve(strict=True)
    except FileNotFoundError as error:
        if not path.is_symlink():
            raise PermanentError(
                f"{path} does not exist: mount the mailcow directory, the one with {NAME} in it, at {mailcow_dir}"
            ) from error
        link, leads_to = f"{path} is a link to {path.readlink()}", path.resolve()
        if _inside(mailcow_dir, leads_to):
            raise PermanentError(f"{link}, which does not exist: correct the link") from error
        raise PermanentError(
            f"{link}, which lies outside of the mounted folder {mailcow_dir}: mount it at {leads_to} too, "
            "or move the file into the mailcow directory"
        ) from error
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise PermanentError(
            f"{path} cannot be followed to a file ({_said(error)}): is it a link to itself, or in a folder "
            "that the sidecar may not enter?"
        ) from error


def _inside(mailcow_dir: Path, target: Path) -> bool:
    return target.is_relative_to(mailcow_dir.resolve())


def _content(target: Path) -> bytes:
    try:
        data = read_plain(target, LARGEST)
    except NotPlainError as error:
        raise PermanentError(
            f"{target} is not a file that can be read: {error.strerror}. Docker makes a folder where a file to be mounted is "
            "missing: remove it, and mount the mailcow directory as a whole"
        ) from error
    except FileNotFoundError as error:
        raise TemporaryError(f"{target} has just gone away: it is read again later") from error
    except PermissionError as error:
        raise PermanentError(
            f"{target} may not be read by user {os.geteuid()} ({_said(error)}): run the sidecar as root, "
            "with the capability DAC_OVERRIDE where the file is not root's"
        ) from error
    except OSError as error:
        raise TemporaryError(
            f"{target} cannot be read ({_said(error)}): "
            f"{MORE_FILES.get(error.errno or 0, 'check the disk')}; the next pass tries again"
        ) from error
    if not data.strip():
        raise TemporaryError(f"{target} is empty: if nobody is just writing it, restore it from a backup")
    return data


def _values(target: Path, data: bytes) -> dict[str, str]:
    try:
        values = read(data)
    except ValueError as error:
        raise PermanentError(
            f"{target} is not understood, and Compose refuses it too: {error}; correct that line"
        ) from error
    if not values.get("MAILCOW_HOSTNAME", "").strip():
        raise PermanentError(f"{target} has no MAILCOW_HOSTNAME: is it the right file, and complete?")
    return values


def _locked(mailcow_dir: Path, target: Path) -> str | None:
    """Why the file cannot be written; None where it can, as far as is known before a write."""
    if not _inside(mailcow_dir, target):
        return (
            f"it is a link to {target}, which lies outside of the mounted folder {mailcow_dir}, where the "
            "sidecar writes nothing: move the file into the mailcow directory, or change its entries yourself"
        )
    if not os.access(target.parent, os.W_OK | os.X_OK):
        return (
            f"its folder {target.parent} is read-only for user {os.geteuid()}: mount it without `:ro`, "
            "and run the sidecar as root"
        )
    return None


def _said(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
