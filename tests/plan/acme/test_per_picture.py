"""What follows from a picture is worked out once for it."""

from dataclasses import replace

from sidecar.observed import Observed
from sidecar.plan.acme.names import per_picture
from tests.worlds import World, observed


def test_each_picture_has_its_own_answer() -> None:
    """Also where two are asked about in turn, as by a pass and by the page; equal pictures are not the same one."""
    asked: list[Observed] = []

    @per_picture
    def time_of(picture: Observed) -> float:
        asked.append(picture)
        return picture.now

    first = observed(World())
    second = replace(first, now=first.now + 1)
    assert [time_of(picture) for picture in (first, second, first, second)] == [first.now, second.now] * 2
    assert len(asked) == 2
    time_of(replace(first))
    assert len(asked) == 3
