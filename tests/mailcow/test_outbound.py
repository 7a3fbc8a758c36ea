"""What is read and asked of Postfix's check of other servers' policies."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sidecar.formats.socketmap import Reply, SocketmapAnswer
from sidecar.mailcow import outbound
from sidecar.mailcow.outbound import ask, policy_maps
from sidecar.observed import Seen, Unseen

LOOPBACK = "127.0.0.1"


@asynccontextmanager
async def answering(reply: bytes | None, asked: list[bytes] | None = None) -> AsyncIterator[int]:
    """A server with this answer to the first octets that come; None: silence."""
    handlers: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            handlers.append(task)
        try:
            got = await reader.read(1000)
            if asked is not None:
                asked.append(got)
            if reply is None:
                await reader.read()
            else:
                writer.write(reply)
                await writer.drain()
        finally:
            writer.transport.abort() if reply is None else writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(handle, LOOPBACK, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
        # Before Python 3.12 `wait_closed` does not wait for the handlers.
        await asyncio.gather(*handlers, return_exceptions=True)


async def test_it_is_asked_as_postfix_asks() -> None:
    """And a long answer is taken whole."""
    asked: list[bytes] = []
    words = "secure match=" + ":".join(f"mx{n}.example.org" for n in range(3_000)) + " servername=hostname"
    payload = f"OK {words}".encode()
    async with answering(b"%d:%s," % (len(payload), payload), asked) as port:
        found = await ask("example.org", (LOOPBACK, port), "QUERY", 1.0)
    assert found == Seen(Reply(SocketmapAnswer.OK, words), 1.0)
    assert asked == [b"17:QUERY example.org,"]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (b"", "closed the connection"),
        (b"9:NOTFOUND ", "closed the connection"),
        (b"10:NOTFOUND ,", "closed the connection"),
        (b"8:NOTFOUND ,", "does not end with a comma"),
        (b"09:NOTFOUND ,", "length"),
        (b"200000:" + b"x" * 100, "length"),
        (b"1" * 1_000, "digits"),
        (b"220 mail.example.org ESMTP\r\n", "digits"),
        (b"5:hello,", "socketmap"),
    ],
)
async def test_anything_but_a_whole_answer_is_unseen(reply: bytes, why: str) -> None:
    """Cut off, too long, of another protocol."""
    async with answering(reply) as port:
        found = await ask("example.org", (LOOPBACK, port), "QUERY", 1.0)
    assert isinstance(found, Unseen)
    assert why in found.reason


async def test_silence_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the deadline."""
    monkeypatch.setattr(outbound, "DEADLINE_S", 0.05)
    async with answering(None) as port:
        found = await ask("example.org", (LOOPBACK, port), "QUERY", 1.0)
    assert isinstance(found, Unseen)
    assert "no answer within" in found.reason


async def test_nobody_there_is_unseen() -> None:
    """A name that does not exist."""
    assert isinstance(await ask("example.org", ("postfix-tlspol.invalid", 8642), "QUERY", 1.0), Unseen)


def test_setting_of_extra_cf_counts_before_main_cf(tmp_path: Path) -> None:
    """Postfix's container appends it; where it does not have the parameter, mailcow's own stays."""
    folder = tmp_path / "data/conf/postfix"
    folder.mkdir(parents=True)
    assert isinstance(policy_maps(tmp_path, 1.0), Unseen)
    (folder / "main.cf").write_text("a = b\n")
    assert policy_maps(tmp_path, 1.0) == Seen(None, 1.0)
    (folder / "main.cf").write_text("smtp_tls_policy_maps = proxy:mysql:/x socketmap:inet:y:1:Q\n")
    (folder / "extra.cf").write_text("myhostname = mail.example.org\n")
    assert policy_maps(tmp_path, 1.0) == Seen("proxy:mysql:/x socketmap:inet:y:1:Q", 1.0)
    (folder / "extra.cf").write_text("smtp_tls_policy_maps =\n")
    assert policy_maps(tmp_path, 1.0) == Seen("", 1.0)


def test_no_link_is_followed(tmp_path: Path) -> None:
    """Postfix's container can write there."""
    folder = tmp_path / "data/conf/postfix"
    folder.mkdir(parents=True)
    (tmp_path / "secret").write_text("smtp_tls_policy_maps = x\n")
    (folder / "main.cf").symlink_to(tmp_path / "secret")
    assert isinstance(policy_maps(tmp_path, 1.0), Unseen)
