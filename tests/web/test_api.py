"""The JSON API: what it says, and that its published description is true."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sidecar.host.errors import TemporaryError
from tests.docs_tables import openapi_text
from tests.web.fakes import REALISTIC, FakeSource, GivenDomain, loading, many, source_of, unreachable
from tests.web.visitor import TOKEN, Visitor, visiting

pytestmark = pytest.mark.integration


async def asked(visitor: Visitor, path: str) -> Any:
    """The answer to a program."""
    status, text, response = await visitor.get(f"api/v1/{path}")
    assert status == 200
    assert response.content_type == "application/json"
    return json.loads(text)


async def test_status_has_everything_of_the_overview() -> None:
    """In words and numbers."""
    async with visiting(source_of()) as visitor:
        found = await asked(visitor, "status")
    assert found["mailcow"] == {"version": "2026-07a", "backend": "native", "hostname": "mail.example.org"}
    assert sum(found["statuses"].values()) == len(REALISTIC)
    assert found["headline"] == "1 domain fails: mail may be refused."
    assert found["needs"][0]["domains"] == ["choir.example"]
    assert found["trouble"] is None


async def test_what_is_not_known_is_null_or_503_and_never_empty() -> None:
    """A program must not take it for a mailcow without domains."""
    async with visiting(loading()) as visitor:
        found = await asked(visitor, "status")
        assert found["seen_at"] is found["domains"] is found["mailcow"] is None
        for path in ("domains", "domains/example.org"):
            status, text, response = await visitor.get(f"api/v1/{path}")
            assert status == 503
            assert response.content_type == "application/problem+json"
            assert json.loads(text)["status"] == 503
            assert response.headers["Retry-After"]
    async with visiting(unreachable()) as visitor:
        assert "refuses" in (await asked(visitor, "status"))["trouble"]["message"]
    async with visiting(source_of(raises=TemporaryError("locked"))) as visitor:
        assert (await visitor.get("api/v1/events"))[0] == 503


async def test_all_domains_come_page_by_page() -> None:
    """Each once."""
    async with visiting(source_of(many(120))) as visitor:
        path = "domains?per_page=50&sort=domain&page="
        answers = [await asked(visitor, f"{path}{page}") for page in (1, 2, 3)]
    assert {(answer["total"], answer["pages"]) for answer in answers} == {(120, 3)}
    assert [item["name"] for answer in answers for item in answer["items"]] == sorted(
        output.name for output in many(120)
    )


async def test_domain_has_findings_and_records() -> None:
    """What to publish is there as it is to be pasted."""
    async with visiting(source_of()) as visitor:
        found = await asked(visitor, "domains/new-shop.example")
        assert await asked(visitor, "domains/NEW-shop.example") == found
    assert found["todo"] == f"publish: {found['records'][1]['record']}"
    assert found["subject"] == "_mta-sts.new-shop.example"
    assert ("txt-nxdomain", "_mta-sts.new-shop.example") in {
        (finding["code"], finding["subject"]) for finding in found["findings"]
    }
    assert found["stage"] == "announcing"


async def test_events_are_newest_first_and_of_one_subject() -> None:
    """As many as asked for."""
    async with visiting(source_of()) as visitor:
        times = [event["at"] for event in (await asked(visitor, "events"))["items"]]
        assert times == sorted(times, reverse=True)
        found = (await asked(visitor, "events?subject=acme-mailcow&limit=2"))["items"]
    assert [event["subject"] for event in found] == ["acme-mailcow"] * 2


@pytest.mark.parametrize(
    "path",
    [
        "domains?page=0",
        "domains?page=x",
        "domains?per_page=501",
        "domains?per_page=%D9%A3",
        "domains?status=fine",
        "domains?sort=name",
        "domains?order=up",
        "domains?what=1",
        f"domains?q={'x' * 254}",
        "events?limit=0",
        "events?limit=1001",
        "events?page=1",
    ],
)
async def test_invalid_parameters_are_refused(path: str) -> None:
    """A program gets an error; a page ignores them."""
    async with visiting(source_of()) as visitor:
        status, text, response = await visitor.get(f"api/v1/{path}")
    assert status == 400
    assert response.content_type == "application/problem+json"
    assert json.loads(text)["detail"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "no JSON"),
        (b"[]", "no object"),
        (b'{"domains": []}', "another key"),
        (b'{"domain": 7}', "no name"),
        (b'{"domain": ""}', "no name"),
        (b"\xff", "no UTF-8"),
        (b"[" * 5_000, "too deep"),
    ],
)
async def test_invalid_bodies_are_refused(body: bytes, why: str) -> None:
    """Without anything done."""
    source = source_of()
    async with visiting(source, token=TOKEN) as visitor:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        status, _, _ = await visitor.ask("POST", "api/v1/actions/check", data=body, headers=headers)
    assert status == 400, why
    assert source.requests == []


async def test_document_is_published() -> None:
    """The one that follows from the models; `python -m tests.docs_tables` writes it."""
    async with visiting(source_of()) as visitor:
        assert await asked(visitor, "openapi.json") == json.loads(openapi_text())


@pytest.mark.timeout(110)
@pytest.mark.parametrize(
    "source",
    [source_of(), source_of(()), source_of([GivenDomain("example.org")]), loading(), unreachable()],
    ids=["realistic", "empty", "fine", "loading", "unreachable"],
)
async def test_api_holds_what_its_document_promises(source: FakeSource) -> None:
    """Schemathesis asks it hundreds of things, meant and not meant, and compares every answer with the document."""
    async with visiting(source, token=TOKEN) as visitor:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        status, output = await _schemathesis(visitor, headers, unknown=source.report is None)
    assert status == 0, output


async def _schemathesis(visitor: Visitor, headers: Mapping[str, str], *, unknown: bool) -> tuple[int, str]:
    given = [part for name, value in headers.items() for part in ("--header", f"{name}: {value}")]
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"{visitor.web.url}api/v1/openapi.json",
        "--url",
        visitor.web.url,
        "--max-examples=20",
        "--generation-deterministic",
        "--no-color",
        # a 503 is an answer that the document has
        *(["--exclude-checks=not_a_server_error"] if unknown else []),
        *given,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd="/tmp",
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()[-6_000:]
