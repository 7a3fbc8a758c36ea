"""Whole runs of `init` in mailcow directories, with scripted answers."""

import io
import re
from pathlib import Path

import pytest
import yaml

from sidecar.formats.dotenv import read
from sidecar.host.exits import Exit
from sidecar.init import TAKE_EFFECT, InitOptions, Streams, run_init
from sidecar.init.run import template
from tests.init.directories import NOW, MailcowDirectory
from tests.init.overrides import ANCHORS, HEADER_AND_COMMENTS

SERVICE = "mta-sts-mailcow"


def run(
    mailcow: MailcowDirectory,
    answers: str | None = None,
    *,
    yes: bool = False,
    dry_run: bool = False,
    only_check: bool = False,
) -> tuple[Exit, str]:
    """The exit code and the output; without answers there is no terminal."""
    out = io.StringIO()
    ended = run_init(
        mailcow.path,
        InitOptions(yes=yes, dry_run=dry_run, check=only_check),
        Streams(io.StringIO(answers or ""), out, interactive=answers is not None),
        now=NOW,
    )
    assert "hunter" not in out.getvalue()
    return ended, out.getvalue()


def flat(said: str) -> str:
    """The words without their lines."""
    return " ".join(said.split())


def conf(mailcow: MailcowDirectory) -> dict[str, str]:
    """What mailcow.conf says."""
    return read(mailcow.conf.read_bytes())


def test_fresh_mailcow_is_set_up(mailcow: MailcowDirectory) -> None:
    """No page key, and Enter for all else: a key, the address and the service; the rest is unchanged."""
    before = mailcow.conf.read_text()
    ended, said = run(mailcow, "n\n\n\n\n")
    assert ended is Exit.OK
    key = conf(mailcow)["API_KEY"]
    assert re.fullmatch(r"[A-Z0-9]{6}(-[A-Z0-9]{6}){4}", key)
    assert mailcow.conf.read_text() == (
        f"{before}API_KEY={key}\nAPI_ALLOW_FROM=172.22.1.1,127.0.0.1,172.22.1.247\n"
    )
    assert mailcow.override.read_bytes() == template()
    assert key not in said
    assert said.rstrip().endswith(TAKE_EFFECT)


def test_yes_accepts_everything_keeps_modes_and_leaves_no_copy(mailcow: MailcowDirectory) -> None:
    """mailcow.conf stays private. What --yes assumes about a key in mailcow's page is printed."""
    before = set(mailcow.snapshot())
    ended, said = run(mailcow, yes=True)
    assert ended is Exit.OK
    assert "Assumed with --yes" in said
    assert "API_KEY" in conf(mailcow)
    assert set(mailcow.snapshot()) - before == {mailcow.override.name}
    assert mailcow.conf.stat().st_mode & 0o777 == 0o600
    assert mailcow.override.stat().st_mode & 0o777 == 0o644


def test_second_run_changes_nothing_and_says_so(mailcow: MailcowDirectory) -> None:
    """Not a byte, not a time."""
    mailcow.override.write_text(ANCHORS)
    assert run(mailcow, yes=True)[0] is Exit.OK
    before = mailcow.snapshot()
    ended, said = run(mailcow, yes=True)
    assert (ended, mailcow.snapshot()) == (Exit.OK, before)
    assert "Nothing to change." in said
    assert "[Y/n]" not in run(mailcow, "")[1]


def test_dry_run_shows_all_and_writes_nothing(mailcow: MailcowDirectory) -> None:
    """Even with --yes."""
    mailcow.override.write_text(HEADER_AND_COMMENTS)
    before = mailcow.snapshot()
    ended, said = run(mailcow, yes=True, dry_run=True)
    assert (ended, mailcow.snapshot()) == (Exit.OK, before)
    assert "+API_KEY=****" in said
    assert "+API_ALLOW_FROM=172.22.1.1,127.0.0.1,172.22.1.247" in said
    assert f"+  {SERVICE}:" in said
    assert "--dry-run" in said
    assert TAKE_EFFECT not in said


def test_without_a_terminal_nothing_is_written(mailcow: MailcowDirectory) -> None:
    """The output says why, and what to do."""
    before = mailcow.snapshot()
    ended, said = run(mailcow)
    assert (ended, mailcow.snapshot()) == (Exit.OK, before)
    assert "no terminal" in said
    assert f"+  {SERVICE}:" in said
    assert "-it" in said
    assert "--yes" in said


def test_key_of_mailcows_page_is_not_replaced(mailcow: MailcowDirectory) -> None:
    """mailcow.conf is not changed, and the better way is shown; the service is still offered."""
    before = mailcow.conf.read_bytes()
    ended, said = run(mailcow, "y\n\n")
    assert ended is Exit.OK
    assert mailcow.conf.read_bytes() == before
    assert "MTA_STS_API_KEY=<the key>" in said
    assert "172.22.1.247" in said
    assert mailcow.override.exists()


