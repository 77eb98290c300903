"""Which Azure ML workspace an endpoint belongs to, and what differs between Azure's clouds."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """One of Azure's clouds."""

    scope: str
    """The token scope of published pipelines: the cloud's Azure Resource Manager, as in the v1 SDK."""
    studio: str
    """The studio's address (Microsoft Learn: Azure services in national clouds)."""
    host_suffix: str | None = None
    """How the hosts of its endpoints end; None for the cloud that all other hosts belong to."""


CLOUDS: Mapping[str, Cloud] = {
    "public": Cloud(
        scope="https://management.azure.com/.default",
        studio="https://ml.azure.com",
    ),
    "china": Cloud(
        scope="https://management.chinacloudapi.cn/.default",
        studio="https://studio.ml.azure.cn",
        host_suffix=".azure.cn",
    ),
    "usgov": Cloud(
        scope="https://management.usgovcloudapi.net/.default",
        studio="https://ml.azure.us",
        host_suffix=".azure.us",
    ),
}

PAGE_HOSTS = {"portal.azure.com", *(urlsplit(cloud.studio).hostname for cloud in CLOUDS.values())}
"""Hosts that show pages for people: an address there is no endpoint."""

_WORKSPACE = re.compile(
    r".*/subscriptions/([^/]+)/resourceGroups/([^/]+)"
    r"/providers/Microsoft\.MachineLearningServices/workspaces/([^/]+)/",
    re.IGNORECASE,
)
_REGION = re.compile(r"([a-z0-9-]+)\.(?:api\.azureml\.ms|aether\.ms|api\.ml\.azure\.(?:cn|us))\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceId:
    """Names an Azure ML workspace. A part is None if neither the file nor an endpoint gives it."""

    subscription: str | None = None
    resource_group: str | None = None
    name: str | None = None
    region: str | None = None
    cloud: str = "public"
    """A key of `CLOUDS`."""

    def studio_url(self, run_id: str) -> str | None:
        """Return a run's page in the studio, or None if the workspace is not fully known."""
        parts = (self.subscription, self.resource_group, self.name)
        if None in parts or self.cloud not in CLOUDS:
            return None
        subscription, group, name = (quote(part or "", safe="") for part in parts)
        path = f"/subscriptions/{subscription}/resourcegroups/{group}/workspaces/{name}"
        return f"{CLOUDS[self.cloud].studio}/runs/{quote(run_id, safe='')}?wsid={path}"


def read_workspace(endpoint: str) -> WorkspaceId:
    """Return what an endpoint's URL says about its workspace."""
    url = urlsplit(endpoint)
    host = (url.hostname or "").lower()
    found = _WORKSPACE.match(url.path)
    subscription, group, workspace = found.groups() if found else (None, None, None)
    region = _REGION.match(host)
    return WorkspaceId(
        subscription=subscription,
        resource_group=group,
        name=workspace,
        region=region[1] if region else None,
        cloud=cloud_of(host),
    )


def cloud_of(host: str) -> str:
    """Return the name of the cloud that a host belongs to."""
    suffixes = {cloud.host_suffix: name for name, cloud in CLOUDS.items() if cloud.host_suffix}
    return next((name for suffix, name in suffixes.items() if host.endswith(suffix)), "public")


def check_address(url: str) -> SplitResult:
    """Check what is true for the endpoints of all kinds, and return the URL's parts.

    Any host is allowed, since private link has names of its own.

    Raises:
        ValueError: It cannot be an endpoint. The message never repeats the URL, which may come from a setting.
    """
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host, parts = None, SplitResult("", "", "", "", "")
    if not host or parts.scheme not in ("https", "http") or re.search(r"\s", url):
        raise ValueError(
            "an endpoint is an address that begins with https://; copy the REST endpoint that the studio shows"
        )
    if host.lower() in PAGE_HOSTS:
        raise ValueError(
            "this is the address of a page of the studio; copy the REST endpoint that the page shows"
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("the address must begin with https:// (http is for this machine only)")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the address may hold no user name or password")
    if "?" in url or "#" in url:
        raise ValueError("the address may hold no ? query and no # fragment")
    return parts


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine: 127.0.0.0/8, ::1, the same as an IPv4-mapped address, or `localhost`.

    Args:
        host: A host's name or address, without brackets.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    return address.is_loopback
