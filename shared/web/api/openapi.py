"""The OpenAPI 3.1 document: made of the routes, their docstrings and the models of the bodies."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from shared.clients.transport import VERSION
from shared.core.submissions import State
from shared.operations.listing import MAX_LIMIT
from shared.web.api import models, routes
from shared.web.api.queries import DEFAULT_LIMIT, MAX_CURSOR_LENGTH, MAX_NAME_LENGTH

PREFIX = "/api"
PROBLEM = "application/problem+json"
JSON = "application/json"

type Method = Literal["GET", "POST", "PATCH"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteEntry:
    """A route as the document tells it.

    Attributes:
        function: The function's name: the operation's id.
        method: The HTTP method.
        path: Below the prefix, without a slash at its start: exactly the binding's route.
        route: What answers; its docstring is the description.
        bodies: The models that a request's body may be of; none when it has none.
        needs_body: Whether the body may not be left out.
        query: The names of the query.
        answers: The model of each status that is no problem; None for the document itself.
        problems: The statuses that are problems.
        key: Whether the host wants a function key.
    """

    function: str
    method: Method
    path: str
    route: routes.Route
    bodies: tuple[type[BaseModel], ...] = ()
    needs_body: bool = False
    query: tuple[str, ...] = ()
    answers: Mapping[int, type[BaseModel] | None] = field(default_factory=dict)
    problems: tuple[int, ...] = ()
    key: bool = True


ROUTES: Sequence[RouteEntry] = (
    RouteEntry(
        function="submit",
        method="POST",
        path="v1/triggers/{name}/submissions",
        route=routes.submit,
        bodies=(models.RunNowBody, models.SubmissionBody),
        answers={202: models.SubmissionView},
        problems=(400, 404, 409, 413, 422, 502, 503),
    ),
    RouteEntry(
        function="list_triggers",
        method="GET",
        path="v1/triggers",
        route=routes.list_triggers,
        query=("limit", "cursor"),
        answers={200: models.TriggerPage},
        problems=(400, 404, 503),
    ),
    RouteEntry(
        function="get_trigger",
        method="GET",
        path="v1/triggers/{name}",
        route=routes.get_trigger,
        answers={200: models.TriggerView},
        problems=(400, 404, 503),
    ),
    RouteEntry(
        function="set_trigger",
        method="PATCH",
        path="v1/triggers/{name}",
        route=routes.set_trigger,
        bodies=(models.OverrideBody,),
        needs_body=True,
        answers={200: models.TriggerView},
        problems=(400, 404, 413, 503),
    ),
    RouteEntry(
        function="list_submissions",
        method="GET",
        path="v1/submissions",
        route=routes.list_submissions,
        query=("trigger", "state", "since", "limit", "cursor"),
        answers={200: models.SubmissionPage},
        problems=(400, 503),
    ),
    RouteEntry(
        function="get_submission",
        method="GET",
        path="v1/submissions/{id}",
        route=routes.get_submission,
        answers={200: models.SubmissionView},
        problems=(400, 404, 503),
    ),
    RouteEntry(
        function="get_result",
        method="GET",
        path="v1/submissions/{id}/result",
        route=routes.get_result,
        answers={200: models.ResultView, 202: models.ResultView},
        problems=(400, 404, 409, 422, 424, 502, 503),
    ),
    RouteEntry(
        function="act_on_submission",
        method="POST",
        path="v1/submissions/{id}/{action}",
        route=routes.act_on_submission,
        bodies=(models.ActionBody,),
        answers={200: models.SubmissionView},
        problems=(400, 404, 409, 413, 422, 503),
    ),
    RouteEntry(
        function="preview",
        method="POST",
        path="v1/preview",
        route=routes.preview,
        bodies=(models.PreviewBody,),
        needs_body=True,
        answers={200: models.PreviewPage},
        problems=(400, 404, 413, 503),
    ),
    RouteEntry(
        function="openapi",
        method="GET",
        path="v1/openapi.json",
        route=routes.openapi,
        answers={200: None},
        problems=(400,),
    ),
    RouteEntry(
        function="status",
        method="GET",
        path="status/{id}/{status_token}",
        route=routes.status,
        answers=dict.fromkeys((200, 202, 409, 422, 424, 502), models.StatusView),
        problems=(404, 503),
        key=False,
    ),
    RouteEntry(
        function="health",
        method="GET",
        path="health",
        route=routes.health,
        answers={200: models.HealthView, 503: models.HealthView},
        key=False,
    ),
)
"""Every route. A test holds this against the functions' bindings."""

