"""The control plane of the workspace stand-in, through which another process reads and changes it."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from local.standins.http_server import Answer, IncomingRequest
from local.standins.workspace.faults import WorkspaceFault
from local.standins.workspace.runs import RunStatus
from local.standins.workspace.search import SearchVisibility

if TYPE_CHECKING:
    from local.standins.workspace.server import WorkspaceStandIn

_FAULTS = TypeAdapter(list[WorkspaceFault])
_VISIBILITY = TypeAdapter(SearchVisibility)


def handle(workspace: WorkspaceStandIn, request: IncomingRequest) -> Answer:
    """Answer a request to the control plane.

    Its routes are `GET /control/requests`, `GET /control/runs`, `POST /control/reset`, `POST /control/advance`
    (`{"run_id": …, "to": "Failed"}`, both optional), `POST /control/faults` (a list of faults), `DELETE
    /control/faults` and `PUT /control/search-visibility` (`{"mode": "lagging", "lag": "PT5M"}`).
    """
    if not secrets.compare_digest(
        request.headers.get("X-Control-Token", ""), workspace.control_token
    ):
        return Answer.json({"error": "X-Control-Token is missing or wrong"}, status=401)
    try:
        return _carry_out(workspace, request)
    except (ValidationError, ValueError, TypeError, AttributeError) as error:
        return Answer.json({"error": str(error)}, status=400)
    except KeyError as error:
        return Answer.json({"error": f"there is no run {error}"}, status=404)


def _carry_out(workspace: WorkspaceStandIn, request: IncomingRequest) -> Answer:
    body: Any = json.loads(request.body) if request.body else {}
    match request.method, request.path.removeprefix("/control/"):
        case "GET", "requests":
            received = [
                {**asdict(item), "time": item.time.isoformat()} for item in workspace.received
            ]
            return Answer.json(received)
        case "GET", "runs":
            return Answer.json([run.to_entity() for run in workspace.runs.all()])
        case "POST", "reset":
            workspace.reset()
        case "POST", "advance":
            to = RunStatus.named(body["to"]) if body.get("to") else None
            workspace.runs.advance(body.get("run_id"), to=to)
        case "POST", "faults":
            workspace.faults.add(*_FAULTS.validate_python(body))
        case "DELETE", "faults":
            workspace.faults.clear()
        case "PUT", "search-visibility":
            workspace.search_visibility = _VISIBILITY.validate_python(body)
        case _:
            return Answer.json(
                {"error": f"there is no {request.method} {request.path}"}, status=404
            )
    return Answer(status=204)
