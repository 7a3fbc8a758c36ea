"""A real producer of TLS reports (tlsrpt-reporter, as postfix uses it): what it mails and posts is read and counted."""

import asyncio
import json
import shutil
import socket
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sidecar.formats.mtasts_policy import Mode
from sidecar.formats.tls_report_policy import HeldPolicy
from sidecar.observed.report_route import INTERNAL_ADDRESS
from sidecar.observed.reports import Failed
from sidecar.reports.intake import Intake
from sidecar.reports.receive_https import PATH, Receiver
from sidecar.reports.receive_smtp import smtp_port
from sidecar.reports.store import DAY_S, ReportStore
from tests.reports.signed import Keys
from tests.system.components import CACHE, need
from tests.system.processes import serving, wait_until
from tests.system.sender_view import folder_for

PRODUCER = CACHE / "tlsrpt-reporter/bin"
LOOPBACK = "127.0.0.1"
RECORD = "v=TLSRPTv1; rua=mailto:tls-reports@example.test,https://reports.example.test/tlsrpt"
SESSIONS = (
    {"f": 0, "t": 0},
    {"f": 0, "t": 0},
    {
        "f": 1,
        "t": 1,
        "failure-details": [{"c": 204, "n": "mail.example.org", "r": "192.0.2.25", "s": "192.0.2.7"}],
    },
)
"""Two that succeeded and one that found an expired certificate, in the producer's own protocol."""


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path, since a socket lies in it."""
    with folder_for("tp") as folder:
        yield folder


def collected(folder: Path) -> None:
    """Sessions reported to the collector as a mail server does it, then moved to yesterday, as midnight would."""
    config = str(folder / "producer.cfg")
    path, database = folder / "socket", folder / "collected.sqlite"
    with (
        serving(
            [str(need(PRODUCER / "tlsrpt-collectd")), "--config_file", config],
            answers=path.exists,
            log=folder / "collectd.out",
        ),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as collector,
    ):
        for session in SESSIONS:
            policy = {
                "policy-type": 2,
                "policy-domain": "example.org",
                "policy-string": [
                    "version: STSv1",
                    "mode: testing",
                    "mx: mail.example.org",
                    "max_age: 86400",
                ],
                "mx-host": ["mail.example.org"],
                **session,
            }
            datagram = {"dpv": "1", "d": "example.org", "pr": RECORD, "policies": [policy]}
            collector.sendto(json.dumps(datagram).encode(), str(path))
        wait_until(lambda: counted(database) == len(SESSIONS), "the collector has them", 30)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d")
    moved = folder / "collected.sqlite.yesterday"
    shutil.copy(database, moved)
    with closing(sqlite3.connect(moved)) as connection, connection:
        for table in ("finalresults", "failures"):
            connection.execute(f"UPDATE {table} SET day = ?", (yesterday,))  # noqa: S608 - the two names above
        connection.execute("DELETE FROM daystatus")
        connection.execute("INSERT INTO daystatus (daycomplete) VALUES (?)", (yesterday,))


def counted(database: Path) -> int:
    """How many sessions are committed; none before the collector has made its tables."""
    with closing(sqlite3.connect(database)) as connection, suppress(sqlite3.OperationalError):
        return int(connection.execute("SELECT COALESCE(SUM(cntrtotal), 0) FROM finalresults").fetchone()[0])
    return 0


_MAIL = """
import smtplib, sys
with smtplib.SMTP("127.0.0.1", {port}, timeout=10) as client:
    client.sendmail("noreply@sender.example", ["{recipient}"], sys.stdin.buffer.read())
"""


def configure(folder: Path, smtp: int, https: int) -> None:
    """Where the producer keeps things, and how it delivers."""
    (folder / "mail.py").write_text(_MAIL.format(port=smtp, recipient=INTERNAL_ADDRESS))
    fetcher = f"{PRODUCER}/tlsrpt-fetcher --config_file {folder}/producer.cfg"
    (folder / "producer.cfg").write_text(
        f"""[tlsrpt_collectd]
storage = sqlite://{folder}/collected.sqlite
socketname = {folder}/socket
sockettimeout = 1
logfilename = {folder}/collectd.log
[tlsrpt_fetcher]
storage = sqlite://{folder}/collected.sqlite
logfilename = {folder}/fetcher.log
[tlsrpt_reportd]
organization_name = Producer Inc.
contact_info = tls@sender.example
sender_address = noreply@sender.example
dbname = {folder}/reportd.sqlite
logfilename = {folder}/reportd.log
log_level = debug
fetchers = {fetcher}
sendmail_script = {sys.executable} {folder}/mail.py
http_script = curl --silent --fail --header 'Content-Type: application/tlsrpt+gzip' --data-binary @-
debug_send_http_dest = http://{LOOPBACK}:{https}{PATH}
interval_main_loop = 2
spread_out_delivery = 2
max_collectd_timeout = 1
max_collectd_timediff = 1
min_wait_domainlist = 0
max_wait_domainlist = 1
min_wait_domaindetails = 0
max_wait_domaindetails = 1
"""
    )


@contextmanager
def reporting(folder: Path) -> Iterator[None]:
    """The part that makes and delivers the reports of yesterday."""
    command = [str(need(PRODUCER / "tlsrpt-reportd")), "--config_file", str(folder / "producer.cfg")]
    with serving(command, answers=(folder / "reportd.sqlite").exists, log=folder / "reportd.out"):
        yield


@asynccontextmanager
async def ways_in(intake: Intake) -> AsyncIterator[tuple[int, int]]:
    """The ports for mail and for POST."""
    app = web.Application()
    app.router.add_post(PATH, Receiver(intake).post)
    async with (
        smtp_port(intake, INTERNAL_ADDRESS, lambda: frozenset({LOOPBACK}), (LOOPBACK, 0)) as smtp,
        TestServer(app, host=LOOPBACK) as server,
    ):
        assert server.port is not None
        yield smtp, server.port


async def test_what_a_real_producer_mails_and_posts_counts_once(place: Path) -> None:
    """Sessions, failure, hosts and the policy that it held; by mail and by POST it is the same report."""
    need(PRODUCER)
    store = ReportStore(place / "state")
    intake = Intake(store, Keys(), time.time)
    async with ways_in(intake) as (smtp, https):
        configure(place, smtp, https)
        await asyncio.to_thread(collected, place)
        with reporting(place):
            await asyncio.to_thread(
                wait_until,
                lambda: {one.way.value for one in store.waiting(time.time())} == {"smtp", "https"},
                "both",
                60,
            )
    assert await intake.work() == 2
    assert store.unreadable() == ()
    (found,) = store.reported("example.org", time.time() - 5 * DAY_S)
    assert (found.organisation, found.sender, found.ok, found.failed) == ("Producer Inc.", None, 2, 1)
    assert found.failures == (Failed("certificate-expired", 1),)
    assert found.held == HeldPolicy(Mode.TESTING, 86_400, ("mail.example.org",))
    (failure,) = store.failures("example.org", time.time() - 5 * DAY_S)
    assert (failure.mx, failure.sending_ip) == ("mail.example.org", "192.0.2.7")
