"""The HTTP probe of a name, made against real servers on loopback."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from sidecar.mailcow import challenge
from sidecar.mailcow.challenge import FOLDER, PREFIX, Challenges
from sidecar.observed import Addresses, Answered, Challenge, Seen, Sight, Unseen

NAME = "mta-sts.example.org"
HERE = Addresses(frozenset({"127.0.0.1"}))
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """A web server on loopback; its port."""
    server = web.Server(handler)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0)
    await site.start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@pytest.fixture
def mailcow_dir(tmp_path: Path) -> Path:
    """A mailcow directory with the shared challenge folder."""
    (tmp_path / FOLDER).mkdir(parents=True)
    return tmp_path


async def nowhere(name: str) -> Sight[Addresses]:
    """A DNS that knows nothing."""
    return Unseen(f"{name} was asked for", 1.0)


def files(mailcow_dir: Path) -> Handler:
    """nginx-mailcow: the shared challenge folder for every name."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        path = mailcow_dir / FOLDER / request.path.rpartition("/")[2]
        hosts.append(request.headers["Host"])
        return web.Response(body=path.read_bytes()) if path.is_file() else web.Response(status=404)

    hosts: list[str] = []
    handle.hosts = hosts  # type: ignore[attr-defined]
    return handle


async def closed_port() -> int:
    """A port that nobody listens at."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = int(server.sockets[0].getsockname()[1])
    server.close()
    await server.wait_closed()
    return port


async def probed(
    mailcow_dir: Path,
    port: int,
    nginx: int,
    addresses: Addresses = HERE,
    resolve: challenge.Resolve = nowhere,
) -> Sight[Challenge]:
    """The probe of NAME."""
    challenges = Challenges(mailcow_dir, lambda: 1.0, resolve, port)
    return (await challenges.probe({NAME: addresses}, ("127.0.0.1", nginx)))[NAME]


def answered(sight: Sight[Challenge]) -> Answered | None:
    """How it ended."""
    return sight.value.answered if isinstance(sight, Seen) else None


async def test_file_is_fetched_with_the_names_own_host_and_gone_afterwards(mailcow_dir: Path) -> None:
    """On the public way."""
    handler = files(mailcow_dir)
    async with serving(handler) as port:
        assert answered(await probed(mailcow_dir, port, port)) is Answered.YES
    assert handler.hosts == [NAME]  # type: ignore[attr-defined]
    assert list((mailcow_dir / FOLDER).iterdir()) == []


async def test_another_site_on_the_public_way_is_no(mailcow_dir: Path) -> None:
    """Even where nginx-mailcow would answer: the world does not get there."""

    async def other(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=404)

    async with serving(other) as port, serving(files(mailcow_dir)) as nginx:
        found = await probed(mailcow_dir, port, nginx)
    assert answered(found) is Answered.NO
    assert isinstance(found, Seen)
    assert "404" in found.value.said


async def test_other_content_is_no(mailcow_dir: Path) -> None:
    """A site that answers 200 for everything."""

    async def everything(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="welcome" * 1_000)

    async with serving(everything) as port:
        assert answered(await probed(mailcow_dir, port, port)) is Answered.NO


async def test_unreachable_public_way_is_tried_at_nginx(mailcow_dir: Path) -> None:
    """No way back from inside (hairpin): the answer says that it is from inside."""
    async with serving(files(mailcow_dir)) as nginx:
        found = await probed(mailcow_dir, await closed_port(), nginx)
    assert answered(found) is Answered.INSIDE
    assert isinstance(found, Seen)
    assert "127.0.0.1" in found.value.said


async def test_nothing_reachable_at_all_is_unknown(mailcow_dir: Path) -> None:
    """And not a no."""
    port = await closed_port()
    found = await probed(mailcow_dir, port, port)
    assert isinstance(found, Unseen)


async def test_every_address_counts(mailcow_dir: Path) -> None:
    """Let's Encrypt may take any: one that answers with another site is a no."""

    async def elsewhere(request: web.BaseRequest) -> web.StreamResponse:
        here = (
            request.transport is not None and request.transport.get_extra_info("sockname")[0] == "127.0.0.1"
        )
        return await files(mailcow_dir)(request) if here else web.Response(status=404)

    server = web.Server(elsewhere)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "0.0.0.0", 0)
    await site.start()
    port = int(runner.addresses[0][1])
    try:
        both = Addresses(frozenset({"127.0.0.1", "127.0.0.2"}))
        assert answered(await probed(mailcow_dir, port, port, both)) is Answered.NO
        assert answered(await probed(mailcow_dir, port, port)) is Answered.YES
    finally:
        await runner.cleanup()


