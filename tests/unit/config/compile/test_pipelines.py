"""Pipelines, and the workspace that they belong to."""

from __future__ import annotations

import pytest

from shared.pipelines.workspaces import WorkspaceId
from tests.unit.config.files import ENDPOINT, Load, with_trigger


@pytest.mark.parametrize(
    ("workspace", "scope"),
    [
        ("", "https://management.azure.com/.default"),
        ("workspace: {cloud: china}\n", "https://management.chinacloudapi.cn/.default"),
        ("workspace: {cloud: usgov, region: r}\n", "https://management.usgovcloudapi.net/.default"),
    ],
)  # fmt: skip
def test_the_scope_is_that_of_the_cloud(load: Load, workspace: str, scope: str) -> None:
    config = load(workspace + with_trigger("http: {}"))
    assert config.pipelines["scoring"].scope == scope
    assert config.workspace.name == "w"


def test_a_pipelines_own_scope_wins(load: Load) -> None:
    config = load(with_trigger("http: {}", pipeline="scope: https://ml.azure.com/.default"))
    assert config.pipelines["scoring"].scope == "https://ml.azure.com/.default"


def test_the_endpoint_of_a_national_cloud_gives_the_cloud(load: Load) -> None:
    endpoint = ENDPOINT.replace("api.azureml.ms", "api.ml.azure.cn")
    config = load(with_trigger("http: {}"), SCORING_ENDPOINT=endpoint)
    assert config.workspace.cloud == "china"
    assert config.pipelines["scoring"].scope == "https://management.chinacloudapi.cn/.default"


def test_the_file_overrides_each_part_of_the_endpoints_workspace(load: Load) -> None:
    text = "workspace: {subscription: s2, name: n2}\n" + with_trigger("http: {}")
    assert load(text).workspace == WorkspaceId(
        subscription="s2", resource_group="g", name="n2", region="westeurope", cloud="public"
    )


def test_a_file_without_pipelines_has_the_workspace_that_it_names(load: Load) -> None:
    config = load("workspace: {name: n, region: r}\npipelines: {}\ntriggers: {}\n")
    assert config.workspace == WorkspaceId(name="n", region="r")
