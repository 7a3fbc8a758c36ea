"""The SMTP port: who may come in, what is taken, and that 250 means stored."""

import asyncio
import signal
import smtplib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from sidecar.formats.report_message import LARGEST_MESSAGE
from sidecar.host.errors import TemporaryError
from sidecar.observed.reports import ReportWay
from sidecar.reports import store as store_module
from sidecar.reports.intake import Intake
from sidecar.reports.receive_smtp import MOST_CONNECTIONS, smtp_port
from sidecar.reports.store import ReportStore
from tests.formats.tls_report_corpus import attached, message, packed, report
from tests.reports.signed import Keys

NOW = 1_795_600_000.0
RECIPIENT = "reports@tlsrpt.sidecar.internal"
MESSAGE = message(attached(packed(report())))
LOOPBACK = frozenset({"127.0.0.1"})
T = TypeVar("T")


@asynccontextmanager
async def port(store: ReportStore, allowed: frozenset[str] = LOOPBACK) -> AsyncIterator[int]:
    """The port of an intake over this store."""
    intake = Intake(store, Keys(), lambda: NOW)
    async with smtp_port(intake, RECIPIENT, lambda: allowed, ("127.0.0.1", 0)) as number:
        yield number


async def said(call: Callable[[], T]) -> T:
    """A blocking client, in a thread."""
    return await asyncio.to_thread(call)


def send(number: int, data: bytes = MESSAGE, *recipients: str, sender: str = "a@sender.example") -> None:
    """One message, as postfix sends it."""
    with smtplib.SMTP("127.0.0.1", number, timeout=10) as client:
        client.sendmail(sender, recipients or (RECIPIENT,), data)


async def test_250_means_that_the_message_is_stored(tmp_path: Path) -> None:
    """Octet by octet, since its signature is checked later."""
    store = ReportStore(tmp_path)
    async with port(store) as number:
        await said(lambda: send(number))
        await said(lambda: send(number, MESSAGE, RECIPIENT.upper(), sender=""))
    first, second = store.waiting(NOW)
    assert first.data == MESSAGE
    assert (first.way, second.way) == (ReportWay.SMTP, ReportWay.SMTP)


async def test_only_the_one_recipient_is_taken(tmp_path: Path) -> None:
    """The port is neither a relay nor a mailbox."""
    store = ReportStore(tmp_path)
    async with port(store) as number:
        for other in ("reports@example.org", "postmaster", "other@tlsrpt.sidecar.internal"):
            with pytest.raises(smtplib.SMTPRecipientsRefused, match="550"):
                await said(lambda other=other: send(number, MESSAGE, other))  # type: ignore[misc]
    assert store.waiting(NOW) == ()


async def test_other_addresses_cannot_connect(tmp_path: Path) -> None:
    """Not even a greeting is said."""
    async with port(ReportStore(tmp_path), frozenset({"172.22.1.253"})) as number:
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
            await said(lambda: smtplib.SMTP("127.0.0.1", number, timeout=10))


async def test_a_message_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """By its announced size, and by its true one."""
    store = ReportStore(tmp_path)
    large = b"Subject: x\r\n\r\n" + (b"x" * 76 + b"\r\n") * (LARGEST_MESSAGE // 78 + 10)
    async with port(store) as number:
        with pytest.raises(smtplib.SMTPSenderRefused, match="552"):
            await said(lambda: send(number, large))

        def unannounced() -> int:
            with smtplib.SMTP("127.0.0.1", number, timeout=30) as client:
                client.helo()
                client.mail("a@sender.example")
                client.rcpt(RECIPIENT)
                return client.data(large)[0]

        assert await said(unannounced) == 552
    assert store.waiting(NOW) == ()


async def test_what_cannot_be_stored_stays_with_postfix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal for now, with which postfix tries again for days."""
    store = ReportStore(tmp_path)

    def fail(*_: object) -> int:
        raise TemporaryError("the disk is full")

    async with port(store) as number:
        monkeypatch.setattr(store, "accept", fail)
        with pytest.raises(smtplib.SMTPDataError, match="451"):
            await said(lambda: send(number))
        monkeypatch.undo()
        monkeypatch.setattr(store_module, "MOST_WAITING", 0)
        with pytest.raises(smtplib.SMTPDataError, match="452"):
            await said(lambda: send(number))
    assert store.waiting(NOW) == ()


async def test_number_of_connections_is_limited(tmp_path: Path) -> None:
    """One more is ended; when another has left there is a place again."""
    async with port(ReportStore(tmp_path)) as number:
        clients = [
            await said(lambda: smtplib.SMTP("127.0.0.1", number, timeout=10)) for _ in range(MOST_CONNECTIONS)
        ]
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
            await said(lambda: smtplib.SMTP("127.0.0.1", number, timeout=10))
        await said(clients.pop().quit)
        for client in clients:
            client.close()
        await said(lambda: send(number))


async def test_the_end_of_the_port_waits_for_no_client(tmp_path: Path) -> None:
    """A connection that is still open is ended."""
    async with port(ReportStore(tmp_path)) as number:
        client = await said(lambda: smtplib.SMTP("127.0.0.1", number, timeout=10))
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        await said(client.noop)
    client.close()


_SERVER = """
import asyncio, sys
from pathlib import Path
from sidecar.reports.intake import Intake
from sidecar.reports.receive_smtp import smtp_port
from sidecar.reports.store import ReportStore
from tests.reports.signed import Keys

async def main():
    intake = Intake(ReportStore(Path(sys.argv[1])), Keys(), lambda: 1_795_600_000.0)
    async with smtp_port(intake, sys.argv[2], lambda: frozenset({"127.0.0.1"}), ("127.0.0.1", 0)) as number:
        print(number, flush=True)
        await intake.run()

asyncio.run(main())
"""


@pytest.mark.integration
def test_what_was_accepted_survives_a_kill(tmp_path: Path) -> None:
    """The process is killed right after each 250: every message is there, read or waiting."""
    for n in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(tmp_path), RECIPIENT],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        try:
            assert process.stdout is not None
            number = int(process.stdout.readline())
            send(number, message(attached(packed(report(report_id=f"k{n}")))))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
    store = ReportStore(tmp_path)
    waiting = len(store.waiting(NOW + 10))
    read = store.days("example.org", NOW - 30 * 86_400.0)
    assert waiting + sum(one.ok for one in read) // 12 == 3
