"""A real MariaDB with the tables of mailcow that the sidecar asks, on loopback and a free port."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

from sidecar.observed import Conf
from tests.system.components import program

START_S = 60

_TABLES = """\
CREATE TABLE api (api_key VARCHAR(255) NOT NULL, allow_from VARCHAR(512) NOT NULL,
  skip_ip_check TINYINT(1) NOT NULL DEFAULT '0', created DATETIME(0) NOT NULL DEFAULT NOW(0),
  modified DATETIME ON UPDATE NOW(0), access ENUM('ro', 'rw') NOT NULL DEFAULT 'rw',
  active TINYINT(1) NOT NULL DEFAULT '1', PRIMARY KEY (api_key)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE mta_sts (id BIGINT NOT NULL, domain VARCHAR(255) NOT NULL, version VARCHAR(255) NOT NULL,
  mode VARCHAR(255) NOT NULL, mx VARCHAR(255) NOT NULL, max_age VARCHAR(255) NOT NULL,
  active TINYINT(1) NOT NULL DEFAULT '1', PRIMARY KEY (domain)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
"""


@dataclass(frozen=True, slots=True)
class MariaDb:
    """The server, and the login that mailcow.conf would give."""

    port: int
    conf: Conf

    def sql(self, statement: str, *values: object) -> tuple[tuple[Any, ...], ...]:
        """Runs one statement as the owner of mailcow's database."""
        with _connected(self.port, "mailcow", "moo'\"\\ pass", "mailcow") as connection:
            cursor = connection.cursor()
            cursor.execute(statement, values)
            return tuple(cursor.fetchall())

    def empty(self) -> None:
        """Removes all rows."""
        self.sql("DELETE FROM api")
        self.sql("DELETE FROM mta_sts")


@contextmanager
def _connected(port: int, user: str, password: str, database: str | None = None) -> Iterator[Any]:
    connection = pymysql.connect(
        host="127.0.0.1", port=port, user=user, password=password, database=database, autocommit=True
    )
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def running_mariadb() -> Iterator[MariaDb]:
    """A server of its own; process and files are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="mariadb.", dir="/tmp"))
    folder.chmod(0o755)
    try:
        with _server(folder) as port:
            yield MariaDb(port, Conf({"DBNAME": "mailcow", "DBUSER": "mailcow", "DBPASS": "moo'\"\\ pass"}))
    finally:
        shutil.rmtree(folder)


@contextmanager
def _server(folder: Path) -> Iterator[int]:
    options = ["--no-defaults", f"--datadir={folder}/data"]
    if os.geteuid() == 0:
        options.append("--user=root")
    install = [program("mariadb-install-db"), *options, "--auth-root-authentication-method=normal"]
    subprocess.run([*install, "--skip-test-db"], check=True, capture_output=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [
        program("mariadbd"),
        *options,
        f"--socket={folder}/socket",
        f"--pid-file={folder}/pid",
        "--bind-address=127.0.0.1",
        f"--port={port}",
        "--innodb-buffer-pool-size=8M",
    ]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _prepare(server, port)
        yield port
    finally:
        server.terminate()
        server.wait(30)


def _prepare(server: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and server.poll() is None:
        with suppress(pymysql.MySQLError), _connected(port, "root", "") as connection:
            cursor = connection.cursor()
            cursor.execute("CREATE DATABASE mailcow")
            cursor.execute("CREATE USER 'mailcow'@'%%' IDENTIFIED BY %s", ("moo'\"\\ pass",))
            cursor.execute("GRANT ALL ON mailcow.* TO 'mailcow'@'%'")
            cursor.execute("USE mailcow")
            for statement in filter(str.strip, _TABLES.split(";")):
                cursor.execute(statement)
            return
        time.sleep(0.05)
    raise AssertionError("the MariaDB of the tests did not start")
