"""The description of the JSON API (OpenAPI 3.1), as it is published at /api/v1/openapi.json.

Rule for every editor: it is a promise. It changes together with `api.py`.
"""

from collections.abc import Mapping
from typing import Any

from sidecar.observed.findings import Severity
from sidecar.rollout import Stage
from sidecar.status.wording import Light
from sidecar.web.table import MODES, MOST_PER_PAGE, PER_PAGE, SORTS, slug

_Schema = dict[str, Any]


def _ref(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Mapping[str, _Schema], description: str = "") -> _Schema:
    """An object that has all of these, and may have more in a later release."""
    told = {"description": description} if description else {}
    return {"type": "object", "required": list(properties), "properties": dict(properties), **told}


def _list(items: _Schema) -> _Schema:
    return {"type": "array", "items": items}


_TEXT: _Schema = {"type": "string"}
_MAYBE: _Schema = {"type": ["string", "null"]}
_TIME: _Schema = {"type": "string", "format": "date-time"}
_MAYBE_TIME: _Schema = {"type": ["string", "null"], "format": "date-time"}
_NUMBER: _Schema = {"type": "integer", "minimum": 0}
_LIGHT: _Schema = {"type": "string", "enum": [light.value for light in Light]}
_MODE: _Schema = {"type": ["string", "null"], "enum": ["enforce", "testing", "none", None]}
_STAGE: _Schema = {"type": ["string", "null"], "enum": [*(slug(stage) for stage in Stage), None]}
_CELL = _ref("Cell")

_LINE: dict[str, _Schema] = {
    "name": {"type": "string", "description": "The domain as an A-label."},
    "unicode": {"type": "string", "description": "The domain as people read it."},
    "alias_of": {"type": ["string", "null"], "description": "The domain that an alias domain stands for."},
    "status": _LIGHT,
    "code": {"type": "string", "description": "What the status is because of; stable."},
    "message": _TEXT,
    "todo": _MAYBE,
    "mode": _MODE,
    "stage": _STAGE,
    "since": _MAYBE_TIME,
    "policy": _CELL,
    "certificate": _CELL,
    "dns": _CELL,
    "mx": _CELL,
    "tlsrpt": _CELL,
}

_FINDING = _object(
    {
        "code": _TEXT,
        "severity": {"type": "string", "enum": [severity.value for severity in Severity]},
        "subject": _TEXT,
        "message": _TEXT,
        "todo": _MAYBE,
        "section": {"type": "string", "description": "Where the rule stands, as RFC 8461 §3.1."},
    }
)
_RECORD = _object(
    {
        "owner": _TEXT,
        "record": {
            "type": ["string", "null"],
            "description": "A line of a zone file; null: nothing can be said yet.",
        },
        "standing": _CELL,
        "note": _MAYBE,
        "found": {"type": ["string", "null"], "description": "What the DNS has instead."},
    }
)
_STEP = _object({"title": _TEXT, "status": _LIGHT, "text": _TEXT, "since": _MAYBE_TIME})

_SCHEMAS: dict[str, _Schema] = {
    "Problem": _object(
        {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT}, "RFC 9457"
    ),
    "Cell": _object({"status": _LIGHT, "text": _TEXT, "hint": _MAYBE}),
    "Status": _object(
        {
            "release": _TEXT,
            "started_at": _TIME,
            "seen_at": {**_MAYBE_TIME, "description": "null: the first pass is under way."},
            "dry_run": {"type": "boolean"},
            "headline": _MAYBE,
            "mailcow": {
                "oneOf": [
                    {"type": "null"},
                    _object(
                        {
                            "version": _MAYBE,
                            "backend": {"type": "string", "enum": ["file", "native"]},
                            "hostname": _MAYBE,
                        }
                    ),
                ]
            },
            "trouble": {
                "oneOf": [{"type": "null"}, _object({"message": _TEXT, "todo": _MAYBE, "since": _TIME})]
            },
            "progress": {
                "oneOf": [
                    {"type": "null"},
                    _object({"doing": _TEXT, "done": _NUMBER, "total": _NUMBER, "since": _TIME}),
                ]
            },
            "domains": {
                "description": "How many domains have which status; null: not known.",
                "oneOf": [{"type": "null"}, _object({light.value: _NUMBER for light in Light})],
            },
            "needs": _list(
                _object(
                    {
                        "status": _LIGHT,
                        "code": _TEXT,
                        "message": _TEXT,
                        "todo": _MAYBE,
                        "domains": _list(_TEXT),
                    }
                )
            ),
            "pending": _list(
                _object(
                    {
                        "action": _TEXT,
                        "reason": _TEXT,
                        "remedy": _MAYBE,
                        "until": _MAYBE_TIME,
                        "held": {"type": "boolean"},
                        "subjects": _list(_TEXT),
                    }
                )
            ),
        }
    ),
    "Domain": _object(_LINE),
    "Domains": _object(
        {
            "seen_at": _TIME,
            "total": _NUMBER,
            "page": _NUMBER,
            "pages": _NUMBER,
            "per_page": _NUMBER,
            "items": _list(_ref("Domain")),
        }
    ),
    "Detail": _object(
        {
            **_LINE,
            "seen_at": _TIME,
            "checked_at": _MAYBE_TIME,
            "explained": _TEXT,
            "next": _list(_TEXT),
            "policy_text": _MAYBE,
            "adopt_key": {"type": ["string", "null"], "description": "What `adopt` takes; null: nothing."},
            "steps": _list(_STEP),
            "findings": _list(_FINDING),
            "records": _list(_RECORD),
        }
    ),
    "Events": _object(
        {
            "items": _list(
                _object(
                    {
                        "at": _TIME,
                        "subject": _TEXT,
                        "what": _TEXT,
                        "reason": _TEXT,
                        "outcome": _TEXT,
                        "detail": _MAYBE,
                    }
                )
            )
        }
    ),
    "Noted": _object({"noted": _TEXT, "domain": _MAYBE}),
}

