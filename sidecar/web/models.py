"""The answers of the JSON API other than the document of `status`."""

from pydantic import Field

from sidecar.status.document import Model, Time


class EventJson(Model):
    """Something that the sidecar did."""

    at: Time | None
    subject: str
    what: str
    reason: str
    outcome: str
    detail: str | None


class Events(Model):
    """The history, newest first."""

    items: list[EventJson]


class Noted(Model):
    """A request that the next pass carries out."""

    noted: str
    domain: str | None


class ProblemJson(Model):
    """RFC 9457."""

    type: str
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
