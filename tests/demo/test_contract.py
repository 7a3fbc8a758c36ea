"""The contract between the simulated mailcow and the real one: every recorded exchange is replayed.

Status, content type, cookie, messages, JSON keys, types and values, policy texts and table rows must be the
same. Times, names of domain administrators, the text of stack traces and nginx's release are not compared;
ids only by whether they change. How each recording began stands in `recorded.py`.
"""

import asyncio
import gzip
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from yarl import URL

from demo.simulated import SimulatedMailcow
from demo.simulated_world import PolicyRow
from tests.demo.recorded import (
    OUTAGES,
    RECORDINGS,
    VERSIONS,
    Exchange,
    Scene,
    before_outage,
    exchanges_of,
    scenes,
)

CALLED = re.compile(
    r"/+api/v1/(get/domain|get/alias-domain/all|get/status/version|search/domain|add/mta-sts|edit/mta-sts)(?=[/?]|\Z)"
    r"|/\.well-known/mta-sts\.txt|/inc/ajax/dns_diagnostics\.php"
)
"""The routes that the sidecar calls. None of their exchanges is left out."""

LEFT_OUT: dict[str, str] = {
    "/api/v1/get/bcc-destination-options": "another list of names, which says nothing of their state",
    "/api/v1/get/domain-admin/da1": "needs a domain administrator, who is none of the sidecar's business",
    "/api/v1/get/rl-domain/all": "rate limits",
    "/api/": "the page of the API's documentation",
    "/": "mailcow's login page, which answers on the policy host too",
    "/edit/domain/example.org": "a form of mailcow's interface, made for a browser",
    "/edit/domain/off.example": "the same form",
    "/edit/domain/nopolicy.example": "the same form",
}
"""What is not replayed, by path, and why."""


@dataclass(slots=True)
class Stage:
    """A simulated mailcow with a plain and a TLS port, and a client that adds nothing to a request."""

    plain: SimulatedMailcow
    tls: SimulatedMailcow
    client: aiohttp.ClientSession
    clock: list[float]
    cookie: str = ""
    ids: dict[str, tuple[dict[str, str], PolicyRow]] = field(default_factory=dict)

    async def send(self, exchange: Exchange) -> tuple[aiohttp.ClientResponse, bytes]:
        """The answer to a recorded request, its body as sent over the line."""
        request = exchange["request"]
        headers = {"Host": "127.0.0.1", **(request["headers"] or {})}
        if "Cookie" in headers:
            headers["Cookie"] = f"{headers['Cookie'].partition('=')[0]}={self.cookie}"
        data: str | None = request["body"]
        if not isinstance(data, str):
            is_json = "json" in headers.get("Content-Type", "")
            data = json.dumps(data, ensure_ascii=False) if is_json else None
        secure = (exchange.get("note") or "").endswith("TLS")
        url = URL((self.tls if secure else self.plain).url + request["path"], encoded=True)
        async with self.client.request(
            request["method"], url, data=data and data.encode(), headers=headers, allow_redirects=False
        ) as response:
            return response, await response.read()


@pytest.fixture
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    """The stage for the scene that the test is called with."""
    scene: Scene = request.getfixturevalue("scene")
    clock = [1_795_508_000.0]
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    async with AsyncExitStack() as stack:
        mailcows = [
            await stack.enter_async_context(
                await SimulatedMailcow.start(
                    version=scene.version or VERSIONS[scene.names[0].partition("/")[0]],
                    key="RW-KEY",
                    read_only_key="RO-KEY",
                    policy_file=tmp_path / "mta-sts.txt",
                    tls=tls,
                    clock=lambda: clock[0],
                    http_redirect=scene.http_redirect,
                )
            )
            for tls in (None, server)
        ]
        mailcows[1].world, mailcows[1].api = mailcows[0].world, mailcows[0].api
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=client),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        )
        yield Stage(mailcows[0], mailcows[1], session, clock)


def normal(value: Any) -> Any:
    """A body without what differs from one run to the next."""
    match value:
        case dict():
            return {key: normal(part) for key, part in value.items() if key != "domain_admins"}
        case list():
            return [normal(part) for part in value]
        case str():
            value = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", value)
            value = re.sub(r"nginx/[\d.]+", "nginx", value)
            value = re.sub(r"(?s)( in /web/json_api.php:\d+).*", r"\1", value)
            return re.sub(r"(?s)(\[message:protected\] => [^\n]*\n).*", r"\1", value)
        case _:
            return value


def expected_and_given(recorded: Exchange, data: bytes) -> tuple[str, str]:
    """Both bodies in a form in which they must be equal; JSON keeps its types and the order of its keys."""
    body: Any = recorded.get("body_text_exact", recorded["body"])
    if body == "(gzip bytes)":
        return "gzip", "gzip" if gzip.decompress(data) else "nothing"
    text = data.decode()
    if "body_is" in recorded:  # a page of which only the lines about the policy were recorded
        lines = "\n".join(line for line in text.splitlines() if re.search("mta-sts|STSv1", line))
        return re.sub(r"id=\d{14};", "id=ID;", body), re.sub(r"id=\d{14};", "id=ID;", lines)
    if isinstance(body, str) and body.endswith("(…)"):
        return "Preparing", re.findall("<title>(.*)</title>", text)[0]
    if not isinstance(body, str):
        return json.dumps(normal(body)), json.dumps(normal(json.loads(data)))
    return normal(body), normal(text)


