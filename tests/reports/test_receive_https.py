"""Reports by POST: stored as evidence without proof, refused where they are no reports, too large or too many."""

import gzip
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from sidecar.observed.reports import ReportWay
from sidecar.reports.intake import Intake
from sidecar.reports.receive_https import LARGEST_POST, PATH, PostAllowance, Receiver
from sidecar.reports.store import ReportStore
from tests.formats.tls_report_corpus import packed, report
from tests.reports.signed import Keys

NOW = 1_795_600_000.0


@asynccontextmanager
async def client(
    store: ReportStore, allowance: PostAllowance | None = None
) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """A client of a server with this one route."""
    app = web.Application()
    app.router.add_post(PATH, Receiver(Intake(store, Keys(), lambda: NOW), allowance).post)
    async with TestClient(TestServer(app)) as made:
        yield made


async def test_a_report_is_stored_as_evidence_without_proof(tmp_path: Path) -> None:
    """Packed or not."""
    store = ReportStore(tmp_path)
    async with client(store) as http:
        for data in (packed(report()), gzip.compress(packed(report()))):
            answer = await http.post(PATH, data=data, headers={"Content-Type": "application/tlsrpt+gzip"})
            assert answer.status == 201
    assert [(one.way, one.data[:1] in b"{\x1f") for one in store.waiting(NOW)] == [
        (ReportWay.HTTPS, True)
    ] * 2


async def test_body_that_is_not_a_report_is_refused_and_not_stored(tmp_path: Path) -> None:
    """And nothing of it comes back."""
    store = ReportStore(tmp_path)
    async with client(store) as http:
        for data in (b"", b"hello <script>", b"From: a@sender.example\r\n\r\n{}"):
            answer = await http.post(PATH, data=data)
            assert answer.status == 400
            assert await answer.text() == "not a TLS report\n"
    assert store.waiting(NOW) == ()


async def test_what_is_too_large_is_refused(tmp_path: Path) -> None:
    """By its announced length, and without one while it comes in."""
    store = ReportStore(tmp_path)

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(LARGEST_POST // 65_536 + 2):
            yield b"{" * 65_536

    async with client(store) as http:
        assert (await http.post(PATH, data=io.BytesIO(b"{" * (LARGEST_POST + 1)))).status == 413
        assert (await http.post(PATH, data=endless())).status == 413
    assert store.waiting(NOW) == ()


async def test_rate_of_reports_is_limited(tmp_path: Path) -> None:
    """Of all callers together."""
    store, clock = ReportStore(tmp_path), [0.0]
    async with client(store, PostAllowance(60, 2, lambda: clock[0])) as http:
        statuses = [(await http.post(PATH, data=packed(report()))).status for _ in range(4)]
        assert statuses == [201, 201, 429, 429]
        clock[0] += 60
        assert [(await http.post(PATH, data=packed(report()))).status for _ in range(2)] == [201, 429]
    assert len(store.waiting(NOW)) == 3


async def test_a_store_that_fails_is_an_answer(tmp_path: Path) -> None:
    """503: the sender may try again."""
    folder = tmp_path / "state"
    folder.write_text("a file where the folder should be")
    async with client(ReportStore(folder)) as http:
        assert (await http.post(PATH, data=packed(report()))).status == 503
