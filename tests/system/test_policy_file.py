"""The policy file as a real nginx serves it, whose workers are not root."""

from pathlib import Path

import pytest

from sidecar.mailcow import policy_file
from sidecar.mtasts import Mode, Policy, render
from tests.mailcow.link_race import race
from tests.system.webserver import WebServer

HOST = "mta-sts.example.test"


def text(mode: Mode) -> bytes:
    """A policy in this mode."""
    return render(Policy(mode, 86_400, ("mail.example.test",))).encode()


@pytest.fixture
def mailcow_dir(nginx: WebServer) -> Path:
    """A mailcow directory whose data/web is what nginx serves."""
    folder = nginx.root.parent / "mailcow"
    (folder / "data").mkdir(parents=True)
    nginx.root.rename(folder / "data/web")
    nginx.root.symlink_to(folder / "data/web")
    return folder


def test_written_policy_is_served_to_senders(nginx: WebServer, mailcow_dir: Path) -> None:
    """Made anew, and replaced: each time whole, and readable for nginx."""
    assert nginx.policy(HOST)[0] == 404
    for mode in (Mode.TESTING, Mode.ENFORCE):
        policy_file.write(mailcow_dir, text(mode))
        assert nginx.policy(HOST) == (200, text(mode))


def test_file_that_nginx_may_not_read_is_put_right(nginx: WebServer, mailcow_dir: Path) -> None:
    """A handmade file of mode 600 is answered with 403, and served once it was written anew."""
    path = mailcow_dir / "data/web/.well-known/mta-sts.txt"
    path.write_bytes(text(Mode.TESTING))
    path.chmod(0o600)
    assert nginx.policy(HOST)[0] == 403
    policy_file.write(mailcow_dir, text(Mode.TESTING))
    assert nginx.policy(HOST) == (200, text(Mode.TESTING))


@pytest.mark.parametrize("what", ["file", "folder"])
def test_race_of_links_for_ten_seconds(tmp_path: Path, what: str) -> None:
    """A neighbour who swaps the file, or its folder, for links to secrets: none is shown, opened or changed."""
    (tmp_path / "mailcow/data/web/.well-known").mkdir(parents=True)
    race(tmp_path / "mailcow", tmp_path / "state", what, 10.0)
