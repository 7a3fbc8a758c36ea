"""The table of domains: filter, order, pages."""

from typing import get_args
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.observed.checks import Stage
from sidecar.status.document import StageWord
from sidecar.status.line import Line
from sidecar.status.to_document import slug
from sidecar.status.wording import Light
from sidecar.web.table import MODES, SORTS, Sort, TableQuery, page_of
from tests.web.fakes import REALISTIC, site, source_of


def lines() -> tuple[Line, ...]:
    """Ten domains in all kinds of trouble."""
    return site(source_of(REALISTIC)).lines


LINES = lines()


def names(**query: str) -> list[str]:
    """The domains on the requested page."""
    return [line.name for line in page_of(LINES, TableQuery.of(query)).lines]


def test_worst_come_first_and_then_the_alphabet() -> None:
    """What needs a person is on top without a click."""
    found = page_of(LINES, TableQuery()).lines
    assert [line.light.rank for line in found] == sorted(line.light.rank for line in found)
    assert found[0].name == "choir.example"
    fine = [line.name for line in found if line.light is Light.GOOD]
    assert fine == sorted(fine)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"q": "shop"}, ["new-shop.example"]),
        ({"q": " NEW-shop.example. "}, ["new-shop.example"]),
        ({"q": "münchen"}, ["xn--mnchen-3ya.example"]),
        ({"q": "xn--mn"}, ["xn--mnchen-3ya.example"]),
        ({"q": "nothing like it"}, []),
        ({"status": "failing"}, ["choir.example"]),
        ({"status": "working"}, ["orchard.example"]),
        ({"mode": "no-policy"}, ["just-added.example"]),
        ({"stage": "soaking"}, ["orchard.example"]),
        ({"mode": "testing", "q": "brew"}, ["brewery.example"]),
        ({"cause": "record-id"}, ["new-shop.example"]),
    ],
)
def test_filters(query: dict[str, str], expected: list[str]) -> None:
    """A domain is found by either of its forms; filters add up."""
    assert names(**query) == expected


@pytest.mark.parametrize(
    "nonsense", [{"status": "x"}, {"mode": "x"}, {"stage": "x"}, {"sort": "x"}, {"page": "-1"}]
)
def test_invalid_values_are_ignored(nonsense: dict[str, str]) -> None:
    """An address that somebody mistyped still shows the table."""
    assert names(**nonsense) == names()


@pytest.mark.parametrize("sort", SORTS)
def test_every_column_sorts_in_both_directions(sort: Sort) -> None:
    """Nothing is lost, and the first of one direction is among the last of the other."""
    up, down = names(sort=sort), names(sort=sort, order="desc")
    assert sorted(up) == sorted(down) == sorted(line.name for line in LINES)
    if sort == "domain":
        assert up == sorted(up) == down[::-1]
    key = SORTS[sort]
    by_name = {line.name: line for line in LINES}
    assert key(by_name[up[0]]) == key(by_name[down[-1]])


def test_pages_hold_every_line_once() -> None:
    """Also the last, shorter one; beyond it is the last."""
    pages = [names(per_page="3", page=str(number)) for number in range(1, 5)]
    assert [len(page) for page in pages] == [3, 3, 3, 1]
    assert sorted(name for page in pages for name in page) == sorted(line.name for line in LINES)
    assert names(per_page="3", page="99") == pages[-1]


@given(
    st.builds(
        TableQuery,
        q=st.text(max_size=20).map(str.strip),
        status=st.sampled_from([None, *Light]),
        mode=st.sampled_from(["", *MODES]),
        stage=st.sampled_from([None, *Stage]),
        cause=st.sampled_from(["", "record-id", "a&b=c"]),
        sort=st.sampled_from(sorted(SORTS)),
        descending=st.booleans(),
        page=st.integers(1, 1_000_000),
        per_page=st.integers(1, 500),
    )
)
def test_address_of_a_page_leads_to_that_page(query: TableQuery) -> None:
    """Whatever is in it, an ampersand too."""
    assert TableQuery.of(dict(parse_qsl(query.address(page=query.page).removeprefix("?")))) == query


def test_words_of_the_api_are_all_there() -> None:
    """Each stage and each column can be requested."""
    assert {slug(stage) for stage in Stage} == set(get_args(StageWord))
    assert set(SORTS) == set(get_args(Sort))
