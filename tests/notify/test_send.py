"""Messages arrive by webhook and by Apprise; failures are reported without secrets, within a deadline."""

import asyncio
import io
import socket
import subprocess
import sys
import threading

import pytest
import structlog
import yaml

from sidecar.host import log
from sidecar.host.errors import TemporaryError
from sidecar.notify.digest import Message, digest_of
from sidecar.notify.send import apprise, deliver, post, receivers_of
from sidecar.settings import NotificationKind
from sidecar.settings.load import load
from tests.notify.receiver import receiving
from tests.notify.views import event
from tests.worlds import HOST, NOW

# Apprise 2.3 tries the module, and does without it where there is none (Python 3.13).
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

SECRET = "x9Yz8Wv7"
FAILING = digest_of([event(message="it <b>fails</b> & more")], HOST, NOW)
HEALED = digest_of([event(NotificationKind.RECOVERY)], HOST, NOW)


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def test_webhook_gets_the_message_as_json() -> None:
    """By POST, once."""
    async with receiving() as receiver:
        await post(receiver.webhook, FAILING)
    (body,) = receiver.bodies
    assert body["title"] == "MTA-STS on mail.example.org: 1 error"
    assert [one["message"] for one in body["events"]] == ["it <b>fails</b> & more"]
    assert receiver.paths == [f"/hook/{SECRET}"]


@pytest.mark.parametrize(("digest", "kind"), [(FAILING, "failure"), (HEALED, "success")])
async def test_apprise_gets_the_message_as_text(digest: Message, kind: str) -> None:
    """With a colour, and with nothing escaped."""
    async with receiving() as receiver:
        await apprise("apprise 1 (json)", receiver.apprise, digest)
    (body,) = receiver.bodies
    assert (body["title"], body["message"], body["type"]) == (digest.title, digest.text, kind)


@pytest.mark.parametrize("status", [301, 400, 401, 404, 429, 500, 503])
async def test_webhook_that_refuses_is_tried_again(status: int) -> None:
    """A redirect counts as a refusal and is not followed; the answer is not quoted."""
    async with receiving() as receiver:
        receiver.status = status
        with pytest.raises(TemporaryError, match=f"webhook at 127.0.0.1 got status {status}") as caught:
            await post(receiver.webhook, FAILING)
    assert SECRET not in str(caught.value)
    assert len(receiver.bodies) == 1


async def test_refusal_of_apprise_is_reported_with_its_reason() -> None:
    """Which Apprise logs, and which gets into no log of ours."""
    stream = io.StringIO()
    log.configure(json=True, stream=stream)
    async with receiving() as receiver:
        receiver.status = 500
        with pytest.raises(TemporaryError, match=r"apprise 1 \(json\) failed: .*500") as caught:
            await apprise("apprise 1 (json)", receiver.apprise, FAILING)
    assert SECRET not in str(caught.value)
    structlog.reset_defaults()
    assert stream.getvalue() == ""


async def test_receiver_that_never_answers_is_given_up() -> None:
    """At the deadline."""
    async with receiving() as receiver:
        receiver.status = None
        with pytest.raises(TemporaryError, match=r"webhook at 127\.0\.0\.1 got no answer within 0.2 s"):
            await post(receiver.webhook, FAILING, 0.2)
        with pytest.raises(TemporaryError, match=r"apprise 1 \(json\) did not end within 0.2 s"):
            await apprise("apprise 1 (json)", receiver.apprise + "?rto=1", FAILING, 0.2)


async def ended_with(tasks: list[asyncio.Task[None]]) -> list[str]:
    """What each of these deliveries failed with."""
    found = await asyncio.gather(*tasks, return_exceptions=True)
    return [str(one) for one in found]


