"""What should be, said in one place: by what was seen, and never by what was not."""

from dataclasses import replace

import pytest

from sidecar.formats.mtasts_policy import Mode
from sidecar.observed import FILE, Memory
from sidecar.plan import make_plan
from sidecar.plan.conf_entries import NO_ENTRIES
from sidecar.plan.desire import Desired, DesiredEntries, desire
from sidecar.settings import Settings
from tests.worlds import FILE_MAILCOW, OLD_NATIVE, World, given_settings, observed, text

WORLD = World(domains=("a.example", "b.example"), aliases={"alias.example": "a.example"})
SERVED = replace(WORLD, served={"a.example": text(), "b.example": text()})


def desired(world: World, settings: Settings | None = None) -> Desired:
    """Of a world."""
    return desire(observed(world), settings or Settings())


def test_native_policies_are_by_domain_and_the_file_has_one() -> None:
    """Each under the key by which its memory is kept."""
    assert list(desired(WORLD).policies) == ["a.example", "b.example"]
    assert list(desired(replace(WORLD, mailcow=FILE_MAILCOW)).policies) == [FILE]
    assert observed(WORLD).policy_key("alias.example", "a.example") == "a.example"
    assert observed(replace(WORLD, mailcow=FILE_MAILCOW)).policy_key("alias.example", "a.example") == FILE


def test_names_are_those_of_what_is_served() -> None:
    """A name comes after its policy; those that are left alone are not asked for."""
    assert desired(WORLD).names == ()
    assert desired(SERVED).names == ("mta-sts.a.example", "mta-sts.b.example", "mta-sts.alias.example")
    alone = given_settings({"exclude": ["b.example"]})
    assert desired(SERVED, alone).names == ("mta-sts.a.example", "mta-sts.alias.example")


def test_records_are_for_all_that_take_mail() -> None:
    """Alias domains, too."""
    assert [one.name for one in desired(WORLD).mail_domains] == ["a.example", "alias.example", "b.example"]


@pytest.mark.parametrize("unseen", ["mailcow", "domains"])
def test_nothing_is_desired_of_what_was_not_seen(unseen: str) -> None:
    """So nothing is written, and nothing taken away."""
    found = desired(replace(SERVED, unseen=frozenset({unseen})))
    assert (found.policies, found.entries, found.names) == ({}, None, ())


def test_after_all_domains_are_retired_no_entry_is_wanted_or_kept() -> None:
    """And keeps none: those that the sidecar added come out."""
    left = replace(WORLD, mailcow=FILE_MAILCOW, memory=Memory(retired=frozenset({FILE})))
    assert desired(left).entries == DesiredEntries(NO_ENTRIES, NO_ENTRIES)
    still = replace(left, file=text(Mode.NONE).encode())
    assert desired(still).entries != DesiredEntries(NO_ENTRIES, NO_ENTRIES)


@pytest.mark.parametrize("mailcow", [FILE_MAILCOW, OLD_NATIVE, WORLD.mailcow])
def test_without_anything_desired_nothing_is_planned(mailcow: object) -> None:
    """With nothing desired there is nothing to do for policies and entries."""
    seen = observed(replace(WORLD, mailcow=mailcow))  # type: ignore[arg-type]
    assert make_plan(seen, desire(seen, Settings()), Settings()).actions
    assert make_plan(seen, Desired(), Settings()).actions == ()
