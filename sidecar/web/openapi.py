"""The description of the JSON API (OpenAPI 3.1), made from its models, as it is published at /api/v1/openapi.json."""

from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sidecar.status.document import Document, DomainJson, Domains
from sidecar.web.models import Events, Noted, ProblemJson
from sidecar.web.queries import AdoptBody, ApplyBody, CheckBody, DomainsQuery, EventsQuery, Query

_Schema = dict[str, Any]
_REF = "#/components/schemas/{model}"
_PROBLEMS = {
    "400": "What was asked is not accepted.",
    "401": "The token is needed.",
    "403": "Not without a token that is shown in the header.",
    "404": "There is no such domain.",
    "429": "Too many wrong tokens.",
    "503": "It is not known yet.",
}
_NAME = {
    "name": "name",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 253},
    "description": "The domain, as an A-label or as people write it.",
}


@cache
def described() -> _Schema:
    """The whole description."""
    _, found = models_json_schema(
        [(model, "serialization") for model in (Document, Domains, DomainJson, Events, Noted, ProblemJson)]
        + [(model, "validation") for model in (DomainsQuery, EventsQuery, CheckBody, AdoptBody, ApplyBody)],
        ref_template=_REF,
    )
    schemas: _Schema = found["$defs"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "MTA-STS sidecar",
            "version": "1",
            "description": "What the sidecar knows of the mail domains of its mailcow. Times are in UTC.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "../.."}],
        "security": [{"token": []}, {}],
        "paths": {
            "/api/v1/status": _get(
                "status", "How all stands, with a page of domains", Document, DomainsQuery, schemas
            ),
            "/api/v1/domains": _get(
                "domains", "The domains, a page at a time", Domains, DomainsQuery, schemas, "503"
            ),
            "/api/v1/domains/{name}": _get("domain", "One domain", DomainJson, None, schemas, "404", "503"),
            "/api/v1/events": _get(
                "events", "What the sidecar did, newest first", Events, EventsQuery, schemas, "503"
            ),
            "/api/v1/actions/check": _post(
                "check", "Check a domain as a sender does, or all of them", CheckBody
            ),
            "/api/v1/actions/apply": _post("apply", "Make a pass now", ApplyBody),
            "/api/v1/actions/adopt": _post(
                "adopt", "Take a policy over from the person who made it", AdoptBody
            ),
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas,
        },
    }


def _get(
    operation: str,
    summary: str,
    answer: type[BaseModel],
    query: type[Query] | None,
    schemas: _Schema,
    *problems: str,
) -> _Schema:
    parameters = [] if query is None else _parameters(schemas[query.__name__])
    if query is None:
        parameters = [_NAME]
    else:
        problems = ("400", *problems)
    return {
        "get": {
            "operationId": operation,
            "summary": summary,
            "parameters": parameters,
            "responses": _answers(answer, "200", "The answer.", *problems),
        }
    }


def _post(operation: str, summary: str, body: type[Query]) -> _Schema:
    needed = any(field.is_required() for field in body.model_fields.values())
    return {
        "post": {
            "operationId": operation,
            "summary": summary,
            "requestBody": {"required": needed, "content": {"application/json": {"schema": _ref(body)}}},
            "responses": _answers(Noted, "202", "The wish is noted.", "400", "403", "404", "503"),
        }
    }


def _parameters(model: _Schema) -> list[_Schema]:
    """Each field of a query; one that may be left out is never null."""
    found = []
    for name, schema in model["properties"].items():
        given = {key: value for key, value in schema.items() if key not in {"title", "description", "anyOf"}}
        given |= next((one for one in schema.get("anyOf", ()) if one.get("type") != "null"), {})
        if given.get("default", "") is None:
            del given["default"]
        found.append({"name": name, "in": "query", "schema": given, "description": schema["description"]})
    return found


def _answers(answer: type[BaseModel], status: str, description: str, *problems: str) -> _Schema:
    found: _Schema = {
        status: {"description": description, "content": {"application/json": {"schema": _ref(answer)}}}
    }
    for code in (*problems, "401", "429"):
        content = {"application/problem+json": {"schema": _ref(ProblemJson)}}
        if code == "400":
            # Of the server below us: a request line or a header that is too long, or not HTTP.
            content["text/plain"] = {"schema": {"type": "string"}}
        found[code] = {"description": _PROBLEMS[code], "content": content}
    return found


def _ref(model: type[BaseModel]) -> _Schema:
    return {"$ref": _REF.format(model=model.__name__)}
