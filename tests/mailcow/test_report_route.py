"""The alias and the transport, made and removed in the simulated mailcow; what its answers mean."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import create_autospec

import pytest

from demo.simulated import SimulatedMailcow
from sidecar.mailcow.api import AccessDenied, MailcowApi, NotReadable, WriteUnconfirmed
from sidecar.mailcow.endpoint import endpoint
from sidecar.mailcow.report_route import Done, NotDone, Outcome, carry_out, read_route, read_transports
from sidecar.mailcow.response import Answer
from sidecar.observed import Conf, Seen
from sidecar.observed.report_route import INTERNAL_ADDRESS, INTERNAL_DOMAIN, Written
from sidecar.plan.report_route import (
    AddAlias,
    AddTransport,
    DeleteAlias,
    DeleteTransport,
    DesiredRoute,
    EditTransport,
    Foreign,
    Ready,
    Step,
    next_step,
)

ADDRESS = "tls-reports@example.com"
HOP = "[172.22.1.247]:2526"


@asynccontextmanager
async def calling() -> AsyncIterator[MailcowApi]:
    """A client of a mailcow with one domain."""
    async with await SimulatedMailcow.start() as mailcow:
        mailcow.add_domain("example.com")
        place = endpoint(Conf({"MAILCOW_HOSTNAME": "mail.example.com"}), mailcow.url)
        async with MailcowApi(place, mailcow.key or "") as api:
            yield api


async def settle(api: MailcowApi, route: DesiredRoute, written: Written = Written()) -> list[Step]:  # noqa: B008 - frozen
    """Passes until nothing is left to do: the steps that were done."""
    done: list[Step] = []
    for _ in range(6):
        aliases, transports = await read_route(api)
        match next_step(route, Seen(aliases, 0.0), Seen(transports, 0.0), written):
            case Ready() | Foreign():
                return done
            case AddTransport() | EditTransport() | AddAlias() | DeleteAlias() | DeleteTransport() as step:
                assert await carry_out(api, step) == Done()
                done.append(step)
            case other:
                pytest.fail(f"{other}")
    pytest.fail("it does not end")


async def test_the_way_is_made_changed_and_undone() -> None:
    """Each ends in nothing to do, and stays there."""
    async with calling() as api:
        on, off = (
            DesiredRoute(wanted=True, address=ADDRESS, nexthop=HOP),
            DesiredRoute(wanted=False, address=ADDRESS, nexthop=HOP),
        )
        assert await settle(api, on) == [AddTransport(HOP), AddAlias(ADDRESS)]
        aliases, transports = await read_route(api)
        assert [(one.address, one.goto, one.active) for one in aliases] == [(ADDRESS, INTERNAL_ADDRESS, True)]
        assert [(one.destination, one.nexthop) for one in transports] == [(INTERNAL_DOMAIN, HOP)]
        assert await settle(api, on) == []
        moved = DesiredRoute(wanted=True, address=ADDRESS, nexthop="[172.22.1.9]:2526")
        assert await settle(api, moved, Written(nexthops=frozenset({HOP}))) == [
            EditTransport(1, "[172.22.1.9]:2526")
        ]
        assert await settle(api, off, Written(nexthops=frozenset({"[172.22.1.9]:2526"}))) == [
            DeleteAlias(1, ADDRESS),
            DeleteTransport(1),
        ]
        assert await read_route(api) == ((), ())


async def test_what_exists_and_what_cannot_be_is_a_lasting_refusal() -> None:
    """In mailcow's own words."""
    async with calling() as api:
        await settle(api, DesiredRoute(wanted=True, address=ADDRESS, nexthop=HOP))
        assert await carry_out(api, AddAlias(ADDRESS)) == NotDone(
            f"is_alias_or_mailbox {ADDRESS}", lasting=True
        )
        assert await carry_out(api, AddTransport(HOP)) == NotDone(
            f"transport_dest_exists {INTERNAL_DOMAIN}", lasting=True
        )
        assert await carry_out(api, AddAlias("a@no.example")) == NotDone(
            "domain_not_found no.example", lasting=True
        )
        assert await carry_out(api, DeleteAlias(77, ADDRESS)) == NotDone("access_denied", lasting=False)


async def test_a_read_only_key_is_reported() -> None:
    """As for every write."""
    async with await SimulatedMailcow.start() as mailcow:
        place = endpoint(Conf({"MAILCOW_HOSTNAME": "mail.example.com"}), mailcow.url)
        async with MailcowApi(place, mailcow.read_only_key or "") as api:
            assert await read_route(api) == ((), ())
            with pytest.raises(AccessDenied):
                await carry_out(api, AddTransport(HOP))


def answer(body: Any, status: int = 200) -> Answer:
    """What mailcow said."""
    return Answer("POST add/alias", status, "application/json", json.dumps(body).encode())


def test_the_password_of_another_transport_is_not_read() -> None:
    """It belongs to another mail server."""
    row = {"id": 1, "destination": "a", "nexthop": "b", "username": "u", "password": "hunter2", "active": 1}
    (found,) = read_transports(answer([row]))
    assert "hunter2" not in repr(found)


async def added(body: Any) -> Outcome:
    """The outcome of adding an alias where mailcow answers with this body."""
    api = create_autospec(MailcowApi)
    api.post.return_value = answer(body)
    return await carry_out(api, AddAlias(ADDRESS))


@pytest.mark.parametrize(
    "body", [{"type": "success", "msg": "Task completed"}, [], [{"type": "success", "msg": "x"}]]
)
async def test_an_answer_without_an_outcome_is_not_a_success(body: Any) -> None:
    """The next pass reads it back."""
    with pytest.raises(WriteUnconfirmed):
        await added(body)


async def test_a_complaint_of_redis_does_not_hide_a_success() -> None:
    """mailcow puts the complaint first."""
    redis = {"type": "danger", "msg": "Redis: RedisException: READONLY"}
    done = {"type": "success", "msg": ["alias_added", ADDRESS, "1"]}
    assert await added([redis, done]) == Done()
    assert await added([redis]) == NotDone("Redis: RedisException: READONLY", lasting=False)


def test_a_row_that_cannot_be_read_makes_the_list_unreadable() -> None:
    """A list with a gap would let the plan make what is there."""
    with pytest.raises(NotReadable):
        read_transports(answer([{"id": 1}]))
