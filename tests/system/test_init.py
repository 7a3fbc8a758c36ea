"""`sidecar init`: real Compose takes what it writes, and it works in a container of the sidecar's image."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sidecar.init import InitOptions, Streams, run_init
from tests.init.overrides import MERGEABLE
from tests.system.engine import Engine
from tests.system.mailcowlike import SIDECAR, MailcowLike

# Files whose services have all that Compose wants; it refuses the rest of MERGEABLE with and without ours.
COMPLETE = (
    "header and comments",
    "anchors",
    "ends with an alias",
    "block scalars",
    "volumes first, no line end",
    "no services",
    "document marks",
    "many services",
    "CRLF",
    "CRLF, no line end",
    "BOM",
    "umlauts",
    "tab in a comment",
    "quoted keys",
    "list not indented",
    "spaces at the end",
    "several blank lines",
    "only comments",
)


def merged(mailcow: MailcowLike) -> dict[str, Any]:
    """What Compose makes of mailcow's file and the override."""
    configuration: dict[str, Any] = json.loads(mailcow.project.run("config", "--format", "json"))
    return configuration


def prepared(mailcow: MailcowLike) -> MailcowLike:
    """With the clone and mailcow's volume in it, and without an override file or an API key."""
    mailcow.add_sidecar()
    mailcow.project = type(mailcow.project)(mailcow.project.engine, mailcow.folder)
    (mailcow.folder / "docker-compose.override.yml").unlink()
    with (mailcow.folder / "docker-compose.yml").open("a") as compose:
        compose.write("volumes:\n  vmail-vol-1:\n")
    conf = mailcow.folder / "mailcow.conf"
    lines = conf.read_text().splitlines(keepends=True)
    conf.write_text("".join(line for line in lines if not line.startswith("API_")))
    return mailcow


def init(mailcow: MailcowLike, out: Path) -> int:
    """The command, accepting all."""
    with out.open("w") as stdout:
        streams = Streams(stdout, stdout, interactive=False)
        return run_init(mailcow.folder, InitOptions(yes=True), streams)


@pytest.mark.parametrize("name", COMPLETE)
def test_compose_takes_the_merged_file(mailcow_like: MailcowLike, tmp_path: Path, name: str) -> None:
    """The service is added, and every other service, network and volume is what it was."""
    mailcow = prepared(mailcow_like)
    (mailcow.folder / "docker-compose.override.yml").write_text(MERGEABLE[name], newline="")
    before = merged(mailcow)
    assert init(mailcow, tmp_path / "said") == 0, (tmp_path / "said").read_text()
    after = merged(mailcow)
    service = after["services"].pop(SIDECAR)
    assert service["build"]["context"] == str(mailcow.clone)
    assert list(service["networks"]) == ["mailcow-network"]
    assert after["volumes"].pop("mta-sts-vol-1")["name"].endswith("mta-sts-vol-1")
    if not after["volumes"]:
        del after["volumes"]
    assert after == before


def in_container(
    engine: Engine, image: str, mailcow: MailcowLike, *arguments: str, mount: str = ""
) -> subprocess.CompletedProcess[str]:
    """`sidecar init` as the README has it, but for the terminal."""
    folder = f"{mailcow.folder}:/mailcow{mount}"
    return engine.try_cli("run", "--rm", "--network", "none", "-v", folder, image, "init", *arguments)


def test_init_works_in_the_image(engine: Engine, sidecar_image: str, mailcow_like: MailcowLike) -> None:
    """Before any service exists, without a network; what it wrote is what Compose reads."""
    mailcow = prepared(mailcow_like)
    shown = in_container(engine, sidecar_image, mailcow)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "no terminal" in shown.stdout
    assert not (mailcow.folder / "docker-compose.override.yml").exists()
    done = in_container(engine, sidecar_image, mailcow, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    service = merged(mailcow)["services"][SIDECAR]
    assert service["networks"]["mailcow-network"]["ipv4_address"] == "172.22.1.247"
    conf = (mailcow.folder / "mailcow.conf").read_text()
    assert "API_ALLOW_FROM=172.22.1.247\n" in conf
    again = in_container(engine, sidecar_image, mailcow, "--yes")
    assert "Nothing to change." in again.stdout
    assert (mailcow.folder / "mailcow.conf").read_text() == conf


def test_read_only_mount_is_said(engine: Engine, sidecar_image: str, mailcow_like: MailcowLike) -> None:
    """Nothing can be written, and the message names the mount."""
    mailcow = prepared(mailcow_like)
    done = in_container(engine, sidecar_image, mailcow, "--yes", mount=":ro")
    assert done.returncode == 1
    assert "read-only" in done.stdout
    assert "`:ro`" in done.stdout


def test_compose_reads_the_override_file_that_init_takes(mailcow_like: MailcowLike, tmp_path: Path) -> None:
    """Of several names it is the same one for both."""
    mailcow = prepared(mailcow_like)
    names = ("docker-compose.override.yaml", "docker-compose.override.yml", "compose.override.yaml")
    for number, name in enumerate(names):
        (mailcow.folder / name).write_text(f"services:\n  s{number}: {{image: x}}\n")
        assert f"s{number}" in merged(mailcow)["services"]
    assert init(mailcow, tmp_path / "said") == 0
    assert SIDECAR in (mailcow.folder / names[-1]).read_text()
    assert SIDECAR in merged(mailcow)["services"]
