"""The configuration of a reverse proxy in front of mailcow, for the policy hosts of today; pure.

Rule for every editor: what is printed here is loaded as it is by the real proxy (`tests/system/test_proxy.py`), beside
whatever its owner has already. It forwards two paths and nothing else: the policy, and the challenge by which
acme-mailcow gets the certificate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

POLICY = "/.well-known/mta-sts.txt"
CHALLENGE = "/.well-known/acme-challenge/"
HAPROXY_CERTIFICATES = "/etc/haproxy/certs"
NGINX_BUCKET = 46
"""nginx's hash of names has buckets of 64 octets by default; a longer name needs larger ones."""


class Proxy(StrEnum):
    """The proxies whose configuration can be printed."""

    NGINX = "nginx"
    CADDY = "caddy"
    TRAEFIK = "traefik"
    HAPROXY = "haproxy"


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where the proxy reaches nginx-mailcow."""

    http_address: str
    http_port: int
    https_address: str
    https_port: int
    policy_by_tls: bool = False
    """Whether plain HTTP would redirect the policy, so that it must be fetched by HTTPS."""
    proxy_protocol_http: bool = False
    """Whether the plain port wants the PROXY protocol (NGINX_USE_PROXY_PROTOCOL=y)."""
    proxy_protocol_https: bool = False

    @property
    def http(self) -> str:
        """Address and port for plain HTTP."""
        return f"{_bracketed(self.http_address)}:{self.http_port}"

    @property
    def https(self) -> str:
        """Address and port for HTTPS."""
        return f"{_bracketed(self.https_address)}:{self.https_port}"

    @property
    def policy_url(self) -> str:
        """Where a proxy that ends TLS itself fetches policies."""
        return f"https://{self.https}" if self.policy_by_tls else f"http://{self.http}"


@dataclass(frozen=True, slots=True)
class ProxyFront:
    """What the proxy has to do: policy hosts (A-labels) by the folder of the certificate that has their name."""

    by_folder: Mapping[str, tuple[str, ...]]
    """The folder is relative to data/assets/ssl; empty for the server's own certificate."""
    without_certificate: tuple[str, ...]
    """Hosts that no certificate has yet; they are in `by_folder`, too, with the server's."""
    mailcow_dir: str
    """On the machine of the proxy."""
    upstream: Upstream

    @property
    def hosts(self) -> tuple[str, ...]:
        """All policy hosts, in the order of their names."""
        return tuple(sorted(host for hosts in self.by_folder.values() for host in hosts))

    def certificate(self, folder: str) -> str:
        """The folder of a certificate on the proxy's machine."""
        return "/".join(part for part in (self.mailcow_dir.rstrip("/"), "data/assets/ssl", folder) if part)


def proxy_text(proxy: Proxy, front: ProxyFront) -> str:
    """The whole file, with comments that say where it goes."""
    match proxy:
        case Proxy.NGINX:
            lines = _nginx(front)
        case Proxy.CADDY:
            lines = _caddy(front)
        case Proxy.TRAEFIK:
            lines = _traefik(front)
        case Proxy.HAPROXY:
            lines = _haproxy(front)
        case _:
            assert_never(proxy)
    return "\n".join(lines) + "\n"


def _head(proxy: Proxy, front: ProxyFront, where: Sequence[str]) -> list[str]:
    waiting = [
        f"# Not in mailcow's certificate yet: {', '.join(front.without_certificate)}.",
        "# Port 80 below lets acme-mailcow get it; the sidecar triggers that. Until then senders cannot fetch that policy.",
    ]
    return [
        f"# MTA-STS through {proxy} in front of mailcow: the current policy hosts.",
        "# Print it again when a domain is added or removed.",
        *[f"# {line}" for line in where],
        *(waiting if front.without_certificate and proxy is not Proxy.CADDY else []),
        "",
    ]


# --- nginx -----------------------------------------------------------------------------------------------


