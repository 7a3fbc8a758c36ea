"""What was not seen is not over, whatever part of the picture is missing."""

import pytest

from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.status.repeats import Ends, hidden
from tests.worlds import FILE_MAILCOW, NOW, OLD_NATIVE, World, observed, text

SERVED = {"example.org": text()}
UNREAD = Notice(Level.WARNING, NoticeCode.MAILCOW_API, "mailcow", "status 502")


def unseen(world: World, *notices: Notice) -> set[str]:
    """Subjects whose problems cannot be called over."""
    found = hidden(observed(world), notices)
    subjects = ("example.org", "mta-sts.example.org", "alias.example", "acme-mailcow", "domains")
    return {subject for subject in subjects if found("some.code", subject)}


ALL = {"example.org", "mta-sts.example.org", "alias.example", "acme-mailcow", "domains"}
ALIAS = {"alias.example": "example.org"}


@pytest.mark.parametrize(
    ("world", "found"),
    [
        (World(aliases=ALIAS, served=SERVED), set()),
        (World(aliases=ALIAS, mailcow=FILE_MAILCOW), set()),
        (World(aliases=ALIAS, mailcow=OLD_NATIVE), set()),
        *((World(unseen=frozenset({part})), ALL) for part in ("conf", "mailcow", "domains", "certificates")),
        (World(unseen=frozenset({"project"})), {"acme-mailcow"}),
        (World(dns_unseen=frozenset({"mta-sts.example.org"})), {"mta-sts.example.org"}),
        (World(dns_unseen=frozenset({"example.org"})), {"example.org", "mta-sts.example.org"}),
        (
            World(aliases=ALIAS, unseen=frozenset({"served:example.org"})),
            {"example.org", "mta-sts.example.org", "alias.example"},
        ),
    ],
)
def test_subject_of_which_too_little_was_seen(world: World, found: set[str]) -> None:
    """By the part of the observation that its notices come from."""
    assert unseen(world) == found


def test_pass_with_an_older_list_ends_only_its_own_problems() -> None:
    """What cannot be seen has its own code, which ends when it is seen again."""
    assert unseen(World(served=SERVED), UNREAD) == ALL
    found = hidden(observed(World()), (UNREAD,))
    assert not found("mailcow.api", "mailcow")
    assert not found("unseen.docker", "docker")


def test_repeated_ends_are_reported_later_each_time() -> None:
    """Until a day has passed without one."""
    ends, waits = Ends(), []
    for n in range(6):
        waits.append(ends.steady(NOW + n))
        ends = ends.one_more(NOW + n)
    assert waits == [600, 3_600, 14_400, 86_400, 86_400, 86_400]
    assert ends.steady(NOW + 5 + 86_400) == 600
    assert ends.steady(NOW - 1) == 600  # the clock was set back
