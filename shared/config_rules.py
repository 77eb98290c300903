"""What single values of the triggers file must look like.

Each rule returns the value, or raises a ValueError with a sentence. The sentences never repeat the
value: it may have come from a setting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import SplitResult, urlsplit

from shared.cron import Cron
from shared.durations import read_duration
from shared.events import read_instant

NAME = r"^[a-z][a-z0-9-]{0,62}$"
"""Names of triggers and pipelines: they become function names, row keys and parts of URLs."""

_NAME = re.compile(NAME.removesuffix("$") + r"\Z")
_CONNECTION = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")
# "Naming and Referencing Containers, Blobs, and Metadata", Azure Storage documentation.
_CONTAINER = re.compile(r"(?=.{3,63}\Z)[a-z0-9](?:-?[a-z0-9])*\Z|\$(?:root|web|logs)\Z")
_SUBMIT = re.compile(r".*/PipelineRuns/PipelineSubmit/[A-Za-z0-9-]+\Z", re.IGNORECASE)
_WORKSPACE = re.compile(
    r".*/subscriptions/([^/]+)/resourceGroups/([^/]+)"
    r"/providers/Microsoft\.MachineLearningServices/workspaces/([^/]+)/",
    re.IGNORECASE,
)
_REGION = re.compile(r"([a-z0-9-]+)\.(?:api\.azureml\.ms|aether\.ms|api\.ml\.azure\.(?:cn|us))\Z")

SCOPES = {
    "public": "https://management.azure.com/.default",
    "china": "https://management.chinacloudapi.cn/.default",
    "usgov": "https://management.usgovcloudapi.net/.default",
}
"""The token scope of published pipelines by cloud: its Azure Resource Manager, as in the v1 SDK."""

_STUDIO = {"ml.azure.com", "studio.ml.azure.cn", "ml.azure.us", "portal.azure.com"}
_CLOUDS = {".azure.cn": "china", ".azure.us": "usgov"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointParts:
    """What a submit URL tells about its workspace; None where it does not."""

    subscription: str | None = None
    resource_group: str | None = None
    name: str | None = None
    region: str | None = None
    cloud: str = "public"


def duration(text: str) -> str:
    """Check a span of time."""
    read_duration(text)
    return text


def name(text: str) -> str:
    """Check the name of a trigger or pipeline."""
    if not _NAME.match(text):
        raise ValueError(
            "a name has 1 to 63 of a-z, 0-9 and -, and begins with a letter; "
            "write for example new-data"
        )
    return text


def connection(text: str) -> str:
    """Check the name of a connection."""
    if not _CONNECTION.fullmatch(text):
        raise ValueError(
            "a connection is the name of an app setting, or the prefix of several "
            "(DataStorage for DataStorage__blobServiceUri), never a connection string"
        )
    return text


def container(text: str) -> str:
    """Check the name of a container."""
    if not _CONTAINER.match(text):
        raise ValueError(
            "a container's name has 3 to 63 of a-z, 0-9 and single -, and begins and ends with a "
            "letter or digit; $root, $web and $logs are allowed too"
        )
    return text


def folder(text: str) -> str:
    """Check the folder of a blob trigger, and drop a slash at its end."""
    if any(character in text for character in "{}%"):
        raise ValueError(
            "path may not hold {, } or %, which the Functions host reads as binding expressions; "
            "choose with include and exclude below a folder without them"
        )
    if "*" in text:
        raise ValueError(
            'path is a folder, not a pattern; choose blobs in it with include, such as ["*.csv"]'
        )
    text = text.removesuffix("/") if text != "/" else text
    parts = text.split("/")
    if text and ("" in parts or "." in parts or ".." in parts or "\\" in text):
        raise ValueError(
            "path is a folder below the container such as incoming/daily: no / at its start, "
            "no //, no . or .. and no backslash; leave it out for the whole container"
        )
    return text


def pattern(text: str) -> str:
    """Check a glob of `include` or `exclude`."""
    parts = text.split("/")
    if "" in parts or "." in parts or ".." in parts:
        raise ValueError(
            "a pattern is matched against the path below path, such as *.csv: no / at its start or "
            "end, no //, no . or .. and not empty"
        )
    if "{" in text:
        raise ValueError(
            'a pattern knows no { }: list one pattern for each, such as ["*.csv", "*.json"]'
        )
    if any("**" in part and part != "**" for part in parts):
        raise ValueError("** stands alone between slashes: write **/*.csv")
    return text


def start(text: str) -> str:
    """Check `blob.start`."""
    if text in ("now", "beginning"):
        return text
    try:
        read_instant(text)
    except ValueError:
        raise ValueError(
            "allowed are now, beginning, or an instant with its zone, such as 2027-03-27T01:30:00Z"
        ) from None
    return text


def read_start(text: str) -> datetime | None:
    """Return the instant of a checked `blob.start`, or None for now and beginning."""
    return None if text in ("now", "beginning") else read_instant(text)


def cron(text: str) -> str:
    """Check a cron expression."""
    Cron(text)
    return text


def scope(text: str) -> str:
    """Check a token scope."""
    if not re.fullmatch(r"https://[A-Za-z0-9.-]+(?:/[^\s?#]*)?/\.default", text):
        raise ValueError("a scope is https://<resource>/.default")
    return text


def endpoint(text: str) -> str:
    """Check a published pipeline's submit URL; any host, as private link has names of its own."""
    try:
        url = urlsplit(text)
        host, _port = url.hostname, url.port
    except ValueError:
        host, url = None, SplitResult("", "", "", "", "")
    if not host or url.scheme not in ("https", "http") or re.search(r"\s", text):
        raise ValueError(
            "an endpoint is an address that begins with https:// and ends with /PipelineRuns/PipelineSubmit/<id>"
        )
    if host.lower() in _STUDIO:
        raise ValueError(
            "this is the address of a page of the studio; copy the REST endpoint that the page shows, which ends with "
            "/PipelineRuns/PipelineSubmit/<id>"
        )
    if url.scheme == "http" and not _is_loopback(host):
        raise ValueError("the address must begin with https:// (http is for this machine only)")
    if url.username is not None or url.password is not None:
        raise ValueError("the address may hold no user name or password")
    if "?" in text or "#" in text:
        raise ValueError("the address may hold no ? query and no # fragment")
    if not _SUBMIT.match(url.path):
        raise ValueError(
            "the address of a published pipeline ends with /PipelineRuns/PipelineSubmit/<id>; "
            "copy its REST endpoint from the studio"
        )
    return text


def _is_loopback(host: str) -> bool:
    from ipaddress import ip_address

    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def endpoint_parts(text: str) -> EndpointParts:
    """Return what a checked submit URL tells about its workspace."""
    url = urlsplit(text)
    host = (url.hostname or "").lower()
    found = _WORKSPACE.match(url.path)
    subscription, group, workspace = found.groups() if found else (None, None, None)
    region = _REGION.match(host)
    return EndpointParts(
        subscription=subscription,
        resource_group=group,
        name=workspace,
        region=region[1] if region else None,
        cloud=next((cloud for end, cloud in _CLOUDS.items() if host.endswith(end)), "public"),
    )
