"""Builds the OpenAPI 3.1 document from route entries, the handlers' docstrings and the bodies' models.

Only `openapi` imports this module, and only when the document is asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from shared.clients.transport import VERSION
from shared.core.submissions import State
from shared.operations.listing import MAX_LIMIT
from shared.web.api.models import MAX_INSTANT_LENGTH
from shared.web.api.queries import DEFAULT_LIMIT, MAX_CURSOR_LENGTH, MAX_NAME_LENGTH
from shared.web.idempotency import HEADER as IDEMPOTENCY_KEY
from shared.web.problems import MEDIA_TYPE as PROBLEM
from shared.web.problems import ProblemView
from shared.web.registry import RouteEntry

PREFIX = "/api"
"""The Functions host's default prefix of every route."""

JSON = "application/json"

MEANINGS = {
    200: "The request succeeded.",
    202: "The submission is in the ledger. Its outcome is not known yet.",
    400: "The request is invalid. `errors` lists every invalid field.",
    401: "The function key is missing or wrong, or roles are on and the caller is not signed in.",
    403: "Roles are on, and the caller has none of the route's roles.",
    404: "The trigger or the submission does not exist.",
    409: "The trigger's or the submission's state does not allow the request, or no run was started.",
    413: "The body is larger than 48 KiB.",
    422: "The values cannot be rendered from the event, or an `Idempotency-Key` came with another body.",
    424: "The run failed or was canceled.",
    502: "Azure ML refused the run, or the app gave up. `code` is Azure ML's error code.",
    503: "The ledger or another service did not answer. Retry later.",
}
"""The description of each status, in the document and on the reference page."""

_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "name": {
        "in": "path",
        "description": "The trigger's name.",
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_NAME_LENGTH},
        "example": "on-demand",
    },
    "id": {
        "in": "path",
        "description": "The submission's id.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "example": "0123456789abcdef0123456789abcdef",
    },
    "action": {
        "in": "path",
        "description": "The action.",
        "schema": {"type": "string", "enum": ["replay", "resume", "cancel", "drop"]},
    },
    "status_token": {
        "in": "path",
        "description": "The random token at the end of a submission's `Location`.",
        "schema": {"type": "string", "pattern": "^[0-9A-Za-z_-]{1,64}$"},
    },
    "trigger": {
        "in": "query",
        "description": "Only submissions of this trigger.",
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_NAME_LENGTH},
    },
    "state": {
        "in": "query",
        "description": "Only submissions in this state.",
        "schema": {"type": "string", "enum": [state.value for state in State]},
    },
    "since": {
        "in": "query",
        "description": "Only submissions claimed at this time or later.",
        "schema": {"type": "string", "format": "date-time", "maxLength": MAX_INSTANT_LENGTH},
    },
    "limit": {
        "in": "query",
        "description": "Entries on one page.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    },
    "cursor": {
        "in": "query",
        "description": "The previous page's `cursor`.",
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_CURSOR_LENGTH},
    },
    IDEMPOTENCY_KEY: {
        "in": "header",
        "description": "Makes a repeated request to an `http` trigger the same submission.",
        "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
    },
}
"""Every parameter by its name, which means the same in every route."""

_HEADERS = {
    "Location": {
        "description": "A URL that shows the submission's outcome without a key: `status/{id}/{status_token}`.",
        "schema": {"type": "string"},
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
}


def build_document(entries: Sequence[RouteEntry]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of some routes."""
    paths: dict[str, dict[str, Any]] = {}
    for entry in entries:
        paths.setdefault(f"{PREFIX}/{entry.path}", {})[entry.method.lower()] = _operation(entry)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Azure ML pipeline triggers",
            "version": VERSION,
            "description": "Start and control triggers and submissions. Errors use RFC 9457.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(entries),
            "securitySchemes": {
                "header": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
                "query": {"type": "apiKey", "in": "query", "name": "code"},
            },
        },
    }


def _schemas(entries: Sequence[RouteEntry]) -> dict[str, Any]:
    given: set[type[BaseModel]] = set()
    shown: set[type[BaseModel]] = {ProblemView}
    for entry in entries:
        given.update(entry.bodies)
        shown.update(view for view in entry.answers.values() if view is not None)
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = []
    wanted += [(model, "validation") for model in given]
    wanted += [(model, "serialization") for model in shown]
    wanted.sort(key=lambda item: item[0].__name__)
    _, content = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    found: dict[str, Any] = content["$defs"]
    return dict(sorted(found.items()))


def _operation(entry: RouteEntry) -> dict[str, Any]:
    summary, _, description = inspect.cleandoc(entry.handler.__doc__ or "").partition("\n")
    names = [part[1:-1] for part in entry.path.split("/") if part.startswith("{")]
    names += [*(entry.query or ()), *entry.headers]
    operation: dict[str, Any] = {
        "operationId": entry.function,
        "summary": summary.rstrip("."),
        "description": description.strip() or summary,
        "parameters": [_parameter(name) for name in names],
        "responses": _responses(entry),
        "security": [{"header": []}, {"query": []}] if entry.key else [],
    }
    if entry.bodies:
        refs = [{"$ref": f"#/components/schemas/{body.__name__}"} for body in entry.bodies]
        schema = refs[0] if len(refs) == 1 else {"anyOf": refs}
        operation["requestBody"] = {
            "required": entry.body_required,
            "content": {JSON: {"schema": schema}},
        }
    # An empty `security` means that no key is needed. Any other empty list has no meaning.
    return {name: value for name, value in operation.items() if value != [] or name == "security"}


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "required": _PARAMETERS[name]["in"] == "path", **_PARAMETERS[name]}


def _responses(entry: RouteEntry) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    for code, view in entry.answers.items():
        schema = {"$ref": f"#/components/schemas/{view.__name__}"} if view else {"type": "object"}
        found[str(code)] = {"description": MEANINGS[code], "content": {JSON: {"schema": schema}}}
    for code in entry.problems:
        schema = {"$ref": "#/components/schemas/ProblemView"}
        found[str(code)] = {"description": MEANINGS[code], "content": {PROBLEM: {"schema": schema}}}
    if entry.key:
        # Without content: the host answers a wrong key itself, with an empty body.
        found |= {str(code): {"description": MEANINGS[code]} for code in (401, 403)}
    for code, names in entry.answer_headers.items():
        found[str(code)]["headers"] = {name: _HEADERS[name] for name in names}
    return dict(sorted(found.items()))
