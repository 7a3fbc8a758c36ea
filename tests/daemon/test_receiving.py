"""TLS reports coming into a running sidecar: the port for postfix, the POST, and what happens to what came in."""

import asyncio
import re
import smtplib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import Mock

import aiohttp
import pytest

from sidecar.daemon import surface
from sidecar.daemon.receiving import own_address
from sidecar.daemon.wiring import TEST_POSTFIX
from sidecar.observed.report_route import INTERNAL_ADDRESS
from sidecar.observed.reports import ReportWay
from sidecar.reports.store import DAY_S, NAME, ReportStore
from sidecar.web import WebServer
from tests.formats.tls_report_corpus import attached, message, packed, report
from tests.reports.signed import key, signed
from tests.running import Running, process, until
from tests.stage import Stage, stage

pytestmark = pytest.mark.integration

LOOPBACK = "127.0.0.1"


@asynccontextmanager
async def running(on: Stage, config: str = "") -> AsyncIterator[Running]:
    """`sidecar run` beside a postfix on loopback."""
    on.more[TEST_POSTFIX] = LOOPBACK
    on.configure(config)
    on.dns["s1._domainkey.sender.example.", "TXT"] = [f'"{part}"' for part in [key()[1]]]
    async with process({**on.env, "MTA_STS_POLL": "5"}, "run") as sidecar:
        await sidecar.says("started")
        yield sidecar
        await sidecar.end()
    assert sidecar.err == []
    assert sidecar.lines("Traceback") == []


def state(on: Stage) -> Path:
    """The state folder."""
    return Path(on.env["MTA_STS_STATE_DIR"])


async def port(on: Stage, sidecar: Running) -> int:
    """Where the running sidecar's SMTP port is: its transport would lead there."""
    line = await sidecar.says("TLS reports of senders will be received")
    found = re.search(r"\[127\.0\.0\.1\]:(\d+)", line + " ".join(sidecar.out))
    assert found is not None
    return int(found[1])


def send(number: int, data: bytes) -> None:
    """As postfix hands it over."""
    with smtplib.SMTP(LOOPBACK, number, timeout=10) as client:
        client.sendmail("noreply@sender.example", [INTERNAL_ADDRESS], data)


async def test_a_mail_that_postfix_hands_over_becomes_evidence(tmp_path: Path) -> None:
    """Signed by its sender; about a domain that this mailcow has."""
    async with stage(tmp_path) as on:
        async with running(on) as sidecar:
            number = await port(on, sidecar)
            await asyncio.to_thread(send, number, signed(message(attached(packed(report())))))
            store = ReportStore(state(on))
            await until(lambda: bool(store.reported("example.org", on.clock.now() - 3_000 * DAY_S)))
        (found,) = store.reported("example.org", on.clock.now() - 3_000 * DAY_S)
        assert (found.sender, found.ok) == ("sender.example", 12)
        store.close()


async def test_nothing_is_opened_or_imported_unless_reports_are_wanted(tmp_path: Path) -> None:
    """No port, no store, no route for a POST."""
    async with stage(tmp_path) as on:
        async with running(on, "reports: {receive: off}\n") as sidecar:
            page = await sidecar.says("web page started")
            url = re.search(r"http://\S+", page)
            assert url is not None
            async with (
                aiohttp.ClientSession() as client,
                client.post(f"{url[0]}tlsrpt", data=b"{}") as answer,
            ):
                assert answer.status == 404
            assert sidecar.lines("report route") == []
        assert not (state(on) / NAME).exists()


async def test_a_post_is_accepted_under_any_host_name_and_without_the_token(tmp_path: Path) -> None:
    """As unproven evidence; all else on the page still needs the token."""
    async with stage(tmp_path, MTA_STS_WEB_TOKEN="a-token-of-the-test") as on:
        async with running(on, "reports: {receive: off, https: true}\n") as sidecar:
            page = await sidecar.says("web page started")
            url = re.search(r"http://\S+", page)
            assert url is not None
            headers = {"Host": "tlsrpt.example.org", "Content-Type": "application/tlsrpt+json"}
            async with aiohttp.ClientSession() as client:
                async with client.post(f"{url[0]}tlsrpt", data=packed(report()), headers=headers) as answer:
                    assert answer.status == 201
                async with client.get(f"{url[0]}api/v1/domains") as answer:
                    assert answer.status == 401
            store = ReportStore(state(on))
            await until(lambda: bool(store.reported("example.org", on.clock.now() - 3_000 * DAY_S)))
        (found,) = store.reported("example.org", on.clock.now() - 3_000 * DAY_S)
        assert found.sender is None
        store.close()


async def test_old_reports_are_deleted_also_when_none_are_received_any_more(tmp_path: Path) -> None:
    """`reports.keep` holds; a message that was accepted before is read first."""
    async with stage(tmp_path) as on:
        store = ReportStore(state(on))
        assert store.accept(packed(report()), ReportWay.HTTPS, on.clock.now() - 3 * DAY_S) is not None
        assert store.accept(packed(report(report_id="new")), ReportWay.HTTPS, on.clock.now()) is not None
        async with running(on, "reports: {receive: off, keep: 2}\n"):
            await until(lambda: not store.waiting(on.clock.now()) and len(store.kept()) == 1)
        assert len(store.kept()) == 1
        store.close()


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_page_on_all_addresses_is_announced_at_the_containers_own(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """127.0.0.1 is not the container for somebody who reads the log on the host."""
    page = WebServer(address, 8_480, Mock(), asyncio.Event())
    monkeypatch.setattr(surface, "own_address", lambda _: "172.22.1.247")
    assert surface.reached_at(page) == "http://172.22.1.247:8480/"
    monkeypatch.setattr(surface, "own_address", lambda _: None)
    assert surface.reached_at(page) == page.url


def test_page_on_one_address_is_announced_there() -> None:
    """As `web.listen` has it."""
    assert surface.reached_at(WebServer("192.0.2.9", 80, Mock(), asyncio.Event())) == "http://192.0.2.9:80/"


def test_our_address_is_the_one_towards_postfix() -> None:
    """Of several, IPv4 comes first; there is none towards nowhere."""
    assert own_address({"::1", "127.0.0.9"}) == LOOPBACK
    assert own_address({"::1"}) == "::1"
    assert own_address(()) is None
