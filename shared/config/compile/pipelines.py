"""Compiles the pipelines and the workspace that they belong to."""

from __future__ import annotations

from shared.config.model import Pipeline
from shared.config.schema.sections import FileEntries
from shared.pipelines.kinds import KINDS
from shared.pipelines.workspaces import WorkspaceId, read_workspace


def compile_workspace(entries: FileEntries) -> WorkspaceId:
    """Return the workspace. The endpoint of the first pipeline gives the parts that the file leaves out."""
    given = entries.workspace
    first = next(iter(entries.pipelines.values()), None)
    read = read_workspace(first.endpoint) if first and first.endpoint else WorkspaceId()
    return WorkspaceId(
        subscription=given.subscription or read.subscription,
        resource_group=given.resource_group or read.resource_group,
        name=given.name or read.name,
        region=given.region or read.region,
        cloud=given.cloud or read.cloud,
    )


def compile_pipelines(entries: FileEntries, *, cloud: str) -> dict[str, Pipeline]:
    """Return the pipelines without problems, by name.

    Args:
        entries: The maps of the file.
        cloud: The cloud of the workspace. It decides the default scope.
    """
    return {
        name: Pipeline(
            name=name,
            kind=entry.kind,
            endpoint=entry.endpoint,
            scope=entry.scope or KINDS[entry.kind].default_scope(cloud),
        )
        for name, entry in entries.pipelines.items()
        if entry.kind is not None and entry.endpoint is not None
    }
