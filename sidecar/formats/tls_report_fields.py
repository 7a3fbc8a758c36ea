"""Pydantic models of the fields of a TLS report (RFC 8460 §4.4), as real senders write them.

Rule for every editor: accept a deviation with a clear meaning (null, one value instead of a list, a time without a
zone); refuse one that needs a guess (a count that is not a whole number). Texts are cut to a maximum length.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from sidecar.formats.domain_name import to_ascii
from sidecar.formats.text import printable

LONGEST_TEXT = 300
"""Characters that are kept of a text."""
MOST_LINES = 100
"""Lines of a policy string, or MX hosts."""
UNSPECIFIED = "unspecified"
"""The result type of a failure detail without one."""
LARGEST_COUNT = 10**10
"""Sessions, of one number and of a sum: SQLite raises an error if a sum exceeds 64 bits."""

_TIME_FORMATS = ("%a, %d %b %Y %H:%M:%S %z", "%Y-%m-%d %H:%M:%S %Z")


def cleaned(text: str, most: int = LONGEST_TEXT) -> str:
    """The text in one line, without control characters, cut to `most` characters."""
    return printable(text[:most]).strip()


def total(counts: Iterable[int]) -> int:
    """The sum, at most `LARGEST_COUNT`."""
    return min(sum(counts), LARGEST_COUNT)


def first_problem(error: ValidationError) -> tuple[str, str]:
    """The top-level field of the first error, and a short sentence about it, in one line."""
    detail = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in detail["loc"])
    said = cleaned(detail["msg"].removeprefix("Value error, "), 120)
    return str(detail["loc"][0]) if detail["loc"] else "", f"{place or 'it'}: {said[:1].lower()}{said[1:]}"


def _text(value: object) -> str:
    """The text; empty for null, and the digits of a number."""
    match value:
        case None:
            return ""
        case str():
            return cleaned(value)
        case bool() | dict() | list():
            raise ValueError("it is not a text")
        case _:
            return cleaned(str(value))


def _any_text(value: object) -> str:
    """Like `_text`, but empty for other values, because no decision depends on it."""
    with suppress(ValueError):
        return _text(value)
    return ""


def _word(value: object) -> str:
    return _text(value).lower()


def _count(value: object) -> int:
    """A whole number of at least 0, possibly written as a text or with '.0'; null is 0."""
    match value:
        case None:
            return 0
        case bool():
            number = -1
        case int():
            number = value
        case float() if value.is_integer():
            number = int(value)
        case str() if value.strip().isascii() and value.strip().isdigit() and len(value) <= 15:
            number = int(value)
        case _:
            number = -1
    if not 0 <= number <= LARGEST_COUNT:
        raise ValueError("it is not a whole number of at least 0")
    return number


def _moment(value: object) -> datetime:
    """A time of RFC 3339; one without a zone is UTC, as in reports of Microsoft."""
    text = value.strip() if isinstance(value, str) else ""
    found: datetime | None = None
    if len(text) <= 64:
        with suppress(ValueError):
            found = datetime.fromisoformat(text)
        for known in _TIME_FORMATS if found is None else ():
            with suppress(ValueError):
                found = datetime.strptime(text, known)  # noqa: DTZ007 - the zone is set below
    if found is None:
        raise ValueError("it is not a time")
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    if not 2015 <= found.year <= 2200:
        raise ValueError("it is not a time of a report")
    return found


def _lines(value: object) -> tuple[str, ...]:
    """The lines of a list, of a text with line ends, or of a JSON list within a text (Microsoft, for tlsa)."""
    if isinstance(value, str) and value.lstrip().startswith("[") and len(value) <= 20_000:
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    given: list[Any] = value if isinstance(value, list) else [value]
    lines = (
        cleaned(line)
        for one in given[:MOST_LINES]
        if isinstance(one, str)
        for line in one[: LONGEST_TEXT * MOST_LINES].splitlines()
    )
    return tuple([line for line in lines if line][:MOST_LINES])


def _null_as(make: Callable[[], object]) -> BeforeValidator:
    return BeforeValidator(lambda value: make() if value is None else value)


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class Dates(_Lenient):
    """`date-range`."""

    begin: Annotated[datetime, BeforeValidator(_moment)] = Field(alias="start-datetime")
    end: Annotated[datetime, BeforeValidator(_moment)] = Field(alias="end-datetime")


class Head(_Lenient):
    """The report without the content of its policies."""

    organisation: Annotated[str, BeforeValidator(_any_text)] = Field("", alias="organization-name")
    contact: Annotated[str, BeforeValidator(_any_text)] = Field("", alias="contact-info")
    report_id: Annotated[str, BeforeValidator(_text), Field(min_length=1)] = Field(alias="report-id")
    dates: Dates = Field(alias="date-range")
    policies: Annotated[Any, _null_as(list)] = Field(default_factory=list)


class About(_Lenient):
    """`policy`: which policy the sender applied."""

    kind: Annotated[str, BeforeValidator(_word)] = Field("", alias="policy-type")
    domain: Annotated[
        str | None, BeforeValidator(lambda value: to_ascii(text) if (text := _text(value)) else None)
    ] = Field(None, alias="policy-domain")
    policy: Annotated[tuple[str, ...], BeforeValidator(_lines)] = Field((), alias="policy-string")
    mx: Annotated[
        tuple[str, ...],
        BeforeValidator(lambda value: tuple(line.lower().rstrip(".") for line in _lines(value))),
    ] = Field((), validation_alias=AliasChoices("mx-host", "mx-host-pattern"))


class Summary(_Lenient):
    """`summary`."""

    ok: Annotated[int, BeforeValidator(_count)] = Field(0, alias="total-successful-session-count")
    failed: Annotated[int, BeforeValidator(_count)] = Field(0, alias="total-failure-session-count")


class GivenPolicy(_Lenient):
    """One element of `policies`; its failure details are read separately."""

    about: Annotated[About, _null_as(dict)] = Field(default_factory=About, alias="policy")
    summary: Summary | None = None
    details: Annotated[Any, _null_as(list)] = Field(default_factory=list, alias="failure-details")


class GivenDetail(_Lenient):
    """One element of `failure-details`."""

    # A real producer leaves the type out if it has no word for the failure.
    result: Annotated[str, BeforeValidator(lambda value: _word(value) or UNSPECIFIED)] = Field(
        UNSPECIFIED, alias="result-type"
    )
    sessions: Annotated[int, BeforeValidator(_count)] = Field(0, alias="failed-session-count")
    sending_ip: Annotated[str, BeforeValidator(_any_text)] = Field("", alias="sending-mta-ip")
    receiving_mx: Annotated[str, BeforeValidator(_word)] = Field("", alias="receiving-mx-hostname")
    receiving_ip: Annotated[str, BeforeValidator(_any_text)] = Field("", alias="receiving-ip")
    reason: Annotated[str, BeforeValidator(_any_text)] = Field("", alias="failure-reason-code")
    information: Annotated[str, BeforeValidator(_any_text)] = Field("", alias="additional-information")
