"""mailcow's database, against a real MariaDB: what is read, what may be written, and what is never said."""

import asyncio
import re
from collections.abc import Iterator

import pytest

from sidecar.host.errors import TemporaryError
from sidecar.mailcow import database
from sidecar.mailcow.database import Database
from sidecar.observed import Conf
from sidecar.observed.mailcow import ApiKey
from tests.system.mariadb import MariaDb, running_mariadb

ADDRESS = "172.22.1.247"
KEY = "A1B2C3-D4E5F6-A1B2C3-D4E5F6-A1B2C3"


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDb]:
    """One server for all tests here."""
    with running_mariadb() as server:
        yield server


@pytest.fixture
def mariadb(server: MariaDb) -> MariaDb:
    """The server without rows."""
    server.empty()
    return server


@pytest.fixture
def asked(mariadb: MariaDb) -> Database:
    """What is tested."""
    return Database("127.0.0.1", mariadb.port)


def add_key(
    mariadb: MariaDb, key: str = KEY, *, access: str = "rw", allowed: str = "127.0.0.1", active: int = 1
) -> None:
    """A key as mailcow's page makes it."""
    mariadb.sql(
        "INSERT INTO api (api_key, skip_ip_check, active, allow_from, access) VALUES (%s, 0, %s, %s, %s)",
        key,
        active,
        allowed,
        access,
    )


async def read_key(mariadb: MariaDb, asked: Database) -> ApiKey:
    """The only key there is."""
    [row] = await asked.keys(mariadb.conf)
    return row


async def test_created_key_is_as_mailcows_page_makes_it(mariadb: MariaDb, asked: Database) -> None:
    """Read-write, active, with the address check on, for one address."""
    await asked.create_key(mariadb.conf, ADDRESS)
    [(key, skip, active, allowed, access)] = mariadb.sql(
        "SELECT api_key, skip_ip_check, active, allow_from, access FROM api"
    )
    assert re.fullmatch(r"([0-9A-F]{6}-){4}[0-9A-F]{6}", key)
    assert (skip, active, allowed, access) == (0, 1, ADDRESS, "rw")
    row = await read_key(mariadb, asked)
    assert row.key.get_secret_value() == key
    assert (row.writes, row.active, row.any_address, row.allowed) == (True, True, False, ADDRESS)


async def test_there_are_never_two_read_write_keys(mariadb: MariaDb, asked: Database) -> None:
    """mailcow's page would show one of two, and could not make another key any more."""
    add_key(mariadb, access="ro")
    await asked.create_key(mariadb.conf, ADDRESS)
    with pytest.raises(TemporaryError, match="from somebody else"):
        await asked.create_key(mariadb.conf, ADDRESS)
    assert mariadb.sql("SELECT access, COUNT(*) FROM api GROUP BY access ORDER BY access") == (
        ("ro", 1),
        ("rw", 1),
    )


async def test_two_at_once_create_one_key(mariadb: MariaDb, asked: Database) -> None:
    """As with a second sidecar that is started by hand."""
    calls = (asked.create_key(mariadb.conf, ADDRESS) for _ in range(2))
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert mariadb.sql("SELECT COUNT(*) FROM api") == ((1,),)
    assert sum(error is None for error in ended) == 1


async def test_allow_list_grows_and_nothing_else_changes(mariadb: MariaDb, asked: Database) -> None:
    """The key, and what a person allowed, stay."""
    add_key(mariadb)
    row = await read_key(mariadb, asked)
    await asked.widen_key(mariadb.conf, row, f"127.0.0.1,{ADDRESS}")
    assert mariadb.sql("SELECT api_key, allow_from, active, access FROM api") == (
        (KEY, f"127.0.0.1,{ADDRESS}", 1, "rw"),
    )


@pytest.mark.parametrize(
    "change", ["allow_from = '192.0.2.1'", "active = 0", "api_key = 'OTHER'"], ids=["list", "off", "key"]
)
async def test_row_that_a_person_changed_meanwhile_stays(
    mariadb: MariaDb, asked: Database, change: str
) -> None:
    """What was decided was decided on another row."""
    add_key(mariadb)
    row = await read_key(mariadb, asked)
    mariadb.sql(f"UPDATE api SET {change}")  # noqa: S608 - the test's own
    before = mariadb.sql("SELECT api_key, allow_from, active FROM api")
    with pytest.raises(TemporaryError, match="changed by somebody else") as caught:
        await asked.widen_key(mariadb.conf, row, f"127.0.0.1,{ADDRESS}")
    assert KEY not in str(caught.value)
    assert mariadb.sql("SELECT api_key, allow_from, active FROM api") == before


async def test_policies_are_read_as_mailcow_serves_them(mariadb: MariaDb, asked: Database) -> None:
    """The text of `mta-sts.php`, of active rows alone."""
    insert = (
        "INSERT INTO mta_sts (id, domain, version, mode, mx, max_age, active) VALUES (%s,%s,%s,%s,%s,%s,%s)"
    )
    mx = "mail.example.org,*.example.org"
    mariadb.sql(insert, 20261125150000, "example.org", "stsv1", "testing", mx, "86400", 1)
    mariadb.sql(insert, 20261125150001, "off.example", "stsv1", "enforce", "mail.example.org", "86400", 0)
    found = await asked.policies(mariadb.conf)
    assert list(found) == ["example.org"]
    assert found["example.org"].id == "20261125150000"
    assert found["example.org"].text == (
        "version: STSv1\nmode: testing\nmax_age: 86400\nmx: mail.example.org\nmx: *.example.org\n"
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [({"DBPASS": "not-it"}, "refuses DBUSER and DBPASS"), ({"DBNAME": "elsewhere"}, "may not use DBNAME")],
)
async def test_refused_login_says_which_setting(
    mariadb: MariaDb, asked: Database, values: dict[str, str], said: str
) -> None:
    """And no password."""
    conf = Conf({**mariadb.conf.values, **values})
    with pytest.raises(TemporaryError, match=said) as caught:
        await asked.keys(conf)
    assert conf.values["DBPASS"] not in str(caught.value)


async def test_error_of_the_server_repeats_nothing_that_was_sent(
    mariadb: MariaDb, asked: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that exists already is in the server's own words for it."""
    add_key(mariadb, access="ro")
    monkeypatch.setattr(database, "new_key", lambda: KEY)
    with pytest.raises(TemporaryError) as caught:
        await asked.create_key(mariadb.conf, ADDRESS)
    assert str(caught.value) == "a new API key in mailcow's database: error 1062"
    assert caught.value.__cause__ is None


async def test_missing_table_is_said(mariadb: MariaDb, asked: Database) -> None:
    """The file generation has no table of policies."""
    mariadb.sql("RENAME TABLE mta_sts TO gone")
    try:
        with pytest.raises(TemporaryError, match="the table is missing"):
            await asked.policies(mariadb.conf)
    finally:
        mariadb.sql("RENAME TABLE gone TO mta_sts")
