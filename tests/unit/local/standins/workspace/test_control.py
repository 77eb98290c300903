"""The control plane of the workspace stand-in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import requests

from local.standins.workspace.search import SearchMode, SearchVisibility
from local.testing.workspace_caller import BODY, WorkspaceCaller


def test_the_control_plane_needs_its_token_and_does_what_the_attributes_do(
    caller: WorkspaceCaller,
) -> None:
    workspace = caller.workspace
    headers = {"X-Control-Token": workspace.control_token}

    def control(method: str, name: str, body: Any = None) -> requests.Response:
        url = f"{workspace.url}/control/{name}"
        return caller.session.request(method, url, json=body, headers=headers, timeout=10)

    assert caller.get("/control/runs").status_code == 401
    assert control("POST", "faults", [{"fault_kind": "answer", "status": 418}]).status_code == 204
    assert caller.submit(BODY).status_code == 418
    run = caller.submit(BODY).json()["Id"]
    assert control("POST", "advance", {"run_id": run, "to": "Failed"}).status_code == 204
    assert [item["Status"]["StatusCode"] for item in control("GET", "runs").json()] == ["Failed"]
    assert len(control("GET", "requests").json()) == 2
    assert (
        control("PUT", "search-visibility", {"mode": "lagging", "lag": "PT1M"}).status_code == 204
    )
    assert workspace.search_visibility == SearchVisibility(
        mode=SearchMode.LAGGING, lag=timedelta(minutes=1)
    )
    assert control("POST", "faults", [{"fault_kind": "explode"}]).status_code == 400
    assert control("POST", "advance", {"run_id": "nothing"}).status_code == 404
    assert control("GET", "nothing").status_code == 404
    assert control("POST", "reset").status_code == 204
    assert not workspace.runs.all()
    assert not workspace.received
