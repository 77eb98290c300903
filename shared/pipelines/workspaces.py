"""The Azure ML workspace that an endpoint belongs to, and the differences between Azure's clouds."""

from __future__ import annotations

import hashlib
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
    """The URL of the studio (Microsoft Learn: Azure services in national clouds)."""
    host_suffix: str | None = None
    """The end of its endpoints' hosts. None for the cloud that all other hosts belong to."""


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
"""Hosts of web pages. A URL there is no endpoint, but people copy it from their browser."""

_WORKSPACE = re.compile(
    r".*/subscriptions/([^/]+)/resourceGroups/([^/]+)"
    r"/providers/Microsoft\.MachineLearningServices/workspaces/([^/]+)/",
    re.IGNORECASE,
)
_REGION = re.compile(r"([a-z0-9-]+)\.(?:api\.azureml\.ms|aether\.ms|api\.ml\.azure\.(?:cn|us))\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceId:
    """An Azure ML workspace. A field is None if neither the triggers file nor an endpoint gives it."""

    subscription: str | None = None
    """The id of the subscription."""
    resource_group: str | None = None
    """The name of the resource group."""
    name: str | None = None
    """The name of the workspace."""
    region: str | None = None
    """The region in Azure's short form, such as `westeurope`."""
    cloud: str = "public"
    """A key of `CLOUDS`."""

    @property
    def digest(self) -> str:
        """A digest of what names the workspace in Azure, or empty text if a part is not known.

        Names in Azure Resource Manager are the same in any case.
        """
        parts = (self.subscription, self.resource_group, self.name)
        if None in parts:
            return ""
        text = "\n".join([self.cloud, *(part or "" for part in parts)]).lower()
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def studio_url(self, run_id: str) -> str | None:
        """Return the URL of a run's page in the studio, or None if the workspace is not fully known."""
        parts = (self.subscription, self.resource_group, self.name)
        if None in parts or self.cloud not in CLOUDS:
            return None
        subscription, group, name = (quote(part or "", safe="") for part in parts)
        path = f"/subscriptions/{subscription}/resourcegroups/{group}/workspaces/{name}"
        return f"{CLOUDS[self.cloud].studio}/runs/{quote(run_id, safe='')}?wsid={path}"


def read_workspace(endpoint: str) -> WorkspaceId:
    """Return the workspace that an endpoint's URL names."""
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
    """Check the rules that hold for the endpoints of all kinds, and return the URL's parts.

    Raises:
        ValueError: The URL cannot be an endpoint. The message never repeats it, since it may come from a setting.
    """
    # Any host is allowed: with Private Link, a workspace has a host name of its own.
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host, parts = None, SplitResult("", "", "", "", "")
    if not host or parts.scheme not in ("https", "http") or re.search(r"\s", url):
        raise ValueError(
            "an endpoint is a URL that begins with https://. Copy the REST endpoint that the studio shows"
        )
    if host.lower() in PAGE_HOSTS:
        raise ValueError(
            "this is the URL of a page of the studio or the portal. Copy the REST endpoint that the page shows"
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("the URL must begin with https:// (http is allowed for this machine only)")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL must not contain a user name or a password")
    if "?" in url or "#" in url:
        raise ValueError("the URL must not contain a query (?) or a fragment (#)")
    return parts


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine: an address of 127.0.0.0/8, also as IPv4-mapped IPv6, `::1` or `localhost`.

    Args:
        host: The name or address, without brackets.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    return address.is_loopback