async def test_redirects_are_followed_to_the_same_name(mailcow_dir: Path) -> None:
    """As Let's Encrypt does; only so many, and only to the ports of the web."""
    inner = files(mailcow_dir)

    async def redirecting(request: web.BaseRequest) -> web.StreamResponse:
        if "again" in request.query:
            return await inner(request)
        raise web.HTTPFound(f"{request.path}?again=1")

    async with serving(redirecting) as port:
        assert answered(await probed(mailcow_dir, port, port)) is Answered.YES


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("http://{host}/round", "redirects"),
        ("http://other.example:2375/x", "redirects to http://other.example:2375"),
        ("ftp://other.example/x", "redirects to ftp://other.example"),
        ("http://other.example/x", "has no address"),
    ],
)
async def test_redirect_that_is_not_followed_is_no(mailcow_dir: Path, target: str, said: str) -> None:
    """A stranger chooses where it leads."""

    async def redirecting(request: web.BaseRequest) -> web.StreamResponse:
        raise web.HTTPFound(target.format(host=f"{NAME}:{request.url.port or 80}" if "{" in target else ""))

    async with serving(redirecting) as port:
        if "{host}" in target:
            target = f"http://{NAME}:{port}/round"
        found = await probed(mailcow_dir, port, port)
    assert answered(found) is Answered.NO
    assert isinstance(found, Seen)
    assert said in found.value.said


async def test_endless_answer_is_cut(mailcow_dir: Path) -> None:
    """Only what is needed to compare is read."""

    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(10_000):
            await response.write(b"x" * 1_000)
        return response

    async with serving(endless) as port:
        assert answered(await probed(mailcow_dir, port, port)) is Answered.NO