_PROBLEMS = {
    "400": "What was asked is not accepted.",
    "401": "The token is needed.",
    "403": "Not without a token that is shown in the header.",
    "404": "There is no such domain.",
    "429": "Too many wrong tokens.",
    "503": "It is not known yet.",
}


def _answers(name: str, *problems: str, status: str = "200", description: str = "The answer.") -> _Schema:
    answers: _Schema = {
        status: {"description": description, "content": {"application/json": {"schema": _ref(name)}}}
    }
    for code in (*problems, "401", "429"):
        answers[code] = {
            "description": _PROBLEMS[code],
            "content": {"application/problem+json": {"schema": _ref("Problem")}},
        }
    if "400" in answers:
        # of the server below us: a request line or a header that is too long, or no HTTP
        answers["400"]["content"]["text/plain"] = {"schema": _TEXT}
    return answers


def _query(name: str, schema: _Schema, description: str) -> _Schema:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _choice(name: str, choices: list[str], description: str, default: str | None = None) -> _Schema:
    told: _Schema = {"type": "string", "enum": choices}
    return _query(name, told if default is None else {**told, "default": default}, description)


def _whole(name: str, most: int, default: int, description: str) -> _Schema:
    return _query(name, {"type": "integer", "minimum": 1, "maximum": most, "default": default}, description)


_DOMAIN_BODY = {"type": "string", "minLength": 1, "maxLength": 253}


def _action(operation: str, summary: str, *, needs_domain: bool, takes_domain: bool = True) -> _Schema:
    kind: _Schema = _DOMAIN_BODY if needs_domain else {**_DOMAIN_BODY, "type": ["string", "null"]}
    properties = {"domain": kind} if takes_domain else {}
    body: _Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if needs_domain:
        body["required"] = ["domain"]
    return {
        "post": {
            "operationId": operation,
            "summary": summary,
            "requestBody": {"required": needs_domain, "content": {"application/json": {"schema": body}}},
            "responses": _answers(
                "Noted", "400", "403", "404", "503", status="202", description="The wish is noted."
            ),
        }
    }


DOCUMENT: Mapping[str, Any] = {
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
        "/api/v1/status": {
            "get": {
                "operationId": "status",
                "summary": "How all stands",
                "responses": _answers("Status"),
            }
        },
        "/api/v1/domains": {
            "get": {
                "operationId": "domains",
                "summary": "The domains, a page at a time",
                "parameters": [
                    _query("q", {"type": "string", "maxLength": 253}, "A part of the name."),
                    _choice("status", [light.value for light in Light], "Only these."),
                    _choice("mode", list(MODES), "Only these."),
                    _choice("stage", [slug(stage) for stage in Stage], "Only these."),
                    _query("cause", {"type": "string", "maxLength": 100}, "Only those with this code."),
                    _choice("sort", list(SORTS), "By which column.", "status"),
                    _choice("order", ["asc", "desc"], "In which direction.", "asc"),
                    _whole("page", 100_000, 1, "From 1; beyond the last page, the last one."),
                    _whole("per_page", MOST_PER_PAGE, PER_PAGE, "How many a page has."),
                ],
                "responses": _answers("Domains", "400", "503"),
            }
        },
        "/api/v1/domains/{name}": {
            "get": {
                "operationId": "domain",
                "summary": "One domain with its findings and records",
                "parameters": [
                    {
                        "name": "name",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string", "minLength": 1, "maxLength": 253},
                        "description": "The domain, as an A-label or as people write it.",
                    }
                ],
                "responses": _answers("Detail", "404", "503"),
            }
        },
        "/api/v1/events": {
            "get": {
                "operationId": "events",
                "summary": "What the sidecar did, newest first",
                "parameters": [
                    _query(
                        "subject", {"type": "string", "maxLength": 253}, "Only of this domain or container."
                    ),
                    _whole("limit", 1_000, 100, "How many at most."),
                ],
                "responses": _answers("Events", "400", "503"),
            }
        },
        "/api/v1/actions/check": _action(
            "check", "Look at a domain as a sender, or at all", needs_domain=False
        ),
        "/api/v1/actions/apply": _action("apply", "Make a pass now", needs_domain=False, takes_domain=False),
        "/api/v1/actions/adopt": _action(
            "adopt", "Take a policy over from the person who made it (* for the file)", needs_domain=True
        ),
    },
    "components": {
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        "schemas": _SCHEMAS,
    },
}
