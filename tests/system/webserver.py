"""A real nginx that serves policies from a folder, as mailcow's does before 2025-09.

Its workers run as `nobody`, so that a file which only root may read is answered with 403, as in a mailcow.
"""

import http.client
import shutil
import socket
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.system.components import program
from tests.system.processes import serving

_CONFIGURATION = """\
daemon off;
user nobody nogroup;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ }}
http {{
  access_log off;
  default_type text/plain;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen {address}:{http_port} default_server;
    listen {address}:{https_port} ssl default_server;
    server_name _;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.pem;
    root {folder}/web;
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class WebServer:
    """A running nginx; it serves what lies in `root`, over TLS with a certificate of the CA in `ca`."""

    address: str
    http_port: int
    https_port: int
    root: Path
    ca: Path

    def connection(self, host: str) -> http.client.HTTPSConnection:
        """To a host of this name, whose certificate is checked."""
        trust = ssl.create_default_context(cafile=self.ca)
        return _ConnectionTo(self.address, host, self.https_port, trust)

    def policy(self, host: str) -> tuple[int, bytes]:
        """Status and body for a sender that asks this policy host, its certificate checked."""
        connection = self.connection(host)
        try:
            connection.request("GET", "/.well-known/mta-sts.txt")
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@contextmanager
def running_nginx(
    *names: str, address: str = "127.0.0.1", http_port: int = 8080, https_port: int = 8443
) -> Iterator[WebServer]:
    """An nginx with a certificate for these names (or wildcards) and an empty `.well-known`."""
    nginx = program("nginx")
    folder = Path(tempfile.mkdtemp(prefix="nginx.", dir="/tmp"))
    folder.chmod(0o755)  # the workers are not root
    try:
        (folder / "web/.well-known").mkdir(parents=True)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        certificate = authority.issue_cert(*(names or ("mail.example.test",)))
        certificate.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
        ports = {"http_port": http_port, "https_port": https_port}
        (folder / "nginx.conf").write_text(_CONFIGURATION.format(folder=folder, address=address, **ports))
        with serving(
            [nginx, "-e", "stderr", "-c", str(folder / "nginx.conf")],
            answers=lambda: _answers(address, http_port),
            log=folder / "log",
        ):
            yield WebServer(address, http_port, https_port, folder / "web", folder / "ca.pem")
    finally:
        shutil.rmtree(folder)


class _ConnectionTo(http.client.HTTPSConnection):
    """HTTPS to a host of this name, found at this address whatever DNS says."""

    def __init__(self, address: str, host: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=5, context=context)
        self._create_connection = lambda _, *rest: socket.create_connection((address, port), *rest)


def _answers(address: str, port: int) -> bool:
    connection = http.client.HTTPConnection(address, port, timeout=1)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except OSError:
        return False
    finally:
        connection.close()
    return True
