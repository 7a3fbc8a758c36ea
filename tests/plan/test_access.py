"""Access to mailcow's API: from the rows that are there to what is done, and never at a person's cost."""

import itertools
from collections.abc import Mapping

import pytest
from pydantic import SecretStr

from sidecar.observed import NOT_ASKED, Conf, Seen, Sight, Unseen
from sidecar.observed.mailcow import Access, ApiKey
from sidecar.plan.access import (
    LONGEST_LIST,
    AccessStep,
    Blocked,
    access_step,
    conf_allows,
    follows_conf,
    lets_in,
    usable_key,
)
from sidecar.plan.actions import AllowAccess, CreateKey, WidenKey

OWN = "172.22.1.247"
CONF = {"API_KEY": "conf-key", "API_ALLOW_FROM": "172.22.1.1,127.0.0.1"}


def row(
    key: str = "page-key",
    *,
    writes: bool = True,
    active: bool = True,
    any_address: bool = False,
    allowed: str = "127.0.0.1",
) -> ApiKey:
    """A row of table `api`."""
    return ApiKey(SecretStr(key), writes, active, any_address, allowed)


def step(
    *rows: ApiKey,
    values: Mapping[str, str] | None = None,
    own_key: str | None = None,
    locked: str | None = None,
    access: Sight[Access] | None = None,
) -> AccessStep:
    """What is decided where mailcow gave no access and has these keys."""
    return access_step(
        Conf(values or {}, locked),
        Seen(Access(rows, OWN), 1.0) if access is None else access,
        Seen(OWN, 1.0),
        SecretStr(own_key) if own_key else None,
    )


def change(decided: AccessStep) -> AllowAccess:
    """It is a change."""
    assert isinstance(decided, AllowAccess)
    return decided


# --- what is decided -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [(), (row(writes=False),)], ids=["none", "read-only"])
def test_without_a_read_write_key_one_is_created(rows: tuple[ApiKey, ...]) -> None:
    """A read-only key of a person stays what it is."""
    decided = change(step(*rows))
    assert decided.database == CreateKey()
    assert (decided.address, decided.in_conf) == (OWN, False)
    assert OWN in decided.reason


def test_key_of_a_person_is_used_and_its_allow_list_grows() -> None:
    """All that was allowed stays allowed, in its place."""
    page = row(allowed="192.0.2.1,2001:db8::/64")
    decided = change(step(page, row("read", writes=False)))
    assert decided.database == WidenKey(page, f"192.0.2.1,2001:db8::/64,{OWN}")


@pytest.mark.parametrize(
    ("stored", "after"), [("", OWN), ("192.0.2.1\n", f"192.0.2.1,{OWN}"), ("192.0.2.1; ", f"192.0.2.1,{OWN}")]
)
def test_allow_list_stays_a_list_of_mailcows(stored: str, after: str) -> None:
    """However it was stored."""
    decided = change(step(row(allowed=stored)))
    assert isinstance(decided.database, WidenKey)
    assert decided.database.allowed == after


@pytest.mark.parametrize(
    "usable", [row(allowed=f"127.0.0.1,{OWN}"), row(allowed="172.22.1.0/24"), row(any_address=True)]
)
def test_with_a_usable_key_nothing_is_done(usable: ApiKey) -> None:
    """Also where another row before it is none."""
    assert step(usable) is None
    assert step(row("other"), usable) is None
    assert usable_key(Access((row("other"), usable), OWN)) == usable.key


def test_key_that_is_switched_off_stays_so() -> None:
    """It was a person who did that; and a second key would break mailcow's page."""
    decided = step(row(active=False, allowed=OWN))
    assert isinstance(decided, Blocked)
    assert "switched off" in decided.reason
    assert "activate" in decided.remedy


def test_full_allow_list_is_reported() -> None:
    """mailcow's column would cut it, and the last address with it."""
    room = LONGEST_LIST - len(f",{OWN}")
    full = ",".join(["10.0.0.10"] * 100)
    assert isinstance(step(row(allowed=f"{full[: room - 2]}123")), Blocked)
    assert isinstance(step(row(allowed=f"{full[: room - 2]}12")), AllowAccess)


def test_full_list_of_mailcow_conf_is_left_as_it_is() -> None:
    """php-fpm-mailcow deletes the key first: with a list that the column does not take, none would be left."""
    full = ",".join(["10.0.0.1"] * 40)

    def listed(length: int) -> Mapping[str, str]:
        return CONF | {"API_ALLOW_FROM": f"{full},".ljust(length, "1")[:length]}

    fits, not_any_more = listed(LONGEST_LIST - len(f",{OWN}")), listed(LONGEST_LIST - len(OWN))
    assert change(step(values=fits, access=NOT_ASKED)).in_conf
    kept = step(values=not_any_more, access=NOT_ASKED)
    assert isinstance(kept, Blocked)
    assert "full" in kept.reason
    assert "network" in kept.remedy
    assert change(step(row(), values=fits)).in_conf
    assert not change(step(row(), values=not_any_more)).in_conf


def test_what_is_unknown_changes_nothing() -> None:
    """Neither a database that does not answer nor an address that is not known."""
    for unknown in (NOT_ASKED, Unseen("mailcow's database gives no answer", 1.0)):
        assert step(access=unknown) is None
    asked = access_step(Conf(CONF), Seen(Access((), OWN), 1.0), Unseen("no route", 1.0), None)
    assert asked is None


# --- a key that a person gave --------------------------------------------------------------------------------


def test_given_key_is_used_and_no_other() -> None:
    """Also a read-only one: a person who gives that wants it so."""
    given = row("Given-1", writes=False)
    decided = change(step(row(allowed=OWN), given, own_key="given-1 "))
    assert decided.database == WidenKey(given, f"127.0.0.1,{OWN}")
    allowed = row("given", writes=False, allowed=OWN)
    assert step(row(), allowed, own_key="given") is None
    assert usable_key(Access((row(allowed=OWN), allowed), OWN), SecretStr("given")) == allowed.key