async def test_silence_ends_at_the_deadline(mailcow_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that accepts and says nothing: acme-mailcow would get no answer there either."""
    monkeypatch.setattr(challenge, "TOTAL_S", 0.2)

    async def silent(_: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    async with serving(silent) as port, serving(files(mailcow_dir)) as nginx:
        assert answered(await probed(mailcow_dir, port, nginx)) is Answered.NO


async def test_connection_that_is_closed_without_a_word_is_no(mailcow_dir: Path) -> None:
    """A proxy that does so for names it does not know: the way is there, and does not lead here."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = int(server.sockets[0].getsockname()[1])
    async with server, serving(files(mailcow_dir)) as nginx:
        assert answered(await probed(mailcow_dir, port, nginx)) is Answered.NO
        closed = await closed_port()
        found = await probed(mailcow_dir, closed, port)
    assert isinstance(found, Unseen)  # nginx that wants the PROXY protocol says nothing to us


async def test_redirect_into_the_network_inside_is_not_followed(mailcow_dir: Path) -> None:
    """Let's Encrypt would not get there, and a stranger does not choose what is asked in there."""
    inner = files(mailcow_dir)

    async def inside(name: str) -> Sight[Addresses]:
        return Seen(Addresses(frozenset({"127.0.0.2" if name == "inside.example" else "127.0.0.1"})), 1.0)

    async def redirecting(request: web.BaseRequest) -> web.StreamResponse:
        if request.host.partition(":")[0] != NAME:
            return await inner(request)
        raise web.HTTPFound(f"http://{targets[-1]}:{port}{request.path}")

    targets: list[str] = []
    async with serving(redirecting, "0.0.0.0") as port:
        for target in ("inside.example", "127.0.0.2", "[::1]"):
            targets.append(target)
            found = await probed(mailcow_dir, port, port, resolve=inside)
            assert isinstance(found, Seen)
            assert (found.value.answered, "which is not public" in found.value.said) == (Answered.NO, True)
        targets.append("other.example")  # at the address that the name itself has
        assert answered(await probed(mailcow_dir, port, port, resolve=inside)) is Answered.YES


async def test_closed_way_is_not_tried_for_thousands_of_names(
    mailcow_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens there, whatever the name is."""
    tried: list[str] = []
    real = Challenges._get

    async def get(self: Challenges, url: URL, *rest: Any) -> tuple[int, bytes, str | None]:
        tried.append(url.host or "")
        return await real(self, url, *rest)

    monkeypatch.setattr(Challenges, "_get", get)
    names = {f"d{number}.example": HERE for number in range(5 * challenge.CONCURRENT)}
    async with serving(files(mailcow_dir)) as nginx:
        challenges = Challenges(mailcow_dir, lambda: 1.0, nowhere, await closed_port())
        found = await challenges.probe(names, ("127.0.0.1", nginx))
    assert {answered(sight) for sight in found.values()} == {Answered.INSIDE}
    assert len(tried) <= len(names) + 2 * challenge.CONCURRENT


async def test_folder_that_is_a_link_is_left_alone(mailcow_dir: Path, tmp_path: Path) -> None:
    """www-data can write in data/web: a link there must not choose where a file is made or removed."""
    other = tmp_path / "other"
    other.mkdir()
    (other / f"{PREFIX}theirs").write_text("x")
    folder = mailcow_dir / FOLDER
    folder.rmdir()
    folder.symlink_to(other)
    async with serving(files(mailcow_dir)) as port:
        found = await probed(mailcow_dir, port, port)
    assert isinstance(found, Unseen)
    assert "symbolic link" in found.reason
    challenge.tidy(mailcow_dir)
    assert [path.name for path in other.iterdir()] == [f"{PREFIX}theirs"]


async def test_pass_that_is_ended_leaves_no_file(mailcow_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the file is being made just then, in a thread that cannot be ended."""
    real, begun, go_on = os.open, threading.Event(), threading.Event()

    def slow(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & os.O_CREAT:
            begun.set()
            go_on.wait(10)
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", slow)
    challenges = Challenges(mailcow_dir, lambda: 1.0, nowhere, 9)
    task = asyncio.create_task(challenges.probe({NAME: HERE}, ("127.0.0.1", 9)))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await asyncio.get_running_loop().shutdown_default_executor()
    assert list((mailcow_dir / FOLDER).iterdir()) == []


async def test_folder_that_is_missing_is_unknown_with_the_reason(tmp_path: Path) -> None:
    """Never an exception."""
    found = await probed(tmp_path, 9, 9)
    assert isinstance(found, Unseen)
    assert "acme-challenge" in found.reason


async def test_files_of_a_killed_run_are_removed_and_no_others(mailcow_dir: Path) -> None:
    """acme-mailcow's own files stay, and a link is not followed."""
    folder = mailcow_dir / FOLDER
    (folder / f"{PREFIX}left").write_text("x")
    (folder / "123456").write_text("acme")
    target = mailcow_dir / "mailcow.conf"
    target.write_text("KEY=1")
    (folder / f"{PREFIX}link").symlink_to(target)
    challenge.tidy(mailcow_dir)
    assert sorted(p.name for p in folder.iterdir()) == sorted(["123456", f"{PREFIX}link"])
    assert target.exists()
    challenge.tidy(mailcow_dir / "nowhere")
