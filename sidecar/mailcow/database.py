"""mailcow's database, for two things only: the keys of its API, and the ids of all policies in one query.

Rules for every editor. A connection lives for one call and every wait on it has a limit. Only table `api` is ever
written: a row is inserted where there is no read-write key, or one allow list grows; both say in SQL what must still
be true. No text here holds a key or a password: of an error of the server only its number is passed on, since its
words may repeat what was sent.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

import pymysql
from pydantic import SecretStr
from pymysql.constants import CR, ER

from sidecar.formats.mtasts_record import is_id
from sidecar.host.errors import PermanentError, TemporaryError
from sidecar.host.tasks import in_thread
from sidecar.observed import Conf
from sidecar.observed.mailcow import ApiKey

HOST = "mysql-mailcow"
PORT = 3306
CONNECT_S = 3
ANSWER_S = 5
"""Seconds for each answer of the server."""
DEADLINE_S = 15.0
"""Seconds for a whole call, the look-up of the host's name included."""
AT_ONCE = 2
"""Calls under way; one that hangs keeps its thread until the limits above end it."""
MOST_KEYS = 20
"""Rows of table `api`; mailcow's page makes two at most."""
MOST_POLICIES = 50_000

T = TypeVar("T")

_READ_KEYS = (
    "SELECT api_key, access, active, skip_ip_check, allow_from FROM api ORDER BY created, api_key LIMIT %s"
)
_INSERT_KEY = (
    "INSERT INTO api (api_key, skip_ip_check, active, allow_from, access) "
    "SELECT %s, 0, 1, %s, 'rw' FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM api WHERE access = 'rw')"
)
_WIDEN_KEY = "UPDATE api SET allow_from = %s WHERE api_key = %s AND allow_from = %s AND active = 1"
_READ_POLICIES = "SELECT domain, id, version, mode, mx, max_age FROM mta_sts WHERE active = 1 LIMIT %s"

_SAID: Mapping[int, str] = {
    ER.ACCESS_DENIED_ERROR: "it refuses DBUSER and DBPASS of mailcow.conf",
    ER.DBACCESS_DENIED_ERROR: "DBUSER of mailcow.conf may not use DBNAME",
    ER.BAD_DB_ERROR: "it has no database DBNAME of mailcow.conf",
    ER.NO_SUCH_TABLE: "the table is missing: mailcow may be setting up its database",
    ER.HOST_NOT_PRIVILEGED: "it refuses connections from this address",
    CR.CR_CONN_HOST_ERROR: "no connection came about: is mysql-mailcow running, and the sidecar in mailcow's network?",
    CR.CR_SERVER_LOST: "it gave no answer in time",
}


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """One active row of table `mta_sts`; `text` is what mailcow serves for it."""

    id: str
    text: str