def test_given_key_that_mailcow_does_not_have_is_reported() -> None:
    """No other is taken in its place, and none is made."""
    for rows in ((), (row(allowed=OWN),)):
        decided = step(*rows, own_key="given")
        assert isinstance(decided, Blocked)
        assert "MTA_STS_API_KEY" in decided.reason
        assert usable_key(Access(rows, OWN), SecretStr("given")) is None
    assert isinstance(step(row("given", active=False, allowed=OWN), own_key="given"), Blocked)


# --- mailcow.conf ----------------------------------------------------------------------------------------------


def test_key_of_mailcow_conf_gets_the_address_in_both_places() -> None:
    """php-fpm-mailcow writes the row from mailcow.conf whenever it starts."""
    decided = change(step(row("conf-key"), values=CONF))
    assert isinstance(decided.database, WidenKey)
    assert decided.in_conf
    assert "API_ALLOW_FROM" in decided.reason


def test_mailcow_conf_is_completed_while_the_key_works() -> None:
    """Otherwise the next start of php-fpm-mailcow would remove the access."""
    decided = change(step(values=CONF, access=NOT_ASKED))
    assert (decided.database, decided.in_conf) == (None, True)
    allowed = {**CONF, "API_ALLOW_FROM": f"172.22.1.1,{OWN}"}
    assert step(values=allowed, access=NOT_ASKED) is None


@pytest.mark.parametrize("listed", ["", "invalid", "example.org", " 127.0.0.1"])
def test_no_first_address_is_put_into_mailcow_conf(listed: str) -> None:
    """With it php-fpm-mailcow would begin to use API_KEY, and delete the key that a person made in the page."""
    decided = change(step(row("page-key"), values={"API_KEY": "conf-key", "API_ALLOW_FROM": listed}))
    assert isinstance(decided.database, WidenKey)
    assert not decided.in_conf


def test_mailcow_conf_that_cannot_be_written_is_reported_once_all_else_is_done() -> None:
    """The database gives access meanwhile."""
    first = change(step(row("conf-key"), values=CONF, locked="it is read-only"))
    assert isinstance(first.database, WidenKey)
    assert not first.in_conf
    then = step(values=CONF, locked="it is read-only", access=NOT_ASKED)
    assert isinstance(then, Blocked)
    assert "read-only" in then.reason
    assert OWN in then.remedy


def test_given_key_leaves_mailcow_conf_alone() -> None:
    """API_ALLOW_FROM is the allow list of other keys."""
    assert step(values=CONF, own_key="given", access=NOT_ASKED) is None


# --- how mailcow reads it --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (OWN, True),
        (f"127.0.0.1 {OWN}", True),
        (f"127.0.0.1;{OWN}", True),
        (f"127.0.0.1\r\n{OWN}\r\n", True),
        ("172.22.0.0/16", True),
        ("172.22.1.24", False),
        ("172.22.2.0/24", False),
        ("fd4d:6169:6c63:6f77::/64", False),
        ("", False),
        ("nonsense", False),
    ],
)
def test_stored_allow_list(stored: str, expected: bool) -> None:
    """Split at spaces, commas, semicolons and line ends."""
    assert lets_in(row(allowed=stored), OWN) is expected


@pytest.mark.parametrize(
    ("listed", "follows", "allows"),
    [
        ("127.0.0.1", True, False),
        (OWN, True, True),
        ("172.22.1.0/24", True, True),
        (f"127.0.0.1, {OWN}", True, False),
        ("fd4d::/64", True, False),
        ("invalid", False, False),
        ("mail.example.org", False, False),
        (f"127.0.0.1 {OWN}", False, False),
        ("172.22.1.24", True, False),
        ("172.22.1.1/24", True, True),  # a network with the address of a host
        ("172.22.1.0/255.255.255.0", False, False),
        ("", False, False),
    ],
)
def test_list_of_mailcow_conf(listed: str, follows: bool, allows: bool) -> None:
    """As php-fpm-mailcow's entrypoint takes it: commas alone, addresses and networks alone."""
    values = {"API_KEY": "k", "API_ALLOW_FROM": listed}
    assert follows_conf(values) is follows
    assert conf_allows(values, OWN) is allows
    assert not follows_conf({"API_ALLOW_FROM": listed})


def test_in_every_world_the_step_ends_in_access_and_takes_nothing_away() -> None:
    """Done once, nothing is left to do; rows only grow."""
    kinds = [row("a", allowed=text, active=on) for text in ("", "192.0.2.1", OWN) for on in (True, False)]
    read = row("r", writes=False)
    for rows in itertools.chain([(), (read,)], ((one,) for one in kinds), ((read, one) for one in kinds)):
        decided = step(*rows)
        if not isinstance(decided, AllowAccess):
            assert isinstance(decided, Blocked) is (usable_key(Access(rows, OWN)) is None)
            continue
        after = (*rows, row("new", allowed=OWN))
        if isinstance(decided.database, WidenKey):
            widened, allowed = decided.database.row, decided.database.allowed
            assert allowed.startswith(widened.allowed)
            after = tuple(row("a", allowed=allowed) if one == widened else one for one in rows)
        else:
            assert decided.database == CreateKey()
            assert not any(one.writes for one in rows)
        assert step(*after) is None
        assert usable_key(Access(after, OWN)) is not None


def test_no_value_shows_a_key() -> None:
    """Neither in a log nor in the text of an exception."""
    decided = step(row("very-secret-key"))
    assert "very-secret-key" not in repr(decided) + str(decided)
