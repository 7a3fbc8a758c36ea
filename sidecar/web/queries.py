"""The requests of the JSON API as models, which check and describe them (OpenAPI)."""

from typing import Annotated, TypeVar

from aiohttp import web
from multidict import MultiMapping
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from sidecar.status.document import StageWord
from sidecar.status.wording import Light
from sidecar.web.table import MOST_PER_PAGE, PER_PAGE, ModeWord, Order, Sort, TableQuery

LONGEST_NAME = 253
MOST_EVENTS = 1_000
_LONGEST_NUMBER = 6

T = TypeVar("T", bound="Query")


def _plain(value: object) -> object:
    """`int` would also accept signs, spaces and digits of other scripts."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) <= _LONGEST_NUMBER):
        raise ValueError("accepted is a whole number")
    return value


PLAIN = BeforeValidator(_plain)
"""Must come last in an annotation: only what precedes it is in the description."""
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class Query(BaseModel):
    """The parameters of an address; an unknown parameter is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DomainsQuery(Query):
    """Which domains, in which order."""

    q: Annotated[str, Field(max_length=LONGEST_NAME, description="A part of the name.")] = ""
    status: Annotated[Light | None, Field(description="Only these.")] = None
    mode: Annotated[ModeWord | None, Field(description="Only these.")] = None
    stage: Annotated[StageWord | None, Field(description="Only these.")] = None
    cause: Annotated[str, Field(max_length=100, description="Only those with this code.")] = ""
    sort: Annotated[Sort, Field(description="By which column.")] = "status"
    order: Annotated[Order, Field(description="In which direction.")] = "asc"
    page: Annotated[
        int, Field(ge=1, le=100_000, description="From 1; beyond the last page, the last one."), PLAIN
    ] = 1
    per_page: Annotated[int, Field(ge=1, le=MOST_PER_PAGE, description="How many a page has."), PLAIN] = (
        PER_PAGE
    )

    @property
    def table(self) -> TableQuery:
        given = self.model_dump(mode="json", exclude_none=True)
        return TableQuery.of({name: str(value) for name, value in given.items()})


class EventsQuery(Query):
    """Which events."""

    subject: Annotated[
        str, Field(max_length=LONGEST_NAME, description="Only of this domain or container.")
    ] = ""
    limit: Annotated[int, Field(ge=1, le=MOST_EVENTS, description="How many at most."), PLAIN] = 100


class CheckBody(Query):
    """Which domain is checked; null: all."""

    domain: Name | None = None


class AdoptBody(Query):
    """Whose policy is adopted."""

    domain: Annotated[Name, Field(description="A domain, or * for the policy file.")]


class AdoptDnsBody(Query):
    """Which DNS record is adopted."""

    name: Annotated[Name, Field(description="The name of the record, such as _mta-sts.example.org.")]


class ApplyBody(Query):
    """A pass is about all domains."""


def query_of(model: type[T], query: MultiMapping[str]) -> T:
    """The parameters of a request. A page ignores invalid ones; a program gets HTTPBadRequest."""
    try:
        return model.model_validate(dict(query))
    except ValidationError as error:
        raise web.HTTPBadRequest(reason=_reason(error, "The parameter does not exist")) from None


def body_of(model: type[T], body: bytes) -> T:
    """The body of a request, empty or JSON; raises HTTPBadRequest."""
    try:
        return model.model_validate_json(body or b"{}", strict=True)
    except ValidationError as error:
        raise web.HTTPBadRequest(reason=_reason(error, "The body has an unknown key")) from None


def _reason(error: ValidationError, unknown: str) -> str:
    """The first error, without the given value, which may contain anything."""
    first = error.errors(include_input=False, include_context=False, include_url=False)[0]
    if first["type"] == "extra_forbidden":
        return unknown
    if first["type"] == "json_invalid":
        return "The body is not JSON"
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
