"""The description of the JSON API (OpenAPI 3.1), made from its models, as it is published at /api/v1/openapi.json.

`python -m tests.docs_tables` writes it into the package.
"""

from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sidecar.status.document import Document, DomainJson, Domains
from sidecar.web.api import Events, Noted, ProblemJson
from sidecar.web.queries import (
    AdoptBody,
    AdoptDnsBody,
    ApplyBody,
    CheckBody,
    DomainsQuery,
    EventsQuery,
    Query,
)

_Schema = dict[str, Any]
_REF = "#/components/schemas/{model}"
_PROBLEMS = {
    "400": "The request is not valid.",
    "401": "A token is required.",
    "403": "The token in the header is missing or actions are disabled.",
    "404": "There is no such domain.",
    "429": "Too many wrong tokens.",
    "503": "No data yet.",
}
_NAME = {
    "name": "name",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 253},
    "description": "The domain, as A-label or U-label.",
}


@cache
def described() -> _Schema:
    """The complete description."""
    _, found = models_json_schema(
        [(model, "serialization") for model in (Document, Domains, DomainJson, Events, Noted, ProblemJson)]
        + [
            (model, "validation")
            for model in (DomainsQuery, EventsQuery, CheckBody, AdoptBody, AdoptDnsBody, ApplyBody)
        ],
        ref_template=_REF,
    )
    schemas: _Schema = found["$defs"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "MTA-STS sidecar",
            "version": "1",
            "description": "What the sidecar knows about the mail domains of its mailcow. Times are in UTC.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "../.."}],
        "security": [{"token": []}, {}],
        "paths": {
            "/api/v1/status": _get(
                "status", "The status, with one page of domains", Document, DomainsQuery, schemas
            ),
            "/api/v1/domains": _get(
                "domains", "The domains, a page at a time", Domains, DomainsQuery, schemas, "503"
            ),
            "/api/v1/domains/{name}": _get("domain", "One domain", DomainJson, None, schemas, "404", "503"),
            "/api/v1/events": _get(
                "events", "What the sidecar did, newest first", Events, EventsQuery, schemas, "503"
            ),
            "/api/v1/actions/check": _post(
                "check", "Run a sender check of one domain or of all domains", CheckBody
            ),
            "/api/v1/actions/apply": _post("apply", "Run a pass now", ApplyBody),
            "/api/v1/actions/adopt": _post("adopt", "Adopt a policy that a person made", AdoptBody),
            "/api/v1/actions/adopt-dns": _post(
                "adopt-dns", "Adopt a DNS record that a person made", AdoptDnsBody
            ),
            "/api/v1/actions/large-dns-plan": _post(
                "large-dns-plan", "Let a large change of published DNS records through, once", ApplyBody
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
    parameters = [_NAME]
    if query is not None:
        problems = ("400", *problems)
        parameters = []
        for name, field in schemas[query.__name__]["properties"].items():
            # An optional parameter is left out, never null.
            schema = {
                key: value for key, value in field.items() if key not in {"title", "description", "anyOf"}
            }
            schema |= next((one for one in field.get("anyOf", ()) if one.get("type") != "null"), {})
            if schema.get("default", "") is None:
                del schema["default"]
            parameters.append(
                {"name": name, "in": "query", "schema": schema, "description": field["description"]}
            )
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
            "responses": _answers(Noted, "202", "The request has been accepted.", "400", "403", "404", "503"),
        }
    }


def _answers(answer: type[BaseModel], status: str, description: str, *problems: str) -> _Schema:
    found: _Schema = {
        status: {"description": description, "content": {"application/json": {"schema": _ref(answer)}}}
    }
    for code in (*problems, "401", "429"):
        content = {"application/problem+json": {"schema": _ref(ProblemJson)}}
        if code == "400":
            # From aiohttp: a request line or a header that is too long or not HTTP.
            content["text/plain"] = {"schema": {"type": "string"}}
        found[code] = {"description": _PROBLEMS[code], "content": content}
    return found


def _ref(model: type[BaseModel]) -> _Schema:
    return {"$ref": _REF.format(model=model.__name__)}
