"""An endpoint's URL names its workspace and its cloud, and must be one that a token may go to."""

from __future__ import annotations

import pytest

from shared.pipelines.workspaces import (
    CLOUDS,
    PAGE_HOSTS,
    WorkspaceId,
    check_address,
    cloud_of,
    is_loopback,
    read_workspace,
)

WORKSPACE = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
)
SUBMIT = "/PipelineRuns/PipelineSubmit/0a1b-2c"


@pytest.mark.parametrize(
    ("host", "region", "cloud"),
    [
        ("westeurope.api.azureml.ms", "westeurope", "public"),
        ("westeurope.aether.ms", "westeurope", "public"),
        ("chinaeast2.api.ml.azure.cn", "chinaeast2", "china"),
        ("usgovvirginia.api.ml.azure.us", "usgovvirginia", "usgov"),
        ("ws.workspace.private.example.com", None, "public"),
    ],
)
def test_an_endpoint_tells_its_workspace(host: str, region: str | None, cloud: str) -> None:
    parts = read_workspace(f"https://{host}/pipelines/v1.0{WORKSPACE}{SUBMIT}")
    assert (parts.subscription, parts.resource_group, parts.name) == ("s", "g", "w")
    assert (parts.region, parts.cloud) == (region, cloud)


def test_an_endpoint_without_a_workspace_tells_none() -> None:
    parts = read_workspace(f"http://127.0.0.1:5000{SUBMIT}")
    assert parts == WorkspaceId()


@pytest.mark.parametrize(
    ("host", "cloud"),
    [
        ("x.azure.cn", "china"),
        ("x.azure.us", "usgov"),
        ("azure.us.example.com", "public"),
        ("xazure.us", "public"),
        ("", "public"),
    ],
)
def test_the_end_of_a_host_decides_its_cloud(host: str, cloud: str) -> None:
    assert cloud_of(host) == cloud


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_run_has_a_page_in_the_studio_of_its_cloud(cloud: str) -> None:
    workspace = WorkspaceId(subscription="s", resource_group="a b", name="w", cloud=cloud)
    assert workspace.studio_url("run/1") == (
        f"{CLOUDS[cloud].studio}/runs/run%2F1?wsid=/subscriptions/s/resourcegroups/a%20b/workspaces/w"
    )


@pytest.mark.parametrize(
    "workspace",
    [
        WorkspaceId(),
        WorkspaceId(subscription="s", resource_group="g"),
        WorkspaceId(resource_group="g", name="w"),
        WorkspaceId(subscription="s", resource_group="g", name="w", cloud="private"),
    ],
)
def test_a_run_of_an_unknown_workspace_has_no_page(workspace: WorkspaceId) -> None:
    assert workspace.studio_url("run-1") is None


@pytest.mark.parametrize(
    "url",
    [
        f"https://westeurope.api.azureml.ms/pipelines/v1.0{WORKSPACE}{SUBMIT}",
        f"https://private.example.com:8443/x{SUBMIT}",
        f"http://127.0.0.1:5000{SUBMIT}",
        f"http://localhost{SUBMIT}",
        f"http://[::1]:80{SUBMIT}",
        f"http://[::ffff:127.0.0.1]:80{SUBMIT}",
    ],
)
def test_an_address_that_may_be_called_is_split(url: str) -> None:
    assert check_address(url).path.endswith(SUBMIT)


BAD = [
    *[
        (url, "begins with https://")
        for url in ("", "x", "ftp://x/", "https://", "https://[x", "https://x:y/", "https://x/ a")
    ],
    *[
        (f"http://{host}{SUBMIT}", "http is allowed for this machine only")
        for host in ("x.com", "10.0.0.1", "0.0.0.0", "127.0.0.1.nip.io", "localhost.com")
    ],
    *[(f"https://{host}/pipelines/x?wsid=/y", "a page of the studio") for host in sorted(map(str, PAGE_HOSTS))],
    (f"https://ML.azure.com{SUBMIT}", "a page of the studio"),
    (f"https://u:p@x.com{SUBMIT}", "must not contain a user name or a password"),
    (f"https://u@x.com{SUBMIT}", "must not contain a user name or a password"),
    (f"https://x.com{SUBMIT}?code=1", "must not contain a query (?) or a fragment (#)"),
    (f"https://x.com{SUBMIT}#a", "must not contain a query (?) or a fragment (#)"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "message"), BAD)
def test_a_bad_address_is_refused_without_repeating_it(url: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_address(url)
    assert message in str(caught.value)
    assert len(url) < 20 or url not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1.2.3",
        "127.255.255.254",
        "::1",
        "0:0:0:0:0:0:0:1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "localhost",
        "LocalHost",
    ],
)
def test_this_machine_is_known_by_each_of_its_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1.nip.io",
        "127.0.0.1.evil.com",
        "localhost.com",
        "localhost.evil.com",
        "0.0.0.0",
        "::",
        "::2",
        "::ffff:128.0.0.1",
        "::ffff:0.0.0.0",
        "128.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "",
    ],
)
def test_another_machine_is_not_taken_for_this_one(host: str) -> None:
    assert not is_loopback(host)
