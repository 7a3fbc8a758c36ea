"""The alias and the transport for reports: made step by step, undone step by step, and a person's left alone."""

import pytest

from sidecar.observed import Seen, Unseen
from sidecar.observed.report_route import INTERNAL_ADDRESS, INTERNAL_DOMAIN, AliasRow, TransportRow, Written
from sidecar.plan.report_route import (
    AddAlias,
    AddTransport,
    DeleteAlias,
    DeleteTransport,
    DesiredRoute,
    EditTransport,
    Foreign,
    Next,
    Ready,
    next_step,
)

ADDRESS = "tls-reports@example.com"
HOP = "[172.22.1.247]:2526"
OLD_HOP = "[172.22.1.9]:2526"
ON = DesiredRoute(True, ADDRESS, HOP)
OFF = DesiredRoute(False, ADDRESS, HOP)
ALIAS = AliasRow(1, ADDRESS, INTERNAL_ADDRESS, active=True)
WAY = TransportRow(2, INTERNAL_DOMAIN, HOP, active=True)
OTHERS = (
    AliasRow(8, "info@example.com", "a@example.com", active=True),
    TransportRow(9, "example.net", "[192.0.2.1]:25", active=True),
)
WROTE = Written(frozenset({ADDRESS}), frozenset({HOP}))


def step(route: DesiredRoute, *rows: AliasRow | TransportRow, written: Written = WROTE) -> Next:
    """The next step where mailcow has these rows, and others that have nothing to do with it."""
    found = (*OTHERS, *rows)
    aliases = tuple(row for row in found if isinstance(row, AliasRow))
    transports = tuple(row for row in found if isinstance(row, TransportRow))
    return next_step(route, Seen(aliases, 0.0), Seen(transports, 0.0), written)


def test_the_transport_is_made_before_the_alias() -> None:
    """Otherwise reports would bounce."""
    assert step(ON, written=Written()) == AddTransport(HOP)
    assert step(ON, WAY) == AddAlias(ADDRESS)
    assert step(ON, WAY, ALIAS) == Ready()


def test_the_alias_is_removed_before_the_transport() -> None:
    """And at the end nothing of it is left."""
    assert step(OFF, WAY, ALIAS) == DeleteAlias(1, ADDRESS)
    assert step(OFF, WAY) == DeleteTransport(2)
    assert step(OFF) == Ready()


def test_a_new_address_of_the_sidecar_changes_its_own_transport() -> None:
    """Known by what it wrote before."""
    old = TransportRow(2, INTERNAL_DOMAIN, OLD_HOP, active=True)
    assert step(ON, old, ALIAS, written=Written(frozenset(), frozenset({OLD_HOP}))) == EditTransport(2, HOP)
    assert isinstance(step(ON, old, ALIAS, written=Written()), Foreign)


@pytest.mark.parametrize(
    "rows",
    [
        (WAY, AliasRow(1, ADDRESS, "admin@example.com", active=True)),
        (WAY, AliasRow(1, ADDRESS, INTERNAL_ADDRESS, active=False)),
        (TransportRow(2, INTERNAL_DOMAIN, "[192.0.2.5]:25", active=True), ALIAS),
        (TransportRow(2, INTERNAL_DOMAIN, HOP, active=False), ALIAS),
    ],
)
def test_what_a_person_made_or_switched_off_is_never_changed(
    rows: tuple[AliasRow | TransportRow, ...],
) -> None:
    """It is reported, with what to do."""
    found = step(ON, *rows)
    assert isinstance(found, Foreign)
    assert found.reason
    assert found.remedy


def test_a_persons_alias_may_lead_to_the_sidecar_as_well() -> None:
    """Reports come in by it; it is never removed."""
    both = AliasRow(1, ADDRESS, f"admin@example.com,{INTERNAL_ADDRESS}", active=True)
    assert step(ON, WAY, both) == Ready()
    assert isinstance(step(OFF, WAY, both), Foreign)


def test_a_persons_alias_is_not_removed_and_keeps_the_transport() -> None:
    """Also one that leads to ours."""
    own = AliasRow(1, ADDRESS, "admin@example.com", active=True)
    assert step(OFF, own, WAY) == DeleteTransport(2)
    leads = AliasRow(3, "tlsrpt@example.net", INTERNAL_ADDRESS, active=True)
    assert isinstance(step(OFF, leads, WAY), Foreign)
    assert step(OFF, own, TransportRow(2, INTERNAL_DOMAIN, "[192.0.2.5]:25", active=True)) == Ready()


def test_an_alias_of_an_earlier_mail_host_is_removed_if_the_sidecar_made_it() -> None:
    """Its record says so."""
    old = AliasRow(1, "tls-reports@old.example", INTERNAL_ADDRESS, active=True)
    assert step(OFF, old, WAY, written=Written(frozenset({old.address}))) == DeleteAlias(1, old.address)


@pytest.mark.parametrize("route", [ON, OFF])
def test_nothing_is_planned_for_rows_that_were_not_seen(route: DesiredRoute) -> None:
    """Neither to make nor to remove."""
    unseen = Unseen("mailcow does not answer", 0.0)
    assert next_step(route, unseen, Seen((), 0.0), WROTE) == unseen
    assert next_step(route, Seen((), 0.0), unseen, WROTE) == unseen