def test_key_of_mailcows_page_is_recognised_the_next_time(mailcow: MailcowDirectory) -> None:
    """There is no question, and no other key is offered."""
    run(mailcow, "y\n\n")
    mailcow.set(MTA_STS_API_KEY="PAGE-KEY")
    before = mailcow.snapshot()
    ended, said = run(mailcow, "")
    assert (ended, mailcow.snapshot()) == (Exit.OK, before)
    assert "Nothing to change." in said
    assert "PAGE-KEY" not in said


def test_question_about_the_page_has_no_default(mailcow: MailcowDirectory) -> None:
    """Enter is not an answer: yes or no decides about somebody's key."""
    _, said = run(mailcow, "\nperhaps\nn\nn\nn\n")
    assert said.count("Please answer y or n.") == 2


def test_end_of_input_means_no(mailcow: MailcowDirectory) -> None:
    """A closed terminal does not consent to anything."""
    before = mailcow.snapshot()
    for answers in ("", "n\n", "n\n\n", "n\n\n\n"):
        run(mailcow, answers)
        if answers != "n\n\n\n":
            assert "API_ALLOW_FROM" not in conf(mailcow)
        assert not mailcow.override.exists()
        mailcow.conf.write_bytes(before["mailcow.conf"][3])


@pytest.mark.parametrize(
    ("answers", "keys", "service"),
    [
        ("n\nn\nn\n", set(), False),
        ("n\nn\ny\n", set(), True),  # without a key, nothing is said about who may use it
        ("n\ny\nn\nn\n", {"API_KEY"}, False),
        ("n\ny\nyes\nno\n", {"API_KEY", "API_ALLOW_FROM"}, False),
        ("n\nY\nN\n\n", {"API_KEY"}, True),
    ],
)
def test_each_change_needs_its_own_consent(
    mailcow: MailcowDirectory, answers: str, keys: set[str], service: bool
) -> None:
    """One question each."""
    assert run(mailcow, answers)[0] is Exit.OK
    assert conf(mailcow).keys() & {"API_KEY", "API_ALLOW_FROM"} == keys
    assert mailcow.override.exists() is service


def test_existing_key_only_gets_the_address(mailcow: MailcowDirectory) -> None:
    """Entries of the administrator stay, and no other key is created."""
    mailcow.set(API_KEY="MINE", API_ALLOW_FROM="10.0.0.0/8")
    run(mailcow, "\n\n")
    assert conf(mailcow)["API_KEY"] == "MINE"
    assert conf(mailcow)["API_ALLOW_FROM"] == "10.0.0.0/8,172.22.1.247"


def test_address_follows_the_network(mailcow: MailcowDirectory) -> None:
    """IPV4_NETWORK of mailcow.conf."""
    mailcow.set(IPV4_NETWORK="10.1.2")
    run(mailcow, yes=True)
    assert conf(mailcow)["API_ALLOW_FROM"].endswith(",10.1.2.247")


def test_override_of_the_administrator_keeps_its_text(mailcow: MailcowDirectory) -> None:
    """All its lines are there, in their order, with the same mode."""
    mailcow.override.write_text(ANCHORS)
    mailcow.override.chmod(0o640)
    run(mailcow, yes=True)
    text = mailcow.override.read_text()
    assert text.startswith(ANCHORS)
    assert set(yaml.safe_load(text)["services"]) == {"one", "two", SERVICE}
    assert mailcow.override.stat().st_mode & 0o777 == 0o640


def test_refused_override_is_reported_and_fails(mailcow: MailcowDirectory) -> None:
    """The key is set anyway; the exit code says that something is left to do."""
    mailcow.override.write_text("services: {one: {image: x}}\n")
    ended, said = run(mailcow, yes=True)
    assert ended is Exit.FAILED
    assert mailcow.override.read_text() == "services: {one: {image: x}}\n"
    assert "braces" in said
    assert "API_KEY" in conf(mailcow)
    assert TAKE_EFFECT not in said


def test_own_version_of_the_service_is_left_and_named(mailcow: MailcowDirectory) -> None:
    """With the keys in which it differs."""
    mailcow.override.write_bytes(template().replace(b"restart: always", b"restart: unless-stopped"))
    before = mailcow.override.read_bytes()
    ended, said = run(mailcow, yes=True)
    assert ended is Exit.OK
    assert mailcow.override.read_bytes() == before
    assert "differs from ours in restart" in flat(said)


def test_service_is_not_added_without_its_clone(mailcow: MailcowDirectory) -> None:
    """Otherwise `docker compose up -d` would fail for all of mailcow."""
    (mailcow.clone / "Dockerfile").unlink()
    ended, said = run(mailcow, yes=True)
    assert ended is Exit.FAILED
    assert not mailcow.override.exists()
    assert "mta-sts-sidecar" in said


def test_address_of_another_service_gets_no_rights(mailcow: MailcowDirectory) -> None:
    """The service is not added, and the address is not allowed."""
    mailcow.set(API_KEY="MINE")
    mailcow.override.write_text(
        "services:\n  other:\n    networks:\n      mailcow-network: {ipv4_address: 172.22.1.247}\n"
    )
    before = mailcow.snapshot()
    ended, said = run(mailcow, yes=True)
    assert (ended, mailcow.snapshot()) == (Exit.FAILED, before)
    assert "other" in said
    assert "172.22.1.246" in said


