"""Reads the sections of the file, map by map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.config.problems import Problems
from shared.config.schema import checks
from shared.config.schema.file import (
    DatastoreEntry,
    PipelineEntry,
    TriggerEntry,
    TriggersFile,
    WorkspaceEntry,
)
from shared.config.schema.read import read_entry
from shared.config.schema.values import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntries:
    """The maps of a file. What is not a map is reported and left out."""

    workspace: WorkspaceEntry = field(default_factory=WorkspaceEntry)
    datastores: Mapping[str, DatastoreEntry] = field(default_factory=dict)
    pipelines: Mapping[str, PipelineEntry] = field(default_factory=dict)
    triggers: Mapping[str, TriggerEntry] = field(default_factory=dict)
    declared_datastores: Sequence[str] = ()
    """The names of all datastores, including those that are left out."""
    declared_pipelines: Sequence[str] = ()
    """The names of all pipelines, including those that are left out."""


def read_sections(data: object, problems: Problems) -> FileEntries:
    """Read the data of a file, and report every problem of a single value.

    Args:
        data: The data, with app settings filled in.
        problems: Takes the problems.
    """
    if not isinstance(data, dict):
        problems.add((), "a map is needed, with at least pipelines and triggers")
        return FileEntries()
    # The keys of the file itself. The sections are empty here, since their maps are read one by one.
    shallow = {
        key: {} if isinstance(value, dict) and key in TriggersFile.model_fields else value
        for key, value in data.items()
    }
    read_entry(TriggersFile, shallow, (), problems)
    sections = {key: value for key, value in data.items() if isinstance(value, dict)}
    workspace = read_entry(WorkspaceEntry, data.get("workspace", {}), ("workspace",), problems)
    return FileEntries(
        workspace=workspace or WorkspaceEntry(),
        datastores=_entries(sections, "datastores", DatastoreEntry, problems),
        pipelines=_entries(sections, "pipelines", PipelineEntry, problems),
        triggers=_entries(sections, "triggers", TriggerEntry, problems),
        declared_datastores=tuple(sections.get("datastores", ())),
        declared_pipelines=tuple(sections.get("pipelines", ())),
    )


def _entries[E: Entry](
    sections: Mapping[str, Mapping[str, Any]], section: str, model: type[E], problems: Problems
) -> dict[str, E]:
    """Read the maps of a section."""
    found: dict[str, E] = {}
    for name, data in sections.get(section, {}).items():
        path = (section, name)
        if section != "datastores":  # their names are Azure ML's
            try:
                checks.name(name)
            except ValueError as error:
                problems.add(path, f"found {name}; {error}", at_key=True)
        entry = read_entry(model, data, path, problems)
        if entry is not None:
            found[name] = entry
    return found
