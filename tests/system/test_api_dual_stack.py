"""The API client in a network like mailcow's, where the name of nginx has an IPv4 and an IPv6 address."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from demo.simulated import API, READ_WRITE_KEY, SimulatedMailcow
from tests.system.components import program

IPV4 = "172.22.99.9"
IPV6 = "fd4d:6169:6c63:6f99::9"
PORT = 8080
ROOT = Path(__file__).parents[2]

# Runs in a mount namespace of its own, where /etc/hosts is the network's name server. `ask` is the sidecar's
# client; `ask_over_ipv6` is what any client may do in such a network.
CLIENT = """
import asyncio, json, socket, sys
import aiohttp
from sidecar.host.errors import SidecarError
from sidecar.mailcow.api import MailcowApi
from sidecar.mailcow.endpoint import endpoint
from sidecar.observed import Conf

async def ask(name, key):
    place = endpoint(Conf({"MAILCOW_HOSTNAME": "mail.example.org"}), f"http://{name}:PORT")
    async with MailcowApi(place, key) as api:
        try:
            return [await api.version(), (await api.served("example.org")).text]
        except SidecarError as error:
            return str(error)

async def ask_over_ipv6(name, key):
    connector = aiohttp.TCPConnector(family=socket.AF_INET6)
    async with aiohttp.ClientSession(connector=connector) as session:
        url = f"http://{name}:PORT/api/v1/get/status/version"
        async with session.get(url, headers={"X-API-Key": key}) as response:
            return [response.status, await response.text()]

async def main(key):
    families = {info[0].name for info in socket.getaddrinfo("nginx-mailcow", PORT)}
    print(json.dumps({
        "families": sorted(families),
        "ours": [await ask("nginx-mailcow", key) for _ in range(3)],
        "ipv6": await ask_over_ipv6("nginx-mailcow", key),
        "ipv6 alone": await ask("only-six", key),
    }))

asyncio.run(main(sys.argv[1]))
""".replace("PORT", str(PORT))


@pytest.fixture
def dual_stack() -> Iterator[None]:
    """Two more addresses for this network namespace, one of each kind."""
    ip = program("ip")
    addresses = [(f"{IPV4}/32", ["-4"]), (f"{IPV6}/128", ["-6"])]
    for address, kind in addresses:
        # no duplicate address detection: the address is usable at once
        extra = ["nodad"] if kind == ["-6"] else []
        subprocess.run([ip, *kind, "address", "add", address, "dev", "lo", *extra], check=True)
    yield
    for address, kind in addresses:
        subprocess.run([ip, *kind, "address", "del", address, "dev", "lo"], check=True)


@pytest.fixture
async def mailcow(dual_stack: None) -> AsyncIterator[SimulatedMailcow]:
    """Listens on both kinds of address, as mailcow's nginx; the key is for IPv4 only, as people set it."""
    async with await SimulatedMailcow.start(host="", port=PORT, allow_from=("172.22.99.0/24",)) as found:
        found.add_domain("example.org")
        yield found


async def test_the_client_comes_over_ipv4(mailcow: SimulatedMailcow, tmp_path: Path) -> None:
    """Over IPv6 the same key is refused, and a name without an IPv4 address is not asked at all."""
    hosts = tmp_path / "hosts"
    hosts.write_text(f"{IPV6} nginx-mailcow only-six\n{IPV4} nginx-mailcow\n127.0.0.1 localhost\n")
    script = f'{program("mount")} --bind "$0" /etc/hosts && exec "$@"'
    process = await asyncio.create_subprocess_exec(
        *(program("unshare"), "--mount", "sh", "-c", script, str(hosts)),
        *(sys.executable, "-c", CLIENT, READ_WRITE_KEY),
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == 0
    found = json.loads(output)
    assert found["families"] == ["AF_INET", "AF_INET6"], "the name must have both kinds of address"
    assert found["ours"] == [["2026-07a", None]] * 3
    status, text = found["ipv6"]
    assert (status, json.loads(text)["msg"]) == (401, f"api access denied for ip {IPV6}")
    assert "does not resolve to an IPv4 address" in found["ipv6 alone"]
    assert len(mailcow.asked(API)) == 4