def _nginx(front: ProxyFront) -> list[str]:
    where = [
        "Save it as /etc/nginx/conf.d/mta-sts.conf, then: nginx -t && systemctl reload nginx",
        "The certificate is mailcow's own. nginx reads it only when it is reloaded: reload it every day (cron), because",
        "mailcow renews it 30 days before its end.",
    ]
    if max(map(len, front.hosts)) > NGINX_BUCKET:
        where += [
            'Some names are long. If `nginx -t` says "could not build server_names_hash", put this line into http { }:',
            "    server_names_hash_bucket_size 256;",
        ]
    lines = _head(Proxy.NGINX, front, where)
    up = front.upstream
    lines += [
        "server {",
        "    listen 80;",
        "    listen [::]:80;",
        *_server_names(front.hosts),
        "",
        "    # acme-mailcow proves here that the names are yours. Without it they drop out of the certificate.",
        f"    location ^~ {CHALLENGE} {{",
        *_to_mailcow(f"http://{up.http}", "http"),
        "    }",
        "    location / {",
        "        return 301 https://$host$request_uri;",
        "    }",
        "}",
    ]
    for folder, hosts in sorted(front.by_folder.items()):
        lines += [
            "",
            "server {",
            "    listen 443 ssl;",
            "    listen [::]:443 ssl;",
            *_server_names(hosts),
            "",
            f"    ssl_certificate     {front.certificate(folder)}/cert.pem;",
            f"    ssl_certificate_key {front.certificate(folder)}/key.pem;",
            "",
            "    # The policy. Senders follow no redirect, and want status 200 and text/plain.",
            f"    location = {POLICY} {{",
            *_to_mailcow(up.policy_url, "https"),
            "    }",
            "    location / {",
            "        return 404;",
            "    }",
            "}",
        ]
    return lines


def _server_names(hosts: Sequence[str]) -> list[str]:
    first, *rest = sorted(hosts)
    lines = [f"    server_name {first}", *(f"                {host}" for host in rest)]
    lines[-1] += ";"
    return lines


def _to_mailcow(url: str, scheme: str) -> list[str]:
    return [
        f"        proxy_pass {url};",
        "        # mailcow chooses the policy by this name.",
        "        proxy_set_header Host $host;",
        "        proxy_set_header X-Forwarded-For $remote_addr;",
        f"        proxy_set_header X-Forwarded-Proto {scheme};",
    ]


# --- Caddy -----------------------------------------------------------------------------------------------


def _caddy(front: ProxyFront) -> list[str]:
    up = front.upstream
    where = [
        "Save it as /etc/caddy/mta-sts.caddy, add the line `import mta-sts.caddy` to /etc/caddy/Caddyfile, then:",
        "systemctl reload caddy",
        "Caddy gets and renews its own certificate for these names. Port 80 is forwarded to mailcow anyway:",
        "acme-mailcow has the names in its certificate, too.",
    ]
    tls = (
        [
            "        # mailcow redirects the policy on plain HTTP. On this machine the certificate need not be checked.",
            "        transport http {",
            "            tls_insecure_skip_verify",
            "        }",
            "        header_up Host {host}",
        ]
        if up.policy_by_tls
        else []
    )
    return [
        *_head(Proxy.CADDY, front, where),
        ", ".join(f"https://{host}" for host in front.hosts) + " {",
        "    # The policy. Senders follow no redirect, and want status 200 and text/plain.",
        f"    handle {POLICY} {{",
        f"        reverse_proxy {up.policy_url}{' {' if tls else ''}",
        *[f"    {line}" for line in tls],
        *(["        }"] if tls else []),
        "    }",
        "    handle {",
        "        respond 404",
        "    }",
        "}",
        "",
        ", ".join(f"http://{host}" for host in front.hosts) + " {",
        "    # acme-mailcow proves here that the names are yours. Caddy's own challenges are answered before this.",
        f"    handle {CHALLENGE}* {{",
        f"        reverse_proxy http://{up.http}",
        "    }",
        "    handle {",
        "        redir https://{host}{uri} permanent",
        "    }",
        "}",
    ]


# --- Traefik ---------------------------------------------------------------------------------------------


