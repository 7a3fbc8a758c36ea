"""`sidecar proxy`: the configuration of a reverse proxy in front of mailcow, ready to be saved."""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sidecar.host.exits import Exit
from sidecar.status.proxy_file import Proxy, ProxyFront, Upstream, proxy_text

if TYPE_CHECKING:
    from sidecar.cli.look import Inspection

MAILCOW_DIR = "/opt/mailcow-dockerized"
IN_CONTAINER = "/mailcow"
"""The mailcow directory in the image; on the machine it is elsewhere."""

_EXAMPLES = """\
examples:
  sidecar proxy nginx > /etc/nginx/conf.d/mta-sts.conf
  sidecar proxy traefik --upstream nginx-mailcow      Traefik runs in a container in mailcow's network
  sidecar proxy haproxy --upstream 192.0.2.7          the proxy runs on another machine

The configuration forwards two paths for the policy host of each domain: the policy (443), and the challenge by which
acme-mailcow gets the certificate (80). The rest of your proxy stays as it is. See docs/reverse-proxy.md.

exit codes: 0 printed, 1 nothing can be printed, and why, 2 settings are invalid, 3 mailcow cannot be read
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    proxy = subparsers.add_parser(
        "proxy",
        help="the configuration of a reverse proxy in front of mailcow",
        description="Prints the configuration that a reverse proxy in front of mailcow needs for MTA-STS.",
        epilog=_EXAMPLES,
    )
    proxy.add_argument("proxy", choices=[kind.value for kind in Proxy])
    proxy.add_argument(
        "--upstream",
        metavar="ADDRESS",
        help="where the proxy reaches mailcow (by default what HTTP_BIND says, else 127.0.0.1)",
    )
    proxy.add_argument(
        "--mailcow-dir",
        metavar="PATH",
        help=f"the mailcow directory on the proxy's machine (by default {MAILCOW_DIR})",
    )


async def run(given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    """Reads mailcow, and prints the configuration. Raises PermanentError if nothing can be printed."""
    from sidecar.cli.look import look_at, unreadable
    from sidecar.host.errors import PermanentError
    from sidecar.plan.proxy import hosts_by_certificate, without_certificate

    look = await look_at((), env, most_ids=0)
    if not look.readable:
        return unreadable(look)
    if not look.domains:
        raise PermanentError("no domain needs a policy: the proxy has nothing to forward")
    proxy = Proxy(given.proxy)
    names = [domain.name for domain in look.domains]
    folder = str(look.settings.mailcow_dir)
    front = ProxyFront(
        hosts_by_certificate(look.observed, names),
        without_certificate(look.observed, names),
        given.mailcow_dir or (MAILCOW_DIR if folder == IN_CONTAINER else folder),
        _upstream(look, proxy, given.upstream),
    )
    print(proxy_text(proxy, front), end="")
    return Exit.OK


def _upstream(look: "Inspection", proxy: Proxy, given: str | None) -> Upstream:
    from sidecar.host.errors import PermanentError
    from sidecar.observed import Seen
    from sidecar.plan.proxy import ports, redirects_policy

    if not isinstance(look.observed.conf, Seen) or not isinstance(look.observed.mailcow, Seen):
        raise PermanentError("mailcow.conf or mailcow could not be read")
    conf, mailcow = look.observed.conf.value, look.observed.mailcow.value
    own = ports(conf)
    if own.public and given is None:
        raise PermanentError(
            "mailcow itself has port 80 or 443 of this machine, so the proxy must be on another one: name the "
            "address at which it reaches mailcow with --upstream ADDRESS.\n"
            "On this machine, first give mailcow other ports: HTTP_BIND=127.0.0.1, HTTP_PORT=8080, "
            "HTTPS_BIND=127.0.0.1 and HTTPS_PORT=8443 in mailcow.conf, then docker compose up -d"
        )
    speaks = conf.yes("NGINX_USE_PROXY_PROTOCOL")
    if speaks and proxy is not Proxy.HAPROXY:
        raise PermanentError(
            f"this mailcow expects the PROXY protocol (NGINX_USE_PROXY_PROTOCOL=y), which {proxy} cannot send to a "
            "web server by plain HTTP: use haproxy, or set it to n and run docker compose up -d"
        )
    return Upstream(
        given or own.http_address or "127.0.0.1",
        own.http,
        given or own.https_address or "127.0.0.1",
        own.https,
        policy_by_tls=redirects_policy(conf, mailcow),
        # In mailcow's configuration, the plain HTTP server that only redirects does not use it.
        proxy_protocol_http=speaks and not conf.yes("HTTP_REDIRECT"),
        proxy_protocol_https=speaks,
    )