COMPARED_HEADERS = ("etag", "last-modified", "location", "content-encoding", "cache-control")


def check_headers(recorded: dict[str, str], given: aiohttp.ClientResponse) -> None:
    """Content type, caching, redirection and the session cookie with its flags."""
    assert given.headers.get("Content-Type", "").lower() == recorded.get("content-type", "").lower()
    whole = "cache-control" in recorded or "content-length" in recorded
    for name in COMPARED_HEADERS:
        # Recordings of outages keep no more than content type and cookie; the page for 502 is another one.
        if given.status != 502 and (whole or name in recorded):
            assert given.headers.get(name) == recorded.get(name), name
    cookie = re.sub(r"=[0-9a-f]{32};", "=<hex>;", given.headers.get("Set-Cookie", ""))
    assert cookie == recorded.get("set-cookie", "")


def check_database(stage: Stage, exchange: Exchange) -> None:
    """The rows after an exchange; an id must change exactly when the recorded one did."""
    rows: list[dict[str, str]] = exchange["database"]["mta_sts"]
    table = stage.plain.policies
    if not rows and isinstance(exchange["request"]["body"], dict):
        body = exchange["request"]["body"]
        assert not {body.get("domain"), *body.get("items", ())} & set(table)
    if len(rows) > 1:
        assert {row["domain"] for row in rows} == set(table)
    for row in rows:
        given = table[row["domain"]]
        content = {name: value for name, value in row.items() if name != "id"}
        assert {name: str(getattr(given, name)) for name in content} == content
        assert re.fullmatch(r"\d{14}", given.id)
        added = exchange["request"]["path"].endswith("/add/mta-sts")
        before, stored = stage.ids.get(row["domain"], (row, given))
        same_second = row["id"] == before["id"] and any(
            row[name] != before[name] for name in ("mode", "mx", "max_age")
        )
        if not added and not same_second:
            assert (given.id == stored.id) == (row["id"] == before["id"])
        stage.ids[row["domain"]] = (row, given)


async def check_silence(stage: Stage, exchange: Exchange) -> None:
    """The request arrives, and nothing comes back."""
    number = len(stage.plain.requests)
    call = asyncio.create_task(stage.send(exchange))
    await stage.plain.until(lambda: len(stage.plain.requests) > number)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not call.done()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


@pytest.mark.parametrize("scene", scenes(), ids=lambda scene: scene.names[0])
async def test_answers_as_the_real_mailcow_did(scene: Scene, stage: Stage) -> None:
    """Each recorded request gets the recorded answer, in the order of the recording."""
    scene.prepare(stage.plain)
    for name in scene.names:
        for number, exchange in enumerate(exchanges_of(name)):
            if exchange["request"]["path"] in LEFT_OUT:
                continue
            stage.clock[0] += 3600
            scene.before(stage.plain, exchange)
            recorded = exchange["response"]
            if recorded is None:
                await check_silence(stage, exchange)
                continue
            where = f"{name}[{number}]: {exchange.get('note')}"
            given, data = await stage.send(exchange)
            assert given.status == recorded["status"], where
            expected, answered = expected_and_given(recorded, data)
            assert answered == expected, where
            check_headers(recorded["headers"], given)
            if "database" in exchange:
                check_database(stage, exchange)
            if not stage.cookie:
                stage.cookie = given.cookies[stage.plain.world.release.cookie].value if given.cookies else ""


def test_every_recording_is_in_a_scene() -> None:
    """No copied recording is forgotten, and none is replayed twice."""
    replayed = sorted(name for scene in scenes() for name in scene.names)
    stored = sorted(str(path.relative_to(RECORDINGS).with_suffix("")) for path in RECORDINGS.glob("*/*.json"))
    assert replayed == stored


def test_what_is_left_out_is_recorded_and_never_called() -> None:
    """Each line of the table stands for an exchange, and for no route of the sidecar."""
    paths = {
        exchange["request"]["path"]
        for scene in scenes()
        for name in scene.names
        for exchange in exchanges_of(name)
    }
    assert set(LEFT_OUT) <= paths
    assert not [path for path in LEFT_OUT if CALLED.match(path)]


def test_every_recorded_outage_is_a_fault() -> None:
    """Each note of a recorded outage has its faults, and each line of that table its recording."""
    notes = {
        exchange["note"]
        for scene in scenes()
        if scene.before is before_outage
        for exchange in exchanges_of(scene.names[0])
    }
    assert {start for start in OUTAGES for note in notes if note.startswith(start)} == set(OUTAGES)
