"""A neighbour who may write in data/web, as PHP's user may, and races the sidecar with links to secrets."""

import contextlib
import multiprocessing
import shutil
import sys
import time
from multiprocessing.synchronize import Event
from pathlib import Path

from sidecar.host.errors import SidecarError
from sidecar.mailcow import policy_file
from sidecar.observed import PolicyFile, Seen

MANY = 20
"""Swaps, and looks and writes that went well: fewer are no race. A busy machine does not do many in two seconds."""
PATIENCE_S = 60.0
SECRET = b"DBPASS=secret\n"
TEXTS = tuple(
    f"version: STSv1\nmode: none\nmax_age: {86_400 + number}\n".encode() * (1 if number % 2 else 400)
    for number in range(16)
)


def race(mailcow: Path, state: Path, what: str, seconds: float) -> None:
    """Looks, writes and removals while the file, or its folder (`what`), is swapped.

    Raises AssertionError where something of the secrets was shown, opened to others or changed, where a file was
    seen half, and where it was no race.
    """
    secrets = mailcow / "secrets"
    secrets.mkdir(mode=0o700)
    for name in ("mailcow.conf", "mta-sts.txt"):
        (secrets / name).write_bytes(SECRET)
        (secrets / name).chmod(0o600)
    ended = multiprocessing.get_context("fork").Event()
    swap = _swap_file if what == "file" else _swap_folder
    neighbour = multiprocessing.get_context("fork").Process(target=swap, args=(mailcow, ended), daemon=True)
    neighbour.start()
    try:
        went_well = _work(mailcow, state, seconds)
    finally:
        ended.set()
        neighbour.join(10)
    assert neighbour.exitcode == 0, "the neighbour was too slow, or failed"
    for path in (secrets, *secrets.iterdir()):
        assert path.stat().st_mode & 0o077 == 0, f"{path} was opened to others"
    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == {
        "mailcow.conf": SECRET,
        "mta-sts.txt": SECRET,
    }
    assert all(b"DBPASS" not in copy.read_bytes() for copy in state.iterdir())
    assert went_well > MANY


def _work(mailcow: Path, state: Path, seconds: float) -> int:
    went_well = number = 0
    end = time.monotonic() + seconds
    # A busy machine gets more time: what counts is that there was a race.
    while (now := time.monotonic()) < end or (went_well <= MANY and now < end + PATIENCE_S):
        number += 1
        with contextlib.suppress(SidecarError):
            policy_file.write(mailcow, TEXTS[number % len(TEXTS)], state)
            went_well += 1
        match policy_file.observe(mailcow, 0.0):
            case Seen(PolicyFile(data=data)):
                assert data is None or data in TEXTS, f"shown: {data!r}"
                went_well += 1
            case _:
                pass
        if number % 5 == 0:
            with contextlib.suppress(SidecarError):
                policy_file.remove(mailcow, state)
        policy_file.tidy(mailcow)
    return went_well


def _swap_file(mailcow: Path, ended: Event) -> None:
    folder = mailcow / "data/web/.well-known"
    file, link, ours = folder / "mta-sts.txt", folder / "link", folder / "ours"
    swaps = 0
    while not ended.is_set():
        for target in ("../../../secrets/mailcow.conf", "/proc/self/environ"):
            link.unlink(missing_ok=True)
            link.symlink_to(target)
            link.replace(file)
            for temporary in folder.glob(".mta-sts.txt.*"):  # also what is just being written
                with contextlib.suppress(OSError):
                    temporary.unlink()
                    temporary.symlink_to(target)
            ours.write_bytes(TEXTS[0])
            ours.chmod(0o666)
            ours.replace(file)
            swaps += 1
    sys.exit(0 if swaps > MANY else 1)


def _swap_folder(mailcow: Path, ended: Event) -> None:
    web = mailcow / "data/web"
    folder, aside = web / ".well-known", web / "aside"
    swaps = 0
    while not ended.is_set():
        with contextlib.suppress(OSError):  # the sidecar makes the folder anew where it finds none
            folder.rename(aside)
            folder.symlink_to("../../secrets")
            swaps += 1
            folder.unlink()
            aside.rename(folder)
        if aside.exists():
            shutil.rmtree(aside)
    sys.exit(0 if swaps > MANY else 1)
