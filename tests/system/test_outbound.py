"""The question to postfix-tlspol is the one that a real Postfix asks, octet by octet, and its answer reads the same."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from sidecar.formats.socketmap import Reply, SocketmapAnswer
from sidecar.mailcow.outbound import ask
from sidecar.observed import Seen
from tests.mailcow.test_outbound import answering
from tests.system.components import program

POLICY = b"OK secure match=mx.example.com servername=hostname"


async def test_postfix_asks_the_same() -> None:
    """`postmap -q`, with the table of mailcow's main.cf."""
    asked: list[bytes] = []
    folder = Path(tempfile.mkdtemp(prefix="postfix.", dir="/tmp"))
    try:
        (folder / "main.cf").write_text("compatibility_level = 3.6\n")
        async with answering(b"%d:%s," % (len(POLICY), POLICY), asked) as port:
            postmap = await asyncio.create_subprocess_exec(
                program("postmap"),
                *("-c", str(folder), "-q", "example.com", f"socketmap:inet:127.0.0.1:{port}:QUERY"),
                stdout=asyncio.subprocess.PIPE,
            )
            answer, _ = await postmap.communicate()
            ours = await ask("example.com", ("127.0.0.1", port), "QUERY", 1.0)
    finally:
        shutil.rmtree(folder)
    assert asked == [b"17:QUERY example.com,", b"17:QUERY example.com,"]
    assert answer == POLICY.removeprefix(b"OK ") + b"\n"
    assert ours == Seen(Reply(SocketmapAnswer.OK, answer.decode().strip()), 1.0)
