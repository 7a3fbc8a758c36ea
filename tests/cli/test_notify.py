"""`sidecar notify` prints the receivers, sends them a test message, and prints no URL."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml

from sidecar.cli import notify
from sidecar.host.exits import Exit
from sidecar.settings import CONFIG
from tests.notify.receiver import Receiver, receiving

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

SECRET = "x9Yz8Wv7"


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    yield
    structlog.reset_defaults()


async def run(folder: Path, given: dict[str, Any], *arguments: str) -> Exit:
    """The command, in a mailcow directory with these notifications."""
    config = folder / CONFIG
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(yaml.safe_dump({"notify": given}))
    (folder / "mailcow.conf").write_text("MAILCOW_HOSTNAME=mail.example.org\n")
    top = argparse.ArgumentParser()
    notify.add_parser(top.add_subparsers(dest="command"))
    env = {"MTA_STS_MAILCOW_DIR": str(folder), "MTA_STS_STATE_DIR": str(folder / "state")}
    return await notify.run(top.parse_args(["notify", *arguments]), env)


def both(receiver: Receiver) -> dict[str, Any]:
    """The receiver by both ways."""
    return {"webhook": receiver.webhook, "apprise": receiver.apprise}


async def test_receivers_are_listed_without_their_urls(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing is sent."""
    async with receiving() as receiver:
        assert await run(tmp_path, {**both(receiver), "on": "error"}) == Exit.OK
        assert capsys.readouterr().out.splitlines() == [
            "events: error; collected for 60 s",
            "webhook",
            "apprise 1 (json)",
        ]
        assert await run(tmp_path, both(receiver), "--json") == Exit.OK
        assert json.loads(capsys.readouterr().out) == [
            {"receiver": r} for r in ("webhook", "apprise 1 (json)")
        ]
    assert receiver.bodies == []


async def test_each_is_sent_a_message_that_says_it_is_a_test(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the name of this mailcow."""
    async with receiving() as receiver:
        assert await run(tmp_path, both(receiver), "--test") == Exit.OK
    assert {body["title"] for body in receiver.bodies} == {"MTA-STS on mail.example.org: a test"}
    assert capsys.readouterr().out.splitlines()[1:] == ["webhook: delivered", "apprise 1 (json): delivered"]


async def test_what_did_not_arrive_is_reported_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command fails, and shows no part of a URL."""
    async with receiving() as receiver:
        receiver.status = 403
        assert await run(tmp_path, both(receiver), "--test") == Exit.FAILED
        said = capsys.readouterr()
        assert "webhook: not delivered: posting to the webhook at 127.0.0.1 got status 403" in said.out
        assert await run(tmp_path, {**both(receiver), "apprise": []}, "--test", "--json") == Exit.FAILED
        (found,) = json.loads(capsys.readouterr().out)
        assert (found["receiver"], found["delivered"]) == ("webhook", False)
        assert "status 403" in found["detail"]
    assert SECRET not in said.out + said.err


async def test_without_receivers_a_test_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise a person would believe that somebody is notified."""
    assert await run(tmp_path, {}) == Exit.OK
    assert await run(tmp_path, {}, "--test") == Exit.FAILED
    assert "set notify.webhook or notify.apprise in config.yml" in capsys.readouterr().out


@pytest.mark.parametrize(
    "url",
    [
        "nonsense://x",
        "discord://x",
        "discord://text",
        "tgram://x",
        "json://..",
        "json://127.0.0.1:abc",
        "mailtos://user:pw@",
    ],
)
async def test_invalid_urls_are_reported_as_not_delivered(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the setting contains: one line says that it does not work."""
    assert await run(tmp_path, {"apprise": url}, "--test") == Exit.FAILED
    (line,) = capsys.readouterr().out.splitlines()[1:]
    assert line.startswith("apprise 1 (")
    assert "not delivered: notifying by apprise 1" in line
    assert "check this URL in config.yml" in line


@pytest.mark.parametrize(
    "url", ["https://..example.org/", "https://exämple..org/", f"https://{'a' * 70}.example/"]
)
async def test_webhook_with_an_impossible_host_name_is_reported_as_not_delivered(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such names are refused by libraries in many ways."""
    assert await run(tmp_path, {"webhook": url}, "--test") == Exit.FAILED
    assert "webhook: not delivered: posting to the webhook at " in capsys.readouterr().out
