"""A caller of the workspace stand-in, for tests of the stand-in itself."""

from __future__ import annotations

import json
from typing import Any

import requests

from local.standins.identity import IdentityEndpoint
from local.standins.workspace.server import AUDIENCE, SCOPE_PATH, WorkspaceStandIn

BODY: dict[str, Any] = {
    "DataPathAssignments": {
        "input_datapath": {
            "DataStoreName": "workspaceblobstore",
            "RelativePath": "in/añb +%41 😀.csv",
        }
    },
    "ExperimentName": "MyRestPipeline",
    "ParameterAssignments": {"input_string": "sample_string3"},
    "RunSource": "SDK",
}
"""The body of a submit request, as Azure ML's documentation shows it, with a difficult path."""


class WorkspaceCaller:
    """Calls a workspace with a valid token.

    Args:
        workspace: The workspace.
        identity: The endpoint that signs the tokens.
    """

    def __init__(self, workspace: WorkspaceStandIn, identity: IdentityEndpoint) -> None:
        self.workspace = workspace
        self.identity = identity
        self.session = requests.Session()
        self.headers = {"Authorization": f"Bearer {identity.make_token(AUDIENCE)}"}

    def submit(self, body: Any, **options: Any) -> requests.Response:  # noqa: ANN401 — any JSON value, or bytes
        """Send a submit request. `headers` are added, and `url` replaces the usual endpoint."""
        headers = {**self.headers, "Content-Type": "application/json", **options.pop("headers", {})}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = options.pop("url", self.workspace.submit_url())
        return self.session.post(url, data=data, headers=headers, timeout=10, allow_redirects=False)

    def search(self, experiment: str = "MyRestPipeline", **query: Any) -> requests.Response:  # noqa: ANN401 — JSON values
        """Search the runs of an experiment."""
        url = f"{self.workspace.url}/history/v1.0{SCOPE_PATH}/experiments/{experiment}/runs:query"
        return self.session.post(url, json=query, headers=self.headers, timeout=10)

    def get(self, path: str) -> requests.Response:
        """Send a GET request."""
        return self.session.get(self.workspace.url + path, headers=self.headers, timeout=10)
