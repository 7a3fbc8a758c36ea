"""What acme-mailcow does when it starts, for the container that only stands in for it: checks, order and log.

It works outside of the container, with the project's real resolver and its real nginx-mailcow.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from demo.acme import Ran, StandInAcme
from demo.names import short
from demo.simulated import SimulatedMailcow
from demo.web import DemoWeb
from tests.system.mailcowlike import ADDRESS, RESOLVER, MailcowLike

_TOLD = 'for line do echo "$line"; done > /proc/1/fd/1'


class Resolver:
    """unbound-mailcow."""

    async def short(self, name: str, kind: str) -> tuple[str, ...]:
        return await short(RESOLVER, 53, name, kind)


async def working(mailcow_like: MailcowLike, mailcow: SimulatedMailcow) -> None:
    """A run each time that acme-mailcow was started, the first time too, until it is cancelled."""
    done = None
    while True:
        await asyncio.sleep(0.3)
        now = await asyncio.to_thread(_container, mailcow_like)
        if now is None or now == done:
            continue
        resolver = Resolver()
        url = await asyncio.to_thread(_nginx, mailcow_like)
        web = DemoWeb(resolver, url, frozenset({ADDRESS}))
        acme = StandInAcme(mailcow_like.folder, mailcow, resolver, web, (ADDRESS, ""))
        container, _, environment = now
        ran = await acme.run(dict(environment))
        await asyncio.to_thread(_tell, mailcow_like, container, ran)
        done = now


def _container(mailcow_like: MailcowLike) -> tuple[str, str, tuple[tuple[str, str], ...]] | None:
    """The running acme-mailcow: its id, since when it runs, its environment."""
    found = _inspected(mailcow_like, "acme-mailcow")
    if found is None or not found["State"]["Running"]:
        return None
    pairs = (line.partition("=") for line in found["Config"]["Env"])
    return found["Id"], found["State"]["StartedAt"], tuple((key, value) for key, _, value in pairs)


def _nginx(mailcow_like: MailcowLike) -> str:
    found = _inspected(mailcow_like, "nginx-mailcow")
    assert found is not None
    [network] = found["NetworkSettings"]["Networks"].values()
    return f"http://{network['IPAddress']}"


def _inspected(mailcow_like: MailcowLike, service: str) -> Mapping[str, Any] | None:
    """What the engine says of the service's container; None in the middle of a re-creation."""
    listed = mailcow_like.project.try_run("ps", "--all", "--quiet", service).stdout.split()
    if len(listed) != 1:
        return None
    asked = mailcow_like.project.engine.try_cli("inspect", listed[0])
    return json.loads(asked.stdout)[0] if asked.returncode == 0 else None


def _tell(mailcow_like: MailcowLike, container: str, ran: Ran) -> None:
    lines = [text for _, text in ran.lines]
    mailcow_like.project.engine.try_cli("exec", container, "sh", "-c", _TOLD, "sh", *lines)