def _traefik(front: ProxyFront) -> list[str]:
    up = front.upstream
    where = [
        "Save it in the directory of Traefik's file provider, which reads it at once:",
        "    providers: { file: { directory: /etc/traefik/dynamic, watch: true } }",
        "`web` and `websecure` are the entry points of ports 80 and 443: change them here if yours are called otherwise.",
        "TLS is passed through: mailcow presents its own certificate, and there is nothing to copy or to renew.",
        "If a certificate resolver of yours uses httpChallenge or tlsChallenge, Traefik keeps the challenges of all",
        "names to itself. Let those of mailcow pass (3.1.3 and later), for both entry points:",
        "    entryPoints: { web: { allowACMEByPass: true }, websecure: { allowACMEByPass: true } }",
        "If Traefik runs in a container, 127.0.0.1 is that container: print this again with --upstream nginx-mailcow",
        "and put Traefik into mailcow's network.",
    ]
    sni = " || ".join(f"HostSNI(`{host}`)" for host in front.hosts)
    hosts = " || ".join(f"Host(`{host}`)" for host in front.hosts)
    return [
        *_head(Proxy.TRAEFIK, front, where),
        "tcp:",
        "  routers:",
        "    mta-sts-policy:",
        "      entryPoints: [websecure]",
        f'      rule: "{sni}"',
        "      service: mta-sts-mailcow-https",
        "      tls:",
        "        passthrough: true",
        "  services:",
        "    mta-sts-mailcow-https:",
        "      loadBalancer:",
        "        servers:",
        f'          - address: "{up.https}"',
        "http:",
        "  routers:",
        "    # acme-mailcow proves here that the names are yours. Without it they drop out of the certificate.",
        "    mta-sts-challenge:",
        "      entryPoints: [web]",
        f'      rule: "({hosts}) && PathPrefix(`{CHALLENGE}`)"',
        "      service: mta-sts-mailcow-http",
        "  services:",
        "    mta-sts-mailcow-http:",
        "      loadBalancer:",
        "        servers:",
        f'          - url: "http://{up.http}"',
    ]


# --- HAProxy ---------------------------------------------------------------------------------------------


def _haproxy(front: ProxyFront) -> list[str]:
    up = front.upstream
    certificates = []
    for folder in sorted(front.by_folder):
        pem = f"mailcow-{folder.replace('/', '-')}.pem" if folder else "mailcow.pem"
        certificates.append((f"{HAPROXY_CERTIFICATES}/{pem}", folder))
    joined = [
        line
        for pem, folder in certificates
        for line in (
            f"    cat {front.certificate(folder)}/cert.pem {front.certificate(folder)}/key.pem \\",
            f"        > {pem}",
        )
    ]
    where = [
        "Add it to /etc/haproxy/haproxy.cfg, then: haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl reload haproxy",
        "Where you have frontends for ports 80 and 443 already, put the lines from `acl` on into those instead.",
        "HAProxy wants certificate and key in one file. Do this now and every day (cron), and reload HAProxy after it:",
        "    umask 077",
        *joined,
    ]
    acl = [f"    acl mta_sts_host req.hdr(host),field(1,:) -i {host}" for host in front.hosts]
    crt = " ".join(f"crt {pem}" for pem, _ in certificates)
    http_server = f"    server mailcow {up.http}" + (" send-proxy-v2" if up.proxy_protocol_http else "")
    if up.policy_by_tls or (up.proxy_protocol_https and not up.proxy_protocol_http):
        policy_server = f"    server mailcow {up.https} ssl verify none sni req.hdr(host),field(1,:)"
        policy_server += " send-proxy-v2" if up.proxy_protocol_https else ""
    else:
        policy_server = http_server
    backend = ["    mode http", "    timeout connect 5s", "    timeout server 30s"]
    return [
        *_head(Proxy.HAPROXY, front, where),
        "frontend mta_sts_http",
        "    bind :80,:::80 v6only",
        "    mode http",
        "    timeout client 30s",
        *acl,
        f"    acl mta_sts_challenge path_beg {CHALLENGE}",
        "    # acme-mailcow proves here that the names are yours. Without it they drop out of the certificate.",
        "    http-request redirect scheme https code 301 if mta_sts_host !mta_sts_challenge",
        "    use_backend mta_sts_challenge if mta_sts_host mta_sts_challenge",
        "",
        "frontend mta_sts_https",
        f"    bind :443,:::443 v6only ssl {crt}",
        "    mode http",
        "    timeout client 30s",
        *acl,
        f"    acl mta_sts_policy path {POLICY}",
        "    # The policy. Senders follow no redirect, and want status 200 and text/plain.",
        "    http-request return status 404 if mta_sts_host !mta_sts_policy",
        "    use_backend mta_sts_policy if mta_sts_host mta_sts_policy",
        "",
        "backend mta_sts_challenge",
        *backend,
        http_server,
        "",
        "backend mta_sts_policy",
        *backend,
        "    http-request set-header X-Forwarded-Proto https",
        policy_server,
    ]


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
