"""mailcow's database without one: nobody to log in as, a server that is silent; a real one is in `tests.system`."""

import asyncio
import re
import socket

import pytest

from sidecar.host.errors import PermanentError, TemporaryError
from sidecar.mailcow import database
from sidecar.mailcow.database import Database, new_key
from sidecar.observed import Conf


async def test_login_that_is_missing_is_said_and_nobody_is_asked() -> None:
    """mailcow.conf without a database: a test, or another file."""
    with pytest.raises(PermanentError, match="lacks DBNAME"):
        await Database("127.0.0.1", 1).keys(Conf({}))


async def test_silent_server_holds_up_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """And further calls fail at once while two are stuck."""
    monkeypatch.setattr(database, "CONNECT_S", 1)
    conf = Conf({"DBNAME": "a", "DBUSER": "b", "DBPASS": "c"})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asked = Database("127.0.0.1", silent.getsockname()[1])
        calls = [asyncio.create_task(asked.keys(conf)) for _ in range(3)]
        ended = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(error, TemporaryError) for error in ended)
    assert sum("earlier calls" in str(error) for error in ended) == 1


def test_new_keys_are_in_mailcows_form_and_never_the_same() -> None:
    """Five groups of six hex digits, in capitals."""
    keys = {new_key() for _ in range(50)}
    assert len(keys) == 50
    assert all(re.fullmatch(r"([0-9A-F]{6}-){4}[0-9A-F]{6}", key) for key in keys)


@pytest.mark.parametrize("odd", [None, "", "2026 11", "x" * 33, "é", "2026\n"])
async def test_number_that_cannot_be_a_policy_id_is_not_used(
    odd: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would stand in a TXT record, and senders find no MTA-STS at all. The other rows count."""
    rest = ("stsv1", "testing", "mail.example.org", 86_400)

    async def rows(*_: object) -> object:
        return (("odd.example", odd, *rest), ("good.example", 20_261_125, *rest))

    asked = Database()
    monkeypatch.setattr(asked, "_call", rows)
    found = await asked.policies(Conf({}))
    assert {name: row.id for name, row in found.items()} == {"good.example": "20261125"}