MEANINGS = {
    200: "It is so.",
    202: "It is in the ledger; what comes of it is not decided yet.",
    400: "The request is wrong; each mistake is named.",
    401: "There is no key, or a wrong one; with roles on, nobody is signed in.",
    403: "Roles are on, and the caller has none that this needs.",
    404: "There is nothing of that name.",
    409: "It cannot be done as things stand, or nothing was started.",
    413: "The body is above 48 KiB.",
    422: "The values cannot be made from the event, or the key was used with another body.",
    424: "The run failed or was canceled.",
    502: "Azure ML refused it for good, or it was given up; `code` is Azure ML's own.",
    503: "The ledger, or what else is needed, does not answer; the same call may work later.",
}

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
        "description": "What to do.",
        "schema": {"type": "string", "enum": ["replay", "cancel", "drop"]},
    },
    "status_token": {
        "in": "path",
        "description": "The random part of a submission's `Location`.",
        "schema": {"type": "string", "pattern": "^[0-9A-Za-z_-]{1,64}$"},
    },
    "trigger": {
        "in": "query",
        "description": "Only those of this trigger.",
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_NAME_LENGTH},
    },
    "state": {
        "in": "query",
        "description": "Only those in this state.",
        "schema": {"type": "string", "enum": [state.value for state in State]},
    },
    "since": {
        "in": "query",
        "description": "Only those that were claimed then or later.",
        "schema": {"type": "string", "format": "date-time", "maxLength": models.MAX_INSTANT_LENGTH},
    },
    "limit": {
        "in": "query",
        "description": "At most so many.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    },
    "cursor": {
        "in": "query",
        "description": "Where to go on: what the last answer said.",
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_CURSOR_LENGTH},
    },
    "Idempotency-Key": {
        "in": "header",
        "description": "Makes a repeated request the same submission, for `http` triggers.",
        "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
    },
}

_HEADERS = {
    "Location": {
        "description": "Where anybody who has it learns how the submission stands: `status/{id}/{status_token}`.",
        "schema": {"type": "string"},
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
}


@functools.cache
def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    schemas = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for entry in ROUTES:
        paths.setdefault(f"{PREFIX}/{entry.path}", {})[entry.method.lower()] = _operation(entry)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Azure ML pipeline triggers",
            "version": VERSION,
            "description": "Everything that can be done with triggers and submissions. Problems are RFC 9457.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "header": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
                "query": {"type": "apiKey", "in": "query", "name": "code"},
            },
        },
    }


def _schemas() -> dict[str, Any]:
    given = {body for entry in ROUTES for body in entry.bodies}
    shown = {view for entry in ROUTES for view in entry.answers.values() if view is not None}
    shown.add(models.ProblemView)
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = []
    wanted += [(model, "validation") for model in given]
    wanted += [(model, "serialization") for model in shown]
    wanted.sort(key=lambda item: item[0].__name__)
    _, content = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    found: dict[str, Any] = content["$defs"]
    return dict(sorted(found.items()))


def _operation(entry: RouteEntry) -> dict[str, Any]:
    summary, _, description = inspect.cleandoc(entry.route.__doc__ or "").partition("\n")
    names = [part[1:-1] for part in entry.path.split("/") if part.startswith("{")]
    headers = ["Idempotency-Key"] if entry.function == "submit" else []
    operation: dict[str, Any] = {
        "operationId": entry.function,
        "summary": summary.rstrip("."),
        "description": description.strip() or summary,
        "parameters": [_parameter(name) for name in (*names, *entry.query, *headers)],
        "responses": _responses(entry),
        "security": [{"header": []}, {"query": []}] if entry.key else [],
    }
    if entry.bodies:
        refs = [{"$ref": f"#/components/schemas/{body.__name__}"} for body in entry.bodies]
        schema = refs[0] if len(refs) == 1 else {"anyOf": refs}
        operation["requestBody"] = {
            "required": entry.needs_body,
            "content": {JSON: {"schema": schema}},
        }
    return {name: value for name, value in operation.items() if value != [] or name == "security"}


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "required": _PARAMETERS[name]["in"] == "path", **_PARAMETERS[name]}


def _responses(entry: RouteEntry) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for code, view in entry.answers.items():
        schema = {"$ref": f"#/components/schemas/{view.__name__}"} if view else {"type": "object"}
        found[str(code)] = {"description": MEANINGS[code], "content": {JSON: {"schema": schema}}}
    for code in entry.problems:
        schema = {"$ref": "#/components/schemas/ProblemView"}
        found[str(code)] = {"description": MEANINGS[code], "content": {PROBLEM: {"schema": schema}}}
    if entry.key:
        found |= {str(code): {"description": MEANINGS[code]} for code in (401, 403)}
    if "202" in found:
        names = ["Location", "Retry-After"] if entry.function == "submit" else ["Retry-After"]
        found["202"]["headers"] = {name: _HEADERS[name] for name in names}
    return dict(sorted(found.items()))