async def test_receivers_that_hang_delay_neither_a_pass_nor_each_other() -> None:
    """More of them than the loop's own pool has threads: that one is what a pass reads and stores with."""
    async with receiving() as hung, receiving() as well:
        hung.status = None
        tasks = [
            asyncio.create_task(apprise(f"apprise {n} (json)", f"{hung.apprise}{n}?rto=30", FAILING, 20.0))
            for n in range(40)
        ]
        await hung.until(40)
        await asyncio.to_thread(lambda: None)
        await apprise("apprise 41 (json)", well.apprise, FAILING)
        assert len(well.bodies) == 1
        assert not any(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_receiver_that_still_hangs_gets_no_second_thread() -> None:
    """The next try begins after the deadline, waits for the same thread, and says so."""
    async with receiving() as receiver:
        receiver.status = None
        url = f"{receiver.apprise}/again?rto=30"
        for said in ("not end within 0.2 s", "was still running from the last try"):
            with pytest.raises(TemporaryError, match=said):
                await apprise("apprise 1 (json)", url, FAILING, 0.2)
        assert len(receiver.bodies) == 1


async def test_log_lines_of_apprise_are_kept_apart_by_receiver() -> None:
    """Though both fail at the same time, and Apprise has one log: each message names its own status."""
    async with receiving() as one, receiving() as other:
        one.status, other.status = 500, 403
        tasks = [
            asyncio.create_task(apprise("apprise", f"{receiver.apprise}{n}", FAILING))
            for n in range(5)
            for receiver in (one, other)
        ]
        texts = await ended_with(tasks)
    assert [("500" in text, "403" in text) for text in texts] == [(True, False), (False, True)] * 5


async def test_name_lookup_that_hangs_does_not_delay_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's resolver blocks its thread, and for longer than anybody waits."""
    asked, ended, ask = threading.Event(), threading.Event(), socket.getaddrinfo

    def hanging(host: str, *rest: object, **more: object) -> object:
        if host.endswith(".invalid"):
            asked.set()
            ended.wait(20)
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return ask(host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    tasks = [asyncio.create_task(post(f"http://h{n}.invalid/", FAILING)) for n in range(40)]
    await asyncio.to_thread(asked.wait, 15)
    await asyncio.to_thread(lambda: None)
    pending = [task.done() for task in tasks]
    ended.set()
    assert not any(pending)
    assert {"its name does not resolve" in text for text in await ended_with(tasks)} == {True}


async def test_unreachable_receiver_is_reported_without_its_path() -> None:
    """By both ways; the cause that is chained quotes the URL, and is cut off."""
    port = free_port()
    for attempt in (
        post(f"http://127.0.0.1:{port}/{SECRET}", FAILING),
        post(f"http://user:{SECRET}@127.0.0.1:{port}/", FAILING),
        post(f"https://nowhere.invalid/{SECRET}", FAILING),
        apprise("apprise 1 (json)", f"json://127.0.0.1:{port}/{SECRET}?retry=0", FAILING),
    ):
        with pytest.raises(TemporaryError) as caught:
            await attempt
        assert SECRET not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__cause__ is None
        assert SECRET not in str(caught.value.__cause__)


@pytest.mark.parametrize(
    "url",
    [
        f"nosuchthing://{SECRET}",
        "slack://badtoken9/x",  # Apprise quotes the token in its log
        f"mailtos://user:{SECRET}",
    ],
)
async def test_url_that_apprise_does_not_support_is_reported(url: str) -> None:
    """When it is first used: the library is loaded for nothing else."""
    with pytest.raises(TemporaryError, match="Apprise does not support this URL") as caught:
        await apprise("apprise 1 (x)", url, FAILING)
    assert "badtoken9" not in str(caught.value)
    assert SECRET not in str(caught.value)


async def test_id_and_label_of_a_receiver_show_no_secret() -> None:
    """The same id after every start, another one for another URL, and the way that suits each."""
    async with receiving() as receiver:
        config = {"notify": {"webhook": receiver.webhook, "apprise": [receiver.apprise, f"ntfy://{SECRET}"]}}
        notify = load({}, yaml.safe_dump(config).encode(), {}).notify
        found = receivers_of(notify)
        assert [one.label for one in found] == ["webhook", "apprise 1 (json)", "apprise 2 (ntfy)"]
        assert found == receivers_of(notify)
        assert len({one.id for one in found}) == 3
        assert SECRET not in repr(found)
        for one in found[:2]:
            await deliver(one, FAILING)
        assert receiver.paths == [f"/hook/{SECRET}", f"/apprise/{SECRET}"]


@pytest.mark.integration
def test_apprise_is_loaded_by_its_first_message_only() -> None:
    """It takes a tenth of a second, and most have no such URL."""
    code = "import sys, sidecar.notify.notifier, sidecar.cli.notify; print('apprise' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
