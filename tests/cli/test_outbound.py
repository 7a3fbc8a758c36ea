"""`sidecar outbound` and the line of `sidecar status`, on a whole mailcow with a stand-in for postfix-tlspol."""

from pathlib import Path

import pytest

from tests.mailcow.test_outbound import answering
from tests.running import command
from tests.stage import Stage, stage

pytestmark = pytest.mark.integration


def postfix(on: Stage, text: str) -> None:
    """Writes mailcow's main.cf."""
    folder = on.root / "data/conf/postfix"
    folder.mkdir(parents=True)
    (folder / "main.cf").write_text(text)


async def test_domain_is_looked_up_at_postfix_tlspol(tmp_path: Path) -> None:
    """At the address in Postfix's setting."""
    policy = b"OK secure match=mx.example.com servername=hostname"
    asked: list[bytes] = []
    async with answering(b"%d:%s," % (len(policy), policy), asked) as port, stage(tmp_path) as on:
        postfix(on, f"smtp_tls_policy_maps = socketmap:inet:127.0.0.1:{port}:QUERY\n")
        ended = await command(on.env, "outbound", "Bücher.example.")
        status = await command(on.env, "status")
    assert ended.code == 0
    assert asked == [b"27:QUERY xn--bcher-kva.example,"]
    assert "MTA-STS is enforced: mail goes only to mx.example.com" in ended.out
    assert "Postfix gets: secure match=mx.example.com servername=hostname" in ended.out
    assert "outgoing mail: other servers' policies are checked: Postfix asks 127.0.0.1" in status.out


async def test_mailcow_before_2025_09_does_not_check(tmp_path: Path) -> None:
    """The output says so, and no query is sent."""
    async with stage(tmp_path, version="2025-07") as on:
        ended = await command(on.env, "outbound", "example.com")
        status = await command(on.env, "status")
    assert ended.code == 1
    assert ended.out.startswith("this mailcow does not check other servers' policies (2025-09 and later do)")
    assert "outgoing mail: this mailcow does not check" in status.out


async def test_postfix_tlspol_that_does_not_run(tmp_path: Path) -> None:
    """Postfix queries it anyway; the remedy is a command."""
    async with stage(tmp_path) as on:
        postfix(on, "smtp_tls_policy_maps = socketmap:inet:postfix-tlspol:8642:QUERY\n")
        ended = await command(on.env, "outbound", "example.com")
    assert ended.code == 1
    assert "it has no container" in ended.out
    assert "docker compose up -d postfix-tlspol-mailcow" in ended.out
    assert "example.com: postfix-tlspol:8642 could not be asked" in ended.err
