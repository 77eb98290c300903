"""The workspace as a program, and its control plane: what another process may ask and tell it."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import threading
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from local.standins.http_server import Answer, IncomingRequest
from local.standins.workspace.faults import WorkspaceFault
from local.standins.workspace.runs import Progress, RunStatus
from local.standins.workspace.search import SearchVisibility

if TYPE_CHECKING:
    from local.standins.workspace.server import WorkspaceStandIn

_FAULTS = TypeAdapter(list[WorkspaceFault])
_SIGHT = TypeAdapter(SearchVisibility)


def handle(workspace: WorkspaceStandIn, request: IncomingRequest) -> Answer:
    """Answer a request to the control plane.

    `GET /control/requests`, `GET /control/runs`, `POST /control/reset`, `POST /control/advance`
    (`{"run_id": …, "to": "Failed"}`, both optional), `POST /control/faults` (a list of faults),
    `DELETE /control/faults`, `PUT /control/search-visibility` (`{"mode": "lagging", "lag": "PT5M"}`).
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
            workspace.search_visibility = _SIGHT.validate_python(body)
        case _:
            return Answer.json({"error": "nothing is here"}, status=404)
    return Answer(status=204)


def main() -> None:
    """Run the workspace as a program until SIGTERM or SIGINT.

    `LOCAL_TOKEN_SECRET` (hex) in the environment is the secret it shares with the identity
    stand-in.
    """
    from local.standins.workspace.server import WorkspaceStandIn

    parser = argparse.ArgumentParser(
        prog="python -m local.standins.workspace", description=main.__doc__
    )
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument(
        "--finish-after", type=float, help="seconds after which runs are finished; default: never"
    )
    arguments = parser.parse_args()
    secret = bytes.fromhex(os.environ.get("LOCAL_TOKEN_SECRET", ""))
    if not secret:
        parser.error("LOCAL_TOKEN_SECRET (hex) must hold the identity stand-in's secret")
    progress = None
    if arguments.finish_after is not None:
        final = timedelta(seconds=arguments.finish_after)
        progress = Progress(running=final / 3, final=final)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with WorkspaceStandIn(secret=secret, progress=progress, port=arguments.port) as workspace:
        # The token guards this process's faults and records from other local users; whoever starts
        # it must learn it.
        line = {
            "url": workspace.url,
            "submit_url": workspace.submit_url(),
            "control_token": workspace.control_token,
        }
        print(json.dumps(line), flush=True)
        stopped.wait()
