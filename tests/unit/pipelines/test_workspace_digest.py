"""One workspace has one digest, however an endpoint writes its names."""

from __future__ import annotations

import pytest

from local.testing.app import ENDPOINT
from shared.pipelines.workspaces import read_workspace

DIGEST = read_workspace(ENDPOINT).digest


@pytest.mark.parametrize(
    "endpoint",
    [
        ENDPOINT.replace("PipelineSubmit/1111", "PipelineSubmit/2222"),
        ENDPOINT.replace("resourceGroups/g", "resourcegroups/G"),
        ENDPOINT.replace("workspaces/w", "workspaces/W"),
        ENDPOINT.replace("westeurope.api.azureml.ms", "private.example.com"),
    ],
)
def test_endpoints_of_one_workspace_have_its_digest(endpoint: str) -> None:
    assert endpoint != ENDPOINT
    assert read_workspace(endpoint).digest == DIGEST


@pytest.mark.parametrize(
    "endpoint",
    [
        ENDPOINT.replace("subscriptions/s", "subscriptions/other"),
        ENDPOINT.replace("resourceGroups/g", "resourceGroups/other"),
        ENDPOINT.replace("workspaces/w", "workspaces/other"),
        ENDPOINT.replace("api.azureml.ms", "api.ml.azure.cn"),
    ],
)
def test_another_workspace_has_another_digest(endpoint: str) -> None:
    assert read_workspace(endpoint).digest not in ("", DIGEST)


def test_an_endpoint_that_does_not_name_its_workspace_has_none() -> None:
    assert read_workspace("https://example.com/PipelineRuns/PipelineSubmit/1").digest == ""