class Database:
    """The database of one mailcow. Every method raises TemporaryError or PermanentError."""

    def __init__(self, host: str = HOST, port: int = PORT) -> None:
        self._host = host
        self._port = port
        self._under_way = 0
        self._counting = Lock()

    @staticmethod
    def known(conf: Conf) -> bool:
        """Whether mailcow.conf says how to log in."""
        return all(conf.values.get(key, "").strip() for key in ("DBNAME", "DBUSER", "DBPASS"))

    async def keys(self, conf: Conf) -> tuple[ApiKey, ...]:
        """The keys of mailcow's API."""
        rows = await self._call(conf, "the API keys", lambda cursor: _rows(cursor, _READ_KEYS, MOST_KEYS))
        return tuple(
            ApiKey(SecretStr(str(key)), access == "rw", bool(active), bool(skip), str(allowed))
            for key, access, active, skip, allowed in rows
        )

    async def create_key(self, conf: Conf, address: str) -> None:
        """Inserts a new read-write key, as mailcow's page does, that only `address` may use.

        Raises TemporaryError where there is a read-write key by now.
        """
        key = new_key()

        def insert(cursor: pymysql.cursors.Cursor) -> int:
            return int(cursor.execute(_INSERT_KEY, (key, address)))

        if await self._call(conf, "a new API key", insert) != 1:
            raise TemporaryError("mailcow got a read-write API key from somebody else: that one is used")

    async def widen_key(self, conf: Conf, row: ApiKey, allowed: str) -> None:
        """Gives `row` another allow list. Raises TemporaryError where the row is not as it was seen."""

        def update(cursor: pymysql.cursors.Cursor) -> int:
            return int(cursor.execute(_WIDEN_KEY, (allowed, row.key.get_secret_value(), row.allowed)))

        if await self._call(conf, "the allow list of the API key", update) != 1:
            raise TemporaryError(
                "mailcow's API key was changed by somebody else meanwhile: it is looked at again"
            )

    async def policies(self, conf: Conf) -> Mapping[str, PolicyRow]:
        """Native: the active policies and their ids by domain, in one query."""
        rows = await self._call(
            conf, "the policy ids", lambda cursor: _rows(cursor, _READ_POLICIES, MOST_POLICIES)
        )
        found: dict[str, PolicyRow] = {}
        for domain, number, version, mode, mx, max_age in rows:
            if number is not None and is_id(str(number)):  # else mailcow's own page is asked
                # As mailcow's `mta-sts.php` makes it of a row.
                text = f"version: {str(version)[:3].upper()}{str(version)[3:]}\nmode: {mode}\nmax_age: {max_age}\n"
                text += "".join(f"mx: {pattern}\n" for pattern in str(mx).split(","))
                found[str(domain)] = PolicyRow(str(number), text)
        return found

    async def _call(self, conf: Conf, what: str, ask: Callable[[pymysql.cursors.Cursor], T]) -> T:
        if not self.known(conf):
            raise PermanentError(
                "mailcow.conf lacks DBNAME, DBUSER or DBPASS, so mailcow's database cannot be asked"
            )
        with self._counting:
            if self._under_way >= AT_ONCE:
                raise TemporaryError(
                    f"mailcow's database gives no answer: earlier calls still wait, {what} next"
                )
            self._under_way += 1

        def call() -> T:
            try:
                connection = pymysql.connect(
                    host=self._host,
                    port=self._port,
                    user=conf.values["DBUSER"].strip(),
                    password=conf.values["DBPASS"].strip(),
                    database=conf.values["DBNAME"].strip(),
                    charset="utf8mb4",
                    autocommit=True,
                    connect_timeout=CONNECT_S,
                    read_timeout=ANSWER_S,
                    write_timeout=ANSWER_S,
                    ssl_disabled=True,  # as mailcow's own clients; the network is the containers' own
                )
                try:
                    with connection.cursor() as cursor:
                        return ask(cursor)
                finally:
                    connection.close()
            finally:
                with self._counting:
                    self._under_way -= 1

        try:
            async with asyncio.timeout(DEADLINE_S):
                return await in_thread(call)
        except TimeoutError as error:
            raise TemporaryError(f"{what} in mailcow's database: no answer in {DEADLINE_S:.0f} s") from error
        except pymysql.MySQLError as error:
            number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
            said = _SAID.get(number, f"error {number}" if number else type(error).__name__)
            raise TemporaryError(f"{what} in mailcow's database: {said}") from None
        except (OSError, UnicodeError, ValueError) as error:
            raise TemporaryError(f"{what} in mailcow's database: {type(error).__name__}") from None


def new_key() -> str:
    """A key in the form that mailcow's page gives (five groups of three octets in hex), from the system's randomness."""
    return "-".join(secrets.token_hex(3).upper() for _ in range(5))


def _rows(cursor: pymysql.cursors.Cursor, query: str, most: int) -> tuple[tuple[Any, ...], ...]:
    cursor.execute(query, (most,))
    return tuple(cursor.fetchall())
