"""`sidecar proxy` on a whole mailcow; what the real proxies make of it is in tests/system/test_proxy.py."""

from pathlib import Path

import pytest
import yaml

from tests.running import command
from tests.stage import HOST, Stage, stage

pytestmark = pytest.mark.integration


def behind(on: Stage, *lines: str) -> None:
    """mailcow on other ports, as behind a proxy; the API of the stage is still reached by its URL."""
    text = on.conf.read_text()
    kept = [line for line in text.splitlines() if not line.startswith(("HTTP_", "HTTPS_"))]
    on.conf.write_text("\n".join([*kept, *lines]) + "\n")


PORTS = ("HTTP_BIND=127.0.0.1", "HTTP_PORT=8080", "HTTPS_BIND=127.0.0.1", "HTTPS_PORT=8443")


async def test_all_policy_hosts_of_today_are_passed_on(tmp_path: Path) -> None:
    """Domains and alias domains; names without a certificate are marked."""
    async with stage(tmp_path) as on:
        behind(on, *PORTS)
        on.mailcow.add_domain("bücher.example")
        on.mailcow.add_alias("alias.example", "example.org")
        on.certify(HOST, "mta-sts.example.org", "mta-sts.alias.example")
        nginx = await command(on.env, "proxy", "nginx", "--mailcow-dir", "/srv/mailcow")
        traefik = await command(on.env, "proxy", "traefik", "--upstream", "nginx-mailcow")
    assert (nginx.code, traefik.code) == (0, 0)
    hosts = ("mta-sts.alias.example", "mta-sts.example.org", "mta-sts.xn--bcher-kva.example")
    assert all(nginx.out.count(host) >= 2 for host in hosts)
    assert "ssl_certificate     /srv/mailcow/data/assets/ssl/cert.pem;" in nginx.out
    assert "# Not in mailcow's certificate yet: mta-sts.xn--bcher-kva.example." in nginx.out
    assert "proxy_pass http://127.0.0.1:8080;" in nginx.out
    read = yaml.safe_load(traefik.out)
    assert read["tcp"]["routers"]["mta-sts-policy"]["rule"] == " || ".join(
        f"HostSNI(`{host}`)" for host in hosts
    )
    servers = read["tcp"]["services"]["mta-sts-mailcow-https"]["loadBalancer"]["servers"]
    assert servers == [{"address": "nginx-mailcow:8443"}]


async def test_mailcow_on_ports_80_and_443_needs_an_upstream(tmp_path: Path) -> None:
    """A proxy on the same machine could not have them."""
    async with stage(tmp_path) as on:
        behind(on)
        refused = await command(on.env, "proxy", "caddy")
        elsewhere = await command(on.env, "proxy", "caddy", "--upstream", "2001:db8::7")
    assert refused.code == 1
    assert "--upstream ADDRESS" in refused.err
    assert "HTTP_PORT=8080" in refused.err
    assert elsewhere.code == 0
    assert "reverse_proxy http://[2001:db8::7]:80" in elsewhere.out


async def test_only_haproxy_speaks_the_proxy_protocol(tmp_path: Path) -> None:
    """Others say why not."""
    async with stage(tmp_path) as on:
        behind(on, *PORTS, "NGINX_USE_PROXY_PROTOCOL=y")
        refused = await command(on.env, "proxy", "nginx")
        printed = await command(on.env, "proxy", "haproxy")
    assert refused.code == 1
    assert "NGINX_USE_PROXY_PROTOCOL=y" in refused.err
    assert printed.code == 0
    assert printed.out.count("server mailcow 127.0.0.1:8080 send-proxy-v2") == 2