def test_folder_without_mailcow_is_refused(mailcow: MailcowDirectory) -> None:
    """Exit code 3, as for a mailcow that cannot be read."""
    (mailcow.path / "docker-compose.yml").unlink()
    ended, said = run(mailcow, yes=True)
    assert ended is Exit.UNREADABLE
    assert "docker-compose.yml" in said


def test_targets_of_links_are_written(mailcow: MailcowDirectory) -> None:
    """The links stay links."""
    real = mailcow.path / "data/real.conf"
    mailcow.conf.rename(real)
    mailcow.conf.symlink_to("data/real.conf")
    (mailcow.path / "data/o.yml").write_text("services:\n  one: {image: x}\n")
    mailcow.override.symlink_to("data/o.yml")
    assert run(mailcow, yes=True)[0] is Exit.OK
    assert mailcow.conf.is_symlink()
    assert mailcow.override.is_symlink()
    assert "API_KEY=" in real.read_text()
    assert SERVICE in (mailcow.path / "data/o.yml").read_text()


def test_files_outside_of_the_directory_are_not_written(mailcow: MailcowDirectory, tmp_path: Path) -> None:
    """A link out of the mount is reported, and not followed."""
    for path in (mailcow.conf, mailcow.override):
        outside = tmp_path / path.name
        outside.write_text(path.read_text() if path.exists() else "services:\n  one: {image: x}\n")
        path.unlink(missing_ok=True)
        path.symlink_to(outside)
    before = [(tmp_path / path.name).read_bytes() for path in (mailcow.conf, mailcow.override)]
    ended, said = run(mailcow, yes=True)
    assert ended is Exit.FAILED
    assert [(tmp_path / path.name).read_bytes() for path in (mailcow.conf, mailcow.override)] == before
    assert flat(said).count("outside of the m") == 2


def test_file_changed_during_the_questions_is_left_alone(mailcow: MailcowDirectory) -> None:
    """Somebody edits mailcow.conf while init waits for an answer: their text stays, and nothing is written."""

    class Meanwhile(io.StringIO):
        def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
            mailcow.set(NEW="1")
            return super().readline()

    out = io.StringIO()
    ended = run_init(
        mailcow.path, InitOptions(), Streams(Meanwhile("n\n\n\n\n"), out, interactive=True), now=NOW
    )
    assert ended is Exit.FAILED
    assert "API_KEY" not in conf(mailcow)
    assert not mailcow.override.exists()
    assert "Nothing was changed." in out.getvalue()


def test_control_characters_of_files_do_not_reach_the_terminal(mailcow: MailcowDirectory) -> None:
    """A version text cannot clear the screen."""
    mailcow.version("2026\x1b[2J")
    assert "\x1b" not in run(mailcow)[1]


def test_check_looks_and_writes_nothing(mailcow: MailcowDirectory) -> None:
    """It ends with 1 where `docker compose up -d` would start nothing, and only there."""
    before = mailcow.snapshot()
    ended, said = run(mailcow, only_check=True)
    assert ended is Exit.OK
    assert flat(said).endswith("Nothing found here keeps mailcow or the sidecar from starting.")
    assert "Set API_KEY" not in said
    (mailcow.clone / "Dockerfile").rename(mailcow.path / "Dockerfile")
    ended, said = run(mailcow, only_check=True)
    assert ended is Exit.FAILED
    assert "starts nothing of mailcow" in flat(said)
    assert "First do what is marked with `stop`" in flat(said)
    (mailcow.path / "Dockerfile").rename(mailcow.clone / "Dockerfile")
    assert mailcow.snapshot().keys() == before.keys()


def test_no_key_is_requested_if_the_sidecar_gets_access_automatically(mailcow: MailcowDirectory) -> None:
    """mailcow.conf has the login to mailcow's database."""
    mailcow.set(DBNAME="mailcow", DBUSER="mailcow")
    before = mailcow.conf.read_bytes()
    ended, said = run(mailcow, "\n")
    assert ended is Exit.OK
    assert "No API key is needed" in flat(said)
    assert "gets access automatically" in flat(said)
    assert mailcow.conf.read_bytes() == before
    assert mailcow.override.read_bytes() == template()


@pytest.mark.parametrize(("listed", "offered"), [("", False), ("127.0.0.1", True)])
def test_first_address_is_not_offered_for_mailcow_conf(
    mailcow: MailcowDirectory, listed: str, *, offered: bool
) -> None:
    """With one, php-fpm-mailcow would delete a key that a person created in mailcow's page."""
    mailcow.set(DBNAME="mailcow", DBUSER="mailcow", API_KEY="hunter-key", API_ALLOW_FROM=listed)
    run(mailcow, yes=True)
    assert ("172.22.1.247" in conf(mailcow)["API_ALLOW_FROM"]) is offered
