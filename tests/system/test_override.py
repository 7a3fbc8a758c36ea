"""The override file, merged by a real Compose with a mailcow-like project, and run by a real engine."""

import json
import os
from typing import Any

import pytest

from tests.system.mailcowlike import SIDECAR, MailcowLike

MAILCOW = {
    "acme-mailcow",
    "dovecot-mailcow",
    "nginx-mailcow",
    "postfix-mailcow",
    "redis-mailcow",
    "sogo-mailcow",
    "unbound-mailcow",
    "watchdog-mailcow",
}
"""The services of the mailcow-like project."""


@pytest.fixture
def with_sidecar(mailcow_like: MailcowLike) -> MailcowLike:
    """A mailcow directory with the override file and the clone in it."""
    mailcow_like.add_sidecar()
    return mailcow_like


def merged(mailcow: MailcowLike) -> dict[str, Any]:
    """What Compose makes of all files and of mailcow.conf."""
    configuration: dict[str, Any] = json.loads(mailcow.project.run("config", "--format", "json"))
    return configuration


def fixed_addresses(services: dict[str, Any]) -> dict[str, str]:
    """The fixed IPv4 address of each service that has one."""
    return {
        name: network["ipv4_address"]
        for name, service in services.items()
        for network in service["networks"].values()
        if network and "ipv4_address" in network
    }


def test_override_leaves_mailcows_own_services_as_they_are(mailcow_like: MailcowLike) -> None:
    """Nothing but the one service is added, and no network."""
    before = merged(mailcow_like)
    mailcow_like.add_sidecar()
    after = merged(mailcow_like)
    assert set(after["services"]) - set(before["services"]) == {SIDECAR}
    del after["services"][SIDECAR]
    assert after["services"] == before["services"]
    assert after["networks"] == before["networks"]


def test_override_is_built_and_never_pulled(with_sidecar: MailcowLike) -> None:
    """Neither `pull` nor `up -d` has a reason to ask a registry for the sidecar."""
    service = merged(with_sidecar)["services"][SIDECAR]
    assert service["build"]["context"] == str(with_sidecar.clone)
    assert not {"image", "pull_policy"} & set(service)


@pytest.mark.parametrize("network", ["172.22.1", "10.9.8"])
def test_override_takes_an_address_that_is_free(with_sidecar: MailcowLike, network: str) -> None:
    """The fixed address is in mailcow's network wherever that is, and no mailcow service has it."""
    conf = with_sidecar.folder / "mailcow.conf"
    conf.write_text(conf.read_text().replace("IPV4_NETWORK=172.22.1", f"IPV4_NETWORK={network}"))
    services = merged(with_sidecar)["services"]
    addresses = fixed_addresses(services)
    assert addresses[SIDECAR] == f"{network}.247"
    assert sorted(set(addresses.values())) == sorted(addresses.values())
    assert set(services[SIDECAR]["networks"]) == {"mailcow-network"}
    assert services[SIDECAR]["dns"] == [addresses["unbound-mailcow"]]


def test_override_gives_no_more_rights_than_shown_here(with_sidecar: MailcowLike) -> None:
    """Read-only root, two capabilities, a bounded log, and the mailcow directory as a folder."""
    service = merged(with_sidecar)["services"][SIDECAR]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["cap_add"] == ["CHOWN", "DAC_OVERRIDE"]
    assert service["security_opt"] == ["label=disable", "no-new-privileges:true"]
    assert set(service["logging"]["options"]) == {"max-file", "max-size"}
    assert "privileged" not in service
    mounts = {volume["target"]: volume["source"] for volume in service["volumes"]}
    assert mounts.pop("/mailcow") == str(with_sidecar.folder)
    assert mounts.pop("/state") == "mta-sts-vol-1"
    assert set(mounts) == {"/var/run/docker.sock"}


def test_variables_come_from_mailcow_conf_and_are_unset_otherwise(with_sidecar: MailcowLike) -> None:
    """A line in mailcow.conf is enough for a dry run, and no variable arrives empty."""
    assert set(environment(with_sidecar)) == {"TZ"}
    with (with_sidecar.folder / "mailcow.conf").open("a") as conf:
        conf.write("MTA_STS_DRY_RUN=1\n")
    assert environment(with_sidecar) == {"TZ": "Etc/UTC", "MTA_STS_DRY_RUN": "1"}


def environment(mailcow: MailcowLike) -> dict[str, str]:
    """The variables with a value that a container of the sidecar would get."""
    given: dict[str, str | None] = merged(mailcow)["services"][SIDECAR]["environment"]
    return {name: value for name, value in given.items() if value is not None}


def test_update_of_mailcow_survives_a_build_that_is_broken(with_sidecar: MailcowLike) -> None:
    """What update.sh runs (down, pull, up -d) starts all of mailcow, the sidecar from the image it has."""
    project = with_sidecar.project
    project.run("build")
    (with_sidecar.clone / "Dockerfile").write_text("FROM nothing-like-this\nRUN false\n")
    assert project.try_run("build").returncode != 0
    project.run("down", "--timeout", "1")
    project.run("pull", SIDECAR)
    project.run("up", "--detach", "--remove-orphans")
    assert project.running_services() == MAILCOW | {SIDECAR}


def test_image_name_is_none_that_mailcow_removes(with_sidecar: MailcowLike) -> None:
    """`update.sh --gc` removes images with `mailcow/` in their names."""
    project = with_sidecar.project
    project.run("create", SIDECAR)
    image = project.engine.run_cli("inspect", "--format", "{{.Config.Image}}", project.container(SIDECAR))
    assert "mailcow/" not in image


# What an edit of mailcow.conf asks of the kernel: read a file of another owner, write its successor beside
# it, give that the mode and the owner, rename.
_REPLACE = """
import os
old, new = "/mailcow/mailcow.conf", "/mailcow/mailcow.conf.new"
status, text = os.stat(old), open(old, "rb").read()
file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
os.write(file, text + b"# edited\\n")
os.fchmod(file, status.st_mode & 0o7777)
os.fchown(file, status.st_uid, status.st_gid)
os.rename(new, old)
"""


@pytest.mark.parametrize(
    ("owner", "taken", "works"),
    [
        (0, ("CHOWN", "DAC_OVERRIDE"), True),  # as mailcow's documentation installs it: all is root's
        (1000, (), True),  # a person's clone, as the override runs it
        (1000, ("CHOWN",), False),  # the new file could not be given to that person
        (1000, ("DAC_OVERRIDE",), False),  # the old file could not be read
    ],
)
def test_both_capabilities_are_needed_where_files_are_not_roots(
    with_sidecar: MailcowLike, owner: int, taken: tuple[str, ...], *, works: bool
) -> None:
    """mailcow.conf keeps its owner when it is replaced, whoever that is; with one capability it could not."""
    conf = with_sidecar.folder / "mailcow.conf"
    for path in (with_sidecar.folder, conf):
        os.chown(path, owner, owner)
    options = [word for capability in taken for word in ("--cap-drop", capability)]
    command = ("--no-deps", "--rm", "--entrypoint", "python", *options, SIDECAR, "-c", _REPLACE)
    done = with_sidecar.project.try_run("run", *command)
    assert ("PermissionError" not in done.stderr) is works, done.stderr
    assert conf.read_text().endswith("# edited\n") is works
    status = conf.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (owner, owner, 0o600)
