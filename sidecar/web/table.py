"""The table of domains: the query (filter, order, page) and the matching lines; pure.

Rule for every editor: any input is accepted; invalid values are ignored.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args
from urllib.parse import urlencode

from sidecar.formats.domain_name import to_unicode
from sidecar.observed.checks import Stage
from sidecar.status.line import Cell, Line
from sidecar.status.to_document import slug
from sidecar.status.wording import STAGE, Light

PER_PAGE = 50
MOST_PER_PAGE = 500
LONGEST_QUERY = 253

ModeWord = Literal["enforce", "testing", "none", "no-policy"]
Order = Literal["asc", "desc"]
Sort = Literal["status", "domain", "mode", "stage", "policy", "certificate", "dns", "mx", "tlsrpt", "since"]

_Key = Callable[[Line], tuple[float | str, ...]]


def _cell(cell: Cell) -> tuple[float, float, str]:
    return cell.light.rank, cell.order, cell.text


SORTS: Mapping[Sort, _Key] = {
    "status": lambda line: (line.light.rank,),
    "domain": lambda _: (),
    "mode": lambda line: (-line.mode.strength if line.mode else 1,),
    "stage": lambda line: (list(Stage).index(line.stage) if line.stage else 99,),
    "policy": lambda line: _cell(line.policy),
    "certificate": lambda line: _cell(line.certificate),
    "dns": lambda line: _cell(line.dns),
    "mx": lambda line: _cell(line.mx),
    "tlsrpt": lambda line: _cell(line.report),
    "since": lambda line: (-(line.since or 0.0),),
}
COLUMNS = (
    ("domain", "Domain"),
    ("status", "Status"),
    ("mode", "Mode"),
    ("stage", "Stage"),
    ("policy", "Policy"),
    ("certificate", "Certificate"),
    ("dns", "DNS"),
    ("mx", "MX"),
    ("tlsrpt", "TLSRPT"),
    ("since", "Since"),
)


@dataclass(frozen=True, slots=True)
class TableQuery:
    """The query: which lines, in which order."""

    q: str = ""
    status: Light | None = None
    mode: str = ""
    stage: Stage | None = None
    cause: str = ""
    sort: Sort = "status"
    descending: bool = False
    page: int = 1
    per_page: int = PER_PAGE

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> "TableQuery":
        """The query in the parameters of an address."""
        return cls(
            q=parameters.get("q", "").strip()[:LONGEST_QUERY],
            status=next((light for light in Light if light.value == parameters.get("status")), None),
            mode=parameters.get("mode", "") if parameters.get("mode") in MODES else "",
            stage=next((stage for stage in Stage if slug(stage) == parameters.get("stage")), None),
            cause=parameters.get("cause", "")[:100],
            sort=next((sort for sort in SORTS if sort == parameters.get("sort")), "status"),
            descending=parameters.get("order") == "desc",
            page=_number(parameters.get("page"), 1, 1_000_000),
            per_page=_number(parameters.get("per_page"), PER_PAGE, MOST_PER_PAGE),
        )

    def address(self, **changes: object) -> str:
        """This query as the end of an address, with these changes; begins with `?`."""
        # after a change of filter or order, start at the first page
        query = replace(self, **{"page": 1, **changes})  # type: ignore[arg-type]
        given = {
            "q": query.q,
            "status": query.status.value if query.status else "",
            "mode": query.mode,
            "stage": slug(query.stage) if query.stage else "",
            "cause": query.cause,
            "sort": query.sort if query.sort != "status" else "",
            "order": "desc" if query.descending else "",
            "page": str(query.page) if query.page > 1 else "",
            "per_page": str(query.per_page) if query.per_page != PER_PAGE else "",
        }
        return f"?{urlencode({key: value for key, value in given.items() if value})}"

    @property
    def filtered(self) -> bool:
        return bool(self.q or self.status or self.mode or self.stage or self.cause)


MODES: tuple[ModeWord, ...] = get_args(ModeWord)


def _number(text: str | None, default: int, most: int) -> int:
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 9:
        return default
    return max(1, min(most, int(text)))


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the result; `total` is the number of matching lines."""

    query: TableQuery
    lines: tuple[Line, ...]
    total: int
    of: int
    """The number of lines without a filter."""

    @property
    def pages(self) -> int:
        """The number of pages, at least 1."""
        return max(1, -(-self.total // self.query.per_page))

    @property
    def first(self) -> int:
        """The number of the first line, from 1; 0 if there is none."""
        return (self.query.page - 1) * self.query.per_page + 1 if self.lines else 0

    @property
    def last(self) -> int:
        """The number of the last line."""
        return self.first + len(self.lines) - 1 if self.lines else 0


def page_of(lines: Sequence[Line], query: TableQuery) -> Page:
    """The requested page; the last page if there are fewer."""
    words = query.q.lower().rstrip(".")
    found = [
        line
        for line in lines
        if (query.status is None or line.light is query.status)
        and (not query.mode or query.mode == (line.mode.value if line.mode else "no-policy"))
        and (query.stage is None or line.stage is query.stage)
        and (not query.cause or line.cause.code == query.cause)
        and (words in line.name or words in line.shown or words in to_unicode(line.target or ""))
    ]
    found.sort(key=lambda line: line.name)
    found.sort(key=SORTS[query.sort], reverse=query.descending)
    if query.sort == "domain" and query.descending:
        found.reverse()  # the sort key is empty here, and `reverse=True` keeps the order of equal keys
    pages = max(1, -(-len(found) // query.per_page))
    query = replace(query, page=min(query.page, pages))
    start = (query.page - 1) * query.per_page
    return Page(query, tuple(found[start : start + query.per_page]), len(found), len(lines))


STAGES = tuple((slug(stage), STAGE[stage]) for stage in Stage)
